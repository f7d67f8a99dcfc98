"""gdb or lldb, programs that may be absent: one batch run in a folder of its own, bounded in time and in what it
writes, of which nothing stays. Not at the low priority of a build: everybody waits for what it says, and beside a busy
server half a second of work took ten there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.adapters.children import Child, Flood, TimedOut
from pipeline.adapters.limits import Limits
from pipeline.errors import ToolMissing
from pipeline.ports import OnStarted

TIMEOUT = 60.0  # seconds
MARK = "debugger"  # what its process is recorded as
MOST_OUTPUT = 64 << 20  # bytes that it may print
# Without PATH and SYSTEMROOT nothing starts on Windows; a debugger finds its own libraries by LD_LIBRARY_PATH.
RunDebugger = Callable[[Sequence[str]], str | None]  # argv -> what it printed
_KEPT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP")


def tell_nobody(pid: int, create_time: float, what: str) -> None:
    """Nobody keeps a record of this child."""


def run_debugger(
    argv: Sequence[str],
    timeout: float = TIMEOUT,
    *,
    on_started: OnStarted = tell_nobody,
    what: str = MARK,
    scratch: Path | None = None,
) -> str | None:
    """What it printed; None where it cannot be started, takes too long or prints too much. `scratch` = where it may
    leave something when we are killed; None = the folder for temporary files."""
    try:
        if scratch is not None:
            scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="spirit-healer-debugger-", dir=scratch) as folder:
            return _run_in(Path(folder), argv, timeout, on_started, what)
    except (TimedOut, Flood, ToolMissing, OSError):
        return None


def _run_in(folder: Path, argv: Sequence[str], timeout: float, on_started: OnStarted, what: str) -> str:
    output = folder / "output"
    child = Child.start(
        argv,
        cwd=folder,
        env=child_environment(folder),
        output=output,
        what=what,
        on_started=on_started,
    )
    child.wait(timeout, watch=Limits(output, MOST_OUTPUT))
    with output.open("rb") as file:
        return file.read(MOST_OUTPUT).decode("utf-8", errors="replace")


def child_environment(folder: Path) -> dict[str, str]:
    """Nothing of the user's, and no symbols from the network."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "DEBUGINFOD_URLS": "", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
