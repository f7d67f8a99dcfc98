"""Every query, one function a sentence. Synchronous: call it in a thread.

A method is one transaction; none spans an external act. What people are told (a card's `wanted`, `posts`) and
`run_events` are written in the transaction of the change they tell of.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, create_engine, delete, event, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from pipeline import tables as t
from pipeline.errors import PipelineError
from pipeline.keeper.protocol import Event, EventKind, Exit, ExitVerdict, from_plain
from pipeline.model import (
    CHANGE_LANE,
    CLOSED,
    OVER,
    TRANSITIONS,
    Analysis,
    BuildResult,
    CardState,
    Change,
    CrashReport,
    Diagnostic,
    FixState,
    Patch,
    PauseView,
    Post,
    PostKind,
    Question,
    Run,
    RunKind,
    RunState,
    Signature,
    Verdict,
)

POSTS_AT_ONCE = 50


class Overtaken(PipelineError):
    """The row is not in the state it was read in: somebody else decided; look again."""


class Fact(StrEnum):
    """Names in the table `facts`."""

    PAUSE = "pause"  # {"by", "reason", "at"}
    SERVER = "server"  # {"want", "by", "reason", "restart": n, "lifts": n}
    BUILD = "build"  # the build that should run, absent = what was found
    FOUND = "found"  # {"build", "commit"}: the first fallback
    RUNNING = "running"  # {"build", "revision", "commit"}: what was last seen ready
    WARM = "warm"  # commit of the warm build
    IMPORTED = "imported"  # crash and response folders as they were at the first start


@dataclass(frozen=True)
class Crash:
    """One row of `crashes`."""

    id: int
    at: datetime
    night: date
    exit: Exit
    report: CrashReport | None
    signature: Signature | None
    judged: str | None
    card: int | None
    run: str | None
    back_after: float | None


@dataclass(frozen=True)
class Branch:
    name: str
    night: date
    base: str
    head: str
    pushed: str | None
    owed_since: datetime | None
    owed_reason: str | None
    ended: bool


@dataclass(frozen=True)
class Deployment:
    id: str
    build: str
    previous: str | None
    state: str
    by: str | None
    rollback_of: str | None
    created_at: datetime
    stop_at: datetime | None
    wished_at: datetime | None
    ready_at: datetime | None
    over_at: datetime | None
    down_seconds: float | None
    verdict: Verdict | None
    reason: str | None


@dataclass(frozen=True)
class Build:
    build: str
    commit: str | None
    tree: str | None
    state: str
    seconds: float | None
    log: str | None
    reason: str | None
    diagnostics: tuple[Diagnostic, ...]
    healthy_at: datetime | None
    bad: bool


@dataclass(frozen=True)
class Order:
    id: int
    kind: str
    by: str
    reason: str
    due: datetime
    state: str
    told_at: datetime | None


@dataclass(frozen=True)
class NewPost:
    """A message to be sent once: into the card's thread, or into the channel."""

    kind: PostKind
    data: Mapping[str, Any]
    to_channel: bool = False


@dataclass(frozen=True)
class Codec:
    """How reports are stored: the crash package owns the form."""

    to_plain: Callable[[CrashReport], dict[str, Any]]
    from_plain: Callable[[dict[str, Any]], CrashReport]


def open_engine(url: str) -> Engine:
    """An engine with the settings each database needs; creates nothing."""
    engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # pysqlite's own BEGIN comes too late: SQLAlchemy's documentation, "pysqlite"
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def card_key(signature: Signature) -> str:
    return f"{signature.version}:{signature.exact}"


class Store:
    """The database, as sentences."""

    def __init__(self, engine: Engine, codec: Codec, night_of: Callable[[datetime], date]) -> None:
        self.engine = engine
        self._codec = codec
        self.night_of = night_of

    # --- facts -------------------------------------------------------------------------------------------------------

    def get_fact(self, name: Fact) -> Any | None:
        with self.engine.begin() as c:
            return c.execute(select(t.facts.c.value).where(t.facts.c.name == name)).scalar_one_or_none()

    def set_fact(self, name: Fact, value: Any, *, posts: Sequence[NewPost] = (), at: datetime | None = None) -> None:
        with self.engine.begin() as c:
            _put_fact(c, name, value)
            if at is not None:
                _add_posts(c, None, posts, at)
                _touch_open_cards(c, at)

    def drop_fact(self, name: Fact, *, posts: Sequence[NewPost] = (), at: datetime | None = None) -> None:
        with self.engine.begin() as c:
            c.execute(delete(t.facts).where(t.facts.c.name == name))
            if at is not None:
                _add_posts(c, None, posts, at)
                _touch_open_cards(c, at)

    def get_pause(self) -> PauseView | None:
        plain = self.get_fact(Fact.PAUSE)
        return plain and PauseView(plain["by"], plain["reason"], datetime.fromisoformat(plain["at"]))

    # --- events of the keeper ----------------------------------------------------------------------------------------

    def last_event(self) -> tuple[str, int] | None:
        """Where the import stands."""
        with self.engine.begin() as c:
            row = c.execute(
                select(t.events.c.keeper, t.events.c.number).order_by(t.events.c.id.desc()).limit(1)
            ).first()
        return None if row is None else (row.keeper, row.number)

    def import_event(self, each: Event, at: datetime, posts: Sequence[NewPost]) -> bool:
        """Takes in one event with all it causes; False where it was there already."""
        try:
            with self.engine.begin() as c:
                c.execute(
                    insert(t.events).values(
                        keeper=each.keeper, number=each.number, at=at, kind=each.kind, data=dict(each.data)
                    )
                )
                self._take_consequences(c, each, at)
                _add_posts(c, None, posts, at)
        except IntegrityError:
            return False
        return True

    def _take_consequences(self, c: Connection, each: Event, at: datetime) -> None:
        if each.kind == EventKind.EXITED and each.data.get("verdict") in _CRASHES:
            c.execute(
                insert(t.crashes).values(
                    keeper=each.keeper, number=each.number, at=at, night=self.night_of(at), exit=dict(each.data)
                )
            )
        if each.kind == EventKind.READY:
            self._note_recovery(c, at)

    def _note_recovery(self, c: Connection, at: datetime) -> None:
        waiting = select(t.crashes.c.id, t.crashes.c.at, t.crashes.c.card).where(
            t.crashes.c.back_after.is_(None), t.crashes.c.at <= at, t.crashes.c.keeper != "file"
        )
        for row in c.execute(waiting).all():
            seconds = (at - row.at).total_seconds()
            c.execute(update(t.crashes).where(t.crashes.c.id == row.id).values(back_after=seconds))
            _touch(c, row.card, at)

    def list_events(self, since: datetime) -> list[tuple[datetime, str, dict[str, Any]]]:
        with self.engine.begin() as c:
            query = select(t.events.c.at, t.events.c.kind, t.events.c.data).where(t.events.c.at >= since)
            return [(row.at, row.kind, row.data) for row in c.execute(query.order_by(t.events.c.id))]

    # --- crashes -----------------------------------------------------------------------------------------------------

    def list_unjudged_crashes(self) -> list[Crash]:
        with self.engine.begin() as c:
            rows = c.execute(select(t.crashes).where(t.crashes.c.judged.is_(None)).order_by(t.crashes.c.id)).all()
        return [self._crash(row) for row in rows]

    def get_crash_of_run(self, run: str) -> Crash | None:
        """The newest crash that belongs to a run."""
        with self.engine.begin() as c:
            query = select(t.crashes).where(t.crashes.c.run == run).order_by(t.crashes.c.id.desc()).limit(1)
            row = c.execute(query).first()
        return None if row is None else self._crash(row)

    def list_crashes_of_build(self, build: str | None, since: datetime) -> list[Crash]:
        with self.engine.begin() as c:
            rows = c.execute(select(t.crashes).where(t.crashes.c.at >= since).order_by(t.crashes.c.id)).all()
        return [each for each in map(self._crash, rows) if each.exit.build == build]

    def count_crashes(self, signature: Signature) -> int:
        """Of this signature, ever."""
        with self.engine.begin() as c:
            return c.execute(
                select(func.count()).select_from(t.crashes).where(_same(t.crashes, signature))
            ).scalar_one()

    def signature_is_known(self, signature: Signature, build: str) -> bool:
        """Whether this crash was seen with another build (imported history included)."""
        with self.engine.begin() as c:
            rows = c.execute(select(t.crashes.c.exit).where(_same(t.crashes, signature)))
            return any(row.exit.get("build") != build for row in rows)

    def import_history(self, number: int, at: datetime, end: Exit, report: CrashReport) -> None:
        """A report that lay there before the first start: counted as known, never analysed. Idempotent."""
        signature = report.signature
        values = {
            "keeper": "file", "number": number, "at": at, "night": self.night_of(at), "exit": dataclasses.asdict(end),
            "report": self._codec.to_plain(report), "judged": "history", "back_after": 0.0,
            "family": signature and signature.family, "exact": signature and signature.exact,
            "version": signature and signature.version,
        }  # fmt: skip
        same = and_(t.crashes.c.keeper == "file", t.crashes.c.number == number)
        with self.engine.begin() as c:
            if c.execute(select(t.crashes.c.id).where(same)).first() is None:
                c.execute(insert(t.crashes).values(**values))

    def count_tonight(self, night: date) -> int:
        with self.engine.begin() as c:
            query = select(func.count()).select_from(t.crashes).where(t.crashes.c.night == night)
            return c.execute(query).scalar_one()

    def judge_crash(
        self,
        crash: Crash,
        report: CrashReport,
        judged: str,
        at: datetime,
        *,
        new_run: Run | None = None,
        previous: Sequence[Mapping[str, Any]] = (),
        run: str | None = None,
        recurred: str | None = None,
        posts: Sequence[NewPost] = (),
    ) -> int:
        """Stores what a crash is and what becomes of it, on its card; begins `new_run` where one is given. The card."""
        signature = report.signature
        if signature is None:
            raise ValueError("a crash is judged by its signature")
        with self.engine.begin() as c:
            _refuse_second_judgement(c, crash.id)
            title = (new_run and new_run.subject) or signature.title
            card = _get_card(c, card_key(signature), crash.night, title, at)
            if new_run is not None:
                _insert_run(c, new_run, card, at, previous)
            values = {
                "report": self._codec.to_plain(report), "family": signature.family, "exact": signature.exact,
                "version": signature.version, "judged": judged, "card": card, "run": new_run.id if new_run else run,
            }  # fmt: skip
            c.execute(update(t.crashes).where(t.crashes.c.id == crash.id).values(**values))
            if recurred is not None:
                c.execute(update(t.runs).where(t.runs.c.id == recurred).values(fix_state=FixState.RECURRED))
            _add_posts(c, card, posts, at)
            _touch(c, card, at)
        return card

    def _crash(self, row: Row[Any]) -> Crash:
        report = None if row.report is None else self._codec.from_plain(row.report)
        signature = None if row.exact is None else Signature(row.family, row.exact, row.version)
        return Crash(
            row.id, row.at, row.night, from_plain(Exit, row.exit), report, signature, row.judged, row.card, row.run,
            row.back_after,
        )  # fmt: skip

    # --- runs --------------------------------------------------------------------------------------------------------

    def get_run(self, run: str) -> Run | None:
        with self.engine.begin() as c:
            row = c.execute(select(t.runs).where(t.runs.c.id == run)).first()
        return None if row is None else _run(row)

    def get_run_by_request(self, request_id: str) -> Run | None:
        with self.engine.begin() as c:
            query = select(t.runs).where(t.runs.c.request_id == request_id).order_by(t.runs.c.created_at.desc())
            row = c.execute(query.limit(1)).first()
        return None if row is None else _run(row)

    def get_run_by_commit(self, commit: str) -> Run | None:
        with self.engine.begin() as c:
            query = select(t.runs).where(t.runs.c.commit.startswith(commit)).order_by(t.runs.c.created_at.desc())
            row = c.execute(query.limit(1)).first()
        return None if row is None else _run(row)

    def list_open_runs(self) -> list[Run]:
        """Runs that something may still move by itself, oldest first."""
        return self._list_runs(t.runs.c.state.not_in(CLOSED))

    def list_unfinished_runs(self) -> list[Run]:
        """Open runs and those that wait for a person, oldest first."""
        return self._list_runs(t.runs.c.state.not_in(OVER))

    def list_runs_in(self, *states: RunState) -> list[Run]:
        return self._list_runs(t.runs.c.state.in_(states))

    def list_runs_of(self, deployment: str) -> list[Run]:
        return self._list_runs(t.runs.c.deployment == deployment)

    def list_runs_of_signature(self, signature: Signature) -> list[Run]:
        """Oldest first."""
        return self._list_runs(_same(t.runs, signature))

    def list_committed_runs(self, since: date) -> list[Run]:
        """Runs that made a commit which has built, oldest first."""
        return self._list_runs(
            and_(t.runs.c.night >= since, t.runs.c.commit.is_not(None), t.runs.c.state.not_in(CHANGE_LANE[:2]))
        )

    def list_watched_fixes(self) -> list[Run]:
        return self._list_runs(t.runs.c.fix_state.in_([FixState.WATCHING, FixState.VERIFIED]))

    def count_requests(self, night: date) -> int:
        with self.engine.begin() as c:
            query = select(func.count()).select_from(t.runs).where(t.runs.c.night == night, t.runs.c.asked >= 0)
            return c.execute(query).scalar_one()

    def _list_runs(self, which: Any) -> list[Run]:
        with self.engine.begin() as c:
            rows = c.execute(select(t.runs).where(which).order_by(t.runs.c.created_at, t.runs.c.id)).all()
        return [_run(row) for row in rows]

    def add_run(
        self,
        run: Run,
        at: datetime,
        *,
        card: int | None = None,
        key: str = "",
        posts: Sequence[NewPost] = (),
        previous: Sequence[Mapping[str, Any]] = (),
    ) -> Run:
        """Begins a run on a card that exists, or on the card of `key`."""
        with self.engine.begin() as c:
            card = card or _get_card(c, key, run.night, run.subject, at)
            _insert_run(c, run, card, at, previous)
            _add_posts(c, card, posts, at)
            _touch(c, card, at)
        return run

    def advance(
        self, run: Run, to: RunState, at: datetime, *, note: str = "", posts: Sequence[NewPost] = (), **changes: Any
    ) -> Run:
        """Moves a run to its next state. Raises Overtaken where it is not in `run.state` any more."""
        if to is not run.state and to not in TRANSITIONS[run.state]:
            raise ValueError(f"run {run.id}: {run.state} -> {to} is not in the state diagram")
        fields = {"attempts": 0, "not_before": None, "reason": None, **changes} if to is not run.state else changes
        with self.engine.begin() as c:
            new = _move(c, run, to, at, note, fields)
            _follow_branch(c, new)
            card = _card_of_run(c, run.id)
            _add_posts(c, card, posts, at)
            _touch(c, card, at)
        return new

    def begin_attempt(self, run: Run, at: datetime) -> Run:
        """Counts a passage before its stage runs."""
        return self.advance(run, run.state, at, attempts=run.attempts + 1)

    def note_asked(self, run: Run) -> None:
        """The request for this round is written: the card is this run's from now on."""
        with self.engine.begin() as c:
            c.execute(update(t.runs).where(t.runs.c.id == run.id).values(asked=run.returns))
            card = _card_of_run(c, run.id)
            c.execute(update(t.cards).where(t.cards.c.id == card).values(run=run.id, title=run.subject))

    def was_asked(self, run: Run) -> bool:
        with self.engine.begin() as c:
            asked: int = c.execute(select(t.runs.c.asked).where(t.runs.c.id == run.id)).scalar_one()
        return asked >= run.returns

    def list_runs_to_ask(self, by_command: bool) -> list[Run]:
        """In ANALYZING, without a request for the present round, or with a command that has not ended."""
        undone = t.runs.c.asked < t.runs.c.returns
        if by_command:
            undone = or_(undone, t.runs.c.commanded < t.runs.c.returns)
        return self._list_runs(and_(t.runs.c.state == RunState.ANALYZING, undone))

    def note_commanded(self, run: Run) -> None:
        """ANALYST_COMMAND has ended for this round, one way or the other."""
        with self.engine.begin() as c:
            c.execute(update(t.runs).where(t.runs.c.id == run.id).values(commanded=run.returns))

    def get_previous(self, run: str) -> list[dict[str, Any]]:
        with self.engine.begin() as c:
            return list(c.execute(select(t.runs.c.previous).where(t.runs.c.id == run)).scalar_one() or [])

    def add_previous(self, run: str, attempt: dict[str, Any]) -> None:
        """Remembers what an attempt brought, for the next request."""
        with self.engine.begin() as c:
            before = c.execute(select(t.runs.c.previous).where(t.runs.c.id == run)).scalar_one() or []
            if attempt not in before:
                c.execute(update(t.runs).where(t.runs.c.id == run).values(previous=[*before, attempt]))

    def note_progress(self, run: str, done: int, total: int, eta: float | None, at: datetime) -> None:
        with self.engine.begin() as c:
            c.execute(update(t.runs).where(t.runs.c.id == run).values(done=done, total=total, eta=eta))
            _touch(c, _card_of_run(c, run), at)

    def set_fix_state(self, run: str, state: FixState, at: datetime) -> None:
        with self.engine.begin() as c:
            c.execute(update(t.runs).where(t.runs.c.id == run).values(fix_state=state))
            _touch(c, _card_of_run(c, run), at)

    def get_card_of_run(self, run: str) -> int:
        with self.engine.begin() as c:
            return int(c.execute(select(t.runs.c.card).where(t.runs.c.id == run)).scalar_one())

    def history(self, run: str) -> list[tuple[datetime, str | None, str, str]]:
        """(at, before, after, note) of each step of a run, oldest first."""
        with self.engine.begin() as c:
            query = select(t.run_events).where(t.run_events.c.run == run).order_by(t.run_events.c.id)
            return [(row.at, row.before, row.after, row.note) for row in c.execute(query)]

    # --- answers -----------------------------------------------------------------------------------------------------

    def answer_was_taken(self, request_id: str, digest: str) -> bool:
        with self.engine.begin() as c:
            query = select(t.answers.c.at).where(t.answers.c.request_id == request_id, t.answers.c.digest == digest)
            return c.execute(query).first() is not None

    def note_answer(
        self, request_id: str, digest: str, outcome: str, at: datetime, posts: Sequence[NewPost] = ()
    ) -> None:
        """An answer that moves no run."""
        with self.engine.begin() as c:
            _insert_answer(c, request_id, digest, outcome, at)
            _add_posts(c, None, posts, at)

    def take_answer(
        self, run: Run, to: RunState, digest: str, at: datetime, *, note: str, posts: Sequence[NewPost], **changes: Any
    ) -> Run:
        """Stores an answer in its run's row: one transaction, before the file is moved."""
        with self.engine.begin() as c:
            _insert_answer(c, run.request_id or "", digest, to, at)
            new = _move(c, run, to, at, note, {"attempts": 0, "not_before": None, **changes})
            card = _card_of_run(c, run.id)
            _add_posts(c, card, posts, at)
            _touch(c, card, at)
        return new

    # --- branches ----------------------------------------------------------------------------------------------------

    def get_branch(self, name: str) -> Branch | None:
        with self.engine.begin() as c:
            row = c.execute(select(t.branches).where(t.branches.c.name == name)).first()
        return None if row is None else _branch(row)

    def get_open_branch(self) -> Branch | None:
        """The newest branch that is not ended."""
        with self.engine.begin() as c:
            query = select(t.branches).where(t.branches.c.ended.is_(False)).order_by(t.branches.c.created_at.desc())
            row = c.execute(query.limit(1)).first()
        return None if row is None else _branch(row)

    def list_branch_names(self) -> list[str]:
        with self.engine.begin() as c:
            return list(c.execute(select(t.branches.c.name)).scalars())

    def add_branch(self, name: str, night: date, base: str, at: datetime, head: str | None = None) -> Branch:
        """Begins a branch and ends every other."""
        with self.engine.begin() as c:
            c.execute(update(t.branches).values(ended=True))
            c.execute(
                insert(t.branches).values(
                    name=name, night=night, base=base, head=head or base, ended=False, created_at=at
                )
            )
        return Branch(name, night, base, head or base, None, None, None, False)

    def end_branch(self, name: str) -> None:
        with self.engine.begin() as c:
            c.execute(update(t.branches).where(t.branches.c.name == name).values(ended=True))

    def note_pushed(self, branch: str, head: str, at: datetime, runs_of: Iterable[str] = ()) -> None:
        """The remote has `head`; every run of ours on the branch up to it is pushed."""
        with self.engine.begin() as c:
            values = {"pushed": head, "owed_since": None, "owed_reason": None}
            c.execute(update(t.branches).where(t.branches.c.name == branch).values(**values))
            for run in runs_of:
                c.execute(update(t.runs).where(t.runs.c.id == run).values(pushed=True))
                _touch(c, _card_of_run(c, run), at)

    def note_push_owed(self, branch: str, reason: str, at: datetime, posts: Sequence[NewPost] = ()) -> None:
        """The push did not go through. Told once for each time it begins to be owed."""
        with self.engine.begin() as c:
            since = c.execute(select(t.branches.c.owed_since).where(t.branches.c.name == branch)).scalar_one()
            values = {"owed_since": since or at, "owed_reason": reason}
            c.execute(update(t.branches).where(t.branches.c.name == branch).values(**values))
            if since is None:
                _add_posts(c, None, posts, at)

    def list_owed_branches(self) -> list[Branch]:
        with self.engine.begin() as c:
            rows = c.execute(select(t.branches).where(t.branches.c.owed_since.is_not(None))).all()
        return [_branch(row) for row in rows]

    def move_branch(self, old: str, new: str, night: date, base: str, head: str, at: datetime) -> None:
        """What stood on a branch that ended goes on under another name; runs that are not over follow."""
        with self.engine.begin() as c:
            c.execute(update(t.branches).values(ended=True, owed_since=None))
            c.execute(
                insert(t.branches).values(name=new, night=night, base=base, head=head, ended=False, created_at=at)
            )
            moving = and_(t.runs.c.branch == old, t.runs.c.state.not_in(OVER))
            c.execute(update(t.runs).where(moving).values(branch=new))

    # --- builds ------------------------------------------------------------------------------------------------------

    def note_build_started(self, build: str, commit: str | None, tree: str | None, at: datetime) -> None:
        with self.engine.begin() as c:
            c.execute(delete(t.builds).where(t.builds.c.build == build, t.builds.c.state != "built"))
            if c.execute(select(t.builds.c.build).where(t.builds.c.build == build)).first() is None:
                values = {"build": build, "commit": commit, "tree": tree, "state": "building", "started_at": at}
                c.execute(insert(t.builds).values(**values))

    def note_build(self, result: BuildResult) -> None:
        diagnostics = [dataclasses.asdict(each) for each in result.diagnostics]
        values = {
            "state": "built" if result.manifest else "failed", "seconds": result.seconds, "log": str(result.log),
            "reason": result.reason, "diagnostics": diagnostics,
        }  # fmt: skip
        with self.engine.begin() as c:
            c.execute(update(t.builds).where(t.builds.c.build == result.commit).values(**values))

    def note_found_build(self, build: str, commit: str | None, tree: str | None, at: datetime) -> None:
        """What lay in SERVER_DIR before us: the first fallback."""
        with self.engine.begin() as c:
            known = c.execute(select(t.builds.c.build).where(t.builds.c.build == build)).first()
            values = {"commit": commit, "tree": tree}
            if known is None:
                more = {"build": build, "state": "built", "started_at": at, "healthy_at": at}
                c.execute(insert(t.builds).values(**values, **more))
            elif commit is not None:
                c.execute(update(t.builds).where(t.builds.c.build == build).values(**values))

    def get_build(self, build: str) -> Build | None:
        with self.engine.begin() as c:
            row = c.execute(select(t.builds).where(t.builds.c.build == build)).first()
        return None if row is None else _build(row)

    def started_at(self, build: str) -> datetime:
        """When the build of a commit was begun: the order of commits on a branch, since changes are made one by one."""
        with self.engine.begin() as c:
            at: datetime = c.execute(select(t.builds.c.started_at).where(t.builds.c.build == build)).scalar_one()
        return at

    def get_last_healthy(self, other_than: str | None = None) -> Build | None:
        """The build that verification last found healthy."""
        with self.engine.begin() as c:
            query = select(t.builds).where(t.builds.c.healthy_at.is_not(None), t.builds.c.bad.is_(False))
            if other_than is not None:
                query = query.where(t.builds.c.build != other_than)
            row = c.execute(query.order_by(t.builds.c.healthy_at.desc()).limit(1)).first()
        return None if row is None else _build(row)

    def list_healthy_builds(self, most: int) -> list[str]:
        """Newest first."""
        with self.engine.begin() as c:
            query = select(t.builds.c.build).where(t.builds.c.healthy_at.is_not(None))
            return list(c.execute(query.order_by(t.builds.c.healthy_at.desc()).limit(most)).scalars())

    # --- deployments -------------------------------------------------------------------------------------------------

    def get_active_deployment(self) -> Deployment | None:
        """The one in the lane."""
        return self._deployment(t.deployments.c.state.in_(["announcing", "stopping", "verifying", "rolling back"]))

    def get_standby(self) -> Deployment | None:
        """The approved one that goes out with the next start, whatever causes it."""
        return self._deployment(t.deployments.c.state == "standby")

    def get_deployment(self, deployment: str) -> Deployment | None:
        return self._deployment(t.deployments.c.id == deployment)

    def get_last_deployment(self) -> Deployment | None:
        return self._deployment(t.deployments.c.state == "over")

    def _deployment(self, which: Any) -> Deployment | None:
        with self.engine.begin() as c:
            query = select(t.deployments).where(which).order_by(t.deployments.c.created_at.desc()).limit(1)
            row = c.execute(query).first()
        return None if row is None else _deployment(row)

    def add_deployment(self, deployment: Deployment, runs: Sequence[Run], at: datetime) -> None:
        """Commits to a deployment before any wish names its build. A standby that it replaces is over."""
        columns = {field.name: getattr(deployment, field.name) for field in dataclasses.fields(Deployment)}
        with self.engine.begin() as c:
            standby = t.deployments.c.state == "standby"
            c.execute(update(t.deployments).where(standby).values(state="over", over_at=at, reason="replaced"))
            c.execute(insert(t.deployments).values(**columns))
            for run in runs:
                c.execute(update(t.runs).where(t.runs.c.id == run.id).values(deployment=deployment.id))
                _touch(c, _card_of_run(c, run.id), at)

    def drop_standby(self, at: datetime, reason: str) -> None:
        """Nothing goes out by itself any more."""
        with self.engine.begin() as c:
            standby = t.deployments.c.state == "standby"
            c.execute(update(t.deployments).where(standby).values(state="over", over_at=at, reason=reason))

    def move_deployment(
        self,
        deployment: Deployment,
        state: str,
        at: datetime,
        *,
        runs: RunState | None = None,
        posts: Sequence[NewPost] = (),
        run_changes: Mapping[str, Any] | None = None,
        note: str = "",
        **changes: Any,
    ) -> Deployment:
        """Moves a deployment, and its runs with it. `posts` go into each run's thread."""
        new = dataclasses.replace(deployment, state=state, **changes)
        with self.engine.begin() as c:
            same = and_(t.deployments.c.id == deployment.id, t.deployments.c.state == deployment.state)
            if c.execute(update(t.deployments).where(same).values(state=state, **changes)).rowcount != 1:
                raise Overtaken(f"deployment {deployment.id} is not {deployment.state} any more")
            rows = c.execute(select(t.runs).where(t.runs.c.deployment == deployment.id)).all()
            for run in map(_run, rows):
                self._carry(c, run, runs, at, note, posts, run_changes or {})
        return new

    def _carry(
        self,
        c: Connection,
        run: Run,
        to: RunState | None,
        at: datetime,
        note: str,
        posts: Sequence[NewPost],
        changes: Mapping[str, Any],
    ) -> None:
        if run.kind is not RunKind.FIX:
            changes = {name: value for name, value in changes.items() if name != "fix_state"}  # only fixes are watched
        if to is not None and (to is run.state or to in TRANSITIONS[run.state]):
            _move(c, run, to, at, note, {"reason": None, **changes})
        card = _card_of_run(c, run.id)
        _add_posts(c, card, posts, at)
        _touch(c, card, at)

    def note_healthy(self, build: str, at: datetime) -> None:
        with self.engine.begin() as c:
            c.execute(update(t.builds).where(t.builds.c.build == build).values(healthy_at=at, bad=False))

    def note_bad(self, build: str) -> None:
        with self.engine.begin() as c:
            c.execute(update(t.builds).where(t.builds.c.build == build).values(bad=True, healthy_at=None))

    # --- orders ------------------------------------------------------------------------------------------------------

    def add_order(self, kind: str, by: str, reason: str, due: datetime, at: datetime) -> int:
        with self.engine.begin() as c:
            values = {"kind": kind, "by": by, "reason": reason, "due": due, "state": "waiting", "created_at": at}
            return int(c.execute(insert(t.orders).values(**values)).inserted_primary_key[0])  # type: ignore[index]

    def list_waiting_orders(self) -> list[Order]:
        with self.engine.begin() as c:
            rows = c.execute(select(t.orders).where(t.orders.c.state == "waiting").order_by(t.orders.c.due)).all()
        return [_order(row) for row in rows]

    def note_order_told(self, order: int, at: datetime) -> None:
        with self.engine.begin() as c:
            c.execute(update(t.orders).where(t.orders.c.id == order).values(told_at=at))

    def end_order(self, order: int, state: str, at: datetime, posts: Sequence[NewPost] = ()) -> bool:
        """Whether it still waited."""
        with self.engine.begin() as c:
            waiting = and_(t.orders.c.id == order, t.orders.c.state == "waiting")
            done = c.execute(update(t.orders).where(waiting).values(state=state)).rowcount == 1
            if done:
                _add_posts(c, None, posts, at)
        return done

    def append_audit(
        self, at: datetime, actor_id: str, actor_name: str, where: str, command: str, arguments: str, outcome: str
    ) -> None:
        values = {
            "at": at, "actor_id": actor_id, "actor_name": actor_name, "place": where, "command": command,
            "arguments": arguments, "outcome": outcome,
        }  # fmt: skip
        with self.engine.begin() as c:
            c.execute(insert(t.audit).values(**values))

    # --- children ----------------------------------------------------------------------------------------------------

    def note_child(self, pid: int, create_time: float, what: str, at: datetime) -> None:
        with self.engine.begin() as c:
            values = {"pid": pid, "create_time": create_time, "what": what, "started_at": at}
            c.execute(insert(t.children).values(**values))

    def take_children(self) -> list[tuple[int, float]]:
        """What an earlier life of the bot started; forgotten with this call's successor `forget_children`."""
        with self.engine.begin() as c:
            return [(row.pid, row.create_time) for row in c.execute(select(t.children))]

    def forget_children(self, known: Iterable[tuple[int, float]]) -> None:
        with self.engine.begin() as c:
            for pid, create_time in known:
                same = and_(t.children.c.pid == pid, t.children.c.create_time == create_time)
                c.execute(delete(t.children).where(same))

    def read_report(self, plain: dict[str, Any]) -> CrashReport:
        return self._codec.from_plain(plain)

    # --- the outbox --------------------------------------------------------------------------------------------------

    def add_posts(self, posts: Sequence[NewPost], at: datetime, card: int | None = None) -> None:
        with self.engine.begin() as c:
            _add_posts(c, card, posts, at)

    def touch_open_cards(self, at: datetime) -> None:
        """What all unfinished cards show has changed (players, the pause, the server)."""
        with self.engine.begin() as c:
            _touch_open_cards(c, at)

    def list_dirty_cards(self) -> list[CardState]:
        """Cards that show less than they should, oldest change first."""
        with self.engine.begin() as c:
            query = select(t.cards).where(t.cards.c.wanted > t.cards.c.delivered).order_by(t.cards.c.touched_at)
            return [_card_state(row) for row in c.execute(query)]

    def get_card_state(self, card: int) -> CardState:
        with self.engine.begin() as c:
            return _card_state(c.execute(select(t.cards).where(t.cards.c.id == card)).one())

    def card_delivered(self, card: int, version: int, message: str, thread: str | None) -> None:
        values: dict[str, Any] = {"delivered": version, "message": message}
        if thread is not None:
            values["thread"] = thread
        with self.engine.begin() as c:
            c.execute(update(t.cards).where(t.cards.c.id == card).values(**values))

    def card_lost(self, card: int) -> None:
        """Its message was deleted: a new one is sent."""
        with self.engine.begin() as c:
            values = {"delivered": 0, "message": None, "thread": None}
            c.execute(update(t.cards).where(t.cards.c.id == card).values(**values))

    def list_pending_posts(self, now: datetime) -> list[Post]:
        """In order; a card's only once the card has a thread, and nothing behind one of its own that is deferred."""
        with self.engine.begin() as c:
            query = select(t.posts, t.cards.c.thread).outerjoin(t.cards, t.cards.c.id == t.posts.c.card)
            rows = c.execute(query.where(t.posts.c.message.is_(None)).order_by(t.posts.c.id).limit(POSTS_AT_ONCE)).all()
        blocked: set[int | None] = set()
        ready = []
        for row in rows:
            waits = (row.not_before is not None and row.not_before > now) or (row.card is not None and not row.thread)
            if waits or row.card in blocked:
                blocked.add(row.card)
            else:
                ready.append(_post(row))
        return ready

    def post_delivered(self, post: int, message: str) -> None:
        with self.engine.begin() as c:
            c.execute(update(t.posts).where(t.posts.c.id == post).values(message=message))

    def post_deferred(self, post: int, why: str, not_before: datetime) -> None:
        values = {"attempts": t.posts.c.attempts + 1, "why": why, "not_before": not_before}
        with self.engine.begin() as c:
            c.execute(update(t.posts).where(t.posts.c.id == post).values(**values))

    def count_undelivered(self) -> int:
        with self.engine.begin() as c:
            posts = c.execute(select(func.count()).select_from(t.posts).where(t.posts.c.message.is_(None))).scalar_one()
            dirty = t.cards.c.wanted > t.cards.c.delivered
            return posts + c.execute(select(func.count()).select_from(t.cards).where(dirty)).scalar_one()


_CRASHES = (ExitVerdict.CRASH, ExitVerdict.HANG_AT_STOP, ExitVerdict.WITH_MACHINE)


def _same(table: Any, signature: Signature) -> Any:
    return and_(table.c.exact == signature.exact, table.c.version == signature.version)


def _put_fact(c: Connection, name: Fact, value: Any) -> None:
    c.execute(delete(t.facts).where(t.facts.c.name == name))
    c.execute(insert(t.facts).values(name=name, value=value))


def _refuse_second_judgement(c: Connection, crash: int) -> None:
    if c.execute(select(t.crashes.c.judged).where(t.crashes.c.id == crash)).scalar_one() is not None:
        raise Overtaken(f"crash {crash} is judged already")


def _get_card(c: Connection, key: str, night: date, title: str, at: datetime) -> int:
    found = c.execute(select(t.cards.c.id).where(t.cards.c.key == key, t.cards.c.night == night)).scalar_one_or_none()
    if found is not None:
        return int(found)
    before = (
        select(t.cards.c.message).where(t.cards.c.key == key, t.cards.c.night < night).order_by(t.cards.c.night.desc())
    )
    previous = c.execute(before.limit(1)).scalar_one_or_none()
    values = {"key": key, "night": night, "title": title, "previous_message": previous, "touched_at": at}
    return int(c.execute(insert(t.cards).values(**values)).inserted_primary_key[0])  # type: ignore[index]


def _card_of_run(c: Connection, run: str) -> int | None:
    return c.execute(select(t.runs.c.card).where(t.runs.c.id == run)).scalar_one_or_none()


def _touch(c: Connection, card: int | None, at: datetime) -> None:
    if card is not None:
        c.execute(update(t.cards).where(t.cards.c.id == card).values(wanted=t.cards.c.wanted + 1, touched_at=at))


def _touch_open_cards(c: Connection, at: datetime) -> None:
    open_runs = select(t.runs.c.card).where(t.runs.c.state.not_in(OVER))
    values = {"wanted": t.cards.c.wanted + 1, "touched_at": at}
    c.execute(update(t.cards).where(t.cards.c.id.in_(open_runs)).values(**values))


def _add_posts(c: Connection, card: int | None, posts: Sequence[NewPost], at: datetime) -> None:
    for post in posts:
        values = {"kind": post.kind, "card": None if post.to_channel else card, "data": dict(post.data)}
        c.execute(insert(t.posts).values(**values, created_at=at))


def takes_the_card(run: Run) -> bool:
    """Whether the card tells of this run from its beginning. What went wrong before stays to be read until then: a new
    try takes the card when somebody is asked, a rollback's own revert never does."""
    return run.retry_of is None and not (run.kind is RunKind.REVERT and run.asked_by is None)


def _insert_run(c: Connection, run: Run, card: int, at: datetime, previous: Sequence[Mapping[str, Any]]) -> None:
    c.execute(insert(t.runs).values(card=card, previous=[dict(each) for each in previous], **_run_columns(run)))
    c.execute(insert(t.run_events).values(run=run.id, at=at, before=None, after=run.state, note=run.reason or ""))
    if takes_the_card(run):
        c.execute(update(t.cards).where(t.cards.c.id == card).values(run=run.id, title=run.subject))


def _move(c: Connection, run: Run, to: RunState, at: datetime, note: str, changes: Mapping[str, Any]) -> Run:
    """Writes only what changes: other columns may have been written since the run was read."""
    new = dataclasses.replace(run, state=to, updated_at=at, **changes)
    columns = _run_columns(new)
    values = {name: columns[name] for name in ("state", "updated_at", *changes)}
    same = and_(t.runs.c.id == run.id, t.runs.c.state == run.state)
    if c.execute(update(t.runs).where(same).values(**values)).rowcount != 1:
        raise Overtaken(f"run {run.id} is not in {run.state} any more")
    if to is not run.state:
        c.execute(insert(t.run_events).values(run=run.id, at=at, before=run.state, after=to, note=note))
    return new


def _follow_branch(c: Connection, run: Run) -> None:
    """A commit that has built is the head of its branch."""
    if run.state is RunState.PUBLISHING and run.branch and run.commit:
        c.execute(update(t.branches).where(t.branches.c.name == run.branch).values(head=run.commit))


def _insert_answer(c: Connection, request_id: str, digest: str, outcome: str, at: datetime) -> None:
    c.execute(insert(t.answers).values(request_id=request_id, digest=digest, outcome=outcome, at=at))


def _run_columns(run: Run) -> dict[str, Any]:
    plain = {field.name: getattr(run, field.name) for field in dataclasses.fields(Run)}
    signature = plain.pop("signature")
    return {
        **plain,
        "family": signature and signature.family,
        "exact": signature and signature.exact,
        "version": signature and signature.version,
        "analysis": run.analysis and dataclasses.asdict(run.analysis),
        "patch": run.patch and run.patch.to_plain(),
        "changes": [dataclasses.asdict(each) for each in run.changes],
        "answered": list(run.answered),
    }


def _run(row: Row[Any]) -> Run:
    names = {field.name for field in dataclasses.fields(Run)}
    plain = {name: value for name, value in row._mapping.items() if name in names}
    return Run(**{
        **plain,
        "kind": RunKind(row.kind),
        "state": RunState(row.state),
        "signature": None if row.exact is None else Signature(row.family, row.exact, row.version),
        "analysis": row.analysis and Analysis(**row.analysis),
        "patch": row.patch and Patch.from_plain(row.patch),
        "changes": tuple(Change(**each) for each in row.changes),
        "question": row.question and Question(row.question),
        "answered": tuple(row.answered),
        "fix_state": row.fix_state and FixState(row.fix_state),
        "verdict": row.verdict and Verdict(row.verdict),
    })  # fmt: skip


def _branch(row: Row[Any]) -> Branch:
    return Branch(**{field.name: row._mapping[field.name] for field in dataclasses.fields(Branch)})


def _deployment(row: Row[Any]) -> Deployment:
    plain = {field.name: row._mapping[field.name] for field in dataclasses.fields(Deployment)}
    return Deployment(**{**plain, "verdict": row.verdict and Verdict(row.verdict)})


def _build(row: Row[Any]) -> Build:
    plain = {field.name: row._mapping[field.name] for field in dataclasses.fields(Build)}
    return Build(**{**plain, "diagnostics": tuple(Diagnostic(**each) for each in row.diagnostics)})


def _order(row: Row[Any]) -> Order:
    return Order(**{field.name: row._mapping[field.name] for field in dataclasses.fields(Order)})


def _card_state(row: Row[Any]) -> CardState:
    return CardState(row.id, row.wanted, row.delivered, row.message, row.thread, row.title)


def _post(row: Row[Any]) -> Post:
    return Post(row.id, PostKind(row.kind), row.card, row.data, row.created_at, row.attempts)
