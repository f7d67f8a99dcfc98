"""Responses that were refused: noted each, told together, as thousands of them must not hide what matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from pipeline import tables as t
from pipeline.card_models import PostKind
from pipeline.store.base import Base
from pipeline.store.writes import insert_answer

PAUSE = timedelta(minutes=5)  # between two posts about refused responses
SENDING = timedelta(seconds=10)  # a post that is due so soon may be on its way: nothing is added to it any more
NAMED = 3  # refusals whose reason a post gives; the rest is counted


@dataclass(frozen=True)
class Refusal:
    """A response that moves no run, and why."""

    request_id: str
    digest: str
    file: str
    reason: str  # a sentence, redacted


class Refusals(Base):
    """At most one post in a while, whatever comes."""

    def note_refusals(self, refusals: Sequence[Refusal], at: datetime) -> None:
        """Each response is noted as answered; one post tells of all, at once or with those of the next minutes."""
        if not refusals:
            return
        with self.begin() as c:
            for request_id, digest in {(each.request_id, each.digest): None for each in refusals}:
                insert_answer(c, request_id, digest, "rejected", at)
            if not _join(c, refusals, at):
                _tell(c, refusals, at)


def _join(c: Connection, refusals: Sequence[Refusal], at: datetime) -> bool:
    """Adds them to the post that waits for its turn."""
    query = select(t.posts.c.id, t.posts.c.data).where(
        t.posts.c.kind == PostKind.REJECTED_RESPONSE,
        t.posts.c.message.is_(None),
        t.posts.c.attempts == 0,
        t.posts.c.not_before > at + SENDING,
    )
    waiting = c.execute(query).first()
    if waiting is None:
        return False
    c.execute(update(t.posts).where(t.posts.c.id == waiting.id).values(data=_extend(waiting.data, refusals)))
    return True


def _tell(c: Connection, refusals: Sequence[Refusal], at: datetime) -> None:
    of_this_kind = t.posts.c.kind == PostKind.REJECTED_RESPONSE
    last = c.execute(select(t.posts).where(of_this_kind).order_by(t.posts.c.id.desc()).limit(1)).first()
    due = None if last is None else (last.not_before or last.created_at) + PAUSE
    values = {"kind": PostKind.REJECTED_RESPONSE, "card": None, "data": _extend({"count": 0, "refused": []}, refusals)}
    c.execute(insert(t.posts).values(**values, created_at=at, not_before=due if due and due > at else None))


def _extend(data: dict[str, Any], refusals: Sequence[Refusal]) -> dict[str, Any]:
    named = [*data["refused"], *({"file": each.file, "reason": each.reason} for each in refusals)][:NAMED]
    return {"count": data["count"] + len(refusals), "refused": named}
