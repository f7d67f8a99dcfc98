"""`events.jsonl`: what happened, once each. A write that fails is kept and tried again; it never stops a start.

A file that has grown large becomes `events.jsonl.1`, and the next begins: of two such files a bot that was away reads
all, while a server that cannot start for a year, once a minute, fills no disk.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.keeper.protocol import Event, EventKind, ProtocolError, from_json, older_events, sync_folder, to_json
from pipeline.points import point

_TAIL = 1 << 20  # bytes read back at the start of a keeper
LARGEST = 16 << 20  # bytes of one file; some ten thousand starts, a week of one each minute
_MOST_OWED = 1000  # lines kept while the disk is full


class Journal:
    """Appends events. `write` is cheap and unsynced; `sync` makes what was written outlive the machine."""

    def __init__(self, path: Path, keeper: str) -> None:
        self._path = path
        self._keeper = keeper
        self._number, self._torn = _read_end(path)
        self._owed: list[bytes] = []
        self._unsynced = False
        self._unnamed = False  # the file is new, and its name in the folder not synced yet
        self._file: int | None = None

    def write(self, kind: EventKind, at: float, data: Mapping[str, Any]) -> None:
        """Appends one event, or owes it."""
        self._number += 1
        line = to_json(Event(self._keeper, self._number, at, kind.value, data)) + "\n"
        self._owed.append(line.encode("utf-8"))
        del self._owed[:-_MOST_OWED]
        self._append()

    @property
    def owes(self) -> bool:
        return bool(self._owed) or self._unsynced

    def sync(self) -> None:
        """Writes what is owed and syncs; a failure leaves it owed."""
        if self._owed:
            self._append()
        if not self._unsynced or self._file is None:
            return
        try:
            point("journal.sync")
            os.fsync(self._file)
            if self._unnamed:
                sync_folder(self._path.parent)
            self._unsynced = self._unnamed = False
            self._turn_over(self._file)
        except OSError:
            return

    def _turn_over(self, file: int) -> None:
        """Off the way of a restart, and with nothing owed. Where a reader has the file open, which Windows lets nobody
        rename, it grows on until the next time."""
        if self._torn or os.fstat(file).st_size < LARGEST:
            return
        os.close(file)
        self._file = None
        self._path.replace(older_events(self._path))
        sync_folder(self._path.parent)

    def _append(self) -> None:
        text = (b"\n" if self._torn else b"") + b"".join(self._owed)
        try:
            point("journal.write")
            written = os.write(self._open(), text)
        except OSError:
            return
        self._unsynced = True
        self._torn = written < len(text)  # the rest is written again, whole, on a line of its own
        if not self._torn:
            self._owed.clear()

    def _open(self) -> int:
        if self._file is not None and os.fstat(self._file).st_nlink == 0:
            os.close(self._file)  # somebody removed the file: what is written there nobody reads
            self._file = None
        if self._file is None:
            self._unnamed = not self._path.exists()
            binary = getattr(os, "O_BINARY", 0)
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | binary, 0o600)
        return self._file


def _read_end(path: Path) -> tuple[int, bool]:
    """The last number, and whether the last line is torn."""
    text = _read_tail(path)
    numbers = [each.number for each in _parse(text)]
    return max(numbers, default=0), bool(text) and not text.endswith(b"\n")


def list_recent(path: Path) -> list[Event]:
    """The newest events, oldest first; what is torn is left out."""
    return _parse(_read_tail(path))


def _read_tail(path: Path) -> bytes:
    text = _read_end_of(path, _TAIL)
    return _read_end_of(older_events(path), _TAIL - len(text)) + text


def _read_end_of(path: Path, most: int) -> bytes:
    """At most so many bytes."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            return file.read(most)
    except OSError:
        return b""


def _parse(text: bytes) -> list[Event]:
    events = []
    for line in text.splitlines():
        try:
            events.append(from_json(Event, line))
        except (ProtocolError, json.JSONDecodeError):
            continue
    return events
