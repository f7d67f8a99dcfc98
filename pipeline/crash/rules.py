"""The lists of frames in `data/` (its README says what each means), read once."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from pipeline.crash.names import normalise
from pipeline.model import Frame

_NEVER = re.compile(r"(?!)")
_LONGEST_PATH = 400  # characters that are looked at, from the end
_BUILT_IN = "pipeline.crash"


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
        path = file[-_LONGEST_PATH:].replace("\\", "/")
        bare = name is None or "::" not in name
        return self.paths.fullmatch(path) is not None or (bare and self.headers.fullmatch(path) is not None)

    def is_prefix(self, frame: Frame) -> bool:
        name = normalise(frame.function)
        return name is not None and self.prefix.fullmatch(name) is not None


def module_name(module: str) -> str:
    """`C:\\Srv\\worldserver.exe` and `/srv/bin/worldserver` are `worldserver.exe` and `worldserver`."""
    return re.split(r"[\\/]", module.strip())[-1]


@functools.cache
def get_rules(extra: Path | None = None) -> Rules:
    """The built-in lists, and with `extra` a user's own folder of lists added to them. Raises re.error, OSError."""
    return Rules(
        sentinel=_compile(_read_list("sentinel", extra)),
        irrelevant=_compile(_read_list("irrelevant", extra)),
        prefix=_compile(_read_list("prefix", extra)),
        paths=_compile(_read_list("paths", extra), re.IGNORECASE),
        headers=_compile(_read_list("headers", extra), re.IGNORECASE),
        modules=_compile(_read_list("modules", extra), re.IGNORECASE),
        world=tuple(_compile([line]) for line in _read_list("world", extra)),
        waiting=_compile(_read_list("waiting", extra)),
    )


def _compile(lines: list[str], flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    if not lines:
        return _NEVER
    return re.compile("|".join(f"(?:{line})" for line in lines), flags)


def _read_list(name: str, extra: Path | None) -> list[str]:
    folders: list[Traversable] = [resources.files(_BUILT_IN) / "data"]
    if extra is not None and (extra / f"{name}.txt").is_file():
        folders.append(extra)
    return [rule for folder in folders for rule in _rules_of((folder / f"{name}.txt").read_text("utf-8"))]


def _rules_of(text: str) -> list[str]:
    lines = (re.split(r"^#|\s{2,}#", line)[0].strip() for line in text.splitlines())
    return [line for line in lines if line]
