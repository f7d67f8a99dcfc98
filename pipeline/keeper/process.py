"""Processes as such: recognised, listed, ended. What differs by system is in `server_posix` and `server_windows`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.keeper.memory import Who

# A process is the same one when its create time is; computed from the boot time, it wanders with the clock.
_CREATE_TIME_TOLERANCE = 1.5  # seconds


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    status: int | None  # exit code, negative = the signal's number, None = not known (it was not our child)
    dumped: bool | None = None  # the kernel wrote a core; None = not known
    below: tuple[int, ...] = ()  # a shell ended, and these were the server: their end is known by its word alone


@dataclass(frozen=True)
class Order:
    """What to start."""

    argv: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    output: int  # descriptor, for stdout and stderr
    lock: int  # descriptor (Windows: handle) of server.lock, inherited


def is_alive(who: Who) -> bool:
    """The very process, not a later one with its number, and not a zombie."""
    try:
        process = psutil.Process(who.pid)
        same = abs(process.create_time() - who.create_time) < _CREATE_TIME_TOLERANCE
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def identify(pid: int) -> Who | None:
    """The process that has this number now."""
    try:
        return Who(pid, psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def list_tree(pid: int) -> list[psutil.Process]:
    """The process and all below it, itself first; empty when it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def end_all(processes: list[psutil.Process]) -> None:
    """Ends exactly these, at once."""
    for each in processes:
        try:
            each.kill()
        except psutil.Error:
            continue


def find_executable(command: str, folder: Path, environment: Mapping[str, str]) -> Path | None:
    """The program a command names: below `folder` first, as SERVER_COMMAND runs there, then on PATH."""
    for candidate in _list_candidates(command, folder, environment):
        if candidate.is_file():
            return candidate
    return None


def _list_candidates(command: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    for name in (command, f"{command}.exe") if sys.platform == "win32" else (command,):
        yield folder / name  # an absolute name stays what it is
        if Path(name).name == name:
            yield from (Path(each) / name for each in environment.get("PATH", "").split(os.pathsep) if each)
