"""Cards: one message each, edited as its run goes its way, with a thread for the details."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Protocol

from bot.channel import MessageGone, TooOld
from bot.delivery.pace import CHANNEL
from bot.delivery.rendering import Renderer
from bot.delivery.rests import Rests
from bot.delivery.sending import Sender
from bot.payloads import Colour, Message
from pipeline.card_models import CardState, CardView
from pipeline.points import point

_log = logging.getLogger(__name__)


class CardLedger(Protocol):
    def list_dirty_cards(self) -> list[CardState]: ...
    def get_card_view(self, card: int) -> CardView: ...
    def card_delivered(self, card: int, version: int, message: str, thread: str | None) -> None: ...
    def card_lost(self, card: int) -> None: ...
    def card_replaced(self, card: int) -> None: ...


class Cards:
    """`wake` asks for another pass at once."""

    def __init__(
        self, ledger: CardLedger, sender: Sender, renderer: Renderer, rests: Rests, wake: Callable[[], None]
    ) -> None:
        self._ledger = ledger
        self._sender = sender
        self._channel = sender.channel
        self._pace = sender.pace
        self._renderer = renderer
        self._rests = rests
        self._wake = wake
        self._inherited: set[int] | None = None  # cards that an earlier life may have sent without noting it
        self._shown: dict[int, Message] = {}  # card -> what its message shows
        self._losses: dict[int, int] = {}  # card -> how often its message was deleted in this life

    async def deliver(self, *, new: bool) -> bool:
        """Those without a message, or the others. Whether there were any that show less than they should."""
        dirty = await asyncio.to_thread(self._ledger.list_dirty_cards)
        if self._inherited is None:
            self._inherited = {each.card for each in dirty if each.message is None}
        for state in dirty:
            mark = _mark_of(state)
            if (state.message is None) is new and not self._rests.has(mark):
                await self._rests.guard(mark, self._deliver(state))
        return bool(dirty)

    async def _deliver(self, state: CardState) -> bool:
        """Whether it shows what it should; not while too much was sent or edited already."""
        if state.message is None and not self._pace.has_room(CHANNEL):
            return False
        view = await asyncio.to_thread(self._ledger.get_card_view, state.card)
        message = await asyncio.to_thread(self._renderer.card, view)
        if state.message is None:
            message_id = await self._send(state, view, message)
        elif await self._edit(state.card, state.message, message):
            message_id = state.message
        else:
            return False
        self._shown[state.card] = message
        thread = state.thread or await self._channel.open_thread(message_id, self._renderer.thread_name(state))
        point("card.shown")
        await asyncio.to_thread(self._ledger.card_delivered, state.card, state.wanted, message_id, thread)
        return True

    async def _send(self, state: CardState, view: CardView, message: Message) -> str:
        """Noted at once, still as undelivered: its thread comes next, and a kill in between must not send it twice."""
        mark = _mark_of(state)
        inherited = self._inherited or set()
        known = None
        if self._sender.doubts(mark) or state.card in inherited:
            known = await self._sender.find(mark, None, _beginning(view))
        losses = self._losses.get(state.card, 0)
        nonce = f"{mark}-{losses}" if losses else mark
        self._pace.count(CHANNEL)
        message_id = known or await self._sender.send(None, message, mark, nonce)
        point("card.sent")
        await asyncio.to_thread(self._ledger.card_delivered, state.card, state.delivered, message_id, None)
        self._sender.settle(mark)
        self._rests.answered()
        inherited.discard(state.card)
        if known is not None:
            await self._sender.edit(state.card, message_id, message)
        return message_id

    async def _edit(self, card: int, message_id: str, message: Message) -> bool:
        """Whether the message shows it now; not while it would be edited too often."""
        shown = self._shown.get(card)
        if shown == message:
            return True
        if not self._pace.has_room_for_edit(card, urgent=_is_urgent(shown, message)):
            return False
        try:
            await self._sender.edit(card, message_id, message)
        except MessageGone:
            _log.warning("the message of card %s was deleted; a new one is sent", card)
            await self._lose(card)
            return False
        except TooOld:
            if not _calls_somebody(message):
                raise
            _log.warning("the message of card %s takes no edits for now; a new one refers to it", card)
            await self._lose(card, replaced=True)
            return False
        self._rests.answered()
        return True

    async def _lose(self, card: int, *, replaced: bool = False) -> None:
        """A new message is sent: the old one is gone, or stays where it is as it is."""
        await asyncio.to_thread(self._ledger.card_replaced if replaced else self._ledger.card_lost, card)
        self._losses[card] = self._losses.get(card, 0) + 1
        self._shown.pop(card, None)
        self._wake()


def _mark_of(state: CardState) -> str:
    return f"c{state.card}"


def _is_urgent(shown: Message | None, message: Message) -> bool:
    """A new state that is live, ends something or calls somebody; the others are on their way to one."""
    live = message.embed is not None and message.embed.colour is Colour.GREEN
    return _headline(shown) != _headline(message) and (live or _calls_somebody(message))


def _headline(message: Message | None) -> tuple[str, object, object] | None:
    """What tells one state from another."""
    embed = message.embed if message else None
    return None if message is None or embed is None else (embed.title, embed.colour, message.buttons)


def _calls_somebody(message: Message) -> bool:
    """What a person is needed for, or what is down, does not wait for an old message to take edits again."""
    return message.embed is not None and message.embed.colour in (Colour.AMBER, Colour.RED)


def _beginning(view: CardView) -> datetime:
    """When the card can first have been sent."""
    known = [moment for moment in (view.first_seen, view.run and view.run.created_at) if moment]
    return min(known) if known else datetime.combine(view.night, time(0), UTC)
