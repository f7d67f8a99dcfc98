"""Which boot of the machine this is: an exit-0 hold ends with it, and a server that ended with it did not crash."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_FIRST_PROCESS = Path("/proc/1/stat")
_CLOCK_TOLERANCE = 60.0  # seconds by which the boot time that Windows and macOS compute may wander


def read_boot_id() -> str:
    """Linux: the kernel's boot id and the start of process 1, which in a container begins anew with the container."""
    if sys.platform == "linux":
        try:
            return f"{_BOOT_ID.read_text().strip()}.{_start_of_first_process()}"
        except OSError:
            pass
    return f"time:{psutil.boot_time():.0f}"


def _start_of_first_process() -> str:
    try:
        return _FIRST_PROCESS.read_text().rpartition(")")[2].split()[19]  # proc(5): field 22, in clock ticks
    except (OSError, IndexError):
        return "0"


def is_same_boot(one: str, other: str) -> bool:
    """Computed boot times may differ by a few seconds; ids may not."""
    if one.startswith("time:") and other.startswith("time:"):
        return abs(float(one[5:]) - float(other[5:])) <= _CLOCK_TOLERANCE
    return one == other
