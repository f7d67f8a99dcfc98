"""The programs of one build, one after the other: the same log, the same deadline, the same way to be taken back."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.adapters import children
from pipeline.adapters.build_log import GrowingLog, read_lines
from pipeline.adapters.build_progress import Pace, ProgressReader, estimate_left
from pipeline.adapters.builder_machine import Room
from pipeline.adapters.children import Child
from pipeline.keeper.protocol import parse_json, replace_file
from pipeline.model import Progress
from pipeline.ports import OnStarted

_PACE = "spirit-healer-pace.json"  # in the build folder
# What Ninja, Make and MSBuild say of it; Ninja only where it failed, the others name no target of theirs otherwise.
_CONFIGURES = re.compile(r"rebuilding 'build\.ninja'|cmake_check_build_system\]|generate\.stamp(\.rule)?'.* \d+\.?$")
LAST_WORDS = 300  # characters

OnProgress = Callable[[Progress, float | None], None]


@dataclass(frozen=True)
class Order:
    """One build that was ordered."""

    state_dir: Path
    build_dir: Path
    source: Path
    commit: str
    log: Path
    most_output: int  # bytes of the log
    environment: Mapping[str, str]
    began: float  # monotonic seconds
    limit: float  # seconds
    on_started: OnStarted
    on_progress: OnProgress
    cancelled: threading.Event
    room: Room

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    @property
    def left(self) -> float:
        return max(0.0, self.limit - self.elapsed)


def run(order: Order, argv: Sequence[str], reader: ProgressReader, learned: Pace | None = None) -> int:
    """The exit code. Raises TimedOut, Cancelled, TooMuchOutput (the tree was ended), ToolMissing."""
    growing = GrowingLog(order.log, order.most_output)
    began = time.monotonic()
    told: Progress | None = None

    def watch() -> None:
        nonlocal told
        order.room.look()
        for line in growing.read_new():
            reader.feed(line)
        if reader.progress is not None and reader.progress != told:
            told = reader.progress
            order.on_progress(told, estimate_left(told, time.monotonic() - began, learned))

    child = _start(order, argv, order.build_dir, "build")
    try:
        status = child.wait(order.left, order.cancelled, watch)
        watch()
    finally:
        child.end_tree()  # also what a build that went well has left in a session of its own
        growing.truncate()
    return status


def describe_end(status: int) -> str:
    return f"exit code {status}" if status >= 0 else f"ended by signal {-status}"


def was_configuring(log: Path) -> bool:
    """Whether what failed was cmake, which a compile runs again when something that it read has changed."""
    return any(_CONFIGURES.search(line) for line in read_lines(log))


def last_words(log: Path, redact: Callable[[str], str]) -> str:
    """The last line that says something."""
    last = ""
    for line in read_lines(log):
        last = line.strip() or last
    return redact(last)[:LAST_WORDS]


def recall_pace(build: Path) -> Pace | None:
    """How long the last build took."""
    try:
        plain = parse_json((build / _PACE).read_text(encoding="utf-8"))
        return Pace(int(plain["units"]), float(plain["seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def learn_pace(build: Path, pace: Pace) -> None:
    replace_file(build / _PACE, json.dumps({"units": pace.units, "seconds": pace.seconds}))


def _start(order: Order, argv: Sequence[str], cwd: Path, what: str) -> Child:
    return Child.start(
        argv,
        cwd=cwd,
        env=order.environment,
        output=order.log,
        what=children.mark_for(order.state_dir, what),
        on_started=order.on_started,
        low_priority=True,
    )
