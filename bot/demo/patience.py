"""How long the demo waits for what takes a build: as long as that goes on, as nobody knows how busy a machine is."""

from __future__ import annotations

import contextlib
from pathlib import Path

from pipeline.adapters.build_log import find_newest_log, read_lines
from pipeline.adapters.build_progress import ProgressReader
from pipeline.model import Progress

STILL = 300.0  # seconds without any sign of life, after which it is given up
TELL = 15.0  # seconds between two words on how far it is


class Patience:
    """`what` is waited for since `now`; instants are monotonic seconds."""

    def __init__(self, state_dir: Path, what: str, now: float) -> None:
        self._state_dir = state_dir
        self._what = what
        self._moved = self._told = now
        self._seen: object = None
        self._shown: Progress | None = None

    def look(self, now: float, sign: object = None) -> str | None:
        """A word on how far the build is, where one is due. `sign` = what else shows by its change that it goes on.
        Raises TimeoutError, with why and what to do, once nothing has changed for STILL seconds."""
        log, size = self._find_log()
        if self._seen != (log, size, sign):
            self._seen, self._moved = (log, size, sign), now
        if now - self._moved > STILL:
            raise TimeoutError(self._give_up(log))
        if now - self._told < TELL or log is None:
            return None
        self._told = now
        progress = read_progress(log)
        news, self._shown = progress != self._shown, progress
        return f"building: {progress.done} of {progress.total}" if news and progress is not None else None

    def _find_log(self) -> tuple[Path | None, int]:
        """Of the newest build, and its size; one that is renamed at this moment is not there."""
        with contextlib.suppress(OSError):
            log = find_newest_log(self._state_dir)
            return log, 0 if log is None else log.stat().st_size
        return None, 0

    def _give_up(self, log: Path | None) -> str:
        progress = None if log is None else read_progress(log)
        far = "" if progress is None else f", at {progress.done} of {progress.total}"
        build = "no build has begun" if log is None else f"the last build, which {log} tells of, stood still{far}"
        return (
            f"waited for {self._what}, and for {STILL:.0f} s nothing moved: {build}. "
            "Where this machine is busy, try again when it has less to do"
        )


def read_progress(log: Path) -> Progress | None:
    reader = ProgressReader()
    with contextlib.suppress(OSError):
        for line in read_lines(log):
            reader.feed(line)
    return reader.progress
