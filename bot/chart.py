"""The chart of a night as a PNG: what the server did, and crashes, builds and deployments on the same line of time.

It has a background of its own, so that it reads the same in Discord's dark and light themes, and letters that are still
letters when a phone shows it 350 points wide. It holds no words but ours.
"""

from __future__ import annotations

import io
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from PIL import Image, ImageDraw, ImageFont

from pipeline.model import Verdict
from pipeline.summary import Chart
from pipeline.timeline import Phase

WIDTH, HEIGHT = 960, 600  # pixels
FINE = 2  # drawn larger and made smaller, as edges are then smooth
EDGE = 32
LEFT, RIGHT = EDGE, WIDTH - EDGE
TEXT = 28  # pixels high
SERVER, CRASHES, BUILDS, LIVE = 74, 190, 322, 416  # tops of the rows
BAND = 56
THIN = 34
AXIS = 526
TICK = 14  # how long the mark of an outage is that is shorter than a pixel is wide
HEAD = 9  # radius of a crash
MARK = 3  # and how wide
NUMBER = 60  # the room of a number of three digits
STACK = 4  # marks drawn above each other before a number says how many

BACKGROUND = (30, 31, 34)
LINE = (66, 68, 74)
WORDS = (219, 222, 225)
FAINT = (148, 155, 164)
GREEN, AMBER, RED, BLUE, GREY = (46, 204, 113), (241, 163, 60), (231, 76, 60), (88, 148, 242), (78, 80, 88)
PHASES = {
    Phase.UP: GREEN, Phase.STARTING: AMBER, Phase.STOPPING: AMBER, Phase.DOWN: RED, Phase.HELD: RED,
    Phase.UNKNOWN: GREY,
}  # fmt: skip
KEY = (("up", GREEN), ("starting", AMBER), ("down", RED))
OUTAGES = (Phase.STARTING, Phase.STOPPING, Phase.DOWN, Phase.HELD)  # as far as one hides another, the worst last
VERDICTS = {
    Verdict.HEALTHY: GREEN, Verdict.UNHEALTHY: RED, Verdict.NOT_CURED: AMBER, Verdict.INCONCLUSIVE: AMBER,
}  # fmt: skip

Colour = tuple[int, int, int]


@dataclass
class Sheet:
    """Where it is drawn; every measure is in pixels of the finished picture."""

    chart: Chart
    pen: ImageDraw.ImageDraw
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont

    def x(self, at: float) -> float:
        length = max(self.chart.end - self.chart.begin, 1.0)
        share = (at - self.chart.begin) / length
        return LEFT + min(max(share, 0.0), 1.0) * (RIGHT - LEFT)

    def box(self, x: float, y: float, x2: float, y2: float, fill: Colour, radius: float = 0) -> None:
        corners = (x * FINE, y * FINE, max(x2, x + 1) * FINE - 1, y2 * FINE - 1)
        self.pen.rounded_rectangle(corners, radius * FINE, fill)

    def words(self, x: float, y: float, text: str, fill: Colour, anchor: str = "ls") -> float:
        """Writes on a line that begins at (x, y); where it ends."""
        self.pen.text((x * FINE, y * FINE), text, fill, self.font, anchor)
        return x + self.pen.textlength(text, self.font) / FINE


def draw(chart: Chart) -> bytes:
    """A PNG of WIDTH x HEIGHT pixels."""
    image = Image.new("RGB", (WIDTH * FINE, HEIGHT * FINE), BACKGROUND)
    font = ImageFont.load_default(TEXT * FINE)
    sheet = Sheet(chart, ImageDraw.Draw(image), font)
    _draw_axis(sheet)
    _draw_server(sheet)
    _draw_crashes(sheet)
    _draw_builds(sheet)
    _draw_deployments(sheet)
    out = io.BytesIO()
    image.resize((WIDTH, HEIGHT), Image.Resampling.BOX).save(out, "PNG", optimize=True)
    return out.getvalue()


def _draw_axis(sheet: Sheet) -> None:
    for hour in sheet.chart.hours:
        x = sheet.x(hour.at)
        sheet.box(x - 0.5, SERVER, x + 0.5, AXIS, LINE)
        anchor = "ls" if x < LEFT + TEXT else "rs" if x > RIGHT - TEXT else "ms"
        sheet.words(x, HEIGHT - EDGE, hour.what, FAINT, anchor)
    sheet.box(LEFT, AXIS, RIGHT, AXIS + 2, LINE)


def _title(sheet: Sheet, top: float, text: str) -> float:
    return sheet.words(LEFT, top - 14, text, WORDS)


def _draw_server(sheet: Sheet) -> None:
    x = _title(sheet, SERVER, "Server") + EDGE
    for word, colour in KEY:
        sheet.box(x, SERVER - 34, x + 20, SERVER - 14, colour, 4)
        x = sheet.words(x + 28, SERVER - 14, word, FAINT) + 24
    sheet.box(x, SERVER - 34 + 3, x + MARK, SERVER - 34 + 3 + TICK, RED)
    sheet.words(x + 11, SERVER - 14, "for moments", FAINT)
    sheet.box(LEFT, SERVER, RIGHT, SERVER + BAND, LINE, 6)
    columns = _fill(sheet)
    for phase, alike in groupby(range(len(columns)), lambda number: columns[number]):
        found = list(alike)
        if phase is not None:
            sheet.box(LEFT + found[0], SERVER, LEFT + found[-1] + 1, SERVER + BAND, PHASES[phase])
    _draw_short_outages(sheet, columns)


def _fill(sheet: Sheet) -> list[Phase | None]:
    """What the server did for most of each pixel, from left to right; a moment of downtime takes no more room than it
    took time."""
    shares: list[defaultdict[Phase, float]] = [defaultdict(float) for _ in range(LEFT, RIGHT)]
    for span in sheet.chart.server:
        left, right = sheet.x(span.begin) - LEFT, sheet.x(span.end) - LEFT
        for column in range(int(left), min(math.ceil(right), len(shares))):
            shares[column][Phase(span.what)] += min(right, column + 1) - max(left, column)
    return [max(share, key=lambda each: share[each]) if share else None for share in shares]


def _draw_short_outages(sheet: Sheet, columns: Sequence[Phase | None]) -> None:
    """A mark below the band for each that is nowhere seen in it."""
    spans = [span for span in sheet.chart.server if span.what in OUTAGES]
    for span in sorted(spans, key=lambda each: OUTAGES.index(Phase(each.what))):
        x = int(min(sheet.x(span.begin), RIGHT - 1))
        if not any(each in OUTAGES for each in columns[x - LEFT : math.ceil(sheet.x(span.end)) - LEFT]):
            sheet.box(x, SERVER + BAND + 3, x + MARK, SERVER + BAND + 3 + TICK, PHASES[Phase(span.what)])


def _draw_crashes(sheet: Sheet) -> None:
    _title(sheet, CRASHES, f"Crashes: {len(sheet.chart.crashes)}")
    floor = CRASHES + BAND + THIN / 2
    columns = _bunch((sheet.x(at), RED) for at in sheet.chart.crashes)
    for x, colours in columns:
        for level, colour in enumerate(colours[:STACK]):
            y = floor - 2 * HEAD * level - HEAD
            sheet.box(x - HEAD + 1, y - HEAD + 1, x + HEAD - 1, y + HEAD - 1, colour, HEAD)
    _count_columns(sheet, columns, floor)
    sheet.box(LEFT, floor + 2, RIGHT, floor + 4, LINE)


def _bunch(marks: Iterable[tuple[float, Colour]]) -> list[tuple[float, list[Colour]]]:
    """Marks so near each other that they would hide each other stand above each other, at one place."""
    columns: defaultdict[int, list[tuple[float, Colour]]] = defaultdict(list)
    for x, colour in marks:
        columns[round((x - LEFT) / (2 * HEAD))].append((x, colour))
    found: list[tuple[float, list[Colour]]] = []
    for _, near in sorted(columns.items()):
        middle = sum(x for x, _ in near) / len(near)
        beside = found[-1][0] + 2 * HEAD if found else middle
        found.append((max(middle, beside), [colour for _, colour in near]))
    return found


def _count_columns(sheet: Sheet, columns: Sequence[tuple[float, Sequence[Colour]]], floor: float) -> None:
    """How many stand in each that is too high; one number over neighbours, as theirs would run together."""
    high = [(x, len(colours)) for x, colours in columns if len(colours) > STACK]
    top = floor - 2 * HEAD * STACK - 4
    for group in _gather(high):
        first, last = group[0][0], group[-1][0]
        if first != last:
            sheet.box(first - HEAD, top, last + HEAD, top + 2, FAINT)
        sheet.words((first + last) / 2, top - 2, str(sum(number for _, number in group)), WORDS, "ms")


def _gather(high: Iterable[tuple[float, int]]) -> list[list[tuple[float, int]]]:
    groups: list[list[tuple[float, int]]] = []
    for each in high:
        if groups and each[0] - groups[-1][-1][0] < NUMBER:
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def _draw_builds(sheet: Sheet) -> None:
    failed = sum(each.what == "failed" for each in sheet.chart.builds)
    _title(sheet, BUILDS, f"Builds: {len(sheet.chart.builds)}" + (f", {failed} failed" if failed else ""))
    for span in sheet.chart.builds:
        left = sheet.x(span.begin)
        colour = AMBER if span.what == "failed" else BLUE
        sheet.box(left, BUILDS, max(sheet.x(span.end), left + 6), BUILDS + THIN, colour, 2)


def _draw_deployments(sheet: Sheet) -> None:
    worse = sum(each.what == Verdict.UNHEALTHY for each in sheet.chart.deployments)
    total = f"Deployments: {len(sheet.chart.deployments)}"
    _title(sheet, LIVE, total + (f", {worse} rolled back" if worse else ""))
    floor = AXIS - 4
    columns = _bunch((sheet.x(each.at), VERDICTS[Verdict(each.what)] if each.what else BLUE)
                     for each in sheet.chart.deployments)  # fmt: skip
    for x, colours in columns:
        for level, colour in enumerate(colours[:STACK]):
            _draw_diamond(sheet, x, floor - 2 * HEAD * level - HEAD, colour)
    _count_columns(sheet, columns, floor)


def _draw_diamond(sheet: Sheet, x: float, y: float, colour: Colour) -> None:
    corners = [(x - HEAD, y), (x, y - HEAD), (x + HEAD, y), (x, y + HEAD)]
    sheet.pen.polygon([(a * FINE, b * FINE) for a, b in corners], colour)
