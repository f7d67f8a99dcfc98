"""The clock of the machine is set, hours ahead or back, and noon comes in the middle of a run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from world import GOOD, OTHER, World

from pipeline.model import RunState


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
