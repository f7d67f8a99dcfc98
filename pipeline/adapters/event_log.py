"""Reading `events.jsonl`, of which usually only the end is new."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipeline.keeper.protocol import Event, ProtocolError, from_json, older_events

Key = tuple[str, int]  # keeper, number
_LONGEST_NAME = 200
_LAST_NUMBER = (1 << 31) - 1  # that a column holds
_LAST_TIME = 253_402_214_400.0  # a day before the end of year 9999, seconds since the epoch

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Mark:
    """Up to where the file was read: behind the line `line` of event `key`."""

    key: Key
    inode: int
    end: int  # bytes
    line: bytes


class EventLog:
    """Reads on where it stopped, as long as that is still the same file; else from its beginning."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: _Mark | None = None

    def read(self, after: Key | None) -> list[Event]:
        """Events behind `after`, oldest first. All of them where `after` is None or nowhere to be found.

        Where it is not in the file, that may have become the older one in between: then its events come first. Looked
        at in this order, a file that becomes the older one meanwhile is read twice, never passed over.
        """
        try:
            found, met = self._read(self._path, after)
            return found if met else [*self._read(older_events(self._path), after)[0], *found]
        except OSError as fault:
            _log.warning("the keeper's events cannot be read now: %s", fault)
            return []

    def _read(self, path: Path, after: Key | None) -> tuple[list[Event], bool]:
        """And whether `after` was met."""
        try:
            with path.open("rb") as file:
                return self._read_file(file, after)
        except FileNotFoundError:
            return [], False

    def _read_file(self, file: IO[bytes], after: Key | None) -> tuple[list[Event], bool]:
        end = self._find_start(file, after)
        met = end > 0
        file.seek(end)
        inode = os.fstat(file.fileno()).st_ino
        found: list[Event] = []
        for line in file:
            if not line.endswith(b"\n"):
                break  # torn, or still being written
            end += len(line)
            event = _parse(line)
            if event is None:
                continue
            key = (event.keeper, event.number)
            self._mark = _Mark(key, inode, end, line)
            found.append(event)
            if key == after:
                found.clear()
                met = True
        return found, met

    def _find_start(self, file: IO[bytes], after: Key | None) -> int:
        """Where to read from, in bytes."""
        mark = self._mark
        return mark.end if mark is not None and mark.key == after and _still_there(file, mark) else 0


def _still_there(file: IO[bytes], mark: _Mark) -> bool:
    if os.fstat(file.fileno()).st_ino != mark.inode:
        return False
    file.seek(mark.end - len(mark.line))
    return file.read(len(mark.line)) == mark.line


def _parse(line: bytes) -> Event | None:
    """None for what no keeper has finished: a line torn by a full disk or the machine's end."""
    try:
        event = from_json(Event, line) if line.strip() else None
    except ProtocolError:
        _log.debug("a torn line among the keeper's events")
        return None
    return event if event is not None and _is_sound(event) else None


def _is_sound(event: Event) -> bool:
    """Whether a keeper can have written it: what a spoilt file holds must not stop the import of the rest."""
    names = (event.keeper, event.kind)
    named = all(each.isascii() and each.isprintable() and 0 < len(each) <= _LONGEST_NAME for each in names)
    return named and 0 <= event.number <= _LAST_NUMBER and 0 <= event.at <= _LAST_TIME and isinstance(event.data, dict)
