"""Runs inside gdb (`gdb -x`), not in our own process: prints what a core shows as one line of JSON behind a mark.

The shape is described in `pipeline/crash/gdb_json.py`. Standard library and gdb's own module only; whatever cannot be
told is left out, because a damaged core may fail at any question.
"""

from __future__ import annotations

import bisect
import collections
import contextlib
import importlib
import json
import signal
import sys
import time
from typing import Any

MARK = "SPIRIT-HEALER-CORE: "
TOP, BOTTOM = 64, 16  # frames of each end of a stack
DEEPEST = 20_000  # frames that are walked at most to find its other end
SECONDS = 5.0  # that all walking may take
THREADS = 400


class Core:
    """The core that gdb has loaded. `gdb` is gdb's module, which exists only there."""

    def __init__(self, gdb: Any) -> None:
        self.gdb = gdb
        self.deadline = time.monotonic() + SECONDS
        self.mappings = sorted(self._read_mappings())
        self.lines: dict[tuple[str, int], list[tuple[int, int]]] = {}  # by file and where its unit begins

    def describe(self) -> dict[str, Any]:
        selected = self.gdb.selected_thread()
        crashed = selected.num if selected is not None else None
        described: dict[str, Any] = {
            "signal": self._signal(),
            "address": self._number("(long)$_siginfo._sifields._sigfault.si_addr"),
            "stack_pointer": self._number("(long)$sp"),
            "assertion_message": self._assertion_message(),
        }
        threads = sorted(self.gdb.selected_inferior().threads(), key=lambda each: (each.num != crashed, each.num))
        described["threads"] = [self._thread(each, crashed) for each in threads[:THREADS]]
        return described

    def _signal(self) -> str | None:
        number = self._number("$_siginfo.si_signo")
        return signal.Signals(number).name if number in set(signal.Signals) else None

    def _number(self, expression: str) -> int | None:
        try:
            return int(self.gdb.parse_and_eval(expression))
        except (self.gdb.error, OverflowError, ValueError):
            return None

    def _assertion_message(self) -> str | None:
        try:
            return str(
                self.gdb.parse_and_eval("(char*)TrinityAssertionFailedMessage").string("utf-8", "replace")[:8000]
            )
        except (self.gdb.error, UnicodeError, ValueError):
            return None

    def _thread(self, thread: Any, crashed: int | None) -> dict[str, Any]:
        described = {"number": thread.num, "name": thread.name, "crashed": thread.num == crashed, "frames": []}
        with contextlib.suppress(self.gdb.error):
            thread.switch()
            described.update(self._stack(self.gdb.newest_frame()))
        return described

    def _stack(self, frame: Any) -> dict[str, Any]:
        top: list[dict[str, Any]] = []
        bottom: collections.deque[Any] = collections.deque(maxlen=BOTTOM)
        depth = 0
        with contextlib.suppress(self.gdb.error):
            while frame is not None and depth < DEEPEST and (depth < TOP or time.monotonic() < self.deadline):
                if depth < TOP:
                    top.append(self._frame(frame))
                else:
                    bottom.append(frame)
                depth += 1
                frame = frame.older()
        whole = frame is None
        ends = [self._frame(each) for each in bottom] if whole else []
        return {"frames": top + ends, "depth": depth, "cut": not whole or depth > TOP + BOTTOM}

    def _frame(self, frame: Any) -> dict[str, Any]:
        if frame.type() == self.gdb.SIGTRAMP_FRAME:
            return {"function": "<signal handler called>"}
        address = frame.pc()
        file, line = self._place(frame, address)
        module, offset = self._locate(address)
        return {
            "function": frame.name(),
            "file": file,
            "line": line,
            "module": module,
            "offset": offset,
            "inlined": frame.type() == self.gdb.INLINE_FRAME,
        }

    def _place(self, frame: Any, address: int) -> tuple[str | None, int | None]:
        """Where it stands in its function's own file. An optimiser leaves nothing of what it inlined but lines of
        another file, so that a method of the program's is said to stand in a library's header. Of a function that was
        inlined itself gdb's symbol has the file of its caller."""
        place, function = frame.find_sal(), frame.function()
        file = place.symtab.filename if place.symtab else None
        own = None if function is None or frame.type() == self.gdb.INLINE_FRAME else function.symtab
        if own is None or file is None or own.filename == file:
            return file, place.line or None
        return own.filename, self._find_own_line(frame, own, address) or function.line or None

    def _find_own_line(self, frame: Any, own: Any, address: int) -> int | None:
        """The line of that file that stands last in front of the address, within the function."""
        try:
            block = frame.block()
            while block is not None and block.function is None:
                block = block.superblock
            lines = self._list_lines(own)
        except (self.gdb.error, RuntimeError):  # no block is known for it
            return None
        at = bisect.bisect_left(lines, (address, 0)) - 1
        return lines[at][1] if block is not None and at >= 0 and lines[at][0] >= block.start else None

    def _list_lines(self, file: Any) -> list[tuple[int, int]]:
        """Address and line, in order. A large file has a hundred thousand: each is read once, as long as there is
        time."""
        key = (file.filename, file.global_block().start)  # a header is in many units
        if key not in self.lines and time.monotonic() < self.deadline:
            self.lines[key] = sorted((each.pc, each.line) for each in file.linetable() or () if each.line)
        return self.lines.get(key, [])

    def _locate(self, address: int) -> tuple[str | None, str | None]:
        for start, end, offset, name in self.mappings:
            if start <= address < end:
                return name, f"{address - start + offset:x}"
        return self.gdb.solib_name(address), None

    def _read_mappings(self) -> list[tuple[int, int, int, str]]:
        try:
            text = self.gdb.execute("info proc mappings", to_string=True)
        except self.gdb.error:
            return []
        found = []
        for line in text.splitlines():
            words = line.split(None, 4)
            if len(words) == 5 and words[0].startswith("0x") and "/" in words[4]:
                path = words[4][words[4].index("/") :]
                found.append((int(words[0], 16), int(words[1], 16), int(words[3], 16), path))
        return found


def main() -> None:
    described = Core(importlib.import_module("gdb")).describe()
    sys.stdout.write(f"\n{MARK}{json.dumps(described)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
