"""One instance per state folder: a kernel lock, free at once when its holder dies; who holds it stands beside it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from pipeline.errors import DefiniteError
from pipeline.keeper.protocol import replace_file


class InstanceHeld(DefiniteError):
    """Another bot works on this state folder; the message names it."""


class InstanceLock:
    """Held from `acquire` until the process ends."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "instance.lock"
        self._note = state_dir / "instance.json"
        self._lock = FileLock(self._path, fallback_to_soft=False)

    def acquire(self) -> None:
        """Raises InstanceHeld."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InstanceHeld(f"another bot works on {self._path.parent}: {self.holder()}") from None
        own = psutil.Process()
        replace_file(
            self._note,
            json.dumps({"pid": os.getpid(), "create_time": own.create_time(), "host": socket.gethostname()}),
        )

    def holder(self) -> str:
        """Who holds it, as far as the note beside the lock tells; the note alone proves nothing."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            return f"process {note['pid']} on {note['host']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "it left no note of itself"

    def release(self) -> None:
        self._lock.release()
