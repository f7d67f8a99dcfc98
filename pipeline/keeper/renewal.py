"""The keeper replaces itself by a newer one of the same command line: exec keeps its children and their statuses."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from pipeline.keeper.folders import Folders
from pipeline.keeper.launch import EXEC
from pipeline.keeper.locks import Lock, acquire, acquire_patiently, take_over

_BLOCKED = ("SIGTERM", "SIGINT", "SIGHUP")  # until the new one listens to them


def renew(keeper_lock: Lock, server_lock: Lock | None) -> None:
    """Does not return, unless the program cannot be run any more (OSError). POSIX only."""
    if sys.platform == "win32":
        return  # there a new keeper adopts
    held = [keeper_lock, *([server_lock] if server_lock else [])]
    for each in held:
        os.set_inheritable(each.handle, True)
    names = ",".join(str(each.handle) for each in held)
    _mask(signal.SIG_BLOCK)
    try:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, EXEC: names})  # noqa: S606
    finally:  # only when it failed
        allow_signals()
        for each in held:
            os.set_inheritable(each.handle, False)


def allow_signals() -> None:
    """What was blocked over an exec comes through, now that somebody listens."""
    if sys.platform != "win32":
        _mask(signal.SIG_UNBLOCK)


def _mask(how: int) -> None:
    if sys.platform != "win32":
        signal.pthread_sigmask(how, {getattr(signal, name) for name in _BLOCKED})


def get_locks(folders: Folders) -> tuple[Lock | None, Lock | None]:
    """keeper.lock and server.lock: inherited through exec, else acquired. None = somebody else holds it."""
    inherited = [int(each) for each in os.environ.pop(EXEC, "").split(",") if each.isdigit()]
    taken = [take_over(each, path) for each, path in zip(inherited, _list_paths(folders), strict=False)]
    keeper, server = (*taken, None, None)[:2]
    keeper = keeper or acquire_patiently(folders.keeper_lock)
    if keeper is None:
        return None, None
    return keeper, server or acquire(folders.server_lock)


def _list_paths(folders: Folders) -> tuple[Path, Path]:
    return folders.keeper_lock, folders.server_lock
