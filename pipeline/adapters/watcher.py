"""Wakes the runner when files change. A lost event costs delay, never correctness: there is a tick as well."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from watchfiles import Change, awatch

STEP = 20  # milliseconds in which events are gathered: each look costs: 66 a second took 0.4 % of a core while idle
DEBOUNCE = 20  # milliseconds at the most before they are told
FALLBACK = 2.0  # seconds between two ticks, and until watching is tried again

# What we write ourselves at every tick: watching that would be a circle.
_OURS = (".db", ".sqlite", ".sqlite3", "-wal", "-shm", "-journal", ".log", ".lock", ".tmp")

_log = logging.getLogger(__name__)

Folder = tuple[Path, int, int]  # path, device, inode: a folder that was made anew is another one


class Watcher:
    """Calls `wake` when files come, change or go in some folders, and every few seconds anyway.

    Folders that do not exist are made where that can be done, and waited for where not. Where nothing can be watched
    (network drives) there is the tick.
    """

    def __init__(self, paths: Iterable[Path], wake: Callable[[], None], *, fallback: float = FALLBACK) -> None:
        self.watching = asyncio.Event()  # set while something is watched
        self._paths = tuple(paths)
        self._wake = wake
        self._fallback = fallback
        self._folders: list[Folder] = []  # those that are watched
        self._stop = asyncio.Event()  # ends the present watching
        self._told = ""  # the last fault that was logged

    async def run(self) -> None:
        """Never raises; ends when it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tick())
            tasks.create_task(self._watch_always())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._fallback)
            self._ring()
            if self.watching.is_set() and await asyncio.to_thread(find_folders, self._paths) != self._folders:
                self._stop.set()

    async def _watch_always(self) -> None:
        while True:
            self._folders = await asyncio.to_thread(find_folders, self._paths)
            try:
                await self._watch()
            except Exception as fault:  # whatever a platform's watching may raise, there is still the tick
                self._tell(f"changes are only looked for every {self._fallback:g} s: {fault}")
                await asyncio.sleep(self._fallback)
            self.watching.clear()

    async def _watch(self) -> None:
        """Until one of the folders is another one, or one that was missed has come."""
        if not self._folders:
            await asyncio.sleep(self._fallback)
            return
        self._stop = asyncio.Event()
        changes = awatch(
            *(path for path, _, _ in self._folders), watch_filter=matters, step=STEP, debounce=DEBOUNCE,
            recursive=False, stop_event=self._stop, rust_timeout=round(self._fallback * 1000),
        )  # fmt: skip
        started = asyncio.ensure_future(self._note_start())
        try:
            async for _ in changes:
                self._ring()
        finally:
            started.cancel()

    async def _note_start(self) -> None:
        """By the time anybody else runs, the folders are registered: the watcher does that before it first waits."""
        self.watching.set()
        self._told = ""
        self._ring()  # something may have come while nobody watched

    def _ring(self) -> None:
        try:
            self._wake()
        except Exception:
            _log.exception("waking failed")

    def _tell(self, text: str) -> None:
        if text != self._told:
            _log.warning("%s", text)
        self._told = text


def matters(change: Change, path: str) -> bool:
    """Whether a change is anybody's work: not a temporary file, a log, a lock or a database."""
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    return not name.startswith(".") and not name.lower().endswith(_OURS)


def find_folders(paths: Iterable[Path]) -> list[Folder]:
    """Those of the folders that are there, or can be made."""
    found = []
    for path in paths:
        try:
            path.mkdir(parents=True, exist_ok=True)
            seen = path.stat()
        except OSError:
            continue
        found.append((path, seen.st_dev, seen.st_ino))
    return found
