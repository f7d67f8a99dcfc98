"""What of the machine a build may use: how many jobs, which variables, how much disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from pipeline.adapters.build_progress import NINJA_STATUS

_NO_ROOM = 1 << 20  # bytes
_MEMORY_EACH = 2 << 30  # bytes of free memory for each job
# They change what is built, where from, or how it is told, without anybody having said so for this build.
_FOREIGN = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX", "CMAKE_GENERATOR",
    "CMAKE_GENERATOR_PLATFORM", "CMAKE_GENERATOR_TOOLSET", "CMAKE_GENERATOR_INSTANCE", "CMAKE_BUILD_PARALLEL_LEVEL",
    "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CLICOLOR_FORCE", "VERBOSE", "LANGUAGE",
)  # fmt: skip
_READABLE = {
    "LC_ALL": "C",  # messages that can be read by pattern
    "VSLANG": "1033",  # the same of Visual Studio
    "TERM": "dumb",
    "GCC_COLORS": "",
    "NINJA_STATUS": NINJA_STATUS,
    "MSBUILDDISABLENODEREUSE": "1",  # a node that stays would hold files of the build folder
    "GIT_OPTIONAL_LOCKS": "0",  # the revision is only asked for
}


def choose_jobs(cores: int, available: int) -> int:
    """One core is left to the server; each job may take 2 GiB of what is free now (bytes)."""
    return max(1, min(cores - 1, available // _MEMORY_EACH))


def count_jobs() -> int:
    return choose_jobs(_count_cores(), psutil.virtual_memory().available)


def make_environment(
    base: Mapping[str, str], withhold: Iterable[str], more: Mapping[str, str], platform: str = sys.platform
) -> dict[str, str]:
    """`base` without what is withheld, with what makes output readable, then BUILD_ENV, which has the last word."""

    def name_of(name: str) -> str:
        return name.upper() if platform == "win32" else name

    gone = {name_of(each) for each in (*withhold, *_FOREIGN)}
    return {**{name: value for name, value in base.items() if name_of(name) not in gone}, **_READABLE, **more}


class Room:
    """The least room that was seen in some folders while a build ran.

    What is written to a full disk is cut short, by cmake without a word, and compiled as it is even after there is room
    again: what a compiler says then is about the disk, and not about the code.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)
        self._least: int | None = None  # bytes

    def look(self) -> None:
        for folder in self._folders:
            with contextlib.suppress(OSError):
                free = shutil.disk_usage(folder).free
                self._least = free if self._least is None else min(self._least, free)

    @property
    def ran_out(self) -> bool:
        return self._least is not None and self._least < _NO_ROOM


def find_lack_of_disk(folders: Iterable[Path], needed: int) -> str | None:
    """A sentence where less than `needed` bytes are free, None where there is room."""
    for folder in folders:
        place = next(each for each in (folder, *folder.parents) if each.exists())
        free = shutil.disk_usage(place).free
        if free < needed:
            return (
                f"only {_size(free)} are free in {place}, and a build needs {_size(needed)}: "
                "make room there, or lower MIN_FREE_DISK"
            )
    return None


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count >> 20} MiB"


def _count_cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
