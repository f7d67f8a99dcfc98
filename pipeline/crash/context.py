"""What stood in the logs before the crash, and what can be said of it before anybody analysed it.

Logs are read from their end, in constant time whatever their size. What players wrote into them is data, nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.crash import classes
from pipeline.crash.as_json import spell_frame
from pipeline.crash.known import Entry, find_entry
from pipeline.crash.lines import read_struck_lines
from pipeline.model import Analysis, CrashReport

TAIL = 512 << 10  # bytes of a log's end that are looked at
_LONGEST = 1000  # characters of a line
# TrinityCore's `2025-11-04_09:15:04`, as Appender.cpp writes it, and what others make of it.
_TIME = re.compile(r"\[?(\d{4}-\d\d-\d\d)[_T ](\d\d:\d\d:\d\d)")
_SLACK = timedelta(seconds=1)  # a line's time has whole seconds
_ZONES = timedelta(minutes=15)  # every zone is a multiple of it ahead of UTC
_NEAR = timedelta(minutes=2)  # between a line's time and its writing
_FARTHEST = timedelta(hours=14)
# TrinityCore's prefix (`ERROR[server.worldserver] `, `WARN [..]`), AzerothCore's, and the bare word at a line's begin.
_ERROR = re.compile(r"(?:^|\s)(?:ERROR|FATAL|CRITICAL)\s?(?:\[|:|\s)|^Error\b|\b(?:ASSERTION FAILED|ABORTED)\b")
_WARNING = re.compile(r"(?:^|\s)WARN(?:ING)?\s?(?:\[|:|\s)|^Warning\b")


def last_lines(
    path: Path | str, count: int, until: datetime | None = None, *, redact: Callable[[str], str]
) -> list[str]:
    """The last `count` lines that are not empty, oldest first; [] where the file is gone. With `until` none of later
    than that, where lines carry their time; where they do not, all count."""
    shown = [line for line in read_struck_lines(Path(path), TAIL, redact, _LONGEST) if line]
    return (shown if until is None else _drop_later(shown, until, _written_at(path)))[-count:]


def _written_at(path: Path | str) -> datetime | None:
    try:
        return datetime.fromtimestamp(Path(path).stat().st_mtime, UTC)
    except (OSError, OverflowError, ValueError):
        return None


def _drop_later(lines: list[str], until: datetime, written: datetime | None) -> list[str]:
    """A line without a time belongs to the one before it. All of them count where the zone of their clock is not told
    by when the last of them was written."""
    times = [_read_time(line) for line in lines]
    last = next((time for time in reversed(times) if time is not None), None)
    zone = None if last is None or written is None else _tell_zone(last, written)
    if zone is None:
        return lines
    border = until.astimezone(UTC).replace(tzinfo=None) + zone + _SLACK
    late = next((number for number, time in enumerate(times) if time is not None and time > border), len(lines))
    return lines[:late]


def _read_time(line: str) -> datetime | None:
    found = _TIME.match(line)
    try:
        return None if found is None else datetime.fromisoformat(f"{found[1]} {found[2]}")
    except ValueError:
        return None


def _tell_zone(time: datetime, written: datetime) -> timedelta | None:
    """What a clock that showed `time` at the instant `written` is ahead of UTC; None where no zone fits."""
    ahead = time - written.replace(tzinfo=None)
    zone = round(ahead / _ZONES) * _ZONES
    return zone if abs(ahead - zone) <= _NEAR and abs(zone) <= _FARTHEST else None


def pick_errors(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if _ERROR.search(line)]


def pick_warnings(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if _WARNING.search(line)]


def is_bot_log(path: Path | str) -> bool:
    return "playerbot" in os.path.basename(path).lower()  # noqa: PTH119 (a name, perhaps of another system)


# --- the first analysis: what the report itself tells -----------------------------------------------------------------

# One sentence each; {place} is the frame of interest.
_SAYINGS: dict[str, str] = {
    classes.ACCESS_VIOLATION: "Memory that is not there was read or written in {place}: a null or dangling pointer.",
    classes.ASSERTION: "The assertion `{expression}` did not hold in {place}.",
    classes.ABORT: "The server aborted itself in {place}.",
    classes.UNCAUGHT_EXCEPTION: "Nobody caught the exception{exception} thrown in {place}.",
    classes.USE_AFTER_FREE: "{place} used memory that was freed before.",
    classes.DOUBLE_FREE: "{place} freed memory that was freed before.",
    classes.INVALID_FREE: "{place} freed what was never allocated that way.",
    classes.HEAP_CORRUPTION: "The heap was damaged before {place} noticed it: the culprit wrote past a block earlier.",
    classes.STACK_CORRUPTION: "{place} wrote past a buffer on its stack.",
    classes.STACK_OVERFLOW: "{place} calls itself without end until the stack ran out.",
    classes.FREEZE: "The world thread made no progress; it was last seen in {place}.",
    classes.PURE_VIRTUAL: "{place} called a virtual function of an object in construction or destruction.",
    classes.DIVIDE_BY_ZERO: "{place} divided by zero.",
    classes.ILLEGAL_INSTRUCTION: "{place} ran into an instruction the processor does not know.",
}
_CRITICAL = frozenset({classes.FREEZE, classes.STACK_OVERFLOW, *_SAYINGS} - {classes.ASSERTION, classes.ABORT})


def first_analysis(report: CrashReport, entries: Sequence[Entry] | None = None) -> Analysis:
    """What a person would say after one look at the report; confidence is always low, because nobody read the code.
    `entries` = what is known of other crashes, None = the built-in ones."""
    frame = report.frame
    known = find_entry(report, entries)
    details = [*report.notes, *([known.cure] if known else [])]
    return Analysis(
        category=report.category,
        severity=rate_severity(report),
        file=frame.file if frame else None,
        line=frame.line if frame else None,
        function=frame.function if frame else None,
        summary=" ".join(part for part in (_say(report), known.cause if known else None) if part),
        details="\n".join(details) or None,
        confidence="low",
    )


def rate_severity(report: CrashReport) -> str:
    if report.environment:
        return "LOW"
    return "CRITICAL" if report.category in _CRITICAL else "HIGH"


def _say(report: CrashReport) -> str:
    if report.environment:
        return report.cure or "The world around the server is at fault, not its code."
    place = spell_frame(report.frame) if report.frame else "a place that is not known"
    saying = _SAYINGS.get(report.category or "", "The server died ({category}) in {place}.")
    # Braces in names and messages are data, so nothing is formatted twice.
    filled = {
        "{place}": place,
        "{expression}": (report.assertion.expression if report.assertion else None) or "?",
        "{exception}": "".join(f" {each}" for each in (report.exception.code, report.exception.name) if each)
        if report.exception
        else "",
        "{category}": report.category or "for a reason that is not known",
    }
    return re.sub(r"\{\w+\}", lambda found: filled.get(found[0], found[0]), saying)


def suggest(report: CrashReport, entries: Sequence[Entry] | None = None) -> list[str]:
    """What cured such a crash elsewhere."""
    known = find_entry(report, entries)
    return [known.cure] if known else []


def is_bot_related(report: CrashReport, lines: Sequence[str] = ()) -> bool:
    """Whether a frame is the playerbot module's, or a class of bots'."""
    texts = [text for frame in report.frames[:24] for text in (frame.function, frame.file) if text]
    return any(re.search(r"[Pp]layerbot|\bBot[A-Z]|(?:^|[:/\\])bots?[/\\]|[a-z]Bot\b", text) for text in texts)
