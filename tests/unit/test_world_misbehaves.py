"""A server that dies late, and an analyst that answers late, twice or for another, in a world whose time is ours."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from world import GOOD, OTHER, World

from bot.posts import render_post
from bot.status import render_status
from pipeline.card_models import PostKind
from pipeline.model import Analysis, Diagnostic, Patch, Response, Run, RunState, WholeFile
from pipeline.ports import Answer, Halt, Halted
from pipeline.status_views import status

BROKEN = Patch(files=(WholeFile("src/Map.cpp", "broken"),))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    yield await world.start()
    world.engine.dispose()


async def answer_as(world: World, request: str, patch: Patch) -> None:
    """A response to this request, whatever is asked by now."""
    digest = hashlib.sha256(f"{request}{patch}".encode()).hexdigest()
    response = Response(request, Analysis(summary="A cause."), patch)
    world.analyst.lying.append(Answer(Path(f"response_{request}.json"), digest, response, None, request))
    await world.settle()


def list_refusals(world: World) -> list[str]:
    """The reasons that the channel was told."""
    told = [post.data for post in world.posts() if post.kind is PostKind.REJECTED_RESPONSE]
    return [str(each["reason"]) for data in told for each in data["refused"]]


async def propose(world: World) -> Run:
    """A run that waits for a person, as its patch may not be applied."""
    run = await world.crash("Map::Update")
    world.source.refuse = "sql/ may not be changed"
    await world.answer(run, GOOD)
    world.source.refuse = None
    return world.expect(run, RunState.PROPOSED)


async def test_world_process_dies_late_45_seconds_after_ready_and_is_not_healthy_before_its_soak_is_over(
    world: World,
) -> None:
    assert world.tools.realm.soak == timedelta(minutes=2)
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(seconds=45)
    world.expect(run, RunState.VERIFYING)
    await world.die("Spell::Cast")
    world.expect(run, RunState.ROLLED_BACK)
    assert world.running == "found-1"


async def test_world_process_stopped_in_its_soak_is_neither_healthy_nor_dead_and_is_told_once(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    world.keeper.halt = Halt(Halted.SERVER, "The server (process 7) is stopped: nobody can play on it. `kill -CONT 7`")
    for _ in range(3):
        await world.pass_time(minutes=30)
    world.expect(run, RunState.VERIFYING)
    assert [post.data for post in world.posts() if "halted" in str(post.data.get("what"))] == [
        {"what": "halted: server", "detail": world.keeper.halt.detail}
    ]
    view = status(world.tools)
    shown = render_status(view).embed
    assert shown
    assert shown.title == f"{world.tools.realm.name}: server stands still"
    assert shown.description == f"**1 thing needs you**\n- {world.keeper.halt.detail}"
    world.keeper.halt = None
    await world.pass_time(seconds=10)
    world.expect(run, RunState.SUCCEEDED)
    told = [render_post(post, "Realm").embed for post in world.posts() if post.card is None]
    assert [(each.title, each.description) for each in told if each] == [
        ("Server stands still", "The server (process 7) is stopped: nobody can play on it. `kill -CONT 7`"),
        ("Server no longer stands still", "It was seen to stand still for 1 h."),
    ]


async def test_world_analyst_late_answer_reopens_a_proposal(world: World) -> None:
    run = await propose(world)
    await world.pass_time(days=2)
    await world.answer(run, OTHER)
    world.expect(run, RunState.VERIFYING)


async def test_world_analyst_late_answer_to_what_is_decided_changes_nothing_and_is_told(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(hours=1)
    before = world.expect(run, RunState.SUCCEEDED)
    await answer_as(world, before.request_id or "", OTHER)
    assert world.get(run) == before
    assert list_refusals(world) == [f"it is too late: run {run.id} is SUCCEEDED"]
    assert [each.path.name for each in world.analyst.rejected] == [f"response_{run.request_id}.json"]


async def test_world_analyst_late_answer_to_an_earlier_try_is_not_taken_for_the_present_one(world: World) -> None:
    world.builder.broken["broken"] = (Diagnostic("'x' was not declared", "src/Map.cpp", 3),)
    run = await world.crash("Map::Update")
    first = run.request_id or ""
    await world.answer(run, BROKEN)
    asked = world.expect(run, RunState.ANALYZING).request_id
    assert asked != first
    await answer_as(world, first, OTHER)
    assert world.expect(run, RunState.ANALYZING).request_id == asked
    assert len(list_refusals(world)) == 1


async def test_world_analyst_twice_the_same_and_another_answer_make_one_fix(world: World) -> None:
    run = await world.crash("Map::Update")
    await answer_as(world, run.request_id or "", GOOD)
    fix = world.expect(run, RunState.VERIFYING).commit
    await answer_as(world, run.request_id or "", GOOD)
    await answer_as(world, run.request_id or "", OTHER)
    assert world.expect(run, RunState.VERIFYING).commit == fix
    assert list_refusals(world) == [f"it is too late: run {run.id} is VERIFYING"], "the same again is only filed away"
    assert world.analyst.lying == []
    assert len(world.builder.built) == 1


async def test_world_analyst_for_another_request_nobody_gets_it_and_the_open_one_waits_on(world: World) -> None:
    run = await world.crash("Map::Update")
    await answer_as(world, "of-another-realm", GOOD)
    world.expect(run, RunState.ANALYZING)
    assert list_refusals(world) == ["nobody asked for this: no request of ours has this id"]
    await world.answer(run, GOOD)
    world.expect(run, RunState.VERIFYING)
