"""The database: reachable, readable, of a form that this program knows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from bot.doctor.finding import Finding, fail, ok
from bot.settings import Settings
from pipeline import migrate

SECONDS = 5


def check_database(settings: Settings) -> Iterator[Finding]:
    try:
        url = sa.make_url(settings.database)
    except sa.exc.ArgumentError:
        yield fail(
            "DATABASE_URL",
            "is not the address of a database",
            "write it as postgresql+psycopg://user:password@host/name, or leave it empty",
        )
        return
    if url.get_backend_name() == "sqlite":
        yield _check_file(Path(url.database or ""))
    elif url.drivername != "postgresql+psycopg":
        yield fail("DATABASE_URL", f"{url.drivername} is not known", "begin it with postgresql+psycopg://")
    else:
        yield _check_server(url)


def _check_file(file: Path) -> Finding:
    if not file.exists():
        return ok("database", f"{file} will be made")
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=SECONDS)) as connection:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as fault:
        verdict = str(fault)
    if verdict == "ok":
        return ok("database", f"{file} is sound")
    return fail(
        "database",
        f"{file} is damaged ({verdict})",
        f"put a copy back from {file.parent / 'copies'}, or move it away to begin a new one",
    )


def _check_server(url: sa.URL) -> Finding:
    shown = url.render_as_string(hide_password=True)
    try:
        engine = sa.create_engine(url, connect_args={"connect_timeout": SECONDS})
    except ModuleNotFoundError:
        return fail("database", "the driver of PostgreSQL is not installed", "pip install 'spirit-healer[postgres]'")
    try:
        revision = migrate.current(engine)
    except sa.exc.SQLAlchemyError as fault:
        reason = str(getattr(fault, "orig", fault)).strip().splitlines()[0]
        return fail(
            "database",
            f"{shown} cannot be used ({reason})",
            "see that PostgreSQL runs there, and that user, password and database of DATABASE_URL are right",
        )
    finally:
        engine.dispose()
    return ok("database", f"{shown} answers, at revision {revision or 'none yet'}")
