"""The first analysis of a crash over real git and a real database: whole, as its thread reads it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from checkouts import Bed, make_bed
from git_world import GitWorld, new_file
from stacks import StackReader, start
from world import FakeReader

from bot.posts import render_post
from bot.suspicions import list_suspicions
from pipeline.card_models import PostKind
from pipeline.crash.rules import get_rules
from pipeline.model import Commit, CrashReport, Frame, Patch, ReportKind, Run, WholeFile
from pipeline.read_models import CrashView
from pipeline.suspects import list_places
from pipeline.traces import Place

NOW = datetime.now(UTC).replace(microsecond=0)
MAP, SPELL = "src/game/Map.cpp", "src/game/Spell.cpp"
CALM = "".join(f"    step{number}();\n" for number in range(1, 41))
RUSHED = CALM.replace("step7", "leap")


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    """Two files that Ann wrote ten days ago, one of which Bob rushed three days ago; that runs."""
    made = make_bed(tmp_path / "git", {"README": "x\n"})
    made.checkout.commit({MAP: CALM, SPELL: CALM}, "the world", author="Ann", at=days_ago(10))
    made.base = made.checkout.commit({MAP: RUSHED}, "maps: *hurry* up", author="Bob", at=days_ago(3))
    made.source.prepare()
    return made


@pytest.fixture
async def world(tmp_path: Path, bed: Bed) -> GitWorld:
    return await start(tmp_path, bed)


def days_ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


async def crash(world: GitWorld, stack: str) -> Run:
    world.clock.time += timedelta(seconds=1)
    world.keeper.crash(stack)
    await world.settle()
    return world.runs(stack.split("/")[0])[-1]


def told(world: GitWorld) -> list[str]:
    """What threads read of crashes, a message each."""
    posts = [post for post in world.posts() if post.kind is PostKind.BACKTRACE]
    return [(render_post(post, "realm").embed or pytest.fail("no embed")).description for post in posts]


def block(*functions: str) -> str:
    rows = [
        f"{'>' if number == 0 else ' '}{number:>3}  {each}  C:\\TC\\src\\game\\{each.split(':')[0]}.cpp:7"
        for number, each in enumerate(functions)
    ]
    return "\n".join(("```", *rows, "```"))


def said(function: str) -> str:
    place = f"{function} at C:\\\\TC\\\\src\\\\game\\\\{function.split(':')[0]}.cpp:7"
    return (
        f"**Memory that is not there was read or written in {place}: a null or dangling pointer.** "
        "*(from the report alone)*"
    )


def ago(commit: Commit) -> str:
    return f"<t:{int(commit.committed_at.timestamp())}:R>"


async def test_the_first_crash_of_a_realm_names_who_was_last_at_its_place(world: GitWorld) -> None:
    base = world.tools.source.commit(world.bed.base)
    await crash(world, "Map::Update/World::Update")
    assert told(world) == [
        f"{said('Map::Update')}\n"
        f"access violation · it ran `{base.hash[:12]}` · ended by signal 11\n"
        f"`Map::Update` line 7 was last changed by `{base.hash[:7]}` *maps: \\*hurry\\* up* by Bob {ago(base)}\n"
        "fixes of ours in this build: none\n"
        f"*`World.cpp` is no file of this commit, or several are called so*\n"
        f"{block('Map::Update', 'World::Update')}"
    ]


async def test_what_is_new_since_the_last_good_build_is_suspect_and_a_fix_of_ours_may_be_it(world: GitWorld) -> None:
    first = await world.heal("World::Update")
    second = await world.heal("Guild::Join", Patch(files=(WholeFile(SPELL, RUSHED),)))
    good, ours = (world.tools.source.commit(run.commit or "") for run in (first, second))
    told_before = len(told(world))
    await crash(world, "Spell::Cast/Map::Update")
    assert told(world)[told_before:] == [
        f"{said('Spell::Cast')}\n"
        f"access violation · it ran `{ours.hash[:12]}` · ended by signal 11\n"
        f"**suspect**: `{ours.hash[:7]}` *{ours.subject}* by Spirit Healer {ago(ours)} touched `Spell::Cast` line 7\n"
        f"since the last good build `{good.hash[:7]}`: 1 commit; these files: `{ours.hash[:7]}` *{ours.subject}*\n"
        f"fixes of ours in this build: `{ours.hash[:7]}`, `{good.hash[:7]}`\n"
        f"{block('Spell::Cast', 'Map::Update')}"
    ]


async def test_what_is_new_in_a_function_is_suspect_where_the_stack_names_a_header_alone(world: GitWorld) -> None:
    assert isinstance(world.reader, StackReader)
    world.reader.in_headers = frozenset({"Grid::Visit"})
    grid = WholeFile("src/game/Grid.cpp", "#include <memory>\n\nvoid Grid::Visit()\n{\n    _guests->front();\n}\n")
    first = await world.heal("World::Update")
    ours = world.tools.source.commit((await world.heal("Guild::Join", Patch(files=(grid,)))).commit or "")
    told_before = len(told(world))
    await crash(world, "Map::Update/Grid::Visit")
    (text,) = told(world)[told_before:]
    lines = [
        f"**suspect**: `{ours.hash[:7]}` *{ours.subject}* by Spirit Healer {ago(ours)} touched `Grid::Visit` line 3",
        f"since the last good build `{(first.commit or '')[:7]}`: 1 commit; these files: "
        f"`{ours.hash[:7]}` *{ours.subject}*",
    ]
    assert text.splitlines()[2:4] == lines
    view = await world.orders.show_crash("access violation | Map::Update | Grid::Visit")
    assert isinstance(view, CrashView) and list_suspicions(view.suspects)[:2] == lines


async def test_what_is_not_new_is_no_suspect(world: GitWorld) -> None:
    base = world.tools.source.commit(world.bed.base)
    ours = world.tools.source.commit((await world.heal("World::Update")).commit or "")
    told_before = len(told(world))
    await crash(world, "Map::Update")
    assert told(world)[told_before:] == [
        f"{said('Map::Update')}\n"
        f"access violation · it ran `{ours.hash[:12]}` · ended by signal 11\n"
        f"`Map::Update` line 7 was last changed by `{base.hash[:7]}` *maps: \\*hurry\\* up* by Bob {ago(base)}, "
        "not since the last good build\n"
        f"since the last good build `{base.hash[:7]}`: 1 commit, not in these files: "
        f"`{ours.hash[:7]}` *{ours.subject}*\n"
        f"fixes of ours in this build: `{ours.hash[:7]}`\n"
        f"{block('Map::Update')}"
    ]


async def test_a_build_that_crashed_so_before_is_no_good_one(world: GitWorld) -> None:
    """What lay there before us crashed so, too: what came since is not to blame."""
    await crash(world, "Map::Update")
    await world.heal("World::Update")
    run = await crash(world, "Map::Update")
    answered = await world.answer(run, Patch(files=(WholeFile(SPELL, RUSHED),)))
    await world.pass_time(minutes=5)
    await crash(world, "Map::Update")
    request = world.analyst.requests[world.runs("Map::Update")[-1].request_id or ""]
    assert world.get(answered).commit in {each["hash"] for each in request["suspects"]["fixes"]}
    assert (request["suspects"]["since"], request["suspects"]["changed"]) == (None, None)


async def test_crashes_that_were_alike_are_named_with_their_fix(world: GitWorld) -> None:
    healed = await world.answer(await crash(world, "Spell::Cast/Unit::Hit"), new_file("Spell::Cast"))
    await world.pass_time(minutes=5)
    fix = world.tools.source.commit(world.get(healed).commit or "")
    for _ in range(2):
        await crash(world, "Pet::Die/Unit::Hit/Spell::Hurt")
    await crash(world, "World::Update/Map::Update")
    died = int(world.clock.now().timestamp()) - 1
    told_before = len(told(world))
    run = await crash(world, "Spell::Cast/Pet::Die/Unit::Hit/Spell::Hurt")
    (text,) = told(world)[told_before:]
    before = world.store.first_seen(StackReader().read_name("Spell::Cast/Unit::Hit"))
    assert before is not None
    assert [line for line in text.splitlines() if line.startswith("similar")] == [
        f"similar: `Spell::Cast` crashed 1 time, last <t:{int(before.timestamp())}:R> · fixed in `{fix.hash[:7]}`",
        f"similar: `Pet::Die` crashed 2 times, last <t:{died}:R>",
    ]
    similar = world.analyst.requests[run.request_id or ""]["similar"]
    assert [(each["signature"], each["times"], each["commit"]) for each in similar] == [
        ("access violation | Spell::Cast | Unit::Hit", 1, fix.hash),
        ("access violation | Pet::Die | Unit::Hit | Spell::Hurt", 2, None),
    ]


async def test_the_request_has_the_same_as_data_and_no_secret_in_it(tmp_path: Path, bed: Bed) -> None:
    bed.base = bed.checkout.commit({SPELL: RUSHED}, "spells: hunter2", author="hunter2", at=days_ago(1))
    bed.source.prepare()
    ann = bed.in_clone("rev-parse", f"{bed.base}~2")
    world = await start(tmp_path, bed)
    run = await crash(world, "Spell::Cast/Guild::Join")
    request = world.analyst.requests[run.request_id or ""]
    commit = {
        "hash": bed.base, "author": "***", "at": days_ago(1).isoformat(), "subject": "spells: ***", "run": None,
        "url": None,
    }  # fmt: skip
    before = {**commit, "hash": ann, "author": "Ann", "at": days_ago(10).isoformat(), "subject": "the world"}
    assert request["suspects"] == {
        "touches": [{"function": "Spell::Cast", "file": SPELL, "line": 7, "commit": commit, "is_new": None}],
        "since": None,
        "changed": None,
        "new": [],
        "near": [commit, before],
        "fixes": [],
        "notes": ["`Guild.cpp` is no file of this commit, or several are called so"],
    }
    assert "hunter2" not in f"{request}{[post.data for post in world.posts()]}"


def test_places_are_those_of_own_functions_each_once_and_without_the_header_that_was_inlined() -> None:
    frames = (
        Frame("Trinity::Assert", "src/common/Errors.cpp", 64),
        Frame("BIH::subdivide", "/usr/include/c++/12/bits/stl_iterator.h", 9),  # inlined into it
        Frame("BIH::subdivide", "src/common/BIH.cpp", 26),
        Frame("BIH::subdivide", "src/common/BIH.cpp", 30),
        Frame("std::vector<int>::at", "/usr/include/c++/12/bits/stl_vector.h", 3),
        Frame("Map::Insert", "src/game/Map.cpp"),
        Frame("Grid::Visit", "/usr/include/c++/12/bits/unique_ptr.h", 191),
        Frame("Map::Update", "src/game/Map.cpp", 7),
    )
    report = CrashReport(ReportKind.CORE, "access violation", frames=frames, crashing_frame=1)
    assert list_places(report, get_rules()) == [
        Place("BIH::subdivide", "src/common/BIH.cpp", 26), Place("Grid::Visit", None, None),
        Place("Map::Update", "src/game/Map.cpp", 7),
    ]  # fmt: skip


# --- what cannot be told ---------------------------------------------------------------------------------------------


def notes(world: GitWorld) -> list[str]:
    return [line for line in told(world)[-1].splitlines() if line.startswith("*") and not line.startswith("**")]


async def test_a_clone_that_is_not_ready_is_a_note_and_holds_nothing_up(world: GitWorld) -> None:
    world.tools.prepared.clear()
    await crash(world, "Map::Update")
    assert notes(world) == ["*who changed it last is not known: our clone of the source is not ready yet*"]


async def test_a_commit_that_the_clone_does_not_have_is_a_note(tmp_path: Path, bed: Bed) -> None:
    bed.base = "f" * 40
    world = await start(tmp_path, bed)
    await crash(world, "Map::Update")
    assert notes(world) == [f"*who changed it last is not known: the commit '{'f' * 12}' is not in our clone*"]


async def test_a_build_of_uncommitted_changes_is_traced_with_a_note(tmp_path: Path, bed: Bed) -> None:
    world = await start(tmp_path, bed)
    world.keeper.revision += "+"
    assert world.keeper.now is not None
    world.keeper.now = replace(world.keeper.now, build="a build of somebody's own", revision=world.keeper.revision)
    await crash(world, "Map::Update")
    assert notes(world) == ["*it was built with changes that are in no commit, so that lines may be off*"]


async def test_a_build_that_names_no_commit_is_a_note(world: GitWorld) -> None:
    assert world.keeper.now is not None
    world.keeper.now = replace(world.keeper.now, build="a build of somebody's own", revision=None)
    await crash(world, "Map::Update")
    assert notes(world) == ["*who changed it last is not known: the build that crashed names no commit*"]


async def test_an_environment_at_fault_is_nobodys_in_the_source(world: GitWorld) -> None:
    world.tools = replace(world.tools, reader=FakeReader())
    world.restart()
    world.keeper.crash("port 8085 is in use")
    await world.settle()
    (post,) = [post for post in world.posts() if post.kind is PostKind.BACKTRACE]
    assert post.data["suspects"] is None
