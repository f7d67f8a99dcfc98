"""The runner itself: a run from crash to verdict, what a tick takes up again, and what goes wrong in it, over a fake
world with a real database."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from world import GOOD, OPERATOR, World

from pipeline import intake
from pipeline.card_models import PostKind
from pipeline.keeper.protocol import Hold
from pipeline.model import Analysis, CrashReport, FixState, Response, RunState, Verdict
from pipeline.ports import Answer, ExitEvidence
from pipeline.runner import Runner, apply_step, next_change, take_step
from pipeline.stages import deploying
from pipeline.tools import Passage


async def test_a_crash_is_healed(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    world.expect(run, RunState.VERIFYING)
    await world.pass_time(minutes=3)
    healed = world.expect(run, RunState.SUCCEEDED)
    assert healed.verdict is Verdict.HEALTHY
    assert healed.fix_state is FixState.WATCHING
    assert world.running == healed.commit
    assert world.source.remote["overnight-20261122"] == healed.commit


async def test_invariant_12_a_secret_that_an_analyst_repeats_is_in_no_commit_and_no_post(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD, summary="The password is hunter2.")
    commit = world.source.commits[world.get(run).commit or ""]
    assert commit.message.startswith("fix(src): The password is ***\n")
    assert "hunter2" not in repr([post.data for post in world.posts()])


async def test_fault_b15_an_environment_fault_asks_no_analyst(world: World) -> None:
    world.keeper.crash("port in use")
    await world.settle()
    assert world.runs() == []
    assert world.analyst.requests == {}


async def test_paused_stays_paused_over_a_restart(world: World) -> None:
    await world.orders.pause(OPERATOR, "sleeping")
    world.restart()
    run = await world.crash("Map::Update")
    assert world.analyst.requests == {}
    world.expect(run, RunState.ANALYZING)


async def test_a_hold_is_told(world: World) -> None:
    world.keeper.hold(Hold.BREAKER)
    await world.settle()
    assert [post.data["what"] for post in world.posts() if post.kind is PostKind.SERVER] == ["held: breaker"]


async def test_fault_a10_a_restart_in_every_state_loses_nothing(tmp_path: Path) -> None:
    """The bot is killed after each single step of the lanes; the run ends as it would have."""
    for kill_after in range(1, 12):
        folder = tmp_path / str(kill_after)
        folder.mkdir()
        world = await World(folder).start()
        run = await world.crash("Map::Update")
        await _step_and_kill(world, kill_after)
        await world.pass_time(minutes=3)
        world.expect(run, RunState.SUCCEEDED)
        assert world.source.remote["overnight-20261122"] == world.get(run).commit
        assert sum(commit.run == run.id for commit in world.source.commits.values()) == 1


async def _step_and_kill(world: World, steps: int) -> None:
    request = world.runs("Map::Update")[-1].request_id or ""
    world.analyst.lying.append(Answer(Path("r.json"), "digest", Response(request, Analysis(), GOOD), None, request))
    for number in range(steps):
        if number == 0:
            intake.take_answers(world.tools)
        elif (change := next_change(world.tools)) is not None:
            step = take_step(world.tools, change, Passage())
            if number < steps - 1:  # the last one is killed between the act and the note of it
                apply_step(world.tools, change, step)
        else:
            intake.import_events(world.tools)
            deploying.go_on(world.tools)
    world.restart()
    await world.settle()


async def test_one_crash_that_trips_over_a_bug_of_ours_hinders_no_other_and_is_its_own_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await World(tmp_path).start()
    world.runner = Runner(world.tools, lambda: None)
    read = world.reader.read

    def stumble(evidence: ExitEvidence) -> CrashReport:
        if str(evidence.output) == "Broken::Read":
            raise TypeError("a bug")
        return read(evidence)

    monkeypatch.setattr(world.reader, "read", stumble)
    world.keeper.crash("Broken::Read")
    world.keeper.crash("Map::Update")
    await world.runner.settle()
    assert [run.signature and run.signature.family for run in world.runs()] == ["access violation | Map::Update"]
    (broken,) = world.store.list_unjudged_crashes()
    topic = f"bug in crash {broken.id}"
    assert world.tools.degraded == {topic: f"a fault of ours in crash {broken.id}: TypeError; see the log"}
    for tries in range(1, 4):
        assert world.tools.stumbles[broken.id].tries == tries
        await world.runner.settle()
        assert world.tools.stumbles[broken.id].tries == tries, "not before its time"
        world.clock.time += timedelta(minutes=10)
        await world.runner.settle()
    assert world.store.list_unjudged_crashes() == []
    assert world.tools.degraded == {} and world.tools.stumbles == {}
    assert [run.signature and run.signature.exact for run in world.runs()][-1] == f"unknown | crash {broken.id}"


async def test_a_database_that_does_not_answer_degrades_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise OSError("database is locked")

    world = await World(tmp_path).start()
    world.runner = Runner(world.tools, lambda: None)
    with monkeypatch.context() as outage:
        outage.setattr(world.store, "list_runs_to_ask", gone)
        await world.runner.tick()
    assert world.tools.degraded == {"bug in analyses": "a fault of ours in analyses: OSError; see the log"}
    await world.runner.settle()
    assert world.tools.degraded == {}


async def test_what_a_tick_finds_under_way_is_looked_at_again_when_that_ends(world: World) -> None:
    """Who looked before the deployment was judged would else wait for the next tick that nothing wakes."""
    runner, looked, goes = world.runner, asyncio.Event(), asyncio.Event()

    async def look() -> None:
        looked.set()
        await goes.wait()

    runner._start("a look", look)
    await looked.wait()
    runner._woken.clear()
    runner._start("a look", look)
    assert not runner._woken.is_set()
    goes.set()
    await asyncio.wait_for(runner._woken.wait(), 5)
