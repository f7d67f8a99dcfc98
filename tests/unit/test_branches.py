"""The night's branch: lost, owed, diverged, moved by an update; and a source that is not ready."""

import pytest
from world import BASE, GOOD, OPERATOR, OTHER, World

from pipeline.card_models import PostKind
from pipeline.errors import RemoteUnreachable
from pipeline.model import Done, Impossible, Patch, Question, Run, RunKind, RunState, WholeFile
from pipeline.ports import Diverged, Pushed


async def lose_the_clone(world: World, keep: set[str]) -> None:
    """Our clone is made anew from the checkout: only the base, and what the remote still has, come back."""
    world.source.commits = {name: each for name, each in world.source.commits.items() if name in keep}
    world.source.branches = {}


async def test_a_branch_lost_with_our_clone_is_asked_about_and_no_run_fails_of_it(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    lost = world.expect(run, RunState.SUCCEEDED).commit or ""
    await lose_the_clone(world, {BASE})
    world.source.remote = {}
    second = await world.crash("Spell::Cast")
    await world.answer(second, OTHER)
    asked = world.expect(second, RunState.AWAITING_APPROVAL)
    assert asked.question is Question.BASE
    assert asked.attempts == 0
    words = f"`{lost[:12]}`, the head of `overnight-20261122`, is neither in our clone nor on the remote"
    assert asked.reason == (
        f"{words}. Approved, a new branch begins without it; once somebody pushes it there, the old one goes on"
    )
    assert world.tools.degraded == {
        "night branch": f"{words}: push that branch to the remote from wherever it still is"
    }
    await world.orders.approve(second.id, OPERATOR)
    await world.settle()
    assert world.expect(second, RunState.VERIFYING).branch == "overnight-20261122-2"
    assert world.tools.degraded == {}


async def test_a_lost_branch_is_waited_for_while_the_remote_does_not_answer(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    everything = dict(world.source.commits)
    await lose_the_clone(world, {BASE})
    world.source.remote_gone = True
    second = await world.crash("Spell::Cast")
    await world.answer(second, OTHER)
    assert world.expect(second, RunState.READY).reason == "the remote does not answer"
    assert list(world.tools.degraded) == ["night branch"]
    world.source.remote_gone = False
    world.source.commits = everything
    await world.pass_time(minutes=3)
    assert world.expect(second, RunState.VERIFYING).branch == "overnight-20261122"
    assert world.tools.degraded == {}


async def test_fault_a5_a_push_that_fails_is_owed_and_does_not_hold_up_the_deployment(world: World) -> None:
    world.source.remote_gone = True
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    world.expect(run, RunState.VERIFYING)
    assert world.source.remote == {}
    world.source.remote_gone = False
    await world.pass_time(minutes=1)
    assert world.source.remote["overnight-20261122"] == world.get(run).commit
    assert world.get(run).pushed
    told = [post.data["what"] for post in world.posts() if post.kind is PostKind.PIPELINE]
    assert told == ["push owed", "push made up"], "its end is told as well"


async def test_a_branch_that_diverged_goes_on_under_the_next_name(world: World) -> None:
    world.source.diverged.add("overnight-20261122")
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.VERIFYING).branch == "overnight-20261122-2"
    assert world.source.remote == {"overnight-20261122-2": world.get(run).commit}
    assert [each.data["branch"] for each in world.posts() if each.kind is PostKind.BUILT] == ["overnight-20261122-2"]


async def leave_two_nights_owed(world: World) -> tuple[Run, Run]:
    """A fix of each, live and not on the remote."""
    world.source.remote_gone = True
    older = await world.answer(await world.crash("Map::Update"), GOOD)
    await world.pass_time(hours=24)
    newer = await world.answer(await world.crash("Spell::Cast"), OTHER)
    await world.pass_time(minutes=3)
    assert {each.name for each in world.store.list_owed_branches()} == {"overnight-20261122", "overnight-20261123"}
    return world.expect(older, RunState.SUCCEEDED), world.expect(newer, RunState.SUCCEEDED)


async def test_an_earlier_nights_branch_that_diverged_takes_no_other_nights_place(world: World) -> None:
    older, newer = await leave_two_nights_owed(world)
    world.source.remote_gone = False
    world.source.diverged.add("overnight-20261122")
    await world.pass_time(minutes=1)
    assert world.source.remote == {"overnight-20261122-2": older.commit, "overnight-20261123": newer.commit}
    assert (world.get(older).branch, world.get(older).pushed) == ("overnight-20261122-2", True)
    assert world.source.checked_out == newer.commit
    third = await world.answer(await world.crash("Loot::Roll"), Patch(files=(WholeFile("src/Loot.cpp", "good"),)))
    assert (third.branch, third.base) == ("overnight-20261123", newer.commit)


async def test_a_branch_that_diverged_leaves_an_earlier_nights_push_owed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, newer = await leave_two_nights_owed(world)
    publish = world.source.publish

    def refuse_the_older(branch: str, head: str, known: str | None) -> Pushed | Diverged:
        if branch == "overnight-20261122":
            raise RemoteUnreachable("it is refused")
        return publish(branch, head, known)

    monkeypatch.setattr(world.source, "publish", refuse_the_older)
    world.source.remote_gone = False
    world.source.diverged.add("overnight-20261123")
    await world.pass_time(minutes=1)
    assert world.source.remote == {"overnight-20261123-2": newer.commit}
    assert [each.name for each in world.store.list_owed_branches()] == ["overnight-20261122"]


async def test_the_base_moves_only_by_an_operators_order(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    newer = world.source.add_to_base({"src/Chat.cpp": "theirs"})
    await world.pass_time(hours=1)
    assert world.running == world.get(run).commit
    assert isinstance(await world.orders.update(OPERATOR), Done)
    await world.settle()
    await world.pass_time(minutes=3)
    update = next(each for each in world.runs() if each.kind is RunKind.UPDATE)
    assert world.expect(update, RunState.SUCCEEDED).commit == world.running
    files = world.source.commits[world.running or ""].files
    assert (files["src/Chat.cpp"], files["src/Map.cpp"]) == ("theirs", "good")
    assert newer not in world.source.remote.values()


async def test_a_base_that_has_not_moved_is_no_update(world: World) -> None:
    outcome = await world.orders.update(OPERATOR)
    assert isinstance(outcome, Impossible)
    assert outcome.reason.startswith(
        "Nothing was changed: `bbbbbbbbbbbb` (committed <2026-11-22T22:00:00Z>), the head of the base"
    )


async def test_what_keeps_the_source_from_being_ready_stands_on_the_card_of_what_waits_for_it(world: World) -> None:
    run = await world.crash("Map::Update")
    world.tools.prepared.clear()
    world.tools.degraded["source"] = "source: cannot lock ref: make room"
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.READY).reason == "source: cannot lock ref: make room"
    world.tools.prepared.set()
    del world.tools.degraded["source"]
    await world.pass_time(seconds=10)
    assert world.expect(run, RunState.VERIFYING).reason is None
