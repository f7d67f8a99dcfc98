"""Fault points: places where a test makes the keeper die, or a write fail. They cost one comparison when off.

`SPIRIT_HEALER_POINT=name:kill` ends the keeper as `kill -9` would when it comes to that point, `name:full` lets the
point raise "no space left on device", each time. The variable never reaches the server.
"""

from __future__ import annotations

import errno
import os
import signal

VARIABLE = "SPIRIT_HEALER_POINT"

NAMES = (
    "start.prepared",  # a start is decided, nothing was done
    "start.spawn.before",  # the output file has its name, no process yet
    "start.spawn.after",  # the process lives, nothing says so
    "start.told",  # its event is written, observed.json does not know it
    "start.noted",  # observed.json knows it
    "ready.seen",  # the server is ready, nothing says so
    "exit.seen",  # the server is gone and was waited for, nothing says so
    "exit.moved",  # its log and core are moved aside
    "exit.told",  # its event is written, nothing else
    "stop.noted",  # the stop is noted, no signal was sent
    "stop.signalled",
    "stop.stacks",
    "stop.kill",
    "stage.copied",  # one file is staged
    "swap.noted",  # swap.json is there, nothing moved
    "swap.step",  # before each rename; `swap.step.N` is the N-th
    "swap.moved",  # all files are in place, swap.json is still there
    "swap.done",  # swap.json is gone, nothing started
    "journal.write",
    "journal.sync",
    "state.write",
    "output.open",
)

_armed, _, _action = os.environ.get(VARIABLE, "").partition(":")


def point(name: str) -> None:
    """Does nothing, unless the environment asked for a fault here. Raises OSError for `full`."""
    if _armed and _armed == name:
        _fire()


def _fire() -> None:
    if _action == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
