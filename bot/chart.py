"""The chart of a night as a PNG: what the server did, and crashes, builds and deployments on the same line of time.

It has a background of its own, so that it reads the same in Discord's dark and light themes, and letters that are still
letters when a phone shows it 350 points wide. It holds no words but ours.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from pipeline.model import Verdict
from pipeline.summary import Chart
from pipeline.timeline import Phase

WIDTH, HEIGHT = 960, 560  # pixels
FINE = 2  # drawn larger and made smaller, as edges are then smooth
EDGE = 32
LEFT, RIGHT = EDGE, WIDTH - EDGE
TEXT = 28  # pixels high
SERVER, CRASHES, BUILDS, LIVE = 74, 190, 322, 416  # tops of the rows
BAND = 56
THIN = 34
AXIS = 486
HEAD = 9  # radius of a crash
STACK = 4  # crashes drawn above each other before a number says how many

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
    sheet.box(LEFT, SERVER, RIGHT, SERVER + BAND, LINE, 6)
    for span in sorted(sheet.chart.server, key=lambda each: each.what == Phase.DOWN):
        least = 0 if span.what in (Phase.UP, Phase.UNKNOWN) else 4  # a restart of a few seconds is to be seen
        left = sheet.x(span.begin)
        sheet.box(left, SERVER, max(sheet.x(span.end), left + least), SERVER + BAND, PHASES[Phase(span.what)])


def _draw_crashes(sheet: Sheet) -> None:
    _title(sheet, CRASHES, f"Crashes: {len(sheet.chart.crashes)}")
    floor = CRASHES + BAND + THIN / 2
    for x, number in _bunch(sheet.x(at) for at in sheet.chart.crashes):
        top = floor - 2 * HEAD * min(number, STACK)
        for level in range(min(number, STACK)):
            y = floor - 2 * HEAD * level - HEAD
            sheet.box(x - HEAD + 1, y - HEAD + 1, x + HEAD - 1, y + HEAD - 1, RED, HEAD)
        if number > STACK:
            sheet.words(x, top - 4, str(number), WORDS, "ms")
    sheet.box(LEFT, floor + 2, RIGHT, floor + 4, LINE)


def _bunch(places: Iterable[float]) -> Iterator[tuple[float, int]]:
    """Places so near each other that they would hide each other are one, with a number."""
    columns: defaultdict[int, list[float]] = defaultdict(list)
    for x in places:
        columns[round((x - LEFT) / (2 * HEAD))].append(x)
    for _, near in sorted(columns.items()):
        yield sum(near) / len(near), len(near)


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
    middle = LIVE + THIN / 2
    for mark in sheet.chart.deployments:
        x, reach = sheet.x(mark.at), THIN / 2
        corners = [(x - reach, middle), (x, middle - reach), (x + reach, middle), (x, middle + reach)]
        colour = VERDICTS[Verdict(mark.what)] if mark.what else BLUE
        sheet.pen.polygon([(a * FINE, b * FINE) for a, b in corners], colour)
