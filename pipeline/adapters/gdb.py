"""Cores through gdb, a program that may be absent: one batch run of our own script."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pipeline.adapters import gdb_script
from pipeline.adapters.debugger import RunDebugger, run_debugger
from pipeline.keeper.protocol import parse_json

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


def read_core(executable: Path | None, core: Path, run: RunDebugger = run_debugger) -> dict[str, Any] | None:
    """What the core shows (shape: `pipeline/crash/gdb_json.py`), None where gdb cannot tell: not installed, too slow,
    not a core. `executable` must be the one that crashed: another build's gives a wrong stack without a word."""
    program = find_gdb()
    if program is None or not core.is_file():
        return None
    said = run(_command(program, executable, core))
    return None if said is None else _find_json(said)


def _command(program: str, executable: Path | None, core: Path) -> list[str]:
    settings = [part for each in _SETTINGS for part in ("-iex", each)]
    run = [program, "-nx", "-q", "-batch", *settings, "-x", str(Path(gdb_script.__file__).resolve())]
    known = executable is not None and executable.is_file()
    return [*run, *([str(executable)] if known else []), f"--core={core.resolve()}"]


def _find_json(text: str) -> dict[str, Any] | None:
    for line in text.splitlines():
        if line.startswith(gdb_script.MARK):
            try:
                found = parse_json(line.removeprefix(gdb_script.MARK))
            except ValueError:
                return None
            return found if isinstance(found, dict) and found.get("threads") else None  # gdb goes on without a core
    return None
