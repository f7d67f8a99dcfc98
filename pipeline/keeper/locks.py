"""Kernel locks: `keeper.lock` is the keeper's alone, `server.lock` goes down to the server and outlives the keeper."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

if sys.platform == "win32":
    import _winapi

    _OPEN_ALWAYS = 4

    def _acquire(path: Path) -> int | None:
        """A handle without sharing: whoever opens it second is refused. Unproven on a real machine."""
        access = _winapi.GENERIC_READ | _winapi.GENERIC_WRITE
        try:
            return _winapi.CreateFile(str(path), access, 0, 0, _OPEN_ALWAYS, 0, 0)
        except OSError:
            return None

    def _release(handle: int) -> None:
        _winapi.CloseHandle(handle)

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


@dataclass(frozen=True)
class Lock:
    """A lock that is held as long as this handle, or one inherited from it, is open."""

    handle: int  # POSIX: a descriptor

    def release(self) -> None:
        _release(self.handle)


def acquire(path: Path) -> Lock | None:
    """The lock, or None while somebody holds it. Raises OSError where the file cannot be opened."""
    handle = _acquire(path)
    return None if handle is None else Lock(handle)


def take_over(handle: int, path: Path) -> Lock | None:
    """A lock that came through exec; None if the descriptor is not of that file."""
    try:
        mine, there = os.fstat(handle), path.stat()
    except OSError:
        return None
    if (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino):
        return None
    os.set_inheritable(handle, False)
    return Lock(handle)
