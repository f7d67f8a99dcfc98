"""Memory that a long night has used is given back.

Work is done in a dozen threads. glibc gives each a heap of its own, up to eight for every core, and each heap keeps
the most that any work in it ever took: the process grows for hours, by as much as it has threads, with hardly more in
use. Two heaps are enough for threads that take turns at computing. A block above 128 KiB goes back when it is freed,
unless glibc, which learns from what is freed, has come to keep such blocks: a threshold that is set stays.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Final

M_MMAP_THRESHOLD: Final = -3  # of glibc's malloc.h
M_ARENA_MAX: Final = -8
HEAPS: Final = 2
LARGE: Final = 128 * 1024  # bytes; where glibc begins before it learns


def give_back_freed_memory() -> None:
    """Call it before there are threads. Does nothing where there is no glibc."""
    tune = _find_mallopt()
    if tune is not None:
        tune(M_ARENA_MAX, HEAPS)
        tune(M_MMAP_THRESHOLD, LARGE)


def _find_mallopt() -> Callable[[int, int], int] | None:
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), "mallopt", None)
