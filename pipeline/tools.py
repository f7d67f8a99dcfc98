"""What a stage may use, and what it may answer. Built once, in the composition root."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from pipeline import policy
from pipeline.crash.prompt import canary_of
from pipeline.model import Realm, Run, RunState
from pipeline.ports import (
    Analyst,
    Builder,
    Clock,
    Console,
    CrashReader,
    Keeper,
    OnStarted,
    PatchLimits,
    Players,
    Source,
)
from pipeline.store import NewPost, Store


@dataclass(frozen=True)
class Stumble:
    """A crash that could not be judged for a bug of ours."""

    tries: int
    again: datetime  # not before


@dataclass(frozen=True)
class Tools:
    realm: Realm
    store: Store
    source: Source
    builder: Builder
    keeper: Keeper
    console: Console | None  # None = SERVER_CONSOLE is `signal`
    analyst: Analyst
    players: Players
    reader: CrashReader
    clock: Clock
    redact: Callable[[str], str]
    degraded: dict[str, str] = field(default_factory=dict)  # what does not work -> a sentence; shown by /status
    prepared: threading.Event = field(default_factory=threading.Event)  # our clone can be used
    secrets: tuple[str, ...] = field(default=(), repr=False)  # values of settings that no fix may hold
    alarms: dict[tuple[str, datetime], float] = field(default_factory=dict)  # what, when -> monotonic seconds
    stumbles: dict[int, Stumble] = field(default_factory=dict)  # by the id of the crash
    wishing: threading.Lock = field(default_factory=threading.Lock)  # one word on desired.json at a time
    beginning: threading.Lock = field(default_factory=threading.Lock)  # who looks that nobody works on it, begins alone

    def now(self) -> datetime:
        return self.clock.now()

    def is_past(self, what: str, due: datetime, longest: timedelta) -> bool:
        """Whether an instant has come that was at most `longest` ahead: by a clock that nobody sets, from the first
        look on, so that a jump of the other one neither shortens nor stretches the wait."""
        now = self.clock.monotonic()
        left = min(max(timedelta(), due - self.now()), longest)
        return now >= self.alarms.setdefault((what, due), now + left.total_seconds())

    def night(self) -> date:
        return policy.night_of(self.now(), self.realm.timezone)

    def limits(self, run: Run | None = None) -> PatchLimits:
        """Of a change; `run` = the one whose request it answers."""
        realm = self.realm
        canary = canary_of(run.request_id) if run is not None and run.request_id else None
        return PatchLimits(
            realm.allowed_paths, realm.denied_paths, realm.max_files, realm.max_changed_lines, self.secrets, canary
        )

    def record_child(self) -> OnStarted:
        """Writes a child down before it is waited for."""
        return lambda pid, create_time, what: self.store.note_child(pid, create_time, what, self.now())


DATABASE = "database"  # in `degraded`: it could not be opened yet
OBSTACLE = "obstacle"  # what a change waits for


def bug_topic(name: str) -> str:
    """In `degraded`: what a bug of ours hinders."""
    return f"bug in {name}"


@dataclass(frozen=True)
class Move:
    """The stage is done: the run goes on to `to`."""

    to: RunState
    note: str = ""
    posts: Sequence[NewPost] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stay:
    """Nothing to do now. `reason` is what the card says it waits for; `seconds` = look again then at the latest."""

    reason: str | None = None
    seconds: float | None = None
    attempts: int | None = None  # passages that count from now on; None = all that there were


Step = Move | Stay


@dataclass(frozen=True)
class Passage:
    """One call of a stage: how it is told to end."""

    cancelled: threading.Event = field(default_factory=threading.Event)
