"""The warm build, and what a build had waited for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from world import BASE, GOOD, OPERATOR, World

from pipeline.errors import Obstructed
from pipeline.model import BuildResult, Progress, RunState
from pipeline.runner import Runner


async def test_what_runs_is_built_once_before_the_first_crash(world: World) -> None:
    assert world.builder.warmed == [BASE]
    await world.pass_time(hours=1)
    assert world.builder.warmed == [BASE]


async def test_while_paused_not_even_what_runs_is_built(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.orders.pause(OPERATOR, "")
    await world.start()
    assert world.builder.warmed == []
    await world.orders.resume(OPERATOR)
    await world.settle()
    assert world.builder.warmed == [BASE]


class WakefulRunner(Runner):
    """Counts what would make it tick again at once."""

    wakes = 0

    def wake(self) -> None:
        self.wakes += 1
        super().wake()


async def test_a_warm_build_that_the_machine_hinders_is_tried_again_with_a_pause_and_says_no_more_than_its_last_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hindered(commit: str) -> None:
        raise Obstructed("git reset failed: the disk is full")

    world = World(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(world.source, "stand_on", hindered)
        await world.start()
        assert world.tools.degraded == {"bug in change": "git reset failed: the disk is full"}
        world.runner = runner = WakefulRunner(world.tools, lambda: None, fatal=True)
        await world.settle()
        assert (runner.wakes, world.builder.warmed) == (0, [])
    world.builder.fault = "the compiler is gone"
    await world.settle()
    assert world.builder.warmed == [BASE]
    assert world.tools.degraded == {"warm build": "what runs could not be built: the compiler is gone"}


async def test_a_build_that_goes_on_says_no_more_what_it_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await world.crash("Map::Update")
    build = world.builder.build
    seen: list[tuple[str | None, dict[str, str]]] = []

    def hinder(*arguments: Any, **more: Any) -> BuildResult:
        raise Obstructed("the disk of BUILD_DIR is full: make room there")

    def look(*arguments: Any, on_progress: Callable[[Progress, float | None], None], **more: Any) -> BuildResult:
        on_progress(Progress(1, 2), 1.0)
        seen.append((world.get(run).reason, dict(world.tools.degraded)))
        return build(*arguments, on_progress=on_progress, **more)

    monkeypatch.setattr(world.builder, "build", hinder)
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.BUILDING).reason == "the disk of BUILD_DIR is full: make room there"
    assert "obstacle" in world.tools.degraded
    monkeypatch.setattr(world.builder, "build", look)
    await world.pass_time(minutes=3)
    assert seen == [(None, {})]
