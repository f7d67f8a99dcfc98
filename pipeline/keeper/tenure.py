"""The keeper's hold of its two folders: the locks, who says so beside one, and whether they still keep others out.

A kernel lock cannot be taken from its holder, but its file can be removed by a person who takes it for stale, all the
easier while the keeper is stopped and does not answer. Whoever wakes up then has to notice.
"""

from __future__ import annotations

import contextlib
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

    def __init__(self, folders: Folders, lock: Lock, state_lock: Lock | None, *, foreground: bool = False) -> None:
        self._folders = folders
        self._foreground = foreground
        self.lock = lock
        self.state_lock = state_lock  # None while it cannot be had
        self._next_note = 0.0  # monotonic; infinity = it is written

    def hold(self) -> bool:
        """False once another keeper has this folder. A lock that was lost and that nobody has is taken again."""
        if not self.lock.is_of(self._folders.keeper_lock) and not self._take_again():
            return False
        self._keep_state_lock()
        if time.monotonic() >= self._next_note:
            self._next_note = math.inf if self._write_note() else time.monotonic() + _RETRY
        return True

    def _take_again(self) -> bool:
        if not self._folders.server.is_dir():
            return True  # whoever moved it away may be about to put another one there: it is not made anew
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

    def _keep_state_lock(self) -> None:
        """Had again as soon as it can be; without it the server is looked after all the same."""
        path = self._folders.state_lock
        if self.state_lock is not None and self.state_lock.is_of(path):
            return
        with contextlib.suppress(OSError):
            if lock := locks.acquire(path):
                if self.state_lock:
                    self.state_lock.release()
                self.state_lock = lock

    def _write_note(self) -> bool:
        who = identify(os.getpid())
        if who is None:
            return False
        note = KeeperNote(who.pid, who.create_time, str(self._folders.state), self._foreground)
        return write_json(self._folders.keeper_note, note)
