"""What the server did over a night, from the keeper's events. Pure; times are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from pipeline.keeper.protocol import EventKind, Exit, ExitVerdict, from_plain


class Phase(StrEnum):
    """What the server was in for a while."""

    UP = "up"
    STARTING = "starting"
    STOPPING = "stopping"
    DOWN = "down"
    HELD = "held"
    UNKNOWN = "unknown"  # nobody looked: before the first keeper


@dataclass(frozen=True)
class Span:
    """A while of one kind; `what` is a Phase, or a state of a build."""

    begin: float
    end: float
    what: str

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class Happening:
    """An event of the keeper, as far as it tells of the server."""

    at: float
    kind: str
    data: dict[str, object]


@dataclass(frozen=True)
class Start:
    """Of a server that another one had run before."""

    at: float
    deploys: bool  # that one was stopped to put another build in place


_ASKED = (ExitVerdict.ASKED, ExitVerdict.HANG_AT_STOP)
_PHASES = {
    EventKind.SPAWNED: Phase.STARTING,
    EventKind.ADOPTED: Phase.UP,
    EventKind.READY: Phase.UP,
    EventKind.STOPPING: Phase.STOPPING,
    EventKind.EXITED: Phase.DOWN,
    EventKind.SPAWN_FAILED: Phase.DOWN,
    EventKind.HELD: Phase.HELD,
}


def trace_server(happenings: Iterable[Happening], begin: float, end: float) -> tuple[Span, ...]:
    """The spans from `begin` to `end`, without gaps. What happened before `begin` says how it began."""
    turns = [(begin, Phase.UNKNOWN)]
    for each in happenings:
        phase = _PHASES.get(EventKind(each.kind)) if each.kind in tuple(EventKind) else None
        if phase is not None and each.at < end:
            turns = _turn(turns, max(_moment(each), begin), phase)
    ends = [*turns, (end, Phase.UNKNOWN)]
    return tuple(Span(at, until, phase) for (at, phase), (until, _) in pairwise(ends) if until > at)


def _moment(each: Happening) -> float:
    """An end that nobody saw began when the server was last seen."""
    return each.at - (from_plain(Exit, each.data).unseen if each.kind == EventKind.EXITED else 0.0)


def _turn(turns: Sequence[tuple[float, Phase]], at: float, phase: Phase) -> list[tuple[float, Phase]]:
    """From `at` on it was this; what was thought of the time after it is void. A clock that was put back is not
    followed: time goes forward."""
    kept = [each for each in turns if each[0] < at] or [turns[0]]
    if kept[-1][1] is phase:
        return kept
    return [*(each for each in kept if each[0] < at), (at, phase)]


def seconds_of(spans: Iterable[Span], *phases: str) -> float:
    return sum(each.seconds for each in spans if each.what in phases)


def list_starts(happenings: Iterable[Happening]) -> list[Start]:
    """Each start that an end came before: the first of all is none. One after a crash is a restart, also where it
    brings an approved build with it."""
    starts: list[Start] = []
    ended, asked, build = False, False, ""
    for each in happenings:
        if each.kind == EventKind.EXITED:
            ended, asked = True, each.data.get("verdict") in _ASKED
        if each.kind == EventKind.SPAWNED and ended:
            starts.append(Start(each.at, asked and _read_build(each) != build))
        if "build" in each.data:
            build = _read_build(each)
    return starts


def _read_build(each: Happening) -> str:
    """What lay there before us has no name until it is kept."""
    build = str(each.data.get("build") or "")
    return "" if build.startswith("found-") else build
