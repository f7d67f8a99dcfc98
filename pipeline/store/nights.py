"""What one night had, for its summary."""

from __future__ import annotations

from collections.abc import Sequence
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
class Stretch:
    """What a summary tells of: [begin, until). What came before is counted from `before` on."""

    before: datetime
    begin: datetime
    until: datetime


@dataclass(frozen=True)
class NightCard:
    """A signature that crashed in a stretch, and how often it did then and before."""

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


def _crashed(begin: datetime, until: datetime) -> Any:
    return and_(t.crashes.c.at >= begin, t.crashes.c.at < until, t.crashes.c.keeper != IMPORTED)


class Nights(Base):
    """Each sentence reads one kind of thing."""

    def list_night_cards(self, stretch: Stretch) -> list[NightCard]:
        """Of what crashed then, the most frequent first."""
        with self.begin() as c:
            rows = c.execute(
                select(t.cards, *(t.crashes.c[each] for each in ("judged", "report", *SIGNATURE)))
                .join(t.crashes, t.crashes.c.card == t.cards.c.id)
                .where(_crashed(stretch.begin, stretch.until))
                .order_by(t.crashes.c.id)
            ).all()
            alike = [[row for row in rows if row.key == key] for key in dict.fromkeys(row.key for row in rows)]
            found = [self._night_card(c, each, stretch) for each in alike]
        return sorted(found, key=lambda each: -each.crashes)

    def _night_card(self, c: Any, crashes: Sequence[Any], stretch: Stretch) -> NightCard:
        """`crashes` = all of one signature, which has two cards where the stretch reaches over noon."""
        last = crashes[-1]
        same = and_(t.cards.c.key == last.key, _crashed(stretch.before, stretch.begin))
        earlier = select(func.count()).select_from(t.crashes.join(t.cards, t.crashes.c.card == t.cards.c.id))
        mine = t.runs.c.card.in_({each.id for each in crashes})
        runs = c.execute(select(t.runs).where(mine).order_by(t.runs.c.created_at, t.runs.c.id)).all()
        return NightCard(
            last.title, last.message, len(crashes), c.execute(earlier.where(same)).scalar_one(), last.judged,
            last.report, tuple(map(read_run, runs)),
            None if last.exact is None else Signature(last.family, last.exact, last.version),
        )  # fmt: skip

    def list_turned(self, since: datetime) -> list[tuple[Run, datetime]]:
        """Runs that came to the state they are in at that time or later, and when; oldest first."""
        moved = and_(t.run_events.c.run == t.runs.c.id, t.run_events.c.after == t.runs.c.state)
        came = func.max(t.run_events.c.at)
        with self.begin() as c:
            query = select(t.runs, came.label("came")).join(t.run_events, moved).group_by(t.runs.c.id)
            rows = c.execute(query.having(came >= since).order_by(came, t.runs.c.created_at)).all()
        return [(read_run(row), row.came) for row in rows]

    def count_card_crashes(self, run: str) -> int:
        """On the card of a run."""
        card = select(t.runs.c.card).where(t.runs.c.id == run).scalar_subquery()
        with self.begin() as c:
            query = select(func.count()).where(t.crashes.c.card == card, t.crashes.c.keeper != IMPORTED)
            return int(c.execute(query).scalar_one())

    def count_crashes_between(self, begin: datetime, until: datetime) -> tuple[int, int]:
        """(how many, of how many kinds)."""
        with self.begin() as c:
            count = select(func.count(), func.count(t.crashes.c.exact.distinct())).where(_crashed(begin, until))
            row = c.execute(count).one()
        return row[0], row[1]

    def list_recoveries(self, begin: datetime, until: datetime) -> list[float | None]:
        """Seconds from each crash to ready, None = not back yet; oldest first."""
        with self.begin() as c:
            query = select(t.crashes.c.back_after).where(_crashed(begin, until)).order_by(t.crashes.c.id)
            return list(c.execute(query).scalars())

    def list_crash_times(self, begin: datetime, until: datetime) -> list[datetime]:
        with self.begin() as c:
            query = select(t.crashes.c.at).where(_crashed(begin, until)).order_by(t.crashes.c.id)
            return list(c.execute(query).scalars())

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
