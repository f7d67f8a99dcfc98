"""Orders that wait, the audit, and children that were started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, delete, insert, or_, select, update

from pipeline import tables as t
from pipeline.model import (
    CrashReport,
)
from pipeline.read_models import BEGUN, AuditLine, OrderEnd
from pipeline.store.base import Base
from pipeline.store.rows import (
    NewPost,
    Order,
    read_order,
    read_order_end,
)
from pipeline.store.writes import (
    insert_posts,
)

# Asked at each tick: made once, as making it anew takes as long as asking.
WAITING = select(t.orders).where(t.orders.c.state == "waiting").order_by(t.orders.c.due)
_late = and_(t.orders.c.state != "waiting", t.orders.c.shown == "waiting")
_lasts = or_(t.orders.c.kind == "pause", t.orders.c.shown == "held")  # until a person ends it, however long
_open = and_(
    t.orders.c.state == "done",
    t.orders.c.shown.in_(("done", "held")),
    or_(_lasts, t.orders.c.ended_at >= bindparam("since", type_=t.Utc)),
)
TOLD = select(t.orders).where(t.orders.c.message.is_not(None), or_(_late, _open)).order_by(t.orders.c.id)


def leave_out_begun(lines: Iterable[AuditLine]) -> Iterator[AuditLine]:
    """Newest first: whoever ends an order has begun it before."""
    ended: Counter[tuple[str, ...]] = Counter()
    for line in lines:
        order = (line.id, line.place, line.command, line.arguments)
        if line.outcome != BEGUN:
            ended[order] += 1
        elif ended[order]:
            ended[order] -= 1
            continue
        yield line


class Orders(Base):
    """What people asked for, and what we began."""

    def add_order(self, kind: str, by: str, reason: str, due: datetime, at: datetime, about: str | None = None) -> int:
        with self.begin() as c:
            values = {"kind": kind, "by": by, "reason": reason, "due": due, "state": "waiting", "created_at": at}
            return int(c.execute(insert(t.orders).values(**values, about=about).returning(t.orders.c.id)).scalar_one())

    def list_waiting_orders(self) -> list[Order]:
        with self.begin() as c:
            return [read_order(row) for row in c.execute(WAITING)]

    def note_order_told(self, order: int, at: datetime) -> None:
        with self.begin() as c:
            c.execute(update(t.orders).where(t.orders.c.id == order).values(told_at=at))

    def end_order(self, order: int, state: str, at: datetime, posts: Sequence[NewPost] = (), note: str = "") -> bool:
        """Whether it still waited. `note` = who cancelled it, or why it failed."""
        with self.begin() as c:
            waiting = and_(t.orders.c.id == order, t.orders.c.state == "waiting")
            values = {"state": state, "ended_at": at, "note": note}
            done = c.execute(update(t.orders).where(waiting).values(**values)).rowcount == 1
            if done:
                insert_posts(c, None, posts, at)
        return done

    def note_order_shown(self, order: int, state: str, place: str, message: str) -> None:
        """The answer that stands there says that the order is in this state."""
        with self.begin() as c:
            values = {"shown": state, "place": place, "message": message}
            c.execute(update(t.orders).where(t.orders.c.id == order).values(**values))

    def note_done(self, kind: str, by: str, reason: str, at: datetime) -> int:
        """An order that is carried out at once; its answer goes on telling of it."""
        with self.begin() as c:
            values = {"kind": kind, "by": by, "reason": reason, "due": at, "state": "done", "created_at": at}
            return int(c.execute(insert(t.orders).values(**values, ended_at=at).returning(t.orders.c.id)).scalar_one())

    def list_told_orders(self, since: datetime) -> list[OrderEnd]:
        """Orders that are over while their answers say something else, or where more may have come of them since than
        they say: of those that were carried out since then, and of any pause or hold. The oldest first."""
        with self.begin() as c:
            return [read_order_end(row) for row in c.execute(TOLD, {"since": since})]

    def append_audit(
        self, at: datetime, actor_id: str, actor_name: str, where: str, command: str, arguments: str, outcome: str
    ) -> None:
        values = {
            "at": at, "actor_id": actor_id, "actor_name": actor_name, "place": where, "command": command,
            "arguments": arguments, "outcome": outcome,
        }  # fmt: skip
        with self.begin() as c:
            c.execute(insert(t.audit).values(**values))

    def list_audit(self, since: datetime) -> list[AuditLine]:
        """Newest first. That an order was begun is left out where it is told how it ended."""
        with self.begin() as c:
            query = select(t.audit).where(t.audit.c.at >= since).order_by(t.audit.c.at.desc(), t.audit.c.id.desc())
            rows = c.execute(query).all()
        lines = [
            AuditLine(row.at, row.actor_name, row.actor_id, row.place, row.command, row.arguments, row.outcome)
            for row in rows
        ]
        return list(leave_out_begun(lines))

    def note_child(self, pid: int, create_time: float, what: str, at: datetime) -> None:
        with self.begin() as c:
            values = {"pid": pid, "create_time": create_time, "what": what, "started_at": at}
            c.execute(insert(t.children).values(**values))

    def take_children(self) -> list[tuple[int, float]]:
        """What an earlier life of the bot started; forgotten with this call's successor `forget_children`."""
        with self.begin() as c:
            return [(row.pid, row.create_time) for row in c.execute(select(t.children))]

    def forget_children(self, known: Iterable[tuple[int, float]]) -> None:
        with self.begin() as c:
            for pid, create_time in known:
                same = and_(t.children.c.pid == pid, t.children.c.create_time == create_time)
                c.execute(delete(t.children).where(same))

    def read_report(self, plain: dict[str, Any]) -> CrashReport:
        return self._codec.from_plain(plain)
