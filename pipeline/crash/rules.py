"""The lists of frames in `data/` (its README says what each means), read once."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pipeline.crash.names import normalise
from pipeline.errors import DefiniteError
from pipeline.model import Frame

_NEVER = re.compile(r"(?!)")
_NUMBERED = re.compile(r"(?<!\\)(?:\\\\)*(?:\\[1-9]|\(\?\(\d)")  # `\1`, `(?(1)…)`
_UNUSABLE = (re.error, OverflowError, RecursionError)  # what `re.compile` raises
_LONGEST_PATH = 400  # characters that are looked at, from the end
_BUILT_IN = "pipeline.crash"
LISTS = ("sentinel", "irrelevant", "prefix", "paths", "headers", "modules", "world", "waiting")
Lists = tuple[tuple[str, str], ...]  # of a user's own: name of the list, its text


class BadRule(DefiniteError):
    """A user's own list that cannot be used; the message names the file and the rule."""


@dataclass(frozen=True)
class Rules:
    """Every pattern is meant for `fullmatch` on a normalised value."""

    sentinel: re.Pattern[str]
    irrelevant: re.Pattern[str]
    prefix: re.Pattern[str]
    paths: re.Pattern[str]
    headers: re.Pattern[str]
    modules: re.Pattern[str]
    world: tuple[re.Pattern[str], ...]  # best mark first
    waiting: re.Pattern[str]

    def is_sentinel(self, frame: Frame) -> bool:
        name = normalise(frame.function)
        return name is not None and self.sentinel.fullmatch(name) is not None

    def is_own(self, frame: Frame) -> bool:
        """Whether the frame is the program's own code: known by a name or a module, and not a library's."""
        name = normalise(frame.function)
        if name is None and (frame.module is None or frame.function is not None):
            return False
        if frame.module and self.modules.fullmatch(module_name(frame.module)[:_LONGEST_PATH]):
            return False
        if frame.file and self._is_foreign_file(frame.file, name):
            return False
        return name is None or not (self.irrelevant.fullmatch(name) or self.sentinel.fullmatch(name))

    def _is_foreign_file(self, file: str, name: str | None) -> bool:
        bare = name is None or "::" not in name
        return self.is_library_file(file) if bare else self.paths.fullmatch(_end_of(file)) is not None

    def is_library_file(self, file: str) -> bool:
        """Whether no source of the program's own is called so, whatever the function that a frame names there."""
        path = _end_of(file)
        return self.paths.fullmatch(path) is not None or self.headers.fullmatch(path) is not None

    def is_plumbing(self, name: str) -> bool:
        """Of a normalised name: whether most crashes may have it in common."""
        return any(pattern.fullmatch(name) for pattern in (self.prefix, *self.world))

    def is_prefix(self, frame: Frame) -> bool:
        name = normalise(frame.function)
        return name is not None and self.prefix.fullmatch(name) is not None


def _end_of(file: str) -> str:
    return file[-_LONGEST_PATH:].replace("\\", "/")


def module_name(module: str) -> str:
    """`C:\\Srv\\worldserver.exe` and `/srv/bin/worldserver` are `worldserver.exe` and `worldserver`."""
    return re.split(r"[\\/]", module.strip())[-1]


def read_lists(folder: Path) -> Lists:
    """A user's own lists; () where there is no such folder. Raises BadRule on a list or rule that is none, or on rules
    that do not go together, OSError."""
    if not folder.is_dir():
        return ()
    files = sorted(path for path in folder.iterdir() if path.suffix == ".txt")
    lists = tuple((path.stem, path.read_text("utf-8-sig", errors="replace")) for path in files)
    for name, text in lists:
        _check(folder / f"{name}.txt", name, text)
    try:
        get_rules(lists)
    except _UNUSABLE as fault:
        raise BadRule(f"{folder}: each rule is one, but they do not go together: {fault}") from fault
    return lists


def _check(path: Path, name: str, text: str) -> None:
    if name not in LISTS:
        raise BadRule(f"{path} is none of our lists of frames; they are {', '.join(f'{each}.txt' for each in LISTS)}")
    for rule in _rules_of(text):
        try:
            re.compile(rule)
            re.compile(_enclose(rule))
        except _UNUSABLE as fault:
            raise BadRule(f"{path}: `{rule}` is no regular expression: {fault}") from fault
        if _NUMBERED.search(rule):
            raise BadRule(f"{path}: `{rule}` names a group by its number, which is another one beside other rules")


@functools.lru_cache(maxsize=8)
def get_rules(own: Lists = ()) -> Rules:
    """The built-in lists, and a user's own added to them. Raises re.error on a rule that `read_lists` would refuse."""
    added = dict(own)

    def listed(name: str) -> list[str]:
        built_in = (resources.files(_BUILT_IN) / "data" / f"{name}.txt").read_text("utf-8")
        return [*_rules_of(built_in), *_rules_of(added.get(name, ""))]

    return Rules(
        sentinel=_compile(listed("sentinel")),
        irrelevant=_compile(listed("irrelevant")),
        prefix=_compile(listed("prefix")),
        paths=_compile(listed("paths"), re.IGNORECASE),
        headers=_compile(listed("headers"), re.IGNORECASE),
        modules=_compile(listed("modules"), re.IGNORECASE),
        world=tuple(_compile([line]) for line in listed("world")),
        waiting=_compile(listed("waiting")),
    )


def _compile(lines: list[str], flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    if not lines:
        return _NEVER
    return re.compile("|".join(map(_enclose, lines)), flags)


def _enclose(rule: str) -> str:
    """As it stands beside others, where not all is allowed that is allowed alone."""
    return f"(?:{rule})"


def _rules_of(text: str) -> list[str]:
    lines = (re.split(r"^#|\s{2,}#", line)[0].strip() for line in text.splitlines())
    return [line for line in lines if line]
