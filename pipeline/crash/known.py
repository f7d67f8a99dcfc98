"""What is known about crashes of other realms: hints for whoever looks, never a verdict.

`data/knowledge.toml` has what we know (`data/README.md` says how it is read), a user's own files have the same form.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pipeline.crash.names import normalise
from pipeline.errors import DefiniteError
from pipeline.model import CrashReport

NEAR = 8  # frames, from the frame of interest on, in which `function` is looked for
FAR = 64  # frames in which `called_by` is looked for
LARGEST = 1 << 20  # bytes of a file
_LONGEST = 2000  # characters of what a crash says that are looked at
_BUILT_IN = "pipeline.crash"
_NEEDED = ("name", "cause", "cure")
_PATTERNS = ("function", "called_by", "says")
_CONDITIONS = ("class", *_PATTERNS)
_TEXTS = (*_NEEDED, "see", *_PATTERNS)
_KEYS = (*_NEEDED, "see", *_CONDITIONS)
_UNUSABLE = (re.error, OverflowError, RecursionError)  # what `re.compile` raises


class BadEntry(DefiniteError):
    """A file of a user's own that cannot be used; the message names it, and the entry."""


@dataclass(frozen=True)
class Entry:
    """One crash that is known. Each of the conditions that it has must hold; it has at least one."""

    name: str
    cause: str
    cure: str
    classes: frozenset[str] = frozenset()  # words of `classes.py`
    function: re.Pattern[str] | None = None  # the whole name of a function near the crash
    called_by: re.Pattern[str] | None = None  # the whole name of any function of the stack
    says: re.Pattern[str] | None = None  # somewhere in what the exception or the assertion says
    see: str | None = None  # where more is told, in words or as an address

    def fits(self, report: CrashReport) -> bool:
        return (
            (not self.classes or report.category in self.classes)
            and (self.function is None or _is_among(self.function, _names(report, report.crashing_frame or 0, NEAR)))
            and (self.called_by is None or _is_among(self.called_by, _names(report, 0, FAR)))
            and (self.says is None or any(self.says.search(each) for each in _said(report)))
        )


def _is_among(pattern: re.Pattern[str], names: Iterable[str]) -> bool:
    return any(pattern.fullmatch(name) for name in names)


def _names(report: CrashReport, start: int, count: int) -> list[str]:
    return [name for frame in report.frames[start : start + count] if (name := normalise(frame.function))]


def _said(report: CrashReport) -> list[str]:
    """The words of the exception and of the assertion, each by itself."""
    exception, assertion = report.exception, report.assertion
    words = [exception.code, exception.name] if exception else []
    words += [assertion.expression, assertion.message] if assertion else []
    return [each[:_LONGEST] for each in words if each]


def find_entry(report: CrashReport, entries: Sequence[Entry] | None = None) -> Entry | None:
    """The first that fits; None also for what is no bug. `entries` = None: the built-in ones."""
    if report.environment:
        return None
    return next((entry for entry in (get_entries() if entries is None else entries) if entry.fits(report)), None)


@functools.lru_cache(maxsize=1)
def get_entries() -> tuple[Entry, ...]:
    """The built-in ones."""
    return parse_entries((resources.files(_BUILT_IN) / "data" / "knowledge.toml").read_text("utf-8"), "knowledge.toml")


def read_own(folder: Path) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """(a user's own entries, what cannot be used and why: a sentence for each file); nothing where there is no folder.
    A file with a fault in it is left out as a whole. Raises nothing."""
    entries: list[Entry] = []
    faults: list[str] = []
    for path in _list_files(folder):
        try:
            entries += _read_file(path)
        except BadEntry as fault:
            faults.append(str(fault))
        except OSError as fault:
            faults.append(f"{path} cannot be read: {fault.strerror}")
    return tuple(entries), tuple(faults)


def _list_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml" and path.is_file())
    except OSError:  # not there, or not ours to read
        return []


def _read_file(path: Path) -> tuple[Entry, ...]:
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise BadEntry(f"{path} is larger than {LARGEST >> 20} MiB")
    return parse_entries(content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n"), str(path))


@functools.lru_cache(maxsize=32)
def parse_entries(text: str, where: str) -> tuple[Entry, ...]:
    """Of a file. `where` = its name in a fault. Raises BadEntry."""
    try:
        plain = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        raise BadEntry(f"{where} is no TOML: {fault}") from fault
    listed = plain.get("crash", [])
    if set(plain) - {"crash"} or not isinstance(listed, list):
        raise BadEntry(f"{where}: it holds entries that begin with `[[crash]]`, and nothing else")
    return tuple(_parse(each, f"{where}: entry {number}") for number, each in enumerate(listed, 1))


def _parse(plain: Any, where: str) -> Entry:
    if not isinstance(plain, Mapping):
        raise BadEntry(f"{where} is no table: it begins with `[[crash]]`")
    if unknown := set(plain) - set(_KEYS):
        raise BadEntry(f"{where}: `{min(unknown)}` is none of {', '.join(f'`{each}`' for each in _KEYS)}")
    texts = {key: _text(plain[key], f"{where}: `{key}`") for key in _TEXTS if key in plain}
    if missing := [key for key in _NEEDED if key not in texts]:
        raise BadEntry(f"{where} has no `{missing[0]}`")
    where = f"{where} (`{texts['name']}`)"
    if not any(key in plain for key in _CONDITIONS):
        raise BadEntry(f"{where} fits every crash: it needs `class`, `function`, `called_by` or `says`")
    patterns = {key: _compile(texts[key], f"{where}: `{key}`") for key in _PATTERNS if key in texts}
    return Entry(
        name=texts["name"],
        cause=texts["cause"],
        cure=texts["cure"],
        classes=_words(plain.get("class", []), f"{where}: `class`"),
        function=patterns.get("function"),
        called_by=patterns.get("called_by"),
        says=patterns.get("says"),
        see=texts.get("see"),
    )


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadEntry(f"{where} is a text in quotation marks")
    return value


def _words(value: Any, where: str) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadEntry(f'{where} is a list of words, such as ["access violation", "abort"]')
    return frozenset(value)


def _compile(rule: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(rule)
    except _UNUSABLE as fault:
        raise BadEntry(f"{where} is no regular expression: {fault}") from fault
