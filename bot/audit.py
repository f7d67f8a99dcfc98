"""The audit, as the channel writes it: an order before it is carried out and once it is over, everything else once.

So a bot that is killed in the midst of an order leaves a row behind, and a database that is away for a moment loses
none: what cannot be written waits for the next row. An order that changes which code runs is not carried out before it
is written down. One that holds, stops or starts is: its row is owed, and until then the log has it. Whether it can be
carried out is told by the pipeline, which keeps what it was ordered in the same database.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import datetime
from typing import Protocol

from bot.redaction import Redact
from pipeline.errors import Obstructed
from pipeline.model import Actor
from pipeline.ports import Clock
from pipeline.read_models import BEGUN
from pipeline.store.patience import waiting_for

KEPT = 1000  # rows that wait for the database, the oldest given up first
# No lock and no full disk stands between a person and these: none brings a code to life that did not run before.
URGENT = frozenset({
    "pause", "stop", "restart", "start", "start-server", "cancel-order", "cancel", "reject",
})  # fmt: skip

_log = logging.getLogger(__name__)


class AuditBook(Protocol):
    """Append-only: who, what, where, when, outcome. Blocks, and is called in a thread."""

    def append_audit(
        self, at: datetime, actor_id: str, actor_name: str, where: str, command: str, arguments: str, outcome: str
    ) -> None: ...


Row = tuple[datetime, str, str, str, str, str, str]


class Trail:
    """Rows in the order in which things happened."""

    def __init__(self, book: AuditBook, clock: Clock, redact: Redact) -> None:
        self._book = book
        self._clock = clock
        self._redact = redact
        self._waiting: deque[Row] = deque(maxlen=KEPT)
        self._one = asyncio.Lock()

    async def begin(self, by: Actor, command: str, arguments: str) -> None:
        """Before an order is carried out. Raises Obstructed where it cannot be written down and may wait."""
        await self.catch_up()
        row = self._row(by, command, arguments, BEGUN)
        try:
            await asyncio.to_thread(self._book.append_audit, *row)
        except Obstructed as fault:
            if command not in URGENT:
                raise
            _log.warning("what is carried out is not in the audit yet (%s): %s", fault, row)
            self._waiting.append(row)

    async def note(self, by: Actor, command: str, arguments: str, outcome: str) -> None:
        """What came of it. Never raises: it neither undoes nor hides what was done."""
        self._waiting.append(self._row(by, command, arguments, outcome))
        await self.catch_up()

    async def catch_up(self) -> None:
        """Writes what waits, for as long as the database takes it."""
        async with waiting_for(self._one):
            while self._waiting:
                try:
                    await asyncio.to_thread(self._book.append_audit, *self._waiting[0])
                except Obstructed as fault:
                    _log.warning(
                        "%d rows of the audit wait (%s), the newest %s", len(self._waiting), fault, self._waiting[-1]
                    )
                    return
                except Exception:
                    _log.exception("a row of the audit cannot be written: %s", self._waiting[0])
                self._waiting.popleft()

    def _row(self, by: Actor, command: str, arguments: str, outcome: str) -> Row:
        now = self._clock.now()
        return now, by.id, by.name, by.where, command, self._redact(arguments), self._redact(outcome)
