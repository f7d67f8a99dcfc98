"""What is left alone for a while after a fault, and when people are told that messages wait."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from dataclasses import dataclass

from bot.channel import ChannelFault, Closed, Later, PlaceGone, Report, Uncertain
from pipeline.ports import Clock

LONGEST_REST = 60.0  # seconds
DISCORD = "discord"  # all of it
TOPIC = "discord delivery"

_log = logging.getLogger(__name__)


@dataclass
class Rest:
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


class Rests:
    """By name: `DISCORD`, a place, or the mark of one message. A rest counts its tries until one goes through."""

    def __init__(self, clock: Clock, report: Report) -> None:
        self._clock = clock
        self._report = report
        self._rests: dict[str, Rest] = {}
        self._complained = False  # whether people were told that messages wait

    @property
    def any(self) -> bool:
        """Also one that is over, until it was tried again."""
        return bool(self._rests)

    def has(self, name: str) -> bool:
        """Whether it rests now."""
        rest = self._rests.get(name)
        return rest is not None and rest.until > self._clock.monotonic()

    def cut_short(self) -> None:
        """Discord is there again: nothing waits for the end of a rest that its absence began."""
        for rest in self._rests.values():
            if not rest.asked:
                rest.until = 0.0

    async def guard(self, name: str, work: Awaitable[object]) -> bool:
        """Whether it went through; faults make the name rest, an unknown outcome all of Discord (raised on)."""
        try:
            await work
        except Later as fault:
            self._begin(name, fault, fault.seconds)
        except Uncertain as fault:
            self._begin(DISCORD, fault)
            raise
        except ChannelFault as fault:
            self._begin(name, fault)
        else:
            self._end(name)
            return True
        return False

    def _begin(self, name: str, fault: ChannelFault, seconds: float | None = None) -> None:
        rest = self._rests.setdefault(name, Rest())
        length = rest.begin(self._clock.monotonic(), seconds)
        _log.warning("delivery to Discord waits %.0f s (%s): %s", length, name, fault)
        if not isinstance(fault, Later) and (rest.tries > 1 or not isinstance(fault, Uncertain)):
            self._complained = True
            self._report(TOPIC, f"Messages wait: {fault}. {_cure(fault)}".strip())

    def _end(self, name: str) -> None:
        for each in (DISCORD, name):
            self._rests.pop(each, None)
        if self._complained and not self._rests:
            self._complained = False
            self._report(TOPIC, None)


def _cure(fault: ChannelFault) -> str:
    if isinstance(fault, PlaceGone):
        return "Is `DISCORD_CHANNEL_ID` still the right one?"
    return "The bot needs its rights in the channel back." if isinstance(fault, Closed) else ""
