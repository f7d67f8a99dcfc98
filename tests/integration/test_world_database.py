"""The database misbehaves in the middle of a night: locked, read-only, removed, damaged, restarted again and again.

Meanwhile the server is looked after by its keeper, `/status` says in words what is wrong, and orders are answered;
afterwards each crash was counted once, and each run goes on.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import postgres
import pytest
from bare_realm import Realm
from edge_world import open_world, said
from small_disks import mounted
from world import GOOD, OPERATOR, OTHER, World

from pipeline import intake, judging, run_orders
from pipeline.keeper.protocol import ServerState
from pipeline.model import Impossible, RunState
from pipeline.runner import apply_step, take_step
from pipeline.stages import carrying, ready
from pipeline.status_views import status
from pipeline.store import Fact, engine, patience
from pipeline.store.outage import DatabaseAway
from pipeline.store.patience import one_patience
from pipeline.tools import Passage

SOON = 0.05  # seconds a test is patient with a lock
FILE = "world.sqlite"


async def make_world(folder: Path) -> World:
    return await World(folder, patience=SOON).start()


async def expect_outage(world: World, words: str) -> None:
    """Told in `/status`, the server up, an order answered; nothing of it is a bug."""
    await world.settle()
    seen = status(world.tools)
    assert (seen.server, seen.degraded) == (ServerState.READY, (words,))
    assert await world.orders.pause(OPERATOR, "") == Impossible(f"Nothing was changed: {words}")


async def expect_well(world: World, *names: str) -> None:
    """Each of these crashes was counted once and has one run, which can be healed."""
    for _ in range(3):  # a connection that was open to another file is only noticed when it is used
        await world.settle()
    seen = status(world.tools)
    assert seen.degraded == () and seen.crashes_tonight == len(names)
    assert Counter(run.subject for run in world.runs()) == Counter(names)
    for name, patch in zip(names, (GOOD, OTHER), strict=False):
        run = await world.answer(world.runs(name)[-1], patch)
        await world.pass_time(minutes=5)
        world.expect(run, RunState.SUCCEEDED)


# --- SQLite ----------------------------------------------------------------------------------------------------------


async def test_our_own_threads_take_turns_and_need_none_of_sqlites_patience(tmp_path: Path) -> None:
    world = await World(tmp_path, patience=0).start()

    def write(number: int) -> None:
        for _ in range(20):
            world.store.append_audit(world.tools.now(), str(number), "ada", "channel", "pause", "", "done")

    await asyncio.gather(*(asyncio.to_thread(write, number) for number in range(4)))
    assert len(world.store.list_audit(world.tools.now())) == 80


@contextmanager
def locking(path: Path) -> Iterator[None]:
    """Another program in the middle of a write."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


async def test_who_waits_for_one_of_us_that_waits_for_another_program_waits_no_longer_than_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 1.0)
    world = await World(tmp_path, patience=1.0).start()

    def ask(_: int) -> float:
        began = time.perf_counter()
        with pytest.raises(DatabaseAway, match=r"database is locked\. Cure: end the program that holds it"):
            world.store.get_fact(Fact.BUILD)
        return time.perf_counter() - began

    with locking(tmp_path / FILE):
        waited = await asyncio.gather(*(asyncio.to_thread(ask, number) for number in range(4)))
    assert max(waited) < 1.8, "a turn's patience and SQLite's are not added up"
    assert world.store.get_fact(Fact.BUILD) is None, "and the turn goes on"


async def test_all_that_is_asked_in_one_order_waits_for_a_lock_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 1.0)
    world = await World(tmp_path, patience=1.0).start()
    waited = []
    with one_patience():
        with locking(tmp_path / FILE):
            for _ in range(4):
                began = time.perf_counter()
                with pytest.raises(DatabaseAway):
                    await asyncio.to_thread(world.store.get_fact, Fact.BUILD)
                waited.append(time.perf_counter() - began)
        assert sum(waited[1:]) < waited[0], "the first has told the others"
        assert world.store.get_fact(Fact.BUILD) is None, "who is out of patience still asks"
    with locking(tmp_path / FILE), pytest.raises(DatabaseAway), one_patience() as anew:
        world.store.get_fact(Fact.BUILD)
    assert anew.left == 0.0, "the next order was as patient as the first"


HELD = "the database does not work: database is locked. Cure: end the program that holds it; it is waited for"


async def test_orders_and_readings_are_answered_within_one_patience_while_another_program_holds_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 1.5)
    world = await World(tmp_path).start()
    async with open_world(world.ledger, world.clock, world.orders) as edge:
        edge.sandbox.rules.patience = 2.8  # seconds: who waited twice would be too late
        with locking(tmp_path / FILE):
            names = ("status", "crashes", "summary", "restart-server", "pause")
            answers = await asyncio.gather(*(edge.sandbox.slash(name, {}, "operator") for name in names))
        status_answer, *others, paused = map(said, answers)
        assert status_answer["embeds"][0]["description"] == (
            "**1 thing needs you**\n"
            "- the database does not work: database is locked. Cure: end the program that holds it; it is waited for\n"
            "Whether anything else does is not known while the database does not work."
        )
        assert [each["content"] for each in others] == [
            f"`/{name}` cannot be answered now, and **nothing was done**: {HELD}." for name in names[1:-1]
        ]
        assert paused["content"] == f"Nothing was changed: {HELD}"
        assert (await edge.slash("pause"))["content"].startswith("Pipeline paused by operator.")
        ordered = [(row.command, row.outcome) for row in world.store.list_audit(world.clock.now())]
        assert ("pause", "done") in ordered


async def test_world_database_locked_by_another_program_is_waited_for(tmp_path: Path) -> None:
    world = await make_world(tmp_path)
    await world.crash("Map::Update")
    with locking(tmp_path / FILE):
        world.keeper.crash("Spell::Cast")
        await expect_outage(world, HELD)
    await expect_well(world, "Map::Update", "Spell::Cast")


async def test_world_database_read_only_is_said_until_it_can_be_written(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        world = await make_world(disk.folder)
        await world.crash("Map::Update")
        world.engine.dispose()  # no disk is turned while a file on it is open for writing
        with disk.read_only():
            world.keeper.crash("Spell::Cast")
            await expect_outage(
                world,
                "the database does not work: unable to open database file. "
                "Cure: see that its folder is there and that we may write to it",
            )
        await expect_well(world, "Map::Update", "Spell::Cast")
        world.engine.dispose()


async def test_world_database_deleted_under_us_is_written_back_with_all_that_was_in_it(tmp_path: Path) -> None:
    world = await make_world(tmp_path)
    await world.crash("Map::Update")
    for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
        (tmp_path / name).unlink()
    world.keeper.crash("Spell::Cast")
    await world.settle()
    await expect_well(world, "Map::Update", "Spell::Cast")
    world.reopen()
    assert len(world.runs()) == 2, "the file itself has it"


async def test_world_database_deleted_with_nothing_open_is_never_begun_anew_in_silence(tmp_path: Path) -> None:
    world = await make_world(tmp_path)
    await world.crash("Map::Update")
    world.engine.dispose()
    away = (tmp_path / FILE).rename(tmp_path / "away.sqlite")
    world.keeper.crash("Spell::Cast")
    await expect_outage(
        world,
        f"the database does not work: its file {tmp_path / FILE} was removed. "
        "Cure: put it back, or start the bot again to begin a new one",
    )
    away.rename(tmp_path / FILE)
    await expect_well(world, "Map::Update", "Spell::Cast")


def damage_all(path: Path) -> str:
    path.write_bytes(os.urandom(20_000))
    return "file is not a database"


def damage_a_page(path: Path) -> str:
    """The first one of a table, as a disk does of which one block is bad."""
    with closing(sqlite3.connect(path)) as database:
        [(page,)] = database.execute("select rootpage from sqlite_master where name='runs'")
        [(size,)] = database.execute("pragma page_size")
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(os.urandom(size))
    return "database disk image is malformed"


@pytest.mark.parametrize("damage", [damage_all, damage_a_page])
async def test_world_database_corrupted_is_said_until_a_copy_is_put_back(
    tmp_path: Path, damage: Callable[[Path], str]
) -> None:
    world = await make_world(tmp_path)
    await world.crash("Map::Update")
    world.engine.dispose()
    shutil.copy(tmp_path / FILE, tmp_path / "copy.sqlite")
    what = damage(tmp_path / FILE)
    world.keeper.crash("Spell::Cast")
    await expect_outage(
        world,
        f"the database does not work: {what}. Cure: stop the bot, put a copy back from `copies` beside "
        "it, or move it away to begin a new one, and start the bot again",
    )
    world.engine.dispose()
    (tmp_path / "copy.sqlite").replace(tmp_path / FILE)
    world.reopen()
    await expect_well(world, "Map::Update", "Spell::Cast")


@pytest.fixture
def realm(tmp_path: Path) -> Iterator[Realm]:
    made = Realm(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_world_database_corrupted_at_the_start_keeps_no_server_down_and_discord_says_so(realm: Realm) -> None:
    file = realm.root / "state" / "spirit-healer.sqlite"
    file.write_bytes(os.urandom(20_000))
    bot = realm.start_bot()
    realm.wait(realm.list_servers, "a server")
    said = realm.wait_status("file is not a database", "move it away to begin a new one")
    assert "**1 thing needs you**\n- the database does not work: file is not a database. Cure: stop the bot" in said
    assert "Whether anything else does is not known while the database does not work." in said
    assert "pid" in said
    assert "Traceback" not in realm.output
    bot.terminate()
    assert bot.wait(60) == 0
    assert len(realm.list_servers()) == 1


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.fixture
def unsteady() -> Iterator[postgres.Cluster]:
    """A cluster of the test's own: others would not like its restarts."""
    cluster = postgres.Cluster.make()
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()
        cluster.remove()


@contextmanager
def restarting(cluster: postgres.Cluster) -> Iterator[threading.Event]:
    """It is ended without warning and started again, all the time; the event is set after the second time."""
    ended, often = threading.Event(), threading.Event()

    def restart() -> None:
        times = 0
        while not ended.is_set():
            cluster.stop()
            cluster.start()
            times += 1
            if times == 2:
                often.set()

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        yield often
    finally:
        ended.set()
        thread.join(60)


if postgres.is_expected():

    def test_a_database_server_that_says_nothing_is_not_waited_for_as_long_as_tcp_does(
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(engine, "PATIENCE", 2.0)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            opened = engine.open_engine(f"postgresql+psycopg://bot@127.0.0.1:{silent.getsockname()[1]}/realm")
            with pytest.raises(DatabaseAway, match=r"timeout expired.*see that PostgreSQL runs"), opened.begin():
                raise AssertionError("nobody answered")

    async def test_world_database_restarts_lose_nothing_and_double_nothing(
        tmp_path: Path, unsteady: postgres.Cluster
    ) -> None:
        world = await World(tmp_path, database=unsteady.make_database()).start()
        with restarting(unsteady) as often:
            for name in ("Map::Update", "Spell::Cast"):
                world.keeper.crash(name)
                await world.settle()
            async with asyncio.timeout(60):
                while not often.is_set():
                    await world.settle()
        await expect_well(world, "Map::Update", "Spell::Cast")
        world.engine.dispose()

    async def test_a_no_beside_the_choice_of_what_stands_by_is_kept(
        tmp_path: Path, cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Here transactions run side by side: that nobody has said no is read before the row of the standby is kept."""
        world = await World(tmp_path, {"max_players_for_restart": 0}, database=cluster.make_database()).start()
        world.players.online = 3
        run = await world.crash("Map::Update")
        find_objection = carrying.find_objection
        answered: list[int] = []  # how many wishes there were by then

        def reject() -> None:
            run_orders.reject(world.tools, run.id, "Bob", "no", world.runner.cancel)
            answered.append(len(world.keeper.wishes))

        person = threading.Thread(target=reject)

        def look(*arguments: Any) -> str | None:
            why = find_objection(*arguments)
            if person.ident is None:
                person.start()
                if not world.tools.wishing.locked():
                    person.join()
            return why

        monkeypatch.setattr(carrying, "find_objection", look)
        await world.answer(run, GOOD)
        person.join()
        later = [each.next_build for each in world.keeper.wishes[answered[0] :]]
        assert not any(later), "it was rejected, and stands by"
        world.engine.dispose()

    async def test_a_pause_beside_the_admission_of_a_run_comes_before_it_or_after_it(
        tmp_path: Path, cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Here transactions run side by side: that nobody has paused is read before the run has moved."""
        world = await World(tmp_path, database=cluster.make_database()).start()
        run = await world.crash("Map::Update")
        await world.orders.pause(OPERATOR, "")
        await world.answer(run, GOOD)
        await world.orders.resume(OPERATOR)
        is_held_up = ready.is_held_up
        paused_in: list[RunState] = []

        def pause() -> None:
            world.orders._pause(OPERATOR, "sleeping")
            paused_in.append(world.get(run).state)

        person = threading.Thread(target=pause)

        def look(*arguments: Any) -> bool:
            held_up = is_held_up(*arguments)
            person.start()
            if not world.tools.wishing.locked():
                person.join()
            return held_up

        admitted = take_step(world.tools, world.get(run), Passage())
        monkeypatch.setattr(ready, "is_held_up", look)
        apply_step(world.tools, world.get(run), admitted)
        person.join()
        assert paused_in == [world.get(run).state], "it was paused, and began"
        world.engine.dispose()

    async def test_a_crash_that_is_judged_beside_a_retry_begins_no_second_run(
        tmp_path: Path, cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Here transactions run side by side: that nobody works on it is read before the new run can be seen."""
        world = await World(tmp_path, database=cluster.make_database()).start()
        run = await world.crash("Map::Update")
        await world.orders.reject(run.id, OPERATOR, "no")
        find_live = run_orders.find_live
        world.keeper.crash("Map::Update")
        intake.import_events(world.tools)
        judge = threading.Thread(target=judging.judge_crashes, args=(world.tools, world.runner._note_fault))

        def look(*arguments: Any) -> Any:
            judge.start()
            if not world.tools.beginning.locked():
                judge.join()
            return find_live(*arguments)

        monkeypatch.setattr(run_orders, "find_live", look)
        run_orders.retry(world.tools, run.id, "Ann")
        judge.join()
        await world.settle()
        begun = sorted(each.retry_of or "" for each in world.runs("Map::Update"))
        assert begun == ["", run.id], "two runs, one crash"
        world.engine.dispose()
