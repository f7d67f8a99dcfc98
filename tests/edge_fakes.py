"""A ledger and an order desk that live in memory: stateful, with failures as switches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pipeline.card_models import CardState, CardView, FixLink, Post, PostKind
from pipeline.errors import Obstructed
from pipeline.keeper.protocol import ServerState
from pipeline.model import (
    Actor,
    Analysis,
    CrashReport,
    Done,
    Frame,
    Impossible,
    Outcome,
    ReportKind,
    Run,
    RunKind,
    RunState,
    Signature,
)
from pipeline.read_models import (
    BEGUN,
    AuditLine,
    CrashesView,
    CrashLine,
    CrashView,
    FixLine,
    LogView,
    OrderEnd,
    RestartPlan,
    RevertPlan,
    RollbackPlan,
    RunStep,
    RunView,
    TakenOut,
    UpdatePlan,
)
from pipeline.status_models import RunLine, StatusView
from pipeline.summary import NightSummary

NOW = datetime(2024, 11, 22, 23, 0, tzinfo=UTC)  # long before any test: the sandbox has its own time
THEN = int(NOW.timestamp())  # the same as Discord's marks have it
NIGHT = date(2024, 11, 22)
COMMIT = "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678"
REVERT = "e4f5a6b7c8d90718293a4b5c6d7e8f9012345678"
URL = f"https://example.org/core/commit/{COMMIT}"
LINK = f"[`a1b2c3d`]({URL}) on `overnight-20241122`"
NAME = "EventDispatcher::UnsubscribeAll"


def make_run(state: RunState, **changes: Any) -> Run:
    """A run of the usual crash, one minute old."""
    signature = Signature(f"access violation | {NAME}", f"access violation | {NAME} | BotAI::~BotAI", 1)
    run = Run("9f3c21aa", RunKind.FIX, state, NIGHT, signature, NAME, NOW - timedelta(minutes=1), NOW)
    return replace(run, **changes)


def make_card(card: int = 12, **changes: Any) -> CardView:
    """A crash that was counted, nothing more; whatever else by name."""
    frame = Frame(NAME, "src/server/game/EventDispatcher.cpp", 132)
    view = CardView(
        card=card,
        realm="Testrealm",
        night=NIGHT,
        title=NAME,
        run=None,
        report=CrashReport(ReportKind.GDB, "access violation", frames=(frame,), crashing_frame=0),
        occurrences=1,
        before=0,
        first_seen=NOW,
        last_seen=NOW,
        back_after=4.0,
        running="7d14957a32df0000",
        server=ServerState.READY,
        fix=None,
        changes=(),
        progress=None,
        build_eta=None,
        diagnostics=(),
        deployment=None,
        revert=None,
        players=None,
        player_limit=None,
        deploy_at_latest=None,
        paused=False,
        previous_card=None,
    )
    return replace(view, **changes)


def make_status(**changes: Any) -> StatusView:
    view = StatusView(
        realm="Testrealm",
        server=ServerState.READY,
        hold=None,
        hold_detail="",
        pid=4711,
        started=NOW,
        ready_at=NOW,
        next_start=None,
        revision="7d14957a32df0000",
        build=None,
        players=14,
        restarts_tonight=3,
        crashes_tonight=2,
        paused=None,
        branch="overnight-20241122",
        head=FixLink(COMMIT, URL, "overnight-20241122"),
        runs=(),
        push_owed=False,
        degraded=(),
        keeper_pid=4710,
        disk_free=12 << 30,
        version="0.1.0",
    )
    return replace(view, **changes)


def make_update_plan(**changes: Any) -> UpdatePlan:
    subjects = ((REVERT, "Core/Maps: check bounds"),)
    plan = UpdatePlan(REVERT, COMMIT, "overnight-20241122", 1, subjects, 20.0, 14, "/srv/core", "main", NOW)
    return replace(plan, **changes)


def make_run_view(state: RunState = RunState.VERIFYING, **changes: Any) -> RunView:
    """A fix that is live and watched, with its steps."""
    run = make_run(state, commit=COMMIT, branch="overnight-20241122", analysis=Analysis(summary="It dies twice."))
    steps = (RunStep(NOW, None, "ANALYZING", ""), RunStep(NOW, "ANALYZING", "READY", "answered with a change"))
    line = RunLine(run.id, run.subject, state, None, None, None)
    fix = FixLink(COMMIT, URL, "overnight-20241122")
    return replace(RunView(run, line, steps, fix, None, None, "77", 3), **changes)


def make_crash_line(**changes: Any) -> CrashLine:
    """Four times this night, nine ever; a fix is being built."""
    run = changes.pop("run", make_run(RunState.BUILDING))
    signature = make_run(RunState.BUILDING).signature
    assert signature is not None
    work = run and RunLine(run.id, run.subject, run.state, run.reason, run.question, None, kind=run.kind)
    first = NOW - timedelta(days=3)
    return replace(CrashLine("5d41402abc4b", signature, NAME, 4, 9, first, NOW, "run", run, work, None), **changes)


def make_crash_view(**changes: Any) -> CrashView:
    frames = (
        Frame(NAME, "src/server/game/EventDispatcher.cpp", 132),
        Frame("BotAI::~BotAI", None, None, "worldserver"),
    )
    report = CrashReport(ReportKind.GDB, "access violation", frames=frames, crashing_frame=0)
    runs = (RunLine("9f3c21aa", NAME, RunState.BUILDING, None, None, None),)
    line = make_crash_line(times=9)
    view = CrashView(line, report, "7d14957a32df0000", -11, 4.0, ((NIGHT, 4),), runs, "It dies twice.", "77")
    return replace(view, **changes)


@dataclass
class FakeClock:
    """Stands still until it is moved. What is newer than it was is what the sandbox's own clock says."""

    wall: datetime = field(default_factory=lambda: datetime.now(UTC))
    steady: float = 1000.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def move(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.steady += seconds


class Killed(BaseException):
    """The bot's end in the middle of something."""


@dataclass
class FakeLedger:
    """The outbox's rows. `before_note` is called before a delivery is noted: there a test ends the bot."""

    clock: FakeClock
    views: dict[int, CardView] = field(default_factory=dict)
    cards: dict[int, CardState] = field(default_factory=dict)
    posts: dict[int, Post] = field(default_factory=dict)
    sent: dict[int, str] = field(default_factory=dict)
    not_before: dict[int, datetime] = field(default_factory=dict)
    deferred: list[str] = field(default_factory=list)
    audit: list[tuple[str, ...]] = field(default_factory=list)
    begun: list[tuple[str, ...]] = field(default_factory=list)  # rows of orders that were to be carried out
    outlived: list[int] = field(default_factory=list)  # posts that tell what is over, with buttons
    ends: dict[int, OrderEnd] = field(default_factory=dict)  # orders that are over
    order_answers: dict[int, tuple[str, str, str]] = field(default_factory=dict)  # order -> state, place, message
    before_note: Callable[[], None] = lambda: None
    audit_fails: bool = False
    looked: int = 0  # times it was asked when the next is due: passes that came to their end
    locked: threading.Event | None = None  # a row of the audit waits until it is set

    def show(self, view: CardView) -> None:
        """The pipeline changed what a card shows."""
        known = self.cards.get(view.card) or CardState(view.card, 0, 0, None, None, view.title)
        self.cards[view.card] = replace(known, wanted=known.wanted + 1)
        self.views[view.card] = view

    def post(self, kind: PostKind, card: int | None = None, **data: Any) -> int:
        number = len(self.posts) + 1
        self.posts[number] = Post(number, kind, card, data, self.clock.now())
        return number

    def list_dirty_cards(self) -> list[CardState]:
        return [state for state in self.cards.values() if state.wanted > state.delivered]

    def get_card_view(self, card: int) -> CardView:
        return self.views[card]

    def get_card_state(self, card: int) -> CardState:
        return self.cards[card]

    def card_delivered(self, card: int, version: int, message: str, thread: str | None) -> None:
        self.before_note()
        known = self.cards[card]
        self.cards[card] = replace(known, delivered=version, message=message, thread=thread or known.thread)

    def card_lost(self, card: int) -> None:
        self.cards[card] = replace(self.cards[card], delivered=0, message=None, thread=None)

    def card_replaced(self, card: int) -> None:
        known = self.cards[card]
        self.views[card] = replace(self.views[card], previous_card=known.message)
        self.cards[card] = replace(known, delivered=0, message=None)

    def list_pending_posts(self, now: datetime) -> list[Post]:
        ready: list[Post] = []
        blocked: set[int | None] = set()
        for post in self.posts.values():
            if post.id in self.sent:
                continue
            threadless = post.card is not None and self.cards[post.card].thread is None
            if post.card in blocked or threadless or self.not_before.get(post.id, now) > now:
                blocked.add(post.card)
            else:
                ready.append(post)
        return ready

    def find_due_post(self, now: datetime) -> datetime | None:
        self.looked += 1
        return min((due for post, due in self.not_before.items() if post not in self.sent and due > now), default=None)

    def post_delivered(self, post: int, message: str) -> None:
        self.before_note()
        self.sent[post] = message

    def post_deferred(self, post: int, why: str, not_before: datetime) -> None:
        self.posts[post] = replace(self.posts[post], attempts=self.posts[post].attempts + 1)
        self.not_before[post] = not_before
        self.deferred.append(why)

    def list_outdated_orders(self) -> list[OrderEnd]:
        return [end for end in self.ends.values() if self.order_answers.get(end.id, ("", "", ""))[0] != end.state]

    def note_order_shown(self, order: int, state: str, place: str, message: str) -> None:
        self.order_answers[order] = (state, place, message)

    def list_outlived_posts(self) -> list[Post]:
        return [replace(self.posts[each], message=self.sent[each]) for each in self.outlived if each in self.sent]

    def post_settled(self, post: int) -> None:
        self.outlived.remove(post)

    def append_audit(
        self, at: datetime, actor_id: str, actor_name: str, where: str, command: str, arguments: str, outcome: str
    ) -> None:
        if self.locked is not None:
            assert self.locked.wait(30), "nobody unlocked it"
        if self.audit_fails:
            raise Obstructed("the database does not work: database is locked. Cure: end the program that holds it")
        (self.begun if outcome == BEGUN else self.audit).append((actor_name, command, arguments, outcome))


@dataclass
class FakeDesk:
    """Takes orders and remembers them. `answer` is what it says to each, `failure` is raised instead."""

    orders: list[tuple[str, ...]] = field(default_factory=list)
    answer: Outcome = field(default_factory=Done)
    plan: RevertPlan | Impossible = field(
        default_factory=lambda: RevertPlan(COMMIT, "EventDispatcher: end managers first", 20.0, 14, False)
    )
    restart_plan: RestartPlan | Impossible = field(default_factory=lambda: RestartPlan(20.0, 14, "7d14957"))
    rollback_plan: RollbackPlan | Impossible = field(
        default_factory=lambda: RollbackPlan(
            COMMIT, REVERT, NOW, (TakenOut(NAME, COMMIT, RunKind.FIX),), False, 20.0, 14, 30.0
        )
    )
    update_plan: UpdatePlan | Impossible = field(default_factory=lambda: make_update_plan())
    order_answers: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    runs: list[RunLine] = field(default_factory=list)
    run_view: RunView | Impossible = field(default_factory=lambda: make_run_view())
    crashes: CrashesView = field(default_factory=lambda: CrashesView(NIGHT, NIGHT, 4, 0, (make_crash_line(),)))
    crash_view: CrashView | Impossible = field(default_factory=lambda: make_crash_view())
    signatures: list[tuple[str, str]] = field(default_factory=list)
    logs: dict[str, LogView | Impossible] = field(default_factory=dict)
    audit: list[AuditLine] = field(default_factory=list)
    view: StatusView = field(default_factory=make_status)
    fixes: list[FixLine] = field(default_factory=list)
    night: NightSummary = field(default_factory=NightSummary)
    failure: Exception | None = None

    def _take(self, *order: str) -> Outcome:
        self._fail()
        self.orders.append(order)
        return self.answer

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def status(self) -> StatusView:
        self._fail()
        return self.view

    async def summary(self, night: date | None) -> NightSummary:
        self._fail()
        return replace(self.night, night=(night or NIGHT).isoformat())

    async def list_nights(self) -> list[date]:
        return [NIGHT, NIGHT - timedelta(days=1)]

    async def list_fixes(self) -> list[FixLine]:
        return self.fixes

    async def plan_revert(self, commit: str) -> RevertPlan | Impossible:
        self._fail()
        return self.plan

    async def plan_restart(self) -> RestartPlan | Impossible:
        return self.restart_plan

    async def plan_stop(self) -> RestartPlan | Impossible:
        return self.restart_plan

    async def pause(self, by: Actor, reason: str) -> Outcome:
        return self._take("pause", by.name, reason)

    async def resume(self, by: Actor) -> Outcome:
        return self._take("resume", by.name)

    async def revert(self, commit: str, by: Actor) -> Outcome:
        return self._take("revert", by.name, commit)

    async def restart_server(self, by: Actor, delay: timedelta, reason: str) -> Outcome:
        return self._take("restart", by.name, str(delay.total_seconds()), reason)

    async def cancel_order(self, order: int, by: Actor) -> Outcome:
        return self._take("cancel-order", by.name, str(order))

    async def approve(self, run: str, by: Actor, asks: str | None = None) -> Outcome:
        return self._take("approve", by.name, *(each for each in (run, asks) if each))

    async def reject(self, run: str, by: Actor, reason: str) -> Outcome:
        return self._take("reject", by.name, run, *([reason] if reason else []))

    async def deploy_now(self, run: str, by: Actor) -> Outcome:
        return self._take("deploy", by.name, run)

    async def start_server(self, by: Actor) -> Outcome:
        return self._take("start", by.name)

    async def stop_server(self, by: Actor, delay: timedelta, reason: str) -> Outcome:
        return self._take("stop", by.name, str(delay.total_seconds()), reason)

    async def plan_rollback(self) -> RollbackPlan | Impossible:
        self._fail()
        return self.rollback_plan

    async def roll_back(self, by: Actor, running: str, reason: str) -> Outcome:
        return self._take("rollback", by.name, running, reason)

    async def list_runs(self) -> list[RunLine]:
        return self.runs

    async def show_run(self, run: str) -> RunView | Impossible:
        self._fail()
        return self.run_view

    async def cancel_run(self, run: str, by: Actor) -> Outcome:
        return self._take("cancel", by.name, run)

    async def retry(self, run: str, by: Actor) -> Outcome:
        return self._take("retry", by.name, run)

    async def list_crashes(self, nights: int) -> CrashesView:
        return replace(self.crashes, since=self.crashes.until - timedelta(days=nights - 1))

    async def list_signatures(self) -> list[tuple[str, str]]:
        return self.signatures

    async def show_crash(self, signature: str) -> CrashView | Impossible:
        return self.crash_view

    async def plan_update(self) -> UpdatePlan | Impossible:
        return self.update_plan

    async def update(self, by: Actor, commit: str | None = None) -> Outcome:
        return self._take("update", by.name, str(commit))

    async def read_log(self, source: str, lines: int) -> LogView | Impossible:
        return self.logs.get(source, Impossible(f"There is no log of the {source} yet."))

    async def list_audit(self, days: int) -> list[AuditLine]:
        return self.audit

    async def note_order_shown(self, order: int, state: str, place: str, message: str) -> None:
        self.order_answers[order] = (state, place, message)
