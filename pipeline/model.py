"""The words of the domain as values. No behaviour beyond what follows from a value alone; nothing here does I/O.

Times are aware datetimes in UTC unless a comment says otherwise; paths in patches are relative, with forward slashes.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Any

from pipeline.keeper.protocol import Manifest, ReadyRule, RestartLimits

OURS = "spirit-healer"  # who ordered it, where nobody did

# --- crashes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """One stack frame; unknown values are None."""

    function: str | None = None
    file: str | None = None
    line: int | None = None
    module: str | None = None
    offset: str | None = None  # hexadecimal, without 0x
    inlined: bool = False


@dataclass(frozen=True)
class ExceptionInfo:
    """What the report calls it: `C0000005`, `SIGSEGV`, `heap-use-after-free`, glibc's `double free …`."""

    code: str
    name: str | None = None


@dataclass(frozen=True)
class Assertion:
    file: str | None
    line: int | None
    function: str | None
    expression: str | None
    message: str | None


@dataclass(frozen=True)
class Revision:
    """What a binary says it was built from."""

    hash: str
    dirty: bool
    date: str | None = None
    branch: str | None = None


@dataclass(frozen=True)
class Signature:
    """`class | function` (family) and `class | f1 | f2 | f3` (exact); equal `exact` and `version` = the same crash."""

    family: str
    exact: str
    version: int

    @property
    def title(self) -> str:
        """What a card names: the function, or the whole family where there is none."""
        parts = self.family.split(" | ")  # class, function, and an assertion's expression
        return parts[min(1, len(parts) - 1)]


class ReportKind(StrEnum):
    WHEATY = "wheaty"
    GDB = "gdb"
    ASAN = "asan"
    MINIDUMP = "minidump"
    CORE = "core"
    ASSERTION = "assertion"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Rename:
    """A function of a stack that had another name when the crash became known; both as signatures spell them."""

    before: str
    now: str


@dataclass(frozen=True)
class CrashReport:
    """What one artefact says of one crash. Every field may be unknown."""

    kind: ReportKind
    category: str | None = None  # `access violation`, `abort`, `freeze`, `environment`, …
    exception: ExceptionInfo | None = None
    assertion: Assertion | None = None
    revision: Revision | None = None
    crashed_at: datetime | None = None
    frames: tuple[Frame, ...] = ()  # the crashing thread, innermost first
    crashing_frame: int | None = None  # index into frames: the first that is the program's own
    signature: Signature | None = None
    environment: bool = False  # the world is at fault, not the code: `cure` says what to do
    cure: str | None = None
    notes: tuple[str, ...] = ()
    start: int = 0  # index into frames: those before it are the report's own making, and never count
    renames: tuple[Rename, ...] = ()  # by which it is a crash that is known

    @property
    def frame(self) -> Frame | None:
        """The frame of interest."""
        return None if self.crashing_frame is None else self.frames[self.crashing_frame]


# --- analyses and patches --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Analysis:
    """What went wrong, where, how sure."""

    category: str | None = None
    severity: str | None = None
    file: str | None = None
    line: int | None = None
    function: str | None = None
    summary: str | None = None  # the root cause in a sentence
    details: str | None = None
    confidence: str | None = None


@dataclass(frozen=True)
class WholeFile:
    path: str
    content: str
    base_sha256: str | None = None


@dataclass(frozen=True)
class Edit:
    """`search` must match exactly one place; `path` None = the one place anywhere in `candidates`."""

    path: str | None
    search: str
    replace: str
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Patch:
    """A proposed change, not yet in git. Exactly one of the fields is filled."""

    files: tuple[WholeFile, ...] = ()
    edits: tuple[Edit, ...] = ()
    diff: str | None = None  # unified
    reverts: tuple[str, ...] = ()  # commits to undo, newest first
    merges: str | None = None  # a commit to merge (runs of kind update)

    def to_plain(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Patch:
        return cls(
            files=tuple(WholeFile(**each) for each in plain["files"]),
            edits=tuple(Edit(**{**each, "candidates": tuple(each["candidates"])}) for each in plain["edits"]),
            diff=plain["diff"],
            reverts=tuple(plain["reverts"]),
            merges=plain["merges"],
        )


@dataclass(frozen=True)
class Response:
    """An analyst's answer, whichever shape it came in. `patch` None = prose: a person has to look (PROPOSED)."""

    request_id: str
    analysis: Analysis
    patch: Patch | None = None
    prose: str | None = None  # what a person should read instead of a patch
    shape: str = "ours"  # "A", "B", "C", "ours", "worktree"


# --- runs ------------------------------------------------------------------------------------------------------------


class RunKind(StrEnum):
    FIX = "fix"
    REVERT = "revert"
    UPDATE = "update"


class RunState(StrEnum):
    """Gerund = we work; AWAITING_*, PROPOSED = somebody's turn; participle = over."""

    ANALYZING = "ANALYZING"  # a request is open
    PROPOSED = "PROPOSED"  # an answer without a patch that may be applied: a person's turn
    READY = "READY"  # has a patch, waits for the lane
    AWAITING_APPROVAL = "AWAITING_APPROVAL"  # `question` says of what; returns to the state that asked
    PATCHING = "PATCHING"  # bring the clone to the recorded head, apply, commit
    BUILDING = "BUILDING"
    PUBLISHING = "PUBLISHING"  # push what has built
    AWAITING_DEPLOYMENT = "AWAITING_DEPLOYMENT"  # built; waits for the window, the players, the lane
    DEPLOYING = "DEPLOYING"  # stop, swap, start
    VERIFYING = "VERIFYING"  # the soak
    ROLLING_BACK = "ROLLING_BACK"
    SUCCEEDED = "SUCCEEDED"
    ROLLED_BACK = "ROLLED_BACK"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


CHANGE_LANE = (RunState.PATCHING, RunState.BUILDING, RunState.PUBLISHING)
DEPLOY_LANE = (RunState.DEPLOYING, RunState.VERIFYING, RunState.ROLLING_BACK)
OVER = (RunState.SUCCEEDED, RunState.ROLLED_BACK, RunState.FAILED, RunState.CANCELLED)
OF_WHAT_WENT = "only in what is taken back"  # how a crash is judged that nothing else ever had
CLOSED = (*OVER, RunState.PROPOSED)  # nothing moves it but a person or a late answer

# What may follow what; the runner refuses everything else. A retry leads back to ANALYZING or READY.
TRANSITIONS: dict[RunState, tuple[RunState, ...]] = {
    RunState.ANALYZING: (RunState.READY, RunState.PROPOSED, RunState.FAILED, RunState.CANCELLED),
    RunState.PROPOSED: (RunState.READY, RunState.ANALYZING, RunState.CANCELLED),
    RunState.READY: (
        RunState.PATCHING, RunState.AWAITING_APPROVAL, RunState.PROPOSED, RunState.FAILED, RunState.CANCELLED,
        RunState.SUCCEEDED,
    ),
    RunState.AWAITING_APPROVAL: (RunState.READY, RunState.AWAITING_DEPLOYMENT, RunState.CANCELLED, RunState.FAILED),
    RunState.PATCHING: (
        RunState.BUILDING, RunState.ANALYZING, RunState.PROPOSED, RunState.AWAITING_APPROVAL, RunState.READY,
        RunState.FAILED, RunState.CANCELLED, RunState.SUCCEEDED,
    ),
    RunState.BUILDING: (
        RunState.PUBLISHING, RunState.ANALYZING, RunState.PROPOSED, RunState.READY, RunState.FAILED, RunState.CANCELLED,
    ),
    RunState.PUBLISHING: (
        RunState.AWAITING_DEPLOYMENT, RunState.SUCCEEDED, RunState.READY, RunState.FAILED, RunState.CANCELLED,
    ),
    RunState.AWAITING_DEPLOYMENT: (
        RunState.DEPLOYING, RunState.AWAITING_APPROVAL, RunState.FAILED, RunState.CANCELLED, RunState.SUCCEEDED,
    ),
    RunState.DEPLOYING: (RunState.VERIFYING, RunState.AWAITING_DEPLOYMENT, RunState.ROLLING_BACK, RunState.FAILED),
    RunState.VERIFYING: (RunState.SUCCEEDED, RunState.ROLLING_BACK, RunState.FAILED),
    RunState.ROLLING_BACK: (RunState.ROLLED_BACK, RunState.FAILED),
    RunState.SUCCEEDED: (RunState.ROLLING_BACK, RunState.ROLLED_BACK),
    RunState.ROLLED_BACK: (RunState.ANALYZING, RunState.READY),
    RunState.FAILED: (RunState.ANALYZING, RunState.READY, RunState.ROLLING_BACK),
    RunState.CANCELLED: (RunState.ANALYZING, RunState.READY),
}  # fmt: skip


# What a person reads of a state, behind `is`.
STATE_WORDS = {
    RunState.ANALYZING: "with the analyst",
    RunState.PROPOSED: "waiting for a person",
    RunState.READY: "waiting for its turn",
    RunState.AWAITING_APPROVAL: "waiting for an approval",
    RunState.PATCHING: "applying its patch",
    RunState.BUILDING: "building",
    RunState.PUBLISHING: "pushing",
    RunState.AWAITING_DEPLOYMENT: "built and waiting to go live",
    RunState.DEPLOYING: "being deployed",
    RunState.VERIFYING: "live and being watched",
    RunState.ROLLING_BACK: "being rolled back",
    RunState.SUCCEEDED: "done",
    RunState.FAILED: "given up",
    RunState.ROLLED_BACK: "rolled back",
    RunState.CANCELLED: "taken back",
}


class Question(StrEnum):
    """What AWAITING_APPROVAL asks."""

    PATCH = "patch"  # may this be applied?
    DEPLOY = "deploy"  # may this build go live?
    BASE = "base"  # may the night branch begin at this commit?


class Approval(StrEnum):
    """The setting APPROVAL."""

    NONE = "none"
    PATCH = "patch"
    DEPLOY = "deploy"


class FixState(StrEnum):
    """What became of a fix after SUCCEEDED."""

    WATCHING = "watching"
    VERIFIED = "verified"
    RECURRED = "recurred"
    REVERTED = "reverted"


LIVE = (FixState.WATCHING, FixState.VERIFIED)  # in what runs, and not seen to fail


class Verdict(StrEnum):
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    NOT_CURED = "not cured"
    INCONCLUSIVE = "inconclusive"


class Hindrance(StrEnum):
    """Why a build may not go live as it is, whatever the hour."""

    BASE = "base"  # it was made on another base than what runs
    REFUSED = "refused"  # it holds what nobody wants, and nobody has ordered its revert
    REVERT_COMING = "revert_coming"  # it holds what nobody wants, and its revert is under way
    UNAPPROVED = "unapproved"  # it holds what nobody has approved
    NO_FALLBACK = "no_fallback"  # there is nothing to go back to


class Awaits(StrEnum):
    """What a build that may go live still waits for."""

    RESUME = "resume"  # the pipeline is paused
    LANE = "lane"  # the end of another deployment
    START = "start"  # an operator has stopped the server: the next start brings it
    RETRY = "retry"  # it could not be put in place, and is tried again
    QUIET = "quiet"  # fewer players, or the end of the hours without restarts
    TURN = "turn"  # nothing: it is ordered, and next


@dataclass(frozen=True)
class Run:
    """One row of `runs`."""

    id: str
    kind: RunKind
    state: RunState
    night: date  # of its card
    signature: Signature | None  # of the crash; None for an update
    subject: str  # what a title names: the function, or the commit that is reverted
    created_at: datetime
    updated_at: datetime
    request_id: str | None = None
    attempts: int = 0  # passages of the present stage that were begun
    returns: int = 0  # times it went back to the analyst
    analysis: Analysis | None = None
    patch: Patch | None = None
    changes: tuple[Change, ...] = ()  # what the patch touches, once it was checked against the branch
    prose: str | None = None
    question: Question | None = None
    answered: tuple[str, ...] = ()  # questions an operator has said yes to
    branch: str | None = None
    base: str | None = None  # head of the branch before its commit
    commit: str | None = None
    pushed: bool = False
    deployment: str | None = None
    reason: str | None = None  # why it ended as it did, or what it waits for
    hindrance: Hindrance | None = None  # what `reason` tells, where neither an hour nor an order to go changes it
    asked_by: str | None = None  # operator, for what a person ordered
    reverts: str | None = None  # the commit a revert run undoes
    fix_state: FixState | None = None
    verdict: Verdict | None = None
    not_before: datetime | None = None  # back-off of a transient error
    retry_of: str | None = None  # the run whose unhealthy start this one works on

    @property
    def asks(self) -> str:
        """What it asks at this moment, as a word that no other question of it has: `patch-1` asks about the patch of
        its second answer."""
        return f"{self.question}-{self.returns}" if self.question else ""

    @property
    def undoes(self) -> tuple[str, ...]:
        """The commits that it reverts, newest first."""
        return self.patch.reverts if self.patch is not None else ()


@dataclass(frozen=True)
class Diagnostic:
    """An error of a compiler or linker."""

    message: str
    file: str | None = None  # relative to the source where it lies in it
    line: int | None = None
    column: int | None = None
    severity: str = "error"  # "error", "warning", "fatal error"

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        return f"{place}: {self.severity}: {self.message}" if place else f"{self.severity}: {self.message}"


@dataclass(frozen=True)
class Progress:
    """How far a build is."""

    done: int
    total: int

    @property
    def percent(self) -> int:
        return min(100, self.done * 100 // self.total) if self.total else 0


@dataclass(frozen=True)
class BuildResult:
    """One compile of one commit, as observed. `manifest` None = it failed, `reason` says why in a sentence."""

    commit: str
    seconds: float
    log: Path
    manifest: Manifest | None = None
    diagnostics: tuple[Diagnostic, ...] = ()  # errors first, in the order of the log
    reason: str | None = None


@dataclass(frozen=True)
class Commit:
    hash: str  # 40 digits
    tree: str
    subject: str
    committed_at: datetime
    run: str | None = None  # its `Run:` trailer
    author: str = ""  # a name


@dataclass(frozen=True)
class Change:
    """What a commit or a patch touches."""

    path: str
    added: int  # lines
    removed: int  # lines


# --- what the pipeline has to know of its realm (settings, already validated) ---------------------------------------


@dataclass(frozen=True)
class Realm:
    """The settings that decisions need; adapters get theirs from the composition root."""

    name: str
    state_dir: Path
    source_dir: Path
    server_dir: Path
    server_command: tuple[str, ...]
    server_environment: dict[str, str] = field(default_factory=dict)
    withhold: tuple[str, ...] = ()  # variables the server must not inherit
    server_commit: str | None = None  # SERVER_COMMIT
    ready: ReadyRule = field(default_factory=ReadyRule)
    limits: RestartLimits = field(default_factory=RestartLimits)
    crash_dirs: tuple[Path, ...] = ()
    server_logs: tuple[Path, ...] = ()
    soak: timedelta = timedelta(minutes=2)
    stop_notice: timedelta = timedelta(seconds=30)
    stop_timeout: timedelta = timedelta(minutes=10)
    keep_cores: int = 3
    keep_builds: int = 5
    approval: Approval = Approval.NONE
    max_files: int = 10
    max_changed_lines: int = 400
    allowed_paths: tuple[str, ...] = ("src/**",)
    denied_paths: tuple[str, ...] = ()
    no_restart_hours: tuple[tuple[time, time], ...] = ()
    deploy_at_latest: time = time(6)
    max_players_for_restart: int | None = None
    max_tries: int = 3  # runs per signature and night before it is only counted
    analyst_nightly_limit: int = 50
    min_free_disk: int = 5 << 30  # bytes
    remote: str = "origin"  # SOURCE_REMOTE: its name, for commands that people type
    summary_time: time = time(8)
    timezone: tzinfo | None = None  # None = the machine's own


# --- orders: what a command gets back -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """The order was carried out, or will be without further asking."""

    text: str = ""  # what an operator should know beside the obvious
    run: str | None = None
    order: int | None = None
    due: datetime | None = None
    build: str | None = None  # that a rollback leads to
    subject: str = ""  # of the run that was ordered about, and its kind
    kind: RunKind = RunKind.FIX


@dataclass(frozen=True)
class Impossible:
    """Nothing was changed; `reason` is a sentence, with the cure where there is one."""

    reason: str


Outcome = Done | Impossible


@dataclass(frozen=True)
class Actor:
    """Who gives an order, and from where."""

    id: str  # Discord's user id, or "command line"
    name: str  # as shown
    where: str = ""  # guild and channel ids, for the audit

    def __str__(self) -> str:
        return self.name
