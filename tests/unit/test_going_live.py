"""What may go live, whatever people order in whatever order."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from nights import Killed, Reaper
from world import BOB, GOOD, OPERATOR, OTHER, World

from bot.cards import render_card
from pipeline import change_orders, run_orders
from pipeline.errors import TransientError
from pipeline.keeper.protocol import EventKind, ExitVerdict
from pipeline.model import Approval, Diagnostic, Done, FixState, Patch, Question, Run, RunKind, RunState, WholeFile
from pipeline.stages import deploying
from pipeline.store import Overtaken, Store

HOLD = {"max_players_for_restart": 0}
LOOT = Patch(files=(WholeFile("src/Loot.cpp", "good three"),))


async def make(tmp_path: Path, **changes: object) -> World:
    world = World(tmp_path, dict(changes))
    world.source.commits["b" * 40].files["src/Loot.cpp"] = "bad"
    return await world.start()


def reverts(world: World) -> list[Run]:
    return [each for each in world.runs() if each.kind is RunKind.REVERT]


def live(world: World) -> dict[str, str]:
    return world.source.commits[world.running].files if world.running in world.source.commits else {}


async def test_killed_right_after_reject_of_what_stands_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot dies between the order's transaction and the keeper's wish; the next life crashes before the revert."""
    world = await make(tmp_path, **HOLD)
    world.players.online = 3
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert world.store.get_standby() is not None
    reaper = Reaper.installed(monkeypatch)
    reaper.deaths = {"revert.noted": 1}
    with pytest.raises(Killed):
        await world.orders.reject(run.id, BOB, "no")
    reaper.dying = False
    world.restart()
    world.source.remote_gone = False
    world.builder.fault = "the compiler is gone"  # the revert takes a while
    await world.settle()
    world.expect(run, RunState.CANCELLED)
    assert world.store.get_standby() is None, "what was rejected stands by still"
    await world.crash("Spell::Cast")
    assert live(world).get("src/Map.cpp") != "good", "what was rejected went live by a crash"


async def test_a_rejected_revert_of_a_rollback_does_not_bring_the_bad_fix_back(tmp_path: Path) -> None:
    world = await make(tmp_path)
    bad, other = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(bad, GOOD)
    await world.answer(other, OTHER)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=1)
    world.expect(bad, RunState.ROLLED_BACK)
    (revert,) = reverts(world)
    world.expect(revert, RunState.AWAITING_DEPLOYMENT)
    await world.orders.reject(revert.id, OPERATOR, "not now")
    for _ in range(4):
        await world.pass_time(minutes=3)
        assert live(world).get("src/Map.cpp") != "good", (
            f"rolled back, never wanted again, yet live; paused: {world.store.get_pause()}"
        )


async def test_a_cancelled_revert_of_a_reject_does_not_bring_the_rejected_fix_live(tmp_path: Path) -> None:
    world = await make(tmp_path, approval=Approval.DEPLOY)
    bad, other = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(bad, GOOD)
    await world.answer(other, OTHER)
    await world.orders.reject(bad.id, BOB, "no")
    await world.settle()
    (revert,) = reverts(world)
    await world.orders.cancel_run(revert.id, OPERATOR)
    await world.settle()
    await world.orders.approve(other.id, OPERATOR)
    for _ in range(4):
        await world.pass_time(minutes=3)
        assert live(world).get("src/Map.cpp") != "good", "rejected, yet live"


async def test_a_pause_in_the_notice_lets_nothing_newer_than_the_ordered_build_by(tmp_path: Path) -> None:
    world = await make(tmp_path, **HOLD)
    first, newer = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    world.players.online = 3
    await world.answer(first, GOOD)
    await world.answer(newer, OTHER)
    await world.orders.deploy_now(first.id, OPERATOR)
    await world.settle()
    active = world.store.get_active_deployment()
    assert active is not None and active.state == "announcing"
    await world.orders.pause(OPERATOR, "raid")
    await world.settle()
    await world.pass_time(minutes=2)
    assert live(world).get("src/Spell.cpp") != "good too", "nobody ordered it, and it is paused"


async def test_a_retried_fix_under_approval_deploy_is_asked_about(tmp_path: Path) -> None:
    world = await make(tmp_path, approval=Approval.DEPLOY)
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.orders.reject(run.id, BOB, "no")
    await world.pass_time(minutes=3)
    done = await world.orders.retry(run.id, OPERATOR)
    assert isinstance(done, Done)
    await world.settle()
    again = next(each for each in world.runs() if each.id == done.run)
    await world.answer(again, OTHER)
    assert world.get(again).question is Question.DEPLOY, "a patch that nobody has seen went live by itself"
    assert world.running in (None, "found-1")


async def test_a_retried_fix_under_approval_patch_is_asked_about(tmp_path: Path) -> None:
    world = await make(tmp_path, approval=Approval.PATCH)
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.orders.reject(run.id, BOB, "no")
    done = await world.orders.retry(run.id, OPERATOR)
    assert isinstance(done, Done)
    await world.settle()
    again = next(each for each in world.runs() if each.id == done.run)
    await world.answer(again, OTHER)
    assert world.get(again).question is Question.PATCH, "a patch that nobody has seen was applied"


async def test_a_retried_fix_does_not_restart_over_players(tmp_path: Path) -> None:
    world = await make(tmp_path, **HOLD)
    run = await world.crash("Map::Update")
    world.players.online = 3
    await world.answer(run, GOOD)
    await world.orders.reject(run.id, BOB, "no")
    await world.pass_time(minutes=1)
    done = await world.orders.retry(run.id, OPERATOR)
    assert isinstance(done, Done)
    await world.settle()
    again = next(each for each in world.runs() if each.id == done.run)
    await world.answer(again, OTHER)
    assert world.store.get_active_deployment() is None, "nobody said Deploy now"


async def test_a_run_that_failed_while_it_was_pushed_does_not_ride_along_unapproved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make(tmp_path, approval=Approval.DEPLOY)
    first = await world.crash("Map::Update")

    def publish(*_: object) -> None:
        raise TransientError("git is locked")

    monkeypatch.setattr(world.source, "publish", publish)
    await world.answer(first, GOOD)
    for _ in range(8):
        await world.pass_time(minutes=5)
    failed = world.expect(first, RunState.FAILED)
    monkeypatch.undo()
    other = await world.crash("Spell::Cast")
    await world.answer(other, OTHER)
    await world.orders.approve(other.id, OPERATOR)
    for _ in range(3):
        await world.pass_time(minutes=3)
    assert live(world).get("src/Map.cpp") != "good", f"nobody approved it: {failed.reason}"


async def rolled_back_beside_an_ordered_revert(tmp_path: Path, players: int) -> tuple[World, Run, Run]:
    """A fix that is verified, another that was built on it, and a person who orders the first one's revert."""
    world = await make(tmp_path)
    bad, other = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(bad, GOOD)
    await world.answer(other, OTHER)
    world.expect(bad, RunState.VERIFYING)
    await world.orders.revert(world.get(bad).commit or "", OPERATOR)
    await world.settle()
    world.players.online = players
    await world.die("Loot::Roll")
    await world.pass_time(minutes=1)
    world.expect(bad, RunState.ROLLED_BACK)
    return world, bad, other


async def test_an_ordered_revert_and_a_rollback_of_the_same_fix_leave_the_others_alone(tmp_path: Path) -> None:
    world, _, other = await rolled_back_beside_an_ordered_revert(tmp_path, players=0)
    await world.orders.resume(OPERATOR)
    for _ in range(3):
        await world.pass_time(minutes=3)
    world.expect(other, RunState.SUCCEEDED)


async def test_a_rollback_beside_an_ordered_revert_gives_up_nothing_that_is_good(tmp_path: Path) -> None:
    """The revert gives notice to players, and is in the branch already: there is nothing that cannot be taken out."""
    world, _, other = await rolled_back_beside_an_ordered_revert(tmp_path, players=3)
    await world.pass_time(minutes=2)
    states = [(each.kind, each.subject, each.state, each.reason) for each in world.runs()]
    assert world.get(other).state is not RunState.FAILED, states


async def test_a_revert_of_a_revert_that_does_not_build_leaves_the_first_in_force(tmp_path: Path) -> None:
    """What was rejected stays out, and what was built on it goes live with its revert."""
    world = await make(tmp_path, approval=Approval.DEPLOY)
    rejected, other = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(rejected, GOOD)
    await world.answer(other, OTHER)
    await world.orders.reject(rejected.id, BOB, "no")
    await world.settle()
    (first,) = reverts(world)
    world.builder.fault = "the compiler is gone"
    await world.orders.revert(world.get(first).commit or "", OPERATOR)
    for _ in range(8):
        await world.pass_time(minutes=5)
    assert [each.state for each in reverts(world) if each.id != first.id] == [RunState.FAILED]
    world.builder.fault = None
    await world.orders.approve(other.id, OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    assert world.running == world.expect(first, RunState.SUCCEEDED).commit
    world.expect(other, RunState.SUCCEEDED)
    assert live(world)["src/Map.cpp"] == "bad"


async def test_a_fix_that_is_reverted_while_it_builds_is_never_called_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make(tmp_path)
    run = await world.crash("Map::Update")
    orders: list[object] = []
    real = world.builder.build

    def build(*arguments: Any, **named: Any) -> object:

        if not orders:
            commit = world.get(run).commit or ""
            orders.append(change_orders.revert(world.tools, commit, "Ann"))
        return real(*arguments, **named)

    monkeypatch.setattr(world.builder, "build", build)
    await world.answer(run, GOOD)
    for _ in range(3):
        await world.pass_time(minutes=3)
    assert live(world).get("src/Map.cpp") != "good"
    assert world.get(run).fix_state is not FixState.WATCHING, (
        f"{[(each.kind, each.state, each.fix_state, each.reason) for each in world.runs()]}"
    )


async def test_deploy_now_never_says_that_nothing_was_changed_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot dies, or the runner is faster, between the yes and the now: an order is one transaction."""
    world = await make(tmp_path, approval=Approval.DEPLOY, **HOLD)
    run = await world.crash("Map::Update")
    world.players.online = 3
    await world.answer(run, GOOD)

    real: Callable[..., Run] = Store.advance

    def advance(self: Store, each: Run, to: RunState, at: object, **changes: object) -> Run:
        if "not_before" in changes and to is each.state:
            raise Overtaken("the runner was faster")
        return real(self, each, to, at, **changes)

    monkeypatch.setattr(Store, "advance", advance)
    said = await world.orders.deploy_now(run.id, OPERATOR)
    after = world.get(run)
    assert "nothing was changed" not in str(said) or after.state is RunState.AWAITING_APPROVAL, (said, after.state)


@pytest.mark.parametrize("order", ["reject", "revert", "pause"])
async def test_what_is_taken_back_while_the_server_saves_does_not_go_live(
    tmp_path: Path, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The console's `saveall` takes seconds, in which people still order."""
    world = await make(tmp_path)
    run = await world.crash("Map::Update")
    said: list[object] = []

    def meanwhile() -> None:

        if said:
            return
        if order == "reject":
            said.append(run_orders.reject(world.tools, run.id, "Bob", "no", world.runner.cancel))
        elif order == "revert":
            said.append(change_orders.revert(world.tools, world.get(run).commit or "", "Bob"))
        else:
            said.append(world.orders._pause(BOB, "raid"))

    world.console.meanwhile = meanwhile
    world.builder.broken = {}
    seen: list[str] = []
    start = world.keeper.start

    def note(build: str | None, deployment: str | None) -> None:
        seen.append(world.source.commits[build].files["src/Map.cpp"] if build in world.source.commits else "bad")
        start(build, deployment)

    monkeypatch.setattr(world.keeper, "start", note)
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    assert said and isinstance(said[0], Done), said
    assert "good" not in seen, f"{said[0]}, and it went live"


async def test_what_is_rejected_between_the_choice_and_the_standby_does_not_stand_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders and the runner are different threads: git and the count of players take a while."""

    world = await make(tmp_path, **HOLD)
    world.players.online = 3
    run = await world.crash("Map::Update")
    said: list[object] = []
    stand_by = deploying.stand_by

    def late(*arguments: Any) -> bool:
        if not said:
            said.append(run_orders.reject(world.tools, run.id, "Bob", "no", world.runner.cancel))
            world.builder.fault = "the compiler is gone"  # its revert takes a while
        return stand_by(*arguments)

    monkeypatch.setattr(deploying, "stand_by", late)
    await world.answer(run, GOOD)
    assert said and isinstance(said[0], Done), said
    await world.pass_time(minutes=1)
    await world.crash("Spell::Cast")
    assert live(world).get("src/Map.cpp") != "good", "what was rejected went live by a crash"


async def test_a_rollback_never_brings_back_what_a_person_reverted(tmp_path: Path) -> None:
    """The build with the revert was not called healthy (a known crash came in between): the fallback is older."""
    world = await make(tmp_path)
    await world.crash("Old::Crash")
    first = await world.crash("Map::Update")
    await world.answer(first, GOOD)
    await world.pass_time(minutes=3)
    world.expect(first, RunState.SUCCEEDED)
    await world.orders.revert(world.get(first).commit or "", OPERATOR)
    await world.settle()
    await world.crash("Old::Crash")  # inconclusive
    await world.pass_time(minutes=3)
    (revert,) = reverts(world)
    assert world.running == world.expect(revert, RunState.SUCCEEDED).commit
    bad = await world.crash("Spell::Cast")
    await world.answer(bad, OTHER)
    world.expect(bad, RunState.VERIFYING)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=1)
    world.expect(bad, RunState.ROLLED_BACK)
    assert live(world).get("src/Map.cpp") != "good", (
        f"reverted by a person, live again, and paused; {world.get(first).fix_state}"
    )


async def test_a_crash_of_an_older_standby_while_a_newer_takes_its_place_costs_no_second_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    world = await make(tmp_path, **HOLD)
    world.players.online = 3
    first, other = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(first, GOOD)
    done: list[int] = []
    stand_by = deploying.stand_by

    def late(tools: Any, load: Any, *arguments: Any) -> bool:
        if not done and load.build == world.get(other).commit:
            done.append(1)
            world.keeper.crash("Loot::Roll")
        return stand_by(tools, load, *arguments)

    monkeypatch.setattr(deploying, "stand_by", late)
    builds: list[str | None] = []
    start = world.keeper.start

    def note(build: str | None, deployment: str | None) -> None:
        builds.append(build)
        start(build, deployment)

    monkeypatch.setattr(world.keeper, "start", note)
    await world.answer(other, OTHER)
    await world.pass_time(minutes=3)
    assert done and len(builds) == 1, (builds, [(e.subject, e.state, e.fix_state) for e in world.runs()])


async def test_what_was_brought_back_and_reverted_again_before_it_is_live_does_not_go_live(tmp_path: Path) -> None:
    """As `test_what_is_reverted_before_it_is_live...`, one turn later; the second revert does not build."""
    world = await make(tmp_path, **HOLD)
    world.players.online = 3
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.orders.stop_server(OPERATOR, timedelta(), "disk")
    await world.settle()
    commit = world.get(run).commit or ""
    await world.orders.revert(commit, OPERATOR)
    await world.settle()
    (first,) = reverts(world)
    await world.orders.revert(world.get(first).commit or "", OPERATOR)
    await world.settle()
    world.builder.fault = "the compiler is gone"
    said = await world.orders.revert(commit, OPERATOR)
    assert isinstance(said, Done), said
    await world.settle()
    await world.pass_time(minutes=5)
    await world.orders.start_server(OPERATOR)
    await world.settle()
    await world.pass_time(minutes=5)
    states = [(each.kind, each.state, each.reason) for each in world.runs()]
    assert live(world).get("src/Map.cpp") != "good", f"reverted twice by a person, and live: {states}"


async def test_a_rollback_never_reverts_the_revert_of_what_was_rolled_back(tmp_path: Path) -> None:
    """It went out together with what was built in the meantime: the branch is then what it was before both."""
    world = await make(tmp_path)
    bad, other = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(bad, GOOD)
    await world.answer(other, OTHER)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=1)
    world.expect(bad, RunState.ROLLED_BACK)
    await world.orders.resume(OPERATOR)
    await world.settle()
    world.expect(other, RunState.VERIFYING)
    await world.die("Chat::Say")
    await world.pass_time(minutes=1)
    world.expect(other, RunState.ROLLED_BACK)
    await world.orders.resume(OPERATOR)
    await world.pass_time(minutes=3)
    head = world.source.remote["overnight-20261122"]
    files = world.source.commits[head].files
    assert (files["src/Map.cpp"], files["src/Spell.cpp"]) == ("bad", "bad")
    third = await world.crash("Loot::Drop")
    await world.answer(third, LOOT)
    await world.pass_time(minutes=3)
    assert world.running == world.expect(third, RunState.SUCCEEDED).commit, "the night goes on"


@pytest.mark.parametrize("again", ["the fix", "the revert of its revert"])
async def test_what_was_brought_back_and_is_reverted_while_the_server_saves_does_not_go_live(
    tmp_path: Path, again: str
) -> None:
    """What goes out is the revert of a revert: the fix that it brings back is over since long."""
    world = await make(tmp_path, **HOLD)
    run = await world.crash("Map::Update")
    world.players.online = 3
    await world.answer(run, GOOD)
    commit = world.get(run).commit or ""
    await world.orders.reject(run.id, BOB, "no")
    await world.pass_time(minutes=1)
    (first,) = reverts(world)
    said: list[object] = []

    def meanwhile() -> None:
        if not said:
            world.builder.fault = "the compiler is gone"
            unwanted = commit if again == "the fix" else reverts(world)[-1].commit or ""
            said.append(change_orders.revert(world.tools, unwanted, "Bob"))

    world.console.meanwhile = meanwhile
    await world.orders.revert(world.get(first).commit or "", OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    assert said and isinstance(said[0], Done), said
    assert live(world).get("src/Map.cpp") != "good", "reverted while the server saved, and live"


async def test_a_known_crash_in_the_watch_is_told_as_such_and_not_laid_on_the_fix(tmp_path: Path) -> None:
    world = await make(tmp_path)
    await world.crash("Map::Load")
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    build = world.expect(run, RunState.VERIFYING).commit or ""
    fallback = world.keeper.wished.fallback if world.keeper.wished else None
    assert fallback is not None
    world.keeper.end(ExitVerdict.CRASH, "Map::Load", -11)
    world.keeper.note(EventKind.FELL_BACK, build=fallback.build, bad=build, why="two deaths")
    world.keeper.start(fallback.build, None)
    await world.settle()
    back = world.expect(run, RunState.ROLLED_BACK)
    assert back.reason == "the new server died twice: it crashed in `Map::Load`"
    view = world.ledger.get_card_view(world.store.get_card_of_run(run.id))
    shown = render_card(view).embed
    assert shown is not None and shown.title == "Rolled back: Map::Update"
    assert "the new server died twice: it crashed in `Map::Load`" in shown.description
    (again,) = (each for each in world.runs("Map::Update") if each.retry_of == run.id)
    assert world.store.get_previous(again.id)[-1]["what"] == (
        "the server crashed while the fix was watched, of what was known before, and it was taken back"
    )


async def test_reverts_of_all_that_was_built_end_where_nothing_is_left_to_deploy(tmp_path: Path) -> None:
    """The last of them leaves what runs already, and the others wait for nothing."""
    world = await make(tmp_path, approval=Approval.DEPLOY)
    first, other = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(first, GOOD)
    await world.answer(other, OTHER)
    await world.orders.reject(first.id, BOB, "no")
    await world.settle()
    await world.orders.reject(other.id, BOB, "no")
    await world.settle()
    assert [(each.state, each.reason) for each in reverts(world)] == [(RunState.SUCCEEDED, None)] * 2
    assert world.running in (None, "found-1")
    await world.pass_time(hours=20)
    third = await world.crash("Loot::Drop")
    await world.answer(third, LOOT)
    assert world.get(third).branch == "overnight-20261123", "nothing keeps the branch of the night before"


async def test_a_rollback_whose_revert_does_not_compile_ends_the_branch(tmp_path: Path) -> None:
    """What was built on the fix uses it: no later fix of that branch could ever go live."""
    world = await make(tmp_path)
    bad, other = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(bad, GOOD)
    await world.answer(other, OTHER)
    world.builder.broken["bad"] = (Diagnostic("no member named `good`", "src/Spell.cpp", 3),)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=1)
    world.expect(bad, RunState.ROLLED_BACK)
    (revert,) = reverts(world)
    ended = (
        "`overnight-20261122` ends here, the next fix begins a new branch at the commit that runs. Whoever merges the "
        "old one takes out by hand what was rolled back"
    )
    assert world.expect(revert, RunState.FAILED).reason == f"src/Spell.cpp:3: error: no member named `good`; {ended}"
    assert (world.expect(other, RunState.FAILED).reason or "").startswith("its build contains a fix that was rolled")
    world.builder.broken.clear()
    await world.orders.resume(OPERATOR)
    third = await world.crash("Loot::Drop")
    await world.answer(third, LOOT)
    await world.pass_time(minutes=3)
    assert world.running == world.expect(third, RunState.SUCCEEDED).commit
    assert world.get(third).branch == "overnight-20261122-2"


async def test_what_waits_for_a_revert_that_asks_for_an_approval_names_the_run_to_approve(tmp_path: Path) -> None:
    world = await make(tmp_path, approval=Approval.DEPLOY)
    first, above = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(first, GOOD)
    await world.orders.approve(first.id, OPERATOR)
    await world.answer(above, OTHER)
    world.expect(first, RunState.VERIFYING)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=1)
    commit = (world.expect(first, RunState.ROLLED_BACK).commit or "")[:7]
    await world.orders.resume(OPERATOR)
    await world.orders.approve(above.id, OPERATOR)
    await world.settle()
    (revert,) = reverts(world)
    assert world.expect(revert, RunState.AWAITING_APPROVAL).question is Question.DEPLOY
    assert world.expect(above, RunState.AWAITING_DEPLOYMENT).reason == (
        f"its build still holds `Map::Update` (`{commit}`), which was rolled back: waits for its revert, which asks "
        f"for an approval: approve run `{revert.id}`"
    )
    await world.orders.approve(revert.id, OPERATOR)
    await world.settle()
    world.expect(above, RunState.VERIFYING)
    assert live(world)["src/Spell.cpp"] == "good too"
