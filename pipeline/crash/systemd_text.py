"""What systemd says of a core that it took, as `coredumpctl info` and the journal show it.

It is what is left where the core itself was not kept (larger than ExternalSizeMax, `Storage=none`, or removed since).
systemd names functions as the linker does and leaves out what was inlined. The thread that died comes first. Source:
coredumpctl.c and elf-util.c of systemd; tried with version 252.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pipeline.crash.classes import ABORT, SIGNALS
from pipeline.crash.reading import Reading, Thread
from pipeline.model import ExceptionInfo, Frame, ReportKind

_SIGNAL = re.compile(r"^\s*Signal: \d{1,3} \((?P<name>[A-Z0-9+]{1,20})\)\s*$", re.MULTILINE)
_DUMPED = re.compile(r"Process \d+ \([^\n]{1,64}\) of user \d+ (?:dumped core|terminated abnormally)")
_THREAD = re.compile(r"^\s*Stack trace of thread (?P<number>\d+):\s*$")
_FRAME = re.compile(
    r"^\s*#(?P<number>\d{1,4})\s+0x[0-9a-f]+ (?P<function>\S[^\n]{0,8000}?) "
    r"\((?P<module>[^()\s]{1,1000})(?: \+ 0x(?P<offset>[0-9a-f]+))?\)\s*$"
)
_FRAMES = 512  # of one thread that are kept
_THREADS = 256


@dataclass
class _Stack:
    number: str
    frames: list[Frame] = field(default_factory=list)


def read_systemd(text: str) -> Reading | None:
    """None where it says nothing of a core."""
    stacks = _list_stacks(text)
    signal = _SIGNAL.search(text)
    if not (_DUMPED.search(text) and (stacks or signal)):
        return None
    threads = [Thread(tuple(each.frames), each.number) for each in stacks]
    name = f"SIG{signal['name']}" if signal else None
    return Reading(
        ReportKind.CORE,
        SIGNALS.get(name, ABORT) if name else None,
        ExceptionInfo(name) if name else None,
        detail=f"{name} without a stack" if name else None,
        crashed=next(iter(threads), None),
        others=tuple(threads[1:]),
        notes=("the stack is what systemd noted of the core: without what was inlined",) if threads else (),
    )


def _list_stacks(text: str) -> list[_Stack]:
    """Each as far as its frames follow each other: what is printed beside may tear a line."""
    stacks: list[_Stack] = []
    for line in text.splitlines():
        if header := _THREAD.match(line):
            if len(stacks) == _THREADS:
                break
            stacks.append(_Stack(header["number"]))
        elif stacks and (found := _FRAME.match(line)) and len(stacks[-1].frames) == int(found["number"]) < _FRAMES:
            name = found["function"]
            function = None if name == "n/a" else name
            stacks[-1].frames.append(Frame(function, module=found["module"], offset=found["offset"]))
    return [each for each in stacks if each.frames]
