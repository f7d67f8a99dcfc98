"""Posts: news in the channel, details in the threads of cards. In order; one that waits holds up the rest of its place.
Only news that fail by themselves, while Discord takes others, are passed by the next ones.

A thread that somebody deleted is opened again.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Protocol

from bot.channel import Closed, Later, PlaceGone, Uncertain
from bot.delivery.pace import CHANNEL
from bot.delivery.rendering import Renderer
from bot.delivery.rests import Rests
from bot.delivery.sending import Sender
from bot.payloads import Message
from pipeline.card_models import CardState, Post
from pipeline.points import point
from pipeline.ports import Clock
from pipeline.store.outbox import LONGEST_DEFERRAL


class PostLedger(Protocol):
    def list_pending_posts(self, now: datetime) -> list[Post]: ...
    def post_delivered(self, post: int, message: str) -> None: ...
    def post_deferred(self, post: int, why: str, not_before: datetime) -> None: ...
    def get_card_state(self, card: int) -> CardState: ...
    def card_delivered(self, card: int, version: int, message: str, thread: str | None) -> None: ...


class Posts:
    def __init__(self, ledger: PostLedger, sender: Sender, renderer: Renderer, rests: Rests, clock: Clock) -> None:
        self._ledger = ledger
        self._sender = sender
        self._channel = sender.channel
        self._pace = sender.pace
        self._renderer = renderer
        self._rests = rests
        self._clock = clock
        self._born = clock.now()

    async def deliver(self, *, news: bool) -> bool:
        """The channel's, or those of the threads. Whether any waited."""
        pending = await asyncio.to_thread(self._ledger.list_pending_posts, self._clock.now())
        held: set[int | None] = set()
        for post in pending:
            if (post.card is None) is news and post.card not in held and not await self._goes_on(post):
                held.add(post.card)
        return bool(pending)

    async def _goes_on(self, post: Post) -> bool:
        """Whether what stands behind it may go out: it did, or it is news that fails by itself, behind which no other
        news wait for good. A thread is read from its beginning, so there all of it waits."""
        mark = _mark_of(post)
        ready = not self._rests.has(mark) and self._pace.has_room(_place_of(post))
        if ready and await self._rests.guard(mark, self._deliver(post)):
            return True
        return post.card is None and self._rests.lets_pass(mark, tried=ready)

    async def _deliver(self, post: Post) -> bool:
        try:
            await self._send(post)
        except (Later, Uncertain, Closed) as fault:
            seconds = fault.seconds if isinstance(fault, Later) else 1.0
            not_before = self._clock.now() + min(timedelta(seconds=seconds), LONGEST_DEFERRAL)
            await asyncio.to_thread(self._ledger.post_deferred, post.id, str(fault), not_before)
            raise
        return True

    async def _send(self, post: Post) -> None:
        mark = _mark_of(post)
        thread = await self._get_thread(post)
        known = None
        if self._sender.doubts(mark) or post.created_at < self._born or post.attempts:
            known = await self._look(post, thread)
        message = await asyncio.to_thread(self._renderer.post, post)
        message_id = known or await self._send_to_thread(post, thread, message)
        point("post.sent")
        await asyncio.to_thread(self._ledger.post_delivered, post.id, message_id)
        point("post.noted")
        self._sender.settle(mark)

    async def _look(self, post: Post, thread: str | None) -> str | None:
        """The post's message, where an earlier send arrived after all."""
        try:
            return await self._sender.find(_mark_of(post), thread, post.created_at)
        except PlaceGone:
            return None

    async def _send_to_thread(self, post: Post, thread: str | None, message: Message) -> str:
        mark = _mark_of(post)
        self._pace.count(_place_of(post))
        try:
            return await self._sender.send(thread, message, mark, mark)
        except PlaceGone:
            if post.card is None:
                raise
            return await self._sender.send(await self._reopen(post.card), message, mark, mark)

    # --- threads -----------------------------------------------------------------------------------------------------

    async def _get_thread(self, post: Post) -> str | None:
        """None = the channel itself."""
        if post.card is None:
            return None
        state = await asyncio.to_thread(self._ledger.get_card_state, post.card)
        if state.thread is None:
            raise Later("the card has no thread yet", 1.0)
        return state.thread

    async def _reopen(self, card: int) -> str:
        """A new thread for a card whose thread was deleted."""
        state = await asyncio.to_thread(self._ledger.get_card_state, card)
        if state.message is None:
            raise Later("the card has no message yet", 1.0)
        name = self._renderer.thread_name(state)
        thread = await self._channel.open_thread(state.message, name)
        if thread == state.thread and not await self._exists(thread):
            thread = await self._channel.open_loose_thread(name)
        await asyncio.to_thread(self._ledger.card_delivered, card, state.delivered, state.message, thread)
        return thread

    async def _exists(self, thread: str) -> bool:
        try:
            await self._channel.find(thread, self._clock.now())
        except PlaceGone:
            return False
        return True


def _mark_of(post: Post) -> str:
    return f"p{post.id}"


def _place_of(post: Post) -> str:
    return CHANNEL if post.card is None else f"t{post.card}"
