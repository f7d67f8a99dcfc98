"""What a check found: a sentence, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"  # it works, but not all of it, or not safely
    FAIL = "fail"  # it will not work


@dataclass(frozen=True)
class Finding:
    name: str  # what was looked at: a setting, or a word
    level: Level
    what: str  # one sentence
    cure: str = ""  # what to do; empty only where all is well


def ok(name: str, what: str) -> Finding:
    return Finding(name, Level.OK, what)


def warn(name: str, what: str, cure: str) -> Finding:
    return Finding(name, Level.WARN, what, cure)


def fail(name: str, what: str, cure: str) -> Finding:
    return Finding(name, Level.FAIL, what, cure)
