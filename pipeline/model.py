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

from pipeline.keeper.protocol import Hold, Manifest, ReadyRule, RestartLimits, ServerState

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


class Verdict(StrEnum):
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    NOT_CURED = "not cured"
    INCONCLUSIVE = "inconclusive"


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


# --- what people see: read models, filled by the store, rendered by bot/messages.py ---------------------------------


@dataclass(frozen=True)
class FixLink:
    commit: str
    url: str | None
    branch: str | None


@dataclass(frozen=True)
class DeploymentView:
    id: str
    commit: str
    state: str  # "staged", "stopping", "starting", "verifying", "rolling back", "over"
    down_seconds: float | None  # stop sent -> ready
    ready_at: datetime | None
    healthy_at: datetime | None  # when the soak ends
    previous: str | None  # build that ran before


@dataclass(frozen=True)
class Withdrawn:
    """A change that people took back before it ever was live."""

    reason: str  # by whom, and why
    fix: FixLink


@dataclass(frozen=True)
class CardView:
    """Everything a card shows: the present state of one signature on one night."""

    card: int
    realm: str
    night: date
    title: str  # function or subject
    run: Run | None  # the newest run of this card, None = counted only
    report: CrashReport | None
    occurrences: int  # of this signature in this night
    before: int  # occurrences ever before this night
    first_seen: datetime | None
    last_seen: datetime | None
    back_after: float | None  # seconds from the last crash, or its last sign of life, to ready; None = not back yet
    running: str | None  # revision that crashed
    server: ServerState | None
    fix: FixLink | None
    changes: tuple[Change, ...]  # of the patch, where known
    progress: Progress | None
    build_eta: float | None  # seconds left
    diagnostics: tuple[Diagnostic, ...]  # of the last failed build
    deployment: DeploymentView | None
    revert: FixLink | None  # commit that took the fix back
    players: int | None
    player_limit: int | None
    deploy_at_latest: datetime | None
    paused: bool  # it goes on after /resume
    previous_card: str | None  # message id of the card of the night before, where the signature had one
    max_returns: int = 2
    paused_by_it: bool = False  # the pause that holds is the one that its rollback made
    only_taken_back: bool = False  # it was seen only in a build that was taken back
    puts_back: bool = False  # the run reverts a revert: what that one took out comes back
    build: str | None = None  # that the server was last started with, as the keeper observes
    withdrawn: Withdrawn | None = None  # what the run reverts, where that was never live
    mended: bool = True  # False: it is known that no fix of this crash is live
    in_queue: bool = False  # who answers its request takes it from the queue: there is no command to ask
    given_up: bool = False  # nobody works on its crash any more: a person's turn
    end_seen: bool = True  # False: nobody was there when it died, so that `back_after` is the most it can have been


@dataclass(frozen=True)
class PauseView:
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class RunLine:
    id: str
    subject: str
    state: RunState
    reason: str | None
    question: Question | None
    progress: Progress | None
    in_line: bool = False  # built, and another deployment has the lane
    not_before: datetime | None = None  # it is tried again then
    paused: bool = False  # it goes on after /resume
    in_queue: bool = False  # its request lies in the queue, and no command of ours works on it
    hindered: bool = False  # built, and not wanted live as it is: `reason` says what has to come first


@dataclass(frozen=True)
class OrderLine:
    """An order that waits for its time."""

    kind: str  # "restart"
    by: str
    reason: str
    due: datetime


class Topic(StrEnum):
    """What needs a person."""

    SERVER = "server"  # it does not run
    PAUSE = "pause"
    APPROVAL = "approval"
    LOOK = "look"  # a proposal, or a run that was given up
    ANSWER = "answer"  # a request that nobody has answered for long
    REVIEW = "review"  # a night branch to merge
    PUSH = "push"  # owed
    DEGRADED = "degraded"  # in summaries of earlier versions


@dataclass(frozen=True)
class Rider:
    """A change that stands on a night branch and that nobody wants live, or not yet: a merge would bring it too."""

    subject: str = ""
    commit: str = ""
    run: str = ""
    state: str = ""  # of the run: AWAITING_APPROVAL, CANCELLED or ROLLED_BACK
    kind: str = "fix"  # of the run
    reverting: bool = False  # its revert is under way, and not on the branch yet


@dataclass(frozen=True)
class Need:
    topic: Topic = Topic.LOOK
    subject: str = ""
    detail: str = ""
    run: str | None = None
    message: str | None = None  # id of its card in the channel
    state: str = ""  # of the run, a RunState
    question: str = ""  # of the run, a Question
    fixes: int = 0  # to review
    url: str | None = None  # of the page that compares them
    riders: tuple[Rider, ...] = ()  # what a merge would bring beside the fixes
    since: float | None = None  # seconds since the epoch: since when it is unanswered


@dataclass(frozen=True)
class StatusView:
    """The answer of /status and of `spirit-healer status --json`."""

    realm: str
    server: ServerState | None  # None = the keeper does not answer
    hold: Hold | None
    hold_detail: str
    pid: int | None
    started: datetime | None
    ready_at: datetime | None
    next_start: datetime | None
    revision: str | None
    build: str | None
    players: int | None
    restarts_tonight: int | None
    crashes_tonight: int | None  # None = the database does not work: nothing is known but what the keeper tells
    paused: PauseView | None
    branch: str | None
    head: FixLink | None
    runs: tuple[RunLine, ...]  # not over, oldest first
    push_owed: bool
    degraded: tuple[str, ...]  # what does not work, in words
    keeper_pid: int | None
    disk_free: int | None  # bytes in the state folder
    version: str
    trouble: str = ""  # why it is not up, in a few words; "" = it is, or that is not known
    trouble_detail: str = ""  # who is at fault, and the cure
    failed: tuple[RunLine, ...] = ()  # of this night and the one before, given up: a person's turn
    orders: tuple[OrderLine, ...] = ()  # not yet due, the next first
    halted: str = ""  # who is stopped and does nothing, keeper or server, and the cure
    running: FixLink | None = None  # the commit of the build that runs, where it is one of ours
    undelivered: int = 0  # messages and cards that Discord has not got yet
    needs: tuple[Need, ...] = ()  # most urgent first


@dataclass(frozen=True)
class FixLine:
    """A commit of ours that may be reverted."""

    commit: str
    subject: str
    run: str
    state: RunState
    committed_at: datetime
    url: str | None
    reverted: bool


# --- what is posted beside the cards: rows of the outbox, rendered by bot/messages.py -------------------------------


class PostKind(StrEnum):
    """A message that is sent once and not edited. `Post.data` holds what is named behind each (all JSON values)."""

    ANALYSIS = "analysis"  # thread: analysis (fields of Analysis), prose, attempt
    PATCH = "patch"  # thread: diff (text), run
    BACKTRACE = "backtrace"  # thread: frames (rendered text), report file name, notes, log lines
    BUILD_FAILED = "build_failed"  # thread: diagnostics (list of texts), log (path), reason, attempt
    BUILT = "built"  # thread: commit, url, branch, seconds
    REFUSED = "refused"  # thread: reason
    DEPLOYED = "deployed"  # thread: commit, down_seconds, revision
    VERDICT = "verdict"  # thread: verdict, detail
    SERVER = (
        "server"  # channel: what ("crashed without card", "held", "released", "stopped", "started", ...), detail, by
    )
    PIPELINE = "pipeline"  # channel: what ("paused", "resumed", "degraded", "mended"), detail, by
    REJECTED_RESPONSE = "rejected_response"  # channel: file, reason
    ORDER = "order"  # channel: what, by, detail
    SUMMARY = "summary"  # channel


@dataclass(frozen=True)
class Post:
    """One row of the outbox that is not a card."""

    id: int
    kind: PostKind
    card: int | None  # None = the channel itself, else the thread of that card
    data: dict[str, Any]
    created_at: datetime
    attempts: int = 0
    message: str | None = None  # None = not delivered


@dataclass(frozen=True)
class CardState:
    """How far a card was delivered."""

    card: int
    wanted: int  # counts up with every change of what it shows
    delivered: int
    message: str | None
    thread: str | None
    thread_title: str


# --- orders: what a command gets back -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """The order was carried out, or will be without further asking."""

    text: str = ""  # what an operator should know beside the obvious
    run: str | None = None
    order: int | None = None
    due: datetime | None = None


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


@dataclass(frozen=True)
class RestartPlan:
    """What /restart-server and /stop-server ask about."""

    down_seconds: float | None  # expected, None = not known
    players: int | None
    running: str | None  # build or revision
    brings: tuple[str, ...] = ()  # subjects of approved fixes that this restart would deploy
    down: str = ""  # that no server runs, and why; "" = one runs, or that is not known


@dataclass(frozen=True)
class RevertPlan:
    """What /revert asks about."""

    commit: str
    subject: str
    down_seconds: float | None  # expected, None = not known
    players: int | None
    verifying: bool  # the fix is still being verified: accepted and queued
    puts_back: bool = False  # it is a revert itself: what it took out comes back
    why: str = ""  # that was taken out, where it is known
    down: str = ""  # that no server runs, and why; "" = one runs, or that is not known
