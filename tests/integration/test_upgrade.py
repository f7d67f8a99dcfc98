"""A new bot and keeper over what an earlier commit left (`tests/record_state.py`); migrations that are cut short."""

import json
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fuzzing import make_tools
from keeper_world import KeeperWorld, open_world
from migrating import DATABASES, INTERRUPTED, SECONDS, add_migration, fill, point_at
from record_state import EARLIER, OWN, STATE

from pipeline import intake, migrate
from pipeline.adapters.event_log import EventLog
from pipeline.adapters.keeper_client import FileKeeper
from pipeline.keeper.memory import Memory
from pipeline.keeper.protocol import Desired, EventKind, Observed, from_json, to_json
from pipeline.store import open_engine
from pipeline.tables import HEAD, metadata

SHAPES: dict[str, Any] = {
    "desired.json": Desired, "observed.json": Observed, "keeper-desired.json": Desired, "keeper-memory.json": Memory,
}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[KeeperWorld]:
    """A realm's folder as the earlier keeper left it when it was killed."""
    with open_world(tmp_path) as made:
        own = made.server / ".spirit-healer"
        own.mkdir()
        for folder, names, prefix in ((made.state, STATE, ""), (own, OWN, "keeper-")):
            for name in names:
                text = (EARLIER / f"{prefix}{name}").read_text(encoding="utf-8").replace("{root}", str(tmp_path))
                (folder / name).write_text(text, encoding="utf-8")
        made.wish = from_json(Desired, (made.state / "desired.json").read_bytes())
        yield made


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The database of the earlier commit, one row in each table."""
    file = tmp_path / "realm.sqlite"
    with closing(sqlite3.connect(file)) as database:
        database.executescript((EARLIER / "realm.sql").read_text(encoding="utf-8"))
    return file


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A filled database at head."""
    place = f"sqlite:///{tmp_path / 'realm.sqlite'}"
    found: str = place if request.param == "sqlite" else request.getfixturevalue("cluster").make_database()
    engine = open_engine(found)
    migrate.bring_to_head(engine, tmp_path / "none")
    fill(engine)
    engine.dispose()
    return found


def count_rows(url: str) -> dict[str, int]:
    engine = open_engine(url)
    rows = fill(engine)
    engine.dispose()
    return rows


@pytest.mark.parametrize("name", SHAPES)
def test_upgrade_a_file_of_an_earlier_commit_is_read_as_it_was(name: str) -> None:
    text = (EARLIER / name).read_text(encoding="utf-8")
    plain, found = json.loads(text), json.loads(to_json(from_json(SHAPES[name], text)))
    assert {key: found[key] for key in plain} == plain


def test_upgrade_the_database_of_an_earlier_commit_comes_to_head_with_every_row(earlier: Path, tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{earlier}")
    rows = fill(engine)
    copy = migrate.bring_to_head(engine, tmp_path / "copies")
    assert copy is not None
    assert migrate.current(engine) == HEAD
    now = fill(engine)
    assert {name: now[name] for name in rows} == rows
    assert set(now) == {"alembic_version", *metadata.tables}
    engine.dispose()


def test_upgrade_the_events_of_an_earlier_keeper_are_taken_in_once(world: KeeperWorld, tmp_path: Path) -> None:
    book = tmp_path / "book"
    book.mkdir()
    shutil.copy(world.state / "events.jsonl", book)
    tools = make_tools(book)
    events = EventLog(book / "events.jsonl").read(None)
    assert intake.import_events(tools) == len(events) > 0
    assert intake.import_events(tools) == 0
    crashes = [each for each in events if each.kind == EventKind.EXITED and each.data["verdict"] == "crash"]
    assert len(tools.store.list_unjudged_crashes()) == len(crashes) == 1


def test_upgrade_a_new_bot_understands_an_earlier_keeper(world: KeeperWorld) -> None:
    keeper = FileKeeper(world.state, world.server)
    wish, seen = keeper.desired(), keeper.observed()
    assert wish is not None and seen is not None
    assert (wish.generation, seen.generation, seen.build) == (2, 2, "b1")
    assert len(keeper.events(None)) == len(world.events)


def test_upgrade_a_new_keeper_goes_on_where_an_earlier_one_was_killed(world: KeeperWorld) -> None:
    world.start_keeper()
    seen = world.wait_until_ready()
    assert seen.build is not None and seen.build.startswith("found-"), "another program lies there than the one placed"
    assert (seen.deployment, seen.adopted) == ("d1", False)
    ends = world.list_events(EventKind.EXITED)
    assert [each["verdict"] for each in ends] == ["crash", "asked", "with_machine"], "the life that nobody saw end"


def test_upgrade_a_migration_that_is_killed_is_made_by_the_next_start(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = count_rows(url)
    scripts = add_migration(tmp_path, "os.kill(os.getpid(), 9)")
    arguments = json.dumps([url, str(scripts), str(tmp_path / "copies")])
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, arguments], timeout=SECONDS, capture_output=True)
    assert done.returncode == -9, done.stderr.decode()
    assert count_rows(url) == before
    shutil.rmtree(scripts)
    point_at(monkeypatch, add_migration(tmp_path, "pass"))
    engine = open_engine(url)
    migrate.bring_to_head(engine, tmp_path / "copies")
    engine.dispose()
    assert count_rows(url) == {**before, "news": 1}


def test_upgrade_a_disk_that_is_full_leaves_the_database_as_it_was_and_no_half_copy(
    earlier: Path, tmp_path: Path
) -> None:
    before = earlier.read_bytes()
    arguments = json.dumps([f"sqlite:///{earlier}", str(migrate.scripts()), str(tmp_path / "copies")])
    program = INTERRUPTED.replace(', "9999"', f', "{HEAD}"')
    done = subprocess.run(
        [sys.executable, "-c", program, arguments], timeout=SECONDS, capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
    )  # fmt: skip
    assert done.returncode == 1
    assert b"disk" in done.stderr or b"full" in done.stderr, done.stderr.decode()
    assert list((tmp_path / "copies").glob("*.sqlite")) == []
    engine = open_engine(f"sqlite:///{earlier}")
    assert migrate.current(engine) == json.loads((EARLIER / "commit.json").read_text())["schema"]
    assert migrate.bring_to_head(engine, tmp_path / "copies") is not None
    assert [each.suffix for each in (tmp_path / "copies").iterdir()] == [".sqlite"]
    assert sa.inspect(engine).has_table("runs") and before
    engine.dispose()
