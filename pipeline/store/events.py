"""The events of the keeper."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from pipeline import tables as t
from pipeline.card_models import PostKind
from pipeline.keeper.protocol import Event, EventKind, Exit, ExitVerdict, from_plain
from pipeline.store.base import Base
from pipeline.store.rows import (
    IMPORTED,
    Deployment,
    NewPost,
)
from pipeline.store.writes import (
    insert_posts,
    touch,
)

CRASHES = (ExitVerdict.CRASH, ExitVerdict.HANG_AT_STOP, ExitVerdict.WITH_MACHINE)
_RECENT = 50  # crashes among which one that is told again is looked for

# Asked at each tick: made once, as making it anew takes as long as asking.
LAST = select(t.events.c.keeper, t.events.c.number).order_by(t.events.c.id.desc()).limit(1)
LAST_LIFE = (
    select(t.events.c.kind, t.events.c.data)
    .where(t.events.c.kind.in_([EventKind.SPAWNED, EventKind.ADOPTED, EventKind.EXITED]))
    .order_by(t.events.c.id.desc())
    .limit(1)
)


class Events(Base):
    """Imported once, with all they cause."""

    def last_event(self) -> tuple[str, int] | None:
        """Where the import stands."""
        with self.begin() as c:
            row = c.execute(LAST).first()
        return None if row is None else (row.keeper, row.number)

    def import_event(self, each: Event, at: datetime, posts: Sequence[NewPost]) -> bool:
        """Takes in one event with all it causes; False where it was there already."""
        try:
            with self.begin() as c:
                c.execute(
                    insert(t.events).values(
                        keeper=each.keeper, number=each.number, at=at, kind=each.kind, data=dict(each.data)
                    )
                )
                self._take_consequences(c, each, at)
                insert_posts(c, None, posts, at)
        except IntegrityError:
            return False
        return True

    def _take_consequences(self, c: Connection, each: Event, at: datetime) -> None:
        if each.kind == EventKind.EXITED and _is_crash(each) and not _is_counted(c, each):
            c.execute(
                insert(t.crashes).values(
                    keeper=each.keeper, number=each.number, at=at, night=self.night_of(at), exit=dict(each.data)
                )
            )
        if each.kind == EventKind.READY:
            self._note_recovery(c, at)

    def _note_recovery(self, c: Connection, at: datetime) -> None:
        waiting = select(t.crashes.c.id, t.crashes.c.at, t.crashes.c.card, t.crashes.c.exit).where(
            t.crashes.c.back_after.is_(None), t.crashes.c.at <= at, t.crashes.c.keeper != IMPORTED
        )
        for row in c.execute(waiting).all():
            seconds = (at - row.at).total_seconds() + from_plain(Exit, row.exit).unseen
            c.execute(update(t.crashes).where(t.crashes.c.id == row.id).values(back_after=seconds))
            touch(c, row.card, at)

    def list_told(self, what: str, *, after: str) -> list[tuple[datetime, dict[str, Any]]]:
        """What the channel was told of the server under one word since it was last told another: (when, data), oldest
        first. By the order of the posts, as the machine's clock may be set back."""
        said = t.posts.c.data["what"].as_string()
        server = t.posts.c.kind == PostKind.SERVER
        with self.begin() as c:
            last = select(func.max(t.posts.c.id)).where(server, said == after)
            query = select(t.posts.c.created_at, t.posts.c.data).where(server, said == what)
            since = c.execute(last).scalar_one() or 0
            rows = c.execute(query.where(t.posts.c.id > since).order_by(t.posts.c.id)).all()
        return [(row.created_at, row.data) for row in rows]

    def find_living(self) -> int | None:
        """The pid of the server that the events end with; None = it ended, or there was none. By their order, as the
        machine's clock may be set back."""
        with self.begin() as c:
            row = c.execute(LAST_LIFE).first()
        return None if row is None or row.kind == EventKind.EXITED else row.data.get("pid")

    def fell_back(self, deployment: Deployment) -> bool:
        """Whether the keeper took its build out, which may go live again with a later one. A keeper of before names no
        deployment: then by the time, though the machine's clock may be set back."""
        data, since = t.events.c.data, deployment.wished_at or deployment.created_at
        bad, named = data["bad"].as_string() == deployment.build, data["deployment"].as_string()
        of_it = or_(named == deployment.id, and_(named.is_(None), t.events.c.at >= since))
        query = select(t.events.c.id).where(t.events.c.kind == EventKind.FELL_BACK, bad, of_it)
        with self.begin() as c:
            return c.execute(query.limit(1)).first() is not None

    def list_events(self, since: datetime) -> list[tuple[datetime, str, dict[str, Any]]]:
        with self.begin() as c:
            query = select(t.events.c.at, t.events.c.kind, t.events.c.data).where(t.events.c.at >= since)
            return [(row.at, row.kind, row.data) for row in c.execute(query.order_by(t.events.c.id))]


def _is_crash(each: Event) -> bool:
    """An end of which nobody can read how it was is told as an event and is no crash."""
    try:
        return from_plain(Exit, dict(each.data)).verdict in CRASHES
    except (TypeError, ValueError):
        return False


def _is_counted(c: Connection, each: Event) -> bool:
    """A power loss may take an event that was imported and not yet synced: the next keeper tells that end once more."""
    newest = select(t.crashes.c.exit).where(t.crashes.c.keeper != IMPORTED).order_by(t.crashes.c.id.desc())
    told = (each.data.get("pid"), each.data.get("started"))
    return any((exit_.get("pid"), exit_.get("started")) == told for exit_ in c.execute(newest.limit(_RECENT)).scalars())
