"""What compilers, linkers and cmake complained about, read from a build's log. Pure.

Shapes (each from its tool's own documentation and output): GCC and Clang `file:12:3: error: …`; MSVC and MSBuild
`file(12,3): error C2065: …`, also localised; the linkers of binutils, LLVM, macOS and Microsoft; `CMake Error at …`;
ninja and make about a rule that is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from pipeline.model import Diagnostic

MOST = 50  # diagnostics kept; one missing brace can make thousands
LONGEST = 600  # characters of one message
_LONGEST_LINE = 4000  # characters looked at: a template's error can be megabytes in one line
_LONGEST_CMAKE = 12  # lines of one cmake message

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\].*?(?:\x07|\x1b\\))")
_GNU = re.compile(
    r"^(?P<file>(?:[A-Za-z]:[\\/])?[^:]+?):(?P<line>\d+):(?:(?P<column>\d+):)? "
    r"(?P<severity>fatal error|error|warning|internal compiler error|Error|Warning): (?P<message>.+)$"
)
_MSVC = re.compile(
    r"^(?:\d+>\s*)?(?P<file>[^()\s][^()]*?)\((?P<line>\d+)(?:[,-](?P<column>\d+))?(?:,\d+)*\)\s?: "
    r"(?:(?P<severity>[^:()\d]+?) ?(?P<code>[A-Z]{1,8}\d{3,5})|(?P<plain>fatal error|error|warning)) ?: "
    r"(?P<message>.+?)(?: \[[^\[\]]+\.\w*proj\])?$"
)
_MSVC_TOOL = re.compile(
    r"^(?:\d+>\s*)?(?P<file>\S.*?)\s?: (?P<severity>[^:()\d]+?) (?P<code>(?:C|D|U|A|RC|LNK|MSB|CVT|PRJ)\d{3,5}) ?: "
    r"(?P<message>.+?)(?: \[[^\[\]]+\.\w*proj\])?$"
)
_REFERENCE = re.compile(
    r"^(?:\S*\bld(?:\.\w+)?(?:\.exe)?: )?(?:\S+\.(?:o|obj|a)(?:\([^)]*\))?:)?(?P<file>(?:[A-Za-z]:[\\/])?[^:]+?):"
    r"(?:(?P<line>\d+):|\(\.[^)]*\):|function .+?: error:) "
    r"(?P<message>undefined reference to .+|multiple definition of .+|relocation .+ against .+)$"
)
_LLD_PLACE = re.compile(
    r"^(?:>>>|\s+note:) (?:referenced by|defined at) (?P<file>.+?):(?P<line>\d+)\b(?: \((?P<full>.+):\d+\)$)?"
)
_TOOL = re.compile(
    r"(?:^|-)(?:ld|lld-link|ld64|mold|collect2|cc1|cc1plus|cc|gcc|g\+\+|c\+\+|clang|clang\+\+|clang-cl|cl|ccache|sccache"
    r"|distcc|ninja|nvcc)(?:$|[.-])"
)
_LINKER = re.compile(r"(?:^|-)(?:ld|lld-link|ld64|mold)(?:$|[.-])")
_SAID = re.compile(r"^(?P<severity>fatal error|error|fatal|warning): (?P<message>.+)$")
_BARE = re.compile(r"^(?P<severity>fatal error|error): (?P<message>.+)$")  # zig
_CMAKE = re.compile(r"^CMake (?P<severity>Error|Warning)(?: \(dev\))?(?: (?:at|in) (?P<file>.+?)(?::(?P<line>\d+))?)?"
                    r"(?: \((?P<command>\w+)\))?:\s*(?P<message>.*)$")  # fmt: skip
_MAKE = re.compile(r"^(?:[\w./-]*make(?:\[\d+\])?): \*\*\* (?!.*\bError \d+)(?P<message>.+?)(?:\.?\s+Stop\.)?$")
_UNDEFINED_MACOS = re.compile(r'^  "(?P<message>.+)", referenced from:$')

_SAYS_NOTHING = re.compile(  # lines that only tell that there was an error elsewhere
    r"ld returned \d+ exit status|linker command failed with exit code|build stopped|final link failed"
    r"|: [Ii]n function [`'‘]|MSB3073|MSB8066|skipping incompatible|: (?:note|NOTE): "
)

DISK_FULL = "the disk is full: make room"
_MACHINE = (
    (
        re.compile(r"No space left on device|File too large|There is not enough space on the disk|LNK1180|C1085"),
        DISK_FULL,
    ),
    (
        re.compile(r"Killed signal terminated|terminated by signal 9|virtual memory exhausted|Cannot allocate memory"
                   r"|out of memory|std::bad_alloc|C1060|C1076|LNK1102"),
        "the compiler ran out of memory: lower BUILD_JOBS",
    ),
    (re.compile(r"Too many open files"), "too many files are open: raise the limit (`ulimit -n`)"),
)  # fmt: skip


@dataclass
class _Collected:
    """Errors and warnings in the order of the log, each once, bounded."""

    redact: Callable[[str], str]
    errors: dict[Diagnostic, None] = field(default_factory=dict)
    warnings: dict[Diagnostic, None] = field(default_factory=dict)

    def add(self, diagnostic: Diagnostic) -> None:
        into = self.warnings if diagnostic.severity == "warning" else self.errors
        if len(into) < MOST:
            into.setdefault(replace(diagnostic, message=_shorten(self.redact(diagnostic.message))))

    @property
    def all(self) -> tuple[Diagnostic, ...]:
        return (*self.errors, *self.warnings)[:MOST]


def parse_diagnostics(
    lines: Iterable[str], source: PurePath, build: PurePath, redact: Callable[[str], str]
) -> tuple[Diagnostic, ...]:
    """At most 50 diagnostics, errors first, each once. Files in `source` are named relative to it.

    `build` is the folder that relative names in the log start from; `redact` strikes a message before it is cut. Memory
    does not grow with the log.
    """
    collected = _Collected(redact)
    for diagnostic in _read(_clean(line) for line in lines):
        collected.add(replace(diagnostic, file=_name(diagnostic.file, source, build)))
    return collected.all


def _clean(line: str) -> str:
    return _ANSI.sub("", line[:_LONGEST_LINE]).rstrip()


def _read(lines: Iterator[str]) -> Iterator[Diagnostic]:
    """A diagnostic may say more in the lines behind it: cmake its message, lld its place."""
    open_one: Diagnostic | None = None
    follow: list[str] = []
    for line in lines:
        if open_one is not None:
            if _continues(open_one, line, follow):
                follow.append(line)
                continue
            yield _close(open_one, follow)
            open_one, follow = None, []
        found = _read_line(line)
        if found is not None and _says_more(found, line):
            open_one = found
        elif found is not None:
            yield found
    if open_one is not None:
        yield _close(open_one, follow)


def _says_more(found: Diagnostic, line: str) -> bool:
    return line.startswith("CMake ") or _misses_symbol(found)


def _misses_symbol(found: Diagnostic) -> bool:
    return found.file is None and ("undefined symbol" in found.message or "duplicate symbol" in found.message)


def _continues(open_one: Diagnostic, line: str, follow: list[str]) -> bool:
    if len(follow) >= _LONGEST_CMAKE:
        return False
    if _misses_symbol(open_one):
        return line.startswith((">>> ", "    note: "))
    said = next((each.strip() for each in reversed(follow) if each.strip()), open_one.message)
    begun = bool(said) and not said.endswith(":")
    return line.startswith("  ") or (not line and not begun)  # its first paragraph is enough, and what that announces


def _close(open_one: Diagnostic, follow: list[str]) -> Diagnostic:
    if _misses_symbol(open_one):
        place = next((match for line in follow if (match := _LLD_PLACE.match(line))), None)
        return replace(open_one, file=place["full"] or place["file"], line=int(place["line"])) if place else open_one
    text = " ".join(line.strip() for line in follow if line.strip())
    return replace(open_one, message=f"{open_one.message} {text}".strip() or "it gives no reason")


def _read_line(line: str) -> Diagnostic | None:
    for read in (_read_cmake, _read_gnu, _read_msvc, _read_reference, _read_tool):
        if (found := read(line)) is not None:
            return None if _SAYS_NOTHING.search(line) else found
    return None


def _read_cmake(line: str) -> Diagnostic | None:
    match = _CMAKE.match(line)
    if match is None:
        return None
    return Diagnostic(match["message"].strip(), match["file"], _number(match["line"]), None, match["severity"].lower())


def _read_gnu(line: str) -> Diagnostic | None:
    match = _GNU.match(line)
    if match is None:
        return None
    severity = "fatal error" if match["severity"].startswith("internal") else match["severity"].lower()
    return Diagnostic(match["message"], match["file"], int(match["line"]), _number(match["column"]), severity)


def _read_msvc(line: str) -> Diagnostic | None:
    match = _MSVC.match(line.lstrip())
    if match is not None:
        code, word = match["code"], match["severity"] or match["plain"]
        message = f"{code}: {match['message']}" if code else match["message"]
        place = (match["file"].strip(), int(match["line"]), _number(match["column"]))
        return Diagnostic(message, *place, _severity(word, code))
    match = _MSVC_TOOL.match(line.lstrip())
    if match is None:
        return None
    file = None if match["file"].strip() in ("LINK", "MSBUILD", "cl", "CVTRES", "CSC") else match["file"].strip()
    return Diagnostic(
        f"{match['code']}: {match['message']}", file, None, None, _severity(match["severity"], match["code"])
    )


def _read_reference(line: str) -> Diagnostic | None:
    match = _REFERENCE.match(line)
    return None if match is None else Diagnostic(match["message"], match["file"], _number(match["line"]))


def _read_tool(line: str) -> Diagnostic | None:
    if (match := _BARE.match(line)) is not None:
        return Diagnostic(match["message"], severity=match["severity"])
    if (match := _MAKE.match(line) or _UNDEFINED_MACOS.match(line)) is not None:
        return Diagnostic(match["message"])
    tool, _, rest = line.partition(": ")
    name = re.split(r"[/\\]", tool)[-1]
    if not rest or not _TOOL.search(name):
        return None
    if (match := _SAID.match(rest)) is not None:
        return Diagnostic(
            match["message"], severity="fatal error" if match["severity"] == "fatal" else match["severity"]
        )
    return Diagnostic(rest) if _LINKER.search(name) else None  # of those that only talk, linkers alone mean an error


def _severity(word: str, code: str | None) -> str:
    """Localised words are known by the code: C4xxx and LNK4xxx are warnings, C1xxx and LNK1xxx are fatal."""
    word = word.strip().lower()
    if word in ("error", "fatal error", "warning"):
        return word
    digits = (code or "").lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    family = (code or "").removesuffix(digits)
    if family in ("C", "LNK") and digits.startswith(("1", "4")):
        return "warning" if digits.startswith("4") else "fatal error"
    return "error"


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _name(file: str | None, source: PurePath, build: PurePath) -> str | None:
    """Relative to the source where it lies in it; a relative name inside the build folder is cmake's, and is so."""
    if file is None:
        return None
    path, root = _normalise(build / file), _normalise(source)
    if path.is_relative_to(root) and not path.is_relative_to(_normalise(build)):
        return path.relative_to(root).as_posix()
    return file


def _normalise(path: PurePath) -> PurePath:
    """Without `..`, by name alone: the log may be of another machine."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts and parts[-1] != path.anchor:
            parts.pop()
        else:
            parts.append(part)
    return type(path)(*parts)


def _shorten(message: str) -> str:
    return message if len(message) <= LONGEST else f"{message[: LONGEST - 1]}…"


def find_machine_fault(diagnostics: Iterable[Diagnostic]) -> str | None:
    """A sentence where the machine made a build fail and not the code: no analyst can mend that."""
    return find_machine_words(each.message for each in diagnostics)


def find_machine_words(lines: Iterable[str]) -> str | None:
    """The same of a whole log in which no compiler told of an error: a step of the build's own may have failed."""
    return next((cure for line in lines for pattern, cure in _MACHINE if pattern.search(line)), None)
