"""The chart of a night: what is seen where, whatever the night had."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date
from itertools import cycle, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops
from world import START

from bot import chart
from bot.chart import AMBER, BAND, BLUE, BUILDS, GREEN, GREY, HEIGHT, LEFT, RED, RIGHT, SERVER, THIN, WIDTH
from bot.columns import HEAD, Column, Count, list_counts, stack
from pipeline.summary import Chart, Mark, frame
from pipeline.timeline import Phase, Span

HOUR = 3600.0
BELOW = SERVER + BAND + 3 + chart.TICK // 2  # where the short outages are
LOWEST = chart.AXIS - 4 - HEAD  # the middle of a deployment that has none below it
EMPTY = frame(date(2026, 11, 22), START, None)
BEGIN = EMPTY.begin


def show(**parts: object) -> Image.Image:
    picture = Image.open(io.BytesIO(chart.draw(Chart(BEGIN, EMPTY.end, EMPTY.end, hours=EMPTY.hours, **parts))))  # type: ignore[arg-type] # each field by its name
    assert (picture.format, picture.size) == ("PNG", (WIDTH, HEIGHT))
    return picture


def x(hours: float) -> int:
    return round(LEFT + (RIGHT - LEFT) * hours / 24)


def test_the_servers_band_has_the_colour_of_each_phase() -> None:
    spans = [
        Span(BEGIN + 3 * HOUR * number, BEGIN + 3 * HOUR * (number + 1), phase) for number, phase in enumerate(Phase)
    ]
    picture = show(server=tuple(spans))
    seen = [picture.getpixel((x(3 * number + 1.5), SERVER + BAND // 2)) for number in range(len(Phase))]
    colours = dict(zip(Phase, seen, strict=True))
    assert colours == {
        Phase.UP: GREEN, Phase.STARTING: AMBER, Phase.STOPPING: AMBER, Phase.DOWN: RED, Phase.HELD: RED,
        Phase.UNKNOWN: GREY,
    }  # fmt: skip


def test_the_key_tells_of_what_nobody_saw_only_where_there_is_some() -> None:
    seen, unseen = (
        sum(picture.getpixel((each, SERVER - 24)) == GREY for each in range(LEFT, RIGHT))
        for picture in (
            show(server=(Span(BEGIN, EMPTY.end, Phase.UP),)),
            show(server=(Span(BEGIN, BEGIN + HOUR, Phase.UNKNOWN),)),
        )
    )
    assert seen == 0 and unseen >= 18


def up_but_for(*outages: tuple[float, float]) -> tuple[Span, ...]:
    """A night that was down from the one hour to the other."""
    edges = [BEGIN, *(BEGIN + hours * HOUR for outage in outages for hours in outage), EMPTY.end]
    phases = cycle((Phase.UP, Phase.DOWN))
    return tuple(Span(begin, end, phase) for (begin, end), phase in zip(pairwise(edges), phases, strict=False))


def reds(picture: Image.Image, y: int) -> int:
    return sum(picture.getpixel((each, y)) == RED for each in range(LEFT, RIGHT))


def test_a_moment_of_downtime_is_a_mark_below_the_band_and_takes_nothing_of_it() -> None:
    picture = show(server=up_but_for((12, 12 + 4 / HOUR), (18, 18 + 0.1 / HOUR)))
    assert [picture.getpixel((x(at) + 1, SERVER + BAND // 2)) for at in (12, 18)] == [GREEN, GREEN]
    assert [picture.getpixel((x(at) + 1, BELOW)) for at in (12, 18)] == [RED, RED]


def test_a_night_of_many_short_outages_is_as_green_as_it_was_up() -> None:
    outages = [(6 + number / 10, 6 + number / 10 + 4 / HOUR) for number in range(100)]
    picture = show(server=up_but_for(*outages))
    assert reds(picture, SERVER + BAND // 2) == 0
    assert reds(picture, BELOW) >= 200


def test_half_an_hour_of_downtime_is_as_wide_as_it_was_long_and_has_no_mark() -> None:
    picture = show(server=up_but_for((12, 12.5)))
    assert abs(reds(picture, SERVER + BAND // 2) - (x(12.5) - x(12))) <= 1
    assert reds(picture, BELOW) == 0


def test_builds_and_deployments_stand_at_their_time() -> None:
    builds = (Span(BEGIN + 6 * HOUR, BEGIN + 7 * HOUR, "built"), Span(BEGIN + 9 * HOUR, BEGIN + 9 * HOUR, "failed"))
    marks = (Mark(BEGIN + 7 * HOUR, "healthy"), Mark(BEGIN + 10 * HOUR, "unhealthy"), Mark(BEGIN + 15 * HOUR, ""))
    picture = show(builds=builds, deployments=marks)
    assert [picture.getpixel((x(at), BUILDS + THIN // 2)) for at in (6.5, 9.05)] == [BLUE, AMBER]
    assert [picture.getpixel((x(at), LOWEST)) for at in (7, 10, 15)] == [GREEN, RED, BLUE]


def test_deployments_of_one_moment_stand_above_each_other_and_beside_others() -> None:
    verdicts = ("healthy", "unhealthy", "not cured", "")
    near = tuple(Mark(BEGIN + 7 * HOUR + 60 * number, each) for number, each in enumerate(verdicts))
    picture = show(deployments=(*near, Mark(BEGIN + 7.5 * HOUR, "healthy")))
    seen = [picture.getpixel((x(7.03), LOWEST - 2 * HEAD * level)) for level in range(4)]
    assert seen == [GREEN, RED, AMBER, BLUE]
    assert picture.getpixel((x(7.03) + 2 * HEAD, LOWEST)) == GREEN


def test_marks_that_would_hide_each_other_stand_above_each_other_and_columns_beside_each_other() -> None:
    assert stack([(100.0, "a"), (101.0, "b"), (100.5, "c"), (118.0, "d"), (500.0, "e")]) == [
        Column(100.5, ("a", "b", "c")), Column(118.5, ("d",)), Column(500.0, ("e",)),
    ]  # fmt: skip


def test_numbers_of_neighbours_do_not_run_together_and_count_them_all() -> None:
    crashes = ((100.0, 9), (118.0, 6), (136.0, 2), (160.0, 4), (500.0, 12))
    columns = [Column(x, ("crash",) * number) for x, number in crashes]
    assert list_counts(columns) == [Count(100.0, 118.0, 15), Count(500.0, 500.0, 12)]


def test_an_empty_night_is_a_picture_too() -> None:
    show()
    chart.draw(Chart())


seconds = st.floats(-1e6, 2e9)
SPANS = st.lists(st.builds(Span, seconds, seconds, st.sampled_from(list(Phase))), max_size=30).map(tuple)
BUILD_SPANS = st.lists(st.builds(Span, seconds, seconds, st.sampled_from(["built", "failed"])), max_size=5).map(tuple)
MARKS = st.lists(st.builds(Mark, seconds, st.sampled_from(["", "healthy", "not cured"])), max_size=5).map(tuple)


@settings(max_examples=15, deadline=None)
@given(SPANS, st.lists(seconds, max_size=50).map(tuple), BUILD_SPANS, MARKS)
def test_times_that_make_no_sense_still_make_a_picture(
    server: tuple[Span, ...], crashes: tuple[float, ...], builds: tuple[Span, ...], marks: tuple[Mark, ...]
) -> None:
    show(server=server, crashes=crashes, builds=builds, deployments=marks)


@pytest.mark.parametrize("number", [1, 4, 40])
def test_many_crashes_at_once_stay_within_their_row(number: int) -> None:
    picture = show(crashes=tuple(BEGIN + 6 * HOUR + second for second in range(number)))
    floor = chart.CRASHES + chart.PILE
    assert picture.getpixel((x(6), floor - HEAD)) == RED
    assert picture.getpixel((x(6) + 2, SERVER + BAND + 8)) == chart.BACKGROUND


@pytest.mark.parametrize(
    ("top", "name", "kind"), [(chart.CRASHES, "crashes", float), (chart.LIVE, "deployments", lambda at: Mark(at, ""))]
)
def test_the_number_above_a_full_column_stands_below_the_title_of_its_row(
    top: int, name: str, kind: Callable[[float], object]
) -> None:
    left = (LEFT + 2, top - 2 * chart.TEXT, x(2), top + BAND)
    early, late = (
        show(**{name: tuple(kind(BEGIN + hours * HOUR + second) for second in range(40))}).crop(left)
        for hours in (1, 12)
    )
    _, bottom = find_rows(late, Image.new("RGB", late.size, chart.BACKGROUND))  # of the title alone
    highest, _ = find_rows(early, late)
    assert bottom < highest


def find_rows(picture: Image.Image, other: Image.Image) -> tuple[int, int]:
    """Between which they differ."""
    found = ImageChops.difference(picture, other).getbbox()
    assert found is not None
    return found[1], found[3]
