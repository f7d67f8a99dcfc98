"""What the runner decides, told over a fake world with a real database."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import postgres
import pytest
import sqlalchemy as sa
from world import BASE, BOB, GOOD, OPERATOR, OTHER, World

from pipeline import change_orders, crash_reports, history, intake, policy, status_views
from pipeline import tables as t
from pipeline.card_models import FixLink, PostKind
from pipeline.errors import Obstructed
from pipeline.keeper.protocol import EventKind, Hold, ServerState
from pipeline.model import (
    Analysis,
    Approval,
    BuildResult,
    CrashReport,
    Diagnostic,
    Done,
    Edit,
    FixState,
    Hindrance,
    Impossible,
    Patch,
    Progress,
    Question,
    Response,
    Run,
    RunKind,
    RunState,
    Signature,
    Verdict,
    WholeFile,
)
from pipeline.ports import Answer, ExitEvidence
from pipeline.runner import MOST_ATTEMPTS, Runner, apply_step, deploy_once, next_change, take_step
from pipeline.stages import rolling_back, wish
from pipeline.status_models import Topic
from pipeline.store import Fact
from pipeline.store.runs import CHUNK
from pipeline.tools import Passage, Tools

BROKEN = Patch(files=(WholeFile("src/Map.cpp", "broken"),))


DATABASES = ("sqlite", "postgresql") if postgres.is_expected() else ("sqlite",)


@pytest.fixture(params=DATABASES)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    cluster = request.getfixturevalue("cluster") if request.param == "postgresql" else None
    world = World(tmp_path, database=cluster and cluster.make_database())
    yield await world.start()
    world.engine.dispose()


async def test_a_crash_is_healed(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    world.expect(run, RunState.VERIFYING)
    await world.pass_time(minutes=3)
    healed = world.expect(run, RunState.SUCCEEDED)
    assert healed.verdict is Verdict.HEALTHY
    assert healed.fix_state is FixState.WATCHING
    assert world.running == healed.commit
    assert world.source.remote["overnight-20261122"] == healed.commit


async def test_invariant_12_a_secret_that_an_analyst_repeats_is_in_no_commit_and_no_post(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD, summary="The password is hunter2.")
    commit = world.source.commits[world.get(run).commit or ""]
    assert commit.message.startswith("fix(src): The password is ***\n")
    assert "hunter2" not in repr([post.data for post in world.posts()])


async def test_the_first_analysis_is_asked_for_once(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.crash("Map::Update")
    assert list(world.analyst.requests) == [run.request_id]
    assert len(world.runs()) == 1


async def test_fault_a6_what_does_not_compile_goes_back_twice_and_then_fails(world: World) -> None:
    world.builder.broken["broken"] = (Diagnostic("'x' was not declared", "src/Map.cpp", 3),)
    run = await world.crash("Map::Update")
    for number in ("", "-2", "-3"):
        assert world.expect(run, RunState.ANALYZING).request_id == f"{run.id}{number}"
        await world.answer(run, BROKEN)
    failed = world.expect(run, RunState.FAILED)
    assert failed.reason == "src/Map.cpp:3: error: 'x' was not declared"
    assert world.source.remote == {}
    assert world.source.branches["overnight-20261122"] == BASE
    assert world.analyst.requests[f"{run.id}-3"]["previous_attempts"]


async def test_the_queue_may_forget_runs_that_are_over_and_none_that_waits_for_anybody(world: World) -> None:
    over, proposed, waiting = [await world.crash(name) for name in ("Map::Update", "Spell::Cast", "Loot::Roll")]
    await world.answer(over, GOOD)
    world.source.refuse = "sql/ may not be changed"
    await world.answer(proposed, OTHER)
    await world.pass_time(minutes=10)
    world.expect(over, RunState.SUCCEEDED)
    await world.pass_time(hours=1)
    world.expect(proposed, RunState.PROPOSED)
    assert world.analyst.pruned == ({over.id}, {proposed.id, waiting.id})


async def test_a_refused_patch_is_a_persons_turn_and_a_better_answer_reopens_it(world: World) -> None:
    run = await world.crash("Map::Update")
    world.source.refuse = "sql/ may not be changed"
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.PROPOSED).reason == "sql/ may not be changed"
    world.source.refuse = None
    await world.answer(run, OTHER)
    world.expect(run, RunState.VERIFYING)


async def test_a_patch_that_holds_what_only_the_crash_itself_held_is_a_persons_turn(world: World) -> None:
    run = await world.crash("Map::Update")
    request = world.analyst.requests[run.request_id or ""]
    copied = Patch(files=(WholeFile("src/Map.cpp", f"// {request['canary']}| Ann says: add this line"),))
    await world.answer(run, copied)
    assert world.expect(run, RunState.PROPOSED).reason == "it holds the canary"
    await world.answer(run, GOOD)
    world.expect(run, RunState.VERIFYING)


async def test_each_time_that_the_analyst_is_asked_counts_for_the_nights_limit(tmp_path: Path) -> None:
    world = await World(tmp_path, {"analyst_nightly_limit": 3}).start()
    run = await world.crash("Map::Update")
    world.builder.broken = {word: (Diagnostic("an error"),) for word in ("broken", "broken again")}
    for word in world.builder.broken:
        await world.answer(run, Patch(files=(WholeFile("src/Map.cpp", word),)))
    assert len(world.analyst.requests) == 3
    other = await world.crash("Spell::Cast")
    reason = "ANALYST_NIGHTLY_LIMIT of 3 is used up: nobody was asked"
    assert (world.get(other).state, [*world.analyst.requests]) == (RunState.PROPOSED, [*world.analyst.requests][:3])
    assert reason in [note for _, _, _, note in world.store.history(other.id)]


async def test_fault_a4_prose_is_proposed_and_never_applied(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, None, prose="Defer it by 100 ms.")
    assert world.expect(run, RunState.PROPOSED).prose == "Defer it by 100 ms."
    assert world.store.history(run.id)[-1][2:] == ("PROPOSED", "answered in words")
    assert world.builder.built == []


async def test_fault_a5_a13_a_server_that_does_not_get_ready_is_rolled_back(world: World) -> None:
    run = await world.crash("Map::Update")
    bad = Patch(files=(WholeFile("src/Map.cpp", "dies at start"),))
    world.keeper.never_ready = _all_builds_of(world, "dies at start")
    await world.answer(run, bad)
    world.expect(run, RunState.ROLLED_BACK)
    assert world.running == "found-1"
    await _is_reverted_and_paused(world)
    assert [post.data["what"] for post in world.posts() if post.card is None] == ["paused"]  # its card says the rest


async def test_fault_b17_a_new_crash_in_the_soak_is_rolled_back_and_its_analysis_waits_behind_the_pause(
    world: World,
) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.die("Spell::Cast")
    world.expect(run, RunState.ROLLED_BACK)
    await _is_reverted_and_paused(world)
    assert world.runs("Spell::Cast") == [], "nothing that stays ever crashed so"
    again = next(each for each in world.runs("Map::Update") if each.retry_of == run.id)
    assert world.expect(again, RunState.ANALYZING).request_id not in world.analyst.requests
    assert isinstance(await world.orders.resume(OPERATOR), Done)
    await world.settle()
    request = world.analyst.requests[world.get(again).request_id or ""]
    assert request["base_commit"] == BASE
    (before,) = request["previous_attempts"]
    assert (before["commit"], before["what"]) == (world.get(run).commit, rolling_back.WORSE)
    (died,) = before["crashed_then"]
    assert died["signature"] == world.reader.read_name("Spell::Cast").exact
    assert died["frames"][0]["function"] == "Spell::Cast"
    assert [each.kind for each in world.runs()].count(RunKind.FIX) == 2


async def test_what_only_a_build_had_that_was_taken_back_is_asked_about_when_it_comes_again(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.die("Spell::Cast")
    await world.pass_time(minutes=3)
    assert world.running == "found-1"
    again = await world.crash("Spell::Cast")
    assert world.expect(again, RunState.ANALYZING).kind is RunKind.FIX


async def test_what_is_new_beside_what_was_known_is_asked_about_as_the_build_stays(world: World) -> None:
    """Of a deployment that crashed of what was known no verdict can blame it; both are read at once."""
    known = await world.crash("Spell::Cast")
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    for name in ("Spell::Cast", "Loot::Roll"):
        world.clock.time += timedelta(seconds=1)
        world.keeper.crash(name)
    await world.settle()
    await world.pass_time(minutes=3)
    assert world.expect(run, RunState.SUCCEEDED).verdict is Verdict.INCONCLUSIVE
    assert world.running == world.get(run).commit
    (new,) = world.runs("Loot::Roll")
    assert [world.expect(each, RunState.ANALYZING).kind for each in (known, new)] == [RunKind.FIX] * 2


async def test_of_fixes_that_were_worse_together_each_is_asked_about_again(tmp_path: Path) -> None:
    world = await World(tmp_path, {"max_players_for_restart": 0}).start()
    both = await world.crash_until_all_go_live({"Map::Update": GOOD, "Spell::Cast": OTHER})
    await world.die("Loot::Roll")
    await world.pass_time(minutes=3)
    for run in both:
        world.expect(run, RunState.ROLLED_BACK)
        (again,) = [each for each in world.runs(run.subject) if each.retry_of == run.id]
        assert world.store.get_previous(again.id)[-1]["what"] == rolling_back.ONE_OF_THEM


async def _is_reverted_and_paused(world: World) -> None:
    revert = next(run for run in world.runs() if run.kind is RunKind.REVERT)
    assert world.expect(revert, RunState.SUCCEEDED).commit == world.source.remote["overnight-20261122"]
    assert world.source.commits[revert.commit or ""].files["src/Map.cpp"] == "bad"
    pause = world.store.get_pause()
    assert pause is not None
    assert pause.reason.startswith("rolled back: ")
    assert world.running == "found-1"


def _all_builds_of(world: World, word: str) -> set[str]:
    class Builds(set[str]):
        def __contains__(self, build: object) -> bool:
            made = world.source.commits.get(str(build))
            return made is not None and word in made.files.values()

    return Builds()


async def test_its_own_crash_again_is_not_cured_and_the_build_stays(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.crash("Map::Update")
    failed = world.expect(run, RunState.FAILED)
    assert failed.verdict is Verdict.NOT_CURED
    assert world.running == failed.commit
    again = world.runs("Map::Update")[-1]
    assert again.retry_of == run.id
    assert world.analyst.requests[again.request_id or ""]["previous_attempts"]


async def test_a_known_crash_in_the_soak_is_inconclusive_and_no_fallback(world: World) -> None:
    await world.crash("Spell::Cast")
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.crash("Spell::Cast")
    assert world.expect(run, RunState.SUCCEEDED).verdict is Verdict.INCONCLUSIVE
    healthy = world.store.get_last_healthy()
    assert healthy is not None
    assert healthy.build == "found-1"


async def test_fault_b15_an_environment_fault_asks_no_analyst(world: World) -> None:
    world.keeper.crash("port in use")
    await world.settle()
    assert world.runs() == []
    assert world.analyst.requests == {}


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


async def test_paused_stays_paused_over_a_restart(world: World) -> None:
    await world.orders.pause(OPERATOR, "sleeping")
    world.restart()
    run = await world.crash("Map::Update")
    assert world.analyst.requests == {}
    world.expect(run, RunState.ANALYZING)


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


async def test_approval_of_the_patch(tmp_path: Path) -> None:
    world = await World(tmp_path, {"approval": Approval.PATCH}).start()
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.AWAITING_APPROVAL).question is Question.PATCH
    assert world.builder.built == []
    await world.orders.approve(run.id, OPERATOR)
    await world.settle()
    world.expect(run, RunState.VERIFYING)


async def test_approval_of_the_deployment_and_its_rejection(tmp_path: Path) -> None:
    world = await World(tmp_path, {"approval": Approval.DEPLOY}).start()
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.AWAITING_APPROVAL).question is Question.DEPLOY
    await world.orders.reject(run.id, OPERATOR, "not tonight")
    await world.settle()
    assert world.expect(run, RunState.CANCELLED).reason == "rejected by Ann: not tonight"
    head = world.source.remote["overnight-20261122"]
    assert world.source.commits[head].files["src/Map.cpp"] == "bad"


async def test_an_unknown_base_is_asked_about(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keeper.revision = "f" * 12 + "+"
    await world.start()
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.AWAITING_APPROVAL).question is Question.BASE
    card = world.store.get_card_of_run(run.id)
    assert world.ledger.get_card_view(card).base == FixLink(BASE, f"https://example.org/commit/{BASE}", None)
    await world.orders.approve(run.id, OPERATOR)
    await world.settle()
    world.expect(run, RunState.VERIFYING)
    assert world.ledger.get_card_view(card).base is None


async def test_a_second_tap_on_approve_says_nothing_to_the_question_that_comes_next(tmp_path: Path) -> None:
    world = World(tmp_path, {"approval": Approval.PATCH})
    world.keeper.revision = "f" * 12 + "+"
    await world.start()
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    asked = world.expect(run, RunState.AWAITING_APPROVAL).asks
    assert asked == "base-0"
    assert isinstance(await world.orders.approve(run.id, OPERATOR, asked), Done)
    await world.settle()
    assert world.expect(run, RunState.AWAITING_APPROVAL).question is Question.PATCH
    assert await world.orders.approve(run.id, OPERATOR, asked) == Impossible(
        f"Run `{run.id}` asks something else by now: look at its card again."
    )
    await world.settle()
    world.expect(run, RunState.AWAITING_APPROVAL)
    assert world.builder.built == [], "nobody has seen its diff yet"


def thread_of(world: World, run: Run) -> list[PostKind]:
    """What the thread of a run's card says, in its order."""
    card = world.store.get_card_of_run(run.id)
    return [post.kind for post in world.posts() if post.card == card]


async def test_whoever_is_asked_about_a_patch_has_its_diff_before_the_question_and_never_twice(tmp_path: Path) -> None:
    world = await World(tmp_path, {"approval": Approval.PATCH}).start()
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.AWAITING_APPROVAL).question is Question.PATCH
    assert thread_of(world, run) == [PostKind.BACKTRACE, PostKind.ANALYSIS, PostKind.PATCH]
    await world.orders.approve(run.id, OPERATOR)
    await world.settle()
    world.expect(run, RunState.VERIFYING)
    assert thread_of(world, run).count(PostKind.PATCH) == 1
    world.engine.dispose()


async def test_whoever_is_asked_about_a_refused_proposal_sees_what_was_proposed(world: World) -> None:
    run = await world.crash("Map::Update")
    world.source.refuse = "sql/ may not be changed"
    proposed = Patch(edits=(Edit("sql/a.sql", "old hunter2", "new"),))
    await world.answer(run, proposed)
    world.expect(run, RunState.PROPOSED)
    kinds = [PostKind.BACKTRACE, PostKind.ANALYSIS, PostKind.PATCH, PostKind.REFUSED]
    assert thread_of(world, run) == kinds
    diff = next(post.data["diff"] for post in world.posts() if post.kind is PostKind.PATCH)
    assert diff == "--- sql/a.sql\n+++ sql/a.sql\n@@ as proposed @@\n-old ***\n+new\n"


async def test_a_patch_that_a_pause_sent_back_is_shown_once(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.orders.pause(OPERATOR, "")
    await world.answer(run, GOOD)
    waiting = world.expect(run, RunState.READY)
    assert apply_step(world.tools, waiting, take_step(world.tools, replace(waiting, answered=(policy.NOW,)), Passage()))
    assert next_change(world.tools) is None
    world.expect(run, RunState.READY)
    await world.orders.resume(OPERATOR)
    await world.settle()
    world.expect(run, RunState.VERIFYING)
    assert thread_of(world, run).count(PostKind.PATCH) == 1


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


async def test_fault_b13_a_crash_of_an_older_binary_does_not_reopen_a_fix(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    assert world.keeper.now is not None
    world.keeper.start("found-1", None)  # somebody put the old binary back by hand
    await world.crash("Map::Update")
    assert len(world.runs("Map::Update")) == 1
    assert world.get(run).fix_state is FixState.WATCHING


async def test_fault_b13_a_crash_with_the_fix_in_it_is_a_recurrence(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    again = await world.crash("Map::Update")
    assert again.id != run.id
    assert world.get(run).fix_state is FixState.RECURRED
    assert world.analyst.requests[again.request_id or ""]["previous_attempts"]


async def test_fault_a6_tries_are_bounded(world: World) -> None:
    for _ in range(5):
        run = await world.crash("Map::Update")
        if world.get(run).state is RunState.ANALYZING:
            await world.answer(run, Patch(files=(WholeFile("src/Map.cpp", f"{run.id}"),)))
    assert len(world.runs("Map::Update")) == world.realm.max_tries


async def test_fault_a6_an_answer_to_nobody_is_rejected_and_told_once(world: World) -> None:
    response = Response("deadbeef", Analysis(), GOOD)
    for _ in range(2):
        world.analyst.lying.append(Answer(Path("response_deadbeef.json"), "d", response, None, "deadbeef"))
        await world.settle()
    assert len(world.analyst.rejected) + len(world.analyst.completed) == 2
    told = [post for post in world.posts() if post.kind is PostKind.REJECTED_RESPONSE]
    assert len(told) == 1


async def test_the_answer_found_again_after_a_kill_is_only_moved(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    before = world.get(run)
    answer = world.analyst.completed[-1]
    world.analyst.lying.append(answer)
    await world.settle()
    assert world.get(run).commit == before.commit
    assert world.analyst.rejected == []


async def test_a_hold_is_told(world: World) -> None:
    world.keeper.hold(Hold.BREAKER)
    await world.settle()
    assert [post.data["what"] for post in world.posts() if post.kind is PostKind.SERVER] == ["held: breaker"]


async def test_fault_a10_a_restart_in_every_state_loses_nothing(tmp_path: Path) -> None:
    """The bot is killed after each single step of the lanes; the run ends as it would have."""
    for kill_after in range(1, 12):
        folder = tmp_path / str(kill_after)
        folder.mkdir()
        world = await World(folder).start()
        run = await world.crash("Map::Update")
        await _step_and_kill(world, kill_after)
        await world.pass_time(minutes=3)
        world.expect(run, RunState.SUCCEEDED)
        assert world.source.remote["overnight-20261122"] == world.get(run).commit
        assert sum(commit.run == run.id for commit in world.source.commits.values()) == 1


async def _step_and_kill(world: World, steps: int) -> None:
    request = world.runs("Map::Update")[-1].request_id or ""
    world.analyst.lying.append(Answer(Path("r.json"), "digest", Response(request, Analysis(), GOOD), None, request))
    for number in range(steps):
        if number == 0:
            intake.take_answers(world.tools)
        elif (change := next_change(world.tools)) is not None:
            step = take_step(world.tools, change, Passage())
            if number < steps - 1:  # the last one is killed between the act and the note of it
                apply_step(world.tools, change, step)
        else:
            intake.import_events(world.tools)
            deploy_once(world.tools)
    world.restart()
    await world.settle()


async def test_what_runs_is_built_once_before_the_first_crash(world: World) -> None:
    assert world.builder.warmed == [BASE]
    await world.pass_time(hours=1)
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


async def test_fault_a16_a_command_that_answers_heals_without_a_hand(world: World) -> None:
    world.analyst.has_command = True
    world.analyst.command_answer = GOOD
    run = await world.crash("Map::Update")
    world.expect(run, RunState.VERIFYING)
    assert world.analyst.commanded == [run.request_id]


async def test_a_command_that_fails_is_said_and_not_repeated(world: World) -> None:
    world.analyst.has_command = True
    run = await world.crash("Map::Update")
    await world.pass_time(minutes=5)
    assert world.expect(run, RunState.ANALYZING).reason == "the analyst gave no answer: it ended with code 1"
    assert world.analyst.commanded == [run.request_id]


async def crash_and_think(world: World) -> Run:
    """A crash about which the command thinks until it is ended."""
    world.analyst.has_command = world.analyst.thinks = True
    world.keeper.crash("Map::Update")
    while not world.analyst.thinking.is_set():
        await world.runner.tick()
        await asyncio.sleep(0)
    return world.runs("Map::Update")[-1]


async def test_what_the_report_alone_tells_is_posted_whoever_is_asked_and_whatever_he_answers(world: World) -> None:
    run = await crash_and_think(world)
    (post,) = [each for each in world.posts() if each.kind is PostKind.BACKTRACE]
    assert post.data["hypothesis"] == (
        "Memory that is not there was read or written in Map::Update at src/Map.cpp:132: a null or dangling pointer."
    )
    await world.answer(run, GOOD)


async def test_a_crash_whose_fix_is_on_its_way_is_not_asked_about_again(tmp_path: Path) -> None:
    world = await World(tmp_path, {"approval": Approval.DEPLOY}).start()
    world.analyst.has_command, world.analyst.command_answer = True, GOOD
    run = await world.crash("Map::Update")
    for _ in range(3):
        assert (await world.crash("Map::Update")).id == run.id
    world.expect(run, RunState.AWAITING_APPROVAL)
    assert world.analyst.commanded == [run.request_id] == [*world.analyst.requests]
    world.engine.dispose()


async def test_a_command_is_ended_when_somebody_else_has_answered(world: World) -> None:
    run = await crash_and_think(world)
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.VERIFYING).reason is None
    assert world.analyst.commanded == [run.request_id]


async def test_a_command_whose_run_is_taken_back_is_ended(world: World) -> None:
    run = await crash_and_think(world)
    assert isinstance(await world.orders.cancel_run(run.id, OPERATOR), Done)
    await world.settle()
    world.expect(run, RunState.CANCELLED)


async def test_a_command_that_thinks_holds_up_no_other_crash_and_no_other_answer(world: World) -> None:
    slow = await crash_and_think(world)
    world.analyst.thinks, world.analyst.command_answer = False, GOOD
    world.keeper.crash("Spell::Cast")
    while not (others := world.runs("Spell::Cast")) or others[-1].state is not RunState.VERIFYING:
        await world.runner.tick()
        await asyncio.sleep(0)
    world.expect(slow, RunState.ANALYZING)
    await world.answer(slow, OTHER)


async def test_a_restart_is_ordered_told_and_carried_out_when_due(world: World) -> None:
    world.players.online = 2
    starts = world.keeper.starts
    done = await world.orders.restart_server(OPERATOR, timedelta(seconds=60), "new maps")
    assert isinstance(done, Done)
    await world.pass_time(seconds=30)
    assert world.keeper.starts == starts
    assert world.console.said == ["announce Server restart in 30 seconds: new maps"]
    await world.pass_time(seconds=31)
    assert world.keeper.starts == starts + 1
    assert world.console.said[-1] == "saveall"


async def test_fault_b5_a_cancelled_restart_does_not_happen(world: World) -> None:
    starts = world.keeper.starts
    done = await world.orders.restart_server(OPERATOR, timedelta(seconds=60), "")
    assert isinstance(done, Done)
    assert isinstance(await world.orders.cancel_order(done.order or 0, OPERATOR), Done)
    await world.pass_time(minutes=2)
    assert world.keeper.starts == starts
    assert isinstance(await world.orders.cancel_order(done.order or 0, OPERATOR), Impossible)


async def test_a_second_restart_order_is_answered_with_the_first(world: World) -> None:
    starts = world.keeper.starts
    await world.orders.restart_server(OPERATOR, timedelta(seconds=60), "")
    second = await world.orders.restart_server(BOB, timedelta(seconds=90), "")
    assert second == Impossible(f"{OPERATOR} has ordered a restart already: it is due in 60 s.")
    await world.pass_time(minutes=3)
    assert world.keeper.starts == starts + 1


async def test_a_sooner_restart_order_takes_the_place_of_a_later_one(world: World) -> None:
    starts = world.keeper.starts
    await world.orders.restart_server(OPERATOR, timedelta(minutes=10), "")
    assert isinstance(await world.orders.restart_server(BOB, timedelta(), ""), Done)
    await world.settle()
    await world.pass_time(minutes=12)
    assert world.keeper.starts == starts + 1
    assert [post.data["by"] for post in world.posts() if post.kind is PostKind.ORDER] == [str(BOB)]


async def test_world_time_forward_an_order_that_is_over_five_minutes_late_has_lapsed_and_says_so(world: World) -> None:
    starts = world.keeper.starts
    await world.orders.restart_server(OPERATOR, timedelta(seconds=60), "")
    world.restart()
    await world.pass_time(minutes=7)
    assert world.keeper.starts == starts
    assert [post.data["what"] for post in world.posts() if post.kind is PostKind.ORDER] == ["lapsed"]


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


async def test_what_lay_there_before_the_first_start_is_known_and_never_analysed(tmp_path: Path) -> None:
    crashes = tmp_path / "Crashes"
    crashes.mkdir()
    (crashes / "old.txt").write_text("Map::Update")
    world = World(tmp_path, {"crash_dirs": (crashes,)})
    world.analyst.lying.append(Answer(Path("r.json"), "d", Response("old", Analysis(), GOOD), None, "old"))
    world.clock.time += timedelta(days=3650)  # later than the files of the test
    for _ in range(2):
        history.import_history(world.tools)
        history.import_old_reports(world.tools)
    await world.start()
    assert world.analyst.lying == []
    assert world.runs() == []
    assert world.posts() == []
    known = world.reader.read_name("None")
    assert world.store.count_crashes(known) == 1
    assert world.store.signature_is_known(known, "any build")


async def test_what_crashed_in_builds_alone_that_were_taken_back_is_told_from_what_never_crashed(world: World) -> None:
    first = await world.crash("Spell::Cast")
    await world.answer(first, GOOD)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=3)
    world.expect(first, RunState.ROLLED_BACK)
    assert world.store.was_only_taken_back(world.reader.read_name("Loot::Roll"))
    assert not world.store.was_only_taken_back(first.signature)
    assert not world.store.was_only_taken_back(Signature("never seen", "never seen", 1))
    assert not world.store.was_only_taken_back(None)


async def test_kinds_of_crashes_and_the_last_good_build_are_told_by_either_database(world: World) -> None:
    first = await world.answer(await world.crash("Map::Update"), GOOD)
    await world.pass_time(minutes=5)
    second = await world.answer(await world.crash("Spell::Cast"), OTHER)
    await world.pass_time(minutes=5)
    good, newer = (world.expect(run, RunState.SUCCEEDED).commit for run in (first, second))
    for _ in range(2):
        await world.die("World::Update")
    assert [(kind.title, times) for kind, times, _ in world.store.list_groups()] == [
        ("World::Update", 2), ("Spell::Cast", 1), ("Map::Update", 1),
    ]  # fmt: skip
    assert world.store.list_groups()[0][2] == world.clock.now()
    of_map, of_world = (world.reader.read_name(name) for name in ("Map::Update", "World::Update"))

    def last_good(signature: Signature | None, build: str | None) -> str | None:
        found = (world.store.get_fact(Fact.FOUND) or {})["build"]
        good = world.store.find_last_good(signature, build, found)
        return None if good is None else good.commit

    assert world.source.traced[-1][:2] == (newer, good), "as the crash's first analysis was told"
    assert (last_good(of_world, newer), last_good(of_world, "another")) == (good, good), "the newer one crashed so"
    assert (last_good(of_map, "another"), last_good(None, newer)) == (newer, good)
    assert last_good(of_map, newer) == good, "what lay there before us crashed so, and names no build"
    ends = [row.at.timestamp() for row in world.store.list_crash_rows(None)]
    world.store.import_history(*history.read_old_report(world.tools, (Path("old.txt"),), 1e9))
    lives = world.store.list_lives()
    assert [at for _, at in lives] == ends and all(began <= at for began, at in lives), "a report has no life"
    assert world.store.list_imported(["old.txt", "new.txt"]) == {"old.txt"}


async def test_a_report_that_is_imported_beside_the_runner_is_never_the_last_crash(tmp_path: Path) -> None:
    crashes = tmp_path / "Crashes"
    crashes.mkdir()
    (crashes / "old.txt").write_text("Map::Update")
    world = World(tmp_path, {"crash_dirs": (crashes,)})
    world.clock.time += timedelta(days=3650)  # later than the files of the test
    history.import_history(world.tools)
    await world.start()
    run = await world.crash("None")  # as the reader calls what has no output
    assert run.signature is not None
    last, title = world.store.find_last_crash(run.signature), world.store.find_last_title()
    history.import_old_reports(world.tools)
    assert world.store.count_crashes(run.signature) == 2
    assert last is not None and last.run == run.id
    assert (world.store.find_last_crash(run.signature), world.store.find_last_title()) == (last, title)
    with world.engine.begin() as c:
        (imported,) = c.execute(sa.select(t.crashes.c.exit).where(t.crashes.c.keeper == "file")).scalars()
    assert (imported["output"], imported["name"]) == (None, "old.txt"), "an output is a path"


async def test_one_crash_that_trips_over_a_bug_of_ours_hinders_no_other_and_is_its_own_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await World(tmp_path).start()
    world.runner = Runner(world.tools, lambda: None)
    read = world.reader.read

    def stumble(evidence: ExitEvidence) -> CrashReport:
        if str(evidence.output) == "Broken::Read":
            raise TypeError("a bug")
        return read(evidence)

    monkeypatch.setattr(world.reader, "read", stumble)
    world.keeper.crash("Broken::Read")
    world.keeper.crash("Map::Update")
    await world.runner.settle()
    assert [run.signature and run.signature.family for run in world.runs()] == ["access violation | Map::Update"]
    (broken,) = world.store.list_unjudged_crashes()
    topic = f"bug in crash {broken.id}"
    assert world.tools.degraded == {topic: f"a fault of ours in crash {broken.id}: TypeError; see the log"}
    for tries in range(1, 4):
        assert world.tools.stumbles[broken.id].tries == tries
        await world.runner.settle()
        assert world.tools.stumbles[broken.id].tries == tries, "not before its time"
        world.clock.time += timedelta(minutes=10)
        await world.runner.settle()
    assert world.store.list_unjudged_crashes() == []
    assert world.tools.degraded == {} and world.tools.stumbles == {}
    assert [run.signature and run.signature.exact for run in world.runs()][-1] == f"unknown | crash {broken.id}"


async def test_a_folder_by_the_name_of_a_report_and_one_that_is_not_there_are_no_reports(tmp_path: Path) -> None:
    (tmp_path / "Crashes" / "folder.txt").mkdir(parents=True)
    (tmp_path / "Crashes" / "Real.TXT").write_text("Map::Update")
    (tmp_path / "file").write_text("no folder")
    world = World(tmp_path, {"crash_dirs": (tmp_path / "gone", tmp_path / "file", tmp_path / "Crashes")})
    assert [path.name for path in crash_reports.new_reports(world.tools, 0.0, 1e12)] == ["Real.TXT"]


if sys.platform != "win32":

    async def test_a_link_that_leads_nowhere_and_a_pipe_among_the_crash_reports_break_and_hang_nothing(
        tmp_path: Path,
    ) -> None:
        folder = tmp_path / "Crashes"
        folder.mkdir()
        (folder / "dangling.txt").symlink_to("/nonexistent/x")
        (folder / "loop.txt").symlink_to("loop.txt")
        os.mkfifo(folder / "pipe.txt")
        (folder / "real.txt").write_text("Map::Update")
        world = World(tmp_path, {"crash_dirs": (folder,)})
        assert [path.name for path in crash_reports.new_reports(world.tools, 0.0, 1e12)] == ["real.txt"]
        history.import_history(world.tools)
        history.import_old_reports(world.tools)
        await world.start()
        await world.crash("Map::Update")


async def test_a_life_that_ended_unheard_is_not_healthy(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    heard = list(world.keeper.journal)
    world.clock.time += timedelta(minutes=1)
    world.keeper.crash("Map::Update")  # and its journal is not read before the soak is over
    late, world.keeper.journal = world.keeper.journal, heard
    await world.pass_time(minutes=2)
    world.expect(run, RunState.VERIFYING)
    world.keeper.journal = late
    await world.settle()
    assert world.expect(run, RunState.FAILED).verdict is Verdict.NOT_CURED


async def test_a_database_that_does_not_answer_degrades_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise OSError("database is locked")

    world = await World(tmp_path).start()
    world.runner = Runner(world.tools, lambda: None)
    with monkeypatch.context() as outage:
        outage.setattr(world.store, "list_runs_to_ask", gone)
        await world.runner.tick()
    assert world.tools.degraded == {"bug in analyses": "a fault of ours in analyses: OSError; see the log"}
    await world.runner.settle()
    assert world.tools.degraded == {}


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


async def between_lives(tmp_path: Path) -> tuple[World, Run]:
    """A fix is there for a server whose next life is not ready yet, before anybody knows what it is built from."""
    world = World(tmp_path)
    world.keeper.revision = ""
    await world.start()
    run = await world.crash("Map::Update")
    assert world.keeper.now is not None
    world.keeper.now = replace(world.keeper.now, state=ServerState.STARTING, revision=None, ready_at=None)
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.READY).reason == (
        "waits until the server is up again and says what it is built from"
    )
    return world, run


async def test_nobody_is_asked_for_a_base_that_the_server_will_tell(tmp_path: Path) -> None:
    world, run = await between_lives(tmp_path)
    assert world.keeper.now is not None
    world.keeper.now = replace(world.keeper.now, state=ServerState.READY, revision=BASE[:12])
    await world.pass_time(seconds=10)
    assert world.get(run).branch == "overnight-20261122"


async def test_a_server_that_does_not_come_up_may_need_this_very_fix_and_somebody_is_asked(tmp_path: Path) -> None:
    world, run = await between_lives(tmp_path)
    await world.pass_time(minutes=3)
    assert world.expect(run, RunState.AWAITING_APPROVAL).question is Question.BASE


async def test_what_was_built_above_a_fix_that_cannot_be_taken_out_never_brings_it_back(world: World) -> None:
    bad = await world.crash("Map::Update")
    other = await world.crash("Spell::Cast")
    await world.answer(bad, GOOD)
    world.expect(bad, RunState.VERIFYING)
    await world.answer(other, OTHER)
    world.expect(other, RunState.AWAITING_DEPLOYMENT)
    world.source.refuse = "the lines were changed since"
    await world.die("Loot::Roll")
    await world.pass_time(minutes=1)
    world.expect(bad, RunState.ROLLED_BACK)
    assert "`/retry` asks for another" in (world.expect(other, RunState.FAILED).reason or "")
    world.source.refuse = None
    await world.orders.resume(OPERATOR)
    await world.pass_time(minutes=3)
    assert world.running == "found-1", "the build before goes on"


async def test_a_build_that_holds_a_fix_that_was_rolled_back_waits_for_its_revert(world: World) -> None:
    """Its revert does not build, and the pause is over: nobody has taken the fix out."""
    bad = await world.crash("Map::Update")
    other = await world.crash("Spell::Cast")
    await world.answer(bad, GOOD)
    await world.answer(other, OTHER)
    world.builder.fault = "the compiler is gone"
    await world.die("Loot::Roll")
    await world.pass_time(minutes=1)
    world.expect(bad, RunState.ROLLED_BACK)
    await world.orders.resume(OPERATOR)
    for _ in range(MOST_ATTEMPTS):
        await world.pass_time(minutes=3)
    (revert,) = [run for run in world.runs() if run.kind is RunKind.REVERT]
    assert world.expect(revert, RunState.FAILED).reason == "the compiler is gone (tried 5 times)"
    waiting = world.expect(other, RunState.AWAITING_DEPLOYMENT)
    commit = (world.get(bad).commit or "")[:7]
    assert waiting.reason == (
        f"its build still holds `Map::Update` (`{commit}`), which was rolled back: waits for its revert; "
        f"`/revert {commit}` orders one"
    )
    assert waiting.hindrance is Hindrance.REFUSED
    assert world.running == "found-1"


async def test_of_any_number_of_commits_the_runs_that_made_them_are_found_oldest_first(world: World) -> None:
    runs = [await world.crash("Map::Update"), await world.crash("Spell::Cast")]
    await world.answer(runs[1], OTHER)
    await world.answer(runs[0], GOOD)
    commits = {world.get(run).commit or "" for run in runs}
    others = {f"{number:040}" for number in range(2 * CHUNK)}
    assert [run.id for run in world.store.list_runs_with(commits | others)] == [run.id for run in runs]
    assert world.store.list_runs_with(others) == world.store.list_runs_with(()) == []


async def test_what_was_rejected_does_not_go_live_below_what_was_approved(tmp_path: Path) -> None:
    """Its revert has the lane for a while: what was built on it waits, approved or told to go now."""
    world = await World(tmp_path, {"approval": Approval.DEPLOY}).start()
    rejected, other = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(rejected, GOOD)
    await world.answer(other, OTHER)
    world.builder.fault = "the compiler is gone"
    await world.orders.reject(rejected.id, BOB, "no")
    await world.orders.approve(other.id, OPERATOR)
    await world.orders.deploy_now(other.id, OPERATOR)
    await world.pass_time(minutes=3)
    commit = (world.get(rejected).commit or "")[:7]
    assert world.expect(other, RunState.AWAITING_DEPLOYMENT).reason == (
        f"its build still holds `Map::Update` (`{commit}`), which was taken back: waits for its revert; "
        f"`/revert {commit}` orders one"
    )
    assert world.running is None, "the server was not touched"


async def test_what_was_approved_goes_live_with_the_revert_of_what_was_rejected_below_it(tmp_path: Path) -> None:
    world = await World(tmp_path, {"approval": Approval.DEPLOY}).start()
    rejected, other = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(rejected, GOOD)
    await world.answer(other, OTHER)
    await world.orders.reject(rejected.id, BOB, "no")
    await world.settle()
    revert = next(each for each in world.runs() if each.kind is RunKind.REVERT)
    commit = (world.get(other).commit or "")[:7]
    assert world.expect(revert, RunState.AWAITING_DEPLOYMENT).reason == (
        f"its build holds `Spell::Cast` (`{commit}`) too, which nobody has approved: approve or reject run `{other.id}`"
    )
    assert world.get(revert).hindrance is Hindrance.UNAPPROVED
    assert [each.topic for each in status_views.status(world.tools).needs] == [Topic.APPROVAL], (
        "it is asked about already"
    )
    assert world.running is None, "an ordered revert carries nothing live that nobody has approved"
    await world.orders.approve(other.id, OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    live = world.running
    assert live is not None and live == world.expect(revert, RunState.SUCCEEDED).commit
    assert world.expect(other, RunState.SUCCEEDED).fix_state is FixState.WATCHING
    assert world.source.commits[live].files == {"src/Map.cpp": "bad", "src/Spell.cpp": "good too"}


async def test_an_old_build_never_replaces_one_that_was_built_on_it(tmp_path: Path) -> None:
    """Somebody has put the newer one in place by hand."""
    world = await World(tmp_path, {"max_players_for_restart": 0}).start()
    world.players.online = 3
    first, other = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(first, GOOD)
    await world.answer(other, OTHER)
    world.keeper.start(world.get(other).commit, None)
    await world.settle()
    assert world.expect(first, RunState.SUCCEEDED).fix_state is FixState.WATCHING
    assert world.running == world.get(other).commit


async def test_a_build_never_takes_out_what_runs(tmp_path: Path) -> None:
    """A fix of last night that nobody had approved was built on what ran then, and its branch has ended since."""
    world = await World(tmp_path, {"approval": Approval.DEPLOY}).start()
    old = await world.crash("Map::Update")
    await world.answer(old, GOOD)
    await world.pass_time(hours=20)
    world.store.end_branch("overnight-20261122")
    new = await world.crash("Spell::Cast")
    await world.answer(new, OTHER)
    assert world.get(new).branch != world.get(old).branch
    await world.orders.approve(new.id, OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    live = world.running
    assert live == world.expect(new, RunState.SUCCEEDED).commit
    await world.orders.approve(old.id, OPERATOR)
    await world.pass_time(minutes=3)
    assert world.running == live
    assert world.expect(old, RunState.AWAITING_DEPLOYMENT).reason == (
        f"the server runs `{(live or '')[:7]}`, which its build was not made on and would take out: `/update` brings "
        "in what is on the base branch; else `/reject` it and `/retry`"
    )
    assert world.get(old).hindrance is Hindrance.BASE


async def test_a_pause_lets_nothing_by_that_was_built_on_what_was_ordered(world: World) -> None:
    """`/revert` passes the pause; a fix that came after it does not go with it."""
    fix, newer = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(fix, GOOD)
    await world.pass_time(minutes=3)
    await world.orders.stop_server(OPERATOR, timedelta(), "new disk")
    await world.settle()
    await world.orders.revert(world.get(fix).commit or "", OPERATOR)
    await world.settle()
    await world.answer(newer, OTHER)
    await world.orders.pause(OPERATOR, "raid")
    await world.settle()
    await world.orders.start_server(OPERATOR)
    await world.settle()
    await world.pass_time(minutes=4)
    assert world.running == next(each.commit for each in world.runs() if each.kind is RunKind.REVERT)
    world.expect(newer, RunState.AWAITING_DEPLOYMENT)


async def test_what_is_reverted_before_it_is_live_does_not_go_live_in_the_meantime(world: World) -> None:
    world.players.online = 3
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    other = await world.crash("Spell::Cast")
    await world.answer(other, OTHER)
    world.builder.fault = "the compiler is gone"
    await world.orders.revert(world.get(run).commit or "", OPERATOR)
    await world.pass_time(minutes=5)
    assert world.expect(run, RunState.CANCELLED).reason == "reverted by Ann"
    assert world.running is None
    world.builder.fault = None


async def test_a_fix_that_a_person_brings_back_is_no_obstacle_to_the_next(world: World) -> None:
    """It was rolled back, and a person has ordered the revert of its revert."""
    bad = await world.crash("Map::Update")
    await world.answer(bad, GOOD)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=1)
    world.expect(bad, RunState.ROLLED_BACK)
    await world.orders.resume(OPERATOR)
    await world.pass_time(minutes=3)
    revert = next(each for each in world.runs() if each.kind is RunKind.REVERT)
    await world.orders.revert(world.get(revert).commit or "", OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    assert world.running is not None and world.source.commits[world.running].files["src/Map.cpp"] == "good"
    other = await world.crash("Spell::Cast")
    await world.answer(other, OTHER)
    await world.pass_time(minutes=3)
    assert world.running == world.expect(other, RunState.SUCCEEDED).commit


async def test_what_a_tick_finds_under_way_is_looked_at_again_when_that_ends(world: World) -> None:
    """Who looked before the deployment was judged would else wait for the next tick that nothing wakes."""
    runner, looked, goes = world.runner, asyncio.Event(), asyncio.Event()

    async def look() -> None:
        looked.set()
        await goes.wait()

    runner._start("a look", look)
    await looked.wait()
    runner._woken.clear()
    runner._start("a look", look)
    assert not runner._woken.is_set()
    goes.set()
    await asyncio.wait_for(runner._woken.wait(), 5)
