"""What a dying server writes to its standard error: assertions, aborts, terminate, glibc, the freeze detector.

Every assertion and abort of TrinityCore ends in a write to address 0, so the process dies by SIGSEGV whatever happened;
this text is what tells the kinds apart. Sources: TrinityCore's and AzerothCore's Errors.cpp, glibc's malloc.c and
assert.c, libstdc++'s vterminate.cc. The last text of a kind counts: dying is the last thing a server does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from pipeline.crash.classes import (
    ABORT,
    ASSERTION,
    FREEZE,
    LINUX_SIGNALS,
    PURE_VIRTUAL,
    SIGNALS,
    UNCAUGHT_EXCEPTION,
    classify_glibc,
    name_signal,
)
from pipeline.crash.reading import Reading
from pipeline.crash.revision import find_revision
from pipeline.model import Assertion, ExceptionInfo, Frame, ReportKind

_MESSAGE_LINES = 6
_TRINITY = re.compile(
    r"^(?P<file>[^\n]{1,500}?):(?P<line>\d{1,7}) in (?P<function>[^\n]{1,500}?) "
    r"(?P<what>ASSERTION FAILED|FATAL ERROR|ERROR|ABORTED)(?P<end>[:.])[ \t]*\r?$",
    re.MULTILINE,
)
_AZEROTH = re.compile(r"^>> (?P<what>ASSERTION FAILED|FATAL ERROR|ERROR|ABORTED)[ \t]*\r?$", re.MULTILINE)
_AZEROTH_FIELD = re.compile(r"^# (Location|Function|Condition|Message):? ?(.*)$", re.MULTILINE)
_C_ASSERT = re.compile(
    r"^(?:[^\n:]{1,200}: )?(?P<file>[^\n:]{1,400}):(?P<line>\d{1,7}): (?P<function>[^\n]{1,2000}?): "
    r"Assertion [`'](?P<expression>[^\n]{1,1000})' failed\.",
    re.MULTILINE,
)
_MSVC_ASSERT = re.compile(
    r"^Assertion failed: (?P<expression>[^\n]{1,1000}), file (?P<file>[^\n,]{1,400}), line (?P<line>\d{1,7})",
    re.MULTILINE,
)
_FREEZE = re.compile(r"World Thread hangs(?: for (?P<ms>\d{1,10}) ms)?[^\n]{0,80}", re.IGNORECASE)
_TERMINATE = re.compile(
    r"^(?:terminate called after throwing an instance of '(?P<type>[^\n]{1,500}?)'"
    r"|libc\+\+abi(?:\.dylib)?: terminating (?:due to|with) uncaught exception of type (?P<libcxx>[^\n]{1,500}?)"
    r"(?:: (?P<what>[^\n]{0,500}))?$"
    r"|(?P<bare>terminate called (?:without an active exception|recursively)"
    r"|libc\+\+abi(?:\.dylib)?: terminating[^\n]{0,100}))",
    re.MULTILINE,
)
_WHAT = re.compile(r"\s*what\(\):\s{0,4}([^\n]{0,500})")
_PURE = re.compile(
    r"^(?:pure virtual method called|libc\+\+abi[^\n]{0,20}: Pure virtual function called!)", re.MULTILINE
)
_GLIBC = re.compile(
    r"^(?:\*\*\* Error in `[^\n]{0,300}?': )?"
    r"(?P<message>(?:free|malloc|realloc|calloc|munmap_chunk|memalign)\(\): [^\n]{1,120}"
    r"|double free or corruption[^\n]{0,40}|corrupted (?:size|double-linked list)[^\n]{0,80}"
    r"|malloc_consolidate\(\): [^\n]{1,80}|tcache_thread_shutdown\(\): [^\n]{1,80}|sysmalloc[^\n]{0,80}"
    r"|\*\*\* (?:stack smashing|buffer overflow) detected \*\*\*[^\n]{0,40})",
    re.MULTILINE,
)
_CAUGHT = re.compile(r"^Caught signal (?P<number>\d{1,3})\s*$", re.MULTILINE)
_SHELL = re.compile(
    r"^(?:[^\n]{0,300}: line \d+:\s+\d+ )?"
    r"(?P<name>Segmentation fault|Aborted|Floating point exception|Illegal instruction|Bus error|Killed"
    r"|Trace/breakpoint trap)(?: \(core dumped\)|[ \t]+\S[^\n]*)?[ \t]*\r?$",
    re.MULTILINE,
)
_SHELL_SIGNALS = {
    "Segmentation fault": "SIGSEGV", "Aborted": "SIGABRT", "Floating point exception": "SIGFPE",
    "Illegal instruction": "SIGILL", "Bus error": "SIGBUS", "Killed": "SIGKILL", "Trace/breakpoint trap": "SIGTRAP",
}  # fmt: skip


def read_text(text: str) -> Reading | None:
    """The reading of the text a process left, None where it says nothing about a crash."""
    text = text.replace("\r\n", "\n")
    found = next((reading for rule in RULES if (reading := rule(text)) is not None), None)
    if found is None:
        return None
    return replace(found, revision=find_revision(text))


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter([*pattern.finditer(text)][-1:]), None)


def _lines_behind(text: str, at: int) -> Iterator[str]:
    """The lines that follow, up to the first empty one."""
    for line in text[at : at + 8000].lstrip("\r").removeprefix("\n").split("\n")[:_MESSAGE_LINES]:
        if not line.strip() or line.startswith(("#---", "==")):
            return
        yield line.strip()


def _read_freeze(text: str) -> Reading | None:
    found = _last(_FREEZE, text)
    if found is None:
        return None
    exception = ExceptionInfo("freeze", found[0].strip())
    return Reading(ReportKind.ASSERTION, FREEZE, exception, detail="world thread")


def _read_trinity(text: str) -> Reading | None:
    found = _last(_TRINITY, text)
    if found is None:
        return None
    behind = list(_lines_behind(text, found.end())) if found["end"] == ":" else []
    place = Frame(found["function"].strip(), found["file"].strip(), int(found["line"]))
    if found["what"] == "ASSERTION FAILED":
        return _assertion(place, behind[0] if behind else None, "\n".join(behind[1:]) or None)
    return _abort(place, found["what"], "\n".join(behind) or None)


def _read_azeroth(text: str) -> Reading | None:
    found = _last(_AZEROTH, text)
    if found is None:
        return None
    fields = {name: value.strip().strip("'") for name, value in _AZEROTH_FIELD.findall(text[found.end() :][:8000])}
    file, _, line = fields.get("Location", "").rpartition(":")
    place = Frame(fields.get("Function"), file or None, int(line) if re.fullmatch(r"\d{1,7}", line) else None)
    if found["what"] == "ASSERTION FAILED":
        return _assertion(place, fields.get("Condition"), fields.get("Message"))
    return _abort(place, found["what"], fields.get("Message"))


def _read_c_assert(text: str) -> Reading | None:
    found = _last(_C_ASSERT, text)
    if found is not None:
        return _assertion(Frame(found["function"], found["file"], int(found["line"])), found["expression"], None)
    found = _last(_MSVC_ASSERT, text)
    if found is None:
        return None
    return _assertion(Frame(None, found["file"], int(found["line"])), found["expression"], None)


def _assertion(place: Frame, expression: str | None, message: str | None) -> Reading:
    assertion = Assertion(place.file, place.line, place.function, expression, message)
    return Reading(ReportKind.ASSERTION, ASSERTION, assertion=assertion, place=place)


def _abort(place: Frame, what: str, message: str | None) -> Reading:
    exception = ExceptionInfo(what, message)
    return Reading(ReportKind.ASSERTION, ABORT, exception, detail=place.function or message or what, place=place)


def _read_terminate(text: str) -> Reading | None:
    found = _last(_TERMINATE, text)
    if found is None:
        return None
    kind = (found["type"] or found["libcxx"] or found["bare"]).strip()
    said = _WHAT.match(text, found.end()) if found["type"] else None
    message = said[1].strip() if said else found["what"]
    detail = f"{kind} | {message}" if message else kind
    return Reading(ReportKind.ASSERTION, UNCAUGHT_EXCEPTION, ExceptionInfo(kind, message or None), detail=detail)


def _read_pure_virtual(text: str) -> Reading | None:
    if _last(_PURE, text) is None:
        return None
    message = "pure virtual method called"
    return Reading(ReportKind.ASSERTION, PURE_VIRTUAL, ExceptionInfo(message), detail=message)


def _read_glibc(text: str) -> Reading | None:
    found = _last(_GLIBC, text)
    if found is None:
        return None
    message = re.sub(r": 0x[0-9a-f]+ \*+$", "", found["message"].strip())
    return Reading(ReportKind.ASSERTION, classify_glibc(message), ExceptionInfo(message), detail=message)


def _read_caught_signal(text: str) -> Reading | None:
    found = _last(_CAUGHT, text)
    if found is None or int(found["number"]) not in LINUX_SIGNALS:
        return None
    return read_signal(name_signal(int(found["number"])), ReportKind.ASSERTION)


def _read_shell(text: str) -> Reading | None:
    found = _last(_SHELL, text)
    return None if found is None else read_signal(_SHELL_SIGNALS[found["name"]], ReportKind.ASSERTION)


def read_signal(name: str, kind: ReportKind = ReportKind.UNKNOWN) -> Reading:
    """All that a bare signal tells."""
    return Reading(kind, SIGNALS.get(name, ABORT), ExceptionInfo(name), detail=f"{name} without a stack")


# The first that finds something decides: what says why stands before what only says how.
RULES: tuple[Callable[[str], Reading | None], ...] = (
    _read_freeze,  # before the abort that the freeze detector ends in
    _read_trinity,
    _read_azeroth,
    _read_c_assert,
    _read_pure_virtual,  # `terminate called without an active exception` follows it
    _read_terminate,  # `Caught signal 6` follows it
    _read_glibc,
    _read_caught_signal,
    _read_shell,
)
