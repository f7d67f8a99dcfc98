"""The clock of the machine is set, hours ahead or back, and noon comes in the middle of a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from world import GOOD, OPERATOR, OTHER, World

from pipeline.keeper.protocol import EventKind, ExitVerdict
from pipeline.model import Run, RunState, Verdict


async def test_world_time_forward_jump_spares_nobody_the_watch(tmp_path: Path) -> None:
    world = await World(tmp_path).start()
    run = await world.answer(await world.crash("Map::Update"), GOOD)
    world.expect(run, RunState.VERIFYING)
    world.clock.jump(hours=3)
    await world.settle()
    world.expect(run, RunState.VERIFYING)
    await world.pass_time(minutes=5)
    world.expect(run, RunState.SUCCEEDED)


async def test_world_time_backward_jump_is_not_waited_for(tmp_path: Path) -> None:
    world = await World(tmp_path).start()
    run = await world.answer(await world.crash("Map::Update"), GOOD)
    world.expect(run, RunState.VERIFYING)
    world.clock.jump(hours=-3)
    await world.pass_time(minutes=5)
    world.expect(run, RunState.SUCCEEDED)


async def test_world_time_backward_a_restart_in_the_watch_begins_it_again_and_it_ends(tmp_path: Path) -> None:
    world, run = await watch_and_step_back(tmp_path)
    world.keeper.slow = True
    await world.orders.restart_server(OPERATOR, timedelta(), "")
    await world.pass_time(seconds=1)
    await world.pass_time(minutes=5)
    world.keeper.get_ready()
    await world.pass_time(seconds=100)
    world.expect(run, RunState.VERIFYING)
    await world.pass_time(seconds=30)
    assert world.expect(run, RunState.SUCCEEDED).verdict is Verdict.HEALTHY


async def test_world_time_backward_a_new_crash_in_the_watch_is_rolled_back(tmp_path: Path) -> None:
    world, run = await watch_and_step_back(tmp_path)
    await world.die("Spell::Cast")
    world.expect(run, RunState.ROLLED_BACK)
    assert world.running == "found-1"


async def test_world_time_backward_what_the_keeper_took_out_is_seen(tmp_path: Path) -> None:
    world, run = await watch_and_step_back(tmp_path)
    world.keeper.end(ExitVerdict.ASKED)
    gone = world.get(run)
    told = {"build": "found-1", "bad": gone.commit, "deployment": gone.deployment, "why": "not ready in time"}
    world.keeper.note(EventKind.FELL_BACK, **told)
    world.keeper.start("found-1", None)
    await world.settle()
    world.expect(run, RunState.ROLLED_BACK)


async def test_what_the_keeper_took_out_once_is_not_held_against_the_next_deployment_of_the_same_build(
    tmp_path: Path,
) -> None:
    world, run = await watch_and_step_back(tmp_path)
    first = world.store.get_active_deployment()
    assert first is not None
    took_out = {"build": "found-1", "bad": first.build, "why": "not ready in time"}
    world.keeper.note(EventKind.FELL_BACK, **took_out, deployment="another one")
    await world.settle()
    assert not world.store.fell_back(first)
    world.expect(run, RunState.VERIFYING)
    world.clock.jump(seconds=60)
    world.keeper.note(EventKind.FELL_BACK, **took_out)  # as a keeper of before tells it
    await world.settle()
    world.expect(run, RunState.ROLLED_BACK)


async def watch_and_step_back(tmp_path: Path) -> tuple[World, Run]:
    """A fix in its soak, and a clock that is set to before it went live."""
    world = await World(tmp_path).start()
    run = await world.answer(await world.crash("Map::Update"), GOOD)
    await world.pass_time(seconds=10)
    world.clock.jump(seconds=-60)
    await world.settle()
    return world, world.expect(run, RunState.VERIFYING)


@pytest.mark.parametrize("hours", [-5, 5])
async def test_world_time_backward_or_forward_a_build_that_could_not_be_put_in_place_is_tried_again_as_soon(
    tmp_path: Path, hours: int
) -> None:
    world = await World(tmp_path).start()
    world.keeper.swap_fault = "OSError: [Errno 28] No space left on device"
    run = await world.answer(await world.crash("Map::Update"), GOOD)
    world.expect(run, RunState.AWAITING_DEPLOYMENT)
    world.keeper.swap_fault = None
    world.clock.jump(hours=hours)
    await world.settle()
    world.expect(run, RunState.AWAITING_DEPLOYMENT)
    await world.pass_time(minutes=2)
    await world.pass_time(minutes=5)
    world.expect(run, RunState.SUCCEEDED)


async def test_world_time_noon_in_a_run_moves_it_to_no_other_branch(tmp_path: Path) -> None:
    world = await World(tmp_path).start()
    world.clock.time = datetime(2026, 11, 23, 11, 59, tzinfo=UTC)
    first = await world.answer(await world.crash("Map::Update"), GOOD)
    assert world.expect(first, RunState.VERIFYING).branch == "overnight-20261122"
    await world.pass_time(minutes=5)
    assert world.expect(first, RunState.SUCCEEDED).branch == "overnight-20261122"
    second = await world.answer(await world.crash("Spell::Cast"), OTHER)
    assert world.get(second).branch == "overnight-20261123"
    await world.pass_time(minutes=5)
    second = world.expect(second, RunState.SUCCEEDED)
    assert len(world.source.subjects(str(second.commit))) == 3, "it stands on what the night before it made"
