"""What the server did over a night, from the keeper's events."""

from __future__ import annotations

from typing import Any

from pipeline.keeper.protocol import EventKind
from pipeline.timeline import Happening, Phase, Span, seconds_of, trace_server

EXIT: dict[str, Any] = {
    "verdict": "crash", "at": 60.0, "pid": 1, "status": -11, "build": None, "revision": None, "generation": 1,
    "ready_after": 1.0, "lived": 50.0, "started": 10.0,
}  # fmt: skip


def trace(*events: tuple[float, str], begin: float = 0.0, end: float = 100.0, **data: Any) -> list[tuple[Any, ...]]:
    happenings = [Happening(at, kind, {**EXIT, "at": at, **data}) for at, kind in events]
    return [(each.begin, each.end, each.what) for each in trace_server(happenings, begin, end)]


def test_a_start_a_crash_and_the_start_after_it() -> None:
    assert trace(
        (10, EventKind.SPAWNED), (20, EventKind.READY), (60, EventKind.EXITED), (61, EventKind.SPAWNED),
        (70, EventKind.READY),
    ) == [
        (0, 10, Phase.UNKNOWN), (10, 20, Phase.STARTING), (20, 60, Phase.UP), (60, 61, Phase.DOWN),
        (61, 70, Phase.STARTING), (70, 100, Phase.UP),
    ]  # fmt: skip


def test_what_happened_before_says_how_it_began() -> None:
    assert trace((-50, EventKind.READY), (30, EventKind.HELD)) == [(0, 30, Phase.UP), (30, 100, Phase.HELD)]


def test_a_stop_that_is_asked_for_is_its_own_phase() -> None:
    assert trace((-1, EventKind.READY), (10, EventKind.STOPPING), (14, EventKind.EXITED)) == [
        (0, 10, Phase.UP), (10, 14, Phase.STOPPING), (14, 100, Phase.DOWN),
    ]  # fmt: skip


def test_a_death_that_nobody_saw_began_when_it_was_last_seen() -> None:
    """Started at 10 and seen alive for 20 s: found dead at 80, it may have been dead since 30."""
    found_dead = Happening(80, EventKind.EXITED, {**EXIT, "at": 80.0, "status": None, "started": 10.0, "lived": 20.0})
    spans = trace_server([Happening(10, EventKind.READY, {}), found_dead], 0, 100)
    assert [(each.begin, each.what) for each in spans] == [(0, Phase.UNKNOWN), (10, Phase.UP), (30, Phase.DOWN)]


def test_other_events_and_those_of_a_newer_keeper_change_nothing() -> None:
    assert trace((-1, EventKind.READY), (10, EventKind.KEEPER_STOPPED), (20, "dreamt")) == [(0, 100, Phase.UP)]


def test_a_clock_that_is_put_back_makes_no_gap_and_no_overlap() -> None:
    spans = trace((10, EventKind.SPAWNED), (50, EventKind.READY), (30, EventKind.EXITED), (40, EventKind.SPAWNED))
    assert [each[:2] for each in spans] == [(0, 10), (10, 30), (30, 40), (40, 100)]


def test_what_comes_after_the_end_is_not_told() -> None:
    assert trace((-1, EventKind.READY), (100, EventKind.EXITED)) == [(0, 100, Phase.UP)]


def test_seconds_are_those_of_the_phases_asked_for() -> None:
    spans = [Span(0, 10, Phase.UP), Span(10, 14, Phase.DOWN), Span(14, 20, Phase.STARTING), Span(20, 30, Phase.UP)]
    assert seconds_of(spans, Phase.UP) == 20
    assert seconds_of(spans, Phase.DOWN, Phase.STARTING) == 10
