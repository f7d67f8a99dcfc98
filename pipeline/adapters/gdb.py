"""Cores through gdb, a program that may be absent: one batch run of our own script, bounded in time and output."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from pipeline.adapters import gdb_script
from pipeline.adapters.children import Child, TimedOut
from pipeline.errors import ToolMissing
from pipeline.ports import OnStarted

TIMEOUT = 60.0  # seconds
_LONGEST = 64 << 20  # bytes of gdb's output that are read
# No network, nothing of the user's or of the core's own folder is run, nobody is asked.
_SETTINGS = (
    "set debuginfod enabled off",
    "set auto-load off",
    "set pagination off",
    "set confirm off",
    "set width 0",
    "set print thread-events off",
)


def find_gdb() -> str | None:
    return shutil.which("gdb")


def read_core(
    executable: Path | None,
    core: Path,
    timeout: float = TIMEOUT,
    *,
    on_started: OnStarted = lambda pid, create_time, what: None,
    what: str = "gdb",
    scratch: Path | None = None,
) -> dict[str, Any] | None:
    """What the core shows (shape: `pipeline/crash/gdb_json.py`), None where gdb cannot tell: not installed, too slow,
    not a core. `executable` must be the one that crashed: another build's gives a wrong stack without a word.
    `scratch` = where it may leave something when we are killed; None = the folder for temporary files."""
    program = find_gdb()
    if program is None or not core.is_file():
        return None
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="spirit-healer-gdb-", dir=scratch) as folder:
        output = Path(folder) / "output"
        try:
            _run(_command(program, executable, core), Path(folder), output, timeout, on_started, what)
        except (TimedOut, ToolMissing, OSError):
            return None
        return _find_json(output)


def _run(argv: list[str], folder: Path, output: Path, timeout: float, on_started: OnStarted, what: str) -> None:
    child = Child.start(
        argv, cwd=folder, env=_environment(folder), output=output, what=what, on_started=on_started, low_priority=True
    )
    child.wait(timeout)


def _command(program: str, executable: Path | None, core: Path) -> list[str]:
    settings = [part for each in _SETTINGS for part in ("-iex", each)]
    run = [program, "-nx", "-q", "-batch", *settings, "-x", str(Path(gdb_script.__file__).resolve())]
    known = executable is not None and executable.is_file()
    return [*run, *([str(executable)] if known else []), f"--core={core.resolve()}"]


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "DEBUGINFOD_URLS": "", "HOME": str(folder), "LC_ALL": "C.UTF-8"}


def _find_json(output: Path) -> dict[str, Any] | None:
    with output.open("rb") as file:
        text = file.read(_LONGEST).decode("utf-8", errors="replace")
    for line in text.splitlines():
        if line.startswith(gdb_script.MARK):
            try:
                found = json.loads(line.removeprefix(gdb_script.MARK))
            except ValueError:
                return None
            return found if isinstance(found, dict) and found.get("threads") else None  # gdb goes on without a core
    return None
