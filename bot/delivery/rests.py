"""What is left alone for a while after a fault, and when people are told that messages wait.

One message that finds no answer rests by itself, and the others go on; where several different ones find none in a row,
it is Discord that is away, and all of it rests.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.channel import ChannelFault, Closed, Later, Malformed, PlaceGone, Report, Uncertain
from pipeline.errors import Obstructed
from pipeline.ports import Clock

LONGEST_REST = 60.0  # seconds
SILENCE = 3  # different ones in a row without an answer: Discord is away
PROBE = 3  # failures of one, after which what stands behind it is tried too
DISCORD = "discord"  # all of it
TOPIC = "discord delivery"

_log = logging.getLogger(__name__)


class Tripped(ChannelFault):
    """A bug of ours in the delivery of one message: its traceback is in the log."""


@dataclass
class Rest:
    until: float = 0.0  # monotonic seconds
    tries: int = 0  # failures in a row
    asked: bool = False  # by Discord, for so long
    alone: bool = False  # it is this message and not Discord: others went through between two of its failures
    why: str = ""  # the newest fault

    def begin(self, now: float, fault: ChannelFault) -> float:
        """1, 2, 4 … 60 s, or as long as Discord asks; how long."""
        self.tries += 1
        self.asked = isinstance(fault, Later)
        self.why = str(fault)
        length = fault.seconds if isinstance(fault, Later) else min(LONGEST_REST, 2.0 ** (self.tries - 1))
        self.until = now + length
        return length


class Rests:
    """By name: `DISCORD`, or the mark of one message. A rest counts its tries until one goes through."""

    def __init__(self, clock: Clock, report: Report, is_open: Callable[[], bool]) -> None:
        self._clock = clock
        self._report = report
        self._is_open = is_open  # whether there is a connection at all
        self._rests: dict[str, Rest] = {}
        self._unanswered: set[str] = set()  # names in a row that found no answer
        self._untried_only = False
        self._complained = False  # whether people were told that messages wait

    @property
    def any(self) -> bool:
        """Also one that is over, until it was tried again."""
        return bool(self._rests)

    @property
    def away(self) -> bool:
        """Whether all of Discord rests now."""
        return self._is_on(DISCORD)

    def begin_round(self, *, untried_only: bool) -> None:
        """What has failed waits for what has not, however long its rest is over: many of them hold nobody up."""
        self._untried_only = untried_only

    def has(self, name: str) -> bool:
        """Whether it is left alone now, by itself or with all of Discord."""
        return self.away or self._is_on(name) or (self._untried_only and name in self._rests)

    def _is_on(self, name: str) -> bool:
        rest = self._rests.get(name)
        return rest is not None and rest.until > self._clock.monotonic()

    def lets_pass(self, name: str, *, tried: bool) -> bool:
        """Whether what stands behind it goes on: it is known to be this one alone, or was just tried again in vain and
        the next one is to tell."""
        rest = self._rests.get(name)
        return rest is not None and (rest.alone or (tried and name in self._unanswered and rest.tries >= PROBE))

    def cut_short(self) -> None:
        """Discord is there again: nothing waits for the end of a rest that its absence began."""
        for rest in self._rests.values():
            if not rest.asked:
                rest.until = 0.0

    def answered(self) -> None:
        """Discord took something: it is there."""
        self._unanswered.clear()
        self._rests.pop(DISCORD, None)

    def clear(self) -> None:
        """Nothing waits any more, neither does what failed and has left since."""
        self._rests.clear()
        self.answered()
        self._tell_end()

    async def guard(self, name: str, work: Awaitable[bool]) -> bool:
        """Whether it went through; where it says no, nothing was asked of Discord. A fault makes the name rest."""
        try:
            went = await work
        except Obstructed:
            raise
        except ChannelFault as fault:
            self._weigh(name, fault)
        except Exception as bug:
            self._trip(name, bug)
        else:
            if went:
                self.answered()
                self._rests.pop(name, None)
                self._tell_end()
            return went
        return False

    def _weigh(self, name: str, fault: ChannelFault) -> None:
        """Whether it is this one, or all of Discord."""
        rest = self._rests.setdefault(name, Rest())
        if isinstance(fault, Uncertain):
            rest.alone |= bool(rest.tries) and name not in self._unanswered
            if not rest.alone:
                self._unanswered.add(name)
        else:
            rest.alone |= isinstance(fault, Malformed)
        self._begin(name, fault)
        if isinstance(fault, Uncertain) and (len(self._unanswered) >= SILENCE or not self._is_open()):
            self._begin(DISCORD, fault)

    def _trip(self, name: str, bug: Exception) -> None:
        """The traceback is in the log once for as long as it stays the same bug."""
        rest = self._rests.setdefault(name, Rest())
        fault = Tripped(f"a fault of ours in #{name}: {type(bug).__name__}; see the log")
        rest.alone = True
        if rest.why != str(fault):
            _log.exception("the delivery of #%s met an error; the others go on", name)
        self._begin(name, fault)

    def _begin(self, name: str, fault: ChannelFault) -> None:
        rest = self._rests.setdefault(name, Rest())
        length = rest.begin(self._clock.monotonic(), fault)
        if not isinstance(fault, Tripped):
            _log.warning("delivery to Discord waits %.0f s (%s): %s", length, name, fault)
        if not isinstance(fault, Later) and (rest.tries > 1 or not isinstance(fault, Uncertain)):
            self._complained = True
            self._report(TOPIC, f"Messages wait: {fault}. {_cure(fault)}".strip())

    def _tell_end(self) -> None:
        if self._complained and not self._rests:
            self._complained = False
            self._report(TOPIC, None)


def _cure(fault: ChannelFault) -> str:
    if isinstance(fault, PlaceGone):
        return "Is `DISCORD_CHANNEL_ID` still the right one?"
    return "The bot needs its rights in the channel back." if isinstance(fault, Closed) else ""
