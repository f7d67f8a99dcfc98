"""One instance per state folder: a kernel lock, free at once when its holder dies; who holds it stands beside it.

The folder itself is locked too, where the system can do that: a disk that is full or read-only has no room for a
lock file, and a bot that cannot lock would leave a dead server down. Every bot takes whatever of both can be had, and
has at least one, so that no two of them hold different ones.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from pipeline.adapters.halted import find_halt
from pipeline.errors import DefiniteError
from pipeline.keeper.protocol import parse_json, replace_file

_SAME_TIME = 1.5  # seconds by which a create time may wander with the clock


class InstanceHeld(DefiniteError):
    """Another bot works on this state folder; the message names it."""


class InstanceLock:
    """Held from `acquire` until the process ends."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir
        self._path = state_dir / "instance.lock"
        self._note = state_dir / "instance.json"
        self._lock = FileLock(self._path, fallback_to_soft=False)
        self._handles: list[int] = []  # of what was locked without writing
        self.unwritten: str | None = None  # why no note says who holds it

    def acquire(self) -> None:
        """Raises InstanceHeld, and OSError where nothing can be locked."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._take()
        except (Timeout, BlockingIOError):
            self.release()
            raise InstanceHeld(f"another bot works on {self._folder}: {self.holder()}") from None
        self.write_note()

    def _take(self) -> None:
        """Raises Timeout or BlockingIOError while another one holds it, OSError where nothing can be locked."""
        self._keep(lock_unwritten(self._folder))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise
        except OSError:
            self._keep(lock_unwritten(self._path))
            if not self._handles:
                raise

    def _keep(self, handle: int | None) -> None:
        if handle is not None:
            self._handles.append(handle)

    def write_note(self) -> None:
        """Says beside the lock who holds it; the lock is as good without."""
        note = {"pid": os.getpid(), "create_time": psutil.Process().create_time(), "host": socket.gethostname()}
        try:
            replace_file(self._note, json.dumps(note))
            self.unwritten = None
        except OSError as fault:
            self.unwritten = f"{self._note.name}: {fault}"

    def holder(self) -> str:
        """Who holds it, as far as the note beside the lock tells; the note alone proves nothing."""
        note = self._read_note()
        if note is None:
            return "it left no note of itself"
        halted = f", which is stopped and does nothing: {cure}" if (cure := self.find_cure()) else ""
        return f"process {note['pid']} on {note['host']}{halted}"

    def find_cure(self) -> str | None:
        """What lets the bot go on that left the note, where somebody has stopped it (SIGSTOP)."""
        pid = self.find_bot()
        return None if pid is None else find_halt(pid)

    def find_bot(self) -> int | None:
        """The pid of the bot of this machine that left the note, if it lives. Takes no lock."""
        note = self._read_note()
        return None if note is None or note["host"] != socket.gethostname() else int(note["pid"])

    def _read_note(self) -> dict[str, Any] | None:
        """None where there is none, and for one that a dead bot left."""
        try:
            note: dict[str, Any] = parse_json(self._note.read_text(encoding="utf-8"))
            return None if _is_of_the_dead(note) else {"pid": note["pid"], "host": note["host"]}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def release(self) -> None:
        self._lock.release()
        while self._handles:
            os.close(self._handles.pop())


def _is_of_the_dead(note: dict[str, object]) -> bool:
    """A note of this machine whose process is gone: its successor could not write one."""
    if note["host"] != socket.gethostname() or not isinstance(pid := note["pid"], int):
        return False
    try:
        created = note.get("create_time")
        return isinstance(created, float) and abs(psutil.Process(pid).create_time() - created) > _SAME_TIME
    except psutil.NoSuchProcess:
        return True


if sys.platform == "win32":
    import msvcrt

    def lock_unwritten(path: Path) -> int | None:
        """As on POSIX, but for files only: Windows locks no folders. The same byte as `filelock`'s. Unproven."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOINHERIT)
        except OSError:
            return None
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as fault:
            os.close(handle)
            raise BlockingIOError(fault.errno, fault.strerror, str(path)) from None
        return handle

else:
    import fcntl

    def lock_unwritten(path: Path) -> int | None:
        """Locks a file or folder that is there, without writing. None where that cannot be done: it is not there, or
        lies on a network's disk. Raises BlockingIOError while somebody else holds it."""
        try:
            handle = os.open(path, os.O_RDONLY)
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            os.close(handle)
            if isinstance(fault, BlockingIOError):
                raise
            return None
        return handle
