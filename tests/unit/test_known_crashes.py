"""What is known of crashes from before: reports that lay there, kinds, counts, and which build was the last without."""

import os
import sys
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from world import GOOD, OTHER, World

from pipeline import crash_reports, history
from pipeline import tables as t
from pipeline.model import Analysis, Response, RunState, Signature
from pipeline.ports import Answer
from pipeline.store import Fact


async def test_what_lay_there_before_the_first_start_is_known_and_never_analysed(tmp_path: Path) -> None:
    crashes = tmp_path / "Crashes"
    crashes.mkdir()
    (crashes / "old.txt").write_text("Map::Update")
    world = World(tmp_path, {"crash_dirs": (crashes,)})
    world.analyst.lying.append(Answer(Path("r.json"), "d", Response("old", Analysis(), GOOD), None, "old"))
    world.clock.time += timedelta(days=3650)  # later than the files of the test
    for _ in range(2):
        history.import_history(world.tools)
        history.import_old_reports(world.tools)
    await world.start()
    assert world.analyst.lying == []
    assert world.runs() == []
    assert world.posts() == []
    known = world.reader.read_name("None")
    assert world.store.count_crashes(known) == 1
    assert world.store.signature_is_known(known, "any build")


async def test_what_crashed_in_builds_alone_that_were_taken_back_is_told_from_what_never_crashed(world: World) -> None:
    first = await world.crash("Spell::Cast")
    await world.answer(first, GOOD)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=3)
    world.expect(first, RunState.ROLLED_BACK)
    assert world.store.was_only_taken_back(world.reader.read_name("Loot::Roll"))
    assert not world.store.was_only_taken_back(first.signature)
    assert not world.store.was_only_taken_back(Signature("never seen", "never seen", 1))
    assert not world.store.was_only_taken_back(None)


async def test_kinds_of_crashes_and_the_last_good_build_are_told_by_either_database(world: World) -> None:
    first = await world.answer(await world.crash("Map::Update"), GOOD)
    await world.pass_time(minutes=5)
    second = await world.answer(await world.crash("Spell::Cast"), OTHER)
    await world.pass_time(minutes=5)
    good, newer = (world.expect(run, RunState.SUCCEEDED).commit for run in (first, second))
    for _ in range(2):
        await world.die("World::Update")
    assert [(kind.title, times) for kind, times, _ in world.store.list_groups()] == [
        ("World::Update", 2), ("Spell::Cast", 1), ("Map::Update", 1),
    ]  # fmt: skip
    assert world.store.list_groups()[0][2] == world.clock.now()
    of_map, of_world = (world.reader.read_name(name) for name in ("Map::Update", "World::Update"))

    def last_good(signature: Signature | None, build: str | None) -> str | None:
        found = (world.store.get_fact(Fact.FOUND) or {})["build"]
        good = world.store.find_last_good(signature, build, found)
        return None if good is None else good.commit

    assert world.source.traced[-1][:2] == (newer, good), "as the crash's first analysis was told"
    assert (last_good(of_world, newer), last_good(of_world, "another")) == (good, good), "the newer one crashed so"
    assert (last_good(of_map, "another"), last_good(None, newer)) == (newer, good)
    assert last_good(of_map, newer) == good, "what lay there before us crashed so, and names no build"
    ends = [row.at.timestamp() for row in world.store.list_crash_rows(None)]
    world.store.import_history(*history.read_old_report(world.tools, (Path("old.txt"),), 1e9))
    lives = world.store.list_lives()
    assert [at for _, at in lives] == ends and all(began <= at for began, at in lives), "a report has no life"
    assert world.store.list_imported(["old.txt", "new.txt"]) == {"old.txt"}


async def test_a_report_that_is_imported_beside_the_runner_is_never_the_last_crash(tmp_path: Path) -> None:
    crashes = tmp_path / "Crashes"
    crashes.mkdir()
    (crashes / "old.txt").write_text("Map::Update")
    world = World(tmp_path, {"crash_dirs": (crashes,)})
    world.clock.time += timedelta(days=3650)  # later than the files of the test
    history.import_history(world.tools)
    await world.start()
    run = await world.crash("None")  # as the reader calls what has no output
    assert run.signature is not None
    last, title = world.store.find_last_crash(run.signature), world.store.find_last_title()
    history.import_old_reports(world.tools)
    assert world.store.count_crashes(run.signature) == 2
    assert last is not None and last.run == run.id
    assert (world.store.find_last_crash(run.signature), world.store.find_last_title()) == (last, title)
    with world.engine.begin() as c:
        (imported,) = c.execute(sa.select(t.crashes.c.exit).where(t.crashes.c.keeper == "file")).scalars()
    assert (imported["output"], imported["name"]) == (None, "old.txt"), "an output is a path"


async def test_a_folder_by_the_name_of_a_report_and_one_that_is_not_there_are_no_reports(tmp_path: Path) -> None:
    (tmp_path / "Crashes" / "folder.txt").mkdir(parents=True)
    (tmp_path / "Crashes" / "Real.TXT").write_text("Map::Update")
    (tmp_path / "file").write_text("no folder")
    world = World(tmp_path, {"crash_dirs": (tmp_path / "gone", tmp_path / "file", tmp_path / "Crashes")})
    assert [path.name for path in crash_reports.new_reports(world.tools, 0.0, 1e12)] == ["Real.TXT"]


if sys.platform != "win32":

    async def test_a_link_that_leads_nowhere_and_a_pipe_among_the_crash_reports_break_and_hang_nothing(
        tmp_path: Path,
    ) -> None:
        folder = tmp_path / "Crashes"
        folder.mkdir()
        (folder / "dangling.txt").symlink_to("/nonexistent/x")
        (folder / "loop.txt").symlink_to("loop.txt")
        os.mkfifo(folder / "pipe.txt")
        (folder / "real.txt").write_text("Map::Update")
        world = World(tmp_path, {"crash_dirs": (folder,)})
        assert [path.name for path in crash_reports.new_reports(world.tools, 0.0, 1e12)] == ["real.txt"]
        history.import_history(world.tools)
        history.import_old_reports(world.tools)
        await world.start()
        await world.crash("Map::Update")
