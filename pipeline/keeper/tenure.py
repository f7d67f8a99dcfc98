"""The keeper's hold of its SERVER_DIR: the lock, who says so beside it, and whether it still keeps others out.

A kernel lock cannot be taken from its holder, but its file can be removed by a person who takes it for stale, all the
easier while the keeper is stopped and does not answer. Whoever wakes up then has to notice.
"""

from __future__ import annotations

import math
import os
import time

from pipeline.keeper import locks
from pipeline.keeper.folders import Folders, write_json
from pipeline.keeper.locks import Lock
from pipeline.keeper.process import identify
from pipeline.keeper.protocol import KeeperNote

_RETRY = 5.0  # seconds between two tries to write what could not be written


class Tenure:
    """From the start of the keeper until it leaves, or another one has come."""

    def __init__(self, folders: Folders, lock: Lock) -> None:
        self._folders = folders
        self.lock = lock
        self._next_note = 0.0  # monotonic; infinity = it is written

    def hold(self) -> bool:
        """False once another keeper has this folder. A lock that was lost and that nobody has is taken again."""
        if not self.lock.is_of(self._folders.keeper_lock) and not self._take_again():
            return False
        if time.monotonic() >= self._next_note:
            self._next_note = math.inf if self._write_note() else time.monotonic() + _RETRY
        return True

    def _take_again(self) -> bool:
        try:
            self._folders.make()
            lock = locks.acquire_patiently(self._folders.keeper_lock)
        except OSError:
            return True  # where nothing can be locked nobody else can be
        if lock is None:
            return False
        self.lock.release()
        self.lock, self._next_note = lock, 0.0
        return True

    def _write_note(self) -> bool:
        who = identify(os.getpid())
        return who is not None and write_json(
            self._folders.keeper_note, KeeperNote(who.pid, who.create_time, str(self._folders.state))
        )
