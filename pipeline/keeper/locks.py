"""Kernel locks: `keeper.lock` is the keeper's alone, `server.lock` goes down to the server and outlives the keeper."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_LOOKERS = 0.3  # seconds
_STEP = 0.01  # seconds
_UNKNOWN = "a process that is not known"

if sys.platform == "win32":
    import _winapi

    _OPEN_ALWAYS = 4
    _SHARING_VIOLATION = 32

    def _acquire(path: Path) -> int | None:
        """A handle without sharing: whoever opens it second is refused. Unproven on a real machine."""
        access = _winapi.GENERIC_READ | _winapi.GENERIC_WRITE
        try:
            return _winapi.CreateFile(str(path), access, 0, 0, _OPEN_ALWAYS, 0, 0)
        except OSError as fault:
            if fault.winerror != _SHARING_VIOLATION:
                raise
            return None

    def _release(handle: int) -> None:
        _winapi.CloseHandle(handle)

    def _is_of(_handle: int, _path: Path) -> bool:
        """What is open without sharing cannot be removed."""
        return True

    def name_holder(_path: Path) -> str:
        """Windows does not tell."""
        return _UNKNOWN

else:
    import fcntl

    def _open(path: Path) -> int:
        """A disk that became read-only has the file of before: flock asks for no more than a descriptor."""
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            if not path.is_file():
                raise
            return os.open(path, os.O_RDONLY)

    def _acquire(path: Path) -> int | None:
        handle = _open(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle

    def _release(handle: int) -> None:
        os.close(handle)

    def _is_of(handle: int, path: Path) -> bool:
        try:
            mine, there = os.fstat(handle), os.stat(path)  # noqa: PTH116 (before each start)
        except OSError:
            return False
        return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)

    def name_holder(path: Path) -> str:
        """For people: who holds a lock, as far as the kernel tells (proc(5), /proc/locks)."""
        try:
            file = path.stat()
            place = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
            lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
            return next(f"process {each[4]}" for each in lines if len(each) > 5 and each[5] == place)
        except (OSError, StopIteration):
            return _UNKNOWN


@dataclass(frozen=True)
class Lock:
    """A lock that is held as long as this handle, or one inherited from it, is open."""

    handle: int  # POSIX: a descriptor

    def release(self) -> None:
        _release(self.handle)

    def is_of(self, path: Path) -> bool:
        """False once the file was removed or replaced: whoever locks what lies there now is not kept out by this."""
        return _is_of(self.handle, path)


def acquire(path: Path) -> Lock | None:
    """The lock, or None while somebody holds it. Raises OSError where the file cannot be opened."""
    handle = _acquire(path)
    return None if handle is None else Lock(handle)


def acquire_patiently(path: Path) -> Lock | None:
    """The bot looks whether a keeper lives by holding the lock for microseconds: that is no other keeper."""
    deadline = time.monotonic() + _LOOKERS
    while (lock := acquire(path)) is None and time.monotonic() < deadline:
        time.sleep(_STEP)
    return lock


def take_over(handle: int, path: Path) -> Lock | None:
    """A lock that came through exec; None if the descriptor is not of that file."""
    lock = Lock(handle)
    if not lock.is_of(path):
        return None
    os.set_inheritable(handle, False)
    return lock
