"""What a card shows of the world, from the keeper's events to its text."""

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event
from world import BOB, GOOD, OPERATOR, OTHER, World

from bot.cards import render_card
from bot.needs import say_need
from bot.payloads import Colour, Message
from bot.posts import render_post
from bot.questions import ask_revert
from bot.records import fate
from bot.status import doing
from bot.summary import render_summary
from pipeline import records, status_views
from pipeline.card_models import FixLink
from pipeline.keeper.protocol import EventKind, Exit, ExitVerdict
from pipeline.model import Approval, Diagnostic, Patch, Run, RunKind, RunState, WholeFile
from pipeline.read_models import RevertPlan, RollbackPlan
from pipeline.status_models import RunLine, Topic


@pytest.fixture
async def world(tmp_path: Path) -> World:
    return await World(tmp_path).start()


def card(world: World) -> Message:
    """The newest card, as people see it."""
    newest = max(each.card for each in world.store.list_dirty_cards())
    return render_card(world.ledger.get_card_view(newest))


def text(world: World) -> str:
    embed = card(world).embed
    assert embed is not None
    return embed.description


def title(world: World) -> str:
    embed = card(world).embed
    assert embed is not None
    return embed.title


WAITS = "*its request waits in the queue for an answer, since* <t:"


async def test_a_card_says_that_it_waits_for_resume_only_where_it_does(world: World) -> None:
    asked = await world.crash("Map::Update")
    await world.orders.pause(OPERATOR, "raid")
    assert WAITS in text(world)
    await world.orders.cancel_run(asked.id, OPERATOR)
    await world.orders.retry(asked.id, OPERATOR)
    await world.settle()
    assert WAITS in text(world), "what a person orders goes through"
    await world.crash("Spell::Cast")
    assert "*pipeline paused, goes on after* `/resume`" in text(world)
    lines = {run.subject: run.paused for run in status_views.status(world.tools).runs}
    assert lines == {"Map::Update": False, "Spell::Cast": True}


async def test_a_fix_of_what_only_a_build_had_that_was_taken_back_later_is_not_called_its_cure(world: World) -> None:
    """A person takes the build back by hand, and nobody knows whether what stays would ever have crashed so."""
    first = await world.answer(await world.crash("Spell::Cast"), GOOD)
    await world.pass_time(minutes=3)
    world.expect(first, RunState.SUCCEEDED)
    second = await world.crash("Loot::Roll")
    plan = await world.orders.plan_rollback()
    assert isinstance(plan, RollbackPlan)
    await world.orders.roll_back(OPERATOR, plan.running[:12], "looks odd")
    await world.pass_time(minutes=3)
    await world.orders.resume(OPERATOR)
    await world.settle()
    await world.answer(second, OTHER)
    await world.pass_time(minutes=3)
    fix = world.expect(second, RunState.SUCCEEDED)
    shown = show(world, fix).embed
    assert shown is not None and shown.title == "Fix live: Loot::Roll"
    assert shown.description.splitlines()[0] == (
        "**It was seen only in a build that was taken back:** nothing that stayed ever crashed so"
    )
    lines = {each.title: fate(each) for each in (await world.orders.list_crashes(1)).lines}
    link = f"[`{(fix.commit or '')[:7]}`]({world.source.url(fix.commit or '')})"
    assert lines["Loot::Roll"] == f"fix live in {link} · seen only in a build that was taken back"
    assert lines["Spell::Cast"] == "its fix was rolled back"
    (fixed,) = (await world.orders.summary(None)).fixed
    assert (fixed.subject, fixed.only_taken_back) == ("Loot::Roll", True)


async def test_a_card_tells_of_the_rollback_until_the_new_try_has_an_answer(world: World) -> None:
    run = await world.answer(await world.crash("Spell::Cast"), Patch(files=(WholeFile("src/Spell.cpp", "worse"),)))
    await world.die("Loot::Roll")
    await world.pass_time(minutes=3)
    worse = show(world, run).embed
    assert worse is not None and worse.title == "Rolled back: the fix made it worse"
    assert worse.description.splitlines()[-2:] == [
        "A new try, which is told of this, is asked for after `/resume`", "What it died of: `/crash Loot::Roll`",
    ]  # fmt: skip
    await world.orders.resume(OPERATOR)
    await world.settle()
    asked = show(world, run).embed
    assert asked is not None and asked.title == worse.title
    assert asked.description.splitlines()[-2].startswith(
        "*The request for a new try waits in the queue for an answer, since* <t:"
    )
    card_of_its_crash = show_card(world, "Loot::Roll").embed
    assert card_of_its_crash is not None and card_of_its_crash.title == "Crash in Loot::Roll"
    assert card_of_its_crash.description.splitlines()[:2] == [
        "**It was seen only in a build that was taken back:** nobody is needed unless it comes again",
        "Server back after **0.1 s**",
    ]
    await world.answer(next(each for each in world.runs("Spell::Cast") if each.retry_of), OTHER)
    live = show(world, run).embed
    assert live is not None and live.title == "Fix live, watching: Spell::Cast"


async def test_of_fixes_that_were_worse_together_no_card_blames_its_own(tmp_path: Path) -> None:
    world = await World(tmp_path, {"max_players_for_restart": 0}).start()
    both = await world.crash_until_all_go_live({"Map::Update": GOOD, "Spell::Cast": OTHER})
    await world.die("Loot::Roll")
    await world.pass_time(minutes=3)
    for run in both:
        embed = show(world, run).embed
        assert embed is not None and embed.title == f"Rolled back: {run.subject}"
        assert (
            "It went live with 1 other change, rolled back with it: which of them made the server worse is not known"
        ) in embed.description.splitlines()


def end_unseen(world: World, lived: float) -> None:
    """A new keeper finds the server dead: all it knows is how long it was seen to live."""
    runs = world.keeper.now
    assert runs is not None and runs.started is not None
    now = world.clock.now().timestamp()
    end = Exit(ExitVerdict.CRASH, now, 1, None, runs.build, runs.revision, 1, 0.0, lived, runs.started, "Map::Update")
    world.keeper.note(EventKind.EXITED, **dataclasses.asdict(end))


async def test_a_fix_that_cured_nothing_is_on_the_card_while_the_next_is_asked_for(world: World) -> None:
    run = await world.answer(await world.crash("Map::Update"), GOOD)
    await world.crash("Map::Update")
    fix = world.expect(run, RunState.FAILED).commit or ""
    assert title(world) == "Not cured: Map::Update (×2)"
    assert text(world).startswith(
        f"**It crashed again with [`{fix[:7]}`](https://example.org/commit/{fix}) in place:** that build stays, and a"
        " new try goes on from it\nServer back after "
    )
    await world.answer(world.runs("Map::Update")[-1], OTHER)
    assert title(world) == "Fix live, watching: Map::Update"


async def test_a_fix_that_was_found_healthy_and_cured_nothing_is_on_the_card_too(world: World) -> None:
    run = await world.answer(await world.crash("Map::Update"), GOOD)
    await world.pass_time(minutes=30)
    fix = world.expect(run, RunState.SUCCEEDED).commit or ""
    await world.crash("Map::Update")
    assert title(world) == "Not cured: Map::Update (×2)"
    assert text(world).startswith(
        f"**It crashed again with [`{fix[:7]}`](https://example.org/commit/{fix}) in place:** that build stays, and a"
        " new try goes on from it\nServer back after "
    )


async def test_a_fix_that_never_compiles_shows_the_last_error_and_a_new_try_is_told_of_each(world: World) -> None:
    run = await world.crash("Map::Update")
    for number in range(3):
        world.builder.broken[f"try {number}"] = (Diagnostic(f"'y{number}' was not declared", "src/Map.cpp", 12),)
        await world.answer(run, Patch(files=(WholeFile("src/Map.cpp", f"try {number}"),)))
    world.expect(run, RunState.FAILED)
    assert title(world) == "Fix does not compile: Map::Update"
    assert text(world) == (
        f"**No further try by itself; a person is needed:** `/retry {run.id}` tries it again\n"
        "`src/Map.cpp:12: error: 'y2' was not declared` · log in the thread\nServer back after **0.1 s**"
    )
    await world.orders.retry(run.id, OPERATOR)
    await world.settle()
    (again,) = [each for each in world.runs("Map::Update") if each.retry_of == run.id]
    told = [each.get("diagnostics") for each in world.store.get_previous(again.id)]
    assert told == [*([f"src/Map.cpp:12: error: 'y{number}' was not declared"] for number in range(3)), None]


async def test_a_crash_is_over_when_the_server_is_ready_again(world: World) -> None:
    world.keeper.end(ExitVerdict.CRASH, "Map::Update", -11)
    await world.pass_time(seconds=4)
    world.keeper.start(None, None)
    await world.settle()
    assert text(world).startswith("Server back after **4 s** · ")


async def test_a_death_that_nobody_saw_is_counted_from_the_last_sign_of_life_and_says_so(world: World) -> None:
    await world.pass_time(hours=3)  # neither bot nor keeper live
    end_unseen(world, lived=3610.0)
    world.keeper.start(None, None)
    await world.settle()
    assert text(world).startswith("Server back after at most **2 h**: nobody saw it die · ")


async def test_a_keeper_that_was_gone_for_a_moment_saw_enough(world: World) -> None:
    await world.pass_time(seconds=5)
    end_unseen(world, lived=12.0)
    world.keeper.start(None, None)
    await world.settle()
    assert text(world).startswith("Server back after **0.1 s** · ")


async def test_a_machine_that_slept_makes_no_end_unseen(world: World) -> None:
    await world.pass_time(hours=3)
    runs = world.keeper.now
    assert runs is not None and runs.started is not None
    now = world.clock.now().timestamp()
    end = Exit(ExitVerdict.CRASH, now, 1, -11, runs.build, None, 1, 0.0, 20.0, runs.started, "Map::Update")
    world.keeper.note(EventKind.EXITED, **dataclasses.asdict(end))
    world.keeper.start(None, None)
    await world.settle()
    assert text(world).startswith("Server back after **0.1 s** · ")


async def test_a_card_whose_message_takes_no_more_edits_refers_to_it_and_keeps_its_thread(world: World) -> None:
    await world.crash("Map::Update")
    (state,) = world.store.list_dirty_cards()
    world.store.card_delivered(state.card, state.wanted, "77", "78")
    world.store.card_replaced(state.card)
    (again,) = world.store.list_dirty_cards()
    assert (again.card, again.message, again.thread) == (state.card, None, "78")
    assert world.ledger.get_card_view(state.card).previous_card == "77"


async def test_a_rolled_back_card_offers_to_resume_only_the_pause_that_it_made(world: World) -> None:
    run = await world.crash("Spell::Cast")
    await world.answer(run, Patch(files=(WholeFile("src/Spell.cpp", "worse"),)))
    await world.die("Loot::Roll")
    await world.pass_time(minutes=3)
    number = world.store.get_card_of_run(run.id) or 0
    assert world.ledger.get_card_view(number).paused_by_it
    await world.orders.resume(OPERATOR)
    await world.pass_time(minutes=1)
    await world.orders.pause(OPERATOR, "I look myself")
    await world.settle()
    assert world.store.get_pause() is not None and not world.ledger.get_card_view(number).paused_by_it


async def test_what_waits_for_a_revert_says_so_and_its_card_then_names_the_build_that_runs(tmp_path: Path) -> None:
    world = await World(tmp_path, {"max_players_for_restart": 0}).start()
    world.players.online = 3
    below, run = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(below, GOOD)
    await world.answer(run, OTHER)
    world.builder.fault = "the disk is full"
    await world.orders.reject(below.id, BOB, "wrong lock")
    await world.settle()
    waiting = show(world, run)
    commits = [(world.get(each).commit or "")[:7] for each in (below, run)]
    url = world.source.url(world.get(run).commit or "")
    link = f"[`{commits[1]}`]({url}) on `overnight-20261122`"
    assert waiting.embed is not None and waiting.embed.title == "Fix may not go live yet: Spell::Cast"
    assert waiting.embed.colour is Colour.AMBER, "its revert did not build, and no other comes by itself"
    assert waiting.embed.description == (
        f"**its build still holds `Map::Update` (`{commits[0]}`), which was taken back: waits for its revert;"
        f" `/revert {commits[0]}` orders one**\n`Spell::Cast` · {link}"
    )
    assert [button.custom_id for button in waiting.buttons] == [f"reject:{run.id}"]
    (line,) = [each for each in status_views.status(world.tools).runs if each.id == run.id]
    assert doing(line) == "built, may not go live yet"
    summary = render_summary(records.night_summary(world.tools, world.tools.night())).embed
    assert summary is not None
    assert (
        "**Not fixed yet (2)**\n- `Map::Update`: rejected by Bob: wrong lock\n"
        "- `Spell::Cast`: a fix is built and may not go live: needs a person · its build still "
        f"holds `Map::Update` (`{commits[0]}`), which was taken back: waits for its revert; `/revert {commits[0]}` "
        "orders one"
    ) in summary.description
    (need,) = [each for each in status_views.status(world.tools).needs if each.run == run.id]
    assert say_need(need) == (
        f"`Spell::Cast` **built, and may not go live: needs a person** · run `{run.id}` · its build still holds "
        f"`Map::Update` (`{commits[0]}`), which was taken back: waits for its revert; `/revert {commits[0]}` orders one"
    )
    await world.orders.pause(OPERATOR, "raid")
    paused = show(world, run).embed
    assert paused is not None and (paused.title, paused.colour) == ("Fix built, paused: Spell::Cast", Colour.GREY)
    assert paused.description == f"*Pipeline paused, goes on after* `/resume`\n{link}"
    needs = status_views.status(world.tools).needs
    assert needs[0].topic is Topic.PAUSE
    assert not [each for each in needs if each.run == run.id], "nobody looks at it until then"
    await world.orders.resume(OPERATOR)
    world.builder.fault, world.players.online = None, 0
    await world.orders.revert(commits[0], BOB)
    await world.pass_time(seconds=1)
    world.expect(run, RunState.VERIFYING)
    live = show(world, run).embed
    assert live is not None and world.running is not None and not world.running.startswith(commits[1])
    first, second, _ = live.description.splitlines()
    assert first.startswith(f"Server up, runs `{world.running[:7]}` · was down for ")
    assert second == f"{link} · part of that build"


async def test_card_and_thread_of_a_revert_name_what_it_takes_back_and_who_ordered_it(world: World) -> None:
    fix = await world.answer(await world.crash("Map::Update"), GOOD)
    commit, revert = await revert_of(world, fix)
    made = world.get(revert).commit or ""
    link, back = (f"[`{each[:7]}`]({world.source.url(each)})" for each in (made, commit))
    assert text(world).splitlines()[1] == f"{link} on `overnight-20261122`, takes back {back} · asked for by Bob"
    (built,) = [post for post in world.posts() if post.data.get("undoes")]
    told = render_post(built, "Test realm").embed
    assert told is not None
    assert told.description == f"{link} on `overnight-20261122`\ntakes back {back} · ordered by Bob"
    await world.pass_time(minutes=3)
    assert text(world).startswith(f"{link} on `overnight-20261122`, takes back {back} · live since <t:")
    question = ask_revert(await plan_revert(world, made))
    assert [button.label for button in question.buttons] == ["Put back", "Keep"]


async def revert_of(world: World, fix: Run) -> tuple[str, Run]:
    """The commit of a fix that was found healthy, and the revert of it that Bob orders."""
    await world.pass_time(minutes=3)
    commit = world.expect(fix, RunState.SUCCEEDED).commit or ""
    await world.orders.revert(commit, BOB)
    await world.settle()
    (revert,) = [run for run in world.runs() if run.kind is RunKind.REVERT]
    return commit, revert


async def plan_revert(world: World, commit: str) -> RevertPlan:
    plan = await world.orders.plan_revert(commit)
    assert isinstance(plan, RevertPlan)
    return plan


async def test_what_is_watched_says_so_only_while_the_server_runs_and_is_watched_anew_after_that(world: World) -> None:
    run = await world.answer(await world.crash("Map::Update"), GOOD)
    await world.pass_time(seconds=100)
    await world.orders.stop_server(OPERATOR, timedelta(), "new disk")
    await world.settle()
    since = int(world.clock.now().timestamp())
    stopped = show(world, run).embed
    assert stopped is not None and (stopped.title, stopped.colour) == (
        "Fix built, server is down: Map::Update", Colour.RED,
    )  # fmt: skip
    assert stopped.description.splitlines()[0] == (
        f"**Nothing is running** since <t:{since}:R>: it is watched once the server is up again"
    )
    await world.pass_time(minutes=10)
    await world.orders.start_server(OPERATOR)
    await world.settle()
    healthy = int((world.clock.now() + world.realm.soak).timestamp())
    live = show(world, run).embed
    assert live is not None and live.title == "Fix live, watching: Map::Update"
    assert f" · healthy <t:{healthy}:R> if it stays up" in live.description


async def test_a_revert_that_was_rolled_back_has_its_fix_in_again_wherever_one_looks(tmp_path: Path) -> None:
    world = await World(tmp_path).start()
    fix = await world.answer(await world.crash("Map::Update"), GOOD)
    commit, revert = await revert_of(world, fix)
    world.expect(revert, RunState.VERIFYING)
    await world.die("Spell::Cast")
    await world.pass_time(minutes=1)
    world.expect(revert, RunState.ROLLED_BACK)
    (back,) = [run for run in world.runs() if run.kind is RunKind.REVERT and run.id != revert.id]
    assert world.running == commit
    again = world.expect(back, RunState.SUCCEEDED).commit or ""
    embed = show(world, revert).embed
    assert embed is not None
    assert embed.description.splitlines()[-2] == (
        f"the previous build `{commit[:7]}` was put back · the fix is in again: its revert was reverted in "
        f"[`{again[:7]}`]({world.source.url(again)})"
    )
    (line,) = [each for each in records.list_crashes(world.tools, 1).lines if each.title == "Map::Update"]
    assert fate(line) == f"fixed in [`{commit[:7]}`]({world.source.url(commit)})"
    found = records.night_summary(world.tools, world.tools.night())
    assert [each.subject for each in found.fixed] == ["Map::Update"]
    assert found.undone == ()


async def test_an_ordered_revert_that_went_out_with_what_was_worse_is_a_need_and_called_a_revert(
    tmp_path: Path,
) -> None:
    world = await World(tmp_path, {"max_players_for_restart": 0}).start()
    fix = await world.answer(await world.crash("Map::Update"), GOOD)
    await world.pass_time(minutes=3)
    await world.orders.revert(world.get(fix).commit or "", BOB)
    await world.settle()
    (revert,) = [run for run in world.runs() if run.kind is RunKind.REVERT]
    await world.die("Loot::Roll")
    await world.pass_time(minutes=3)
    commit = world.expect(revert, RunState.ROLLED_BACK).commit or ""
    retry = f"`/retry {revert.id}` tries it again"
    pause, need, _ = status_views.status(world.tools).needs
    assert pause.detail.startswith(f"rolled back: the revert of `Map::Update` (`{commit[:7]}`): ")
    assert say_need(need) == (
        f"the revert of `Map::Update` **rolled back: what it had taken back is live again** · run `{revert.id}` · "
        f"the new server died 1 s after ready in `Loot::Roll` · {retry}"
    )
    shown = show(world, revert).embed
    assert shown is not None and shown.title == "Revert rolled back: Map::Update"
    assert shown.description.splitlines()[:2] == [
        "**Pipeline paused, a person is needed:** see what it died of, then `/resume`",
        f"**rolled back: what it had taken back is live again**: {retry}",
    ]
    await world.orders.retry(revert.id, BOB)
    assert [each.topic for each in status_views.status(world.tools).needs] == [Topic.PAUSE, Topic.REVIEW]


def show_card(world: World, name: str) -> Message:
    """Of a crash without a run."""
    rows = [row for row in world.store.list_crash_rows(None) if row.signature == world.reader.read_name(name)]
    return render_card(world.ledger.get_card_view(rows[-1].card or 0))


def show(world: World, run: Run) -> Message:
    """Its card, as people see it."""
    return render_card(world.ledger.get_card_view(world.store.get_card_of_run(run.id)))


async def test_a_fix_that_was_rejected_was_never_live_and_its_card_says_who_why_and_what_became_of_it(
    tmp_path: Path,
) -> None:
    world = await World(tmp_path, {"approval": Approval.DEPLOY}).start()
    run = await world.answer(await world.crash("Map::Update"), GOOD)
    commit = world.expect(run, RunState.AWAITING_APPROVAL).commit or ""
    link = f"[`{commit[:7]}`]({world.source.url(commit)})"
    await world.orders.reject(run.id, BOB, "wrong lock")
    ordered = show(world, run).embed
    assert ordered is not None and ordered.title == "Rejected, to be reverted: Map::Update"
    assert ordered.description.splitlines()[-2:] == [
        "**rejected by Bob: wrong lock** · it was never live · the crash is not mended",
        f"{link} is being reverted",
    ]
    await world.settle()
    (revert,) = [each for each in world.runs() if each.kind is RunKind.REVERT]
    undone = world.expect(revert, RunState.SUCCEEDED).commit or ""
    over = show(world, run).embed
    assert over is not None and (over.title, over.colour) == ("Rejected: Map::Update", Colour.GREY)
    assert over.description.splitlines()[-2:] == [
        "**rejected by Bob: wrong lock** · it was never live · the crash is not mended",
        f"{link} was reverted in [`{undone[:7]}`]({world.source.url(undone)}) on `overnight-20261122`",
    ]
    assert len(over.description.splitlines()) == 4, "beside them the crash, and how the server is"


async def test_a_fix_that_was_rolled_back_says_what_was_put_back_then_and_who_is_needed(world: World) -> None:
    run = await world.answer(await world.crash("Map::Update"), GOOD)
    await world.pass_time(minutes=3)
    world.expect(run, RunState.SUCCEEDED)
    await world.orders.roll_back(OPERATOR, world.running or "", "it lags")
    await world.pass_time(minutes=1)
    await world.pass_time(minutes=3)
    gone = world.expect(run, RunState.ROLLED_BACK)
    shown = show(world, run).embed
    assert shown is not None and shown.description.splitlines()[:2] == [
        "**Pipeline paused:** `/resume` lets it go on, when you like",
        f"**rolled back, so it still crashes: needs a person**: `/retry {gone.id}` tries it again",
    ]
    (need,) = [each for each in status_views.status(world.tools).needs if each.run == gone.id]
    assert "**rolled back, so it still crashes: needs a person**" in say_need(need)
    assert "was put back · fix reverted in " in shown.description.splitlines()[-1]


async def test_a_request_that_no_command_takes_needs_somebody_from_the_start(world: World) -> None:
    run = await world.crash("Map::Update")
    asked = f"<t:{int(run.updated_at.timestamp())}:R>"
    assert text(world).startswith(
        "Server back after **0.1 s** · *its request waits in the queue for an answer, since* "
    )
    assert asked in text(world)
    found = status_views.status(world.tools)
    assert [doing(line) for line in found.runs] == ["its request waits in the queue for an answer"]
    (need,) = found.needs
    assert say_need(need) == (
        f"`Map::Update` **waits in the queue for an answer**, since {asked} · run `{run.id}`"
        f" · `/run {run.id}` names its file"
    )
    await world.answer(run, GOOD)
    assert status_views.status(world.tools).needs == ()


async def test_what_waited_for_a_pause_to_end_is_unanswered_since_it_was_asked(world: World) -> None:
    await world.orders.pause(OPERATOR, "raid")
    run = await world.crash("Map::Update")
    await world.pass_time(hours=2)
    await world.orders.resume(OPERATOR)
    await world.settle()
    asked = f"<t:{int(world.tools.now().timestamp())}:R>"
    assert asked in text(world)
    (need,) = status_views.status(world.tools).needs
    assert say_need(need) == (
        f"`Map::Update` **waits in the queue for an answer**, since {asked} · run `{run.id}`"
        f" · `/run {run.id}` names its file"
    )


async def test_a_card_is_of_one_moment_and_holds_the_database_while_it_asks_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await World(tmp_path, {"max_players_for_restart": 0}).start()
    world.players.online = 3
    run = await world.answer(await world.crash("Map::Update"), GOOD)
    world.expect(run, RunState.AWAITING_DEPLOYMENT)
    number = world.store.get_card_of_run(run.id)
    begun: list[object] = []
    event.listen(world.engine, "begin", begun.append)
    for name in ("commit", "rollback"):
        event.listen(world.engine, name, lambda _: begun.append(None))
    asked: list[tuple[str, int]] = []
    for place, name in ((world.source, "url"), (world.players, "count"), (world.keeper, "observed")):
        monkeypatch.setattr(place, name, note_when(asked, begun, name, getattr(place, name)))
    view = world.ledger.get_card_view(number)
    assert (len(begun), asked) == (2, [("observed", 0), ("count", 2), ("url", 2)]), "before it began, and after its end"
    assert (view.players, view.fix) == (
        3,
        FixLink(world.get(run).commit or "", page_of(world, run), "overnight-20261122"),
    )


def page_of(world: World, run: Run) -> str:
    return f"https://example.org/commit/{world.get(run).commit}"


def note_when(
    asked: list[tuple[str, int]], begun: list[object], name: str, ask: Callable[..., object]
) -> Callable[..., object]:
    """With how often a transaction had begun or ended by then."""

    def noted(*given: object) -> object:
        asked.append((name, len(begun)))
        return ask(*given)

    return noted


async def test_a_request_that_a_command_will_take_needs_nobody_until_the_command_is_done_with_it(world: World) -> None:
    world.analyst.has_command = True
    world.tools.prepared.clear()  # our clone is not there yet
    run = await world.crash("Map::Update")
    waits = f"*its request waits in the queue for an answer, since* <t:{int(run.updated_at.timestamp())}:R>"
    await world.pass_time(hours=1)
    status = status_views.status(world.tools)
    assert text(world).startswith(f"Server back after **0.1 s** · {waits}\n")
    assert [doing(line) for line in status.runs] == ["its request waits in the queue for an answer"]
    assert status.needs == ()
    world.tools.prepared.set()
    await world.settle()
    assert world.analyst.commanded == [run.request_id], "it did not answer"
    await world.pass_time(hours=1)
    failed = world.runs("Map::Update")[-1]
    (need,) = status_views.status(world.tools).needs
    assert say_need(need) == (
        "`Map::Update` **waits in the queue for an answer**,"
        f" since <t:{int(failed.updated_at.timestamp())}:R> · run `{run.id}`"
        f" · the analyst gave no answer: it ended with code 1 · `/run {run.id}` names its file"
    )


async def test_while_a_command_works_on_a_request_nobody_else_is_waited_for(world: World) -> None:
    world.analyst.has_command = world.analyst.thinks = True
    world.keeper.crash("Map::Update")
    settling = asyncio.ensure_future(world.settle())
    await asyncio.to_thread(world.analyst.thinking.wait, 30)
    world.clock.time += timedelta(hours=1)
    assert "*asking the analyst*" in text(world)
    status = status_views.status(world.tools)
    assert (status.needs, [doing(line) for line in status.runs]) == ((), ["with the analyst"])
    world.analyst.thinks = False
    await world.orders.cancel_run(world.runs("Map::Update")[-1].id, OPERATOR)
    await settling


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (RunKind.FIX, "**rolled back, so it still crashes: needs a person**"),
        (RunKind.REVERT, "**rolled back: what it had taken back is live again**"),
        (RunKind.UPDATE, "**rolled back: what it had brought is not live**"),
    ],
)
def test_what_was_rolled_back_is_told_as_what_it_was(kind: RunKind, words: str) -> None:
    assert doing(RunLine("1", "Map::Update", RunState.ROLLED_BACK, None, None, None, kind=kind)) == words


async def test_a_crash_that_is_there_again_since_its_fix_was_taken_back_says_so(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    await world.orders.revert(world.get(run).commit or "", OPERATOR)
    await world.crash("Map::Update")  # before anybody has begun with it
    fix, made = world.get(run).commit or "", world.running or ""
    links = [f"[`{each[:7]}`](https://example.org/commit/{each})" for each in (fix, made)]
    assert title(world) == "Crash in Map::Update (×2)"
    first, second, _ = text(world).splitlines()
    assert first == f"**Its fix {links[0]} is being taken back** by {links[1]}: a new one is asked for already"
    assert second.startswith(f"Server back after **0.1 s** · {WAITS}")
    await world.pass_time(minutes=3)
    assert text(world).splitlines()[0] == f"**Its fix {links[0]} was taken back** by {links[1]}: a new one is asked for"
