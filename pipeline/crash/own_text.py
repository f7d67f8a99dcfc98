"""Our own `backtrace.txt`, as it is attached to what is posted of a crash, so that it can be inspected again.

It has the frames, the frame of interest marked, and the log before the crash. Earlier ones do not say the class.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.crash.reading import Reading, Thread
from pipeline.crash.stderr_text import read_text
from pipeline.model import Frame, ReportKind

_CLASS = "class: "  # begins the first line
_LOG = "--- the log before the crash ---"
_FRAME = re.compile(r"^[> ] {0,2}(?P<number>\d{1,3})  (?P<name>\S.{0,4000}?)(?:  (?P<place>\S.{0,2000}))?$")
_PLACE = re.compile(r"^(?P<file>.+):(?P<line>\d{1,9})$")


def write_own(category: str, stack: str, log: Sequence[str]) -> str:
    """`category` "" = it is not said; `stack` has a line `>  0  function  file:line` for each frame, the mark only at
    the one of interest; `log` = its last lines."""
    head = f"{_CLASS}{category}\n" if category else ""
    tail = "\n".join(("", "", _LOG, *log, "")) if log else ""
    return f"{head}{stack}{tail}"


def read_own(text: str) -> Reading | None:
    """None for anything else."""
    stack, _, log = text.partition(_LOG)
    lines = stack.splitlines()
    found = [match for line in lines if (match := _FRAME.match(line))]
    marked = sum(line.startswith(">") for line in lines)
    counted = [int(each["number"]) for each in found] == list(range(len(found)))
    if not found or not counted or marked > 1 or not (marked or lines[0].startswith(_CLASS)):
        return None
    word = lines[0].removeprefix(_CLASS).strip() if lines[0].startswith(_CLASS) else None
    said = read_text(log)
    note = "our own backtrace.txt" + ("" if word or said else ", which does not say of what class the crash was")
    return Reading(
        ReportKind.GDB,
        word or (said.word if said else None),
        said.exception if said else None,
        said.assertion if said else None,
        crashed=Thread(tuple(_frame(each) for each in found)),
        notes=(note,),
    )


def _frame(found: re.Match[str]) -> Frame:
    name = None if found["name"] == "??" else found["name"]
    place = _PLACE.match(found["place"] or "")
    if place is None:
        return Frame(name, module=found["place"])
    return Frame(name, place["file"], int(place["line"]))
