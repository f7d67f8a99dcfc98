"""A known crash comes again after its callers were renamed, over real git and a real database."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from checkouts import Bed, make_bed
from git_world import GitWorld
from stacks import start

from pipeline import regrouping
from pipeline.adapters.git_process import GitTimedOut
from pipeline.model import Patch, Run, WholeFile

BOT = "src/game/Bot.cpp"
FIRST = "void Bot::Logout() { map.Remove(this); }\nvoid Bot::Update() { Logout(); }\n"
RENAMED = FIRST.replace("Logout", "Leave")
KNOWN = "access violation | Map::Remove | Bot::Logout"


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    made = make_bed(tmp_path / "git", {"README": "Logout\n"})
    made.base = made.checkout.commit({BOT: FIRST}, "bots", author="Ann")
    made.source.prepare()
    return made


@pytest.fixture
async def world(tmp_path: Path, bed: Bed) -> GitWorld:
    return await start(tmp_path, bed)


async def crash(world: GitWorld, stack: str) -> tuple[str, tuple[str, ...]]:
    """The key that it was counted to, and what its report notes."""
    world.clock.time += timedelta(seconds=1)
    world.keeper.crash(stack)
    await world.settle()
    newest = world.store.list_crash_rows(None)[-1]
    report = world.store.find_report(newest.id)
    assert newest.signature is not None and report is not None
    return newest.signature.exact, report.notes


async def bring(world: GitWorld, text: str) -> Run:
    """A fix of something else makes the file so, and is live."""
    return await world.heal("World::Update", Patch(files=(WholeFile(BOT, text),)))


async def test_a_crash_whose_caller_was_renamed_is_counted_to_the_known_one(world: GitWorld) -> None:
    await crash(world, "Map::Remove/Bot::Logout")
    (run,) = world.runs("Map::Remove")
    await bring(world, RENAMED)
    for _ in range(2):  # its key as it stands is never one that is known
        key, notes = await crash(world, "Map::Remove/Bot::Leave")
        assert key == KNOWN
        assert notes == ("known by another name: `Bot::Leave` was called `Bot::Logout` when it crashed first",)
    assert [each.id for each in world.runs("Map::Remove")] == [run.id]
    assert await crash(world, "Map::Remove/Bot::Logout") == (KNOWN, ())


async def test_it_stays_counted_there_when_all_that_is_stored_is_grouped_again(world: GitWorld) -> None:
    await crash(world, "Map::Remove/Bot::Logout")
    await bring(world, RENAMED)
    await crash(world, "Map::Remove/Bot::Leave")
    found = regrouping.replay(world.store, (("prefix", r"Bot::Update"),))
    assert (found.crashes, found.is_plain) == (3, True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (FIRST, FIRST + RENAMED),  # the old one is still there
        (FIRST + RENAMED, RENAMED),  # the new one was there before
        (FIRST, FIRST.replace("map.", "")),  # neither came nor went
    ],
)
async def test_a_caller_that_is_another_function_makes_another_crash(
    tmp_path: Path, bed: Bed, before: str, after: str
) -> None:
    bed.base = bed.checkout.commit({BOT: f"// Theirs.\n{before}"}, "bots again", author="Ann")
    bed.source.prepare()
    world = await start(tmp_path, bed)
    await crash(world, "Map::Remove/Bot::Logout")
    await bring(world, after)
    assert await crash(world, "Map::Remove/Bot::Leave") == ("access violation | Map::Remove | Bot::Leave", ())


async def test_what_git_takes_too_long_to_tell_is_another_crash(
    world: GitWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await crash(world, "Map::Remove/Bot::Logout")
    await bring(world, RENAMED)
    monkeypatch.setattr("pipeline.renamed_crashes.LOOKING", 0.0)
    assert await crash(world, "Map::Remove/Bot::Leave") == ("access violation | Map::Remove | Bot::Leave", ())


async def test_a_build_with_changes_that_are_in_no_commit_is_not_asked_about(world: GitWorld) -> None:
    await crash(world, "Map::Remove/Bot::Logout")
    await bring(world, RENAMED)
    assert world.keeper.now is not None
    dirty = f"{world.tools.source.head(world.branch)}+"
    world.keeper.now = replace(world.keeper.now, build="a build of somebody's own", revision=dirty)
    assert (await crash(world, "Map::Remove/Bot::Leave"))[0] == "access violation | Map::Remove | Bot::Leave"


async def test_words_of_a_source_file_are_found_in_time_or_not_at_all(bed: Bed) -> None:
    source, at = bed.source, bed.base
    assert source.find_words(at, ["Logout", "Log", "Leave", "map"], 60) == {"Logout", "map"}
    bed.base = bed.checkout.commit({BOT: "void Leave();\n"}, "renamed", author="Ann")
    source.prepare()
    assert source.find_words(bed.base, ["Logout", "Leave"], 60) == {"Leave"}  # README is no source
    with pytest.raises(GitTimedOut):
        source.find_words(at, ["Nowhere"], 0)
