"""The chart of a night as a PNG: what the server did, and crashes, builds and deployments on the same line of time.

It has a background of its own, so that it reads the same in Discord's dark and light themes, and letters that are still
letters when a phone shows it 350 points wide. It holds no words but ours.
"""

from __future__ import annotations

import io
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from PIL import Image, ImageDraw, ImageFont

from bot.columns import HEAD, STACK, Column, list_counts, stack
from pipeline.model import Verdict
from pipeline.summary import Chart
from pipeline.timeline import Phase

WIDTH, HEIGHT = 960, 624  # pixels
FINE = 2  # drawn larger and made smaller, as edges are then smooth
EDGE = 32
LEFT, RIGHT = EDGE, WIDTH - EDGE
TEXT = 28  # pixels high
SERVER, CRASHES, BUILDS, LIVE = 74, 190, 346, 440  # tops of the rows
BAND = 56
THIN = 34
PILE = 97  # the room of a full column with its number, below the title of its row
AXIS = 550
TICK = 14  # how long the mark of an outage is that is shorter than a pixel is wide
MARK = 3  # and how wide

BACKGROUND = (30, 31, 34)
LINE = (66, 68, 74)
TO_COME = (43, 45, 49)  # of the night; not the grey of what nobody saw
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
    _draw_key(sheet)
    sheet.box(LEFT, SERVER, RIGHT, SERVER + BAND, TO_COME, 6)
    columns = _fill(sheet)
    for phase, alike in groupby(range(len(columns)), lambda number: columns[number]):
        found = list(alike)
        if phase is not None:
            sheet.box(LEFT + found[0], SERVER, LEFT + found[-1] + 1, SERVER + BAND, PHASES[phase])
    _draw_short_outages(sheet, columns)


def _draw_key(sheet: Sheet) -> None:
    """Of what nobody saw only where there is some."""
    x = _title(sheet, SERVER, "Server") + EDGE
    for word, colour in KEY:
        sheet.box(x, SERVER - 34, x + 20, SERVER - 14, colour, 4)
        x = sheet.words(x + 28, SERVER - 14, word, FAINT) + 24
    sheet.box(x, SERVER - 34 + 3, x + MARK, SERVER - 34 + 3 + TICK, RED)
    x = sheet.words(x + 11, SERVER - 14, "for moments", FAINT) + 24
    if any(span.what == Phase.UNKNOWN for span in sheet.chart.server):
        sheet.box(x, SERVER - 34, x + 20, SERVER - 14, GREY, 4)
        sheet.words(x + 28, SERVER - 14, "not seen", FAINT)


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
    floor = CRASHES + PILE
    columns = stack((sheet.x(at), RED) for at in sheet.chart.crashes)
    for column in columns:
        for level, colour in enumerate(column.marks[:STACK]):
            y = floor - 2 * HEAD * level - HEAD
            sheet.box(column.x - HEAD + 1, y - HEAD + 1, column.x + HEAD - 1, y + HEAD - 1, colour, HEAD)
    _count(sheet, columns, floor)
    sheet.box(LEFT, floor + 2, RIGHT, floor + 4, LINE)


def _count(sheet: Sheet, columns: Sequence[Column[Colour]], floor: float) -> None:
    """How many stand in each that is too high."""
    top = floor - 2 * HEAD * STACK - 4
    for each in list_counts(columns):
        if each.first != each.last:
            sheet.box(each.first - HEAD, top, each.last + HEAD, top + 2, FAINT)
        sheet.words((each.first + each.last) / 2, top - 2, str(each.number), WORDS, "ms")


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
    columns = stack((sheet.x(each.at), VERDICTS[Verdict(each.what)] if each.what else BLUE)
                    for each in sheet.chart.deployments)  # fmt: skip
    for column in columns:
        for level, colour in enumerate(column.marks[:STACK]):
            _draw_diamond(sheet, column.x, floor - 2 * HEAD * level - HEAD, colour)
    _count(sheet, columns, floor)


def _draw_diamond(sheet: Sheet, x: float, y: float, colour: Colour) -> None:
    corners = [(x - HEAD, y), (x, y - HEAD), (x + HEAD, y), (x, y + HEAD)]
    sheet.pen.polygon([(a * FINE, b * FINE) for a, b in corners], colour)
