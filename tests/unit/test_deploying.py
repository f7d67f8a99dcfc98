"""How a build goes live: with others, over players, standing by, and where it cannot be put in place."""

from pathlib import Path

import pytest
from world import GOOD, OPERATOR, OTHER, World

from bot.markup import prose
from bot.needs import say_need
from pipeline import change_orders, status_views
from pipeline.card_models import PostKind
from pipeline.keeper.protocol import EventKind
from pipeline.model import Done, FixState, Hindrance, RunState, Verdict
from pipeline.records import night_summary
from pipeline.stages import wish
from pipeline.status_models import Topic
from pipeline.tools import Tools


async def test_fault_a15_fixes_that_wait_go_out_in_one_restart(tmp_path: Path) -> None:
    world = await World(tmp_path, {"max_players_for_restart": 0}).start()
    world.players.online = 3
    one = await world.crash("Map::Update")
    two = await world.crash("Spell::Cast")
    await world.answer(one, GOOD)
    await world.answer(two, OTHER)
    assert world.expect(one, RunState.AWAITING_DEPLOYMENT).reason
    starts = world.keeper.starts
    world.players.online = 0
    await world.pass_time(seconds=1)
    world.expect(one, RunState.VERIFYING)
    world.expect(two, RunState.VERIFYING)
    assert world.keeper.starts == starts + 1


async def test_a_crash_deploys_what_stands_by(tmp_path: Path) -> None:
    world = await World(tmp_path, {"max_players_for_restart": 0}).start()
    world.players.online = 3
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    starts = world.keeper.starts
    await world.crash("Map::Update")
    world.expect(run, RunState.VERIFYING)
    assert world.running == world.get(run).commit
    assert world.keeper.starts == starts + 1


async def test_a_pause_takes_away_what_stands_by_before_it_answers(tmp_path: Path) -> None:
    world = await World(tmp_path, {"max_players_for_restart": 0}).start()
    world.players.online = 3
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert world.keeper.wished and world.keeper.wished.next_build
    await world.orders.pause(OPERATOR, "sleeping")
    assert world.keeper.wished.next_build is None
    await world.crash("Map::Update")
    world.expect(run, RunState.AWAITING_DEPLOYMENT)


async def test_fault_a14_b5_players_are_told_before_a_stop(world: World) -> None:
    world.players.online = 2
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    world.expect(run, RunState.AWAITING_DEPLOYMENT)
    assert world.console.said == ["announce Server restart in 30 seconds: a crash fix goes live."]
    await world.pass_time(seconds=31)
    assert world.console.said[-1] == "saveall"
    world.expect(run, RunState.VERIFYING)


async def test_world_process_deaf_console_does_not_hold_up_a_deployment(world: World) -> None:
    world.console.deaf = True
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    world.expect(run, RunState.VERIFYING)


async def test_what_waits_for_another_deployment_says_for_which_and_how_long(world: World) -> None:
    one = await world.crash("Map::Update")
    two = await world.crash("Spell::Cast")
    await world.answer(one, GOOD)
    await world.answer(two, OTHER)
    world.expect(one, RunState.VERIFYING)
    waits = world.expect(two, RunState.AWAITING_DEPLOYMENT)
    assert waits.reason == "waits for the verification of `Map::Update` to end, <2026-11-22T22:02:12Z> if it stays up"
    await world.pass_time(minutes=3)
    live = world.expect(two, RunState.VERIFYING)
    assert (live.reason, live.hindrance) == (None, None)


NO_SPACE = "[Errno 28] No space left on device: 'staged/worldserver'"


async def test_fault_a5_a_build_that_cannot_be_put_in_place_waits_and_takes_nothing_back(world: World) -> None:
    world.keeper.swap_fault = NO_SPACE
    run = await world.crash("Map::Update")
    starts = world.keeper.starts
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.AWAITING_DEPLOYMENT).reason == (
        f"the build could not be put in place: {NO_SPACE}. Cure: make room in SERVER_DIR; tried again "
        "<2026-11-22T22:01:11Z>"
    )
    await world.pass_time(minutes=1)
    assert "tried again <2026-11-22T22:03:11Z>" in (world.expect(run, RunState.AWAITING_DEPLOYMENT).reason or "")
    assert world.store.get_pause() is None
    assert world.runs() == [world.get(run)], "nothing is reverted"
    assert world.keeper.starts == starts
    assert [post.data["what"] for post in world.posts() if post.kind is PostKind.SERVER] == ["swap failed"]
    build = world.store.get_build(world.get(run).commit or "")
    assert build is not None and not build.bad
    world.keeper.swap_fault = None
    await world.pass_time(seconds=110)
    world.expect(run, RunState.AWAITING_DEPLOYMENT)
    await world.pass_time(seconds=10)
    world.expect(run, RunState.VERIFYING)
    await world.pass_time(minutes=3)
    assert world.expect(run, RunState.SUCCEEDED).verdict is Verdict.HEALTHY


async def test_a_build_that_cannot_be_put_in_place_for_half_an_hour_is_what_a_person_reads_of_first(
    world: World,
) -> None:
    world.keeper.swap_fault = NO_SPACE
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    for _ in range(15):
        await world.pass_time(minutes=2)
        assert status_views.status(world.tools).needs == ()
    await world.pass_time(minutes=2)
    (need,) = status_views.status(world.tools).needs
    reason = world.expect(run, RunState.AWAITING_DEPLOYMENT).reason or ""
    assert say_need(need) == (
        f"`Map::Update` **built, and may not go live: needs a person** · run `{run.id}` · {prose(reason)}"
    )
    (line,) = night_summary(world.tools, world.tools.night()).unfixed
    assert line.state == "stuck"
    world.keeper.swap_fault = None
    await world.pass_time(minutes=31)
    await world.pass_time(minutes=3)
    world.expect(run, RunState.SUCCEEDED)
    assert [each.topic for each in status_views.status(world.tools).needs] == [Topic.REVIEW]


async def test_a_fix_that_goes_out_with_its_own_revert_is_never_called_live(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reverted at the moment it is put in place, and that does not go through: both go with the next build."""
    run, other = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    world.keeper.swap_fault = NO_SPACE
    said: list[object] = []
    reconcile = wish.reconcile

    def and_then_it_is_reverted(tools: Tools) -> bool:
        written = reconcile(tools)
        commit, wished = world.get(run).commit, world.keeper.desired()
        if not said and wished is not None and wished.build is not None and wished.build.build == commit:
            said.append(change_orders.revert(tools, commit or "", "Ann"))
        return written

    monkeypatch.setattr(wish, "reconcile", and_then_it_is_reverted)
    await world.answer(run, GOOD)
    assert [type(each) for each in said] == [Done]
    world.keeper.swap_fault = None
    await world.answer(other, OTHER)
    await world.pass_time(minutes=60)
    assert world.running == world.expect(other, RunState.SUCCEEDED).commit
    assert world.source.commits[world.running or ""].files["src/Map.cpp"] == "bad"
    assert (world.get(run).fix_state, world.get(other).fix_state) == (FixState.REVERTED, FixState.WATCHING)


async def test_a_build_that_nothing_could_take_the_place_of_waits_and_says_why(world: World) -> None:
    world.store.note_bad("found-1")
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.AWAITING_DEPLOYMENT).reason == (
        "there is no healthy build to go back to, and without one nothing is risked: what lay in SERVER_DIR before the "
        "first deployment becomes one as soon as it is archived, and `/status` names what hinders that"
    )
    assert world.store.get_active_deployment() is None and world.store.get_standby() is None
    assert world.get(run).hindrance is Hindrance.NO_FALLBACK, "its card names no hour, and offers no order to go"
    (need,) = status_views.status(world.tools).needs
    assert (need.topic, need.run, need.detail) == (Topic.LOOK, run.id, world.get(run).reason)


async def test_deploy_now_does_not_wait_for_the_next_try(world: World) -> None:
    world.keeper.swap_fault = NO_SPACE
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    world.keeper.swap_fault = None
    assert isinstance(await world.orders.deploy_now(run.id, OPERATOR), Done)
    await world.settle()
    world.expect(run, RunState.VERIFYING)


async def test_what_cannot_stand_by_waits_the_same_way(tmp_path: Path) -> None:
    world = await World(tmp_path, {"max_players_for_restart": 0}).start()
    world.players.online = 3
    world.keeper.swap_fault = "[Errno 26] Text file busy: 'worldserver'"
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert "Cure: end the program that holds the file open" in (world.get(run).reason or "")
    assert world.store.get_standby() is None
    world.keeper.swap_fault = None
    await world.pass_time(minutes=1)
    assert world.store.get_standby() is not None
    await world.crash("Map::Update")
    world.expect(run, RunState.VERIFYING)
    world.engine.dispose()


async def test_a_swap_that_a_kill_interrupted_and_the_keeper_ended_is_no_fault(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    world.keeper.note(EventKind.SWAP_FAILED, build=world.get(run).commit, error="interrupted", rolled="back")
    await world.pass_time(minutes=3)
    assert world.expect(run, RunState.SUCCEEDED).verdict is Verdict.HEALTHY
