"""Which processes belong to a child of ours, and the end of all of them.

A tree is found in three ways, because each alone has let compilers live on: by descent (lost when a parent dies), by
process group (left by `setsid`), and by the mark in the environment (kept by both, lost only by a cleared environment).
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable

import psutil

MARK = "SPIRIT_HEALER_CHILD"
GRACE = 3.0  # seconds from the asking signal to the killing one: make removes half-written objects when it is asked
_KILL_WITHIN = 10.0  # seconds that killing may take before we give up and say so
_PAUSE = 0.02  # seconds between two looks

_log = logging.getLogger(__name__)

Find = Callable[[], Iterable[psutil.Process]]


def find_process(pid: int, create_time: float) -> psutil.Process | None:
    """The process, if it is still that one. The create time follows the wall clock, so it may be off by a second."""
    try:
        process = psutil.Process(pid)
        return process if abs(process.create_time() - create_time) < 1.0 else None
    except psutil.Error:
        return None


def list_descendants(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def list_group(leader: int) -> list[psutil.Process]:
    """Every process of a POSIX process group; Windows has none that could be listed."""
    if sys.platform == "win32":
        return []
    return [each for each in psutil.process_iter() if _group_of(each.pid) == leader]


def list_marked(accept: Callable[[str], bool]) -> list[psutil.Process]:
    """Every process whose mark is accepted, never ourselves nor what we were started by."""
    spared = {os.getpid(), *(each.pid for each in _ancestors())}
    return [
        each
        for each in psutil.process_iter()
        if each.pid not in spared and (mark := mark_of(each)) is not None and accept(mark)
    ]


def mark_of(process: psutil.Process) -> str | None:
    """The mark a process carries, None where it carries none or is not ours to look at."""
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError, ValueError):
        return None


def end_all(find: Find, grace: float = GRACE) -> bool:
    """Asks, then kills, until `find` gives nothing that lives. False if something outlived even that."""
    seen: set[psutil.Process] = set()
    if sys.platform != "win32":  # there is no asking on Windows: terminate is kill
        _signal(_living(find, seen), psutil.Process.terminate)
        if _gone(find, seen, grace, None):
            return True
    if _gone(find, seen, _KILL_WITHIN, psutil.Process.kill):
        return True
    _log.error("processes outlived their end: %s", ", ".join(str(each.pid) for each in _living(find, seen)))
    return False


def _gone(find: Find, seen: set[psutil.Process], within: float, act: Callable[[psutil.Process], None] | None) -> bool:
    deadline = time.monotonic() + within
    while living := _living(find, seen):
        if act is not None:
            _signal(living, act)
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _living(find: Find, seen: set[psutil.Process]) -> list[psutil.Process]:
    """`seen` keeps what a dying parent would hide from the next look."""
    seen.update(find())
    return [each for each in seen if is_alive(each)]


def is_alive(process: psutil.Process) -> bool:
    """A zombie is dead: it only waits to be reaped."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _signal(processes: list[psutil.Process], act: Callable[[psutil.Process], None]) -> None:
    for each in processes:
        try:
            act(each)
        except psutil.Error:
            _log.debug("process %s was gone before its end", each.pid)


def _group_of(pid: int) -> int | None:
    if sys.platform == "win32":
        return None
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _ancestors() -> list[psutil.Process]:
    try:
        return psutil.Process().parents()
    except psutil.Error:
        return []
