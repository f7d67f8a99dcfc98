"""What people are to be told: cards and posts, and how far they were delivered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update

from pipeline import tables as t
from pipeline.card_models import CardState, Post, PostKind
from pipeline.store.base import Base
from pipeline.store.rows import (
    NewPost,
    read_card_state,
    read_post,
)
from pipeline.store.writes import (
    insert_posts,
)

POSTS_AT_ONCE = 50
LONGEST_DEFERRAL = timedelta(minutes=10)  # what is due later than that was deferred by a clock that was set back since


class Outbox(Base):
    """Delivered once, in order per card."""

    def add_posts(self, posts: Sequence[NewPost], at: datetime, card: int | None = None) -> None:
        with self.begin() as c:
            insert_posts(c, card, posts, at)

    def has_post(self, card: int, kind: PostKind, data: Mapping[str, Any]) -> bool:
        """Whether the card's thread has exactly this, delivered or not."""
        with self.begin() as c:
            query = select(t.posts.c.data).where(t.posts.c.card == card, t.posts.c.kind == kind)
            return any(found == data for found in c.execute(query).scalars())

    def list_diffs(self, run: str) -> list[str]:
        """What people were shown of a run's change, one for each of its rounds, oldest first."""
        with self.begin() as c:
            same_card = t.posts.c.card == select(t.runs.c.card).where(t.runs.c.id == run).scalar_subquery()
            query = select(t.posts.c.data).where(same_card, t.posts.c.kind == PostKind.PATCH).order_by(t.posts.c.id)
            return [data["diff"] for data in c.execute(query).scalars() if data.get("run") == run]

    def find_last_post(self, cards: Iterable[int], kind: PostKind) -> Mapping[str, Any] | None:
        """What the newest post of a kind says in the threads of these cards."""
        with self.begin() as c:
            query = select(t.posts.c.data).where(t.posts.c.card.in_(set(cards)), t.posts.c.kind == kind)
            found: Mapping[str, Any] | None = c.execute(query.order_by(t.posts.c.id.desc()).limit(1)).scalar()
        return found

    def list_dirty_cards(self) -> list[CardState]:
        """Cards that show less than they should, oldest change first."""
        with self.begin() as c:
            query = select(t.cards).where(t.cards.c.wanted > t.cards.c.delivered).order_by(t.cards.c.touched_at)
            return [read_card_state(row) for row in c.execute(query)]

    def get_card_state(self, card: int) -> CardState:
        with self.begin() as c:
            return read_card_state(c.execute(select(t.cards).where(t.cards.c.id == card)).one())

    def get_message_of_run(self, run: str) -> str | None:
        """The message of its card, once there is one."""
        with self.begin() as c:
            query = select(t.cards.c.message).join(t.runs, t.runs.c.card == t.cards.c.id).where(t.runs.c.id == run)
            return c.execute(query).scalar_one_or_none()

    def card_delivered(self, card: int, version: int, message: str, thread: str | None) -> None:
        values: dict[str, Any] = {"delivered": version, "message": message}
        if thread is not None:
            values["thread"] = thread
        with self.begin() as c:
            c.execute(update(t.cards).where(t.cards.c.id == card).values(**values))

    def card_lost(self, card: int) -> None:
        """Its message was deleted: a new one is sent."""
        with self.begin() as c:
            values = {"delivered": 0, "message": None, "thread": None}
            c.execute(update(t.cards).where(t.cards.c.id == card).values(**values))

    def card_replaced(self, card: int) -> None:
        """Its message takes no edits for now: a new one is sent that refers to it. The thread stays."""
        with self.begin() as c:
            values = {"delivered": 0, "previous_message": t.cards.c.message, "message": None}
            c.execute(update(t.cards).where(t.cards.c.id == card).values(**values))

    def list_pending_posts(self, now: datetime) -> list[Post]:
        """In order; a card's only once the card has a thread, and nothing behind one of its own that is deferred.
        Refused responses come last: they keep no word about the server waiting."""
        order = (t.posts.c.kind == PostKind.REJECTED_RESPONSE, t.posts.c.id)
        with self.begin() as c:
            query = select(t.posts.c.id, t.posts.c.card, t.posts.c.not_before, t.cards.c.thread).select_from(
                t.posts.outerjoin(t.cards, t.cards.c.id == t.posts.c.card)
            )
            waiting = c.execute(query.where(t.posts.c.message.is_(None)).order_by(*order)).all()
            ready = _list_ready(waiting, now)
            if not ready:
                return []
            rows = c.execute(select(t.posts).where(t.posts.c.id.in_(ready)).order_by(*order))
            return [read_post(row) for row in rows]

    def find_due_post(self, now: datetime) -> datetime | None:
        """When the first is to be tried again of those that are deferred."""
        with self.begin() as c:
            due = t.posts.c.not_before
            deferred = (t.posts.c.message.is_(None), due > now, due <= now + LONGEST_DEFERRAL)
            return c.execute(select(due).where(*deferred).order_by(due).limit(1)).scalar_one_or_none()

    def post_delivered(self, post: int, message: str) -> None:
        with self.begin() as c:
            c.execute(update(t.posts).where(t.posts.c.id == post).values(message=message))

    def post_deferred(self, post: int, why: str, not_before: datetime) -> None:
        values = {"attempts": t.posts.c.attempts + 1, "why": why, "not_before": not_before}
        with self.begin() as c:
            c.execute(update(t.posts).where(t.posts.c.id == post).values(**values))

    def list_offers(self) -> list[Post]:
        """What was delivered and is not known to be over, oldest first."""
        with self.begin() as c:
            query = select(t.posts).where(t.posts.c.offers.is_(True), t.posts.c.message.is_not(None))
            return [read_post(row) for row in c.execute(query.order_by(t.posts.c.id))]

    def post_settled(self, post: int) -> None:
        """It says that it is over, and its buttons are gone."""
        with self.begin() as c:
            c.execute(update(t.posts).where(t.posts.c.id == post).values(offers=False))

    def count_undelivered(self) -> int:
        with self.begin() as c:
            posts = c.execute(select(func.count()).select_from(t.posts).where(t.posts.c.message.is_(None))).scalar_one()
            dirty = t.cards.c.wanted > t.cards.c.delivered
            return posts + c.execute(select(func.count()).select_from(t.cards).where(dirty)).scalar_one()


def _list_ready(waiting: Iterable[Any], now: datetime) -> list[int]:
    """The first few that nothing stands before, of threads and of the channel each: however many wait for a thread, or
    are not taken there, they hold up no news."""
    blocked: set[int | None] = set()
    ready: list[int] = []
    taken = {True: 0, False: 0}  # by whether it is for the channel
    for row in waiting:
        deferred = row.not_before is not None and now < row.not_before <= now + LONGEST_DEFERRAL
        if deferred or (row.card is not None and not row.thread) or row.card in blocked:
            blocked.add(row.card)
        elif taken[row.card is None] < POSTS_AT_ONCE:
            taken[row.card is None] += 1
            ready.append(row.id)
    return ready
