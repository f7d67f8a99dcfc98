"""Progress by what builds print."""

from __future__ import annotations

import pytest

from pipeline.adapters.build_progress import Pace, ProgressReader, estimate_left
from pipeline.model import Progress


def read(*lines: str, sources: int = 0) -> Progress | None:
    reader = ProgressReader(sources)
    for line in lines:
        reader.feed(line)
    return reader.progress


def test_nothing_is_known_before_the_first_line() -> None:
    assert read() is None
    assert read("-- Configuring done", "[what]", "[a/b] c", "[12] d") is None


def test_ninja_counts_what_is_finished() -> None:
    assert read("[1/12] Building CXX object a.o", "a.cpp:1:1: warning: [2/3] x", "[3/12] Building") == Progress(3, 12)


def test_ninja_may_find_less_to_do_on_its_way() -> None:
    assert read("[1/12] Re-running CMake", "[2/4] Building") == Progress(2, 4)


def test_make_counts_in_percent_and_never_goes_back() -> None:
    assert read("[ 12%] Building CXX object a.o", "[ 37%] Building b.o", "[ 25%] Building c.o") == Progress(37, 100)
    assert read("[100%] Built target worldserver") == Progress(100, 100)


def test_msbuild_names_the_files_it_compiles() -> None:
    lines = (
        "  World.cpp",
        "     3>Map.cpp",
        "  worldserver.vcxproj -> D:\\b\\worldserver.exe",
        "  stdafx.h",
        "Map.cpp",
    )
    assert read(*lines, sources=10) == Progress(2, 10)


def test_msbuild_may_compile_more_than_was_foreseen() -> None:
    assert read("  a.cpp", "  b.cpp", "  c.cpp", sources=2) == Progress(3, 3)


def test_the_time_left_follows_the_pace_of_this_build() -> None:
    assert estimate_left(Progress(5, 20), 10.0, None) == pytest.approx(30.0)
    assert estimate_left(Progress(15, 20), 60.0, None) == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("done", "elapsed"), [(0, 60.0), (3, 0.2), (3, 60.0), (19, 9.0)], ids=["none", "quick", "early", "short"]
)
def test_no_time_left_is_told_before_this_build_has_shown_its_pace(done: int, elapsed: float) -> None:
    assert estimate_left(Progress(done, 20), elapsed, None) is None


def test_the_time_left_is_learned_from_the_last_build() -> None:
    assert estimate_left(Progress(0, 0), 1.0, Pace(10, 60.0)) is None
    assert estimate_left(Progress(0, 20), 1.0, Pace(10, 60.0)) == pytest.approx(119.0)
    assert estimate_left(Progress(3, 20), 1.0, Pace(10, 60.0)) == pytest.approx(119.0)
    assert estimate_left(Progress(0, 20), 1.0, Pace(0, 0.0)) is None


@pytest.mark.parametrize("units", [1500, 2], ids=["the whole core was built before", "one file was built before"])
def test_nothing_is_learned_from_a_build_of_another_size(units: int) -> None:
    assert estimate_left(Progress(1, 20), 5.0, Pace(units, 600.0)) is None


def test_what_was_learned_counts_less_the_further_the_build_is() -> None:
    early = estimate_left(Progress(3, 10), 30.0, Pace(10, 50.0))
    late = estimate_left(Progress(9, 10), 90.0, Pace(10, 50.0))
    assert early == pytest.approx(0.3 * 100 + 0.7 * 50 - 30)
    assert late == pytest.approx(0.9 * 100 + 0.1 * 50 - 90)


def test_a_build_that_takes_longer_than_was_thought_tells_no_time_left() -> None:
    assert estimate_left(Progress(0, 10), 500.0, Pace(10, 1.0)) is None
    assert estimate_left(Progress(10, 10), 500.0, None) is None
