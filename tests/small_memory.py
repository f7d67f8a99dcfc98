"""A bound on the memory of a process that runs already; beyond it the kernel's own killer ends it.

Where this machine lets us it is a real memory cgroup (v2, or the v1 hierarchy). Where it does not (a container without
that right) we send the killer's signal ourselves, which is all that the rest of the world sees of it.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_KINDS = (("memory.max", "memory.swap.max"), ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"))


@contextlib.contextmanager
def bound_memory(pid: int, most: int) -> Iterator[bool]:
    """The process may take `most` bytes more. False where no such bound can be made here."""
    place = _make_group()
    if place is None or not _set(place, most) or not _write(place / "cgroup.procs", str(pid)):
        yield False
    else:
        yield True
    if place is not None:
        with contextlib.suppress(OSError):
            place.rmdir()  # what ran in it is dead


def kill_as_the_kernel_does(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _make_group() -> Path | None:
    for root in (_ROOT / "memory", _ROOT):
        group = root / f"spirit-healer-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            group.mkdir()
            return group
    return None


def _set(group: Path, most: int) -> bool:
    for limit, swap in _KINDS:
        if (group / limit).exists():
            done = _write(group / limit, str(most))
            _write(group / swap, "0" if swap.startswith("memory.swap") else str(most))
            return done
    return False


def _write(path: Path, text: str) -> bool:
    try:
        path.write_text(text)
    except OSError:
        return False
    return True
