"""What waits for what: people's orders of the server go on while git fails or does not answer, and what they and the
deployment under way decide in the same moment."""

import asyncio
import threading
from datetime import timedelta

import pytest
from world import BOB, GOOD, OPERATOR, OTHER, World

from pipeline import server_orders
from pipeline.adapters.git_process import GitHindered
from pipeline.card_models import PostKind
from pipeline.keeper.protocol import Desired, Observed, ServerState, Want
from pipeline.model import Done, Impossible, Run, RunState
from pipeline.stages import deploying, verifying
from pipeline.stages.carrying import Load
from pipeline.store import Deployment, Overtaken
from pipeline.tools import Tools

NOW = timedelta()
LONGEST = 10.0  # seconds that a test waits for what never comes


async def heal(world: World, name: str) -> Run:
    run = await world.crash(name)
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    return world.expect(run, RunState.SUCCEEDED)


async def build(world: World, name: str) -> Run:
    """A fix that waits for its deployment, as players are online."""
    world.players.online = 3
    run = await world.crash(name)
    return await world.answer(run, OTHER)


def roll_back(world: World) -> None:
    """A person's order, carried out at once as nobody plays."""
    world.players.online = 0
    done = server_orders.roll_back(world.tools, OPERATOR, (world.running or "")[:12], "the server lags")
    assert isinstance(done, Done)
    server_orders.serve(world.tools)


# --- git that fails, or does not answer -------------------------------------------------------------------------------


async def test_a_server_is_started_while_git_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await build(world, "Map::Update")
    await world.orders.stop_server(OPERATOR, NOW, "new disk")
    await world.settle()
    assert world.keeper.wished and world.keeper.wished.want is Want.STOPPED

    def fail(*_: object) -> None:
        raise GitHindered("git log failed: unable to read: Input/output error")

    monkeypatch.setattr(world.source, "contains", fail)
    assert isinstance(await world.orders.start_server(BOB), Done)
    await world.settle()
    assert list(world.tools.degraded) == ["bug in deployment"]
    assert world.keeper.now and world.keeper.now.state is ServerState.READY


async def test_a_server_is_stopped_while_git_does_not_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await build(world, "Map::Update")
    contains, wish = world.source.contains, world.keeper.wish
    asked, answered, stopped = threading.Event(), threading.Event(), threading.Event()

    def hang(descendant: str, ancestor: str) -> bool:
        asked.set()
        answered.wait(2 * LONGEST)
        return contains(descendant, ancestor)

    def note(desired: Desired) -> None:
        wish(desired)
        if desired.want is Want.STOPPED:
            stopped.set()

    monkeypatch.setattr(world.source, "contains", hang)
    monkeypatch.setattr(world.keeper, "wish", note)
    try:
        await world.runner.tick()
        assert await asyncio.to_thread(asked.wait, LONGEST)
        assert isinstance(await world.orders.stop_server(OPERATOR, NOW, "now"), Done)
        await world.runner.tick()
        assert await asyncio.to_thread(stopped.wait, LONGEST)
    finally:
        answered.set()
        await world.settle()


async def test_a_pause_and_orders_of_the_server_are_answered_while_another_order_waits_for_git(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.source.add_to_base({"src/Spell.cpp": "theirs"})
    find, asked, answered = world.source.base_head, threading.Event(), threading.Event()

    def hang() -> str:
        asked.set()
        answered.wait(2 * LONGEST)
        return find()

    monkeypatch.setattr(world.source, "base_head", hang)
    update = asyncio.ensure_future(world.orders.update(BOB))
    try:
        assert await asyncio.to_thread(asked.wait, LONGEST)
        async with asyncio.timeout(LONGEST):
            assert isinstance(await world.orders.pause(OPERATOR, "raid"), Done)
            stop = await world.orders.stop_server(OPERATOR, timedelta(minutes=1), "")
            assert isinstance(stop, Done) and stop.order is not None
            assert isinstance(await world.orders.cancel_order(stop.order, OPERATOR), Done)
        assert not update.done()
    finally:
        answered.set()
        done = await update
    assert isinstance(done, Done)


async def test_of_two_updates_at_once_one_is_made(world: World) -> None:
    world.source.add_to_base({"src/Spell.cpp": "theirs"})
    told = await asyncio.gather(world.orders.update(BOB), world.orders.update(OPERATOR))
    assert [type(each) for each in told] == [Done, Impossible]


async def test_a_stop_that_git_holds_up_is_not_tried_again_without_a_pause(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await build(world, "Map::Update")
    assert (deployment := world.store.get_active_deployment()) is not None and deployment.state == "announcing"

    def fail(*_: object) -> None:
        raise GitHindered("git merge-base failed: unable to read: Input/output error")

    monkeypatch.setattr(world.source, "contains", fail)
    assert deploying.seconds_to_next(world.tools) == 30.0
    await world.pass_time(seconds=32)
    assert world.store.get_active_deployment() == deployment
    assert deploying.seconds_to_next(world.tools) is None


# --- two that decide in the same moment -------------------------------------------------------------------------------


async def test_what_was_chosen_before_a_rollback_began_is_not_announced_beside_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await heal(world, "Map::Update")
    announce = deploying.announce

    def after_it_was_rolled_back(tools: Tools, load: Load, observed: Observed, players: int | None) -> bool:
        monkeypatch.undo()
        roll_back(world)
        return announce(tools, load, observed, players)

    monkeypatch.setattr(deploying, "announce", after_it_was_rolled_back)
    other = await build(world, "Spell::Cast")
    await world.pass_time(seconds=1)
    world.expect(first, RunState.ROLLED_BACK)
    world.expect(other, RunState.AWAITING_DEPLOYMENT)
    assert world.running == "found-1"


async def test_a_rollback_looks_again_where_a_deployment_stops_the_server_while_it_saves(world: World) -> None:
    first = await heal(world, "Map::Update")
    await build(world, "Spell::Cast")
    order = server_orders.roll_back(world.tools, OPERATOR, (first.commit or "")[:12], "the server lags")
    assert isinstance(order, Done)
    world.clock.time += timedelta(seconds=31)

    def stop() -> None:
        world.console.meanwhile = lambda: None
        assert deploying.step(world.tools)

    world.console.meanwhile = stop
    with pytest.raises(Overtaken):
        server_orders.serve(world.tools)
    assert [each.id for each in world.store.list_waiting_orders()] == [order.order]
    await world.settle()
    told = [post.data["detail"] for post in world.posts() if post.kind is PostKind.ORDER]
    assert told == [f"`{(world.running or '')[:12]}` runs by now. Nothing was changed."]


async def test_a_build_that_is_rolled_back_while_it_is_found_healthy_is_none_to_go_back_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    conclude = deploying.conclude

    def after_it_was_rolled_back(
        tools: Tools, deployment: Deployment, judgement: verifying.Judgement, end: RunState
    ) -> bool:
        monkeypatch.undo()
        roll_back(world)
        return conclude(tools, deployment, judgement, end)

    monkeypatch.setattr(deploying, "conclude", after_it_was_rolled_back)
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    await world.pass_time(seconds=1)
    taken = world.expect(run, RunState.ROLLED_BACK)
    assert world.running == "found-1" and world.store.is_bad(taken.commit or "")
