"""The wish: noticed by a stat, read when it changed, kept as a copy beside the server for when it is unreadable."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.keeper.folders import Folders, read_json, write_json
from pipeline.keeper.protocol import PROTOCOL, Desired, ProtocolError, from_json


@dataclass(frozen=True)
class Unreadable:
    """desired.json is there and cannot be used."""

    error: str


class WishFile:
    """Watches `desired.json`."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._path = os.fspath(folders.desired)
        self._seen: tuple[int, int, int] | None = None

    def read_if_changed(self) -> Desired | Unreadable | None:
        """The new wish, why it cannot be read, or None when nothing changed."""
        try:
            now = os.stat(self._path)  # noqa: PTH116 (ten times a second, for years)
        except OSError:
            return None
        seen = (now.st_ino, now.st_mtime_ns, now.st_size)
        if seen == self._seen:
            return None
        self._seen = seen
        return self._read()

    def _read(self) -> Desired | Unreadable:
        try:
            wish = from_json(Desired, self._folders.desired.read_bytes())
        except (OSError, ProtocolError) as fault:
            return Unreadable(str(fault))
        return check_wish(wish, self._folders.server)

    def keep(self, wish: Desired) -> None:
        """Keeps a copy; failing at it is no reason not to obey."""
        write_json(self._folders.desired_copy, wish)

    def read_copy(self) -> Desired | None:
        """The last wish that was obeyed."""
        copy = read_json(Desired, self._folders.desired_copy)
        found = check_wish(copy, self._folders.server) if copy else None
        return found if isinstance(found, Desired) else None  # SERVER_DIR may be a copy of another one, with all in it


def check_wish(wish: Desired, server: Path) -> Desired | Unreadable:
    """A wish for another folder, of another protocol or without a command is none."""
    if wish.protocol != PROTOCOL:
        return Unreadable(f"protocol {wish.protocol}, this keeper understands {PROTOCOL}")
    if Path(wish.server_dir).resolve() != server:
        return Unreadable(f"it is for {wish.server_dir}, this keeper was started for {server}")
    if not wish.command:
        return Unreadable("it names no command")
    return wish
