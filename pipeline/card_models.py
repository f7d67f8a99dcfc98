"""What the channel shows of a crash: its card, and the posts beside it. Read models, rendered by bot/."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from pipeline.keeper.protocol import ServerState
from pipeline.model import Awaits, Change, CrashReport, Diagnostic, Progress, Run

# --- cards -----------------------------------------------------------------------------------------------------------


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
    previous_commit: str | None = None  # that it was made from, where that is known


@dataclass(frozen=True)
class TakenBack:
    """A fix that was live, and that a revert takes out."""

    fix: FixLink
    revert: FixLink | None  # None = it has no commit yet
    over: bool  # the revert is live


@dataclass(frozen=True)
class Withdrawn:
    """A change that people took back before it ever was live."""

    reason: str  # by whom, and why
    fix: FixLink


@dataclass(frozen=True)
class Death:
    """The crash that a build was taken back for; the thread of its own card has its stack."""

    title: str
    message: str | None  # id of that card in the channel


@dataclass(frozen=True)
class CardView:
    """Everything a card shows: the present state of one signature on one night."""

    card: int
    realm: str
    night: date
    title: str  # function or subject
    run: Run | None  # that the card tells of, None = counted only
    report: CrashReport | None
    occurrences: int  # of this signature in this night
    before: int  # occurrences ever before this night
    first_seen: datetime | None
    last_seen: datetime | None
    back_after: float | None  # seconds from the last crash, or its last sign of life, to ready; None = not back yet
    running: str | None  # revision that crashed, else the build
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
    paused_by_it: bool = False  # the pause that holds is the one that its rollback made
    only_taken_back: bool = False  # it was seen only in a build that was taken back
    brought_again: bool = False  # its build was taken back, and what that had brought is live again
    puts_back: bool = False  # the run reverts a revert: what that one took out comes back
    build: str | None = None  # that the server was last started with, as the keeper observes
    withdrawn: Withdrawn | None = None  # what the run reverts, where that was never live
    absent: bool = False  # the fix is live by our books, and what runs now has it not
    mended: bool = True  # False: it is known that no fix of this crash is live
    in_queue: bool = False  # its request lies in the queue, and no command of ours works on it
    made_worse: bool = True  # False: the build that was rolled back crashed only of what was known before
    went_with: int = 0  # other changes that were rolled back with it: it may be any of them that made it worse
    given_up: bool = False  # nobody works on its crash any more: a person's turn
    not_cured: FixLink | None = None  # the fix that the run goes on from, which stays and cured nothing
    death: Death | None = None  # what its build was rolled back for
    next_try: Run | None = None  # of a run that was rolled back: what follows it by itself, without an answer yet
    undone: FixLink | None = None  # the commit that the run takes back, where it was live
    taken_back: TakenBack | None = None  # the fix that was live before the run began
    base: FixLink | None = None  # where the night branch would begin, while that is asked
    awaits: Awaits | None = None  # built: what it waits for
    running_gone: bool = False  # the build that crashed was taken back since
    down_since: datetime | None = None  # None = the server runs, or that is not known
    end_seen: bool = True  # False: nobody was there when it died, so that `back_after` is the most it can have been


# --- rows of the outbox ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CardState:
    """How far a card was delivered."""

    card: int
    wanted: int  # counts up with every change of what it shows
    delivered: int
    message: str | None
    thread: str | None
    thread_title: str


class PostKind(StrEnum):
    """A message that is sent once and not edited. `Post.data` holds what is named behind each (all JSON values)."""

    ANALYSIS = "analysis"  # thread: analysis (fields of Analysis), prose, attempt
    PATCH = "patch"  # thread: diff (text), run
    BACKTRACE = "backtrace"  # thread: frames (rendered text), report file name, notes, log lines
    BUILD_FAILED = "build_failed"  # thread: diagnostics (list of texts), log (path), reason, attempt
    BUILT = "built"  # thread: commit, url, branch, seconds; undoes (commits with their pages), puts_back, by
    REFUSED = "refused"  # thread: reason
    DEPLOYED = "deployed"  # thread: commit, url, down_seconds, revision
    VERDICT = "verdict"  # thread: verdict, detail
    SERVER = (
        "server"  # channel: what ("crashed without card", "held", "released", "stopped", "started", ...), detail, by
    )
    PIPELINE = "pipeline"  # channel: what ("paused", "resumed", "degraded", "mended"), detail, by
    REJECTED_RESPONSE = "rejected_response"  # channel: file, reason
    ORDER = "order"  # channel, or thread of what it takes back: what, by, detail; changes (each with its commit), build
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
