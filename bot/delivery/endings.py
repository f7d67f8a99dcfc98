"""What can no longer be pressed says so, and its buttons go: answers to orders that are over, news that is history."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from bot.channel import Closed, MessageGone, PlaceGone
from bot.delivery.pace import EDITS
from bot.delivery.rendering import Renderer
from bot.delivery.rests import Rests
from bot.delivery.sending import Sender
from pipeline.card_models import Post
from pipeline.read_models import OrderEnd

_log = logging.getLogger(__name__)


class EndLedger(Protocol):
    def list_outdated_orders(self) -> list[OrderEnd]: ...
    def note_order_shown(self, order: int, state: str, place: str, message: str) -> None: ...
    def list_outlived_posts(self) -> list[Post]: ...
    def post_settled(self, post: int) -> None: ...


class Endings:
    """Where a message is gone, or stands where we may not write, there is nothing to tell."""

    def __init__(self, ledger: EndLedger, sender: Sender, renderer: Renderer, rests: Rests) -> None:
        self._ledger = ledger
        self._channel = sender.channel
        self._pace = sender.pace
        self._renderer = renderer
        self._rests = rests

    async def deliver(self) -> bool:
        """Whether there were any."""
        ends = await asyncio.to_thread(self._ledger.list_outdated_orders)
        for end in ends:
            if self._may_edit(f"o{end.id}"):
                await self._rests.guard(f"o{end.id}", self._close_order(end))
        outlived = await asyncio.to_thread(self._ledger.list_outlived_posts)
        for post in outlived:
            if self._may_edit(f"p{post.id}"):
                await self._rests.guard(f"p{post.id}", self._close_post(post))
        return bool(ends or outlived)

    def _may_edit(self, mark: str) -> bool:
        return not self._rests.has(mark) and self._pace.has_room(EDITS)

    async def _close_order(self, end: OrderEnd) -> bool:
        self._pace.count(EDITS)
        try:
            await self._channel.edit(end.message, self._renderer.order_over(end), end.place)
        except (MessageGone, PlaceGone, Closed) as fault:
            _log.warning("the answer to order %s cannot be changed: %s", end.id, fault)
        await asyncio.to_thread(self._ledger.note_order_shown, end.id, end.state, end.place, end.message)
        return True

    async def _close_post(self, post: Post) -> bool:
        message = await asyncio.to_thread(self._renderer.post_over, post)
        self._pace.count(EDITS)
        try:
            await self._channel.edit(post.message or "0", message)
        except (MessageGone, PlaceGone, Closed) as fault:
            _log.warning("the buttons of post %s cannot be taken away: %s", post.id, fault)
        await asyncio.to_thread(self._ledger.post_settled, post.id)
        return True
