"""A change that was taken back and comes again is a person's to allow."""

from pathlib import Path

import pytest
from world import BASE, BOB, GOOD, OPERATOR, OTHER, World

from bot.cards import render_card
from pipeline.model import Approval, FixState, Hindrance, Run, RunKind, RunState
from pipeline.stages.repeating import list_changed


@pytest.fixture
async def world(tmp_path: Path) -> World:
    return await World(tmp_path).start()


async def revert_a_fix(world: World) -> str:
    """The commit of a fix that was live and is taken back."""
    fix = await world.crash("Map::Update")
    await world.answer(fix, GOOD)
    await world.pass_time(minutes=3)
    commit = (world.get(fix).commit or "")[:7]
    await world.orders.revert(commit, BOB)
    await world.settle()
    await world.pass_time(minutes=3)
    return commit


async def test_the_same_change_as_a_reverted_one_is_asked_about_whatever_approval_says(world: World) -> None:
    reverted = await revert_a_fix(world)
    again = await world.crash("Map::Update")
    await world.answer(again, GOOD)
    asked = world.expect(again, RunState.AWAITING_APPROVAL)
    assert asked.reason == f"it makes the same change as `{reverted}`, which was reverted by Bob"
    assert shown(world, again) == (
        "Waits for approval: Map::Update",
        "**May this patch be applied?** The diff is in the thread\n"
        f"**It makes the same change as `{reverted}`, which was reverted by Bob**",
    )
    await world.orders.approve(again.id, OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    assert world.expect(again, RunState.SUCCEEDED).fix_state is FixState.WATCHING


async def test_the_same_change_as_one_that_was_rolled_back_is_asked_about(world: World) -> None:
    first = await world.crash("Map::Update")
    await world.answer(first, GOOD)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=1)
    commit = (world.expect(first, RunState.ROLLED_BACK).commit or "")[:7]
    await world.orders.resume(OPERATOR)
    await world.settle()
    (again,) = [run for run in world.runs("Map::Update") if run.retry_of == first.id]
    await world.answer(again, GOOD)
    assert world.expect(again, RunState.AWAITING_APPROVAL).reason == (
        f"it makes the same change as `{commit}`, which was rolled back: the new server died 1 s after ready in "
        "`Loot::Roll`"
    )


async def test_the_same_change_as_a_rejected_one_is_asked_about(tmp_path: Path) -> None:
    world = await World(tmp_path, {"approval": Approval.DEPLOY}).start()
    first = await world.crash("Map::Update")
    await world.answer(first, GOOD)
    await world.orders.reject(first.id, BOB, "not at night")
    await world.settle()
    commit = (world.get(first).commit or "")[:7]
    again = await world.crash("Map::Update")
    await world.answer(again, GOOD)
    assert world.expect(again, RunState.AWAITING_APPROVAL).reason == (
        f"it makes the same change as `{commit}`, which was rejected by Bob: not at night"
    )


@pytest.mark.parametrize(("no", "state"), [("cancel", RunState.SUCCEEDED), ("reject", RunState.AWAITING_APPROVAL)])
async def test_who_orders_another_try_of_what_he_cancelled_has_said_nothing_against_the_change(
    world: World, no: str, state: RunState
) -> None:
    first = await world.crash("Map::Update")
    world.players.online = 3
    await world.answer(first, GOOD)
    world.expect(first, RunState.AWAITING_DEPLOYMENT)
    if no == "cancel":
        await world.orders.cancel_run(first.id, BOB)
    else:
        await world.orders.reject(first.id, BOB, "not at night")
    world.players.online = 0
    await world.settle()
    await world.orders.retry(first.id, OPERATOR)
    await world.settle()
    (again,) = [run for run in world.runs("Map::Update") if run.retry_of == first.id]
    await world.answer(again, GOOD)
    await world.pass_time(minutes=1)
    await world.pass_time(minutes=3)
    world.expect(again, state)


async def test_another_change_of_the_same_crash_is_not_asked_about(world: World) -> None:
    await revert_a_fix(world)
    again = await world.crash("Map::Update")
    await world.answer(again, OTHER)
    await world.pass_time(minutes=3)
    world.expect(again, RunState.SUCCEEDED)


async def test_the_same_change_is_asked_about_whatever_crash_it_is_proposed_for(world: World) -> None:
    reverted = await revert_a_fix(world)
    other = await world.crash("Spell::Cast")
    await world.answer(other, GOOD)
    asked = world.expect(other, RunState.AWAITING_APPROVAL)
    assert asked.reason == f"it makes the same change as `{reverted}`, which was reverted by Bob"


async def test_a_change_whose_revert_is_being_watched_is_asked_about(world: World) -> None:
    first = await world.crash("Map::Update")
    await world.answer(first, GOOD)
    await world.pass_time(minutes=3)
    other = await world.crash("Spell::Cast")
    reverted = (world.get(first).commit or "")[:7]
    await world.orders.revert(reverted, BOB)
    await world.settle()
    assert world.get(first).fix_state is FixState.WATCHING
    await world.answer(other, GOOD)
    asked = world.expect(other, RunState.AWAITING_APPROVAL)
    assert asked.reason == f"it makes the same change as `{reverted}`, which was reverted by Bob"


def test_blanks_make_no_other_change() -> None:
    here = "--- a/Map.cpp\n+++ b/Map.cpp\n@@ -3 +3,2 @@\n-delete x;\n+if (x)\n+    delete x;\n"
    there = "--- a/Map.cpp\n+++ b/Map.cpp\n@@ -3 +3,3 @@\n-delete x;\n+if(x)\n+\n+\tdelete x; \n"
    assert list_changed(here) == list_changed(there)
    assert list_changed(here.replace("+if (x)", "+if (y)")) != list_changed(there)


def test_two_diffs_are_the_same_change_wherever_their_lines_stand() -> None:
    here = "--- a/Map.cpp\n+++ b/Map.cpp\n@@ -3,3 +3,3 @@ void f()\n before\n-old\n+new\n behind\n"
    there = "--- a/Map.cpp\n+++ b/Map.cpp\n@@ -40,3 +41,3 @@\n before, moved\n-old\n+new\n"
    assert list_changed(here) == list_changed(there) == ["---a/Map.cpp", "+++b/Map.cpp", "-old", "+new"]
    assert list_changed(here.replace("Map", "Spell")) != list_changed(here)


# --- what is taken back ----------------------------------------------------------------------------------------------


async def test_a_rollbacks_revert_is_built_again_where_the_build_failed_without_an_error_of_the_code(
    world: World,
) -> None:
    bad, other = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(bad, GOOD)
    await world.answer(other, OTHER)
    world.builder.fault = "the compiler is gone"
    await world.die("Loot::Roll")
    await world.pass_time(minutes=1)
    revert = next(run for run in world.runs() if run.kind is RunKind.REVERT)
    assert world.expect(revert, RunState.BUILDING).reason == "the compiler is gone"
    await world.orders.resume(OPERATOR)
    await world.pass_time(seconds=5)
    assert world.get(other).hindrance is Hindrance.REVERT_COMING
    world.builder.fault = None
    await world.pass_time(minutes=1)
    await world.pass_time(minutes=3)
    world.expect(revert, RunState.SUCCEEDED)
    world.expect(other, RunState.SUCCEEDED)


async def test_a_fix_that_somebody_took_out_by_hand_is_not_called_verified(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    assert world.expect(run, RunState.SUCCEEDED).fix_state is FixState.WATCHING
    take_out_by_hand(world, run)
    await world.pass_time(hours=25)
    assert world.get(run).fix_state is FixState.REVERTED


def take_out_by_hand(world: World, run: Run) -> None:
    """What runs is built from a history with a revert that is none of ours."""
    world.source.commits[BASE].reverts = (world.get(run).commit or "",)


def shown(world: World, run: Run) -> tuple[str | None, str]:
    embed = render_card(world.ledger.get_card_view(world.store.get_card_of_run(run.id))).embed
    assert embed is not None
    return embed.title, "\n".join((embed.description or "").split("\n")[:2])
