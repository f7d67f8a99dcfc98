"""Delivers what the pipeline reported: nothing lost, nothing twice, in order per card, edits folded to the newest.

A send whose outcome is not known (no answer, or the bot was killed before it could note it) is looked for in the
channel by its footer id before it is sent again; the nonce covers the moment in which it cannot be seen there yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Protocol, TypeVar

from bot.cards import Home, render_card, thread_name
from bot.channel import Channel, ChannelFault, Closed, Later, Malformed, MessageGone, PlaceGone, TooOld, Uncertain
from bot.messages import bare, order_over
from bot.pace import EDITS, Pace
from bot.payloads import Colour, Message
from bot.posts import render_over, render_post
from bot.redaction import Redact, cleaned
from pipeline.card_models import CardState, CardView, Post
from pipeline.errors import Obstructed
from pipeline.points import point
from pipeline.ports import Clock
from pipeline.read_models import OrderEnd
from pipeline.store.outbox import LONGEST_DEFERRAL

TICK = 2.0  # seconds between passes while something waits that nothing will wake
IDLE = 10.0  # and while nothing is known to
LONGEST_REST = 60.0  # seconds
CHANNEL = "channel"
SKEW = timedelta(days=1)  # how far Discord's clock may be from ours: also from one in a wrong time zone

Report = Callable[[str, str | None], None]  # topic, what does not work in words; None = it works again
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Ledger(Protocol):
    """What the outbox needs of the store. Everything blocks, and is called in a thread."""

    def list_dirty_cards(self) -> list[CardState]: ...
    def get_card_view(self, card: int) -> CardView: ...
    def get_card_state(self, card: int) -> CardState: ...
    def card_delivered(self, card: int, version: int, message: str, thread: str | None) -> None: ...
    def card_lost(self, card: int) -> None: ...
    def card_replaced(self, card: int) -> None: ...
    def list_pending_posts(self, now: datetime) -> list[Post]: ...
    def find_due_post(self, now: datetime) -> datetime | None: ...
    def post_delivered(self, post: int, message: str) -> None: ...
    def post_deferred(self, post: int, why: str, not_before: datetime) -> None: ...
    def list_outdated_orders(self) -> list[OrderEnd]: ...
    def note_order_shown(self, order: int, state: str, place: str, message: str) -> None: ...
    def list_outlived_posts(self) -> list[Post]: ...
    def post_settled(self, post: int) -> None: ...


@dataclass
class Rest:
    """A place, a card or all of Discord that is left alone for a while."""

    until: float = 0.0  # monotonic seconds
    tries: int = 0  # failures in a row
    asked: bool = False  # by Discord, for so long

    def begin(self, now: float, seconds: float | None = None) -> float:
        """1, 2, 4 … 60 s, or as long as Discord asks; how long."""
        self.tries += 1
        length = seconds if seconds is not None else min(LONGEST_REST, 2.0 ** (self.tries - 1))
        self.until = now + length
        self.asked = seconds is not None
        return length


@dataclass(frozen=True)
class Sighting:
    """Our own messages in one place, as they were when it was looked at."""

    since: datetime
    found: dict[str, str]  # `#p34` -> message id


class Outbox:
    """`deliver` is one pass; `run` makes passes until it is cancelled."""

    def __init__(
        self, ledger: Ledger, channel: Channel, clock: Clock, *, realm: str, redact: Redact, report: Report
    ) -> None:
        self._ledger = ledger
        self._channel = channel
        self._clock = clock
        self._realm = realm
        self._home = Home(channel.guild, channel.id)
        self._redact = redact
        self._report = report
        self._woken = asyncio.Event()
        self._born = clock.now()
        self._inherited: set[int] | None = None  # cards that an earlier life may have sent without noting it
        self._doubtful: set[str] = set()  # ids whose send has an unknown outcome
        self._rests: dict[str, Rest] = {}
        self._pace = Pace(clock)
        self._room_at: float | None = None  # monotonic seconds at which the first that was held back may go out
        self._shown: dict[int, Message] = {}  # card -> what its message shows
        self._losses: dict[int, int] = {}  # card -> how often its message was deleted in this life
        self._sightings: dict[str | None, Sighting] = {}  # place -> what an earlier life had sent there
        self._busy = True  # the last pass found something, or did not come to its end
        self._due: datetime | None = None  # when the first of what is deferred is to be tried again; None = nothing is
        self._obstacle: str | None = None  # why nothing can be read of what is to be delivered
        self._complained = False  # whether people were told that messages wait

    def wake(self) -> None:
        """There is something to deliver. From the event loop's thread only."""
        self._woken.set()

    def resume(self) -> None:
        """Discord is there again: nothing waits for the end of a rest that its absence began."""
        for rest in self._rests.values():
            if not rest.asked:
                rest.until = 0.0
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
                await asyncio.wait_for(self._woken.wait(), self._pause)

    @property
    def _pause(self) -> float:
        """Seconds until the next pass, if nothing wakes us: what is held back or deferred wakes nobody."""
        if self._room_at is not None:
            return max(0.0, min(TICK, self._room_at - self._clock.monotonic()))
        if self._waits:
            return TICK
        left = IDLE if self._due is None else (self._due - self._clock.now()).total_seconds()
        return max(0.0, min(IDLE, left))

    @property
    def _waits(self) -> bool:
        """Whether the last pass found something, or something rests."""
        return self._busy or bool(self._rests) or self._obstacle is not None

    async def deliver(self) -> None:
        """One pass over what waits. Returns early while Discord does not answer."""
        self._due = self._room_at = None
        if not self._channel.open or self._rests_now("discord"):
            return
        self._busy = True
        with contextlib.suppress(Uncertain):
            found = [await self._deliver_cards(), await self._deliver_posts(), await self._deliver_ends()]
            self._busy = any(found)
            self._due = await asyncio.to_thread(self._ledger.find_due_post, self._clock.now())

    # --- cards -------------------------------------------------------------------------------------------------------

    async def _deliver_cards(self) -> bool:
        """Whether there were any that show less than they should."""
        dirty = await asyncio.to_thread(self._ledger.list_dirty_cards)
        if self._inherited is None:
            self._inherited = {each.card for each in dirty if each.message is None}
        for state in dirty:
            if not self._rests_now(f"c{state.card}"):
                await self._guarded(f"c{state.card}", self._deliver_card, state)
        return bool(dirty)

    async def _deliver_card(self, state: CardState) -> None:
        if state.message is None and not self._is_free(self._pace.get_free_at(CHANNEL)):
            return
        view = await asyncio.to_thread(self._ledger.get_card_view, state.card)
        message = await asyncio.to_thread(self._render_card, view)
        if state.message is None:
            message_id = await self._send_card(state, view, message)
        elif await self._edit_card(state, message):
            message_id = state.message
        else:
            return
        self._shown[state.card] = message
        thread = state.thread or await self._channel.open_thread(message_id, self._name_thread(state))
        point("card.shown")
        await asyncio.to_thread(self._ledger.card_delivered, state.card, state.wanted, message_id, thread)

    def _render_card(self, view: CardView) -> Message:
        """In a thread: a run carries its whole patch, and redacting that takes a moment."""
        return render_card(cleaned(view, self._redact), self._home)

    async def _send_card(self, state: CardState, view: CardView, message: Message) -> str:
        """Noted at once, still as undelivered: its thread comes next, and a kill in between must not send it twice."""
        mark = f"c{state.card}"
        known = None
        if mark in self._doubtful or state.card in (self._inherited or ()):
            since = _beginning(view) - SKEW
            known = (await self._sight(None, since, fresh=mark in self._doubtful)).get(f"#{mark}")
        losses = self._losses.get(state.card, 0)
        nonce = f"{mark}-{losses}" if losses else mark
        self._pace.count(CHANNEL)
        message_id = known or await self._send(None, message, mark, nonce)
        point("card.sent")
        await asyncio.to_thread(self._ledger.card_delivered, state.card, state.delivered, message_id, None)
        self._settle(mark, state.card)
        if known is not None:
            await self._edit(state.card, message_id, message)
        return message_id

    async def _edit_card(self, state: CardState, message: Message) -> bool:
        """Whether the message shows it now; not while it would be edited too often."""
        if state.message is None or self._shown.get(state.card) == message:
            return state.message is not None
        urgent = _is_urgent(self._shown.get(state.card), message)
        if not self._is_free(self._pace.get_edit_at(state.card, urgent=urgent)):
            return False
        try:
            await self._edit(state.card, state.message, message)
        except MessageGone:
            _log.warning("the message of card %s was deleted; a new one is sent", state.card)
            await self._lose(state.card)
            return False
        except TooOld:
            if not _calls_somebody(message):
                raise
            _log.warning("the message of card %s takes no edits for now; a new one refers to it", state.card)
            await self._lose(state.card, replaced=True)
            return False
        return True

    async def _lose(self, card: int, *, replaced: bool = False) -> None:
        """A new message is sent: the old one is gone, or stays where it is as it is."""
        await asyncio.to_thread(self._ledger.card_replaced if replaced else self._ledger.card_lost, card)
        self._losses[card] = self._losses.get(card, 0) + 1
        self._shown.pop(card, None)
        self.wake()

    def _name_thread(self, state: CardState) -> str:
        return thread_name(self._redact(state.thread_title))

    # --- posts -------------------------------------------------------------------------------------------------------

    async def _deliver_posts(self) -> bool:
        """Whether any waited."""
        pending = await asyncio.to_thread(self._ledger.list_pending_posts, self._clock.now())
        held: set[int | None] = set()
        for post in pending:
            place = _place_of(post)
            if post.card in held:
                continue
            ready = not self._rests_now(place) and self._is_free(self._pace.get_free_at(place))
            if not ready or not await self._guarded(place, self._deliver_post, post):
                held.add(post.card)
        return bool(pending)

    async def _deliver_post(self, post: Post) -> None:
        try:
            await self._send_post(post)
        except (Later, Uncertain, Closed) as fault:
            seconds = fault.seconds if isinstance(fault, Later) else 1.0
            not_before = self._clock.now() + min(timedelta(seconds=seconds), LONGEST_DEFERRAL)
            await asyncio.to_thread(self._ledger.post_deferred, post.id, str(fault), not_before)
            raise

    async def _send_post(self, post: Post) -> None:
        mark = f"p{post.id}"
        thread = await self._get_thread(post)
        known = None
        if mark in self._doubtful or post.created_at < self._born or post.attempts:
            known = await self._look(post, thread, mark)
        message = await asyncio.to_thread(self._render_post, post)
        message_id = known or await self._send_in_form(post, thread, message)
        point("post.sent")
        await asyncio.to_thread(self._ledger.post_delivered, post.id, message_id)
        point("post.noted")
        self._settle(mark)

    def _render_post(self, post: Post) -> Message:
        return render_post(cleaned(post, self._redact), self._realm, self._home)

    def _render_over(self, post: Post) -> Message:
        return render_over(cleaned(post, self._redact), self._realm, self._home)

    async def _get_thread(self, post: Post) -> str | None:
        if post.card is None:
            return None
        state = await asyncio.to_thread(self._ledger.get_card_state, post.card)
        if state.thread is None:
            raise Later("the card has no thread yet", 1.0)
        return state.thread

    async def _look(self, post: Post, thread: str | None, mark: str) -> str | None:
        """The post's message, where an earlier send arrived after all."""
        try:
            return (await self._sight(thread, post.created_at - SKEW, fresh=mark in self._doubtful)).get(f"#{mark}")
        except PlaceGone:
            return None

    async def _sight(self, place: str | None, since: datetime, *, fresh: bool) -> dict[str, str]:
        """One look tells of all that an earlier life sent; what this life sent without an answer needs a new one."""
        seen = self._sightings.get(place)
        if fresh or seen is None or seen.since > since:
            seen = self._sightings[place] = Sighting(since, await self._channel.find(place, since))
        return seen.found

    async def _send_in_form(self, post: Post, thread: str | None, message: Message) -> str:
        mark = f"p{post.id}"
        self._pace.count(_place_of(post))
        try:
            return await self._send(thread, message, mark, mark)
        except PlaceGone:
            if post.card is None:
                raise
            return await self._send(await self._reopen(post.card), message, mark, mark)

    async def _reopen(self, card: int) -> str:
        """A new thread for a card whose thread was deleted."""
        state = await asyncio.to_thread(self._ledger.get_card_state, card)
        if state.message is None:
            raise Later("the card has no message yet", 1.0)
        name = self._name_thread(state)
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

    # --- answers that can no longer be pressed ------------------------------------------------------------------------

    async def _deliver_ends(self) -> bool:
        """An order is over: the answer with its Cancel button says so, and the button goes. Whether there were any."""
        ends = await asyncio.to_thread(self._ledger.list_outdated_orders)
        for each in ends:
            if not self._rests_now(f"o{each.id}") and self._is_free(self._pace.get_free_at(EDITS)):
                await self._guarded(f"o{each.id}", self._deliver_end, each)
        outlived = await asyncio.to_thread(self._ledger.list_outlived_posts)
        for post in outlived:
            if not self._rests_now(f"p{post.id}") and self._is_free(self._pace.get_free_at(EDITS)):
                await self._guarded(f"p{post.id}", self._close_post, post)
        return bool(ends or outlived)

    async def _deliver_end(self, end: OrderEnd) -> None:
        """Where the answer is gone, or stands where we may not write, there is nothing to tell."""
        self._pace.count(EDITS)
        try:
            await self._channel.edit(end.message, order_over(cleaned(end, self._redact)), end.place)
        except (MessageGone, PlaceGone, Closed) as fault:
            _log.warning("the answer to order %s cannot be changed: %s", end.id, fault)
        await asyncio.to_thread(self._ledger.note_order_shown, end.id, end.state, end.place, end.message)

    async def _close_post(self, post: Post) -> None:
        """What it tells is over: it says so, and its buttons go."""
        message = await asyncio.to_thread(self._render_over, post)
        self._pace.count(EDITS)
        try:
            await self._channel.edit(post.message or "0", message)
        except (MessageGone, PlaceGone, Closed) as fault:
            _log.warning("the buttons of post %s cannot be taken away: %s", post.id, fault)
        await asyncio.to_thread(self._ledger.post_settled, post.id)

    # --- sending, and what can go wrong ------------------------------------------------------------------------------

    async def _send(self, place: str | None, message: Message, mark: str, nonce: str) -> str:
        """Until it is noted as delivered its outcome is doubtful, whatever interrupts it."""
        self._doubtful.add(mark)
        try:
            return await self._send_or_bare(place, message, nonce)
        except (Later, Closed, Malformed, PlaceGone):
            self._doubtful.discard(mark)
            raise

    async def _send_or_bare(self, place: str | None, message: Message, nonce: str) -> str:
        try:
            return await self._channel.send(place, message, nonce)
        except Malformed as fault:
            _log.error("Discord refused a message, its bare form is sent instead: %s", fault)
            return await self._channel.send(place, bare(message), nonce)

    async def _edit(self, card: int, message_id: str, message: Message) -> None:
        self._pace.count_edit(card)
        try:
            await self._channel.edit(message_id, message)
        except Malformed as fault:
            _log.error("Discord refused an edit, its bare form is sent instead: %s", fault)
            await self._channel.edit(message_id, bare(message))

    def _settle(self, mark: str, card: int | None = None) -> None:
        self._doubtful.discard(mark)
        if card is not None and self._inherited:
            self._inherited.discard(card)

    def _is_free(self, moment: float) -> bool:
        """Whether it is that late already; else the next pass is then. What has changed again by then is folded."""
        if moment <= self._clock.monotonic():
            return True
        self._room_at = moment if self._room_at is None else min(self._room_at, moment)
        return False

    async def _guarded(self, place: str, work: Callable[[T], Awaitable[object]], item: T) -> bool:
        """Whether it went through; faults make the place rest, an unknown outcome all of Discord (raised on)."""
        try:
            await work(item)
        except Later as fault:
            self._rest(place, fault, fault.seconds)
        except Uncertain as fault:
            self._rest("discord", fault)
            raise
        except ChannelFault as fault:
            self._rest(place, fault)
        else:
            self._work_again(place)
            return True
        return False

    def _rest(self, place: str, fault: ChannelFault, seconds: float | None = None) -> None:
        rest = self._rests.setdefault(place, Rest())
        length = rest.begin(self._clock.monotonic(), seconds)
        _log.warning("delivery to Discord waits %.0f s (%s): %s", length, place, fault)
        if not isinstance(fault, Later) and (rest.tries > 1 or not isinstance(fault, Uncertain)):
            self._complained = True
            self._report("discord delivery", f"Messages wait: {fault}. {_cure(fault)}".strip())

    def _work_again(self, place: str) -> None:
        for each in ("discord", place):
            self._rests.pop(each, None)
        if self._complained and not self._rests:
            self._complained = False
            self._report("discord delivery", None)

    def _rests_now(self, place: str) -> bool:
        rest = self._rests.get(place)
        return rest is not None and rest.until > self._clock.monotonic()


def _place_of(post: Post) -> str:
    return CHANNEL if post.card is None else f"t{post.card}"


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


def _cure(fault: ChannelFault) -> str:
    if isinstance(fault, PlaceGone):
        return "Is `DISCORD_CHANNEL_ID` still the right one?"
    return "The bot needs its rights in the channel back." if isinstance(fault, Closed) else ""
