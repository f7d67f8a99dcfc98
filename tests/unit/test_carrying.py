"""Which build may go live: each fix in it is wanted, and none takes out what runs."""

from datetime import timedelta
from pathlib import Path

from world import BOB, GOOD, OPERATOR, OTHER, World

from bot.needs import say_need
from pipeline import status_views
from pipeline.model import Approval, Diagnostic, FixState, Hindrance, RunKind, RunState
from pipeline.runner import MOST_ATTEMPTS
from pipeline.status_models import Topic
from pipeline.store.runs import CHUNK


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


async def test_a_fix_that_cannot_be_brought_back_is_not_called_its_own_revert(world: World) -> None:
    fix = await world.answer(await world.crash("Map::Update"), GOOD)
    await world.pass_time(minutes=3)
    await world.orders.revert(world.get(fix).commit or "", BOB)
    await world.pass_time(minutes=3)
    (revert,) = [run for run in world.runs() if run.kind is RunKind.REVERT]
    world.builder.broken["good"] = (Diagnostic("'x' was not declared", "src/Map.cpp", 3),)
    await world.orders.revert(world.get(revert).commit or "", BOB)
    await world.pass_time(minutes=3)
    (back,) = [run for run in world.runs() if run.kind is RunKind.REVERT and run.id != revert.id]
    world.expect(back, RunState.FAILED)
    (need,) = [each for each in status_views.status(world.tools).needs if each.run == back.id]
    assert say_need(need).startswith("the putting back of `Map::Update` **given up: needs a person** · ")
