"""TrinityCore's Windows crash report (`WheatyExceptionReport.cpp`), read line by line up to where the locals begin.

The texts are in the machine's language, the numbers are not: the class comes from the code. The first `Call stack:` is
the crashing thread's; it can be empty (stack smashed), then the one that holds the fault address is, else one that went
through the system's exception dispatcher. Another block with the report's own filter in it is a second thread that
crashed as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from pipeline.crash.classes import ABORT, CPP_CODE, TRINITY_CODE, UNCAUGHT_EXCEPTION, WINDOWS, classify_windows
from pipeline.crash.names import normalise
from pipeline.crash.reading import Reading, Thread
from pipeline.crash.revision import find_revision
from pipeline.crash.rules import get_rules
from pipeline.crash.signatures import find_interest, name_frame
from pipeline.crash.stderr_text import read_text
from pipeline.model import ExceptionInfo, Frame, ReportKind

_DATE = re.compile(r"^Date (\d{1,2}):(\d{1,2}):(\d{4})\. Time (\d{1,2}):(\d{1,2})")
_CODE = re.compile(r"^Exception code: (?P<code>[0-9A-Fa-f]{8})(?: (?P<name>.*))?$")
_FAULT = re.compile(
    r"^Fault address:\s+(?P<address>[0-9A-Fa-f]{8,16}) "
    r"(?P<section>[0-9A-Fa-f]{2,4}):(?P<offset>[0-9A-Fa-f]{8,16}) ?(?P<module>.*)$"
)
_SYMBOL = re.compile(
    r"^(?P<address>[0-9A-Fa-f]{8,16})  (?P<frame>[0-9A-Fa-f]{8,16})  "
    r"(?P<inline>\[inline\] )?(?P<symbol>.+?)\+(?P<offset>[0-9A-Fa-f]+)"
    r"(?:  (?P<file>.+) line (?P<line>\d{1,9}))?$"
)
_NAKED = re.compile(
    r"^(?P<address>[0-9A-Fa-f]{8,16})  (?P<frame>[0-9A-Fa-f]{8,16})  "
    r"(?P<section>[0-9A-Fa-f]{4}):(?P<offset>[0-9A-Fa-f]{8,16}) ?(?P<module>.*)$"
)
_ASSERTION = "Assertion message:"
_UNCAUGHT = "Uncaught C++ exception info:"
_MESSAGE_LINES = 40
_FRAMES = 512  # of one thread that are kept
_THREADS = 256
_NAME = re.compile(
    r"^(?P<hash>[0-9A-Za-z]+\+?)_(?P<exe>[^\[\]]+?)_\[(?:(?P<Y>\d{4})_(?P<M>\d+)_(?P<D>\d+)_(?P<h>\d+)_(?P<m>\d+)_(?P<s>\d+)"
    r"|(?P<D2>\d+)-(?P<M2>\d+)_(?P<h2>\d+)-(?P<m2>\d+)-(?P<s2>\d+))\]\.(?:txt|dmp)$"
)


@dataclass
class _Block:
    """One `Call stack:`; `addresses` run beside `frames`."""

    frames: list[Frame] = field(default_factory=list)
    addresses: list[int] = field(default_factory=list)


@dataclass
class _Report:
    revision: str = ""
    date: datetime | None = None
    code: int | None = None
    code_name: str | None = None
    fault: re.Match[str] | None = None
    message: list[str] = field(default_factory=list)
    uncaught: str | None = None
    no_symbols: bool = False
    blocks: list[_Block] = field(default_factory=list)
    finished: bool = False  # the line was seen behind which the locals begin


def read_wheaty(lines: Iterable[str], name: str = "") -> Reading:
    """The reading of a report's lines; `name` = its file name, which knows the second. Never raises on any content."""
    report = _parse(lines)
    block, start, doubt = _choose(report)
    word, exception = _classify(report)
    reading = Reading(
        ReportKind.WHEATY,
        word,
        exception,
        detail=_fault_place(report),
        crashed=Thread(tuple(block.frames), start=start) if block else None,
        others=tuple(
            Thread(tuple(each.frames), str(number)) for number, each in enumerate(report.blocks) if each is not block
        ),
        revision=find_revision(report.revision),
        crashed_at=_moment(report.date, name),
        notes=tuple(note for note in (*doubt, *_notes(report, block)) if note),
    )
    return _with_message(report, _with_abort(reading))


# --- lines ------------------------------------------------------------------------------------------------------------


def _parse(lines: Iterable[str]) -> _Report:
    report = _Report()
    in_message = False
    for raw in lines:
        line = raw.rstrip("\r\n")
        if line.startswith("====") and not in_message and report.blocks:
            report.finished = True
            break
        if in_message and not line.startswith("Fault address:"):
            if len(report.message) < _MESSAGE_LINES:
                report.message.append(line)
            continue
        in_message = False
        if line.startswith(_ASSERTION):
            in_message = True
            report.message.append(line.removeprefix(_ASSERTION).strip())
        elif report.blocks and line[:1].isalnum() and (frame := _read_frame(line)):
            _add(report.blocks[-1], *frame)
        else:
            _read_header(report, line)
    return report


def _add(block: _Block, address: int, frame: Frame) -> None:
    if len(block.frames) < _FRAMES:
        block.frames.append(frame)
        block.addresses.append(address)


def _read_header(report: _Report, line: str) -> None:
    if line.startswith("Call stack:"):
        if len(report.blocks) < _THREADS:
            report.blocks.append(_Block())
    elif line.startswith("Revision:") and not report.revision:
        report.revision = line[:1000]
    elif line.startswith("Date ") and report.date is None:
        report.date = _date(line)
    elif found := _CODE.match(line):
        report.code, report.code_name = int(found["code"], 16), (found["name"] or "").strip() or None
    elif line.startswith("Fault address:"):
        report.fault = _FAULT.match(line[:2000])
    elif line.startswith(_UNCAUGHT):
        report.uncaught = line.removeprefix(_UNCAUGHT).strip()[:500]
    elif "SYMBOL HANDLER ERROR" in line:
        report.no_symbols = True


def _date(line: str) -> datetime | None:
    found = _DATE.match(line)
    if found is None:
        return None
    day, month, year, hour, minute = map(int, found.groups())
    return _local(year, month, day, hour, minute, 0)


def _local(year: int, month: int, day: int, hour: int, minute: int, second: int) -> datetime | None:
    """The report's clock is the machine's own."""
    try:
        return datetime(year, month, day, hour, minute, second).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def _moment(date: datetime | None, name: str) -> datetime | None:
    found = _NAME.match(name)
    if found is None:
        return date
    if found["Y"]:
        return _local(*(int(found[part][:4]) for part in ("Y", "M", "D", "h", "m", "s"))) or date
    if date is None:
        return None
    return _local(date.year, *(int(found[part][:4]) for part in ("M2", "D2", "h2", "m2", "s2"))) or date


def _read_frame(line: str) -> tuple[int, Frame] | None:
    line = line[:8000]
    if found := _NAKED.match(line):
        module = found["module"].strip() or None
        return int(found["address"], 16), Frame(module=module, offset=found["offset"].lstrip("0").lower() or "0")
    if found := _SYMBOL.match(line):
        symbol = found["symbol"].strip()
        frame = Frame(
            symbol,
            found["file"] and found["file"].strip(),
            int(found["line"]) if found["line"] else None,
            offset=found["offset"].lower(),
            inlined=found["inline"] is not None,
        )
        return int(found["address"], 16), frame
    return None


# --- which stack, which class -----------------------------------------------------------------------------------------


def _choose(report: _Report) -> tuple[_Block | None, int, tuple[str, ...]]:
    """The crashing thread's block, the first frame in it that counts, and what is doubtful about the choice."""
    fault = int(report.fault["address"], 16) if report.fault else None
    if not report.blocks:
        return None, 0, ("the report has no call stack",)
    if report.blocks[0].frames:
        return report.blocks[0], _index(report.blocks[0], fault), ()
    for block in report.blocks:
        if fault is not None and fault in block.addresses:
            return (
                block,
                _index(block, fault),
                ("the first stack is empty: taken is the one that holds the fault address",),
            )
    for block in report.blocks:
        if _passed_filter(block):
            return block, 0, ("the first stack is empty: taken is one that passed the system's exception dispatcher",)
    return None, 0, ("the first stack is empty, and no other one holds the fault address",)


def _index(block: _Block, fault: int | None) -> int:
    return block.addresses.index(fault) if fault in block.addresses else 0


def _passed_filter(block: _Block) -> bool:
    names = [normalise(frame.function) or "" for frame in block.frames]
    return any("UnhandledExceptionFilter" in name or name == "KiUserExceptionDispatcher" for name in names)


def _classify(report: _Report) -> tuple[str | None, ExceptionInfo | None]:
    if report.code is None:
        return None, None
    exception, word = classify_windows(report.code)
    name = exception.name if report.code in WINDOWS else None
    return (ABORT if report.code == TRINITY_CODE else word), ExceptionInfo(exception.code, name or report.code_name)


def _with_abort(reading: Reading) -> Reading:
    """A breakpoint in libmysql's handler of SIGABRT is abort() or an uncaught exception, not a bug of MySQL."""
    names = [normalise(frame.function) or "" for frame in reading.crashed.frames] if reading.crashed else []
    if reading.exception is None or reading.exception.code != "80000003" or "my_sigabrt_handler" not in names:
        return reading
    thrown = any(name == "_CxxThrowException" or name.endswith("terminate") for name in names)
    return replace(reading, word=UNCAUGHT_EXCEPTION if thrown else ABORT)


def _with_message(report: _Report, reading: Reading) -> Reading:
    said = read_text("\n".join(report.message)) if report.message else None
    if said is not None and report.code == TRINITY_CODE:
        return replace(
            reading, word=said.word, assertion=said.assertion, place=said.place, detail=said.detail or reading.detail
        )
    if report.code == CPP_CODE and report.uncaught:
        exception = ExceptionInfo(f"{CPP_CODE:08X}", report.uncaught)
        return replace(reading, exception=exception, detail=report.uncaught)
    return reading


def _fault_place(report: _Report) -> str | None:
    if report.fault is None:
        return None
    return name_frame(Frame(module=report.fault["module"].strip() or None, offset=report.fault["offset"]))


def _notes(report: _Report, chosen: _Block | None) -> list[str]:
    notes = []
    if report.no_symbols:
        notes.append("the symbol handler failed: names of functions and files may be wrong")
    if not report.finished:
        notes.append("the report ends before its locals: it may be cut off, or was still being written")
    if report.blocks and len(report.blocks[0].frames) == _FRAMES:
        notes.append(f"only the innermost {_FRAMES} frames were read")
    notes += [_second(block) for block in report.blocks[1:] if block is not chosen and _passed_filter(block)]
    return notes


def _second(block: _Block) -> str:
    index = find_interest(block.frames, get_rules()).frame
    where = None if index is None else name_frame(block.frames[index])
    return f"a second thread crashed too: {where or 'its stack has no frame of the program'}"
