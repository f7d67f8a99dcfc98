"""Facts about the realm that are no rows of their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, select

from pipeline import tables as t
from pipeline.status_models import PauseView
from pipeline.store.base import Base
from pipeline.store.rows import (
    Fact,
    NewPost,
)
from pipeline.store.writes import (
    insert_posts,
    mark_open_cards,
    put_fact,
)

# Asked several times a tick: made once, as making it anew takes as long as asking.
VALUE = select(t.facts.c.value).where(t.facts.c.name == bindparam("name"))


class Facts(Base):
    """Named values."""

    def get_fact(self, name: Fact) -> Any | None:
        with self.begin() as c:
            return c.execute(VALUE, {"name": name}).scalar_one_or_none()

    def set_fact(self, name: Fact, value: Any, *, posts: Sequence[NewPost] = (), at: datetime | None = None) -> None:
        with self.begin() as c:
            put_fact(c, name, value)
            if at is not None:
                insert_posts(c, None, posts, at)
                mark_open_cards(c, at)

    def drop_fact(self, name: Fact, *, posts: Sequence[NewPost] = (), at: datetime | None = None) -> None:
        with self.begin() as c:
            c.execute(delete(t.facts).where(t.facts.c.name == name))
            if at is not None:
                insert_posts(c, None, posts, at)
                mark_open_cards(c, at)

    def list_absent(self) -> frozenset[str]:
        """Runs whose fixes are watched and that what runs now has not: a rollback went further back."""
        return frozenset((self.get_fact(Fact.ABSENT) or {}).get("runs", ()))

    def get_pause(self) -> PauseView | None:
        plain = self.get_fact(Fact.PAUSE)
        return plain and PauseView(plain["by"], plain["reason"], datetime.fromisoformat(plain["at"]))
