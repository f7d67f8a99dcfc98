"""Lower priority than the server, so that players do not feel a build."""

from __future__ import annotations

import sys

import psutil

_NICE = 10
_LOWEST_BEST_EFFORT = 7  # not the idle class: behind a busy database that one may never come to its turn
_LOOKS = 50


def lower(root: psutil.Process) -> None:
    """Lowers a process and all below it. What is started later inherits it, so a look that finds nothing is enough."""
    _lower_one(root)
    for _ in range(_LOOKS):
        if not [each for each in _below(root) if _lower_one(each)]:
            return


def _below(root: psutil.Process) -> list[psutil.Process]:
    try:
        return root.children(recursive=True)
    except psutil.Error:
        return []


def _lower_one(process: psutil.Process) -> bool:
    """Whether there was anything to do."""
    try:
        if sys.platform == "win32":
            if process.nice() in (psutil.BELOW_NORMAL_PRIORITY_CLASS, psutil.IDLE_PRIORITY_CLASS):
                return False
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
            process.ionice(psutil.IOPRIO_LOW)
        else:
            if process.nice() >= _NICE:
                return False
            process.nice(_NICE)
            if sys.platform == "linux":
                process.ionice(psutil.IOPRIO_CLASS_BE, _LOWEST_BEST_EFFORT)
    except (psutil.Error, OSError):
        return False
    return True
