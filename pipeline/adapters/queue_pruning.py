"""Which files of the analyst's queue are no longer kept: they are never read again, and grow by thousands a year.

Only what is ours to remove: requests and answers of runs that are over, and in `rejected/` what nobody asked for. What
lay there before us names no run of ours and stays.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection
from pathlib import Path

KEPT_FILES = 500  # of each folder, the newest
KEPT_FOR = 30 * 86400.0  # seconds
_NAME = re.compile(r"(?:request|response)_(.+)\.json", re.DOTALL)
_COUNTED = re.compile(r"[-.]\d+$")  # a later round of the run, or a second file of the same name


def prune(folder: Path, may_go: Callable[[str], bool], now: float) -> None:
    """Removes what is too old or too much of what may go, by its request's id. `now` in seconds since the epoch."""
    newest_first = sorted(_list_of(folder, may_go), reverse=True)
    for number, (written, path) in enumerate(newest_first):
        if number >= KEPT_FILES or now - written > KEPT_FOR:
            _remove(path)


def is_of(request_id: str, runs: Collection[str]) -> bool:
    """Whether one of these runs asked it, in whichever round."""
    while request_id not in runs and _COUNTED.search(request_id):
        request_id = _COUNTED.sub("", request_id)
    return request_id in runs


def _list_of(folder: Path, may_go: Callable[[str], bool]) -> list[tuple[float, Path]]:
    """When each was written, and where it is."""
    found = []
    try:
        for entry in os.scandir(folder):
            match = _NAME.fullmatch(entry.name)
            status = entry.stat(follow_symlinks=False)
            if match and may_go(match[1]) and stat.S_ISREG(status.st_mode):
                found.append((status.st_mtime, Path(entry.path)))
    except OSError:
        return []  # it cannot be read, or changes at this moment: the next time
    return found


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        return  # somebody reads it, on Windows; the next time
