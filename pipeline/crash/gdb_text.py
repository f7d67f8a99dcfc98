"""gdb's own words: session logs, `bt full`, `thread apply all bt`, and the output of TrinityCore's crashreport.gdb.

A debugger also stops at signals that are no crash (`received signal SIGCONT`, SIGTERM of a stop): the line with the
signal is looked at first, and such a log is said to be none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pipeline.crash.classes import ACCESS_VIOLATION, ASSERTION, NOT_A_CRASH, SIGNALS, STACK_OVERFLOW
from pipeline.crash.names import drop_parameters, find_operator
from pipeline.crash.reading import Reading, Thread
from pipeline.crash.revision import find_revision
from pipeline.crash.stderr_text import read_text
from pipeline.model import Assertion, ExceptionInfo, Frame, ReportKind

_SIGNAL = re.compile(
    r'^(?:Program|Thread (?P<thread>\d+)(?: "[^"\n]*")?) (?:received|terminated with) signal (?P<name>SIG\w+|\?)',
    re.MULTILINE,
)
_EXITED = re.compile(r"^\[Inferior \d+ \(process \d+\) exited ", re.MULTILINE)
_CURRENT = re.compile(r"^\[Current thread is (?P<number>\d+) ", re.MULTILINE)
_STARRED = re.compile(r"^\*\s+(?P<number>\d+)\s+(?:Thread|LWP|process)\b", re.MULTILINE)
_THREAD = re.compile(r"^Thread (?P<number>\d+) \((?:Thread|LWP|process)\b")
_FRAME = re.compile(r"^#(?P<number>\d+)\s+(?P<rest>\S.*)$")
_ADDRESS = re.compile(r"^(?:0x[0-9a-f]+ in )")
_PLACE = re.compile(r"(?P<file>\S[^\n]{0,2000}):(?P<line>\d{1,9})$")
_STOPPED_AT = re.compile(r"^(0x[0-9a-f]+ in .+)$")
_MESSAGE = re.compile(r'^\$\d+ = (?:0x[0-9a-f]+ )?"(?P<text>(?:[^"\\\n]|\\.)*)"', re.MULTILINE)
_ARGUMENTS = re.compile(
    r"^#\d+ [^\n]*?\b(?P<function>(?:Trinity|Acore)::Assert|malloc_printerr) \((?P<values>[^\n]{1,4000})$",
    re.MULTILINE,
)
_VALUE = re.compile(r'\b(?P<name>\w+)=(?:\w+@entry=)?0x[0-9a-f]+ "(?P<text>(?:[^"\\\n]|\\.)*)"')
_DEEP = 64  # frames, from which a circle of a few functions means that the stack ran out
_LONGEST_LINE = 40_000


@dataclass
class _Block:
    """A stack as it is printed: below `Thread N (…)`, or without a header for the current thread."""

    number: str | None
    frames: list[Frame] = field(default_factory=list)


def read_gdb(text: str) -> Reading:
    """The reading of a whole log."""
    found = _find_signal(text)
    if found is not None and found["name"] in NOT_A_CRASH:
        note = f"not a crash: the program was stopped by {found['name']}"
        return Reading(ReportKind.GDB, exception=ExceptionInfo(found["name"]), asked=True, notes=(note,))
    blocks = _read_blocks(text)
    current = _find_current(text, found)
    crashed = _choose(blocks, current) or _read_stopped_frame(text)
    others = [block for block in blocks if block is not crashed and (crashed is None or block.number != crashed.number)]
    reading = _with_message(text, _reading(text, found, crashed, others))
    return replace(reading, word=STACK_OVERFLOW) if _ran_out(reading) else reading


def _ran_out(reading: Reading) -> bool:
    """A fault on a deep stack of a few functions that call each other."""
    if reading.word != ACCESS_VIOLATION or reading.crashed is None:
        return False
    frames = reading.crashed.frames
    return len(frames) >= _DEEP and len({frame.function for frame in frames}) * 8 <= len(frames)


def _find_signal(text: str) -> re.Match[str] | None:
    """The last signal that is a crash, else the last one: a session may go on after SIGCONT."""
    found = list(_SIGNAL.finditer(text))
    crashes = [each for each in found if each["name"] not in NOT_A_CRASH]
    return next(iter((crashes or found)[-1:]), None)


def _reading(text: str, found: re.Match[str] | None, crashed: _Block | None, others: list[_Block]) -> Reading:
    signal = found["name"] if found and found["name"] != "?" else None
    nothing = found is None and _EXITED.search(text) is not None
    notes = [f"thread {found['thread']} received {signal}"] if found and found["thread"] else []
    return Reading(
        ReportKind.GDB,
        SIGNALS.get(signal or "") if not nothing else None,
        ExceptionInfo(signal) if signal else None,
        detail=f"{signal} without a stack" if signal else None,
        crashed=None if crashed is None else Thread(tuple(crashed.frames), crashed.number or ""),
        others=tuple(Thread(tuple(each.frames), each.number or "") for each in others if each.number),
        revision=find_revision(text),
        asked=nothing,
        notes=("not a crash: the program ended by itself",) if nothing else tuple(notes),
    )


def _with_message(text: str, reading: Reading) -> Reading:
    """The assertion's text, as `print TrinityAssertionFailedMessage` shows it or as it stands in the terminal."""
    printed = [_unescape(found["text"]) for found in _MESSAGE.finditer(text)]
    said = next((each for each in map(read_text, [*printed[::-1], text]) if each is not None), None)
    said = said or _read_arguments(text)
    if said is None or reading.asked:
        return reading
    return replace(
        reading,
        word=said.word,
        exception=reading.exception or said.exception,
        assertion=said.assertion,
        detail=said.detail or reading.detail,
        place=said.place,
    )


def _read_arguments(text: str) -> Reading | None:
    """What an assertion or glibc was called with, where gdb shows it."""
    found = next(iter([*_ARGUMENTS.finditer(text)][-1:]), None)
    values = {each["name"]: _unescape(each["text"]) for each in _VALUE.finditer(found["values"])} if found else {}
    if found is None or not values:
        return None
    if found["function"] == "malloc_printerr":
        return read_text(values.get("str", ""))
    if "message" not in values:
        return None
    assertion = Assertion(values.get("file"), None, values.get("function"), values["message"], None)
    return Reading(ReportKind.GDB, ASSERTION, assertion=assertion)


def _unescape(text: str) -> str:
    return text.replace("\\n", "\n").replace('\\"', '"').replace("\\t", "\t").replace("\\\\", "\\")


def _find_current(text: str, signal: re.Match[str] | None) -> str | None:
    for pattern in (_CURRENT, _STARRED):
        if found := pattern.search(text):
            return found["number"]
    return signal["thread"] if signal else None


def _choose(blocks: list[_Block], current: str | None) -> _Block | None:
    """The longest stack of the current thread; one without a header is the current thread's too."""
    mine = [block for block in blocks if block.number is None or block.number == current]
    chosen = max(mine, key=lambda block: len(block.frames), default=None)
    if chosen is not None and chosen.number is None:
        chosen.number = current
    return chosen


def _read_blocks(text: str) -> list[_Block]:
    blocks: list[_Block] = []
    number: str | None = None
    for line in _joined_lines(text):
        if header := _THREAD.match(line):
            number = header["number"]
            blocks.append(_Block(number))
        elif found := _FRAME.match(line):
            if found["number"] == "0" and not (blocks and blocks[-1].number and not blocks[-1].frames):
                blocks.append(_Block(None))
            if blocks:
                blocks[-1].frames.append(read_frame(found["rest"]))
    return [block for block in blocks if block.frames]


def _joined_lines(text: str) -> Iterator[str]:
    """gdb wraps long frames at the width of the terminal and indents what follows by four spaces; locals by eight."""
    held: str | None = None
    for line in text.splitlines():
        if held is not None:
            if line.startswith("    ") and not line.startswith("        ") and len(held) < _LONGEST_LINE:
                held = f"{held} {line.strip()}"
                continue
            yield held
            held = None
        if line.startswith("#"):
            held = line[:_LONGEST_LINE].rstrip()
        else:
            yield line
    if held is not None:
        yield held


def _read_stopped_frame(text: str) -> _Block | None:
    """The line that gdb prints where it stops, where no backtrace was asked for."""
    signal = _find_signal(text)
    for line in text[signal.end() :].splitlines()[1:4] if signal else ():
        if found := _STOPPED_AT.match(line):
            return _Block(signal["thread"] if signal else None, [read_frame(found[1])])
    return None


def read_frame(rest: str) -> Frame:
    """`0x… in Game::Map::Update (this=…, diff=50) at Map.cpp:14`, without its number."""
    if rest.startswith("<signal handler called>"):
        return Frame("<signal handler called>")
    rest = _ADDRESS.sub("", rest)
    before_place, _, last = rest.rpartition(" at ")
    place = _PLACE.fullmatch(last) if before_place else None
    before_module, _, module = rest.rpartition(" from ")
    with_module = place is None and before_module.endswith(")")
    head = before_place if place else before_module if with_module else rest
    function = head[: _find_arguments(head)].strip()
    return Frame(
        None if function in ("", "??") else drop_parameters(function),
        place["file"] if place else None,
        int(place["line"]) if place else None,
        module.strip() if with_module else None,
    )


def _find_arguments(text: str) -> int:
    """Where the values of the arguments begin: ` (` outside of all brackets."""
    depth, at = 0, 0
    while at < len(text):
        if operator := find_operator(text, at):
            at = operator.end()
            continue
        if text[at] == "(" and depth == 0 and at > 0 and text[at - 1] == " ":
            return at
        depth += (text[at] in "(<{[") - (text[at] in ")>}]" and text[at - 1 : at + 1] != "->")
        at += 1
    return at
