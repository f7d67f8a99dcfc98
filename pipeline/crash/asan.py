"""AddressSanitizer and UndefinedBehaviorSanitizer. The stack of the use is the crash; freed-by stays apart, in a note.

Source: the report layout of compiler-rt's sanitizer_common, as GCC's libsanitizer prints it too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pipeline.crash.classes import ABORT, UNDEFINED_BEHAVIOUR, classify_sanitizer
from pipeline.crash.names import drop_parameters, normalise
from pipeline.crash.reading import Reading, Thread
from pipeline.crash.revision import find_revision
from pipeline.crash.rules import Rules, get_rules, module_name
from pipeline.model import ExceptionInfo, Frame, ReportKind

_ERROR = re.compile(
    r"^(?:=+\d+=+)?(?:ERROR|WARNING): (?P<tool>Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer:? "
    r"(?P<rest>[^\n]{1,500})",
    re.MULTILINE,
)
_NAME = re.compile(
    r"^(?P<fixed>attempting double-free|attempting free on address which was not malloc\(\)-ed"
    r"|requested allocation size|[A-Za-z][\w-]*)"
)
_UBSAN = re.compile(
    r"^(?P<file>[^\n]{1,400}?):(?P<line>\d{1,7}):(?P<column>\d{1,7}): runtime error: (?P<what>[^\n]{1,400})$",
    re.MULTILINE,
)
_FRAME = re.compile(r"^\s{2,8}#(?P<number>\d{1,4}) 0x[0-9a-f]+\s+(?P<rest>\S[^\n]{0,20000})$")
_BUILD_ID = re.compile(r"\s+\(BuildId: [0-9a-f]+\)$")
_MODULE = re.compile(r"\((?P<module>[^()\n]+)\+0x(?P<offset>[0-9a-f]+)\)$")
_LINE = re.compile(r":(?P<line>\d{1,9})(?::\d{1,9})?$")
_PATH = re.compile(r"\s(?=/|[A-Za-z]:[\\/])")
_FREED = re.compile(r"^(?P<what>freed|previously allocated|allocated) by thread (?P<thread>T\d+)[^\n]* here:")
_THREAD = re.compile(r"thread (T\d+)|\b(T\d+)\)$")
_END = re.compile(r"^(?:SUMMARY:|=+\d+=+ABORTING|Thread T\d+ .*created by)")


@dataclass
class _Stacks:
    use: list[Frame] = field(default_factory=list)
    named: dict[str, list[Frame]] = field(default_factory=dict)  # "freed by thread T9": its frames


def read_sanitizer(text: str) -> Reading | None:
    """The reading of the last report in a text, None where there is none."""
    errors = [found for found in _ERROR.finditer(text) if found["tool"] != "Leak"]
    if errors:
        return _read_error(text, errors[-1])
    undefined = list(_UBSAN.finditer(text))
    return _read_undefined(text, undefined[-1]) if undefined else None


def _read_error(text: str, found: re.Match[str]) -> Reading:
    named = _NAME.match(found["rest"])
    name = named["fixed"] if named else "unknown"
    stacks = _read_stacks(text[found.end() :])
    thread = _THREAD.search(found["rest"]) or _THREAD.search(text[found.end() : found.end() + 200])
    return Reading(
        ReportKind.ASAN,
        classify_sanitizer(name) if named else ABORT,
        ExceptionInfo(_public_name(name), found["rest"].strip()),
        detail=name,
        crashed=Thread(tuple(stacks.use), (thread[1] or thread[2]) if thread else "") if stacks.use else None,
        revision=find_revision(text),
        notes=tuple(_describe(what, frames, get_rules()) for what, frames in stacks.named.items()),
    )


def _public_name(name: str) -> str:
    return {"attempting double-free": "double-free"}.get(
        name, "bad-free" if name.startswith("attempting free") else name
    )


def _read_undefined(text: str, found: re.Match[str]) -> Reading:
    stacks = _read_stacks(text[found.end() :])
    what = re.sub(r"0x[0-9a-f]+|-?\d{2,}", "N", found["what"])
    place = Frame(None, found["file"], int(found["line"]))
    return Reading(
        ReportKind.ASAN,
        UNDEFINED_BEHAVIOUR,
        ExceptionInfo("runtime error", found["what"]),
        detail=f"{module_name(found['file'])} | {what}",
        place=place,
        crashed=Thread(tuple(stacks.use)) if stacks.use else None,
        revision=find_revision(text),
    )


def _read_stacks(text: str) -> _Stacks:
    stacks = _Stacks()
    into = stacks.use
    for line in text.splitlines():
        if header := _FREED.match(line):
            into = stacks.named.setdefault(f"{header['what']} by thread {header['thread']}", [])
        elif found := _FRAME.match(line):
            if found["number"] == "0" and into:
                into = stacks.named.setdefault("another stack", [])  # "Thread T1 created by", a second report
            into.append(read_frame(found["rest"]))
        elif _END.match(line):
            into = stacks.named.setdefault("after the report", [])
    stacks.named = {what: frames for what, frames in stacks.named.items() if frames and " by thread " in what}
    return stacks


def read_frame(rest: str) -> Frame:
    """`in Game::Map::Update(unsigned int) /src/Map.cpp:14`, or `(/lib/libc.so.6+0x38d17)` for a nameless one."""
    rest = _BUILD_ID.sub("", rest.strip())
    if module := _MODULE.search(rest):
        return Frame(_function(rest[: module.start()]), module=module["module"], offset=module["offset"])
    line = _LINE.search(rest)
    function, file = _split_path(rest[: line.start()] if line else rest)
    return Frame(_function(function), file, int(line["line"]) if line and file else None)


def _split_path(text: str) -> tuple[str, str | None]:
    """Function and source file; an absolute path may hold spaces, a relative one is the last word."""
    absolute = _PATH.search(text)
    at = absolute.start() if absolute else text.rfind(" ")
    file = text[at + 1 :]
    return (text[:at], file) if at > 0 and re.search(r"[/.\\]\w+$", file) else (text, None)


def _function(text: str) -> str | None:
    name = text.strip().removeprefix("in ").strip()
    return drop_parameters(name) if name not in ("", "<unknown module>", "??") else None


def _describe(what: str, frames: list[Frame], rules: Rules) -> str:
    """`freed by thread T9: Creature::~Creature (Creature.cpp:120) ← Map::RemoveFromMap`."""
    own = [frame for frame in frames if rules.is_own(frame)][:3] or frames[:3]
    return f"{what}: " + " ← ".join(_spell(frame) for frame in own)


def _spell(frame: Frame) -> str:
    name = normalise(frame.function) or frame.module or "?"
    return f"{name} ({module_name(frame.file)}:{frame.line})" if frame.file else name
