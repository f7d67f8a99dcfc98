"""Cores that systemd keeps: where core_pattern hands them to systemd-coredump they are asked for by process.

systemd-coredump goes on writing after the process is gone, so that a core is waited for while it works. Options as in
coredumpctl(1). `tests/soak/cores.py` tries it with systemd 252.
"""

from __future__ import annotations

import contextlib
import math
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.adapters.children import Child, Flood, TimedOut
from pipeline.adapters.debugger import MARK, child_environment, tell_nobody
from pipeline.adapters.limits import Limits
from pipeline.crash.lines import read_head
from pipeline.errors import ToolMissing
from pipeline.ports import OnStarted

PATTERN = Path("/proc/sys/kernel/core_pattern")
PATIENCE = 60.0  # seconds for a core that is still being written
GRACE = 3.0  # seconds after an end in which it may not have been begun
TIMEOUT = 60.0  # seconds for one answer
LATE = 600  # seconds after an end in which its core is noted
LARGEST = 64 << 30  # bytes
_LOOK_EVERY = 0.5  # seconds
_MOST_WORDS = 1 << 20  # bytes of what coredumpctl says that are looked at
# It says what it knows of the crash too, and its complaint may stand anywhere in that.
_COMPLAINT = re.compile(r"(?:Coredump entry has no core|Cannot |Failed to |Could not |No match found|Refusing )[^\n]*")
_WRITER = "systemd-coredum"  # as the kernel cuts its name


def read_pattern() -> str:
    try:
        return PATTERN.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def is_systemds(pattern: str) -> bool:
    """Whether a core_pattern hands cores to systemd-coredump."""
    words = pattern.removeprefix("|").split()
    return pattern.startswith("|") and bool(words) and words[0].rpartition("/")[2] == "systemd-coredump"


def find_coredumpctl() -> str | None:
    return shutil.which("coredumpctl")


def is_writing() -> bool:
    """Whether systemd-coredump works on a core, whoever's."""
    return any((each.info["name"] or "").startswith(_WRITER) for each in psutil.process_iter(["name"]))


@dataclass(frozen=True)
class NoCore:
    why: str
    said: str = ""  # what coredumpctl knows of the crash all the same


@dataclass(frozen=True)
class KeptCores:
    """`on_started`, `what` and `scratch` as `CrashFileReader` has them; the others are asked and may be replaced."""

    on_started: OnStarted = tell_nobody
    what: str = MARK
    scratch: Path | None = None
    pattern: Callable[[], str] = read_pattern
    is_writing: Callable[[], bool] = is_writing
    patience: float = PATIENCE
    timeout: float = TIMEOUT

    @contextlib.contextmanager
    def borrow(self, pid: int, started: float, at: float) -> Iterator[Path | NoCore | None]:
        """A copy of the core of a process that lived from `started` to `at` (seconds since the epoch), for as long as
        it is looked at; None where systemd keeps none. Raises what `on_started` raises."""
        program = find_coredumpctl()
        if not is_systemds(self.pattern()):
            yield None
        elif program is None:
            yield NoCore("systemd keeps it, but coredumpctl is not installed")
        else:
            if self.scratch is not None:
                self.scratch.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="spirit-healer-core-", dir=self.scratch) as folder:
                core = Path(folder) / f"core-{pid}"
                span = (f"--since=@{math.floor(started)}", f"--until=@{math.ceil(at) + LATE}")
                why = self._await([program, "dump", "--no-pager", *span, f"--output={core}", str(pid)], core, at)
                yield why or core

    def _await(self, argv: list[str], core: Path, at: float) -> NoCore | None:
        """Why there is no core; None once it lies there, whole."""
        deadline = time.monotonic() + self.patience
        while True:
            busy = self.is_writing() or abs(time.time() - at) < GRACE
            why = self._ask(argv, core)
            if why is None or not busy or time.monotonic() > deadline:
                return why
            time.sleep(_LOOK_EVERY)

    def _ask(self, argv: list[str], core: Path) -> NoCore | None:
        output = core.with_name("output")
        output.unlink(missing_ok=True)
        environment = child_environment(core.parent)
        try:
            child = Child.start(
                argv, cwd=core.parent, env=environment, output=output, what=self.what, on_started=self.on_started,
            )  # fmt: skip
            status = child.wait(self.timeout, watch=Limits(core, LARGEST, core.parent))
        except (TimedOut, Flood, ToolMissing, OSError) as fault:
            core.unlink(missing_ok=True)
            return NoCore(f"systemd keeps it, but coredumpctl did not give it: {fault}")
        if status == 0 and core.is_file() and core.stat().st_size:
            return None
        core.unlink(missing_ok=True)
        said = read_head(output, _MOST_WORDS).decode("utf-8", errors="replace") if output.is_file() else ""
        return NoCore(f"systemd keeps cores here, but has none of this crash: {_find_words(said, status)[:200]}", said)


def _find_words(said: str, status: int) -> str:
    if complaint := _COMPLAINT.search(said):
        return complaint[0].strip()
    return next((line.strip() for line in reversed(said.split("\n")) if line.strip()), f"it ended with {status}")
