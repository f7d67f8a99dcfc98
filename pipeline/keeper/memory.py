"""What the keeper remembers over its own end: `SERVER_DIR/.spirit-healer/memory.json`. Values only, no files."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.keeper.limits import Counts
from pipeline.keeper.protocol import Exit, Hold, Manifest


class StopWhy(StrEnum):
    """Why the keeper ends a living server."""

    WISH = "wish"  # desired.json: stopped, restarted, another build or other settings
    LEAVING = "leaving"  # the keeper itself was asked to end
    NOT_READY = "not_ready"  # on probation, and not ready in time


class Rung(StrEnum):
    """A step of the stop ladder, as the STOPPING event names it."""

    SIGNAL = "signal"
    STACKS = "stacks"
    KILL = "kill"


@dataclass(frozen=True)
class Stopping:
    """A stop under way."""

    why: StopWhy
    text: str  # for people: who asked and what for
    rung: Rung = Rung.SIGNAL
    hung: bool = False  # it made no progress for the whole stop timeout


@dataclass(frozen=True)
class Life:
    """One process of the server, from its spawn to its end. It also stands in the environment of the process."""

    id: str  # unique: keeper and number
    started: float  # seconds since the epoch
    boot: str
    generation: int
    build: str | None = None  # build that lay in SERVER_DIR at the start
    deployment: str | None = None  # what put it there
    spec: str | None = None  # digest of command, folder and environment; None = not known (adopted, without our mark)
    restart: int = 0  # the wish's restart counter it was started with
    output: str | None = None  # captured stdout + stderr, absolute path
    own: str | None = None  # sha256 of an executable that somebody put over the build's
    pid: int = 0  # 0 = not spawned yet
    create_time: float = 0.0  # seconds since the epoch, as psutil gives it
    marked: bool = True  # it carries our mark: it was started by a keeper
    adopted: bool = False  # this keeper is not its parent
    ready_at: float | None = None  # seconds since the epoch
    revision: str | None = None
    revision_line: str | None = None
    timed_out: bool = False  # the ready timeout was told
    stopping: Stopping | None = None

    @property
    def shown_build(self) -> str | None:
        """The build as it is reported: an executable that is not the build's is known by its checksum."""
        return f"found-{self.own}" if self.own else self.build


@dataclass(frozen=True)
class Identity:
    """What tells a file that was replaced from one that was not, without reading it."""

    inode: int
    size: int  # bytes
    mtime_ns: int


@dataclass(frozen=True)
class Placed:
    """The build whose files the keeper put into SERVER_DIR, or found there complete."""

    manifest: Manifest
    deployment: str | None = None
    executable: Identity | None = None  # of the program as it was placed
    own: str | None = None  # sha256 of an executable that somebody put over it since

    @property
    def shown_build(self) -> str:
        """As `Life.shown_build`."""
        return f"found-{self.own}" if self.own else self.manifest.build


@dataclass(frozen=True)
class Who:
    """A process, told from a later one with its number."""

    pid: int
    create_time: float  # seconds since the epoch


@dataclass(frozen=True)
class Held:
    """Why the server stays down, and since which wish and boot."""

    why: Hold
    detail: str
    boot: str
    generation: int
    restart: int = 0  # the wish's restart counter then
    build: str | None = None  # the wish's build then
    supervisor: Who | None = None  # what would start the server by itself


@dataclass(frozen=True)
class Refused:
    """A build that the keeper has taken out; the same deployment does not bring it back."""

    build: str
    deployment: str | None


@dataclass(frozen=True)
class Fall:
    """A fallback under way, or done and not yet proven."""

    bad: str | None
    why: str
    before_ready: bool  # the bad build died before ready: if the fallback does too, it is the environment
    told: bool = False
    deployment: str | None = None  # that had put the bad build in place


@dataclass(frozen=True)
class Trial:
    """Deaths after ready of one deployment on probation."""

    deployment: str
    deaths: int


@dataclass(frozen=True)
class Memory:
    life: Life | None = None
    placed: Placed | None = None
    held: Held | None = None
    counts: Counts = field(default_factory=Counts)
    refused: tuple[Refused, ...] = ()
    fall: Fall | None = None
    trial: Trial | None = None
    learned: tuple[float, ...] = ()  # seconds from spawn to ready, the last few
    last_exit: Exit | None = None
    next_start: float | None = None  # seconds since the epoch, while backing off
    accepted: int = 0  # newest generation that was read and took effect
    reached: int = 0  # newest generation that was satisfied
