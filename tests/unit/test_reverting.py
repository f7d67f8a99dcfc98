"""A fix that is taken back by order, and its crash that comes again meanwhile."""

import pytest
from world import GOOD, OPERATOR, OTHER, World

from pipeline.model import Done, FixState, Impossible, RunKind, RunState, Verdict


async def test_revert_takes_a_good_fix_back(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    commit = world.get(run).commit or ""
    done = await world.orders.revert(commit[:10], OPERATOR)
    assert isinstance(done, Done)
    await world.settle()
    await world.pass_time(minutes=3)
    revert = next(each for each in world.runs() if each.kind is RunKind.REVERT)
    assert world.expect(revert, RunState.SUCCEEDED).commit == world.running
    assert world.source.commits[world.running or ""].files["src/Map.cpp"] == "bad"
    assert world.get(run).fix_state is FixState.REVERTED
    assert isinstance(await world.orders.revert(commit, OPERATOR), Impossible)
    assert revert.fix_state is None
    again = await world.crash("Map::Update")
    assert world.expect(again, RunState.ANALYZING).retry_of is None


async def test_a_crash_while_the_revert_of_its_fix_is_watched_is_asked_about(world: World) -> None:
    """Who took the fix back knows that the crash is there again: nobody works on it, and no fix is to come."""
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    await world.orders.revert(world.get(run).commit or "", OPERATOR)
    await world.settle()
    revert = world.expect(next(each for each in world.runs() if each.kind is RunKind.REVERT), RunState.VERIFYING)
    again = await world.crash("Map::Update")
    assert again.kind is RunKind.FIX
    world.expect(again, RunState.ANALYZING)
    previous = world.analyst.requests[again.request_id or ""]["previous_attempts"]
    assert [(each["run"], each["what"]) for each in previous] == [
        (run.id, "reverted by an operator"), (revert.id, RunState.VERIFYING),
    ]  # fmt: skip
    await world.pass_time(minutes=3)
    assert world.expect(revert, RunState.SUCCEEDED).verdict is Verdict.INCONCLUSIVE
    assert world.get(run).fix_state is FixState.REVERTED
    await world.answer(again, OTHER)
    await world.pass_time(minutes=3)
    assert world.expect(again, RunState.SUCCEEDED).fix_state is FixState.WATCHING


async def test_a_crash_while_the_revert_of_its_fix_is_built_shows_that_the_fix_is_none(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    await world.orders.revert(world.get(run).commit or "", OPERATOR)
    again = await world.crash("Map::Update")
    assert again.kind is RunKind.FIX
    assert world.get(run).fix_state is FixState.RECURRED


async def test_a_fix_that_is_taken_out_while_its_crash_is_judged_stays_taken_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    holds_fix = world.source.holds_fix

    def take_out(revision: str, fix: str, of: str) -> bool:
        world.store.set_fix_state(run.id, FixState.REVERTED, world.clock.now())
        return holds_fix(revision, fix, of)

    monkeypatch.setattr(world.source, "holds_fix", take_out)
    await world.crash("Map::Update")
    assert world.get(run).fix_state is FixState.REVERTED


async def test_a_crash_while_its_fix_is_brought_back_is_being_worked_on(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    await world.orders.revert(world.get(run).commit or "", OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    revert = next(each for each in world.runs() if each.kind is RunKind.REVERT)
    await world.orders.revert(world.get(revert).commit or "", OPERATOR)
    await world.crash("Map::Update")
    assert len([each for each in world.runs("Map::Update") if each.kind is RunKind.FIX]) == 1
    assert [crash.judged for crash in world.store.list_crash_rows(run.night)][-1] == "being worked on"
