"""Delivers what the pipeline reported: nothing lost, nothing twice, in order per card, edits folded to the newest.

Here is when; `bot/delivery` is how.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import datetime
from typing import Protocol

from bot.cards import Home
from bot.channel import Channel, Report
from bot.delivery.cards import CardLedger, Cards
from bot.delivery.endings import Endings, EndLedger
from bot.delivery.posts import PostLedger, Posts
from bot.delivery.rendering import Renderer
from bot.delivery.rests import Rests
from bot.delivery.sending import Sender
from bot.redaction import Redact
from pipeline.errors import Obstructed
from pipeline.ports import Clock

TICK = 2.0  # seconds between passes while something waits that nothing will wake
IDLE = 10.0  # and while nothing is known to

_log = logging.getLogger(__name__)


class Ledger(CardLedger, PostLedger, EndLedger, Protocol):
    """What the outbox needs of the store. Everything blocks, and is called in a thread."""

    def find_due_post(self, now: datetime) -> datetime | None: ...


class Outbox:
    """`deliver` is one pass; `run` makes passes until it is cancelled."""

    def __init__(
        self, ledger: Ledger, channel: Channel, clock: Clock, *, realm: str, redact: Redact, report: Report
    ) -> None:
        self._ledger = ledger
        self._channel = channel
        self._clock = clock
        self._woken = asyncio.Event()
        self._rests = Rests(clock, report, lambda: channel.open)
        sender = Sender(channel, clock)
        renderer = Renderer(redact, realm, Home(channel.guild, channel.id))
        self._pace = sender.pace
        self._cards = Cards(ledger, sender, renderer, self._rests, self.wake)
        self._posts = Posts(ledger, sender, renderer, self._rests, clock)
        self._endings = Endings(ledger, sender, renderer, self._rests)
        self._busy = True  # the last pass found something, or did not come to its end
        self._due: datetime | None = None  # when the first of what is deferred is to be tried again; None = nothing is
        self._obstacle: str | None = None  # why nothing can be read of what is to be delivered

    def wake(self) -> None:
        """There is something to deliver. From the event loop's thread only."""
        self._woken.set()

    def resume(self) -> None:
        """Discord is there again."""
        self._rests.cut_short()
        self.wake()

    async def run(self) -> None:
        """Passes on waking, and every few seconds. A fault of ours is logged and the next pass tries again."""
        while True:
            self._woken.clear()
            try:
                await self.deliver()
                self._obstacle = None
            except Obstructed as fault:
                if self._obstacle is None:
                    _log.warning("messages wait: %s", fault)
                self._obstacle = str(fault)
            except Exception:
                _log.exception("the outbox met an error; it goes on")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause):  # wait_for forgets who ends us in the moment that we wake
                    await self._woken.wait()

    @property
    def _pause(self) -> float:
        """Seconds until the next pass, if nothing wakes us: what is held back or deferred wakes nobody."""
        if self._pace.room_at is not None:
            return max(0.0, min(TICK, self._pace.room_at - self._clock.monotonic()))
        if self._waits:
            return TICK
        left = IDLE if self._due is None else (self._due - self._clock.now()).total_seconds()
        return max(0.0, min(IDLE, left))

    @property
    def _waits(self) -> bool:
        """Whether the last pass found something, or something rests."""
        return self._busy or self._rests.any or self._obstacle is not None

    async def deliver(self) -> None:
        """One pass over what waits. Does little while Discord does not answer."""
        self._due = None
        self._pace.begin_pass()
        if not self._channel.open or self._rests.away:
            return
        self._busy = True
        found = await self._go_round(untried_only=True)
        if self._rests.any:
            found |= await self._go_round(untried_only=False)
        self._busy = found
        self._due = await asyncio.to_thread(self._ledger.find_due_post, self._clock.now())
        if not self._busy and self._due is None:
            self._rests.clear()

    async def _go_round(self, *, untried_only: bool) -> bool:
        """Whether anything waited. News of the server stand behind no edit; the details of a card follow it."""
        self._rests.begin_round(untried_only=untried_only)
        found = [
            await self._cards.deliver(new=True),
            await self._posts.deliver(news=True),
            await self._cards.deliver(new=False),
            await self._posts.deliver(news=False),
            await self._endings.deliver(),
        ]
        return any(found)
