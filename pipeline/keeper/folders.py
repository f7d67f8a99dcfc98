"""Where the keeper's files are, and how its small files are read and written."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pipeline.keeper.protocol import (
    BUILDS,
    DESIRED,
    EVENTS,
    KEEPER_LOCK,
    KEEPER_NOTE,
    LOCK_FOLDER,
    OBSERVED,
    ProtocolError,
    from_json,
    replace_file,
    sync_folder,
    to_json,
)
from pipeline.points import point

T = TypeVar("T")


@dataclass(frozen=True)
class Folders:
    """The two folders the keeper was started for. Both absolute, without symlinks."""

    state: Path
    server: Path

    @property
    def lives(self) -> Path:
        """Output, logs and cores of each life."""
        return self.state / "server"

    @property
    def own(self) -> Path:
        """The keeper's folder inside SERVER_DIR, on its filesystem."""
        return self.server / LOCK_FOLDER

    @property
    def staged(self) -> Path:
        return self.own / "staged"

    @property
    def previous(self) -> Path:
        return self.own / "previous"

    @property
    def builds(self) -> Path:
        return self.state / BUILDS

    @property
    def desired(self) -> Path:
        return self.state / DESIRED

    @property
    def desired_copy(self) -> Path:
        return self.own / DESIRED

    @property
    def observed(self) -> Path:
        return self.state / OBSERVED

    @property
    def events(self) -> Path:
        return self.state / EVENTS

    @property
    def memory(self) -> Path:
        return self.own / "memory.json"

    @property
    def swap(self) -> Path:
        return self.own / "swap.json"

    @property
    def keeper_lock(self) -> Path:
        return self.own / KEEPER_LOCK

    @property
    def state_lock(self) -> Path:
        """So that the state folder has one keeper as well, whatever its SERVER_DIR."""
        return self.state / KEEPER_LOCK

    @property
    def keeper_note(self) -> Path:
        return self.own / KEEPER_NOTE

    @property
    def server_lock(self) -> Path:
        return self.own / "server.lock"

    @property
    def faults(self) -> Path:
        """Tracebacks of the keeper's own bugs."""
        return self.state / "keeper.log"

    def make(self) -> None:
        """Raises OSError only for the folder without which nothing can be locked."""
        self.own.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            sync_folder(self.server)
            self.lives.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_folder(self.state)
        except OSError:
            return  # a full or unwritable state folder stops no start

    def sweep(self) -> None:
        """Removes what a keeper that was killed in a write left half written. Only by who holds the locks."""
        for path in (self.observed, self.memory, self.swap, self.keeper_note, self.desired_copy):
            for left in path.parent.glob(f".{path.name}.*.tmp"):
                with contextlib.suppress(OSError):
                    left.unlink()


def read_json(shape: type[T], path: Path) -> T | None:
    """None where there is no such file or it cannot be read as one."""
    try:
        return from_json(shape, path.read_bytes())
    except (OSError, ProtocolError):
        return None


def write_json(path: Path, value: Any) -> bool:
    """False when it could not be written."""
    try:
        point("state.write")
        replace_file(path, to_json(value))
    except OSError:
        return False
    return True
