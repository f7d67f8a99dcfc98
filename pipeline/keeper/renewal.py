"""The keeper replaces itself by a newer one of the same command line: exec keeps its children and their statuses."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.keeper.folders import Folders, read_json
from pipeline.keeper.launch import EXEC
from pipeline.keeper.locks import Lock, acquire, acquire_patiently, take_over
from pipeline.keeper.protocol import Observed

_BLOCKED = ("SIGTERM", "SIGINT", "SIGHUP")  # until the new one listens to them


class KeptByAnother(Exception):
    """Another keeper has the server's folder, or the state folder; the message says which and who."""


@dataclass(frozen=True)
class Locks:
    """What a keeper holds."""

    keeper: Lock  # of SERVER_DIR
    server: Lock | None  # None while a server that an earlier keeper started holds it
    state: Lock | None  # of the state folder; None where nothing can be written there: that stops no start


def renew(*locks: Lock | None) -> None:
    """Does not return, unless the program cannot be run any more (OSError). POSIX only."""
    if sys.platform == "win32":
        return  # there a new keeper adopts
    held = [each for each in locks if each]
    for each in held:
        os.set_inheritable(each.handle, True)
    names = ",".join(str(each.handle) for each in held)
    _mask(signal.SIG_BLOCK)
    try:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, EXEC: names})  # noqa: S606 (no shell)
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


def get_locks(folders: Folders) -> Locks:
    """Inherited through exec, else acquired. Raises KeptByAnother, and OSError where SERVER_DIR cannot be locked."""
    inherited = [int(each) for each in os.environ.pop(EXEC, "").split(",") if each.isdigit()]
    keeper = _take_over(inherited, folders.keeper_lock) or acquire_patiently(folders.keeper_lock)
    if keeper is None:
        raise KeptByAnother(f"another keeper looks after {folders.server}")
    state = _take_over(inherited, folders.state_lock) or _lock_state(folders, renewed=bool(inherited))
    return Locks(keeper, _take_over(inherited, folders.server_lock) or acquire(folders.server_lock), state)


def _take_over(inherited: Iterable[int], path: Path) -> Lock | None:
    return next((lock for each in inherited if (lock := take_over(each, path))), None)


def _lock_state(folders: Folders, *, renewed: bool) -> Lock | None:
    """One that was renewed is the server's parent, and stays it."""
    try:
        lock = acquire_patiently(folders.state_lock)
    except OSError:
        return None
    if lock is None and not renewed:
        seen = read_json(Observed, folders.observed)
        who = (
            f"process {seen.keeper_pid}, which looks after {seen.server_dir}" if seen else "which has said nothing yet"
        )
        raise KeptByAnother(f"another keeper works in {folders.state}: {who}")
    return lock
