"""What people order of the server, in the fake world: restart, stop, start, rollback; told, cancelled, carried out."""

import errno
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from world import BASE, BOB, GOOD, OPERATOR, OTHER, World

from bot.messages import order_over, starting
from bot.needs import say_need
from bot.payloads import Colour
from bot.posts import close_news, render_over, render_post
from bot.questions import ask_restart, ask_rollback, ask_stop
from pipeline import server_orders, status_views
from pipeline.card_models import PostKind
from pipeline.keeper.protocol import ExitVerdict, Hold, ServerState, Want
from pipeline.model import Done, FixState, Impossible, Outcome, Run, RunKind, RunState, Verdict
from pipeline.moments import write_moment
from pipeline.ports import Halt, Halted
from pipeline.read_models import RestartPlan, RollbackPlan, TakenOut
from pipeline.stages import deploying
from pipeline.store import DatabaseAway

NOW, SOON = timedelta(), timedelta(seconds=60)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await World(tmp_path).start()
    yield world
    world.engine.dispose()


async def heal(world: World, name: str, patch: object = GOOD) -> Run:
    run = await world.crash(name)
    await world.answer(run, patch)  # type: ignore[arg-type]  # a patch, whichever
    await world.pass_time(minutes=3)
    return world.expect(run, RunState.SUCCEEDED)


def number(done: Outcome) -> int:
    assert isinstance(done, Done) and done.order is not None, done
    return done.order


def orders_told(world: World) -> list[str]:
    return [post.data["what"] for post in world.posts() if post.kind is PostKind.ORDER and post.card is None]


# --- stop and start --------------------------------------------------------------------------------------------------


async def test_a_stop_is_told_to_players_carried_out_when_due_and_stays_over_a_restart_of_the_bot(world: World) -> None:
    world.players.online = 2
    number(await world.orders.stop_server(OPERATOR, SOON, "new disk"))
    await world.settle()
    assert world.console.said == ["announce Server shutdown in 60 seconds: new disk"]
    assert world.keeper.now and world.keeper.now.state is ServerState.READY
    await world.pass_time(seconds=61)
    assert world.keeper.wished and world.keeper.wished.want is Want.STOPPED and world.keeper.wished.operator_stop
    assert (world.keeper.wished.by, world.keeper.wished.reason) == ("Ann", "new disk")
    assert world.console.said[-1] == "saveall"
    world.restart()
    await world.pass_time(hours=8)
    assert world.keeper.now.pid is None and world.keeper.starts == 1
    told = [post.data for post in world.posts()]
    assert [(each["what"], each["detail"]) for each in told] == [("held: stopped", "stopped by Ann: new disk")]


async def test_a_stop_can_be_cancelled_until_it_is_due(world: World) -> None:
    order = number(await world.orders.stop_server(OPERATOR, SOON, ""))
    assert isinstance(await world.orders.cancel_order(order, BOB), Done)
    await world.pass_time(minutes=2)
    assert world.keeper.now and world.keeper.now.state is ServerState.READY


async def test_who_stops_and_starts_what_is_still_watched_is_named_and_no_deployment(world: World) -> None:
    run = await world.answer(await world.crash("Map::Update"), GOOD)
    world.expect(run, RunState.VERIFYING)
    assert world.keeper.wished and world.keeper.wished.reason == f"deploying {(world.get(run).commit or '')[:12]}"
    await world.orders.stop_server(OPERATOR, NOW, "new disk")
    await world.settle()
    await world.pass_time(minutes=1)
    assert await world.orders.start_server(BOB) == Done(order=2)
    await world.settle()
    await world.pass_time(minutes=1)
    told = [post.data["detail"] for post in world.posts() if post.kind is PostKind.SERVER]
    assert told == ["stopped by Ann: new disk", "started by Bob"]


async def test_a_rollback_that_ends_a_hold_is_named_and_no_person_who_ordered_something_before(world: World) -> None:
    await world.orders.restart_server(BOB, NOW, "new maps")
    await world.settle()
    run = await world.answer(await world.crash("Map::Update"), GOOD)
    world.keeper.end(ExitVerdict.CRASH, "Spell::Cast", -11)
    world.keeper.hold(Hold.BREAKER, "5 deaths in a row")
    await world.settle()
    world.expect(run, RunState.ROLLED_BACK)
    told = [post.data["detail"] for post in world.posts() if post.data.get("what") == "released"]
    assert told == [f"started by spirit-healer: rolling back {(run.commit or '')[:12]}"]


async def test_what_is_stopped_is_not_stopped_again(world: World) -> None:
    await world.orders.stop_server(OPERATOR, NOW, "new disk")
    await world.settle()
    again = await world.orders.stop_server(BOB, NOW, "")
    assert again == Impossible("Ann has stopped the server: new disk. `/start-server` starts it.")


async def test_a_stopped_server_is_started_by_an_operator(world: World) -> None:
    await world.orders.stop_server(OPERATOR, NOW, "new disk")
    await world.settle()
    assert isinstance(await world.orders.start_server(BOB), Done)
    await world.settle()
    assert world.keeper.wished and world.keeper.wished.want is Want.UP
    assert (world.keeper.wished.by, world.keeper.wished.reason) == ("Bob", "")
    assert world.keeper.now and world.keeper.now.state is ServerState.READY
    assert await world.orders.start_server(BOB) == Impossible("The server runs already.")


async def test_who_wants_the_server_up_is_told_of_the_stop_that_is_due(world: World) -> None:
    await world.orders.stop_server(OPERATOR, timedelta(minutes=2), "new disk")
    due = write_moment(world.clock.now() + timedelta(minutes=2))
    assert await world.orders.start_server(BOB) == Impossible(
        f"The server runs, but Ann has ordered a stop, due {due}. Its Cancel button calls it off."
    )


async def test_a_server_that_is_held_for_another_supervisor_is_not_started_by_an_order(world: World) -> None:
    world.keeper.hold(Hold.FOREIGN, "pm2 looks after it")
    assert await world.orders.start_server(OPERATOR) == Impossible(
        "The keeper starts nothing beside another one: pm2 looks after it. End that first."
    )


async def test_a_fix_that_is_built_while_the_server_is_stopped_goes_live_with_its_next_start(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.orders.stop_server(OPERATOR, NOW, "")
    await world.settle()
    await world.answer(run, GOOD)
    waiting = world.expect(run, RunState.AWAITING_DEPLOYMENT)
    assert waiting.reason == deploying.STOPPED
    assert world.keeper.now and world.keeper.now.pid is None
    assert world.keeper.wished and world.keeper.wished.next_build
    await world.orders.start_server(OPERATOR)
    await world.settle()
    await world.pass_time(seconds=1)
    world.expect(run, RunState.VERIFYING)
    assert world.running == waiting.commit


async def test_deploy_now_while_the_server_is_stopped_starts_nothing(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.orders.stop_server(OPERATOR, NOW, "")
    await world.settle()
    await world.answer(run, GOOD)
    assert await world.orders.deploy_now(run.id, BOB) == Done(
        "The server is stopped: it goes live with the next start.", run=run.id, subject=run.subject
    )
    await world.settle()
    assert world.keeper.now and world.keeper.now.pid is None
    world.expect(run, RunState.AWAITING_DEPLOYMENT)


async def test_a_server_stopped_in_the_midst_of_a_verification_wakes_nobody_until_it_is_up(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    world.expect(run, RunState.VERIFYING)
    await world.pass_time(seconds=5)
    await world.orders.stop_server(OPERATOR, NOW, "")
    await world.settle()
    await world.pass_time(hours=1)
    world.expect(run, RunState.VERIFYING)
    assert deploying.seconds_to_next(world.tools) is None
    await world.orders.start_server(OPERATOR)
    await world.pass_time(seconds=1)
    world.expect(run, RunState.VERIFYING)  # it has not been up for the soak yet
    await world.pass_time(minutes=3)
    world.expect(run, RunState.SUCCEEDED)


# --- an order is whole ----------------------------------------------------------------------------------------------


def cancel_in_the_midst(world: World, order: Outcome) -> list[Outcome]:
    """Somebody cancels it while the server saves; what he is answered."""
    said: list[Outcome] = []
    world.console.meanwhile = lambda: said.append(server_orders.cancel(world.tools, number(order), BOB))
    return said


@pytest.mark.parametrize("kind", ["restart", "stop"])
async def test_what_is_cancelled_while_the_server_saves_does_not_happen(world: World, kind: str) -> None:
    order = world.orders.restart_server if kind == "restart" else world.orders.stop_server
    said = cancel_in_the_midst(world, await order(OPERATOR, SOON, ""))
    await world.pass_time(seconds=61)
    assert said == [Done()]
    assert world.keeper.now and world.keeper.now.state is ServerState.READY and world.keeper.starts == 1
    assert orders_told(world) == []


async def test_a_rollback_that_is_cancelled_while_the_server_saves_does_not_happen(world: World) -> None:
    run = await heal(world, "Map::Update")
    world.players.online = 3
    said = cancel_in_the_midst(world, await roll_back(world))
    await world.pass_time(seconds=31)
    assert said == [Done()]
    assert world.expect(run, RunState.SUCCEEDED).commit == world.running and world.store.get_pause() is None


async def test_what_is_carried_out_is_cancelled_too_late(world: World) -> None:
    order = number(await world.orders.restart_server(OPERATOR, NOW, ""))
    await world.settle()
    assert world.keeper.starts == 2
    assert await world.orders.cancel_order(order, BOB) == Impossible(
        "It is too late: it was carried out, cancelled, or has lapsed."
    )


LOCKED = DatabaseAway("database is locked", "end the program that holds it; it is waited for")


def refuse(*_: object, **__: object) -> None:
    raise LOCKED


async def test_a_stop_that_cannot_be_written_leaves_the_restart_before_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.orders.restart_server(OPERATOR, timedelta(hours=1), "")
    monkeypatch.setattr(world.store, "add_order", refuse)
    assert await world.orders.stop_server(BOB, SOON, "") == Impossible(f"Nothing was changed: {LOCKED}")
    (line,) = status_views.status(world.tools).orders
    assert (line.kind, line.by) == ("restart", "Ann")


async def test_a_restart_that_cannot_be_written_is_tried_again_and_done_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.orders.restart_server(OPERATOR, NOW, "")
    with monkeypatch.context() as patch:
        patch.setattr(world.store, "set_fact", refuse)
        await world.settle()
        assert world.keeper.starts == 1 and len(status_views.status(world.tools).orders) == 1
    await world.settle()
    assert world.keeper.starts == 2 and status_views.status(world.tools).orders == ()


async def stand_by(world: World) -> Run:
    """A fix that is built and the keeper's for the next start."""
    world.players.online = 9
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert world.keeper.wished and world.keeper.wished.next_build
    return run


async def test_a_pause_that_cannot_take_the_build_away_pauses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await World(tmp_path, {"max_players_for_restart": 1}).start()
    await stand_by(world)
    monkeypatch.setattr(world.store, "drop_standby", refuse)
    assert await world.orders.pause(OPERATOR, "raid") == Impossible(f"Nothing was changed: {LOCKED}")
    assert world.store.get_pause() is None and world.store.get_standby() is not None
    world.engine.dispose()


async def test_a_pause_that_the_keeper_cannot_be_told_says_so_and_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await World(tmp_path, {"max_players_for_restart": 1}).start()
    await stand_by(world)
    with monkeypatch.context() as patch:
        patch.setattr(world.keeper, "wish", fill_up)
        said = await world.orders.pause(OPERATOR, "raid")
    assert said == Done(
        "Crash reports, counting and restarts go on; nothing is patched, built or deployed by itself. "
        "The keeper could not be told yet (the state folder cannot be written: [Errno 28] No space left on device. "
        "Cure: make room in the state folder): a crash until then may still bring in what stood by.",
        order=1,
    )
    assert world.store.get_pause() is not None
    await world.settle()
    assert world.keeper.wished and world.keeper.wished.next_build is None
    world.engine.dispose()


def fill_up(_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


# --- a server that does not run ---------------------------------------------------------------------------------------

HELD = "The server does not run: it is held (always `Map::Update`)."


async def test_a_restart_of_what_an_operator_stopped_says_by_whom_and_how_it_is_started(world: World) -> None:
    await world.orders.stop_server(OPERATOR, NOW, "new disk")
    await world.settle()
    said = Impossible("Ann has stopped the server: new disk. `/start-server` starts it.")
    assert await world.orders.plan_restart() == said
    assert await world.orders.restart_server(BOB, NOW, "") == said
    await world.settle()
    assert world.keeper.now and world.keeper.now.pid is None and world.keeper.starts == 1


async def test_a_restart_of_a_held_server_says_that_it_is_held_and_how_it_is_started(world: World) -> None:
    world.keeper.hold(Hold.BREAKER, "always `Map::Update`")
    said = Impossible(f"{HELD} `/start-server` starts it.")
    assert (await world.orders.plan_restart(), await world.orders.restart_server(BOB, NOW, "")) == (said, said)


async def test_a_restart_that_becomes_due_while_the_server_is_held_does_not_start_it_and_says_so(world: World) -> None:
    await world.orders.restart_server(OPERATOR, SOON, "new maps")
    world.keeper.hold(Hold.BREAKER, "always `Map::Update`")
    await world.pass_time(seconds=61)
    assert world.keeper.now and world.keeper.now.pid is None
    (told,) = [post.data for post in world.posts() if post.kind is PostKind.ORDER]
    why = f"{HELD} `/start-server` starts it. Nothing was changed."
    assert told == {"what": "restart failed", "detail": why, "by": "Ann"}


async def test_a_restart_of_a_server_that_another_supervisor_runs_names_that_one(world: World) -> None:
    world.keeper.hold(Hold.FOREIGN, "process 7 runs this server, looked after by pm2")
    said = Impossible(
        "The keeper starts nothing beside another one: process 7 runs this server, looked after by pm2. End that first."
    )
    assert (await world.orders.plan_restart(), await world.orders.restart_server(BOB, NOW, "")) == (said, said)
    (need,) = status_views.status(world.tools).needs
    assert say_need(need) == (
        "the server is held: somebody else looks after it (process 7 runs this server, looked after by pm2)"
        " · end that one: the hold then ends by itself"
    )


STOPPED = "the keeper (process 7) is stopped: what dies now stays dead. `kill -CONT 7` lets it go on"
KEPT = (
    "**The keeper (process 7) is stopped: what dies now stays dead. `kill -CONT 7` lets it go on.** Until then this "
    "order would only wait."
)


async def test_what_is_asked_of_a_server_whose_keeper_is_stopped_says_so_before_anybody_confirms(world: World) -> None:
    world.keeper.halt = Halt(Halted.KEEPER, STOPPED)
    restart, stop = await world.orders.plan_restart(), await world.orders.plan_stop()
    assert isinstance(restart, RestartPlan) and isinstance(stop, RestartPlan)
    assert (ask_restart(restart, NOW, "").content or "").splitlines() == [
        KEPT, "Restart the server now? It goes down for about 4 s (0 players).",
    ]  # fmt: skip
    assert (ask_stop(stop, NOW, "").content or "").splitlines()[0] == KEPT
    world.keeper.hold(Hold.BREAKER, "always `Map::Update`")
    stop = await world.orders.plan_stop()
    assert isinstance(stop, RestartPlan)
    kept_down = f"{HELD} **Keep it down until** `/start-server`**, whatever happens?**"
    assert (ask_stop(stop, NOW, "").content or "").splitlines() == [KEPT, kept_down]


async def test_a_rollback_whose_keeper_is_stopped_says_so_before_anybody_confirms(world: World) -> None:
    await heal(world, "Map::Update")
    world.keeper.halt = Halt(Halted.KEEPER, STOPPED)
    plan = await world.orders.plan_rollback()
    assert isinstance(plan, RollbackPlan)
    assert (ask_rollback(plan, "").content or "").splitlines()[0] == KEPT


async def test_a_start_whose_keeper_is_stopped_is_taken_and_says_what_it_waits_for(world: World) -> None:
    assert await world.orders.start_server(OPERATOR) == Impossible("The server runs already.")
    world.keeper.halt = Halt(Halted.KEEPER, STOPPED)  # what it observed last may be over
    done = await world.orders.start_server(OPERATOR)
    assert isinstance(done, Done)
    assert starting(done, OPERATOR).content == (
        f"The server is to be started, asked for by {OPERATOR.name}. "
        "The keeper (process 7) is stopped: what dies now stays dead. `kill -CONT 7` lets it go on. "
        "Until then this order waits."
    )


async def test_a_stopped_server_is_restarted_by_its_keeper_and_asked_for_as_any_other(world: World) -> None:
    world.keeper.halt = Halt(Halted.SERVER, "the server (process 8) is stopped: nobody can play on it")
    plan = await world.orders.plan_restart()
    assert isinstance(plan, RestartPlan)
    assert ask_restart(plan, NOW, "").content == "Restart the server now? It goes down for about 4 s (0 players)."


@pytest.mark.parametrize("state", [ServerState.ABSENT, ServerState.SWAPPING, ServerState.STOPPING])
async def test_a_restart_between_two_lives_is_taken_and_carried_out(world: World, state: ServerState) -> None:
    await world.orders.restart_server(OPERATOR, SOON, "new maps")
    due = int((world.clock.now() + SOON).timestamp())
    world.keeper.be_between_lives(state)
    plan = await world.orders.plan_restart()
    assert isinstance(plan, RestartPlan)
    assert ask_restart(plan, NOW, "").content == (
        "The server does not run at this moment: it is between two lives.\n"
        "Restart the server now? It goes down for about 4 s.\n"
        f"Ann has ordered a restart already, due <t:{due}:R>: its Cancel button calls it off, and a sooner order takes"
        " its place."
    )
    await world.pass_time(seconds=61)
    (told,) = [post.data for post in world.posts() if post.kind is PostKind.ORDER]
    assert told == {"what": "restarting", "detail": "new maps", "by": "Ann"}
    assert world.keeper.now and world.keeper.now.state is ServerState.READY


async def test_a_stop_of_a_held_server_keeps_it_down_at_once_and_gives_nobody_time(world: World) -> None:
    world.players.online = 3
    world.keeper.hold(Hold.EXIT_ZERO, "it ended with 0")
    plan = await world.orders.plan_stop()
    assert isinstance(plan, RestartPlan) and plan.players is None
    assert plan.down == "The server does not run: it is held (it ended with 0)."
    assert await world.orders.stop_server(OPERATOR, SOON, "new disk") == Done()
    await world.settle()
    assert world.keeper.wished and world.keeper.wished.operator_stop and world.keeper.wished.reason == "new disk"
    assert world.console.said == [] and status_views.status(world.tools).orders == ()


async def test_a_rollback_of_a_server_that_does_not_run_waits_for_no_player(world: World) -> None:
    await heal(world, "Map::Update")
    world.players.online = None
    world.keeper.hold(Hold.BREAKER, "always `Map::Update`")
    plan = await world.orders.plan_rollback()
    assert isinstance(plan, RollbackPlan) and (plan.notice, plan.down) == (0.0, HELD)


# --- one order at a time, and who is told ----------------------------------------------------------------------------


async def test_a_later_order_of_another_kind_names_the_one_before_it(world: World) -> None:
    await world.orders.restart_server(OPERATOR, SOON, "")
    assert await world.orders.stop_server(BOB, timedelta(minutes=5), "") == Impossible(
        "Ann has ordered a restart already: it is due in 60 s. Cancel that first."
    )


async def test_players_are_told_of_a_distant_restart_at_once_and_again_shortly_before(world: World) -> None:
    world.players.online = 2
    await world.orders.restart_server(OPERATOR, timedelta(hours=3), "new\nmaps")
    await world.settle()
    assert world.console.said == ["announce Server restart in 3 hours: new maps"]
    left = deploying.seconds_to_next(world.tools)
    assert left == timedelta(hours=3).total_seconds() - 30
    await world.pass_time(seconds=left)
    assert world.console.said[1:] == ["announce Server restart in 30 seconds: new maps"]
    await world.pass_time(seconds=1)
    assert len(world.console.said) == 2


async def test_a_restart_that_waits_is_carried_out_once_whichever_bot_lives_then(world: World) -> None:
    world.players.online = 2
    await world.orders.restart_server(OPERATOR, timedelta(minutes=2), "")
    await world.settle()
    world.restart()
    await world.pass_time(seconds=60)
    assert world.console.said == ["announce Server restart in 2 minutes."], "players are not told anew by each bot"
    await world.pass_time(seconds=30)
    world.restart()
    await world.pass_time(seconds=31)
    assert world.console.said[1:] == ["announce Server restart in 30 seconds.", "saveall"]
    world.restart()
    await world.pass_time(minutes=2)
    assert world.keeper.starts == 2 and orders_told(world) == ["restarting"]


def told(world: World) -> list[str]:
    """What the answers of orders say that are to say something else by now; they say it then."""
    ends = world.ledger.list_outdated_orders()
    for end in ends:
        world.ledger.note_order_shown(end.id, end.state, end.place, end.message)
    return [order_over(end).content for end in ends]


def at(world: World) -> str:
    return f"<t:{int(world.clock.now().timestamp())}:R>"


async def test_the_answer_to_a_restart_says_that_it_was_begun_and_then_that_the_server_is_up(world: World) -> None:
    order = number(await world.orders.restart_server(OPERATOR, SOON, "new maps"))
    await world.orders.note_order_shown(order, "waiting", "7", "70")
    assert told(world) == []
    world.keeper.slow = True
    await world.pass_time(seconds=61)
    assert told(world) == [f"The server was told to restart {at(world)}, as Ann ordered: new maps."]
    await world.pass_time(seconds=5)
    assert told(world) == []
    world.clock.time += timedelta(seconds=7)
    world.keeper.get_ready()
    await world.settle()
    up = f"The server came up again {at(world)}, **12 s** after it was told to restart, as Ann ordered: new maps."
    assert told(world) == [up]
    assert told(world) == []


async def test_the_news_of_a_restart_tell_that_the_server_is_up(world: World) -> None:
    world.keeper.slow = True
    await world.orders.restart_server(OPERATOR, NOW, "new maps")
    await world.settle()
    assert outlived(world) == []
    world.clock.time += timedelta(seconds=12)
    world.keeper.get_ready()
    await world.settle()
    (post,) = world.ledger.list_outlived_posts()
    over = render_over(post, "Test realm").embed
    assert over is not None and (over.title, over.colour) == ("Server up again", Colour.GREEN)
    assert over.description == "Ready after **12 s**\nNew maps\nby Ann"


async def test_a_hold_that_is_told_before_it_shows_keeps_its_button(world: World) -> None:
    """The keeper may die between the two: what the one before it left says for seconds that nothing is held."""
    before = world.keeper.now
    world.keeper.hold(Hold.BREAKER)
    held, world.keeper.now = world.keeper.now, before
    await world.settle()
    assert outlived(world) == []
    world.clock.time += timedelta(seconds=5)
    world.keeper.now = held
    assert outlived(world) == []
    await world.orders.start_server(OPERATOR)
    await world.settle()
    assert outlived(world) == ["held: breaker"]


@pytest.mark.parametrize("end", ["ready", "crash", "hold"])
async def test_the_news_of_a_start_that_is_late_are_over_with_that_start(world: World, end: str) -> None:
    world.keeper.start_late("nothing accepts connections on SERVER_PORT 8085")
    await world.pass_time(minutes=1)
    assert outlived(world) == []
    if end == "ready":
        world.keeper.get_ready()
    elif end == "crash":
        world.keeper.end(ExitVerdict.CRASH, None, -11)
    else:
        world.keeper.hold(Hold.BREAKER)
    await world.pass_time(seconds=1)
    assert outlived(world) == ["not ready"]
    over = render_over(world.ledger.list_outlived_posts()[0], "Test realm").embed
    assert over is not None and (over.title, over.colour) == ("Over: Server does not get ready", Colour.GREY)


async def test_the_answer_to_a_stop_and_that_to_a_start_tell_what_came_of_them(world: World) -> None:
    stop = number(await world.orders.stop_server(OPERATOR, NOW, "new disk"))
    await world.orders.note_order_shown(stop, "waiting", "7", "70")
    await world.settle()
    down = f"The server is down since {at(world)} (**0.1 s** after it was told to stop), as Ann ordered: new disk."
    assert told(world) == [f"{down} `/start-server` starts it."]
    await world.pass_time(days=3)
    assert told(world) == []
    world.keeper.slow = True
    start = number(await world.orders.start_server(BOB))
    await world.orders.note_order_shown(start, "done", "7", "71")
    await world.settle()
    assert told(world) == [] and outlived(world) == ["held: stopped"]
    world.clock.time += timedelta(seconds=4)
    world.keeper.get_ready()
    await world.settle()
    assert told(world) == [
        f"The server was down for **72 h**, as Ann ordered: new disk. It came up again {at(world)}.",
        f"The server came up {at(world)}, **4 s** after it was told to start, as Bob ordered.",
    ]
    assert outlived(world) == ["held: stopped", "released"]


async def test_a_restart_whose_server_is_held_says_so(world: World) -> None:
    order = number(await world.orders.restart_server(OPERATOR, NOW, ""))
    await world.orders.note_order_shown(order, "waiting", "7", "70")
    world.keeper.slow = True
    await world.settle()
    assert told(world) == [f"The server was told to restart {at(world)}, as Ann ordered."]
    world.clock.time += timedelta(seconds=30)
    world.keeper.hold(Hold.BREAKER, "5 deaths in a row")
    await world.settle()
    held = f"it is held since {at(world)} (**30 s** after it was told to restart), as Ann ordered. 5 deaths in a row"
    assert told(world) == [f"The server did not come up, {held}"]
    assert outlived(world) == ["restarting"]
    await world.orders.start_server(BOB)
    await world.settle()
    world.clock.time += timedelta(seconds=10)
    world.keeper.get_ready()
    await world.settle()
    over = "The server was told to restart, as Ann ordered, and was held for **10 s** (5 deaths in a row)."
    assert told(world) == [f"{over} It came up {at(world)}."]


async def test_what_did_not_come_of_an_order_within_a_day_is_looked_for_no_more(world: World) -> None:
    world.keeper.slow = True
    order = number(await world.orders.restart_server(OPERATOR, NOW, ""))
    await world.orders.note_order_shown(order, "waiting", "7", "70")
    await world.settle()
    assert told(world) == [f"The server was told to restart {at(world)}, as Ann ordered."] and outlived(world) == []
    world.clock.time += timedelta(days=2)
    world.keeper.get_ready()
    await world.settle()
    assert told(world) == [] and outlived(world) == ["restarting"]
    (post,) = world.ledger.list_outlived_posts()
    over = render_over(post, "Test realm").embed
    assert over is not None and over.title == "Over: Server restarts"


async def test_the_answer_to_a_pause_can_resume_until_it_is_over(world: World) -> None:
    order = number(await world.orders.pause(OPERATOR, "raid"))
    await world.orders.note_order_shown(order, "done", "7", "70")
    since = at(world)
    await world.pass_time(days=3)
    assert told(world) == []
    await world.orders.resume(BOB)
    await world.pass_time(seconds=1)
    await world.orders.pause(BOB, "another")
    assert told(world) == [f"This pause is over. Ann ordered it {since}: raid."]
    assert told(world) == []


# --- rollback --------------------------------------------------------------------------------------------------------


async def roll_back(world: World, reason: str = "the server lags") -> Outcome:
    plan = await world.orders.plan_rollback()
    assert isinstance(plan, RollbackPlan), plan
    done = await world.orders.roll_back(OPERATOR, plan.running[:12], reason)
    assert not isinstance(done, Done) or done.build == plan.target
    await world.settle()
    return done


def find_revert(world: World) -> Run:
    return next(run for run in world.runs() if run.kind is RunKind.REVERT)


async def test_a_rollback_says_what_it_takes_back_and_to_which_build(world: World) -> None:
    one, found = await heal(world, "Map::Update"), world.store.get_build("found-1")
    world.players.online = 3
    assert found is not None
    plan = await world.orders.plan_rollback()
    assert isinstance(plan, RollbackPlan)
    assert ask_rollback(plan, "").content.startswith(
        f"Roll back from `{(one.commit or '')[:7]}` to the build that was there before (`bbbbbbb`)? "
        "The server goes down in 30 s"
    )
    assert plan == RollbackPlan(
        one.commit or "",
        "found-1",
        found.healthy_at,
        (TakenOut("Map::Update", one.commit or "", RunKind.FIX),),
        False,
        0.0,
        3,
        30.0,
        target_commit=BASE,
    )


async def test_a_rollback_reverts_every_fix_of_the_deployment_pushes_and_pauses(world: World) -> None:
    run = await heal(world, "Map::Update")
    await roll_back(world)
    back = world.expect(run, RunState.ROLLED_BACK)
    assert (back.reason, back.fix_state) == ("ordered by Ann: the server lags", FixState.REVERTED)
    assert back.verdict is Verdict.HEALTHY, "what was observed stays; that it is worse is a person's word"
    assert world.running == "found-1"
    revert = world.expect(find_revert(world), RunState.SUCCEEDED)
    assert world.source.remote["overnight-20261122"] == revert.commit
    assert world.source.commits[revert.commit or ""].files["src/Map.cpp"] == "bad"
    pause = world.store.get_pause()
    assert pause is not None
    assert pause.reason == f"rolled back: `Map::Update` (`{(run.commit or '')[:7]}`): ordered by Ann: the server lags"
    assert [each for each in world.runs("Map::Update") if each.kind is RunKind.FIX] == [back], "nobody is asked again"
    assert [post.data["what"] for post in world.posts() if post.card is None] == ["paused"]


async def test_the_thread_of_what_a_person_took_back_names_each_commit_and_the_person(tmp_path: Path) -> None:
    """Also the revert that one of them has already, while it waits to go live."""
    world = await World(tmp_path, {"max_players_for_restart": 0}).start()
    one, two = await world.crash_until_all_go_live({"Map::Update": GOOD, "Spell::Cast": OTHER})
    await world.pass_time(minutes=3)
    world.keeper.swap_fault = "the disk is full"
    await world.orders.revert(world.get(two).commit or "", BOB)
    await world.settle()
    revert = world.expect(find_revert(world), RunState.AWAITING_DEPLOYMENT).commit or ""
    world.keeper.swap_fault = None
    await roll_back(world)
    (news,) = {
        (embed.title, embed.description)
        for post in world.posts()
        if post.kind is PostKind.ORDER and post.card is not None and (embed := render_post(post, "Test realm").embed)
    }
    commits = [world.get(one).commit or "", world.get(two).commit or "", revert]
    links = [f"[`{each[:7]}`]({world.source.url(each)})" for each in commits]
    assert news == (
        "Taken back by Ann",
        "**Why:** the server lags\n"
        f"- `Map::Update` {links[0]}\n"
        f"- `Spell::Cast` {links[1]} · reverted in {links[2]}\n"
        "The server goes back to the build that was there before (`bbbbbbb`); what was not reverted yet is reverted on"
        " the branch next",
    )
    world.engine.dispose()


async def test_a_rollback_in_the_midst_of_a_verification_goes_back_to_what_ran_before(world: World) -> None:
    first = await heal(world, "Map::Update")
    run = await world.crash("Spell::Cast")
    await world.answer(run, OTHER)
    world.expect(run, RunState.VERIFYING)
    await roll_back(world, "")
    assert world.expect(run, RunState.ROLLED_BACK).verdict is None
    assert world.running == first.commit
    world.expect(first, RunState.SUCCEEDED)
    assert world.expect(find_revert(world), RunState.SUCCEEDED).reverts == world.get(run).commit


async def test_a_rollback_names_healthy_builds_that_it_passes_over_for_what_was_reverted_since(world: World) -> None:
    """The build with the fix was healthy, and nobody wants it any more."""
    first = await heal(world, "Map::Update")
    await world.orders.revert(first.commit or "", OPERATOR)
    await world.settle()
    await world.pass_time(minutes=3)
    revert = world.expect(find_revert(world), RunState.SUCCEEDED)
    plan = await world.orders.plan_rollback()
    assert isinstance(plan, RollbackPlan)
    assert (plan.target, plan.passed) == ("found-1", (first.commit,))
    assert plan.taken == (
        TakenOut("Map::Update", revert.commit or "", RunKind.REVERT),
        TakenOut("Map::Update", first.commit or "", RunKind.FIX),
    )
    assert (
        f"Passed over, as healthy, but with what was reverted since: `{(first.commit or '')[:7]}`.\n"
        f"Taken back: the revert of `Map::Update` (`{(revert.commit or '')[:7]}`), `Map::Update` "
        f"(`{(first.commit or '')[:7]}`). The branch gets the reverts"
    ) in ask_rollback(plan, "").content


async def test_a_rollback_takes_back_all_that_went_live_since_the_last_healthy_build(world: World) -> None:
    """The second deployment was inconclusive, so that its build is no fallback."""
    first = await heal(world, "Map::Update")
    await world.crash("Loot::Roll")
    second = await world.crash("Spell::Cast")
    await world.answer(second, OTHER)
    await world.crash("Loot::Roll")
    assert world.expect(second, RunState.SUCCEEDED).verdict is Verdict.INCONCLUSIVE
    plan = await world.orders.plan_rollback()
    assert isinstance(plan, RollbackPlan)
    assert (plan.target, [each.subject for each in plan.taken]) == (first.commit, ["Spell::Cast"])
    await roll_back(world)
    world.expect(second, RunState.ROLLED_BACK)
    world.expect(first, RunState.SUCCEEDED)
    assert world.running == first.commit


async def test_a_rollback_twice_goes_back_twice_and_never_to_what_was_taken_back(world: World) -> None:
    first = await heal(world, "Map::Update")
    second = await heal(world, "Spell::Cast", OTHER)
    await roll_back(world)
    assert world.running == first.commit
    await roll_back(world)
    assert world.running == "found-1"
    assert [world.get(run).state for run in (first, second)] == [RunState.ROLLED_BACK] * 2
    head = world.source.remote["overnight-20261122"]
    assert world.source.commits[head].files == world.source.commits[BASE].files
    assert await world.orders.plan_rollback() == Impossible(
        "Nothing of ours runs: the server is as it was before the first deployment."
    )


async def test_fixes_are_reverted_in_the_order_of_their_commits_not_of_their_crashes(tmp_path: Path) -> None:
    world = await World(tmp_path, {"max_players_for_restart": 0}).start()
    world.players.online = 3
    early, late = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(late, OTHER)
    await world.answer(early, GOOD)
    world.players.online = 0
    await world.pass_time(seconds=1)
    await world.pass_time(minutes=3)
    await roll_back(world)
    revert = world.expect(find_revert(world), RunState.SUCCEEDED)
    assert revert.patch is not None
    assert revert.patch.reverts == (world.get(early).commit, world.get(late).commit)
    world.engine.dispose()


async def test_a_fix_and_its_own_revert_are_not_reverted_again(world: World) -> None:
    fix = await heal(world, "Map::Update")
    await world.crash("Loot::Roll")
    await world.orders.revert(fix.commit or "", OPERATOR)
    await world.settle()
    await world.crash("Loot::Roll")
    revert = world.expect(find_revert(world), RunState.SUCCEEDED)
    assert revert.verdict is Verdict.INCONCLUSIVE
    world.store.note_bad(fix.commit or "")
    plan = await world.orders.plan_rollback()
    assert isinstance(plan, RollbackPlan) and plan.target == "found-1"
    await roll_back(world)
    assert [each.id for each in world.runs() if each.kind is RunKind.REVERT] == [revert.id]
    assert world.running == "found-1"


async def test_a_rollback_gives_players_time_and_can_be_cancelled_meanwhile(world: World) -> None:
    run = await heal(world, "Map::Update")
    world.players.online = 3
    order = number(await roll_back(world))
    assert world.console.said[-1] == (
        "announce Server restart in 30 seconds: it goes back to the build before: the server lags"
    )
    assert isinstance(await world.orders.cancel_order(order, BOB), Done)
    await world.pass_time(minutes=1)
    assert world.running == run.commit and world.store.get_pause() is None


async def test_a_rollback_whose_build_is_gone_when_it_is_due_changes_nothing_and_says_so(world: World) -> None:
    await heal(world, "Map::Update")
    world.players.online = 3
    order = number(await roll_back(world))
    await world.orders.note_order_shown(order, "waiting", "7", "70")
    world.store.note_bad("found-1")
    await world.pass_time(seconds=31)
    assert world.store.get_pause() is None
    why = "No healthy build from before is kept any more: there is nothing to go back to."
    assert [each.note for each in world.ledger.list_outdated_orders()] == [why]
    assert orders_told(world) == ["rollback failed"]


async def test_a_rollback_of_what_does_not_run_any_more_is_refused(world: World) -> None:
    await heal(world, "Map::Update")
    outcome = await world.orders.roll_back(OPERATOR, "0123456789ab", "")
    assert isinstance(outcome, Impossible) and "not what was asked about" in outcome.reason


async def test_a_rollback_calls_off_what_is_only_announced(world: World) -> None:
    first = await heal(world, "Map::Update")
    world.players.online = 3
    run = await world.crash("Spell::Cast")
    await world.answer(run, OTHER)
    assert world.store.get_active_deployment() is not None
    world.players.online = 0
    await world.pass_time(seconds=5)
    await roll_back(world)
    world.expect(first, RunState.ROLLED_BACK)
    world.expect(run, RunState.AWAITING_DEPLOYMENT)
    await world.pass_time(minutes=5)
    assert world.running == "found-1", "the pause keeps what was built on the bad fix"
    await world.orders.resume(OPERATOR)
    await world.settle()
    files = world.source.commits[world.running or ""].files
    assert (files["src/Map.cpp"], files["src/Spell.cpp"]) == ("bad", "good too")


def outlived(world: World) -> list[str]:
    """What the delivered news tell whose buttons are to go."""
    for post in world.posts():
        world.ledger.post_delivered(post.id, str(post.id))
    return [post.data["what"] for post in world.ledger.list_outlived_posts()]


async def test_the_buttons_of_a_pause_go_once_it_is_resumed_also_where_another_follows(world: World) -> None:
    await heal(world, "Map::Update")
    await roll_back(world)
    assert outlived(world) == []
    await world.orders.resume(OPERATOR)
    await world.pass_time(seconds=1)
    await world.orders.pause(BOB, "raid")
    assert outlived(world) == ["paused"]
    for post in world.ledger.list_outlived_posts():
        world.ledger.post_settled(post.id)
    assert outlived(world) == []


async def test_the_buttons_of_a_hold_go_once_the_server_is_started_or_held_anew(world: World) -> None:
    world.keeper.hold(Hold.EXIT_ZERO)
    await world.settle()
    assert outlived(world) == []
    world.keeper.hold(Hold.BREAKER)
    await world.settle()
    assert outlived(world) == ["held: exit_zero"]
    await world.pass_time(seconds=1)
    await world.orders.start_server(OPERATOR)
    await world.settle()
    await world.pass_time(seconds=1)
    assert outlived(world) == ["held: exit_zero", "held: breaker", "released"]


async def test_a_push_that_was_owed_is_told_to_be_over_once_it_went_through_and_anew_where_another_is(
    world: World,
) -> None:
    world.source.remote_gone = True
    await heal(world, "Map::Update")
    assert outlived(world) == []
    await world.pass_time(minutes=10)
    assert outlived(world) == [], "it is owed still"
    world.source.remote_gone = False
    await world.pass_time(minutes=10)
    assert outlived(world) == ["push owed"]
    owed = world.ledger.list_outlived_posts()[0]
    over = close_news(render_post(owed, "Test realm")).embed
    assert over is not None and (over.title, over.colour) == ("Over: A push is owed", Colour.GREY)
    assert over.description == (
        "**This is over.** `/status` tells what is now.\n"
        "`overnight-20261122` is not on the remote: the remote does not answer"
    )
    world.ledger.post_settled(owed.id)
    world.source.remote_gone = True
    await world.answer(await world.crash("Spell::Cast"), OTHER)
    await world.pass_time(minutes=3)
    assert outlived(world) == [], "another one is owed"
    assert [post.data["what"] for post in world.store.list_offers()] == ["push owed"]


async def test_status_names_the_order_that_waits(world: World) -> None:
    await world.orders.stop_server(OPERATOR, SOON, "new disk")
    (line,) = status_views.status(world.tools).orders
    assert (line.kind, line.by, line.reason) == ("stop", "Ann", "new disk")


async def test_a_crash_while_a_stop_waits_changes_nothing_of_it(world: World) -> None:
    await world.orders.stop_server(OPERATOR, SOON, "")
    await world.settle()
    world.keeper.end(ExitVerdict.CRASH, "Map::Update", -11)
    world.keeper.start(None, None)
    await world.pass_time(seconds=61)
    assert world.keeper.now and world.keeper.now.pid is None


async def test_what_is_asked_about_a_stop_tells_of_the_restart_that_is_due(world: World) -> None:
    assert isinstance(await world.orders.restart_server(BOB, timedelta(minutes=5), ""), Done)
    due = write_moment(world.clock.now() + timedelta(minutes=5))
    for plan in (await world.orders.plan_stop(), await world.orders.plan_restart()):
        assert isinstance(plan, RestartPlan)
        assert plan.due == (
            f"Bob has ordered a restart already, due {due}: its Cancel button calls it off, and a sooner order takes"
            " its place."
        )
