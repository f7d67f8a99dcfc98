"""What `/status` and the command line show, and what needs a person. Read models, rendered by bot/."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pipeline.card_models import FixLink
from pipeline.keeper.protocol import Hold, ServerState
from pipeline.model import Awaits, FixState, Progress, Question, RunKind, RunState


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
    kind: RunKind = RunKind.FIX
    awaits: Awaits | None = None  # built: what it waits for
    fix_state: FixState | None = None  # what became of it after it went live
    puts_back: bool = False  # a revert of a revert: what that one took out comes back


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
    LOOK = "look"  # a proposal, a run that was given up, or a build that may not go live
    ANSWER = "answer"  # a request that nobody has answered for long
    REVIEW = "review"  # a night branch to merge
    PUSH = "push"  # owed for long
    DEGRADED = "degraded"  # does not work, and a person can mend it


@dataclass(frozen=True)
class Rider:
    """A change that stands on a night branch and that nobody wants live, or not yet: a merge would bring it too."""

    subject: str = ""
    commit: str = ""
    run: str = ""
    state: str = ""  # of the run, a RunState
    kind: str = "fix"  # of the run
    reverting: bool = False  # its revert is under way, and not on the branch yet


@dataclass(frozen=True)
class Setback:
    """An update that was taken back on a night branch: to git the branch has what it brought and does not want it, so
    that a merge would take it out of the base branch."""

    subject: str = ""  # names the commit of the base branch
    revert: str = ""  # the commit that took it back
    picks: tuple[str, ...] = ()  # commits that the base branch lacks, to be brought in one by one, oldest first


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
    reverts: int = 0  # to review: of fixes that the base branch has
    uncured: int = 0  # commits that stand beside them and did not cure their crash
    url: str | None = None  # of the page that compares them
    riders: tuple[Rider, ...] = ()  # what a merge would bring beside the fixes
    setback: Setback | None = None  # why it is not to be merged
    since: float | None = None  # seconds since the epoch: since when it is unanswered, or owed
    kind: str = RunKind.FIX  # of the run
    puts_back: bool = False  # the run is a revert of a revert
    crash: str = ""  # what the build died of over which the pipeline paused itself; `message` is its card then
    ordered: bool = False  # a person's rollback made the pause: there is nothing to look at


@dataclass(frozen=True)
class Left:
    """What is there while no keeper lives."""

    in_order: bool  # the last keeper was told to end, and has ended its server first
    at: float  # seconds since the epoch: its last word
    server: int | None  # the process of a server that runs by itself


@dataclass(frozen=True)
class Stale:
    """What is there while the last report of a keeper that lives is not what is: it cannot write another, as on a full
    disk."""

    at: float  # seconds since the epoch: that report
    keeper: int  # the process that lives
    gone: int | None  # the process of the server that it told of, if that has ended
    server: int | None  # the process of a server that runs


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
    down_since: datetime | None = None  # None = a server runs, or that is not known
    left: Left | None = None  # None = a keeper lives, or there never was one
    stale: Stale | None = None  # None = what the keeper reported is what is
    deployments_tonight: int | None = None  # starts to put another build in place, which are no restarts
