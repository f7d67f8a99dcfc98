"""How long a lock of the database is waited for: once for all that a person's order asks, else once for each ask.

An order asks several times. If another program holds the database, the first ask waits in vain, and who asks again
right after it would only find out the same as late again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

PATIENCE = 5.0  # seconds for a lock that somebody else holds
LEAST = 0.2  # seconds for one of our own threads, which is out again at once, however little is left


class Patience:
    """Only waiting uses it up: an order that works for a minute is as patient after it."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    @contextmanager
    def spend(self) -> Iterator[None]:
        """What happens inside is waiting."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.left = max(0.0, self.left - (time.monotonic() - began))


_current: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def one_patience() -> Iterator[Patience]:
    """All that waits inside shares what is left, in the tasks and `to_thread` calls that begin here as well; the one
    that is shared already, if there is one."""
    found = _current.get()
    if found is not None:
        yield found
        return
    token = _current.set(made := Patience(PATIENCE))
    try:
        yield made
    finally:
        _current.reset(token)


@asynccontextmanager
async def waiting_for(lock: asyncio.Lock) -> AsyncIterator[None]:
    """Holds it. Whoever has it may wait for the database as well, and that is not waited for twice."""
    with one_patience() as patience, patience.spend():
        await lock.acquire()
    try:
        yield
    finally:
        lock.release()


def get_left() -> float:
    """Seconds that whoever asks now may wait."""
    found = _current.get()
    return PATIENCE if found is None else found.left
