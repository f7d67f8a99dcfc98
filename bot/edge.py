"""The Discord edge put together: client, commands, outbox. Built by the composition root with what it needs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from bot.audit import AuditBook, Trail
from bot.channel import Channel, Report
from bot.client import SpiritHealer
from bot.commands import Desk, OrderDesk
from bot.login import run_client
from bot.outbox import Ledger, Outbox
from bot.permissions import Operators
from bot.redaction import Redact
from bot.status import find_instance
from bot.wire import Pen
from pipeline.ports import Clock


@dataclass(frozen=True)
class EdgeSettings:
    """What the settings say of Discord, and the two names that every message needs."""

    token: str
    guild: int
    channel: int
    realm: str
    operator_roles: frozenset[int] = frozenset()
    operator_users: frozenset[int] = frozenset()
    ping_role: int | None = None
    notice: timedelta = timedelta(seconds=30)  # SERVER_STOP_NOTICE
    guild_ready_timeout: float = 2.0  # seconds discord.py waits for its guilds; 0.2 beside a sandbox


class Book(Ledger, AuditBook, Protocol):
    """The store, as the edge uses it."""


class Edge:
    """`run` until it is cancelled; `wake` when there is something to deliver."""

    def __init__(
        self, settings: EdgeSettings, book: Book, orders: OrderDesk, clock: Clock, redact: Redact, report: Report
    ) -> None:
        self._settings = settings
        self._report = report
        self.channel = Channel(settings.guild, settings.channel, Pen(redact, settings.ping_role))
        operators = Operators(settings.guild, settings.operator_roles, settings.operator_users)
        self.desk = Desk(orders, Trail(book, clock, redact), operators, self.channel, clock, redact, settings.notice)
        self.desk.instance = find_instance(clock.now())
        self.outbox = Outbox(book, self.channel, clock, realm=settings.realm, redact=redact, report=report)

    def make_client(self) -> SpiritHealer:
        """A new login's client."""
        wait = self._settings.guild_ready_timeout
        return SpiritHealer(self.desk, self.channel, self._report, on_open=self.outbox.resume, guild_ready_timeout=wait)

    async def run(self) -> None:
        """Client and outbox, until cancelled; the client is closed then."""
        async with asyncio.TaskGroup() as group:
            group.create_task(run_client(self.make_client, self._settings.token, self._report), name="discord client")
            group.create_task(self.outbox.run(), name="outbox")

    def wake(self) -> None:
        """From the event loop's thread only."""
        self.outbox.wake()
