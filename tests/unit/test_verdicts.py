"""What a deployment is found to be: healthy, worse and rolled back, not cured, or nobody can tell."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from world import BASE, GOOD, OPERATOR, OTHER, World

from pipeline.keeper.protocol import EventKind, ExitVerdict, Hold, ServerState
from pipeline.model import Done, FixState, Patch, Run, RunKind, RunState, Verdict, WholeFile
from pipeline.read_models import RollbackPlan
from pipeline.stages import rolling_back


async def test_fault_a5_a13_a_server_that_does_not_get_ready_is_rolled_back(world: World) -> None:
    run = await world.crash("Map::Update")
    bad = Patch(files=(WholeFile("src/Map.cpp", "dies at start"),))
    world.keeper.never_ready = _all_builds_of(world, "dies at start")
    await world.answer(run, bad)
    world.expect(run, RunState.ROLLED_BACK)
    assert world.running == "found-1"
    await _is_reverted_and_paused(world)
    assert [post.data["what"] for post in world.posts() if post.card is None] == ["paused"]  # its card says the rest


async def test_it_goes_back_to_a_build_whose_files_are_kept_and_to_no_older_one_of_which_a_row_is_left(
    world: World,
) -> None:
    await world.crash("Aura::Tick")  # known from now on
    first = await _heal(world, "Map::Update", GOOD)
    second = await _heal(world, "Spell::Cast", OTHER)
    world.builder.archive.pop(first.commit or "")  # beyond KEEP_BUILDS
    assert isinstance(await world.orders.revert(second.commit or "", OPERATOR), Done)
    await world.settle()
    await world.crash("Aura::Tick")  # in the soak: nobody can tell
    plan = await world.orders.plan_rollback()
    assert isinstance(plan, RollbackPlan)
    assert plan.target == "found-1"
    world.keeper.never_ready = _all_builds_of(world, "dies at start")
    run = await world.crash("Aura::Tick")
    await world.answer(run, Patch(files=(WholeFile("src/Map.cpp", "dies at start"),)))
    world.expect(run, RunState.ROLLED_BACK)
    assert world.running == "found-1"
    assert world.store.get_pause() is not None


async def test_a_build_whose_files_went_while_its_successor_was_watched_is_not_waited_for(world: World) -> None:
    first = await _heal(world, "Map::Update", GOOD)
    run = await world.crash("Spell::Cast")
    await world.answer(run, OTHER)
    assert world.expect(run, RunState.VERIFYING)
    world.builder.archive.pop(first.commit or "")
    await world.die("Loot::Roll")
    world.expect(run, RunState.ROLLED_BACK)
    assert world.running == "found-1"


async def test_fault_b17_a_new_crash_in_the_soak_is_rolled_back_and_its_analysis_waits_behind_the_pause(
    world: World,
) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.die("Spell::Cast")
    world.expect(run, RunState.ROLLED_BACK)
    await _is_reverted_and_paused(world)
    assert world.runs("Spell::Cast") == [], "nothing that stays ever crashed so"
    again = next(each for each in world.runs("Map::Update") if each.retry_of == run.id)
    assert world.expect(again, RunState.ANALYZING).request_id not in world.analyst.requests
    assert isinstance(await world.orders.resume(OPERATOR), Done)
    await world.settle()
    request = world.analyst.requests[world.get(again).request_id or ""]
    assert request["base_commit"] == BASE
    (before,) = request["previous_attempts"]
    assert (before["commit"], before["what"]) == (world.get(run).commit, rolling_back.WORSE)
    (died,) = before["crashed_then"]
    assert died["signature"] == world.reader.read_name("Spell::Cast").exact
    assert died["frames"][0]["function"] == "Spell::Cast"
    assert [each.kind for each in world.runs()].count(RunKind.FIX) == 2


async def test_what_only_a_build_had_that_was_taken_back_is_asked_about_when_it_comes_again(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.die("Spell::Cast")
    await world.pass_time(minutes=3)
    assert world.running == "found-1"
    again = await world.crash("Spell::Cast")
    assert world.expect(again, RunState.ANALYZING).kind is RunKind.FIX


async def test_what_is_new_beside_what_was_known_is_asked_about_as_the_build_stays(world: World) -> None:
    """Of a deployment that crashed of what was known no verdict can blame it; both are read at once."""
    known = await world.crash("Spell::Cast")
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    for name in ("Spell::Cast", "Loot::Roll"):
        world.clock.time += timedelta(seconds=1)
        world.keeper.crash(name)
    await world.settle()
    await world.pass_time(minutes=3)
    assert world.expect(run, RunState.SUCCEEDED).verdict is Verdict.INCONCLUSIVE
    assert world.running == world.get(run).commit
    (new,) = world.runs("Loot::Roll")
    assert [world.expect(each, RunState.ANALYZING).kind for each in (known, new)] == [RunKind.FIX] * 2


async def test_of_fixes_that_were_worse_together_each_is_asked_about_again(tmp_path: Path) -> None:
    world = await World(tmp_path, {"max_players_for_restart": 0}).start()
    both = await world.crash_until_all_go_live({"Map::Update": GOOD, "Spell::Cast": OTHER})
    await world.die("Loot::Roll")
    await world.pass_time(minutes=3)
    for run in both:
        world.expect(run, RunState.ROLLED_BACK)
        (again,) = [each for each in world.runs(run.subject) if each.retry_of == run.id]
        assert world.store.get_previous(again.id)[-1]["what"] == rolling_back.ONE_OF_THEM


async def _is_reverted_and_paused(world: World) -> None:
    revert = next(run for run in world.runs() if run.kind is RunKind.REVERT)
    assert world.expect(revert, RunState.SUCCEEDED).commit == world.source.remote["overnight-20261122"]
    assert world.source.commits[revert.commit or ""].files["src/Map.cpp"] == "bad"
    pause = world.store.get_pause()
    assert pause is not None
    assert pause.reason.startswith("rolled back: ")
    assert world.running == "found-1"


def _all_builds_of(world: World, word: str) -> set[str]:
    class Builds(set[str]):
        def __contains__(self, build: object) -> bool:
            made = world.source.commits.get(str(build))
            return made is not None and word in made.files.values()

    return Builds()


async def test_its_own_crash_again_is_not_cured_and_the_build_stays(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.crash("Map::Update")
    failed = world.expect(run, RunState.FAILED)
    assert failed.verdict is Verdict.NOT_CURED
    assert world.running == failed.commit
    again = world.runs("Map::Update")[-1]
    assert again.retry_of == run.id
    assert world.analyst.requests[again.request_id or ""]["previous_attempts"]


async def test_a_known_crash_in_the_soak_is_inconclusive_and_no_fallback(world: World) -> None:
    await world.crash("Spell::Cast")
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.crash("Spell::Cast")
    assert world.expect(run, RunState.SUCCEEDED).verdict is Verdict.INCONCLUSIVE
    assert world.store.list_healthy_builds(1) == ["found-1"]


@pytest.mark.parametrize("name", ["Spell::Cast", "port 8085 in use", "Map::Update"])
async def test_what_died_in_the_soak_is_watched_and_can_be_replaced_until_it_is_up_again(
    world: World, name: str
) -> None:
    run = await _watch_known(world)
    world.keeper.slow = True
    await world.die(name)
    for state in (ServerState.BACKOFF, ServerState.ABSENT, ServerState.STARTING):
        world.keeper.be_between_lives(state)
        await world.pass_time(minutes=5)
        world.expect(run, RunState.VERIFYING)
        assert world.keeper.wished and world.keeper.wished.probation == world.get(run).deployment
    world.keeper.start(world.running, world.get(run).deployment)
    world.keeper.get_ready()
    await world.settle()
    end = RunState.FAILED if name == "Map::Update" else RunState.SUCCEEDED
    assert world.expect(run, end).commit == world.running


async def test_what_does_not_come_back_from_a_known_crash_is_rolled_back(world: World) -> None:
    run = await _watch_known(world)
    world.keeper.slow = True
    await world.die("Spell::Cast")
    world.expect(run, RunState.VERIFYING)
    world.keeper.slow = False
    world.keeper.note(EventKind.FELL_BACK, build="found-1", bad=world.running, why="not ready in time")
    world.keeper.start("found-1", None)
    await world.settle()
    world.expect(run, RunState.ROLLED_BACK)
    assert world.running == "found-1"


async def test_what_the_keeper_gives_up_after_a_known_crash_makes_way_for_the_build_before(world: World) -> None:
    run = await _watch_known(world)
    world.keeper.end(ExitVerdict.CRASH, "Spell::Cast", -11)
    world.keeper.hold(Hold.BREAKER, "20 crashes within an hour")
    await world.settle()
    world.expect(run, RunState.ROLLED_BACK)
    assert world.running == "found-1"
    assert world.keeper.now and world.keeper.now.state is ServerState.READY


async def _watch_known(world: World) -> Run:
    """A fix in its soak, in a realm that has crashed in `Spell::Cast` before."""
    await world.crash("Spell::Cast")
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    return world.expect(run, RunState.VERIFYING)


async def test_fault_b13_a_crash_of_an_older_binary_does_not_reopen_a_fix(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    assert world.keeper.now is not None
    world.keeper.start("found-1", None)  # somebody put the old binary back by hand
    await world.crash("Map::Update")
    assert len(world.runs("Map::Update")) == 1
    assert world.get(run).fix_state is FixState.WATCHING


async def test_fault_b13_a_crash_with_the_fix_in_it_is_a_recurrence(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    again = await world.crash("Map::Update")
    assert again.id != run.id
    assert world.get(run).fix_state is FixState.RECURRED
    assert world.analyst.requests[again.request_id or ""]["previous_attempts"]


async def test_a_life_that_ended_unheard_is_not_healthy(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    heard = list(world.keeper.journal)
    world.clock.time += timedelta(minutes=1)
    world.keeper.crash("Map::Update")  # and its journal is not read before the soak is over
    late, world.keeper.journal = world.keeper.journal, heard
    await world.pass_time(minutes=2)
    world.expect(run, RunState.VERIFYING)
    world.keeper.journal = late
    await world.settle()
    assert world.expect(run, RunState.FAILED).verdict is Verdict.NOT_CURED


async def test_a_life_that_a_new_keeper_found_ready_at_another_moment_is_the_same(world: World) -> None:
    """It had lost what the one before it remembered."""
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert world.keeper.now is not None
    await world.pass_time(seconds=30)
    now = world.clock.now().timestamp()
    world.keeper.now = replace(world.keeper.now, keeper="another", ready_at=now, adopted=True)
    world.keeper.note(EventKind.ADOPTED, pid=world.keeper.now.pid, build=world.running, ours=True)
    await world.pass_time(minutes=3)
    assert world.expect(run, RunState.SUCCEEDED).verdict is Verdict.HEALTHY


async def _heal(world: World, name: str, patch: Patch) -> Run:
    run = await world.crash(name)
    await world.answer(run, patch)
    await world.pass_time(minutes=3)
    return world.expect(run, RunState.SUCCEEDED)
