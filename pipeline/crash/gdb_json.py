"""What our own gdb script prints of a core (`pipeline/adapters/gdb_script.py`).

    {"signal": "SIGSEGV", "address": int|null, "stack_pointer": int|null, "assertion_message": str|null,
     "threads": [{"number", "name", "crashed": bool, "cut": bool, "depth": n,
                  "frames": [{"function", "file", "line", "module", "offset", "inlined"}]}]}

It is read as untrusted: a core of a damaged process can make gdb say anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.crash.classes import ACCESS_VIOLATION, ASSERTION, NOT_A_CRASH, SIGNALS, STACK_OVERFLOW
from pipeline.crash.names import drop_parameters
from pipeline.crash.reading import Reading, Thread
from pipeline.crash.stderr_text import read_text
from pipeline.model import ExceptionInfo, Frame, ReportKind

_GUARD = 256 * 1024  # bytes around the stack pointer in which a fault means that the stack ran out
_DEEP = 1000  # frames from which a fault is taken for a stack that ran out, where gdb could not tell the address


def read_gdb_json(plain: Mapping[str, Any]) -> Reading:
    """The reading of one core. Never raises on any content."""
    threads = [_thread(each) for each in _list(plain.get("threads")) if isinstance(each, dict)]
    crashed = next((thread for thread, died in threads if died), threads[0][0] if threads else None)
    signal = _text(plain.get("signal"))
    word = SIGNALS.get(signal) if signal and signal not in NOT_A_CRASH else None
    if word == ACCESS_VIOLATION and _stack_ran_out(plain):
        word = STACK_OVERFLOW
    said = read_text(_text(plain.get("assertion_message")) or "")
    return Reading(
        ReportKind.CORE,
        said.word if said and said.word else word,
        ExceptionInfo(signal) if signal else None,
        assertion=said.assertion if said and said.word == ASSERTION else None,
        detail=f"{signal} without a stack" if signal else None,
        place=said.place if said else None,
        crashed=crashed,
        others=tuple(thread for thread, _ in threads if thread is not crashed),
    )


def _stack_ran_out(plain: Mapping[str, Any]) -> bool:
    address, pointer = _number(plain.get("address")), _number(plain.get("stack_pointer"))
    if address is not None and pointer is not None:
        return abs(address - pointer) < _GUARD
    depths = [_number(each.get("depth")) or 0 for each in _list(plain.get("threads")) if isinstance(each, dict)]
    return max(depths, default=0) >= _DEEP


def _thread(plain: dict[str, Any]) -> tuple[Thread, bool]:
    frames = tuple(_frame(each) for each in _list(plain.get("frames")) if isinstance(each, dict))
    name = _text(plain.get("name")) or str(plain.get("number") or "")
    return Thread(frames, name, cut=bool(plain.get("cut"))), plain.get("crashed") is True


def _frame(plain: dict[str, Any]) -> Frame:
    function = _text(plain.get("function"))
    return Frame(
        drop_parameters(function) if function else None,
        _text(plain.get("file")),
        _number(plain.get("line")),
        _text(plain.get("module")),
        _text(plain.get("offset")),
        plain.get("inlined") is True,
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
