"""A night by chance on real parts whose database is a PostgreSQL that is ended without warning every few seconds.

    python tests/soak/outages.py [--seconds 180] [--every 4] [--away 1] [--seed 1] [--kills 0]

It stays away for a moment each time. With `--kills 20` bot, keeper or both are killed besides, every so many seconds.
When it stays, all that was begun comes to its end, and every invariant of `tests/checker.py` holds. Prints what
happened; ends with 1 if anything broke.
"""

import argparse
import random
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import postgres
import sqlalchemy as sa
from chance import SETTINGS, Chance, Killer, Pace
from killing import MortalRealm
from living_ground import borrow_ground
from living_realm import living_as, warm_up

PACE = Pace(crash=12, order=10, answer=2, reaction=4)


class PostgresRealm(MortalRealm):
    """Its rows are in PostgreSQL; for the checker, which reads a file, they are copied into one when all is at rest."""

    engine: sa.Engine
    numbers = False

    def rows(self, query: str) -> list[dict[str, Any]]:
        try:
            with self.engine.connect() as connection:
                return [dict(row) for row in connection.execute(sa.text(query)).mappings()]
        except (sa.exc.OperationalError, sa.exc.ProgrammingError) as fault:
            if "UndefinedColumn" in str(fault):
                raise
            return []

    def _list_faults(self, looks: Any) -> list[str]:
        copy_database(self.engine, self.state / "spirit-healer.sqlite")
        return super()._list_faults(looks)


def copy_database(source: sa.Engine, path: Path) -> None:
    tables = sa.MetaData()
    tables.reflect(source)
    path.unlink(missing_ok=True)
    with source.connect() as there, closing(sqlite3.connect(path)) as here:
        for table in tables.sorted_tables:
            names = [f'"{column.name}"' for column in table.columns]
            here.execute(f'create table "{table.name}" ({", ".join(names)})')
            rows = [tuple(map(_plain, row)) for row in there.execute(sa.select(table))]
            here.executemany(f'insert into "{table.name}" values ({", ".join("?" * len(names))})', rows)  # noqa: S608 (our own names)
        here.commit()


def _plain(value: Any) -> Any:
    """As SQLite's own tables have it."""
    return value if isinstance(value, int | float | str | bytes | None) else str(value)


@contextmanager
def restarting(cluster: postgres.Cluster, dice: random.Random, every: float, away: float) -> Iterator[list[float]]:
    """How long it was away, each time; for good it is there at the end."""
    over, times = threading.Event(), list[float]()

    def restart() -> None:
        while not over.wait(dice.expovariate(1 / every)):
            cluster.stop()
            times.append(dice.expovariate(1 / away))
            over.wait(times[-1])
            cluster.start()

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        yield times
    finally:
        over.set()
        thread.join()


def play(asked: argparse.Namespace, cluster: postgres.Cluster) -> bool:
    """Whether somebody had no answer from a bot that lived."""
    url = cluster.make_database()
    with borrow_ground() as ground, ExitStack() as stack:
        warm_up(ground)
        PostgresRealm.engine = sa.create_engine(url)
        realm = stack.enter_context(living_as(PostgresRealm, ground, None, DATABASE_URL=url, **SETTINGS))
        realm.start()
        night = Chance(realm, random.Random(f"{asked.seed} night"), PACE)
        with (
            restarting(cluster, random.Random(f"{asked.seed} database"), asked.every, asked.away) as times,
            ExitStack() as more,
        ):
            if asked.kills:
                more.enter_context(Killer(realm, random.Random(f"{asked.seed} kills"), asked.kills))
            night.play(asked.seconds)
        print(f"{len(times)} times away, {sum(times):.0f} s in all; {night.describe()}", flush=True)
        night.rest()
    print("every invariant holds")
    for each in night.unanswered:  # a bot that is killed, or has just been, answers nobody
        print(f"not answered: {each}")
    return bool(night.unanswered) and not asked.kills


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--every", type=float, default=4.0, help="seconds between two of its ends, on the average")
    parser.add_argument("--away", type=float, default=1.0, help="seconds that it stays away, on the average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=float, default=0.0, help="seconds between two kills, on the average; 0 = none")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended all the same
    cluster = postgres.Cluster.make()
    cluster.start()
    try:
        return int(play(asked, cluster))
    finally:
        cluster.stop()
        cluster.remove()


if __name__ == "__main__":
    sys.exit(main())
