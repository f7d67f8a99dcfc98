"""SQLite's file, kept: while it is open it can be removed or replaced under us, which SQLite itself does not notice.

What is still open has all of it, so a file that was removed is written back. One that somebody put in its place is
taken as it is: that is how a copy is put back.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from pipeline.store.outage import DatabaseAway

_log = logging.getLogger(__name__)

Identity = tuple[int, int]  # device and inode
_OPENED = "opened file"  # in a connection's `info`


class KeptFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = False  # it was there and open in this process

    def refuse_to_make_anew(self, _dialect: Any, _record: Any, _arguments: Any, _parameters: Any) -> None:
        """SQLite would make an empty file, and all that is in the open one would be forgotten."""
        if self._seen and self._identify() is None:
            raise sqlite3.OperationalError(f"its file {self._path} was removed")

    def note_opened(self, record: Any) -> None:
        record.info[_OPENED] = self._identify()
        self._seen = self._seen or record.info[_OPENED] is not None

    def check(self, connection: Connection) -> None:
        """In a transaction that holds the lock of what is open: nobody else writes to it. Raises DatabaseAway where
        that is not the file any more; the next connection opens the right one."""
        opened, present = connection.info.get(_OPENED), self._identify()
        if opened is None or present == opened:
            return
        if present is None:
            _log.warning("the database's file %s was removed; it is written back", self._path)
            self._write_back(connection)
        connection.invalidate()
        raise DatabaseAway(f"its file {self._path} was removed or replaced; it is opened again")

    def _write_back(self, connection: Connection) -> None:
        source: Any = connection.connection.dbapi_connection
        fresh = self._path.with_name(f"{self._path.name}.restored")
        with fresh.open("wb") as file:
            file.write(source.serialize())
            file.flush()
            os.fsync(file.fileno())
        for rest in ("-wal", "-shm"):  # of the removed file: they are not this one's
            self._path.with_name(f"{self._path.name}{rest}").unlink(missing_ok=True)
        fresh.replace(self._path)

    def _identify(self) -> Identity | None:
        if sys.platform == "win32":  # a file that is open cannot be removed there
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino
