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

TRIED = 2  # lldbs for one dump
_FRAMES = 64  # of one thread
# What stands in brackets may be missing: without them lldb shows such a frame in words of its own.
_FORMAT = "frame ${frame.index}|{${function.name}}|{${line.file.fullpath}}|{${line.number}}|${frame.pc}\\n"
_INLINED = " [inlined] "  # between the function that is there and the one that was inlined into it
_THREAD = re.compile(r"^(?P<mark>[* ]) thread #(?P<number>\d+)")
_FRAME = re.compile(r"^\s+(?:\* )?frame \d+\|(?P<function>.*)\|(?P<file>[^|]*)\|(?P<line>\d*)\|0x(?P<pc>[0-9a-f]+)$")


@dataclass(frozen=True)
class Stacks:
    crashed: Thread
    others: tuple[Thread, ...]


def list_lldbs() -> list[Path]:
    """`lldb`, and those that are called `lldb-N`, the newest first."""
    names = ("lldb", *(f"lldb-{number}" for number in range(40, 10, -1)))
    return [found for found in map(find_tool, names) if found is not None]


def find_lldb() -> Path | None:
    return next(iter(list_lldbs()), None)


def read_stacks(
    executable: Path,
    path: Path,
    dump: Minidump,
    run: RunDebugger = run_debugger,
) -> Stacks | None:
    """None where lldb cannot tell: not installed, too slow, no stack. `executable` must be the one that crashed. What a
    newer linker wrote kills an older lldb (14 dies of what LLVM 20 links): then the newest that is here is asked."""
    for program in list_lldbs()[:TRIED]:
        said = run(_command(program, executable, path))
        stacks = None if said is None else parse(said, dump)
        if stacks is not None:
            return stacks
    return None


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
    line, function = int(found["line"] or 0), found["function"].rpartition(_INLINED)[2]
    return replace(
        place, function=drop_parameters(function) if function else None, file=found["file"] or None, line=line or None,
        inlined=_INLINED in found["function"],
    )  # fmt: skip
