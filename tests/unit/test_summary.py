"""The morning summary: what it says of a night, and that it is said once, at its time, in every zone."""

from __future__ import annotations

import errno
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from edge_fakes import COMMIT, NAME, NOW, REVERT, URL
from world import BASE, BOB, GOOD, OPERATOR, OTHER, START, World

from bot import report
from bot.cards import Home, render_card
from bot.needs import say_need, say_rider
from bot.payloads import Colour, Message
from bot.posts import render_post
from bot.status import doing, render_status, say_tonight
from bot.summary import PICTURE, list_parts, merge_part, render_summary, server_line, update_line
from pipeline import change_orders, policy, records, status_views
from pipeline.card_models import FixLink, Post, PostKind
from pipeline.fix_links import links_of
from pipeline.keeper.protocol import ExitVerdict, ServerState
from pipeline.model import (
    OF_WHAT_WENT,
    Approval,
    Diagnostic,
    Done,
    FixState,
    Patch,
    RunKind,
    RunState,
    Verdict,
    WholeFile,
)
from pipeline.read_models import RollbackPlan
from pipeline.status_models import Need, Rider, RunLine, Topic
from pipeline.store import Fact
from pipeline.summary import (
    BranchLine,
    Counts,
    CrashLine,
    FixedLine,
    NightSummary,
    UndoneLine,
    UnfixedLine,
    UpdateLine,
)

NIGHT = date(2026, 11, 22)
BROKEN = Patch(files=(WholeFile("src/Map.cpp", "broken"),))
WORSE = Patch(files=(WholeFile("src/Spell.cpp", "worse"),))
HOME = Home(1, 2)
SEE = "[see](https://discord.com/channels/1/2/77)"


@pytest.fixture
async def world(tmp_path: Path) -> World:
    return await World(tmp_path).start()


def look(world: World, night: date = NIGHT) -> NightSummary:
    return records.night_summary(world.tools, night)


def text_of(message: Message) -> str:
    assert message.embed is not None
    return message.embed.description


def title_of(message: Message) -> str:
    assert message.embed is not None
    return message.embed.title


async def heal(world: World, name: str = "Map::Update") -> None:
    await world.answer(await world.crash(name), GOOD)
    await world.pass_time(minutes=3)


# --- what a night brought --------------------------------------------------------------------------------------------


async def test_a_fix_that_went_live_is_to_be_reviewed_and_counts_its_crashes(world: World) -> None:
    await heal(world)
    found = look(world)
    (fixed,) = found.fixed
    assert (fixed.subject, fixed.verdict, fixed.crashes, fixed.cause) == ("Map::Update", "healthy", 1, "A cause.")
    assert fixed.url == f"https://example.org/commit/{fixed.commit}"
    compare = f"https://example.org/compare/{BASE}...overnight-20261122"
    assert found.branches == (BranchLine("overnight-20261122", "origin", 1, compare, True, base="main"),)
    assert [each.topic for each in found.needs] == [Topic.REVIEW]
    assert (found.unfixed, found.undone) == ((), ())
    assert (found.counts.crashes, found.counts.kinds, found.counts.starts, found.counts.deployed) == (1, 1, 2, 1)
    assert " · 1 restart · 1 deployment · " in server_line(found)


async def test_what_a_merge_would_bring_beside_the_fixes_is_named_until_its_revert_stands(tmp_path: Path) -> None:
    world = await World(tmp_path, {"approval": Approval.DEPLOY}).start()
    first = await world.answer(await world.crash("Map::Update"), GOOD)
    await world.orders.approve(first.id, OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    second = await world.answer(await world.crash("Spell::Cast"), OTHER)
    commit = (world.expect(second, RunState.AWAITING_APPROVAL).commit or "")[:7]
    name = f"`Spell::Cast` (`{commit}`)"
    assert merging(world) == (
        f"**a merge brings 1 other commit too:** {name} waits for an approval",
        "**It brings 1 commit that nobody wants live, or not yet:**\n"
        f"- {name} waits for an approval: wait until run `{second.id}` is approved or rejected",
    )
    world.builder.fault = "the compiler is gone"
    await world.orders.reject(second.id, OPERATOR, "wrong lock")
    assert merging(world) == (
        f"**a merge brings 1 other commit too:** {name} was taken back",
        "**It brings 1 commit that nobody wants live, or not yet:**\n"
        f"- {name} was taken back: wait until its revert, which is under way, is on the branch",
    )
    await world.settle()
    assert merging(world)[1].endswith(f"- {name} was taken back: `/revert` `{commit}` first"), "no build"
    world.builder.fault = None
    await world.orders.revert(commit, OPERATOR)
    await world.settle()
    assert merging(world) == ("", "")


async def test_a_merge_is_told_of_the_same_as_a_deployment_what_has_failed_and_what_is_being_reverted(
    world: World,
) -> None:
    await heal(world)
    world.keeper.swap_fault = "[Errno 28] No space left on device"
    (live,) = world.runs("Map::Update")
    failed = await world.answer(await world.crash("Spell::Cast"), OTHER)
    waiting = world.expect(failed, RunState.AWAITING_DEPLOYMENT)
    world.store.advance(waiting, RunState.FAILED, world.tools.now(), reason="the machine is gone")
    commits = [(world.get(each).commit or "")[:7] for each in (live, failed)]
    assert isinstance(change_orders.revert(world.tools, commits[0], OPERATOR.name), Done)
    assert merging(world) == (
        f"**a merge brings 2 other commits too:** `Map::Update` (`{commits[0]}`) is being reverted, "
        f"`Spell::Cast` (`{commits[1]}`) has failed",
        "**It brings 2 commits that nobody wants live, or not yet:**\n"
        f"- `Map::Update` (`{commits[0]}`) is being reverted: wait until its revert, which is under way, is on the "
        f"branch\n- `Spell::Cast` (`{commits[1]}`) has failed: `/revert` `{commits[1]}` first",
    )


ASKED = ("list_failed_last", "list_owed_branches", "list_unanswered", "list_reverts", "list_runs_on")


@pytest.mark.parametrize("show", [lambda world: status_views.status(world.tools), look], ids=["status", "summary"])
async def test_what_waits_is_read_once_for_whatever_shows_it(
    world: World, monkeypatch: pytest.MonkeyPatch, show: Callable[[World], object]
) -> None:
    await heal(world)
    for name in ("Spell::Cast", "Loot::Roll", "Quest::Give"):
        await world.crash(name)
    asked: Counter[str] = Counter()
    for name in ASKED:
        monkeypatch.setattr(world.store, name, count_calls(asked, name, getattr(world.store, name)))
    show(world)
    assert asked == dict.fromkeys(ASKED, 1)


def count_calls(asked: Counter[str], name: str, ask: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*given: Any, **named: Any) -> Any:
        asked[name] += 1
        return ask(*given, **named)

    return counted


async def test_a_branch_whose_update_was_taken_back_is_not_to_be_merged_and_its_fixes_are_picked(world: World) -> None:
    """To git it has what the base has, and does not want it."""
    await heal(world)
    (fix,) = world.runs("Map::Update")
    shown = world.source.add_to_base({"src/Chat.cpp": "theirs"})
    await world.orders.update(OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    (update,) = [run for run in world.runs() if run.kind is RunKind.UPDATE]
    assert merging(world) == ("", ""), "it brings what the base has"
    await world.orders.revert(world.expect(update, RunState.SUCCEEDED).commit or "", OPERATOR)
    await world.settle()
    (revert,) = [run for run in world.runs() if run.kind is RunKind.REVERT]
    taken = world.expect(revert, RunState.VERIFYING).commit or ""
    why = (
        f"**do not merge it:** base branch at {shown[:12]} was taken back in `{taken[:7]}`, and a merge would take "
        "that out of your base branch too"
    )
    found = look(world)
    need = next(say_need(each) for each in found.needs if each.topic is Topic.REVIEW)
    compare = f"https://example.org/compare/{BASE}...overnight-20261122"
    assert need == f"`overnight-20261122` has 1 fix to review: [compare]({compare}) · {why}"
    assert merge_part(found.branches) == (
        "**To bring in**, in your checkout on `main`; `git push` follows\n"
        f"```\ngit fetch origin\ngit cherry-pick {(fix.commit or '')[:12]}\n```\n"
        f"{why}: what your base branch lacks is picked one by one"
    )
    await world.pass_time(minutes=3)
    await world.orders.update(OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    assert merging(world) == ("", ""), "all of it is back"


async def test_the_base_is_told_as_it_is_now_with_who_moved_it(world: World) -> None:
    heads = []
    for by in (OPERATOR, BOB):
        heads.append(world.source.add_to_base({"src/Chat.cpp": f"theirs, for {by}"}))
        await world.orders.update(by)
        await world.settle()
        await world.pass_time(minutes=3)
    live = f"live since <t:{int((world.clock.now() - timedelta(minutes=3)).timestamp())}:R>"
    commits = [f"[`{head[:7]}`]({world.source.url(head)})" for head in heads]
    assert update_line(look(world)) == f"**Base:** at {commits[1]} after 2 updates · {live} · ordered by Ann and Bob"
    (_, last) = [run for run in world.runs() if run.kind is RunKind.UPDATE]
    await world.orders.revert(last.commit or "", OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    (kept,) = look(world).updates
    assert (kept.commit, kept.by) == (heads[0], "Ann")


def merging(world: World) -> tuple[str, str]:
    """What is said of it beside the needs, and below the command."""
    found = look(world)
    need = next(say_need(each) for each in found.needs if each.topic is Topic.REVIEW)
    compare = f"https://example.org/compare/{BASE}...overnight-20261122"
    start = f"`overnight-20261122` has 1 fix to review: [compare]({compare})"
    heading = "**To merge**, in your checkout on `main`; `git push` follows"
    command = f"{heading}\n```\ngit fetch origin\ngit merge origin/overnight-20261122\n```"
    merge = merge_part(found.branches)
    assert need.startswith(start) and merge.startswith(command)
    return need.removeprefix(start).removeprefix(" · "), merge.removeprefix(command).lstrip()


async def test_a_branch_that_the_base_has_needs_nobody_any_more(world: World) -> None:
    await heal(world)
    world.source.base = world.source.branches["overnight-20261122"]
    await world.pass_time(minutes=3)
    assert (look(world).needs, look(world).branches) == ((), ())


async def test_a_branch_of_which_the_base_has_all_fixes_needs_nobody_whatever_else_stands_there(world: World) -> None:
    await heal(world)
    (fix,) = world.runs("Map::Update")
    other = await world.answer(await world.crash("Spell::Cast"), OTHER)
    await world.pass_time(minutes=3)
    await world.orders.revert(world.get(other).commit or "", OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    assert [each.topic for each in look(world).needs] == [Topic.REVIEW]
    world.source.base = fix.commit or ""
    assert world.source.branches["overnight-20261122"] != fix.commit
    await world.pass_time(minutes=3)
    assert (look(world).needs, look(world).branches) == ((), ())


async def test_a_branch_waits_for_its_review_over_noon_until_the_base_has_it(world: World) -> None:
    await heal(world)
    name, compare = "overnight-20261122", f"https://example.org/compare/{BASE}...overnight-20261122"
    words = f"`{name}` has 1 fix to review: [compare]({compare})"
    await world.pass_time(hours=15)
    assert world.tools.night() == NIGHT + timedelta(days=1)
    assert [say_need(each) for each in status_views.status(world.tools).needs] == [words]
    next_night = look(world, NIGHT + timedelta(days=1))
    assert [say_need(each) for each in next_night.needs] == [words]
    assert next_night.branches == (), "it is told how to merge it once, in the summary of its own night"
    world.source.base = world.source.branches[name]
    await world.pass_time(minutes=3)
    assert status_views.status(world.tools).needs == ()


async def test_a_fix_whose_revert_is_watched_is_neither_fixed_nor_to_review(world: World) -> None:
    run = await world.answer(await world.crash("Map::Update"), WORSE)
    await world.pass_time(minutes=3)
    assert [each.subject for each in look(world).fixed] == ["Map::Update"]
    await world.orders.revert(world.get(run).commit or "", OPERATOR)
    await world.settle()
    assert (look(world).fixed, look(world).branches, look(world).needs) == ((), (), ())
    assert in_work(world) == "**In work (1)**\n- `Map::Update`: its fix is being taken back"
    await world.pass_time(minutes=3)
    assert [(each.subject, each.by) for each in look(world).undone] == [("Map::Update", OPERATOR.name)]


async def test_a_fix_that_was_worse_is_not_fixed_and_taken_back(world: World) -> None:
    await world.answer(await world.crash("Spell::Cast"), WORSE)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=3)
    found = look(world)
    assert found.fixed == ()
    assert [(each.subject, each.state) for each in found.unfixed] == [
        ("Spell::Cast", "paused"), ("Loot::Roll", OF_WHAT_WENT),
    ]  # fmt: skip
    (undone,) = found.undone
    assert (undone.subject, undone.by) == ("Spell::Cast", None)
    assert undone.why.startswith("the new server died "), "why, as its own card says it"
    assert [each.topic for each in found.needs] == [Topic.PAUSE], "who is asked again is told of it"


async def test_what_a_rollback_took_back_is_named_with_the_commit_that_did_it_beside_a_persons_revert(
    world: World,
) -> None:
    """One revert takes out all of its deployment, and lies on the card of one of them."""
    await heal(world)
    (taken,) = world.runs("Map::Update")
    await world.orders.revert(taken.commit or "", OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    other = await world.answer(await world.crash("Spell::Cast"), OTHER)
    await world.pass_time(minutes=3)
    plan = await world.orders.plan_rollback()
    assert isinstance(plan, RollbackPlan)
    await world.orders.roll_back(OPERATOR, plan.running[:12], "it lags")
    await world.pass_time(minutes=1)
    await world.pass_time(minutes=3)
    world.expect(other, RunState.ROLLED_BACK)
    (own,) = [run for run in world.runs() if run.kind is RunKind.REVERT and run.asked_by is None]
    (by_hand,) = [run for run in world.runs() if run.kind is RunKind.REVERT and run.asked_by is not None]
    assert {(each.subject, each.commit, each.by) for each in look(world).undone} == {
        ("Map::Update", by_hand.commit, OPERATOR.name), ("Spell::Cast", own.commit, None),
    }  # fmt: skip


async def test_what_a_worse_fix_was_to_mend_is_asked_about_again_and_its_own_crash_needs_nobody(world: World) -> None:
    first = await world.crash("Spell::Cast")
    await world.answer(first, WORSE)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=3)
    await world.orders.resume(OPERATOR)
    await world.settle()
    assert [(each.topic, each.subject) for each in status_views.status(world.tools).needs] == [
        (Topic.ANSWER, "Spell::Cast")
    ]
    assert in_work(world) == "**In work (1)**\n- `Spell::Cast`: its request waits in the queue for an answer"
    assert ("Loot::Roll", OF_WHAT_WENT) in [(each.subject, each.state) for each in look(world).unfixed]
    assert "Not fixed yet" not in "".join(list_parts(look(world), None))
    await world.answer(next(each for each in world.runs("Spell::Cast") if each.retry_of), OTHER)
    await world.pass_time(minutes=3)
    assert [each.topic for each in status_views.status(world.tools).needs] == [Topic.REVIEW]


async def test_of_a_worse_fix_whose_tries_are_used_up_a_person_is_needed_and_of_its_crashes_nobody(
    world: World,
) -> None:
    run = await world.crash("Spell::Cast")
    for number in range(3):
        patch = Patch(files=(WholeFile("src/Spell.cpp", f"worse {number}"),))
        await world.answer(run, patch)
        await world.die("Loot::Roll")
        await world.pass_time(minutes=3)
        world.expect(run, RunState.ROLLED_BACK)
        await world.orders.resume(OPERATOR)
        await world.settle()
        last, run = run, next((each for each in world.runs("Spell::Cast") if each.retry_of == run.id), run)
    assert last.id == run.id, "no try is left"
    status = status_views.status(world.tools)
    needed = (
        f"`Spell::Cast` **rolled back, so it still crashes: needs a person** · run `{run.id}` · "
        f"the new server died 1 s after ready in `Loot::Roll` · `/retry {run.id}` tries it again"
    )
    assert [say_need(each) for each in status.needs] == [needed]
    assert [line.subject for line in status.failed] == ["Spell::Cast"]


def in_work(world: World) -> str:
    return next(part for part in list_parts(look(world), None) if part.startswith("**In work"))


async def test_of_a_fix_that_does_not_compile_it_says_which_try_it_is_as_the_card_does(world: World) -> None:
    world.builder.broken["broken"] = (Diagnostic("'x' was not declared", "src/Map.cpp", 3),)
    error = "src/Map.cpp:3: error: 'x' was not declared"
    run = await world.crash("Map::Update")
    waits = "- `Map::Update`: its request waits in the queue for an answer"
    assert in_work(world) == f"**In work (1)**\n{waits}"
    await world.answer(run, BROKEN)
    assert in_work(world) == f"**In work (1)**\n{waits} · try 2 of 3 · {error}"
    (card,) = world.store.list_dirty_cards()
    assert "given back to the analyst, try 2 of 3" in text_of(render_card(world.ledger.get_card_view(card.card)))
    for _ in range(2):
        await world.answer(world.get(run), BROKEN)
    world.expect(run, RunState.FAILED)
    assert f"**Not fixed yet (1)**\n- `Map::Update`: given up · try 3 of 3 · {error}" in list_parts(look(world), None)


async def test_a_fix_that_compiles_at_the_second_try_does_not_say_so(world: World) -> None:
    world.builder.broken["broken"] = (Diagnostic("'x' was not declared", "src/Map.cpp", 3),)
    run = await world.crash("Map::Update")
    for patch in (BROKEN, GOOD):
        await world.answer(world.get(run), patch)
    world.expect(run, RunState.VERIFYING)
    assert in_work(world) == "**In work (1)**\n- `Map::Update`: a fix is live and being watched"


async def test_a_fix_that_an_operator_took_back_says_who(world: World) -> None:
    await heal(world)
    (run,) = world.runs("Map::Update")
    await world.orders.revert(run.commit or "", OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    found = look(world)
    assert found.fixed == ()
    assert [(each.subject, each.state) for each in found.unfixed] == [("Map::Update", FixState.REVERTED)]
    assert [(each.subject, each.by) for each in found.undone] == [("Map::Update", "Ann")]
    assert found.branches == (), "nothing that stands on it is to be merged"


async def test_a_crash_that_came_back_is_not_fixed(world: World) -> None:
    await heal(world)
    await world.pass_time(hours=1)
    await world.crash("Map::Update")
    assert [(each.subject, each.state, each.crashes) for each in look(world).unfixed] == [
        ("Map::Update", "in queue", 2)
    ]


async def test_the_command_line_names_the_build_that_runs_and_the_head_with_their_pages(world: World) -> None:
    await heal(world)
    tools = world.tools
    seen = status_views.outside_status(
        "realm", world.store, world.keeper, tools.now(), tools.realm.state_dir, links_of(tools)
    )
    (run,) = world.runs("Map::Update")
    commit, name = run.commit or "", "overnight-20261122"
    assert seen.running == FixLink(commit, f"https://example.org/commit/{commit}", None)
    assert seen.head == FixLink(commit, f"https://example.org/commit/{commit}", name)


async def test_only_fixes_that_hold_are_counted_as_fixed_and_as_fixes_to_review(world: World) -> None:
    await heal(world)
    await world.answer(await world.crash("Spell::Cast"), OTHER)
    await world.pass_time(hours=1)
    await world.crash("Map::Update")
    found = look(world)
    assert [each.subject for each in found.fixed] == ["Spell::Cast"]
    words = (
        f"`overnight-20261122` has 1 fix to review: [compare](https://example.org/compare/{BASE}...overnight-20261122)"
        " · with 1 commit that did not cure its crash"
    )
    for needs in (found.needs, status_views.status(world.tools).needs):
        assert [each.topic for each in needs] == [Topic.ANSWER, Topic.REVIEW]
        assert say_need(needs[1]) == words
    assert [(each.fixes, each.uncured) for each in found.branches] == [(1, 1)]


async def test_a_branch_whose_only_change_cured_nothing_is_not_to_be_reviewed(world: World) -> None:
    await world.answer(await world.crash("Map::Update"), GOOD)
    await world.crash("Map::Update")
    await world.pass_time(minutes=3)
    assert [each.verdict for each in world.runs("Map::Update")] == [Verdict.NOT_CURED, None]
    assert (look(world).fixed, look(world).branches) == ((), ())
    assert [each.topic for each in status_views.status(world.tools).needs] == [Topic.ANSWER]


async def test_what_is_no_bug_names_its_cure(world: World) -> None:
    world.keeper.crash("port 8085")
    await world.settle()
    (line,) = look(world).unfixed
    assert (line.subject, line.state, line.why) == ("port 8085", "environment", "free the port")


async def test_what_waits_for_a_person_waits_in_the_next_mornings_too(world: World) -> None:
    await world.answer(await world.crash("Map::Update"), None, prose="try this")
    await world.pass_time(days=2)
    found = look(world, NIGHT + timedelta(days=2))
    assert [(each.topic, each.subject) for each in found.needs] == [(Topic.LOOK, "Map::Update")]
    assert found.crashes == ()


async def test_an_old_night_is_told_without_what_needs_somebody_now(world: World) -> None:
    await world.answer(await world.crash("Map::Update"), None, prose="try this")
    await world.pass_time(days=3)
    found = look(world)
    assert (found.needs, found.over, found.counts.crashes) == ((), True, 1)


@pytest.mark.parametrize("approval", [Approval.PATCH, Approval.DEPLOY])
async def test_an_approval_that_nobody_gave_is_a_need(tmp_path: Path, approval: Approval) -> None:
    world = await World(tmp_path, {"approval": approval}).start()
    await world.answer(await world.crash("Map::Update"), GOOD)
    (need,) = look(world).needs
    assert (need.topic, need.subject) == (Topic.APPROVAL, "Map::Update")


async def test_a_server_that_is_down_comes_first(world: World) -> None:
    await heal(world)
    world.keeper.end(ExitVerdict.SHUTDOWN)
    assert world.keeper.now is not None
    world.keeper.now = replace(world.keeper.now, state=ServerState.HELD, hold_detail="it was shut down")
    await world.settle()
    first = look(world).needs[0]
    assert (first.topic, first.detail) == (Topic.SERVER, "it was shut down")


async def test_a_push_is_a_need_once_it_is_owed_for_half_an_hour_and_what_does_not_work_is_told(world: World) -> None:
    world.source.remote_gone = True
    await heal(world)
    world.tools.degraded["console"] = "the console is deaf"
    early = status_views.status(world.tools)
    assert ([each.topic for each in early.needs], early.push_owed) == ([Topic.REVIEW], True)
    assert "· **not all of it is on the remote yet**" in str(render_status(early))
    (owed,) = world.store.list_owed_branches()
    assert owed.owed_since is not None
    await world.pass_time(minutes=30)
    push, review = look(world).needs
    assert say_need(push) == (
        f"`overnight-20261122` **does not reach the remote**, since <t:{int(owed.owed_since.timestamp())}:R>"
        " · the remote does not answer · it goes there by itself once the remote takes it"
    )
    assert (push.topic, review.topic) == (Topic.PUSH, Topic.REVIEW)
    assert "the console is deaf" in look(world).degraded
    assert look(world).branches[0].pushed is False


async def test_status_summary_and_command_line_count_the_same_needs(world: World) -> None:
    await heal(world)
    await world.answer(await world.crash("Spell::Cast"), None, prose="try this")
    await world.orders.pause(OPERATOR, "raid")
    world.tools.degraded["console"] = "the console is deaf"
    view = status_views.status(world.tools)
    assert [each.topic for each in view.needs] == [Topic.PAUSE, Topic.LOOK, Topic.REVIEW]
    assert look(world).needs == view.needs
    assert "3 things need you:" in report.as_text(view).splitlines()


async def test_what_waits_for_the_end_of_a_pause_says_so(world: World) -> None:
    await world.orders.pause(OPERATOR, "raid")
    await world.crash("Map::Update")
    (line,) = look(world).unfixed
    assert line.state == "paused"
    assert "`Map::Update`: waits for `/resume`" in text_of(render_summary(look(world)))


async def test_crashes_are_compared_with_the_night_before(world: World) -> None:
    for _ in range(3):
        await world.crash("Map::Update")
    await world.crash("Spell::Cast")
    await world.pass_time(days=1)
    await world.crash("Map::Update")
    found = look(world, NIGHT + timedelta(days=1))
    assert found.crashes == (CrashLine("Map::Update", 1, 3),)
    counts = found.counts
    assert (counts.crashes, counts.kinds, counts.crashes_before, counts.kinds_before) == (1, 1, 4, 2)


async def test_the_chart_has_what_happened_and_no_more_than_has_been(world: World) -> None:
    await heal(world)
    chart = look(world).chart
    assert chart.until == world.clock.now().timestamp() < chart.end
    assert chart.begin == policy.night_begins(NIGHT, UTC).timestamp()
    assert chart.server[-1].end == chart.until
    assert (len(chart.crashes), [each.what for each in chart.builds]) == (1, ["built"])
    assert [each.what for each in chart.deployments] == [Verdict.HEALTHY]
    assert [each.what for each in chart.hours] == ["12", "15", "18", "21", "00", "03", "06", "09", "12"]


@pytest.mark.parametrize(
    ("night", "hours"),
    [
        (date(2026, 3, 28), ["12", "15", "18", "21", "00", "04", "07", "10"]),
        (date(2026, 10, 24), ["12", "15", "18", "21", "00", "02", "05", "08", "11"]),
    ],
)
def test_the_hours_are_those_that_clocks_show_when_they_are_changed(night: date, hours: list[str]) -> None:
    from pipeline.summary import frame

    chart = frame(night, START, ZoneInfo("Europe/Berlin"))
    assert [each.what for each in chart.hours] == hours


# --- when it is posted -----------------------------------------------------------------------------------------------


def summaries(world: World) -> list[str]:
    """The nights of the summaries that were posted."""
    return [each.data["night"] for each in world.posts() if each.kind is PostKind.SUMMARY]


async def test_it_is_posted_once_in_the_morning(world: World) -> None:
    await world.pass_time(hours=9)  # 07:00
    assert summaries(world) == []
    await world.pass_time(hours=1, minutes=1)
    assert summaries(world) == ["2026-11-22"]
    await world.pass_time(hours=5)
    assert summaries(world) == ["2026-11-22"]
    await world.pass_time(days=1)
    assert summaries(world) == ["2026-11-22", "2026-11-23"]


async def test_a_bot_that_was_down_at_the_hour_posts_it_when_it_is_back(world: World) -> None:
    world.clock.time += timedelta(hours=17)  # 15:00 of the next day
    world.restart()
    await world.settle()
    assert summaries(world) == ["2026-11-22"]
    world.restart()
    await world.pass_time(minutes=1)
    assert summaries(world) == ["2026-11-22"]


async def test_after_days_without_a_bot_only_the_newest_night_is_told(world: World) -> None:
    world.clock.time += timedelta(days=4)
    await world.settle()
    assert summaries(world) == ["2026-11-25"]


async def test_nights_before_the_first_start_have_none(world: World) -> None:
    await world.pass_time(minutes=1)
    assert (world.store.get_fact(Fact.SUMMARY) or {})["night"] == "2026-11-21"
    assert summaries(world) == []


async def test_a_clock_that_is_put_back_posts_nothing_twice(world: World) -> None:
    await world.pass_time(hours=11)
    world.clock.time -= timedelta(hours=5)
    world.restart()
    await world.settle()
    await world.pass_time(hours=5)
    assert summaries(world) == ["2026-11-22"]


# --- what the one that is posted tells of ----------------------------------------------------------------------------


def told(world: World) -> list[tuple[str, list[str], list[str], dict[str, int]]]:
    """Of each summary that was posted: its night, what was fixed, what was taken back, and the crashes."""
    posted = [each.data for each in world.posts() if each.kind is PostKind.SUMMARY]
    return [
        (
            data["night"],
            [line["subject"] for line in data["fixed"]],
            [line["subject"] for line in data["undone"]],
            {line["title"]: line["crashes"] for line in data["crashes"]},
        )
        for data in posted
    ]


async def test_what_happens_between_a_summary_and_noon_is_told_the_next_morning_and_once(world: World) -> None:
    await world.pass_time(hours=11)  # 09:00
    await heal(world)
    await world.pass_time(days=1)
    await world.pass_time(days=1)
    assert told(world) == [
        ("2026-11-22", [], [], {}),
        ("2026-11-23", ["Map::Update"], [], {"Map::Update": 1}),
        ("2026-11-24", [], [], {}),
    ]
    posted = [each.data for each in world.posts() if each.kind is PostKind.SUMMARY]
    assert [each["counts"]["crashes"] for each in posted] == [0, 1, 0]
    assert [[line["name"] for line in each["branches"]] for each in posted] == [[], ["overnight-20261122"], []]


async def test_a_crash_before_noon_and_the_same_after_it_are_one_kind_in_the_summary(world: World) -> None:
    await world.pass_time(hours=11)
    for _ in range(2):
        await world.crash("Map::Update")
        await world.pass_time(hours=3)  # to 12:00 and on
    await world.pass_time(days=1)
    assert told(world)[-1] == ("2026-11-23", [], [], {"Map::Update": 2})
    (summary,) = [each.data for each in world.posts() if each.kind is PostKind.SUMMARY][1:]
    assert [(line["subject"], line["crashes"]) for line in summary["unfixed"]] == [("Map::Update", 2)]


async def test_a_fix_counts_in_the_night_in_which_it_went_live_whenever_its_crash_was(tmp_path: Path) -> None:
    world = await World(tmp_path, {"approval": Approval.DEPLOY}).start()
    run = await world.answer(await world.crash("Map::Update"), GOOD)
    await world.pass_time(hours=21)  # 19:00 of the next evening
    await world.orders.approve(run.id, OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    assert look(world).fixed == ()
    assert [(each.subject, each.crashes) for each in look(world, NIGHT + timedelta(days=1)).fixed] == [
        ("Map::Update", 1)
    ]
    await world.pass_time(days=1)
    assert told(world) == [("2026-11-22", [], [], {"Map::Update": 1}), ("2026-11-23", ["Map::Update"], [], {})]


async def test_a_fix_that_is_taken_back_days_later_and_brought_back_again_is_told_each_time(world: World) -> None:
    await heal(world)
    for kind in (RunKind.FIX, RunKind.REVERT):
        await world.pass_time(days=2)
        (taken,) = [run for run in world.runs() if run.kind is kind]
        await world.orders.revert(taken.commit or "", OPERATOR)
        await world.settle()
        await world.pass_time(minutes=3)
    await world.pass_time(days=1)
    await world.pass_time(days=1)
    assert told(world) == [
        ("2026-11-23", ["Map::Update"], [], {"Map::Update": 1}),
        ("2026-11-25", [], ["Map::Update"], {}),
        ("2026-11-26", ["Map::Update"], [], {}),
        ("2026-11-27", [], [], {}),
    ]


async def test_after_days_without_a_bot_all_of_them_are_told(world: World) -> None:
    await world.crash("Map::Update")
    world.clock.time += timedelta(days=3)
    await world.settle()
    assert told(world) == [("2026-11-24", [], [], {"Map::Update": 1})]


async def test_a_bot_that_is_back_reads_what_crashed_before_it_tells_of_the_night(world: World) -> None:
    world.clock.time += timedelta(hours=5)
    world.keeper.crash("Map::Update")
    world.clock.time += timedelta(hours=6)  # 09:00
    world.restart()
    await world.settle()
    await world.pass_time(seconds=10)
    assert told(world) == [("2026-11-22", [], [], {"Map::Update": 1})]


async def test_a_crash_that_cannot_be_read_holds_no_summary_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/state/scratch")

    monkeypatch.setattr(world.reader, "read", fail)
    await world.die("Map::Update")
    await world.pass_time(hours=10, minutes=1)  # 08:01
    assert told(world) == []
    await world.pass_time(minutes=15)
    assert told(world) == [("2026-11-22", [], [], {})]


async def test_after_an_older_version_all_since_its_last_summary_was_due_is_told(world: World) -> None:
    await world.pass_time(hours=11)
    assert summaries(world) == ["2026-11-22"]
    world.store.set_fact(Fact.SUMMARY, {"night": "2026-11-22"})
    await heal(world)
    await world.pass_time(days=1)
    assert told(world)[-1] == ("2026-11-23", ["Map::Update"], [], {"Map::Update": 1})


BERLIN, NEW_YORK, AUCKLAND = (ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Pacific/Auckland"))


@pytest.mark.parametrize(
    ("zone", "clock", "evening", "due"),
    [
        (UTC, time(8), date(2026, 11, 22), datetime(2026, 11, 23, 8, tzinfo=UTC)),
        (BERLIN, time(8), date(2026, 3, 28), datetime(2026, 3, 29, 6, tzinfo=UTC)),  # the short night
        (BERLIN, time(8), date(2026, 10, 24), datetime(2026, 10, 25, 7, tzinfo=UTC)),  # the long night
        (BERLIN, time(2, 30), date(2026, 3, 28), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # a time that is left out
        (BERLIN, time(2, 30), date(2026, 10, 24), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # that comes twice
        (NEW_YORK, time(7, 30), date(2026, 3, 7), datetime(2026, 3, 8, 11, 30, tzinfo=UTC)),
        (AUCKLAND, time(8), date(2026, 9, 26), datetime(2026, 9, 26, 19, tzinfo=UTC)),
        (UTC, time(18), date(2026, 11, 22), datetime(2026, 11, 23, 18, tzinfo=UTC)),  # when it is over
        (UTC, time(0), date(2026, 11, 22), datetime(2026, 11, 23, 0, tzinfo=UTC)),
    ],
)
def test_the_summary_of_a_night_is_due_on_the_morning_after_it(
    zone: Any, clock: time, evening: date, due: datetime
) -> None:
    assert policy.summary_due(due, clock, zone) == evening
    assert policy.summary_due(due - timedelta(seconds=1), clock, zone) == evening - timedelta(days=1)


def test_what_people_took_back_by_whatever_order_is_called_so_everywhere() -> None:
    line = RunLine("9f3c21aa", "Map::Update", RunState.CANCELLED, "cancelled by Ann", None, None)
    unfixed = UnfixedLine("Map::Update", 2, RunState.CANCELLED, "cancelled by Ann")
    night = NightSummary("Testrealm", "2024-11-22", unfixed=(unfixed,))
    rider = Rider("Map::Update", COMMIT, "9f3c21aa", RunState.CANCELLED)
    unsaid = NightSummary("Testrealm", "2024-11-22", unfixed=(replace(unfixed, why=""),))
    assert doing(line) == "taken back"
    assert "**Not fixed yet (1)**\n- `Map::Update` ×2: cancelled by Ann" in list_parts(night, None)
    assert "**Not fixed yet (1)**\n- `Map::Update` ×2: taken back" in list_parts(unsaid, None)
    assert say_rider(rider) == "`Map::Update` (`a1b2c3d`) was taken back: `/revert` `a1b2c3d` first"


# --- what is read ----------------------------------------------------------------------------------------------------

FULL = NightSummary(
    realm="Testrealm", night="2024-11-22", over=False,
    needs=(
        Need(Topic.SERVER, "breaker", "5 deaths in 3 min"),
        Need(Topic.PAUSE, "Ann", "I look myself"),
        Need(Topic.APPROVAL, "Map::Update", "", "9f3c21aa", "77", "AWAITING_APPROVAL", "patch"),
        Need(Topic.LOOK, "Spell::Cast", "the change touches `sql/`", "9f3c21ab", "77", "PROPOSED"),
        Need(Topic.PUSH, "overnight-20241122", "the remote does not answer"),
        Need(Topic.REVIEW, "overnight-20241122", fixes=2, url="https://example.org/compare/b...overnight"),
    ),
    degraded=("the console is deaf",),
    branches=(
        BranchLine("overnight-20241122", "origin", 2, "https://example.org/compare/b...overnight", False, base="main"),
    ),
    fixed=(
        FixedLine(NAME, COMMIT, URL, "Members die in reverse order.", 1, 12, 1, "healthy", NOW.timestamp(), 3, "77"),
        FixedLine("Map::Load", COMMIT, None, verdict="inconclusive"),
    ),
    unfixed=(
        UnfixedLine("BIH::subdivide", 2, "environment", "regenerate the maps", "77"),
        UnfixedLine("Spell::Cast", 1, "PROPOSED"),
        UnfixedLine("Aura::Update", 1, "BUILDING"),
    ),
    undone=(UndoneLine("Aura::Update", COMMIT, URL, "Ann"), UndoneLine("Loot::Roll", COMMIT, None, None, "worse")),
    updates=(UpdateLine(REVERT, None, "Bob", 1.0), UpdateLine(COMMIT, URL, "Ann", NOW.timestamp())),
    crashes=(CrashLine(NAME, 3, 7), CrashLine("BIH::subdivide", 2, 0)),
    counts=Counts(6, 4, 28, 11, 7, 2, 97_800.0, 2_200.0, 5.0),
)  # fmt: skip
THEN = int(NOW.timestamp())
TEXT = f"""\
1. the server is held: it died too often (5 deaths in 3 min) · `/start-server` starts it
2. the pipeline is paused by Ann · I look myself · `/resume` lets it go on
3. `Map::Update` **waits for an approval** of its patch · run `9f3c21aa` · {SEE} · `/approve 9f3c21aa` \
or `/reject 9f3c21aa <reason>`
4. `Spell::Cast` **needs a look** · run `9f3c21ab` · the change touches `sql/` · {SEE} · `/retry 9f3c21ab` asks \
anew, `/reject 9f3c21ab <reason>` closes it
5. `overnight-20241122` **does not reach the remote** · the remote does not answer · it goes there by itself \
once the remote takes it
6. `overnight-20241122` has 2 fixes to review: [compare](https://example.org/compare/b...overnight)

**Does not work**
- the console is deaf

**Fixed (2)**
- `{NAME}` [`a1b2c3d`]({URL}) · live since <t:{THEN}:R> · crashed 3 times before · 1 file, +12 −1
  Members die in reverse order.
- `Map::Load` `a1b2c3d` · verdict inconclusive

**In work (1)**
- `Aura::Update`: a fix is being built

**Not fixed yet (2)**
- `BIH::subdivide` ×2: environment, not a bug · regenerate the maps · {SEE}
- `Spell::Cast`: a proposal waits for a look

**Taken back (2)**
- `Aura::Update` reverted by Ann in [`a1b2c3d`]({URL})
- `Loot::Roll` rolled back in `a1b2c3d` · worse

**Base:** at [`a1b2c3d`]({URL}) after 2 updates · live since <t:{THEN}:R> · ordered by Bob and Ann
**Server:** up 97.8 % · 6 crashes of 4 kinds (night before: 28 of 11) · 5 restarts · 2 deployments · down for \
36 min 40 s in all · back after 5 s (median)
**Crashes:** `{NAME}` ×3 (night before: 7) · `BIH::subdivide` ×2

**To merge**, in your checkout on `main`; `git push` follows
```
git fetch origin
git merge origin/overnight-20241122
```
`overnight-20241122` is not all on the remote yet"""


def test_a_full_night_is_read_in_the_order_in_which_it_matters() -> None:
    message = render_summary(FULL, HOME)
    assert title_of(message) == "Night of 22 Nov: 6 things need you"
    assert text_of(message) == TEXT
    assert message.embed is not None and (message.embed.colour, message.embed.image) == (Colour.RED, PICTURE)
    assert [each.name for each in message.files] == [PICTURE]


def test_a_quiet_night_says_so_in_one_line() -> None:
    message = render_summary(NightSummary(night="2024-11-23", over=False, counts=Counts(up=80_000.0)))
    assert title_of(message) == "Night of 23 Nov: quiet"
    assert text_of(message) == "Up 100 %, 0 crashes, nothing waits for you."
    assert message.files == ()


def test_a_night_without_a_keeper_claims_nothing_of_the_server() -> None:
    message = render_summary(NightSummary(night="2024-11-23"))
    assert title_of(message) == "Night of 23 Nov: nothing on record"
    assert text_of(message) == "Nobody looked at the server in that night."


@pytest.mark.parametrize(
    ("needs", "title", "colour"),
    [
        ((Need(Topic.LOOK, "a"),), "Night of 22 Nov: 1 thing needs you", Colour.AMBER),
        ((), "Night of 22 Nov: nothing needs you", Colour.GREEN),
    ],
)
def test_the_title_says_whether_a_person_is_needed(needs: tuple[Need, ...], title: str, colour: Colour) -> None:
    message = render_summary(replace(FULL, needs=needs, degraded=()))
    assert message.embed is not None and (message.embed.title, message.embed.colour) == (title, colour)


@pytest.mark.parametrize(
    ("up", "down", "share"),
    [(1000.0, 0.0, "100 %"), (100_000.0, 1.0, "99.9 %"), (90.0, 10.0, "90.0 %"), (0.0, 10.0, "0.0 %")],
)
def test_a_moment_of_downtime_is_never_rounded_away(up: float, down: float, share: str) -> None:
    message = render_summary(replace(FULL, counts=replace(FULL.counts, up=up, down=down)))
    assert f"**Server:** up {share} · " in text_of(message)


def test_an_old_night_has_its_year_and_a_guest_reads_that_an_operator_is_needed() -> None:
    told = datetime(2026, 11, 22, tzinfo=UTC).timestamp()
    needs = (Need(Topic.PAUSE, "Ann"),)
    message = render_summary(replace(FULL, told=told, needs=needs), HOME, "an operator")
    assert title_of(message) == "Night of 22 Nov 2024: 1 thing needs an operator"


def test_long_lists_are_counted_beyond_what_anybody_reads() -> None:
    many = tuple(UnfixedLine(f"Map::f{number}", 1, "FAILED") for number in range(20))
    text = text_of(render_summary(replace(FULL, unfixed=many)))
    assert "`Map::f7`: given up\nand 12 more" in text


def test_many_that_ride_along_are_counted() -> None:
    gone = Rider("Map::Load", COMMIT, "9f3c21aa", "ROLLED_BACK")
    riders = (gone, replace(gone, kind="revert", state="AWAITING_APPROVAL"), gone, gone, gone)
    (branch,) = FULL.branches
    text = text_of(render_summary(replace(FULL, branches=(replace(branch, riders=riders * 2),)), HOME))
    back = "- `Map::Load` (`a1b2c3d`) was rolled back: `/revert` `a1b2c3d` first"
    asks = "- the revert of `Map::Load` (`a1b2c3d`) waits for an approval: wait until run `9f3c21aa` is approved"
    asks += " or rejected"
    assert text.partition("**It brings ")[2].splitlines() == [
        "10 commits that nobody wants live, or not yet:**",
        *(back, asks, back, back, back, back, asks, back),
        "and 2 more",
    ]
    assert say_need(Need(Topic.REVIEW, "overnight-20241122", fixes=1, riders=riders)) == (
        "`overnight-20241122` has 1 fix to review · **a merge brings 5 other commits too:** `Map::Load` (`a1b2c3d`) was"
        " rolled back, the revert of `Map::Load` (`a1b2c3d`) waits for an approval, `Map::Load` (`a1b2c3d`) was rolled"
        " back, and 2 more"
    )


def test_what_rides_along_is_named_once_in_a_summary() -> None:
    rider = Rider("Map::Load", COMMIT, "9f3c21aa", "ROLLED_BACK")
    need = Need(Topic.REVIEW, "overnight-20241122", fixes=2, riders=(rider,))
    (branch,) = FULL.branches
    night = replace(FULL, needs=(need,), branches=(replace(branch, riders=(rider,)),), unfixed=())
    text = text_of(render_summary(night, HOME))
    needed = "1. `overnight-20241122` has 2 fixes to review · **a merge brings 1 other commit too**, named below"
    assert text.splitlines()[0] == needed
    assert text.count("`Map::Load` (`a1b2c3d`)") == 1


async def test_a_restart_that_an_operator_orders_is_no_deployment_and_one_that_brings_a_build_is(world: World) -> None:
    await heal(world)
    await world.orders.restart_server(OPERATOR, timedelta(), "")
    await world.settle()
    await world.pass_time(seconds=1)
    counts = look(world).counts
    assert (counts.starts, counts.deployed) == (3, 1)
    await world.crash("Spell::Cast")
    await world.pass_time(seconds=1)
    counts = look(world).counts
    assert (counts.starts, counts.deployed) == (4, 1)
    assert say_tonight(status_views.status(world.tools)) == "2 crashes, 3 restarts and 1 deployment"
    assert " · 3 restarts · 1 deployment · " in server_line(look(world))


async def test_a_start_after_noon_is_a_restart_where_the_end_before_it_was_of_another_night(world: World) -> None:
    await world.orders.stop_server(OPERATOR, timedelta(), "raid")
    await world.settle()
    await world.pass_time(hours=26)
    await world.orders.start_server(OPERATOR)
    await world.settle()
    await world.pass_time(seconds=1)
    night = world.tools.night()
    assert night == NIGHT + timedelta(days=1)
    assert (look(world).counts.starts, look(world, night).counts.starts) == (0, 1)
    assert say_tonight(status_views.status(world.tools)) == "0 crashes and 1 restart"


def test_what_others_wrote_is_plain_text_in_it() -> None:
    evil = "@everyone `x` [a](http://b) **c**"
    lines = {
        "needs": (Need(Topic.LOOK, evil, evil), Need(Topic.PAUSE, evil, evil), Need(Topic.SERVER, evil, evil)),
        "unfixed": (UnfixedLine(evil, 1, evil, evil),),
        "undone": (UndoneLine(evil, evil, "javascript:x", evil, evil),),
        "updates": (UpdateLine(evil, "javascript:x", evil, 1.0),),
        "fixed": (FixedLine(evil, evil, "http://x) [y](http://z", evil, verdict=evil),),
        "branches": (BranchLine("x`; rm -rf ~", "$(id)", 1, "javascript:x"),),
        "crashes": (CrashLine(evil, 1, 0),),
    }
    text = text_of(render_summary(replace(FULL, **lines)))  # type: ignore[arg-type] # each field by its name
    outside = re.sub(r"`[^`\n]*`", "", text)
    for danger in ("@everyone", "](", "javascript", "**c**"):
        assert danger not in outside
    assert "@everyone" not in text
    assert "git merge id/xrm-rf" in text


def test_a_summary_comes_back_from_the_outbox_as_it_was() -> None:
    import json

    data = json.loads(json.dumps(asdict(FULL)))
    message = render_post(Post(34, PostKind.SUMMARY, None, data, NOW), "Testrealm", HOME)
    assert text_of(message) == TEXT
    assert message.embed is not None and message.embed.footer == "Testrealm · #p34"
