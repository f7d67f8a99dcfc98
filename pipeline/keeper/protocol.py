"""What the bot and the keeper tell each other: the files, their shapes, and how they are written.

The bot writes `desired.json` and `builds/<commit>/`; the keeper writes `observed.json`, `events.jsonl` and `swap.json`.
Every file is replaced atomically and synced with its folder; unknown keys are ignored, so that a new bot and an old
keeper (or the other way round) understand each other as long as `PROTOCOL` has the same major number.
"""

from __future__ import annotations

import dataclasses
import json
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

PROTOCOL = 1
_MOST = 1 << 53  # of a fraction; whole numbers (inodes, nanoseconds) may be larger
_SEEN_WITHIN = 10.0  # seconds; a server that writes at all, and that is looked after, shows no such gap
DESIRED = "desired.json"
OBSERVED = "observed.json"
EVENTS = "events.jsonl"
BUILDS = "builds"
LOCK_FOLDER = ".spirit-healer"
KEEPER_LOCK = "keeper.lock"  # in it, and in the state folder
KEEPER_NOTE = "keeper.json"  # in the lock folder
SERVER_MARK = "SPIRIT_HEALER_SERVER"


class ProtocolError(Exception):
    """A file of the protocol cannot be read: the message names the file and the fault."""


class Want(StrEnum):
    """What the bot wishes of the server."""

    UP = "up"
    STOPPED = "stopped"


class ServerState(StrEnum):
    """What the keeper sees of the server. Exactly one holds at any moment."""

    ABSENT = "absent"  # never started, or its end was asked for
    STARTING = "starting"  # the process lives, the ready rule is not yet met
    READY = "ready"  # the ready rule was met
    STOPPING = "stopping"  # signalled, not yet gone
    SWAPPING = "swapping"  # files are being exchanged, no process
    BACKOFF = "backoff"  # dead, the next start waits
    HELD = "held"  # dead, and it stays so until somebody decides (`hold` says why)


class EventKind(StrEnum):
    """A line of `events.jsonl`. `Event.data` holds what is named behind each."""

    KEEPER_STARTED = "keeper_started"  # protocol, boot, server_dir
    KEEPER_STOPPED = "keeper_stopped"  # why
    ADOPTED = "adopted"  # pid, build, ours: bool
    SPAWNED = "spawned"  # pid, create_time, build, generation, reason
    SPAWN_FAILED = "spawn_failed"  # error, build, generation
    READY = "ready"  # pid, seconds, build, revision, generation
    READY_TIMEOUT = "ready_timeout"  # pid, seconds, build, trial (on probation), detail (what it still waits for)
    EXITED = "exited"  # see `Exit` (its fields are the data), judged as `Exit.verdict`
    STOPPING = "stopping"  # pid, why, rung: "signal" | "stacks" | "kill", wrapped (who is signalled below a shell)
    HELD = "held"  # why: Hold, detail
    RELEASED = "released"  # why
    SWAP_STARTED = "swap_started"  # build, previous
    SWAPPED = "swapped"  # build, seconds
    SWAP_FAILED = "swap_failed"  # build, error, rolled: "forward" | "back"
    FELL_BACK = "fell_back"  # build (that runs now), bad (that was taken out), deployment (of the bad one), why
    FOREIGN = "foreign"  # another supervisor or a server that is not ours: detail
    OWN_BUILD = "own_build"  # executable's sha256 differs with no open swap: the operator's own build
    WISH_UNREADABLE = "wish_unreadable"  # error: the last wish stays in force


class Hold(StrEnum):
    """Why a dead server stays down."""

    EXIT_ZERO = "exit_zero"  # it ended with 0: somebody shut it down; ends when the boot id changes
    BREAKER = "breaker"  # it died too often
    FOREIGN = "foreign"  # another supervisor looks after it, or a server that is not ours runs here
    SWAP = "swap"  # the files fit neither build
    STOPPED = "stopped"  # an operator stopped it


class ExitVerdict(StrEnum):
    """What an end of the server means (KEEPER.md, "Exits nobody asked for")."""

    ASKED = "asked"  # we stopped it
    SHUTDOWN = "shutdown"  # 0
    RESTART = "restart"  # 2
    STARTUP_ERROR = "startup_error"  # 1 before ready
    CRASH = "crash"
    HANG_AT_STOP = "hang_at_stop"  # asked to stop, made no progress, stacks were taken
    WITH_MACHINE = "with_machine"  # its boot id is not ours: counted, starts no run


@dataclass(frozen=True)
class BuildFile:
    """One file of a build and where it goes."""

    path: str  # below SERVER_DIR, with forward slashes
    source: str  # below builds/<commit>/files/, with forward slashes
    sha256: str
    size: int = 0  # bytes
    executable: bool = False


@dataclass(frozen=True)
class Manifest:
    """The files of one build. `build` names it: a commit, or `found-<sha256>` for what lay there before us."""

    build: str
    files: tuple[BuildFile, ...] = ()
    revision: str | None = None  # hash the binary should print, None where it prints none


@dataclass(frozen=True)
class ReadyRule:
    """When a start counts as ready: pattern seen in a log or the output AND the port accepts."""

    pattern: str = r"\(worldserver-daemon\) ready\.\.\."  # "" = the port alone
    logs: tuple[str, ...] = ("Server.log",)  # relative ones below SERVER_DIR; the captured output is always read too
    port: int = 8085  # 0 = no port
    timeout: float = 900.0  # seconds without being ready, a hard cap
    revision: str = (
        r"rev\. (?P<hash>[0-9a-f]{7,40}|unknown|Archived)(?P<dirty>\+?)"  # first match in a line of the ready log
    )


@dataclass(frozen=True)
class RestartLimits:
    """How often a dying server is started again."""

    base: float = 1.0  # seconds before the second restart; doubled each time
    cap: float = 60.0  # seconds at the most
    soak: float = 120.0  # seconds after ready from which a life counts as a good one
    deaths_in_a_row: int = 5
    deaths_per_hour: int = 20


@dataclass(frozen=True)
class Desired:
    """The wish: `desired.json`."""

    generation: int
    want: Want
    by: str  # who wished it: an operator's name or "spirit-healer"
    reason: str
    server_dir: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)  # SERVER_ENV
    withhold: tuple[str, ...] = ()  # names of variables that the server must not inherit (our settings, keys)
    ready: ReadyRule = field(default_factory=ReadyRule)
    limits: RestartLimits = field(default_factory=RestartLimits)
    stop_timeout: float = 600.0  # seconds without progress in the log
    keep_cores: int = 3
    build: Manifest | None = None  # None = whatever lies in SERVER_DIR
    fallback: Manifest | None = None  # the last healthy build
    probation: str | None = None  # the deployment being verified: the keeper may put the fallback back by itself
    next_build: Manifest | None = None  # approved: used at the next start, whatever causes it
    next_deployment: str | None = None  # the deployment that next_build belongs to
    operator_stop: bool = False  # want == STOPPED by a person
    restart: int = 0  # a counter: one larger than the living server was started with = a restart is asked for
    lift_hold: bool = False  # an operator's or a deployment's wish: a larger generation with this lifts any hold
    protocol: int = PROTOCOL


@dataclass(frozen=True)
class Exit:
    """How one life of the server ended: data of an EXITED event and of `observed.json`."""

    verdict: ExitVerdict
    at: float  # seconds since the epoch
    pid: int
    status: int | None  # exit code, negative = the signal's number (POSIX); None = not known (adopted server)
    build: str | None  # the build that ran
    revision: str | None  # what it printed
    generation: int
    ready_after: float | None  # seconds from spawn to ready, None = never
    lived: float  # seconds
    started: float  # seconds since the epoch, when it was spawned
    output: str | None = None  # the moved-aside stdout+stderr of that life, absolute path
    log: str | None = None  # the moved-aside Server.log of that life, absolute path
    core: str | None = None  # a core file found for it, absolute path
    asked: str | None = None  # why we stopped it, for ASKED and HANG_AT_STOP
    deployment: str | None = None  # the probation it died on, if any

    @property
    def unseen(self) -> float:
        """Seconds for which it may have been dead before it was found so; 0.0 where the end itself was seen."""
        gap = self.at - self.started - self.lived
        return gap if self.status is None and gap > _SEEN_WITHIN else 0.0


@dataclass(frozen=True)
class Observed:
    """What is: `observed.json`."""

    keeper: str  # id of this keeper's life
    keeper_pid: int
    boot: str
    at: float  # seconds since the epoch, of this writing
    state: ServerState
    generation: int  # the newest wish that was reached
    pid: int | None = None
    create_time: float | None = None  # seconds since the epoch, as psutil gives it
    started: float | None = None  # seconds since the epoch
    ready_at: float | None = None  # seconds since the epoch
    build: str | None = None  # manifest that lies in SERVER_DIR and was started
    deployment: str | None = None  # what put it there
    revision: str | None = None  # the hash the running server printed, with "+" when dirty
    revision_line: str | None = None
    hold: Hold | None = None
    hold_detail: str = ""
    next_start: float | None = None  # seconds since the epoch, while backing off
    last_exit: Exit | None = None
    learned_start: float | None = None  # seconds from spawn to ready, the longest of the last few
    output: str | None = None  # captured stdout+stderr of the running server, absolute path
    adopted: bool = False
    server_dir: str = ""  # absolute, without symlinks; "" = not told, by an earlier version
    protocol: int = PROTOCOL


@dataclass(frozen=True)
class KeeperNote:
    """`keeper.json` beside `keeper.lock`: who holds it. Alone it proves nothing: a dead keeper leaves its own."""

    pid: int
    create_time: float  # seconds since the epoch, as psutil gives it
    state_dir: str  # the state folder that it works for
    foreground: bool = False  # a service manager, or a person, started it, and starts it again


@dataclass(frozen=True)
class Event:
    """One line of `events.jsonl`; (keeper, number) is unique."""

    keeper: str
    number: int
    at: float  # seconds since the epoch
    kind: str  # an EventKind; a text, so that an older bot survives a newer keeper
    data: Mapping[str, Any]


T = TypeVar("T")


def to_json(value: Any) -> str:
    """One line of JSON for a dataclass of this module."""
    return json.dumps(dataclasses.asdict(value), ensure_ascii=False, separators=(",", ":"))


def parse_json(text: str | bytes) -> Any:
    """What a text holds that anybody may have written. Raises ValueError, also where it is nested deeper than Python
    follows."""
    try:
        return json.loads(text)
    except RecursionError as fault:
        raise ValueError("it is nested too deeply") from fault


def from_json(shape: type[T], text: str | bytes) -> T:
    """The dataclass in a text. Raises ProtocolError where it is not one; unknown keys are ignored."""
    try:
        return from_plain(shape, parse_json(text))
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise ProtocolError(f"not a {shape.__name__}: {fault}") from fault


def from_plain(shape: type[T], plain: Any) -> T:
    """The dataclass in what `parse_json` gave."""
    if not isinstance(plain, dict):
        raise TypeError(f"expected an object, got {type(plain).__name__}")
    hints = _get_hints(typing.cast(typing.Hashable, shape))
    names = [each.name for each in dataclasses.fields(typing.cast(Any, shape)) if each.name in plain]
    return shape(**{name: _read(hints[name], plain[name]) for name in names})


@cache
def _get_hints(shape: typing.Hashable) -> dict[str, Any]:
    return get_type_hints(shape)


def _read(hint: Any, value: Any) -> Any:
    origin = get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _read(next(h for h in get_args(hint) if h is not type(None)), value)
    if origin is tuple:
        return tuple(_read(get_args(hint)[0], each) for each in value)
    if origin is not None or hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return from_plain(typing.cast(type, hint), value)
    return _read_scalar(hint, value)


def _read_scalar(hint: type, value: Any) -> Any:
    if issubclass(hint, StrEnum):
        return hint(value)
    if hint is float:
        return _read_fraction(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise TypeError(f"expected {hint.__name__}, got {value!r}"[:200])
    return value


def _read_fraction(value: Any) -> float:
    """One that can be a time or a span: neither NaN nor beyond all calendars, as a spoilt file may hold."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < _MOST:
        raise TypeError(f"expected float, got {value!r}"[:200])
    return float(value)


def replace_file(path: Path, text: str) -> None:
    """Writes a file so that a reader, or a power loss, finds the old text or the new one, never a part. Mode 0600."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def older_events(path: Path) -> Path:
    """Where the events of before `path` are, once that had grown too large."""
    return path.with_name(f"{path.name}.1")


def sync_folder(folder: Path) -> None:
    """Makes renames in a folder durable; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
