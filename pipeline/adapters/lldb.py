"""Stacks of Windows minidumps through lldb, a program that may be absent: one batch run.

lldb finds the .pdb beside the executable, or where the executable says. No script of lldb's own is used: its Python is
a package of its own that is often not there or broken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.adapters.debugger import RunDebugger, run_debugger
from pipeline.adapters.toolchain import find_tool
from pipeline.crash.minidump import Minidump, locate
from pipeline.crash.names import drop_parameters
from pipeline.crash.reading import Thread
from pipeline.model import Frame

_FRAMES = 64  # of one thread
_FORMAT = "frame ${frame.index}|${function.name}|${line.file.fullpath}|${line.number}|${frame.pc}\\n"
_THREAD = re.compile(r"^(?P<mark>[* ]) thread #(?P<number>\d+)")
_FRAME = re.compile(r"^\s+(?:\* )?frame \d+\|(?P<function>.*)\|(?P<file>[^|]*)\|(?P<line>\d*)\|0x(?P<pc>[0-9a-f]+)$")


@dataclass(frozen=True)
class Stacks:
    crashed: Thread
    others: tuple[Thread, ...]


def find_lldb() -> Path | None:
    """`lldb`, or the newest `lldb-N`."""
    versions = (find_tool(f"lldb-{number}") for number in range(40, 10, -1))
    return find_tool("lldb") or next((each for each in versions if each), None)


def read_stacks(
    executable: Path,
    path: Path,
    dump: Minidump,
    run: RunDebugger = run_debugger,
) -> Stacks | None:
    """None where lldb cannot tell: not installed, too slow, no stack. `executable` must be the one that crashed."""
    program = find_lldb()
    if program is None:
        return None
    said = run(_command(program, executable, path))
    return None if said is None else parse(said, dump)


def _command(program: Path, executable: Path, path: Path) -> list[str]:
    target = f"target create {_quote(executable)} --core {_quote(path)}"
    orders = (f'settings set frame-format "{_FORMAT}"', target, f"thread backtrace all -c {_FRAMES}")
    return [str(program), "--no-lldbinit", "--batch", *(part for each in orders for part in ("-o", each))]


def _quote(path: Path) -> str:
    return '"' + str(path.resolve()).replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse(text: str, dump: Minidump) -> Stacks | None:
    """lldb's words: `* thread #1, …` is the one that died, each frame is a line of our own format."""
    threads: list[tuple[bool, Thread]] = []
    for line in text.splitlines():
        if header := _THREAD.match(line):
            threads.append((header["mark"] == "*", Thread((), header["number"])))
        elif threads and (found := _FRAME.match(line[:8000])):
            marked, thread = threads[-1]
            threads[-1] = (marked, replace(thread, frames=(*thread.frames, _frame(found, dump))))
    crashed = next((thread for marked, thread in threads if marked and thread.frames), None)
    if crashed is None:
        return None
    return Stacks(crashed, tuple(thread for marked, thread in threads if not marked and thread.frames))


def _frame(found: re.Match[str], dump: Minidump) -> Frame:
    place = locate(dump, int(found["pc"], 16))
    line = int(found["line"] or 0)
    return replace(
        place, function=drop_parameters(found["function"]) if found["function"] else None, file=found["file"] or None,
        line=line or None,
    )  # fmt: skip
