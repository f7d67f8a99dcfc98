"""Fault points: named places where a test makes bot or keeper die, hang or fail. They cost one comparison when off.

`SPIRIT_HEALER_POINT=name:action[:marker],…` arms some. Actions: `off`; `raise` a bug; `full`, "no space left on
device"; `exit`, at once and without clean-up; `kill`, as `kill -9`; `sleep`, for a second; `pause`, until a file
`marker.go` lies there. With a marker, a file that the point makes, it fires once for all processes and lives; without
one, each time. `SPIRIT_HEALER_POINTS_SEEN=file` has each name that is reached appended to it, once for each process.

Neither variable reaches the server. Only the standard library is used here: the keeper stands on it too.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path
from typing import Final

VARIABLE: Final = "SPIRIT_HEALER_POINT"
SEEN: Final = "SPIRIT_HEALER_POINTS_SEEN"
ACTIONS: Final = ("off", "raise", "full", "exit", "kill", "sleep", "pause")
EXIT_CODE: Final = 70
SLEEP: Final = 1.0  # seconds
_LOOK: Final = 0.01  # seconds between two looks for `marker.go`
_LONGEST_PAUSE: Final = 300.0  # seconds: a harness that died leaves nobody hanging


class FaultPoint(Exception):
    """The bug that `raise` is."""


def _read(text: str) -> dict[str, tuple[str, str]]:
    """name -> (action, marker)"""
    parts = [each.partition(":") for each in text.split(",") if each]
    return {name: (rest.partition(":")[0], rest.partition(":")[2]) for name, _, rest in parts}


_armed = _read(os.environ.get(VARIABLE, ""))
_book = os.environ.get(SEEN, "")
_seen: set[str] = set()
_on = bool(_armed or _book)


def point(name: str) -> None:
    """Does nothing, unless the environment asked for a fault here. Raises what the action says."""
    if _on:
        _reach(name)


def _reach(name: str) -> None:
    if _book and name not in _seen:
        _seen.add(name)
        _append(_book, f"{name}\n")
    if name in _armed:
        action, marker = _armed[name]
        if _take(marker):
            _fire(name, action, marker)


def _append(path: str, line: str) -> None:
    book = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(book, line.encode())
    finally:
        os.close(book)


def _take(marker: str) -> bool:
    """Whether nobody was here before."""
    if not marker:
        return True
    try:
        os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True


def _fire(name: str, action: str, marker: str) -> None:
    match action:
        case "raise":
            raise FaultPoint(name)
        case "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        case "exit":
            os._exit(EXIT_CODE)
        case "kill":
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        case "sleep":
            time.sleep(SLEEP)
        case "pause":
            _wait_for(f"{marker}.go")


def _wait_for(path: str) -> None:
    until = time.monotonic() + _LONGEST_PAUSE
    while not Path(path).exists() and time.monotonic() < until:
        time.sleep(_LOOK)
