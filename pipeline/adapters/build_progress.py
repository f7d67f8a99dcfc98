"""How far a build is, by what it prints: Ninja `[12/345]`, make `[ 37%]`, MSBuild the names of its files."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.model import Progress

NINJA_STATUS = "[%f/%t] "  # finished and total; set in the environment, because users have their own
TELLING_PART = 0.25  # of a build, before which its own pace tells nothing: what is quick comes first
TELLING_SECONDS = 10.0  # and how long it must have run
ALIKE = 3  # times as many units, and an earlier build still tells of this one
_NINJA = re.compile(r"^\[(\d+)/(\d+)\] ")
_MAKE = re.compile(r"^\[ *(\d{1,3})%\] ")
_MSBUILD = re.compile(r"^\s+(?:\d+>)?\s*[\w.+-]+\.(?:c|cc|cpp|cxx|C|c\+\+)$")


class ProgressReader:
    """Fed with the lines of a build. `sources` = how many files MSBuild may compile at the most (0 = not known)."""

    def __init__(self, sources: int = 0) -> None:
        self._sources = sources
        self._compiled = 0
        self.progress: Progress | None = None

    def feed(self, line: str) -> None:
        if (match := _NINJA.match(line)) is not None:
            self.progress = Progress(int(match[1]), int(match[2]))
        elif (match := _MAKE.match(line)) is not None:
            self._advance(int(match[1]), 100)
        elif _MSBUILD.match(line) is not None:
            self._compiled += 1
            self._advance(self._compiled, max(self._compiled, self._sources))

    def _advance(self, done: int, total: int) -> None:
        """make with several jobs prints its percentages out of order."""
        before = self.progress.done if self.progress else 0
        self.progress = Progress(max(done, before), total)


@dataclass(frozen=True)
class Pace:
    """What the last build that succeeded took: its seconds for so many units of its progress."""

    units: int
    seconds: float

    def expect(self, total: int) -> float | None:
        """Seconds for a build of so many units; None where that is one of another size: of few files linking takes
        the time, of many compiling."""
        alike = 0 < self.units <= ALIKE * total and total <= ALIKE * self.units
        return self.seconds * total / self.units if alike else None


def estimate_left(progress: Progress, elapsed: float, learned: Pace | None) -> float | None:
    """Seconds left. What was learned counts less the further this build is; None while nothing can be told, and once
    it takes longer than was thought."""
    if not progress.total:
        return None
    part = min(1.0, progress.done / progress.total)
    own = elapsed / part if part >= TELLING_PART and elapsed >= TELLING_SECONDS else None
    before = learned.expect(progress.total) if learned is not None else None
    whole = own or before
    if own is not None and before is not None:
        whole = part * own + (1 - part) * before
    return whole - elapsed if whole is not None and whole > elapsed else None
