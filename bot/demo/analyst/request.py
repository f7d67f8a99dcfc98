"""What the example analyst takes from a request: the kind of crash, the failed assertion, and the stack."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_FRAME = re.compile(r"(?P<function>.+) at (?P<file>.+):(?P<line>\d+)")
_SIGNAL = "<signal handler called>"  # what is in front of it only tells of the end
_ASSERTION = "ASSERTION FAILED: "


@dataclass(frozen=True)
class Frame:
    function: str
    file: str  # as the request has it: relative to the repository where it is of the repository
    line: int


@dataclass(frozen=True)
class Request:
    id: str
    category: str  # `ACCESS_VIOLATION`, `FREEZE`, …
    assertion: str | None  # what was asserted, and its message
    frames: tuple[Frame, ...]  # innermost first, those with a line


def read_request(plain: Mapping[str, Any]) -> Request:
    """From the JSON object. Raises KeyError, TypeError where it is none of the file protocol's."""
    crash = plain["crash"]
    said = str(crash.get("error_message") or "")
    return Request(
        id=str(plain["request_id"]),
        category=str(crash.get("crash_category") or "UNKNOWN"),
        assertion=said.removeprefix(_ASSERTION) if said.startswith(_ASSERTION) else None,
        frames=tuple(_read_frames([str(each) for each in crash.get("call_stack") or ()])),
    )


def _read_frames(stack: list[str]) -> Iterator[Frame]:
    begin = stack.index(_SIGNAL) + 1 if _SIGNAL in stack else 0
    for each in stack[begin:]:
        if found := _FRAME.fullmatch(each):
            yield Frame(found["function"], found["file"].replace("\\", "/"), int(found["line"]))
