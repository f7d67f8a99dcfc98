"""What people order of runs and of the base, in the fake world."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from world import BASE, BOB, GOOD, OPERATOR, OTHER, World

from bot.cards import render_card
from bot.records import fate
from pipeline import run_orders
from pipeline.model import (
    Approval,
    Diagnostic,
    Done,
    FixState,
    Impossible,
    Outcome,
    Patch,
    Run,
    RunKind,
    RunState,
    WholeFile,
)
from pipeline.read_models import UpdatePlan
from pipeline.traces import Trace

MORE = Patch(files=(WholeFile("src/Spell.cpp", "good three"),))
BROKEN = Patch(files=(WholeFile("src/Map.cpp", "broken"),))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await World(tmp_path).start()
    yield world
    world.engine.dispose()


@pytest.fixture
async def careful(tmp_path: Path) -> AsyncIterator[World]:
    """A realm where nothing goes live before somebody says so."""
    world = await World(tmp_path, {"approval": Approval.DEPLOY}).start()
    yield world
    world.engine.dispose()


def why(outcome: Outcome) -> str:
    assert isinstance(outcome, Impossible), outcome
    return outcome.reason


def find(world: World, outcome: Outcome) -> Run:
    assert isinstance(outcome, Done) and outcome.run is not None, outcome
    found = world.store.get_run(outcome.run)
    assert found is not None
    return found


# --- approve and reject ----------------------------------------------------------------------------------------------


async def test_approving_a_build_approves_and_names_what_it_contains(careful: World) -> None:
    one, two = await careful.crash("Map::Update"), await careful.crash("Spell::Cast")
    await careful.answer(one, GOOD)
    await careful.pass_time(seconds=1)
    await careful.answer(two, OTHER)
    assert await careful.orders.approve(two.id, OPERATOR) == Done(
        "Its build may go live. Its build contains these too, which are approved with it: `Map::Update`.",
        run=two.id,
        subject=two.subject,
    )
    await careful.settle()
    careful.expect(one, RunState.VERIFYING)
    careful.expect(two, RunState.VERIFYING)


async def test_approving_what_came_first_says_nothing_of_what_came_after(careful: World) -> None:
    one, two = await careful.crash("Map::Update"), await careful.crash("Spell::Cast")
    await careful.answer(one, GOOD)
    await careful.pass_time(seconds=1)
    await careful.answer(two, OTHER)
    assert await careful.orders.approve(one.id, OPERATOR) == Done(
        "Its build may go live.", run=one.id, subject=one.subject
    )
    await careful.settle()
    careful.expect(one, RunState.VERIFYING)
    careful.expect(two, RunState.AWAITING_APPROVAL)


async def test_what_asks_for_nothing_cannot_be_approved(world: World) -> None:
    run = await world.crash("Map::Update")
    assert (
        why(await world.orders.approve(run.id, OPERATOR)) == f"Run `{run.id}` asks for nothing: it is with the analyst."
    )
    assert why(await world.orders.approve("nonsense", OPERATOR)) == "There is no run `nonsense`."


async def test_a_change_that_is_rejected_while_its_deployment_is_announced_does_not_go_live(world: World) -> None:
    world.players.online = 3
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    active = world.store.get_active_deployment()
    assert active is not None and active.state == "announcing"
    await world.orders.reject(run.id, BOB, "not tonight")
    await world.settle()
    world.players.online = 0
    await world.pass_time(minutes=1)
    await world.pass_time(minutes=3)
    assert world.expect(run, RunState.CANCELLED).reason == "rejected by Bob: not tonight"
    assert world.running is None, "the server was not touched"
    head = world.source.remote["overnight-20261122"]
    assert world.source.commits[head].files["src/Map.cpp"] == "bad"


# --- cancel ----------------------------------------------------------------------------------------------------------


async def test_a_run_whose_analyst_is_being_asked_is_cancelled_and_a_late_answer_is_refused(world: World) -> None:
    run = await world.crash("Map::Update")
    assert await world.orders.cancel_run(run.id, OPERATOR) == Done(run=run.id, subject=run.subject)
    assert world.expect(run, RunState.CANCELLED).reason == "cancelled by Ann"
    assert why(await world.orders.reject(run.id, OPERATOR, "")) == (
        f"Run `{run.id}` is over already: it was cancelled by Ann."
    )
    await world.answer(run, GOOD)
    world.expect(run, RunState.CANCELLED)
    assert len(world.analyst.rejected) == 1


async def test_a_run_that_builds_is_cancelled_and_leaves_the_branch_as_it_was(world: World) -> None:
    world.builder.fault = "the disk is full"
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    waiting = world.get(run)
    if waiting.state is not RunState.BUILDING:
        world.store.advance(waiting, RunState.READY, world.clock.now())
        world.store.advance(world.get(run), RunState.PATCHING, world.clock.now())
        world.store.advance(world.get(run), RunState.BUILDING, world.clock.now(), commit="c" * 40)
    assert isinstance(await world.orders.cancel_run(run.id, OPERATOR), Done)
    world.builder.fault = None
    await world.settle()
    world.expect(run, RunState.CANCELLED)
    assert world.source.remote == {}
    other = await world.crash("Spell::Cast")
    await world.answer(other, OTHER)
    files = world.source.commits[world.expect(other, RunState.VERIFYING).commit or ""].files
    assert files["src/Map.cpp"] == "bad"


async def test_what_is_live_is_not_cancelled_but_the_way_is_named(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert why(await world.orders.cancel_run(run.id, OPERATOR)) == (
        f"Run `{run.id}` is live and being watched: too late for that. `/revert` or `/rollback` takes it back."
    )
    await world.pass_time(minutes=3)
    assert why(await world.orders.cancel_run(run.id, OPERATOR)) == f"Run `{run.id}` is live: `/revert` takes it back."


async def test_what_is_built_and_cancelled_is_reverted_on_the_branch(careful: World) -> None:
    run = await careful.crash("Map::Update")
    await careful.answer(run, GOOD)
    careful.expect(run, RunState.AWAITING_APPROVAL)
    done = await careful.orders.cancel_run(run.id, OPERATOR)
    await careful.settle()
    revert = next(each for each in careful.runs() if each.kind is RunKind.REVERT)
    words = f"It was built and committed already: run `{revert.id}` reverts it."
    assert done == Done(words, run=revert.id, subject=run.subject)
    assert careful.expect(run, RunState.CANCELLED).reason == "cancelled by Ann"
    head = careful.source.remote["overnight-20261122"]
    assert careful.source.commits[head].files["src/Map.cpp"] == "bad"


async def test_what_asks_to_go_live_keeps_its_branch_over_noon_so_that_it_can_be_taken_out_of_what_is_above(
    careful: World,
) -> None:
    rejected, other = await careful.crash("Map::Update"), await careful.crash("Spell::Cast")
    await careful.answer(rejected, GOOD)
    await careful.answer(other, OTHER)
    await careful.pass_time(hours=20)
    third = await careful.answer(await careful.crash("Loot::Roll"), MORE)
    assert careful.get(third).branch == careful.get(other).branch == "overnight-20261122"
    revert = find(careful, await careful.orders.reject(rejected.id, BOB, "no"))
    await careful.settle()
    assert careful.expect(revert, RunState.AWAITING_DEPLOYMENT).branch == "overnight-20261122"
    await careful.orders.approve(third.id, OPERATOR)
    await careful.settle()
    await careful.pass_time(minutes=3)
    files = careful.source.commits[careful.running or ""].files
    assert files == {"src/Map.cpp": "bad", "src/Spell.cpp": "good three"}
    assert {careful.expect(each, RunState.SUCCEEDED).reason for each in (other, third, revert)} == {None}


async def test_the_only_one_of_last_night_that_is_rejected_is_reverted_on_its_own_branch(careful: World) -> None:
    run = await careful.answer(await careful.crash("Map::Update"), GOOD)
    await careful.pass_time(hours=20)
    revert = find(careful, await careful.orders.reject(run.id, BOB, "no"))
    await careful.settle()
    assert careful.expect(revert, RunState.SUCCEEDED).branch == "overnight-20261122"
    head = careful.source.remote["overnight-20261122"]
    assert careful.source.commits[head].files["src/Map.cpp"] == "bad"
    other = await careful.answer(await careful.crash("Spell::Cast"), OTHER)
    assert careful.get(other).branch == "overnight-20261123"


# --- a revert of a revert --------------------------------------------------------------------------------------------


async def test_what_was_taken_back_and_put_back_counts_as_fixed_everywhere(world: World) -> None:
    fix = await world.answer(await world.crash("Map::Update"), GOOD)
    await world.pass_time(minutes=3)
    commit = world.get(fix).commit or ""
    for _ in range(2):  # the fix, then its revert
        await world.orders.revert(world.runs("Map::Update")[-1].commit or "", OPERATOR)
        await world.settle()
        await world.pass_time(minutes=3)
    assert world.source.commits[world.running or ""].files["src/Map.cpp"] == "good"
    assert world.expect(fix, RunState.SUCCEEDED).fix_state is FixState.WATCHING
    (line,) = (await world.orders.list_crashes(1)).lines
    assert line.run and line.run.id == fix.id and fate(line) == f"fixed in [`{commit[:7]}`]({world.source.url(commit)})"
    summary = await world.orders.summary(None)
    assert ([each.commit for each in summary.fixed], summary.undone) == ([commit], ())
    card = render_card(world.ledger.get_card_view(world.store.get_card_of_run(fix.id)))
    assert card.embed and card.embed.title == "Put back: Map::Update"
    assert [each.reverted for each in await world.orders.list_fixes()] == [False]


# --- retry -----------------------------------------------------------------------------------------------------------


async def test_a_retry_asks_again_and_tells_the_analyst_what_became_of_it(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.orders.reject(run.id, BOB, "wrong lock")
    done = await world.orders.retry(run.id, OPERATOR)
    assert isinstance(done, Done) and done.run is not None
    await world.settle()
    again = find(world, done)
    assert (again.retry_of, again.asked_by) == (run.id, "Ann")
    (before,) = world.analyst.requests[again.request_id or ""]["previous_attempts"]
    assert before["what"] == "a person asked again after it was CANCELLED"
    assert before["detail"] == "rejected by Bob: wrong lock"
    await world.answer(again, GOOD)
    await world.pass_time(minutes=3)
    world.expect(again, RunState.SUCCEEDED)


async def test_a_retry_while_paused_says_that_it_goes_through_and_does(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.orders.reject(run.id, BOB, "wrong lock")
    await world.orders.pause(BOB, "raid")
    done = await world.orders.retry(run.id, OPERATOR)
    assert isinstance(done, Done)
    assert done.text == "The pipeline is paused: it is asked now, and what comes back waits for `/resume`."
    await world.settle()
    assert find(world, done).request_id in world.analyst.requests


async def test_a_retry_of_a_proposal_closes_it(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, None, prose="Defer it.")
    world.expect(run, RunState.PROPOSED)
    done = await world.orders.retry(run.id, OPERATOR)
    assert isinstance(done, Done)
    assert world.expect(run, RunState.CANCELLED).reason == f"tried again as run {done.run}, asked for by Ann"


async def test_a_second_retry_names_the_run_that_works_on_it(world: World) -> None:
    world.builder.broken["broken"] = (Diagnostic("'x' was not declared", "src/Map.cpp", 3),)
    run = await world.crash("Map::Update")
    for _ in range(3):
        await world.answer(run, BROKEN)
    world.expect(run, RunState.FAILED)
    done = await world.orders.retry(run.id, OPERATOR)
    assert isinstance(done, Done)
    assert (
        why(await world.orders.retry(run.id, BOB))
        == f"Run `{done.run}` works on the same already: it is with the analyst."
    )


async def test_what_another_run_has_proposed_is_not_tried_again_beside_it(world: World) -> None:
    """A late answer would reopen that one."""
    run = await world.crash("Map::Update")
    await world.orders.reject(run.id, BOB, "wrong lock")
    proposed = await world.crash("Map::Update")
    await world.answer(proposed, None, prose="Defer it.")
    assert why(await world.orders.retry(run.id, OPERATOR)) == (
        f"Run `{proposed.id}` is about the same and waits for a person: `/retry {proposed.id}` asks anew, "
        f"`/reject {proposed.id}` closes it."
    )
    assert isinstance(await world.orders.retry(proposed.id, OPERATOR), Done)


async def test_a_crash_that_is_judged_while_somebody_asks_again_begins_no_second_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await world.crash("Map::Update")
    await world.orders.reject(run.id, BOB, "wrong lock")
    trace = world.source.trace
    begun: list[Run] = []

    def ask_again(*arguments: Any) -> Trace:
        if not begun:
            begun.append(find(world, run_orders.retry(world.tools, run.id, "Ann")))
        return trace(*arguments)

    monkeypatch.setattr(world.source, "trace", ask_again)
    await world.die("Map::Update")
    await world.settle()
    assert [each.id for each in world.runs("Map::Update")] == [run.id, begun[0].id]
    assert [crash.judged for crash in world.store.list_crash_rows(run.night)] == ["run", "being worked on"]


async def test_what_is_under_way_or_live_is_not_tried_again(world: World) -> None:
    run = await world.crash("Map::Update")
    assert why(await world.orders.retry(run.id, OPERATOR)) == (
        f"Run `{run.id}` is with the analyst: there is nothing to try again."
    )


async def test_what_an_operator_rolled_back_can_be_tried_again_in_the_pause(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    await world.orders.roll_back(OPERATOR, world.get(run).commit or "", "")
    await world.settle()
    world.expect(run, RunState.ROLLED_BACK)
    done = await world.orders.retry(run.id, OPERATOR)
    await world.settle()
    assert find(world, done).request_id in world.analyst.requests, "what a person ordered passes the pause"


async def test_a_revert_that_failed_is_tried_again(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    world.source.refuse = "it conflicts"
    await world.orders.revert(world.get(run).commit or "", OPERATOR)
    await world.settle()
    revert = next(each for each in world.runs() if each.kind is RunKind.REVERT)
    world.expect(revert, RunState.FAILED)
    world.source.refuse = None
    assert isinstance(await world.orders.retry(revert.id, BOB), Done)
    await world.settle()
    await world.pass_time(minutes=3)
    assert world.source.commits[world.running or ""].files["src/Map.cpp"] == "bad"


# --- the base --------------------------------------------------------------------------------------------------------


async def test_an_update_shows_what_comes_with_it_and_takes_what_was_shown(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    shown = world.source.add_to_base({"src/Chat.cpp": "theirs"})
    plan = await world.orders.plan_update()
    assert isinstance(plan, UpdatePlan)
    assert (plan.head, plan.here, plan.branch) == (shown, world.get(run).commit, "overnight-20261122")
    assert (plan.commits, plan.subjects) == (1, ((shown, "theirs"),))
    assert (plan.checkout, plan.base) == (str(world.tools.realm.source_dir), "main")
    world.source.add_to_base({"src/Chat.cpp": "later"})
    await world.orders.update(OPERATOR, shown)
    await world.settle()
    await world.pass_time(minutes=3)
    assert world.source.commits[world.running or ""].files["src/Chat.cpp"] == "theirs"


async def test_an_update_without_anything_new_names_the_checkout_that_it_looked_at(world: World) -> None:
    said = await world.orders.plan_update()
    assert said == Impossible(
        f"Nothing was changed: `{BASE[:12]}` (committed <2026-11-22T22:00:00Z>), the head of the base branch in the "
        f"checkout `{world.realm.source_dir}`, is in what runs already. "
        "Its remote was not asked: `git pull` there brings what is newer."
    )


async def test_an_update_that_the_night_branch_has_already_names_that_branch(world: World) -> None:
    await world.answer(await world.crash("Map::Update"), GOOD)
    await world.pass_time(minutes=3)
    said = await world.orders.plan_update()
    assert isinstance(said, Impossible) and "is in `overnight-20261122` already." in said.reason


async def test_an_update_that_conflicts_is_refused_before_anything_is_ordered(world: World) -> None:
    world.source.add_to_base({"src/Chat.cpp": "theirs"})
    world.source.refuse = "b1b2b3 conflicts with the night's fixes in `src/Map.cpp`"
    assert await world.orders.plan_update() == Impossible(
        "b1b2b3 conflicts with the night's fixes in `src/Map.cpp`. Merge it by hand, or revert those fixes first."
    )
    assert world.runs() == []


async def test_an_update_is_tried_again_with_the_base_as_it_is_then(world: World) -> None:
    world.source.add_to_base({"src/Chat.cpp": "theirs"})
    world.source.refuse = "it conflicts"
    await world.orders.update(OPERATOR)
    await world.settle()
    (update,) = world.runs()
    world.expect(update, RunState.FAILED)
    world.source.refuse = None
    assert isinstance(await world.orders.retry(update.id, BOB), Done)
    await world.settle()
    await world.pass_time(minutes=3)
    assert world.source.commits[world.running or ""].files["src/Chat.cpp"] == "theirs"


async def test_what_is_tried_again_days_later_is_of_the_night_in_which_that_was_ordered(world: World) -> None:
    """So `/revert` offers its fix, and it uses up what that night may ask."""
    first = await world.answer(await world.crash("Map::Update"), None, prose="no idea")
    await world.orders.reject(first.id, OPERATOR, "")
    await world.pass_time(days=5)
    tonight = world.tools.night()
    assert isinstance(await world.orders.retry(first.id, OPERATOR), Done)
    await world.settle()
    again = world.runs("Map::Update")[-1]
    assert (again.night, world.store.count_requests(tonight)) == (tonight, 1)
    assert world.store.get_card_of_run(again.id) == world.store.get_card_of_run(first.id)
    await world.answer(again, GOOD)
    await world.pass_time(minutes=3)
    assert [each.commit for each in await world.orders.list_fixes()] == [world.expect(again, RunState.SUCCEEDED).commit]


async def test_what_fails_again_days_later_needs_a_person_again(world: World) -> None:
    world.builder.broken["broken"] = (Diagnostic("'x' was not declared", "src/Map.cpp", 3),)
    first = await world.answer(await world.crash("Map::Update"), None, prose="no idea")
    await world.orders.reject(first.id, OPERATOR, "")
    await world.pass_time(days=5)
    await world.orders.retry(first.id, OPERATOR)
    await world.settle()
    again = world.runs("Map::Update")[-1]
    for _ in range(3):
        await world.answer(world.get(again), BROKEN)
    world.expect(again, RunState.FAILED)
    assert [need.run for need in (await world.orders.summary(None)).needs] == [again.id]
