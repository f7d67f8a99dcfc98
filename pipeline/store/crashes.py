"""Crashes: read, grouped, judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, select, update

from pipeline import tables as t
from pipeline.keeper.protocol import Exit, from_plain
from pipeline.model import (
    LIVE,
    OF_WHAT_WENT,
    CrashReport,
    FixState,
    Run,
    Signature,
)
from pipeline.store.base import Base
from pipeline.store.rows import (
    IMPORTED,
    Build,
    Crash,
    CrashRow,
    NewPost,
    read_build,
)
from pipeline.store.writes import (
    LATELY,
    card_key,
    get_card,
    insert_posts,
    insert_run,
    is_same,
    refuse_second_judgement,
    touch,
)

MOST_GROUPS = 2000  # kinds of crashes that are compared

# Asked at each tick: made once, as making it anew takes as long as asking.
UNJUDGED = select(t.crashes).where(t.crashes.c.judged.is_(None)).order_by(t.crashes.c.id)


class Crashes(Base):
    """One row for each end of the server that nobody asked for."""

    def get_card(self, card: int) -> tuple[Row[Any], Sequence[Row[Any]], int]:
        """Its row, those of its crashes, and how often the same crashed in the nights before."""
        with self.begin() as c:
            row = c.execute(select(t.cards).where(t.cards.c.id == card)).one()
            crashes = c.execute(select(t.crashes).where(t.crashes.c.card == card).order_by(t.crashes.c.id)).all()
            exact = crashes[-1].exact if crashes else None
            same = (t.crashes.c.exact == exact, t.crashes.c.night < row.night)
            before = c.execute(select(func.count()).select_from(t.crashes).where(*same)).scalar_one() if exact else 0
        return row, crashes, before

    def list_unjudged_crashes(self) -> list[Crash]:
        with self.begin() as c:
            rows = c.execute(UNJUDGED).all()
        return [self._crash(row) for row in rows]

    def get_crash_of_run(self, run: str) -> Crash | None:
        """The newest crash that belongs to a run."""
        with self.begin() as c:
            query = select(t.crashes).where(t.crashes.c.run == run).order_by(t.crashes.c.id.desc()).limit(1)
            row = c.execute(query).first()
        return None if row is None else self._crash(row)

    def find_last_crash(self, signature: Signature) -> Crash | None:
        """The newest of this signature that a keeper told of."""
        with self.begin() as c:
            query = select(t.crashes).where(is_same(t.crashes, signature), t.crashes.c.keeper != IMPORTED)
            row = c.execute(query.order_by(t.crashes.c.id.desc()).limit(1)).first()
        return None if row is None else self._crash(row)

    def list_crashes_of_build(self, build: str | None, since: datetime) -> list[Crash]:
        with self.begin() as c:
            rows = c.execute(select(t.crashes).where(t.crashes.c.at >= since).order_by(t.crashes.c.id)).all()
        return [each for each in map(self._crash, rows) if each.exit.build == build]

    def list_crashes_of_deployment(self, deployment: str) -> list[Crash]:
        """What its build died of while it was watched. The keeper names it in each end, as the machine's clock may be
        set back."""
        with self.begin() as c:
            of_it = t.crashes.c.exit["deployment"].as_string() == deployment
            return list(map(self._crash, c.execute(select(t.crashes).where(of_it).order_by(t.crashes.c.id)).all()))

    def count_crashes(self, signature: Signature) -> int:
        """Of this signature, ever."""
        with self.begin() as c:
            return c.execute(
                select(func.count()).select_from(t.crashes).where(is_same(t.crashes, signature))
            ).scalar_one()

    def list_groups(self) -> list[tuple[Signature, int, datetime]]:
        """(signature, how often, when last) of every kind of crash, the last seen first; the newest so many."""
        same = (t.crashes.c.family, t.crashes.c.exact, t.crashes.c.version)
        last = func.max(t.crashes.c.at)
        query = select(*same, func.count(), last).where(t.crashes.c.exact.is_not(None)).group_by(*same)
        with self.begin() as c:
            rows = c.execute(query.order_by(last.desc()).limit(MOST_GROUPS)).all()
        return [(Signature(family, exact, version), times, at) for family, exact, version, times, at in rows]

    def list_relatives(self, signature: Signature) -> list[Crash]:
        """Of the newest other kinds of crash of its family the first that a keeper told of, the newest kind first."""
        same = (t.crashes.c.family == signature.family, t.crashes.c.version == signature.version)
        others = and_(*same, t.crashes.c.exact != signature.exact, t.crashes.c.keeper != IMPORTED)
        first = select(func.min(t.crashes.c.id)).where(others).group_by(t.crashes.c.exact)
        with self.begin() as c:
            query = select(t.crashes).where(t.crashes.c.id.in_(first)).order_by(t.crashes.c.id.desc())
            rows = c.execute(query.limit(MOST_GROUPS)).all()
        return [self._crash(row) for row in rows]

    def find_last_good(self, signature: Signature | None, build: str | None, found: str | None) -> Build | None:
        """The build that was last found healthy, is another one than `build`, and never crashed so; None too where it
        has no commit. `found` = the build of crashes that name none."""
        with self.begin() as c:
            crashed = set() if signature is None else _builds_that_crashed(c, signature)
            crashed |= {found} if None in crashed else set()
            healthy = and_(t.builds.c.healthy_at.is_not(None), t.builds.c.bad.is_(False))
            rows = c.execute(select(t.builds).where(healthy).order_by(t.builds.c.healthy_at.desc())).all()
        good = next((row for row in rows if row.build != build and row.build not in crashed), None)
        return None if good is None or good.commit is None else read_build(good)

    def first_seen(self, signature: Signature) -> datetime | None:
        with self.begin() as c:
            found: datetime | None = c.execute(
                select(func.min(t.crashes.c.at)).where(is_same(t.crashes, signature))
            ).scalar_one()
        return found

    def list_crash_rows(self, since: date | None) -> list[CrashRow]:
        """Of these nights (None = all), in the order in which they happened, without their reports."""
        columns = ("id", "at", "night", "family", "exact", "version", "judged", "card", "exit", "back_after")
        query = select(*(t.crashes.c[name] for name in columns)).order_by(t.crashes.c.at, t.crashes.c.id)
        with self.begin() as c:
            rows = c.execute(query if since is None else query.where(t.crashes.c.night >= since)).all()
        return [_crash_row(row) for row in rows]

    def find_report(self, crash: int) -> CrashReport | None:
        with self.begin() as c:
            plain = c.execute(select(t.crashes.c.report).where(t.crashes.c.id == crash)).scalar_one_or_none()
        return None if plain is None else self._codec.from_plain(plain)

    def was_only_taken_back(self, signature: Signature | None) -> bool:
        """Whether it was seen, and in builds alone that were taken back: nothing that stays has ever crashed so."""
        if signature is None:
            return False
        with self.begin() as c:
            seen = _builds_that_crashed(c, signature)
            return bool(seen) and seen <= _bad_builds(c)

    def show_taken_back_anew(self, at: datetime) -> None:
        """On the cards of what was seen only in a build that was taken back: what that had brought may be live now."""
        theirs = select(t.crashes.c.card).where(t.crashes.c.judged == OF_WHAT_WENT, t.crashes.c.at >= at - LATELY)
        values = {"wanted": t.cards.c.wanted + 1, "touched_at": at}
        with self.begin() as c:
            c.execute(update(t.cards).where(t.cards.c.id.in_(theirs)).values(**values))

    def signature_is_known(self, signature: Signature, build: str) -> bool:
        """Whether this crash was seen with another build (imported history included). What made another build worse
        is no excuse for this one."""
        with self.begin() as c:
            return not _builds_that_crashed(c, signature) <= {build, *_bad_builds(c)}

    def crashed_as_known(self, build: str, since: datetime) -> bool:
        """Whether it crashed, and each time of what was known before: of no crash can it be told that it brought it."""
        seen = [crash.signature for crash in self.list_crashes_of_build(build, since)]
        return bool(seen) and all(each is not None and self.signature_is_known(each, build) for each in seen)

    def import_history(self, name: str, number: int, at: datetime, end: Exit, report: CrashReport) -> None:
        """A report that lay there before the first start: counted as known, never analysed. Idempotent by the name;
        two names may share a number, then the second takes the next one that is free."""
        signature = report.signature
        values = {
            "keeper": IMPORTED, "at": at, "night": self.night_of(at), "exit": {**dataclasses.asdict(end), "name": name},
            "report": self._codec.to_plain(report), "judged": "history", "back_after": 0.0,
            "family": signature and signature.family, "exact": signature and signature.exact,
            "version": signature and signature.version,
        }  # fmt: skip
        with self.begin() as c:
            while (there := _find_imported(c, number)) not in (None, name):
                number += 1
            if there is None:
                c.execute(insert(t.crashes).values(**values, number=number))

    def list_imported(self, names: Sequence[str]) -> set[str]:
        """Those of these reports that are in."""
        with self.begin() as c:
            name = t.crashes.c.exit["name"].as_string()
            query = select(name).where(t.crashes.c.keeper == IMPORTED)
            known = set(c.execute(query).scalars()) if names else set()
        return known.intersection(names)

    def list_lives(self) -> list[tuple[float, float]]:
        """(from, to) in seconds since the epoch of each life of the server that crashed, as a keeper told it."""
        span = (t.crashes.c.exit["started"].as_float(), t.crashes.c.exit["at"].as_float())
        query = select(*span).where(t.crashes.c.keeper != IMPORTED).order_by(t.crashes.c.id)
        with self.begin() as c:
            return [(started, at) for started, at in c.execute(query)]

    def find_last_title(self) -> str | None:
        """What the server crashed of last, as its card has it; None where nobody has read that crash yet."""
        with self.begin() as c:
            query = select(t.cards.c.title).select_from(t.crashes).outerjoin(t.cards, t.crashes.c.card == t.cards.c.id)
            of_keepers = query.where(t.crashes.c.keeper != IMPORTED).order_by(t.crashes.c.id.desc())
            return c.execute(of_keepers.limit(1)).scalar()

    def count_tonight(self, night: date) -> int:
        with self.begin() as c:
            query = select(func.count()).where(t.crashes.c.night == night, t.crashes.c.keeper != IMPORTED)
            return c.execute(query).scalar_one()

    def judge_crash(
        self,
        crash: Crash,
        report: CrashReport,
        judged: str,
        at: datetime,
        *,
        new_run: Run | None = None,
        previous: Sequence[Mapping[str, Any]] = (),
        run: str | None = None,
        recurred: str | None = None,
        posts: Sequence[NewPost] = (),
    ) -> int:
        """Stores what a crash is and what becomes of it, on its card; begins `new_run` where one is given. The card."""
        signature = report.signature
        if signature is None:
            raise ValueError("a crash is judged by its signature")
        with self.begin() as c:
            refuse_second_judgement(c, crash.id)
            title = (new_run and new_run.subject) or signature.title
            card = get_card(c, card_key(signature), crash.night, title, at)
            if new_run is not None:
                insert_run(c, new_run, card, at, previous)
            values = {
                "report": self._codec.to_plain(report), "family": signature.family, "exact": signature.exact,
                "version": signature.version, "judged": judged, "card": card, "run": new_run.id if new_run else run,
            }  # fmt: skip
            c.execute(update(t.crashes).where(t.crashes.c.id == crash.id).values(**values))
            if recurred is not None:
                # What judged it read the fix before it asked git: it may be taken out by now.
                live = and_(t.runs.c.id == recurred, t.runs.c.fix_state.in_(LIVE))
                c.execute(update(t.runs).where(live).values(fix_state=FixState.RECURRED))
            insert_posts(c, card, posts, at)
            touch(c, card, at)
        return card

    def _crash(self, row: Row[Any]) -> Crash:
        report = None if row.report is None else self._codec.from_plain(row.report)
        signature = None if row.exact is None else Signature(row.family, row.exact, row.version)
        return Crash(
            row.id, row.at, row.night, from_plain(Exit, row.exit), report, signature, row.judged, row.card, row.run,
            row.back_after,
        )  # fmt: skip


def _builds_that_crashed(c: Connection, signature: Signature) -> set[str | None]:
    """None = nobody knows which build it was; the database picks them, as a signature may have thousands of crashes."""
    build = t.crashes.c.exit["build"].as_string()
    return set(c.execute(select(build).where(is_same(t.crashes, signature)).distinct()).scalars())


def _bad_builds(c: Connection) -> set[str | None]:
    return set(c.execute(select(t.builds.c.build).where(t.builds.c.bad.is_(True))).scalars())


def _find_imported(c: Connection, number: int) -> str | None:
    """The name of the report that has this number; rows of before have it as their output."""
    same = and_(t.crashes.c.keeper == IMPORTED, t.crashes.c.number == number)
    end = c.execute(select(t.crashes.c.exit).where(same)).scalar()
    return None if end is None else str(end.get("name") or end.get("output"))


def _crash_row(row: Row[Any]) -> CrashRow:
    signature = None if row.exact is None else Signature(row.family, row.exact, row.version)
    revision = row.exit.get("revision") or row.exit.get("build")
    return CrashRow(
        row.id, row.at, row.night, signature, row.judged, row.card, revision, row.exit.get("status"), row.back_after
    )
