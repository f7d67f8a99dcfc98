"""sha256 of files, remembered as long as inode, size and time of change stay the same."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pipeline.keeper.memory import Identity

_CHUNK = 1 << 16  # bytes; what is freed of more than 128 KiB, glibc keeps for the next such piece


def identify_file(path: Path) -> Identity | None:
    """None where there is no regular file."""
    try:
        now = path.stat()
    except OSError:
        return None
    return Identity(now.st_ino, now.st_size, now.st_mtime_ns) if path.is_file() else None


class Checksums:
    """Of files of at most a few builds; shared with the background thread."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Identity, str]] = {}

    def read(self, path: Path) -> str | None:
        """The sha256, None where there is no file. Raises OSError where it cannot be read."""
        now = identify_file(path)
        if now is None:
            return None
        known = self._known.get(os.fspath(path))
        if known and known[0] == now:
            return known[1]
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        self.note(path, now, found)
        return found

    def matches(self, path: Path, sha256: str, size: int) -> bool:
        """Whether the file is this one; a size that differs spares the reading. 0 = size not given."""
        now = identify_file(path)
        if now is None or (size and now.size != size):
            return False
        return self.read(path) == sha256

    def note(self, path: Path, identity: Identity | None, sha256: str) -> None:
        """Remembers what is known without reading."""
        if identity:
            self._known[os.fspath(path)] = (identity, sha256)

    def follow(self, source: Path, target: Path) -> None:
        """A file was renamed: inode, size and time go with it."""
        known = self._known.pop(os.fspath(source), None)
        if known:
            self._known[os.fspath(target)] = known

    def forget_gone(self) -> None:
        """Files that are no more: a keeper lives for months, and each deployment has files of its own."""
        for path in list(self._known):
            if not os.path.lexists(path):
                self._known.pop(path, None)


def copy_with_sum(source: Path, target: Path, mode: int) -> str:
    """Copies, synced together with its mode, and gives the sha256 of what was written."""
    digest = hashlib.sha256()
    with source.open("rb") as old, target.open("wb") as new:
        while chunk := old.read(_CHUNK):
            digest.update(chunk)
            new.write(chunk)
        new.flush()
        target.chmod(mode)
        os.fsync(new.fileno())
    return digest.hexdigest()
