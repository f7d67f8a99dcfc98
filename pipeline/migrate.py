"""Brings the database to head, after a copy of it. Alembic costs about a second to import: only where it is needed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, inspect, text

from pipeline.errors import DefiniteError
from pipeline.keeper.protocol import sync_folder
from pipeline.tables import HEAD

KEEP_COPIES = 5


class MigrationFailed(DefiniteError):
    """The database could not be brought to head; the copy made before names itself in the message."""


def current(engine: Engine) -> str | None:
    """The revision of the database, None for an empty one."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
        return None if found is None else str(found)


def bring_to_head(engine: Engine, copies: Path) -> str | None:
    """Migrates where needed; the copy's path, None where none had to be made. Raises MigrationFailed."""
    revision = current(engine)
    if revision == HEAD:
        return None
    copy = copy_database(engine, copies, revision)
    try:
        upgrade(engine)
    except Exception as fault:
        kept = f" A copy of the database as it was lies at {copy}." if copy else ""
        raise MigrationFailed(
            f"the database could not be migrated from {revision} to {HEAD}: {fault}.{kept}"
        ) from fault
    return copy


def copy_database(engine: Engine, copies: Path, revision: str | None) -> str | None:
    """A copy of a SQLite file by its backup interface; other databases are their administrator's to back up."""
    source = engine.url.database
    if engine.dialect.name != "sqlite" or not source or revision is None:
        return None
    copies.mkdir(parents=True, exist_ok=True)
    target = copies / f"{Path(source).stem}-{revision}-{datetime.now(UTC):%Y%m%dT%H%M%S}.sqlite"
    for half in copies.glob("*.part*"):  # of a copy that was killed
        half.unlink()
    unfinished = target.with_suffix(".part")
    with closing(sqlite3.connect(source, timeout=30)) as before, closing(sqlite3.connect(unfinished)) as after:
        before.backup(after)
    unfinished.replace(target)
    for folder in (copies, copies.parent):  # else a power loss takes the copy, or leaves its journal, which empties it
        sync_folder(folder)
    for old in sorted(copies.glob("*.sqlite"), key=lambda path: path.stat().st_mtime)[:-KEEP_COPIES]:
        old.unlink()
    return str(target)


def upgrade(engine: Engine, revision: str = "head") -> None:
    command, config = _alembic()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()


def _alembic() -> tuple[Any, Any]:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    return command, config


def scripts() -> Path:
    """Where the migrations lie: in the package of an installed wheel, else beside the packages in a checkout."""
    here = Path(__file__).resolve().parent
    installed = here / "migrations"
    return installed if installed.is_dir() else here.parent / "alembic"
