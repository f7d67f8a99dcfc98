"""Runs, their steps, and the answers of analysts."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, and_, func, or_, select, update

from pipeline import tables as t
from pipeline.model import (
    CHANGE_LANE,
    CLOSED,
    LIVE,
    OVER,
    TRANSITIONS,
    FixState,
    Run,
    RunKind,
    RunState,
    Signature,
)
from pipeline.store.base import Base
from pipeline.store.rows import (
    NewPost,
    read_run,
)
from pipeline.store.writes import (
    card_of_run,
    choose_run,
    follow_branch,
    get_card,
    insert_answer,
    insert_posts,
    insert_run,
    is_same,
    move_run,
    touch,
)

CHUNK = 500  # values in one statement: databases take no more than so many


def _oldest_first(which: Any) -> Select[Any]:
    return select(t.runs).where(which).order_by(t.runs.c.created_at, t.runs.c.id)


@cache  # as those below: asked at each tick, and made anew each would take as long as it takes to ask
def _in_states(states: tuple[RunState, ...]) -> Select[Any]:
    return _oldest_first(t.runs.c.state.in_(states))


@cache
def _to_ask(by_command: bool) -> Select[Any]:
    undone = t.runs.c.asked < t.runs.c.returns
    if by_command:
        undone = or_(undone, t.runs.c.commanded < t.runs.c.returns)
    return _oldest_first(and_(t.runs.c.state == RunState.ANALYZING, undone))


class Runs(Base):
    """The state machine in rows."""

    def get_run(self, run: str) -> Run | None:
        with self.begin() as c:
            row = c.execute(select(t.runs).where(t.runs.c.id == run)).first()
        return None if row is None else read_run(row)

    def get_run_by_request(self, request_id: str) -> Run | None:
        with self.begin() as c:
            query = select(t.runs).where(t.runs.c.request_id == request_id).order_by(t.runs.c.created_at.desc())
            row = c.execute(query.limit(1)).first()
        return None if row is None else read_run(row)

    def get_run_by_commit(self, commit: str) -> Run | None:
        with self.begin() as c:
            query = select(t.runs).where(t.runs.c.commit.startswith(commit)).order_by(t.runs.c.created_at.desc())
            row = c.execute(query.limit(1)).first()
        return None if row is None else read_run(row)

    def list_open_runs(self) -> list[Run]:
        """Runs that something may still move by itself, oldest first."""
        return self._list_runs(t.runs.c.state.not_in(CLOSED))

    def list_unfinished_runs(self) -> list[Run]:
        """Open runs and those that wait for a person, oldest first."""
        return self._list_runs(t.runs.c.state.not_in(OVER))

    def list_ids(self, *, over: bool) -> set[str]:
        """Of runs that are over, or of all others."""
        of = t.runs.c.state.in_(OVER) if over else t.runs.c.state.not_in(OVER)
        with self.begin() as c:
            return set(c.scalars(select(t.runs.c.id).where(of)))

    def list_failed_last(self, since: date) -> list[Run]:
        """Failed runs of these nights, and fixes that were rolled back, that nothing of their kind came after."""
        newest = {(run.kind, run.signature): run for run in self._list_runs(t.runs.c.night >= since)}
        gone = [run for run in newest.values() if run.fix_state not in LIVE]
        rolled_back = [run for run in gone if run.state is RunState.ROLLED_BACK and run.kind is RunKind.FIX]
        return [run for run in newest.values() if run.state is RunState.FAILED or run in rolled_back]

    def list_latest_runs(self, most: int) -> list[Run]:
        """Newest first."""
        with self.begin() as c:
            rows = c.execute(select(t.runs).order_by(t.runs.c.created_at.desc(), t.runs.c.id).limit(most)).all()
        return [read_run(row) for row in rows]

    def list_runs_in(self, *states: RunState) -> list[Run]:
        return self._read_runs(_in_states(states))

    def list_runs_of(self, deployment: str) -> list[Run]:
        return self._list_runs(t.runs.c.deployment == deployment)

    def list_runs_that_crashed(self, signature: Signature) -> list[Run]:
        """Runs whose build, as it was last deployed with them, crashed so."""
        build = t.crashes.c.exit["build"].as_string()
        crashed = select(build).where(is_same(t.crashes, signature), build.is_not(None))
        of_these = select(t.deployments.c.id).where(t.deployments.c.build.in_(crashed))
        return self._list_runs(t.runs.c.deployment.in_(of_these))

    def list_live_updates(self) -> list[Run]:
        """Of the base, also those that were taken out since."""
        return self._list_runs(and_(t.runs.c.kind == RunKind.UPDATE, t.runs.c.state == RunState.SUCCEEDED))

    def list_runs_of_signature(self, signature: Signature) -> list[Run]:
        """Oldest first."""
        return self._list_runs(is_same(t.runs, signature))

    def list_runs_with(self, commits: Collection[str]) -> list[Run]:
        """Runs whose commit is one of these, oldest first."""
        each = sorted(commits)
        chunks = [each[start : start + CHUNK] for start in range(0, len(each), CHUNK)]
        found = [run for chunk in chunks for run in self._list_runs(t.runs.c.commit.in_(chunk))]
        return sorted(found, key=lambda run: (run.created_at, run.id))

    def puts_back(self, run: Run) -> bool:
        """Whether it undoes a revert: what that took out comes in again."""
        undone = [self.get_run_by_commit(commit) for commit in run.undoes]
        return any(each is not None and each.kind is RunKind.REVERT for each in undone)

    def list_fixes_taken_back(self) -> list[Run]:
        """Fixes that were refused, rolled back or reverted, whatever their crash, oldest first; one whose revert was
        ordered and is not live yet is among them."""
        undone = {commit for revert in self.list_reverts() for commit in revert.undoes}
        over = or_(
            t.runs.c.state.in_([RunState.CANCELLED, RunState.ROLLED_BACK]), t.runs.c.fix_state == FixState.REVERTED
        )
        found = {run.id: run for run in (*self._list_runs(over), *self.list_runs_with(undone))}
        fixes = [run for run in found.values() if run.kind is RunKind.FIX]
        return sorted(fixes, key=lambda run: (run.created_at, run.id))

    def list_runs_on(self, branch: str) -> list[Run]:
        """Runs that made a commit on this branch, oldest first."""
        return self._list_runs(and_(t.runs.c.branch == branch, t.runs.c.commit.is_not(None)))

    def list_reverts(self) -> list[Run]:
        """Runs that undo a commit, whatever became of them, oldest first."""
        return self._list_runs(t.runs.c.kind == RunKind.REVERT)

    def list_committed_runs(self, since: date) -> list[Run]:
        """Runs that made a commit which has built, oldest first."""
        return self._list_runs(
            and_(t.runs.c.night >= since, t.runs.c.commit.is_not(None), t.runs.c.state.not_in(CHANGE_LANE[:2]))
        )

    def is_mended(self, signature: Signature) -> bool:
        """Whether a fix of it is live and holds."""
        live = t.runs.c.fix_state.in_(LIVE)
        return bool(self._list_runs(and_(is_same(t.runs, signature), live, t.runs.c.kind == RunKind.FIX)))

    def list_watched_fixes(self) -> list[Run]:
        """Live ones that may still come back."""
        return self._list_runs(t.runs.c.fix_state == FixState.WATCHING)

    def count_requests(self, night: date) -> int:
        """Each round of a run is one: what does not compile is asked about again."""
        with self.begin() as c:
            query = select(func.sum(t.runs.c.asked + 1)).where(t.runs.c.night == night, t.runs.c.asked >= 0)
            return c.execute(query).scalar_one() or 0

    def _list_runs(self, which: Any) -> list[Run]:
        return self._read_runs(_oldest_first(which))

    def _read_runs(self, query: Select[Any]) -> list[Run]:
        with self.begin() as c:
            return [read_run(row) for row in c.execute(query)]

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
        with self.begin() as c:
            card = card or get_card(c, key, run.night, run.subject, at)
            insert_run(c, run, card, at, previous)
            insert_posts(c, card, posts, at)
            touch(c, card, at)
        return run

    def advance(
        self, run: Run, to: RunState, at: datetime, *, note: str = "", posts: Sequence[NewPost] = (), **changes: Any
    ) -> Run:
        """Moves a run to its next state. Raises Overtaken where it is not in `run.state` any more."""
        if to is not run.state and to not in TRANSITIONS[run.state]:
            raise ValueError(f"run {run.id}: {run.state} -> {to} is not in the state diagram")
        if to is not run.state:
            changes = {"attempts": 0, "not_before": None, "reason": None, "hindrance": None, **changes}
        with self.begin() as c:
            new = move_run(c, run, to, at, note, changes)
            follow_branch(c, new)
            card = card_of_run(c, run.id)
            insert_posts(c, card, posts, at)
            touch(c, card, at)
        return new

    def begin_attempt(self, run: Run, at: datetime) -> Run:
        """Counts a passage before its stage runs."""
        return self.advance(run, run.state, at, attempts=run.attempts + 1)

    def note_asked(self, run: Run, at: datetime) -> None:
        """The request for this round is written: its card tells of it from now on, and it waits for an answer."""
        with self.begin() as c:
            c.execute(update(t.runs).where(t.runs.c.id == run.id).values(asked=run.returns, updated_at=at))
            card = card_of_run(c, run.id)
            choose_run(c, card)
            touch(c, card, at)

    def get_pace(self, run: str) -> Any:
        """How far its build is: `done`, `total` (steps) and `eta`."""
        with self.begin() as c:
            return c.execute(select(t.runs.c.done, t.runs.c.total, t.runs.c.eta).where(t.runs.c.id == run)).one()

    def was_asked(self, run: Run) -> bool:
        with self.begin() as c:
            asked: int = c.execute(select(t.runs.c.asked).where(t.runs.c.id == run.id)).scalar_one()
        return asked >= run.returns

    def list_unanswered(self) -> list[Run]:
        """In ANALYZING, with a request in the queue and no command that works on it, oldest first."""
        left = or_(t.runs.c.attempts == 0, t.runs.c.commanded >= t.runs.c.returns)
        asked = and_(t.runs.c.state == RunState.ANALYZING, t.runs.c.asked >= t.runs.c.returns)
        return self._list_runs(and_(asked, left))

    def list_runs_to_ask(self, by_command: bool) -> list[Run]:
        """In ANALYZING, without a request for the present round, or with a command that has not ended."""
        return self._read_runs(_to_ask(by_command))

    def note_commanded(self, run: Run) -> None:
        """ANALYST_COMMAND has ended for this round, one way or the other."""
        with self.begin() as c:
            c.execute(update(t.runs).where(t.runs.c.id == run.id).values(commanded=run.returns))

    def get_previous(self, run: str) -> list[dict[str, Any]]:
        with self.begin() as c:
            return list(c.execute(select(t.runs.c.previous).where(t.runs.c.id == run)).scalar_one() or [])

    def add_previous(self, run: str, attempt: dict[str, Any]) -> None:
        """Remembers what an attempt brought, for the next request."""
        with self.begin() as c:
            before = c.execute(select(t.runs.c.previous).where(t.runs.c.id == run)).scalar_one() or []
            stored = json.loads(json.dumps(attempt))  # a tuple comes back as a list
            if stored not in before:
                c.execute(update(t.runs).where(t.runs.c.id == run).values(previous=[*before, stored]))

    def note_progress(self, run: str, done: int, total: int, eta: float | None, at: datetime) -> None:
        """What is being built waits for nothing any more."""
        with self.begin() as c:
            c.execute(update(t.runs).where(t.runs.c.id == run).values(done=done, total=total, eta=eta))
            builds = and_(t.runs.c.id == run, t.runs.c.state == RunState.BUILDING)
            c.execute(update(t.runs).where(builds).values(reason=None))
            touch(c, card_of_run(c, run), at)

    def set_fix_state(self, run: str, state: FixState, at: datetime, *, still: FixState | None = None) -> None:
        """With `still`, only where it is that by now: whoever looked before may have seen what was taken out since."""
        which = t.runs.c.id == run
        if still is not None:
            which = and_(which, t.runs.c.fix_state == still)
        with self.begin() as c:
            if c.execute(update(t.runs).where(which).values(fix_state=state)).rowcount:
                touch(c, card_of_run(c, run), at)

    def get_card_of_run(self, run: str) -> int:
        with self.begin() as c:
            return int(c.execute(select(t.runs.c.card).where(t.runs.c.id == run)).scalar_one())

    def history(self, run: str) -> list[tuple[datetime, str | None, str, str]]:
        """(at, before, after, note) of each step of a run, oldest first."""
        with self.begin() as c:
            query = select(t.run_events).where(t.run_events.c.run == run).order_by(t.run_events.c.id)
            return [(row.at, row.before, row.after, row.note) for row in c.execute(query)]

    # --- answers -----------------------------------------------------------------------------------------------------

    def find_answer(self, request_id: str, digest: str) -> str | None:
        """What became of it: `rejected`, `history`, or the state its run went to; None = it is a new one."""
        with self.begin() as c:
            same = (t.answers.c.request_id == request_id, t.answers.c.digest == digest)
            return c.execute(select(t.answers.c.outcome).where(*same)).scalar_one_or_none()

    def note_answer(
        self, request_id: str, digest: str, outcome: str, at: datetime, posts: Sequence[NewPost] = ()
    ) -> None:
        """An answer that moves no run."""
        with self.begin() as c:
            insert_answer(c, request_id, digest, outcome, at)
            insert_posts(c, None, posts, at)

    def take_answer(
        self, run: Run, to: RunState, digest: str, at: datetime, *, note: str, posts: Sequence[NewPost], **changes: Any
    ) -> Run:
        """Stores an answer in its run's row: one transaction, before the file is moved."""
        with self.begin() as c:
            insert_answer(c, run.request_id or "", digest, to, at)
            new = move_run(c, run, to, at, note, {"attempts": 0, "not_before": None, **changes})
            card = card_of_run(c, run.id)
            insert_posts(c, card, posts, at)
            touch(c, card, at)
        return new
