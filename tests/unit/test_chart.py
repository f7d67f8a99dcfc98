"""The chart of a night: what is seen where, whatever the night had."""

from __future__ import annotations

import io
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from world import START

from bot import chart
from bot.chart import AMBER, BAND, BLUE, BUILDS, GREEN, GREY, HEIGHT, LEFT, LIVE, RED, RIGHT, SERVER, THIN, WIDTH
from pipeline.summary import Chart, Mark, frame
from pipeline.timeline import Phase, Span

HOUR = 3600.0
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


def test_four_seconds_of_downtime_in_a_night_are_seen() -> None:
    noon = BEGIN + 12 * HOUR
    spans = (Span(BEGIN, noon, Phase.UP), Span(noon, noon + 4, Phase.DOWN), Span(noon + 4, EMPTY.end, Phase.UP))
    assert show(server=spans).getpixel((x(12) + 1, SERVER + BAND // 2)) == RED


def test_builds_and_deployments_stand_at_their_time() -> None:
    builds = (Span(BEGIN + 6 * HOUR, BEGIN + 7 * HOUR, "built"), Span(BEGIN + 9 * HOUR, BEGIN + 9 * HOUR, "failed"))
    marks = (Mark(BEGIN + 7 * HOUR, "healthy"), Mark(BEGIN + 10 * HOUR, "unhealthy"), Mark(BEGIN + 15 * HOUR, ""))
    picture = show(builds=builds, deployments=marks)
    assert [picture.getpixel((x(at), BUILDS + THIN // 2)) for at in (6.5, 9.05)] == [BLUE, AMBER]
    assert [picture.getpixel((x(at), LIVE + THIN // 2)) for at in (7, 10, 15)] == [GREEN, RED, BLUE]


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
    floor = chart.CRASHES + BAND + THIN // 2
    assert picture.getpixel((x(6), floor - chart.HEAD)) == RED
    assert picture.getpixel((x(6) + 2, SERVER + BAND + 8)) == chart.BACKGROUND
