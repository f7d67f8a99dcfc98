"""The migrations, on SQLite and on a private PostgreSQL: one by one over filled data, up to the tables of the code."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from migrating import DATABASES, INTERRUPTED, SECONDS, add_migration, fill, point_at
from sqlalchemy import Engine

from pipeline import migrate
from pipeline.store import open_engine
from pipeline.tables import HEAD, metadata

MakeEngine = Callable[[], Engine]


@pytest.fixture(params=DATABASES)
def make_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeEngine]:
    """Opens a new, empty database each time."""
    opened: list[Engine] = []

    def make() -> Engine:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path / f'{len(opened)}.sqlite'}"
        else:
            url = request.getfixturevalue("cluster").make_database()
        opened.append(open_engine(url))
        return opened[-1]

    yield make
    for each in opened:
        each.dispose()


@pytest.fixture
def engine(make_engine: MakeEngine) -> Engine:
    return make_engine()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'realm.sqlite'}")
    yield engine
    engine.dispose()


def read_scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(migrate.scripts()))
    return ScriptDirectory.from_config(config)


def list_revisions() -> list[str]:
    """Oldest first."""
    return [each.revision for each in reversed(list(read_scripts().walk_revisions()))]


# --- up to head ------------------------------------------------------------------------------------------------------


def test_there_is_one_head_and_the_tables_name_it() -> None:
    assert read_scripts().get_heads() == [HEAD]


def test_revisions_are_numbered_in_their_order() -> None:
    assert list_revisions() == [f"{number:04}" for number in range(1, len(list_revisions()) + 1)]


def test_each_migration_runs_over_filled_tables_and_loses_no_row(engine: Engine) -> None:
    rows: dict[str, int] = {}
    for revision in list_revisions():
        migrate.upgrade(engine, revision)
        assert migrate.current(engine) == revision
        now = fill(engine)
        assert {name: now[name] for name in rows} == rows, f"rows were lost on the way to {revision}"
        rows = now
    assert set(rows) == {"alembic_version", *metadata.tables}
    assert all(rows.values())


def test_the_database_at_head_has_the_tables_of_the_code(engine: Engine) -> None:
    migrate.bring_to_head(engine, Path())
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_database_at_head_has_the_checks_and_partial_indexes_of_the_code(make_engine: MakeEngine) -> None:
    migrated, created = make_engine(), make_engine()
    migrate.bring_to_head(migrated, Path())
    metadata.create_all(created)
    assert list_rules(migrated) == list_rules(created)


def list_rules(engine: Engine) -> dict[str, Any]:
    """What alembic does not compare: CHECKs, and which rows an index is for."""
    inspector = sa.inspect(engine)
    return {
        table: {
            "checks": sorted((str(each["name"]), each["sqltext"]) for each in inspector.get_check_constraints(table)),
            "indexes": sorted(
                (str(each["name"]), bool(each["unique"]), [str(o) for o in each.get("dialect_options", {}).values()])
                for each in inspector.get_indexes(table)
            ),
        }
        for table in metadata.tables
    }


def test_a_word_outside_its_check_is_refused(engine: Engine) -> None:
    migrate.bring_to_head(engine, Path())
    fill(engine)
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(sa.text("UPDATE runs SET state = 'DREAMING'"))


def test_what_hinders_a_run_is_one_of_its_words(engine: Engine) -> None:
    migrate.bring_to_head(engine, Path())
    fill(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE runs SET hindrance = 'refused'"))
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(sa.text("UPDATE runs SET hindrance = 'its build still holds'"))


@pytest.mark.parametrize("migrated", [True, False], ids=["migrated", "created"])
@pytest.mark.parametrize("statement", ["UPDATE audit SET outcome = 'nothing'", "DELETE FROM audit"])
def test_what_the_audit_holds_can_be_neither_changed_nor_deleted(
    engine: Engine, statement: str, migrated: bool
) -> None:
    if migrated:
        migrate.bring_to_head(engine, Path())
    else:
        metadata.create_all(engine)
    fill(engine)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(sa.text(statement))
    assert fill(engine)["audit"] == 1


def test_two_runs_in_the_lane_of_changes_are_refused(engine: Engine) -> None:
    migrate.bring_to_head(engine, Path())
    fill(engine)
    with engine.begin() as connection:
        runs = metadata.tables["runs"]
        row = dict(connection.execute(sa.select(runs)).mappings().one())
        connection.execute(runs.update().values(state="BUILDING"))
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(runs.insert().values({**row, "id": "another", "state": "PATCHING"}))


# --- before it, a copy -----------------------------------------------------------------------------------------------


@pytest.fixture
def at_head(sqlite: Engine, tmp_path: Path) -> Engine:
    """A filled SQLite database at head."""
    assert migrate.bring_to_head(sqlite, tmp_path / "copies") is None
    fill(sqlite)
    return sqlite


def list_tables(file: Path) -> set[str]:
    connection = sqlite3.connect(file)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()


def test_an_empty_database_is_not_copied(sqlite: Engine, tmp_path: Path) -> None:
    assert migrate.bring_to_head(sqlite, tmp_path / "copies") is None
    assert not (tmp_path / "copies").exists()


def test_at_head_nothing_is_done(at_head: Engine, tmp_path: Path) -> None:
    before = fill(at_head)
    assert migrate.bring_to_head(at_head, tmp_path / "copies") is None
    assert fill(at_head) == before
    assert not (tmp_path / "copies").exists()


def test_the_database_is_copied_before_it_is_migrated(
    at_head: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(monkeypatch, add_migration(tmp_path, "pass"))
    copy = migrate.bring_to_head(at_head, tmp_path / "copies")
    assert copy is not None and Path(copy).parent == tmp_path / "copies"
    assert list_tables(Path(copy)) == {"alembic_version", *metadata.tables}
    assert migrate.current(at_head) == "9999"


def test_a_migration_that_fails_names_the_copy_and_changes_nothing(
    at_head: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fill(at_head)
    point_at(monkeypatch, add_migration(tmp_path, 'raise RuntimeError("the disk is full")'))
    with pytest.raises(migrate.MigrationFailed, match="the disk is full") as caught:
        migrate.bring_to_head(at_head, tmp_path / "copies")
    (copy,) = (tmp_path / "copies").iterdir()
    assert str(caught.value).endswith(f"A copy of the database as it was lies at {copy}.")
    assert migrate.current(at_head) == HEAD
    assert fill(at_head) == before
    assert not sa.inspect(at_head).has_table("news")


def test_a_migration_that_is_killed_leaves_a_usable_copy_and_a_usable_database(
    at_head: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fill(at_head)
    scripts = add_migration(tmp_path, "os._exit(9)")
    arguments = json.dumps([str(at_head.url), str(scripts), str(tmp_path / "copies")])
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, arguments], timeout=SECONDS, check=False, capture_output=True
    )
    assert done.returncode == 9, done.stderr.decode()
    (copy,) = (tmp_path / "copies").iterdir()
    shutil.rmtree(scripts)
    point_at(monkeypatch, add_migration(tmp_path, "pass"))
    restored = open_engine(f"sqlite:///{copy}")
    for each in (restored, at_head):
        assert fill(each) == before
        migrate.bring_to_head(each, tmp_path / "later")
        assert fill(each) == {**before, "news": 1}
        each.dispose()


def test_only_the_newest_copies_are_kept(at_head: Engine, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    for age in range(migrate.KEEP_COPIES + 3):
        old = copies / f"realm-{age}.sqlite"
        old.touch()
        at = datetime(2026, 1, 31, tzinfo=UTC).timestamp() - age
        os.utime(old, (at, at))
    newest = migrate.copy_database(at_head, copies, HEAD)
    kept = {str(each) for each in copies.iterdir()}
    assert kept == {newest, *(str(copies / f"realm-{age}.sqlite") for age in range(migrate.KEEP_COPIES - 1))}
