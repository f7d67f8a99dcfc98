"""Cores that systemd keeps: where core_pattern hands them to systemd-coredump they are asked for by process.

systemd-coredump goes on writing after the process is gone, so that a core is waited for while it works. Options as in
coredumpctl(1); what is decided here was tried with a program that answers like it, not under systemd itself.
"""

from __future__ import annotations

import contextlib
import math
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
from pipeline.errors import ToolMissing
from pipeline.ports import OnStarted

PATTERN = Path("/proc/sys/kernel/core_pattern")
PATIENCE = 60.0  # seconds for a core that is still being written
GRACE = 3.0  # seconds after an end in which it may not have been begun
TIMEOUT = 60.0  # seconds for one answer
LATE = 600  # seconds after an end in which its core is noted
LARGEST = 64 << 30  # bytes
_LOOK_EVERY = 0.5  # seconds
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
    def borrow(self, pid: int, started: float, at: float) -> Iterator[Path | str | None]:
        """A copy of the core of a process that lived from `started` to `at` (seconds since the epoch), for as long as
        it is looked at; why there is none; None where systemd keeps none. Raises what `on_started` raises."""
        program = find_coredumpctl()
        if not is_systemds(self.pattern()):
            yield None
        elif program is None:
            yield "systemd keeps it, but coredumpctl is not installed"
        else:
            if self.scratch is not None:
                self.scratch.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="spirit-healer-core-", dir=self.scratch) as folder:
                core = Path(folder) / f"core-{pid}"
                span = (f"--since=@{math.floor(started)}", f"--until=@{math.ceil(at) + LATE}")
                why = self._await([program, "dump", "--no-pager", *span, f"--output={core}", str(pid)], core, at)
                yield why or core

    def _await(self, argv: list[str], core: Path, at: float) -> str | None:
        """Why there is no core; None once it lies there, whole."""
        deadline = time.monotonic() + self.patience
        while True:
            busy = self.is_writing() or abs(time.time() - at) < GRACE
            why = self._ask(argv, core)
            if why is None or not busy or time.monotonic() > deadline:
                return why
            time.sleep(_LOOK_EVERY)

    def _ask(self, argv: list[str], core: Path) -> str | None:
        output = core.with_name("output")
        output.unlink(missing_ok=True)
        environment = child_environment(core.parent)
        try:
            child = Child.start(
                argv, cwd=core.parent, env=environment, output=output, what=self.what, on_started=self.on_started,
                low_priority=True,
            )  # fmt: skip
            status = child.wait(self.timeout, watch=Limits(core, LARGEST, core.parent))
        except (TimedOut, Flood, ToolMissing, OSError) as fault:
            core.unlink(missing_ok=True)
            return f"systemd keeps it, but coredumpctl did not give it: {fault}"
        if status == 0 and core.is_file() and core.stat().st_size:
            return None
        core.unlink(missing_ok=True)
        said = output.read_text("utf-8", errors="replace").split("\n") if output.is_file() else []
        words = next((line.strip() for line in reversed(said) if line.strip()), f"it ended with {status}")
        return f"systemd keeps cores here, but has none of this crash: {words[:200]}"
