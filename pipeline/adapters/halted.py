"""Processes that somebody has stopped (SIGSTOP, Ctrl-Z): they hold what they hold, and do nothing."""

from __future__ import annotations

import sys

import psutil

_SAME_TIME = 1.5  # seconds by which a create time may wander with the clock
_CURE = "resume it, as in the Resource Monitor" if sys.platform == "win32" else "`kill -CONT {pid}` lets it go on"
_DEAD = (None, psutil.STATUS_ZOMBIE)


def find_halt(pid: int, create_time: float | None = None) -> str | None:
    """What is to be done about a process that is stopped; None for one that goes on, is gone, or is another by now."""
    return _CURE.format(pid=pid) if _read_status(pid, create_time) == psutil.STATUS_STOPPED else None


def lives(pid: int, create_time: float) -> bool:
    """Whether that very process lives, be it stopped."""
    return _read_status(pid, create_time) not in _DEAD


def goes_on(pid: int, create_time: float) -> bool:
    """Whether that very process lives and is not stopped."""
    return _read_status(pid, create_time) not in (*_DEAD, psutil.STATUS_STOPPED)


def _read_status(pid: int, create_time: float | None) -> str | None:
    """None where it is gone, or its number somebody else's."""
    try:
        process = psutil.Process(pid)
        same = create_time is None or abs(process.create_time() - create_time) < _SAME_TIME
        return process.status() if same else None
    except psutil.Error:
        return None
