"""Who is told that the channel changed: subscribers with the message, waiters with nothing but the fact."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from bot.sandbox.state import MessageState

T = TypeVar("T")


@dataclass(frozen=True)
class MessageEvent:
    """A message as the state shows it, after the change (before it, for "delete")."""

    kind: Literal["create", "edit", "delete"]
    message: MessageState


class Feed:
    def __init__(self) -> None:
        self._subscribers: list[Callable[[MessageEvent], None]] = []
        self._waiters: list[asyncio.Future[None]] = []

    def subscribe(self, callback: Callable[[MessageEvent], None]) -> Callable[[], None]:
        """Returns what ends the subscription. The callback runs inside the request that caused the event, so it must
        be quick."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback) if callback in self._subscribers else None

    def publish(self, event: MessageEvent) -> None:
        for callback in tuple(self._subscribers):
            callback(event)
        self.touch()

    def touch(self) -> None:
        """Something may have changed: every waiter looks again."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, find: Callable[[], T], timeout: float) -> T:  # noqa: ASYNC109 - callers count in seconds
        """The first true result of `find`, looked for now and after every change. Raises TimeoutError after `timeout`
        seconds."""
        async with asyncio.timeout(timeout):
            while not (found := find()):
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
                await waiter
        return found
