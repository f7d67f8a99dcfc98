"""What one night had, for its summary."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import and_, func, or_, select

from pipeline import tables as t
from pipeline.keeper.protocol import EventKind
from pipeline.model import Run, Signature
from pipeline.store.base import Base
from pipeline.store.rows import IMPORTED, Branch, Deployment, read_branch, read_deployment, read_run

SIGNATURE = ("family", "exact", "version")  # columns


@dataclass(frozen=True)
class NightCard:
    """A signature of a night, and how often it crashed then and the night before."""

    title: str
    message: str | None
    crashes: int
    before: int
    judged: str | None  # what became of the newest of them
    report: dict[str, Any] | None  # of the newest
    runs: tuple[Run, ...]  # oldest first
    signature: Signature | None = None  # of the newest


@dataclass(frozen=True)
class BuildSpan:
    build: str
    state: str
    begun: datetime
    seconds: float | None  # None = not over


class Nights(Base):
    """Each sentence reads one kind of thing."""

    def list_night_cards(self, night: date, before: date) -> list[NightCard]:
        """Of this night, the most frequent crash first."""
        with self.begin() as c:
            rows = c.execute(select(t.cards).where(t.cards.c.night == night).order_by(t.cards.c.id)).all()
            found = [self._night_card(c, row, before) for row in rows]
        return sorted(found, key=lambda each: -each.crashes)

    def _night_card(self, c: Any, row: Any, before: date) -> NightCard:
        of_card = and_(t.crashes.c.card == row.id, t.crashes.c.keeper != IMPORTED)
        crashes = c.execute(
            select(t.crashes.c.judged, t.crashes.c.report, *(t.crashes.c[each] for each in SIGNATURE))
            .where(of_card)
            .order_by(t.crashes.c.id)
        ).all()
        same = and_(t.cards.c.key == row.key, t.cards.c.night == before)
        earlier = select(func.count()).select_from(t.crashes.join(t.cards, t.crashes.c.card == t.cards.c.id))
        runs = c.execute(select(t.runs).where(t.runs.c.card == row.id).order_by(t.runs.c.created_at, t.runs.c.id)).all()
        last = crashes[-1] if crashes else None
        return NightCard(
            row.title, row.message, len(crashes), c.execute(earlier.where(same)).scalar_one(),
            last.judged if last else None, last.report if last else None, tuple(map(read_run, runs)),
            Signature(last.family, last.exact, last.version) if last is not None and last.exact is not None else None,
        )  # fmt: skip

    def count_night_crashes(self, night: date) -> tuple[int, int]:
        """(how many, of how many kinds)."""
        mine = and_(t.crashes.c.night == night, t.crashes.c.keeper != IMPORTED)
        with self.begin() as c:
            row = c.execute(select(func.count(), func.count(t.crashes.c.exact.distinct())).where(mine)).one()
        return row[0], row[1]

    def list_night_recoveries(self, night: date) -> list[float | None]:
        """Seconds from each crash to ready, None = not back yet; oldest first."""
        mine = and_(t.crashes.c.night == night, t.crashes.c.keeper != IMPORTED)
        with self.begin() as c:
            return list(c.execute(select(t.crashes.c.back_after).where(mine).order_by(t.crashes.c.id)).scalars())

    def list_crash_times(self, night: date) -> list[datetime]:
        mine = and_(t.crashes.c.night == night, t.crashes.c.keeper != IMPORTED)
        with self.begin() as c:
            return list(c.execute(select(t.crashes.c.at).where(mine).order_by(t.crashes.c.id)).scalars())

    def list_night_branches(self, first: date, last: date) -> list[Branch]:
        """Oldest first."""
        with self.begin() as c:
            mine = t.branches.c.night.between(first, last)
            query = select(t.branches).where(mine).order_by(t.branches.c.created_at)
            return [read_branch(row) for row in c.execute(query)]

    def list_builds_between(self, begin: datetime, end: datetime) -> list[BuildSpan]:
        with self.begin() as c:
            query = select(t.builds).where(t.builds.c.started_at >= begin, t.builds.c.started_at < end)
            rows = c.execute(query.order_by(t.builds.c.started_at)).all()
        return [BuildSpan(row.build, row.state, row.started_at, row.seconds) for row in rows if row.seconds is not None]

    def list_deployments_between(self, begin: datetime, end: datetime) -> list[Deployment]:
        """That were put in place then."""
        with self.begin() as c:
            query = select(t.deployments).where(t.deployments.c.wished_at >= begin, t.deployments.c.wished_at < end)
            return [read_deployment(row) for row in c.execute(query.order_by(t.deployments.c.wished_at))]

    def list_events_until(self, kinds: tuple[str, ...], since: datetime, end: datetime) -> list[Any]:
        """Events of these kinds in a time, and the last one and the last end before it; oldest first."""
        of_kind = t.events.c.kind.in_(kinds)
        with self.begin() as c:
            before = select(func.max(t.events.c.id)).where(t.events.c.at < since)
            last = [
                c.execute(before.where(which)).scalar_one() for which in (of_kind, t.events.c.kind == EventKind.EXITED)
            ]
            mine = and_(t.events.c.at >= since, t.events.c.at < end)
            query = select(t.events).where(of_kind, or_(mine, t.events.c.id.in_(last))).order_by(t.events.c.id)
            return list(c.execute(query))

    def list_nights(self, most: int) -> list[date]:
        """That had a crash or a run, newest first."""
        with self.begin() as c:
            query = select(t.cards.c.night).distinct().order_by(t.cards.c.night.desc()).limit(most)
            return list(c.execute(query).scalars())
