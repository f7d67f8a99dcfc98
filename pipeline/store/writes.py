"""Pieces of a transaction that several sentences share. Each takes the connection it belongs to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, case, delete, func, insert, or_, select, update

from pipeline import tables as t
from pipeline.model import (
    OVER,
    Run,
    RunKind,
    RunState,
    Signature,
)
from pipeline.store.rows import (
    Fact,
    NewPost,
    Overtaken,
    run_columns,
)

LATELY = timedelta(hours=36)  # cards that somebody may still look at


def card_key(signature: Signature) -> str:
    return f"{signature.version}:{signature.exact}"


def is_same(table: Any, signature: Signature) -> Any:
    return and_(table.c.exact == signature.exact, table.c.version == signature.version)


def put_fact(c: Connection, name: Fact, value: Any) -> None:
    c.execute(delete(t.facts).where(t.facts.c.name == name))
    c.execute(insert(t.facts).values(name=name, value=value))


def refuse_second_judgement(c: Connection, crash: int) -> None:
    if c.execute(select(t.crashes.c.judged).where(t.crashes.c.id == crash)).scalar_one() is not None:
        raise Overtaken(f"crash {crash} is judged already")


def get_card(c: Connection, key: str, night: date, title: str, at: datetime) -> int:
    found = c.execute(select(t.cards.c.id).where(t.cards.c.key == key, t.cards.c.night == night)).scalar_one_or_none()
    if found is not None:
        return int(found)
    before = (
        select(t.cards.c.message).where(t.cards.c.key == key, t.cards.c.night < night).order_by(t.cards.c.night.desc())
    )
    previous = c.execute(before.limit(1)).scalar_one_or_none()
    values = {"key": key, "night": night, "title": title, "previous_message": previous, "touched_at": at}
    return int(c.execute(insert(t.cards).values(**values).returning(t.cards.c.id)).scalar_one())


def card_of_run(c: Connection, run: str) -> int | None:
    return c.execute(select(t.runs.c.card).where(t.runs.c.id == run)).scalar_one_or_none()


def touch(c: Connection, card: int | None, at: datetime) -> None:
    if card is not None:
        c.execute(update(t.cards).where(t.cards.c.id == card).values(wanted=t.cards.c.wanted + 1, touched_at=at))


def mark_open_cards(c: Connection, at: datetime) -> None:
    """Those that say whether the pipeline is paused: also of what was rolled back, where people resume it."""
    rolled_back = and_(t.runs.c.state == RunState.ROLLED_BACK, t.runs.c.updated_at >= at - LATELY)
    open_runs = select(t.runs.c.card).where(or_(t.runs.c.state.not_in(OVER), rolled_back))
    values = {"wanted": t.cards.c.wanted + 1, "touched_at": at}
    c.execute(update(t.cards).where(t.cards.c.id.in_(open_runs)).values(**values))


def insert_posts(c: Connection, card: int | None, posts: Sequence[NewPost], at: datetime) -> None:
    for post in posts:
        values = {"kind": post.kind, "card": None if post.to_channel else card, "data": dict(post.data),
                  "offers": post.offers}  # fmt: skip
        c.execute(insert(t.posts).values(**values, created_at=at))


def choose_run(c: Connection, card: int | None) -> None:
    """What the card tells of: the run that came last to change something, of those that go on; once all are over, the
    one that ended last. What went wrong stays to be read until somebody is asked for the new try, and a rollback's own
    revert is no news."""
    asked = or_(t.runs.c.retry_of.is_(None), t.runs.c.asked >= 0)
    told = and_(t.runs.c.card == card, asked, or_(t.runs.c.kind != RunKind.REVERT, t.runs.c.asked_by.is_not(None)))
    is_over, step = t.runs.c.state.in_(OVER), t.run_events.c
    ended = func.max(case((and_(is_over, step.after.in_(OVER)), step.at)))
    came = func.max(case((or_(step.before.is_(None), step.after == RunState.READY), step.id)))
    query = select(t.runs.c.id, t.runs.c.subject).join(t.run_events).where(told).group_by(t.runs.c.id)
    found = c.execute(query.order_by(is_over, ended.desc(), came.desc()).limit(1)).first()
    if found is not None:
        c.execute(update(t.cards).where(t.cards.c.id == card).values(run=found.id, title=found.subject))


def insert_run(c: Connection, run: Run, card: int, at: datetime, previous: Sequence[Mapping[str, Any]]) -> None:
    c.execute(insert(t.runs).values(card=card, previous=[dict(each) for each in previous], **run_columns(run)))
    c.execute(insert(t.run_events).values(run=run.id, at=at, before=None, after=run.state, note=run.reason or ""))
    choose_run(c, card)


def move_run(c: Connection, run: Run, to: RunState, at: datetime, note: str, changes: Mapping[str, Any]) -> Run:
    """Writes only what changes: other columns may have been written since the run was read."""
    new = dataclasses.replace(run, state=to, updated_at=at, **changes)
    columns = run_columns(new)
    values = {name: columns[name] for name in ("state", "updated_at", *changes)}
    same = and_(t.runs.c.id == run.id, t.runs.c.state == run.state)
    if c.execute(update(t.runs).where(same).values(**values)).rowcount != 1:
        raise Overtaken(f"run {run.id} is not in {run.state} any more")
    if to is not run.state:
        c.execute(insert(t.run_events).values(run=run.id, at=at, before=run.state, after=to, note=note))
        choose_run(c, card_of_run(c, run.id))
    return new


def follow_branch(c: Connection, run: Run) -> None:
    """A commit that has built is the head of its branch."""
    if run.state is RunState.PUBLISHING and run.branch and run.commit:
        c.execute(update(t.branches).where(t.branches.c.name == run.branch).values(head=run.commit))


def insert_answer(c: Connection, request_id: str, digest: str, outcome: str, at: datetime) -> None:
    c.execute(insert(t.answers).values(request_id=request_id, digest=digest, outcome=outcome, at=at))
