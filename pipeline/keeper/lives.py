"""What one life of the server leaves behind: its output, its log, its core. Moved aside before the next start."""

from __future__ import annotations

import fnmatch
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.keeper.protocol import sync_folder
from pipeline.points import point

KEPT_LIVES = 20
MOST_OUTPUT = 64 << 20  # bytes of a life's stdout and stderr
KEPT_OUTPUT = 1 << 20  # bytes of its end that stay when it was longer
_NEXT_OUTPUT = "output-next.log"
_LIFE_FILE = re.compile(r"(?:output|log)-(\d{8}T\d{6}\.\d{3}Z)")
_CORE_FILE = re.compile(r"core-\d{8}T\d{6}\.\d{3}Z-\d+$")
_HALTING = b"Halting process"  # TrinityCore's Main.cpp, near the end of an orderly stop
_TAIL = 16384  # bytes of a log looked at for it
_CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")
_CORE_USES_PID = Path("/proc/sys/kernel/core_uses_pid")


def format_stamp(at: float) -> str:
    """A time as it stands in file names: UTC, sortable, to the millisecond."""
    seconds, milliseconds = divmod(round(at * 1000), 1000)
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds)) + f".{milliseconds:03d}Z"


class Outputs:
    """The file that a life's stdout and stderr go to; opened before it is needed, named when the life begins."""

    def __init__(self, lives: Path) -> None:
        self._lives = lives
        self._next: int | None = None

    def prepare(self) -> None:
        """Opens the next life's file. Windows renames no open file: there it is opened when it is needed."""
        if self._next is None and sys.platform != "win32":
            self._next = _open_output(self._lives / _NEXT_OUTPUT)

    def take(self, started: float) -> tuple[int, Path | None]:
        """A descriptor and the file's name. With a full disk it is the null device: the server plays without."""
        path = self._lives / f"output-{format_stamp(started)}.log"
        output, self._next = self._next, None
        if output is not None and _move(self._lives / _NEXT_OUTPUT, path) == path:
            return output, path
        if output is not None:
            return output, None
        opened = _open_output(path)
        return (os.open(os.devnull, os.O_WRONLY), None) if opened is None else (opened, path)


def _open_output(path: Path) -> int | None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    try:
        point("output.open")
        return os.open(path, flags, 0o600)
    except OSError:
        return None


def bound_output(path: Path, most: int = MOST_OUTPUT, kept: int = KEPT_OUTPUT) -> bool:
    """Cuts an output that has become too long down to its end, of which it says so; whether it had to.

    The server goes on writing behind it, as its descriptor appends. Windows knows no such descriptor for a child: there
    it would go on where it was.
    """
    if sys.platform == "win32":
        return False
    try:
        with path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size <= most:
                return False
            file.seek(-kept, os.SEEK_END)
            end = file.read(kept)
            file.seek(0)  # over what goes, and cut behind it: into an empty file the server would write before us
            file.write(b"[%d MiB of output were cut off here: it was too long]\n" % ((size - kept) >> 20) + end)
            file.truncate()
    except OSError:
        return False
    return True


def list_logs(patterns: Iterable[str], server: Path) -> Iterator[Path]:
    """The logs that exist now. A name with `*` stands for all files that match it."""
    for pattern in patterns:
        path = server / pattern
        if "*" not in path.name:
            yield path
            continue
        try:
            names = [each.name for each in os.scandir(path.parent)]
        except OSError:
            continue
        yield from (path.parent / name for name in sorted(names) if fnmatch.fnmatchcase(name, path.name))


def move_logs(patterns: Iterable[str], server: Path, lives: Path, started: float) -> Path | None:
    """Moves a life's logs aside, so that the next life cannot truncate them. The first one's new place."""
    moved: list[Path] = []
    for pattern in patterns:
        if "*" in pattern:  # the server names these by time: nothing overwrites them
            moved += list(list_logs([pattern], server))[-1:]
            continue
        log = server / pattern
        name = f"log-{format_stamp(started)}-{log.name}"
        moved += [new for new in [_move(log, lives / name, log.with_name(name))] if new]
    return moved[0] if moved else None


def move_stale_logs(patterns: Iterable[str], server: Path, lives: Path) -> None:
    """Moves a log aside that lies there before a start and belongs to no life that is known."""
    for log in (server / pattern for pattern in patterns if "*" not in pattern):
        try:
            written = log.stat().st_mtime
        except OSError:
            continue
        move_logs([str(log)], server, lives, written)


def _move(source: Path, *targets: Path) -> Path | None:
    """To the first target that a rename reaches; the place itself if none can be had, None if nothing is there."""
    for target in targets:
        try:
            source.rename(target)
            return target
        except FileNotFoundError:
            if not source.exists():
                return None
        except OSError:
            continue  # another filesystem, or held open by a viewer on Windows
    return source


def keep_safe(paths: Iterable[Path]) -> None:
    """Syncs what a life left, and the names of its files: a crash is read minutes later, maybe in another boot."""
    for path in paths:
        try:
            _sync_file(path)
            sync_folder(path.parent)
        except OSError:
            continue


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))  # Windows syncs only what may be written
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def was_halted(log: Path | None, output: Path | None) -> bool:
    """Whether the log or the output ends like an orderly stop."""
    return any(_HALTING in _read_tail(path) for path in (log, output) if path)


def _read_tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            return file.read()
    except OSError:
        return b""


def take_core(pid: int, started: float, server: Path, lives: Path) -> Path | None:
    """Finds the core of a process and moves it aside, before the next one can overwrite it."""
    found = find_core(pid, started, server)
    if found is None:
        return None
    name = f"core-{format_stamp(started)}-{pid}"
    return _move(found, lives / name, found.with_name(name))


def find_core(pid: int, started: float, server: Path) -> Path | None:
    """Where the kernel's core_pattern puts it (core(5)); None for a pattern that is a pipe."""
    if sys.platform != "linux":
        return None
    pattern = _read_setting(_CORE_PATTERN)
    if not pattern or pattern.startswith("|"):
        return None
    if "%p" not in pattern and _read_setting(_CORE_USES_PID) == "1":
        pattern += ".%p"
    place = server / pattern
    return _find_newest(place.parent, compile_core_name(place.name, pid), started)


def compile_core_name(pattern: str, pid: int) -> re.Pattern[str]:
    """A core_pattern's file name as a regular expression for one process."""
    known = {"%p": str(pid), "%%": "%"}
    parts = re.split(r"(%.)", pattern)
    return re.compile(
        "".join(re.escape(known.get(each, each)) if each in known or each[:1] != "%" else ".*" for each in parts)
    )


def _find_newest(folder: Path, name: re.Pattern[str], started: float) -> Path | None:
    try:
        found = [
            (each.stat().st_mtime, each.path)
            for each in os.scandir(folder)
            if name.fullmatch(each.name) and not _CORE_FILE.fullmatch(each.name) and each.is_file(follow_symlinks=False)
        ]
    except OSError:
        return None
    newest = max((each for each in found if each[0] >= started - 1.0), default=None)
    return Path(newest[1]) if newest else None


def _read_setting(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def prune(lives: Path, server: Path, keep_cores: int, logs: Iterable[str] = ()) -> None:
    """Removes what the oldest lives left, and all but the newest cores. `logs` = the patterns of `move_logs`."""
    files = _list_files(lives) + _list_left_beside(logs, server)
    stamps = sorted({match[1] for path in files if (match := _LIFE_FILE.match(path.name))})
    old = set(stamps[:-KEPT_LIVES])
    _remove(path for path in files if (match := _LIFE_FILE.match(path.name)) and match[1] in old)
    cores = sorted(
        (each for each in files + _list_files(server) if _CORE_FILE.fullmatch(each.name)), key=lambda p: p.name
    )
    _remove(cores[: max(0, len(cores) - keep_cores)])


def _list_left_beside(logs: Iterable[str], server: Path) -> list[Path]:
    """Logs that were moved aside where they were, as the state folder lies on another filesystem."""
    found = []
    for log in {server / pattern for pattern in logs if "*" not in pattern}:
        aside = re.compile(rf"log-\d{{8}}T\d{{6}}\.\d{{3}}Z-{re.escape(log.name)}")
        found += [each for each in _list_files(log.parent) if aside.fullmatch(each.name)]
    return found


def _list_files(folder: Path) -> list[Path]:
    try:
        return [Path(each.path) for each in os.scandir(folder)]
    except OSError:
        return []


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            continue
