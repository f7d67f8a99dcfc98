"""BUILD_LIKE: what a build folder that the operator has says about how this source is built.

Taken over from its CMakeCache.txt: the generator with platform, toolset and instance; every entry that is the user's or
the project's to choose (compilers, launchers, flags, build type, install prefix, tool chain file, options, found
packages). Left out: what cmake keeps for itself (INTERNAL, STATIC, tools it finds by the compiler), what was not found,
and what lies in that build folder, because it is made anew in ours. What lies in that folder's source is pointed at our
clone where the clone has it, else left where it is (a tool chain that git ignores) - except the install prefix, which
is compiled into the server and stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import DefiniteError

CACHE = "CMakeCache.txt"
_ENTRY = re.compile(r'^(?:"(?P<quoted>[^"]+)"|(?P<plain>[^#/"][^:=]*)):(?P<kind>[A-Z]+)=(?P<value>.*)$')
_KEPT_FOR_ITSELF = frozenset({"INTERNAL", "STATIC"})
_VERBATIM = frozenset({"CMAKE_INSTALL_PREFIX"})
_OWN_TOOLS = re.compile(  # found again by the compiler, or of no meaning in another folder
    r"CMAKE_(?:LINKER|NM|OBJCOPY|OBJDUMP|READELF|STRIP|ADDR2LINE|DLLTOOL|MT|TAPI|COMMAND|ROOT"
    r"|(?:C|CXX)_COMPILER_(?:AR|RANLIB)|CACHEFILE_DIR|HOME_DIRECTORY|FIND_PACKAGE_REDIRECTS_DIR|EXPORT_COMPILE_COMMANDS"
    r"|PROJECT_\w+)|CPACK_.*|FETCHCONTENT_BASE_DIR|CTEST_.*|.*_(?:BINARY|SOURCE)_DIR|.*_IS_TOP_LEVEL"
)
_BUILD_TYPE = "CMAKE_BUILD_TYPE"
_MAKE_PROGRAM = "CMAKE_MAKE_PROGRAM"


@dataclass(frozen=True)
class Entry:
    kind: str  # BOOL, STRING, PATH, FILEPATH, UNINITIALIZED, INTERNAL, STATIC
    value: str


@dataclass(frozen=True)
class Likeness:
    """How the other folder was configured, in words of ours."""

    generator: str | None = None
    platform: str | None = None
    toolset: str | None = None
    instance: str | None = None
    entries: Mapping[str, Entry] = field(default_factory=dict)

    @property
    def build_type(self) -> str | None:
        entry = self.entries.get(_BUILD_TYPE)
        return entry.value or None if entry else None

    def arguments(self) -> list[str]:
        chosen = (("-G", self.generator), ("-A", self.platform), ("-T", self.toolset))
        words = [word for flag, value in chosen if value for word in (flag, value)]
        return [*words, *([f"-DCMAKE_GENERATOR_INSTANCE={self.instance}"] if self.instance else [])]

    def script(self) -> str:
        """A file for `cmake -C`; a command line would be too long for Windows. What follows it by `-D` overrules it."""
        return "".join(_statement(name, entry) for name, entry in sorted(self.entries.items()))


def read_likeness(folder: Path, clone: Path) -> Likeness:
    """Raises DefiniteError where the folder is not a build folder."""
    try:
        text = (folder / CACHE).read_text(encoding="utf-8", errors="replace")
    except OSError as fault:
        raise DefiniteError(
            f"BUILD_LIKE: {folder} has no {CACHE} ({fault.strerror}): give a folder that cmake configured"
        ) from fault
    return likeness_of(dict(parse_cache(text)), folder, clone)


def parse_cache(text: str) -> Iterator[tuple[str, Entry]]:
    for line in text.splitlines():
        if (match := _ENTRY.match(line)) is not None:
            name = match["quoted"] or match["plain"]
            if not name.endswith("-ADVANCED"):
                yield name, Entry(match["kind"], match["value"].strip("'"))


def likeness_of(cache: Mapping[str, Entry], folder: Path, clone: Path) -> Likeness:
    def value(name: str) -> str | None:
        return cache[name].value or None if name in cache else None

    folder = Path(value("CMAKE_CACHEFILE_DIR") or folder)  # as cmake wrote it into the other values
    source = Path(value("CMAKE_HOME_DIRECTORY") or folder)
    kept: dict[str, Entry] = {}
    for name, entry in cache.items():
        if _is_chosen(name, entry) and (moved := _move(name, entry.value, (folder, source, clone))) is not None:
            kept[name] = Entry("STRING" if entry.kind == "UNINITIALIZED" else entry.kind, moved)
    return Likeness(
        value("CMAKE_GENERATOR"),
        value("CMAKE_GENERATOR_PLATFORM"),
        value("CMAKE_GENERATOR_TOOLSET"),
        value("CMAKE_GENERATOR_INSTANCE"),
        kept,
    )


def _is_chosen(name: str, entry: Entry) -> bool:
    if entry.kind in _KEPT_FOR_ITSELF or _OWN_TOOLS.fullmatch(name):
        return False
    if name == _MAKE_PROGRAM and not Path(entry.value).exists():
        return False
    return not entry.value.endswith("-NOTFOUND") and entry.value != "NOTFOUND"


def _move(name: str, value: str, places: tuple[Path, Path, Path]) -> str | None:
    """The value in our world, None where it has none: a path of the other build, or one that is not there any more."""
    if name in _VERBATIM:
        return value
    parts = [_move_one(part, *places) for part in value.split(";")]
    return None if any(part is None for part in parts) else ";".join(part for part in parts if part is not None)


def _move_one(value: str, folder: Path, source: Path, clone: Path) -> str | None:
    if _is_below(value, folder):
        return None
    if not _is_below(value, source):
        return value
    ours = clone / Path(value).relative_to(source)
    if ours.exists():
        return ours.as_posix()
    return value if Path(value).exists() else None


def _is_below(value: str, folder: Path) -> bool:
    path = Path(value)
    return path.is_absolute() and path.is_relative_to(folder)


def _statement(name: str, entry: Entry) -> str:
    equals = "="
    while f"]{equals}]" in entry.value:
        equals += "="
    return f'set({name} [{equals}[{entry.value}]{equals}] CACHE {entry.kind} "as in BUILD_LIKE")\n'
