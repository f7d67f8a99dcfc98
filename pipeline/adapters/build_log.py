"""The log of a build: a file of its own for each, bounded, and read while it grows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.adapters.children import Flood

LOGS = "logs"  # in the state folder
MOST_BYTES = 64 << 20  # a build that prints more is ended
_KEPT = 40  # logs
_CHUNK = 1 << 16  # bytes read at once
_LONGEST = 1 << 16  # bytes of a line; the rest of it is not looked at


class TooMuchOutput(Flood):
    """The message is the reason."""


def new_log(state_dir: Path, commit: str) -> Path:
    """A path that is not taken; the oldest logs beyond forty go."""
    folder = state_dir / LOGS
    folder.mkdir(parents=True, exist_ok=True)
    _forget_oldest(folder)
    taken = {each.name for each in folder.iterdir()}
    number = next(n for n in range(1, len(taken) + 2) if f"build-{commit}-{n}.log" not in taken)
    log = folder / f"build-{commit}-{number}.log"
    log.touch()
    return log


def find_log(state_dir: Path, commit: str) -> Path | None:
    """The newest log of a commit."""
    logs = list((state_dir / LOGS).glob(f"build-{commit}-*.log"))
    return max(logs, key=lambda path: path.stat().st_mtime_ns, default=None)


def find_newest_log(state_dir: Path) -> Path | None:
    """Of whatever was built last, or is being built."""
    return max((state_dir / LOGS).glob("build-*.log"), key=lambda path: path.stat().st_mtime_ns, default=None)


class GrowingLog:
    """Reads on from where it was; whole lines only."""

    def __init__(self, path: Path, most: int = MOST_BYTES) -> None:
        self._path = path
        self._most = most
        self._offset = path.stat().st_size
        self._rest = b""

    def read_new(self) -> Iterator[str]:
        """Raises TooMuchOutput."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            while chunk := file.read(_CHUNK):
                self._offset += len(chunk)
                yield from self._split(chunk)
                self._check()

    def truncate(self) -> None:
        """Gives the disk back what was written before the end of the build took effect."""
        if self._path.stat().st_size > self._most:
            with self._path.open("r+b") as file:
                file.truncate(self._most)

    def _split(self, chunk: bytes) -> Iterator[str]:
        *lines, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[:_LONGEST]
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip("\r")

    def _check(self) -> None:
        if self._offset > self._most:
            raise TooMuchOutput(f"it printed more than {self._most >> 20} MiB and was ended")


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a finished log, in constant memory."""
    with path.open("rb") as file:
        while line := file.readline(_LONGEST):
            yield line.decode("utf-8", "replace").rstrip("\r\n")


def _forget_oldest(folder: Path) -> None:
    logs = sorted(folder.glob("build-*.log"), key=lambda path: path.stat().st_mtime_ns)
    for log in logs[: max(0, len(logs) - _KEPT + 1)]:
        log.unlink(missing_ok=True)
