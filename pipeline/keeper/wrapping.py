"""A SERVER_COMMAND that is a shell script without `exec`: the process that was started is a shell, the server is below.

A shell dies of a signal at once and passes nothing on, so the server is signalled itself, and the shell, which ends by
itself behind it, only if it does not. POSIX; on Windows a CTRL_BREAK reaches the whole group.
"""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from pipeline.keeper.foreign import SHELLS
from pipeline.keeper.process import list_tree

_SHELL_BASE = 128  # a shell ends with this and the number of the signal that its last command died of
_MOST_SIGNALS = 64
_TREE_FILES = Path("/proc/self/task").is_dir()  # Linux


def is_shell(pid: int) -> bool:
    """Whether the process runs a shell now; False when that cannot be told."""
    return Path(_read_program(pid)).name.lower() in SHELLS


def _read_program(pid: int) -> str:
    try:
        # A link read is a tenth of what psutil needs for it: this is looked at with each wake-up.
        link = f"/proc/{pid}/exe"
        return os.readlink(link) if _TREE_FILES else psutil.Process(pid).exe()  # noqa: PTH115 (hot path)
    except (OSError, psutil.Error):
        return ""


def list_below(pid: int) -> tuple[int, ...]:
    """Everything that lives below a process, by what the kernel keeps for it where it does."""
    if not _TREE_FILES:
        return tuple(each.pid for each in list_tree(pid)[1:])
    found: list[int] = []
    for each in _list_children(pid):
        found += [each, *list_below(each)]
    return tuple(found)


def _list_children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:  # noqa: PTH123 (looked at with each wake-up)
            return [int(each) for each in file.read().split()]
    except OSError:
        return []


def find_servers(shell: int, folder: Path) -> list[psutil.Process]:
    """Who below a shell is the server: the programs of SERVER_DIR, else whatever is no shell. Empty = only shells.

    Not all that is there: in `worldserver | tee` the end of `tee` would end the server unsaved.
    """
    living = [each for each in list_tree(shell)[1:] if _is_living(each)]
    workers = [each for each in living if not is_shell(each.pid)]
    own = [each for each in workers if Path(_read_program(each.pid)).is_relative_to(folder)]
    return own or workers


def _is_living(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def name_processes(processes: list[psutil.Process]) -> list[str]:
    """For people: `worldserver 1234`."""
    return [f"{Path(_read_program(each.pid)).name.removesuffix(' (deleted)') or '?'} {each.pid}" for each in processes]


def read_shell_status(status: int) -> int:
    """What a shell's exit code says of its last command: negative = the number of the signal that it died of."""
    signal = status - _SHELL_BASE
    return -signal if 0 < signal <= _MOST_SIGNALS else status


def signal_all(processes: list[psutil.Process], number: int) -> None:
    """Each by itself; psutil spares a later process with its number."""
    for each in processes:
        try:
            each.send_signal(number)
        except psutil.Error:
            continue
