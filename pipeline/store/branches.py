"""Night branches: what has built, what was pushed, what is owed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import and_, insert, or_, select, update

from pipeline import tables as t
from pipeline.model import (
    OVER,
)
from pipeline.store.base import Base
from pipeline.store.rows import (
    Branch,
    NewPost,
    read_branch,
)
from pipeline.store.writes import (
    card_of_run,
    insert_posts,
    touch,
)


class Branches(Base):
    """One is open at a time."""

    def get_branch(self, name: str) -> Branch | None:
        with self.begin() as c:
            row = c.execute(select(t.branches).where(t.branches.c.name == name)).first()
        return None if row is None else read_branch(row)

    def get_open_branch(self) -> Branch | None:
        """The newest branch that is not ended."""
        with self.begin() as c:
            query = select(t.branches).where(t.branches.c.ended.is_(False)).order_by(t.branches.c.created_at.desc())
            row = c.execute(query.limit(1)).first()
        return None if row is None else read_branch(row)

    def list_branch_names(self) -> list[str]:
        with self.begin() as c:
            return list(c.execute(select(t.branches.c.name)).scalars())

    def add_branch(self, name: str, night: date, base: str, at: datetime, head: str | None = None) -> Branch:
        """Begins a branch and ends every other."""
        with self.begin() as c:
            c.execute(update(t.branches).values(ended=True))
            c.execute(
                insert(t.branches).values(
                    name=name, night=night, base=base, head=head or base, ended=False, created_at=at
                )
            )
        return Branch(name, night, base, head or base, None, None, None, False)

    def end_branch(self, name: str) -> None:
        with self.begin() as c:
            c.execute(update(t.branches).where(t.branches.c.name == name).values(ended=True))

    def note_pushed(
        self, branch: str, head: str, at: datetime, runs_of: Iterable[str] = (), posts: Sequence[NewPost] = ()
    ) -> None:
        """The remote has `head`; every run of ours on the branch up to it is pushed."""
        with self.begin() as c:
            values = {"pushed": head, "owed_since": None, "owed_reason": None}
            c.execute(update(t.branches).where(t.branches.c.name == branch).values(**values))
            insert_posts(c, None, posts, at)
            for run in runs_of:
                c.execute(update(t.runs).where(t.runs.c.id == run).values(pushed=True))
                touch(c, card_of_run(c, run), at)

    def note_push_owed(self, branch: str, reason: str, at: datetime, posts: Sequence[NewPost] = ()) -> None:
        """The push did not go through. Told once for each time it begins to be owed, until it is made up."""
        with self.begin() as c:
            since = c.execute(select(t.branches.c.owed_since).where(t.branches.c.name == branch)).scalar_one()
            values = {"owed_since": since or at, "owed_reason": reason}
            c.execute(update(t.branches).where(t.branches.c.name == branch).values(**values))
            if since is None:
                insert_posts(c, None, [replace(post, offers=True) for post in posts], at)

    def list_owed_branches(self) -> list[Branch]:
        with self.begin() as c:
            rows = c.execute(select(t.branches).where(t.branches.c.owed_since.is_not(None))).all()
        return [read_branch(row) for row in rows]

    def move_branch(self, old: str, new: str, night: date, base: str, head: str, at: datetime) -> None:
        """What stood on a branch goes on under another name, and is open only where that one was; other branches stay
        as they are. Runs follow that are not over, or that the remote has under no name yet."""
        own = t.branches.c.name == old
        with self.begin() as c:
            ended = c.execute(select(t.branches.c.ended).where(own)).scalar_one()
            c.execute(update(t.branches).where(own).values(ended=True, owed_since=None))
            c.execute(
                insert(t.branches).values(name=new, night=night, base=base, head=head, ended=ended, created_at=at)
            )
            moving = and_(t.runs.c.branch == old, or_(t.runs.c.state.not_in(OVER), t.runs.c.pushed.is_(False)))
            c.execute(update(t.runs).where(moving).values(branch=new))
