"""What the tests of migrations share: a row in every table whatever its columns, and a next migration."""

import re
import shutil
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import postgres
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from pipeline import migrate
from pipeline.tables import HEAD

DATABASES = ("sqlite", "postgresql") if postgres.is_expected() else ("sqlite",)
SECONDS = 60


def fill(engine: Engine) -> dict[str, int]:
    """One more row in each table that has none; how many each one then has."""
    tables = sa.MetaData()
    with engine.begin() as connection:
        tables.reflect(connection)
        inspector = sa.inspect(connection)
        for table in tables.sorted_tables:
            if table.name != "alembic_version" and not count(connection, table):
                words = dict(list_first_words(inspector, table.name))
                connection.execute(table.insert().values({c.name: words.get(c.name, value_for(c)) for c in table.c}))
        return {table.name: count(connection, table) for table in tables.sorted_tables}


def count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def list_first_words(inspector: sa.Inspector, table: str) -> Iterator[tuple[str, str]]:
    """For each column that a CHECK gives words to: the first of them."""
    for check in inspector.get_check_constraints(table):
        column = re.search(r"\w+", check["sqltext"].replace("(", " "))
        word = re.search(r"'([^']*)'", check["sqltext"])
        if column and word:
            yield column[0], word[1]


def value_for(column: sa.Column[Any]) -> Any:
    values = {int: 1, str: "1", float: 1.5, bool: True, date: date(2026, 1, 31), datetime: datetime(2026, 1, 31, 12)}
    return {} if isinstance(column.type, sa.JSON) else values[column.type.python_type]


NEXT = """
import os
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None


def upgrade() -> None:
    op.create_table("news", sa.Column("id", sa.Integer(), primary_key=True))
    {end}
"""


def add_migration(folder: Path, end: str) -> Path:
    """The project's migrations and a next one that ends in `end`."""
    scripts = folder / "scripts"
    shutil.copytree(migrate.scripts(), scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "9999_next.py").write_text(NEXT.format(head=HEAD, end=end), encoding="utf-8")
    return scripts


def point_at(monkeypatch: pytest.MonkeyPatch, scripts: Path) -> None:
    monkeypatch.setattr(migrate, "scripts", lambda: scripts)
    monkeypatch.setattr(migrate, "HEAD", "9999")


INTERRUPTED = """
import json, sys
from pathlib import Path
from pipeline import migrate
from pipeline.store import open_engine

url, scripts, copies = json.loads(sys.argv[1])
migrate.scripts, migrate.HEAD = lambda: Path(scripts), "9999"
migrate.bring_to_head(open_engine(url), Path(copies))
"""
