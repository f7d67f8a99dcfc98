"""What one artefact shows, before it is judged: the common shape of all readers of this package."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pipeline.model import Assertion, ExceptionInfo, Frame, ReportKind, Revision


@dataclass(frozen=True)
class Thread:
    """One stack, innermost frame first."""

    frames: tuple[Frame, ...]
    name: str = ""  # as the report numbers it: "9", "T1"
    start: int = 0  # frames before it are the report's own making; the crash is at it or below
    cut: bool = False  # there are more frames than were read


@dataclass(frozen=True)
class Cause:
    """A fault of the world around the server, not of its code."""

    what: str  # as a signature has it: "port in use"
    cure: str  # a sentence an operator can act on


@dataclass(frozen=True)
class Reading:
    """Every field may be unknown. `crashed` is the thread that died, `others` the rest."""

    kind: ReportKind = ReportKind.UNKNOWN
    word: str | None = None  # the class, in the words of `classes.py`
    exception: ExceptionInfo | None = None
    assertion: Assertion | None = None
    detail: str | None = None  # stands for the function where no stack tells it: type of exception, glibc's message
    place: Frame | None = None  # where the text itself says it happened
    crashed: Thread | None = None
    others: tuple[Thread, ...] = ()
    revision: Revision | None = None
    crashed_at: datetime | None = None
    cause: Cause | None = None
    asked: bool = False  # the program was stopped or looked at, it did not crash
    notes: tuple[str, ...] = ()
