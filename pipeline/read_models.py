"""What people ask to see beside cards and `/status`: read models, filled by plans.py, rendered by bot/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pipeline.card_models import DeploymentView, FixLink
from pipeline.model import CrashReport, Run, RunKind, RunState, Signature
from pipeline.status_models import RunLine

# --- before an order -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RestartPlan:
    """What /restart-server and /stop-server ask about."""

    down_seconds: float | None  # expected, None = not known
    players: int | None
    running: str | None  # build or revision
    brings: tuple[str, ...] = ()  # subjects of approved fixes that this restart would deploy
    down: str = ""  # that no server runs, and why; "" = one runs, or that is not known
    due: str = ""  # that another order waits for its time, and what becomes of it
    halted: str = ""  # why the keeper does nothing of it, and what ends that; "" = it works


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
    of_crash: bool = False  # it is a fix: what it was to mend is asked about anew when it comes again


@dataclass(frozen=True)
class TakenOut:
    """A change that a rollback takes out."""

    subject: str
    commit: str
    kind: RunKind


@dataclass(frozen=True)
class RollbackPlan:
    """What /rollback asks about."""

    running: str  # the build that is taken out
    target: str  # the build that goes in again
    healthy_at: datetime | None  # when the target was found healthy
    taken: tuple[TakenOut, ...]  # newest first
    verifying: bool  # what runs is still being verified
    down_seconds: float | None  # expected, None = not known
    players: int | None
    notice: float  # seconds in which players are told and it can be cancelled
    down: str = ""  # that no server runs, and why; "" = one runs, or that is not known
    out: tuple[TakenOut, ...] = ()  # other live fixes that the target has not; the branch keeps them
    passed: tuple[str, ...] = ()  # newer builds that were healthy too, and hold what people have reverted since
    target_commit: str | None = None  # that the target was made from, where that is known
    halted: str = ""  # why the keeper does nothing of it, and what ends that; "" = it works


@dataclass(frozen=True)
class UpdatePlan:
    """What /update asks about."""

    head: str  # of the base branch
    here: str  # what it would be merged into
    branch: str | None  # the night branch that stands there, None = one would begin
    commits: int
    subjects: tuple[tuple[str, str], ...]  # (commit, subject) of the newest
    down_seconds: float | None  # expected, None = not known
    players: int | None
    checkout: str  # whose base branch was looked at: SOURCE_DIR
    base: str | None  # the name of that branch; None = none is set, and the checkout is on none
    committed_at: datetime  # of `head`
    down: str = ""  # that no server runs, and why; "" = one runs, or that is not known


@dataclass(frozen=True)
class OrderEnd:
    """An order that is over while its answer in the channel still says that it waits, or not what came of it."""

    id: int
    kind: str  # "restart", "stop", "rollback", "start", "pause"
    state: str  # "done", "cancelled", "lapsed", "failed"; once it is known "up", "held" or "again", of a pause "over"
    by: str
    reason: str
    due: datetime
    ended_at: datetime
    note: str  # who cancelled it, why it failed, or why the server is held
    place: str  # channel or thread of the answer
    message: str
    shown: str = "waiting"  # the state that the answer shows
    about: str | None = None  # the build that a rollback takes out
    seen_at: datetime | None = None  # when the server was up, or held
    up_at: datetime | None = None  # when the hold was over, of one that is up "again"


# --- what was recorded -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunStep:
    at: datetime
    before: str | None  # None = it began
    after: str
    note: str


@dataclass(frozen=True)
class RunView:
    """The answer of /run."""

    run: Run
    line: RunLine
    steps: tuple[RunStep, ...]  # oldest first
    fix: FixLink | None
    revert: FixLink | None
    deployment: DeploymentView | None
    card: str | None  # message id
    crashes: int  # of its signature, ever
    given_up: bool = False  # nobody works on its crash any more: a person's turn


@dataclass(frozen=True)
class CrashLine:
    """One signature."""

    key: str  # what /crash takes
    signature: Signature
    title: str
    times: int  # in the time that was asked for
    ever: int
    first: datetime  # ever
    last: datetime
    judged: str | None  # what became of the last one
    run: Run | None  # the newest about it
    work: RunLine | None  # what that run is doing
    fix: FixLink | None  # of that run
    only_taken_back: bool = False  # it was seen only in a build that was taken back
    absent: bool = False  # that run's fix is live by our books, and what runs now has it not


@dataclass(frozen=True)
class CrashesView:
    """The answer of /crashes."""

    since: date  # the first night
    until: date  # this one
    crashes: int
    unread: int  # of those: not read yet
    lines: tuple[CrashLine, ...]  # the most frequent first


@dataclass(frozen=True)
class CrashView:
    """The answer of /crash."""

    line: CrashLine  # `times` = ever
    report: CrashReport | None  # of the last one
    revision: str | None  # that the last one ran
    status: int | None  # how it ended: exit code, negative = signal
    back_after: float | None  # seconds
    nights: tuple[tuple[date, int], ...]  # newest first
    runs: tuple[RunLine, ...]  # newest first
    summary: str | None  # the root cause, where anybody found one
    card: str | None  # message id
    suspects: Mapping[str, Any] | None = None  # as its thread was told first; `pipeline.suspects.describe` has it


BEGUN = "begun"  # the outcome of an order that is not over


@dataclass(frozen=True)
class AuditLine:
    at: datetime
    name: str
    id: str  # of the person
    place: str
    command: str
    arguments: str
    outcome: str


@dataclass(frozen=True)
class LogView:
    """The end of a log."""

    source: str  # "server", "build", "bot"
    name: str  # of the file
    size: int  # bytes
    lines: tuple[str, ...]  # oldest first


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
