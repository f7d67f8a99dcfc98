"""What an end of the server means, and what follows from it (KEEPER.md, "Exits nobody asked for"). Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from pipeline.keeper.limits import Counts, back_off, count_crash, is_tripped
from pipeline.keeper.protocol import ExitVerdict, Hold, RestartLimits

# TrinityCore's World.h, enum ShutdownExitCode.
SHUTDOWN_EXIT_CODE = 0
ERROR_EXIT_CODE = 1
RESTART_EXIT_CODE = 2
_DEATHS_ON_PROBATION = 2


@dataclass(frozen=True)
class End:
    """What was seen of an end."""

    status: int | None  # exit code, negative = signal, None = not known (we were not its parent)
    ready: bool  # it was ready once
    asked: bool = False  # a stop of ours was under way, or the wish no longer fitted it
    hung: bool = False  # its stop hung
    same_boot: bool = True  # the machine has not been restarted since it was started
    halted: bool = False  # its log ends with "Halting process": the sign of an orderly stop
    core: bool = False  # it left a core file
    suspected: bool = False  # it replaced a build that also died before ready


def judge(end: End) -> ExitVerdict:
    """The verdict. A core or an unknown status that left no sign of a stop is a crash."""
    if not end.same_boot:
        return ExitVerdict.WITH_MACHINE
    if end.hung:
        return ExitVerdict.HANG_AT_STOP
    if end.asked:
        return ExitVerdict.ASKED
    if end.status is None and end.halted and not end.core:
        return ExitVerdict.SHUTDOWN
    return _judge_status(end.status, end)


def _judge_status(status: int | None, end: End) -> ExitVerdict:
    if status == SHUTDOWN_EXIT_CODE:
        return ExitVerdict.SHUTDOWN
    if status == RESTART_EXIT_CODE:
        return ExitVerdict.RESTART
    if not end.ready and (status == ERROR_EXIT_CODE or end.suspected):
        return ExitVerdict.STARTUP_ERROR
    return ExitVerdict.CRASH


@dataclass(frozen=True)
class Restart:
    """Start it again in so many seconds."""

    delay: float


@dataclass(frozen=True)
class Down:
    """It stays down."""

    why: Hold
    detail: str


@dataclass(frozen=True)
class FallBack:
    """Put the last healthy build back, then start."""

    why: str
    before_ready: bool


Consequence = Restart | Down | FallBack


@dataclass(frozen=True)
class Circumstances:
    """What a death is weighed against."""

    limits: RestartLimits
    ready: bool  # this life was ready
    good_life: bool  # it survived its soak
    not_ready_in_time: bool = False  # we ended it, because on probation it was not ready in time
    on_probation: bool = False
    trial_deaths: int = 0  # deaths after ready of this deployment, before this one
    has_fallback: bool = False  # a last healthy build is there and is not the one that died


def weigh(verdict: ExitVerdict, counts: Counts, case: Circumstances, now: float) -> tuple[Counts, Consequence]:
    """The counts after this death, and what to do."""
    if case.ready:
        counts = replace(counts, environment=0)
    match verdict:
        case ExitVerdict.ASKED | ExitVerdict.HANG_AT_STOP:
            return counts, _weigh_asked(case)
        case ExitVerdict.WITH_MACHINE:
            return counts, Restart(0.0)
        case ExitVerdict.RESTART:
            return _weigh_restart(counts, case)
        case ExitVerdict.SHUTDOWN:
            return counts, _weigh_shutdown(case)
        case ExitVerdict.STARTUP_ERROR:
            return _weigh_startup_error(counts, case)
        case ExitVerdict.CRASH:
            return _weigh_crash(counts, case, now)
    assert_never(verdict)


def _dies_before_ready_on_probation(case: Circumstances) -> bool:
    return case.on_probation and case.has_fallback and not case.ready


def _weigh_asked(case: Circumstances) -> Consequence:
    if case.not_ready_in_time and case.has_fallback:
        return FallBack("not ready in time", before_ready=True)
    return Restart(0.0)


def _weigh_shutdown(case: Circumstances) -> Consequence:
    if _dies_before_ready_on_probation(case):
        return FallBack("ended before it was ready", before_ready=True)
    return Down(Hold.EXIT_ZERO, "the server ended with exit code 0: somebody shut it down")


def _weigh_restart(counts: Counts, case: Circumstances) -> tuple[Counts, Consequence]:
    # "At once", but a server that asks for it before it is even ready must not spin.
    nth = 0 if case.ready else counts.environment
    return replace(counts, environment=0 if case.ready else nth + 1), Restart(back_off(case.limits, nth))


def _weigh_startup_error(counts: Counts, case: Circumstances) -> tuple[Counts, Consequence]:
    if _dies_before_ready_on_probation(case):
        return counts, FallBack("died before it was ready", before_ready=True)
    nth = counts.environment + 1
    return replace(counts, environment=nth), Restart(back_off(case.limits, nth))


def _weigh_crash(counts: Counts, case: Circumstances, now: float) -> tuple[Counts, Consequence]:
    counts = count_crash(counts, now, good_life=case.good_life)
    if _dies_before_ready_on_probation(case):
        return counts, FallBack("died before it was ready", before_ready=True)
    if case.on_probation and case.has_fallback and case.trial_deaths + 1 >= _DEATHS_ON_PROBATION:
        return counts, FallBack(f"died {case.trial_deaths + 1} times after it was ready", before_ready=False)
    if is_tripped(counts, case.limits):
        return _weigh_trip(counts, case)
    return replace(counts, restarts=counts.restarts + 1), Restart(back_off(case.limits, counts.restarts))


def _weigh_trip(counts: Counts, case: Circumstances) -> tuple[Counts, Consequence]:
    detail = f"{counts.early} deaths in a row, {len(counts.crashes)} crashes within an hour"
    if case.has_fallback and not counts.fallback_tried:
        return replace(counts, fallback_tried=True), FallBack(f"breaker: {detail}", before_ready=False)
    return counts, Down(Hold.BREAKER, detail)
