"""One message is sent once. What Discord refuses goes out in its bare form.

A send whose outcome is not known (no answer, or the bot was killed before it could note it) is looked for in the
channel by its mark, the outbox id in its footer, before it is sent again; the nonce covers the moment in which it
cannot be seen there yet.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.channel import Channel, Closed, Later, Malformed, PlaceGone
from bot.delivery.pace import Pace
from bot.messages import bare
from bot.payloads import Message
from pipeline.ports import Clock

SKEW = timedelta(days=1)  # how far Discord's clock may be from ours: also from one in a wrong time zone

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sighting:
    """Our own messages in one place, as they were when it was looked at."""

    since: datetime
    found: dict[str, str]  # `#p34` -> message id


class Sender:
    """A mark is `c12` or `p34`; a place is the id of a thread, None the channel itself."""

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self.channel = channel
        self.pace = Pace(clock)
        self._doubtful: set[str] = set()  # marks whose send has an unknown outcome
        self._sightings: dict[str | None, Sighting] = {}  # place -> what an earlier life had sent there

    async def send(self, place: str | None, message: Message, mark: str, nonce: str) -> str:
        """The message's id. Until it is noted as delivered its outcome is doubtful, whatever interrupts it."""
        self._doubtful.add(mark)
        try:
            return await self._send_or_bare(place, message, nonce)
        except (Later, Closed, Malformed, PlaceGone):
            self._doubtful.discard(mark)
            raise

    async def _send_or_bare(self, place: str | None, message: Message, nonce: str) -> str:
        try:
            return await self.channel.send(place, message, nonce)
        except Malformed as fault:
            _log.error("Discord refused a message, its bare form is sent instead: %s", fault)
            return await self.channel.send(place, bare(message), nonce)

    def settle(self, mark: str) -> None:
        """It is noted as delivered."""
        self._doubtful.discard(mark)

    def doubts(self, mark: str) -> bool:
        """Whether this life sent it without an answer."""
        return mark in self._doubtful

    async def find(self, mark: str, place: str | None, since: datetime) -> str | None:
        """The message's id, where an earlier send arrived after all.

        One look tells of all that an earlier life sent; what this life sent without an answer needs a new one.
        """
        since -= SKEW
        seen = self._sightings.get(place)
        if self.doubts(mark) or seen is None or seen.since > since:
            seen = self._sightings[place] = Sighting(since, await self.channel.find(place, since))
        return seen.found.get(f"#{mark}")

    async def edit(self, card: int, message_id: str, message: Message) -> None:
        self.pace.count_edit(card)
        try:
            await self.channel.edit(message_id, message)
        except Malformed as fault:
            _log.error("Discord refused an edit, its bare form is sent instead: %s", fault)
            await self.channel.edit(message_id, bare(message))
