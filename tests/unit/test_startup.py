"""A server that does not come up for want of its surroundings: told once for each cause, named by /status, and its end
told once. The reader is the real one, over what servers write."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from edge_fakes import make_status
from world import OPERATOR, World

from bot import report
from bot.payloads import Colour, Embed
from bot.posts import render_post
from bot.status import render_status
from pipeline import status_views
from pipeline.adapters.crash_reader import CrashFileReader
from pipeline.card_models import Post, PostKind
from pipeline.keeper.protocol import EventKind, Exit, ExitVerdict, Hold, ServerState, from_plain
from pipeline.model import Patch, RunState, WholeFile
from pipeline.ports import Listener

PORT_TAKEN = "Loading...\nbind: Address already in use, 0.0.0.0:8085\n"
NO_DATABASE = "Loading...\nCould not connect to MySQL database at 127.0.0.1: Can't connect to MySQL server\n"
UNKNOWN = "Loading...\nThe stars are not right\n"


@pytest.fixture
async def world(tmp_path: Path) -> World:
    return await World(tmp_path, real_reader=CrashFileReader()).start()


async def give_up(world: World, said: str) -> None:
    """The next try, a minute after the last."""
    output = world.folder / "output.log"
    output.write_text(said, encoding="utf-8")
    world.keeper.give_up(output)
    await world.pass_time(seconds=60)


async def get_ready(world: World) -> None:
    world.keeper.start(None, None)
    await world.settle()


def told(world: World) -> list[Post]:
    """What the channel was told of the server."""
    return [each for each in world.posts() if each.kind is PostKind.SERVER]


def shown(post: Post) -> Embed:
    embed = render_post(post, "Testrealm").embed
    assert embed is not None
    return embed


def status(world: World) -> dict[str, Any]:
    embed = render_status(status_views.status(world.tools)).embed
    assert embed is not None
    return {"needs": embed.description, "server": embed.fields[0].value}


async def test_world_process_port_that_is_taken_is_told_once_with_who_has_it_and_the_cure(world: World) -> None:
    world.players.listeners[8085] = Listener(4711, "worldserver")
    for _ in range(3):
        await give_up(world, PORT_TAKEN)
    [post] = told(world)
    embed = shown(post)
    assert (embed.title, embed.colour) == ("Server does not start: port 8085 is in use", Colour.AMBER)
    assert embed.description.startswith("Process 4711 `worldserver` holds it. A port the server needs is held")
    assert embed.description.endswith("It is tried again by itself, every minute at the latest; `/status` tells when.")


async def test_a_port_that_the_next_try_has_by_now_is_nobody_elses(world: World) -> None:
    world.keeper.now = replace(world.keeper.now, pid=4711) if world.keeper.now else None
    world.players.listeners[8085] = Listener(4711, "worldserver")
    observed = world.keeper.now
    output = world.folder / "output.log"
    output.write_text(PORT_TAKEN, encoding="utf-8")
    world.keeper.give_up(output)
    world.keeper.now = observed
    await world.settle()
    [post] = told(world)
    assert "4711" not in post.data["detail"]


async def test_a_port_that_nobody_names_is_the_worlds_where_somebody_has_that(world: World) -> None:
    await give_up(world, "Failed to initialize network\n")
    world.players.listeners[8085] = Listener(4711, "authserver")
    await give_up(world, "Failed to initialize network\n")
    assert [each.data["cause"] for each in told(world)] == ["a port is in use", "port 8085 is in use"]


async def test_each_cause_is_told_once_however_they_take_turns_and_the_bot_restarts(world: World) -> None:
    for said in (PORT_TAKEN, NO_DATABASE, PORT_TAKEN, NO_DATABASE, UNKNOWN):
        await give_up(world, said)
        world.restart()
        await world.settle()
    assert [each.data["cause"] for each in told(world)] == [
        "port 8085 is in use",
        "database gone",
        "it gives up by itself",
    ]
    assert "The stars are not right" in told(world)[-1].data["detail"]


async def test_its_end_is_told_once_and_then_the_same_cause_again(world: World) -> None:
    await give_up(world, NO_DATABASE)
    await give_up(world, NO_DATABASE)
    await get_ready(world)
    world.restart()
    await get_ready(world)
    _, back = told(world)
    embed = shown(back)
    assert (embed.title, embed.colour) == ("Server back", Colour.GREEN)
    assert embed.description == "It did not start for 2 min · what stood in its way: database gone"
    await give_up(world, NO_DATABASE)
    assert [each.data["what"] for each in told(world)] == ["start-up error", "back", "start-up error"]


async def test_a_clock_that_is_set_back_repeats_nothing(world: World) -> None:
    await world.pass_time(hours=2)
    await get_ready(world)
    await world.pass_time(hours=-2)
    for _ in range(3):
        await give_up(world, NO_DATABASE)
    assert len(told(world)) == 1


async def test_a_program_that_cannot_be_run_is_told_once_without_its_folders(world: World) -> None:
    for _ in range(3):
        world.keeper.fail_to_spawn("[Errno 2] No such file or directory: '/srv/secret/realm/worldserver'")
        await world.pass_time(seconds=60)
    [post] = told(world)
    embed = shown(post)
    assert embed.title == "Server does not start: its program cannot be run"
    assert embed.description.startswith("[Errno 2] No such file or directory: `worldserver`. Look at SERVER_COMMAND")


async def test_a_start_that_went_well_at_once_is_no_news(world: World) -> None:
    await get_ready(world)
    assert told(world) == []


async def test_what_an_old_life_wrote_may_be_gone(world: World) -> None:
    world.keeper.give_up(world.folder / "gone.log")
    await world.settle()
    assert told(world) == []


async def test_the_status_names_cause_cure_and_the_next_try(world: World) -> None:
    world.players.listeners[8085] = Listener(4711, "worldserver")
    await give_up(world, PORT_TAKEN)
    seen = status(world)
    next_try = int(world.clock.now().timestamp())
    assert seen["needs"].startswith(
        "**1 thing needs you**\n- the server does not start: port 8085 is in use. Process 4711 `worldserver` holds it."
    )
    assert seen["server"].startswith(f"down: port 8085 is in use\nnext start <t:{next_try}:R>")
    await get_ready(world)
    seen = status(world)
    assert seen["needs"] == "Nothing waits for you."
    assert "down" not in seen["server"]


async def test_the_status_of_a_server_that_waits_after_a_crash_names_the_crash(world: World) -> None:
    await give_up(world, NO_DATABASE)
    await get_ready(world)
    await world.pass_time(seconds=1)
    assert world.keeper.now is not None
    world.keeper.end(ExitVerdict.CRASH, None, -11)
    end = last_exit(world)
    world.keeper.back_off(end, end.at + 8)
    assert status(world)["server"].startswith("down: it crashed\n")  # nobody has read it yet
    await world.settle()
    assert status(world)["server"].startswith("down: it crashed: `SIGSEGV without a stack`\n")
    (run,) = world.runs()
    assert status(world)["needs"] == (
        "**1 thing needs you**\n- `SIGSEGV without a stack` **waits in the queue for an answer**, since"
        f" <t:{int(run.updated_at.timestamp())}:R> · run `{run.id}` · `/run {run.id}` names its file"
    ), "of the server itself nothing is needed"


async def test_a_start_beyond_its_time_needs_somebody_until_it_is_ready(world: World) -> None:
    world.keeper.start_late("it said that it is ready, but nothing accepts connections on SERVER_PORT 8085")
    started = int(world.clock.now().timestamp())
    await world.settle()
    assert status(world)["needs"] == (
        f"**1 thing needs you**\n- the server does not get ready, started <t:{started}:R>"
        " · it said that it is ready, but nothing accepts connections on SERVER_PORT 8085"
    )
    world.keeper.start(None, None)
    await world.settle()
    assert status(world)["needs"] == "Nothing waits for you."


async def test_a_deployment_that_is_late_needs_nobody_as_it_is_judged(world: World) -> None:
    world.keeper.start_late("no line of SERVER_LOGS", trial=True)
    await world.settle()
    assert status(world)["needs"] == "Nothing waits for you."


async def test_a_server_that_does_not_run_says_since_when(world: World) -> None:
    world.keeper.end(ExitVerdict.SHUTDOWN)
    down = int(world.clock.now().timestamp())
    world.keeper.hold(Hold.EXIT_ZERO)
    await world.pass_time(hours=3)
    assert status(world)["server"].startswith(f"down since <t:{down}:R>\n")
    said = f"server held, down since {datetime.fromtimestamp(down):%Y-%m-%d %H:%M:%S}"
    assert said in report.as_text(status_views.status(world.tools)).splitlines()[0]
    world.keeper.start(None, None)
    assert "down" not in status(world)["server"]


async def test_a_server_that_is_tried_again_and_again_is_not_down_since_its_last_try(world: World) -> None:
    await give_up(world, PORT_TAKEN)
    assert "down since" not in status(world)["server"]


def last_exit(world: World) -> Exit:
    ended = [each for each in world.keeper.journal if each.kind == EventKind.EXITED]
    return from_plain(Exit, dict(ended[-1].data))


def test_the_command_line_names_cause_and_next_try() -> None:
    view = make_status(
        server=ServerState.BACKOFF, pid=None, ready_at=None, trouble="port 8085 is in use", trouble_detail="Free it."
    )
    assert "Down: port 8085 is in use. Free it." in report.as_text(view)


async def test_the_status_names_a_crash_whose_fix_was_rolled_back(tmp_path: Path) -> None:
    """It goes on crashing, and who was asked about it again was called off."""
    world = await World(tmp_path).start()
    run = await world.crash("Spell::Cast")
    await world.answer(run, Patch(files=(WholeFile("src/Spell.cpp", "worse"),)))
    await world.die("Loot::Roll")
    await world.pass_time(minutes=3)
    await world.orders.resume(OPERATOR)
    await world.pass_time(minutes=3)
    assert world.expect(run, RunState.ROLLED_BACK)
    (again,) = [each for each in world.runs("Spell::Cast") if each.retry_of == run.id]
    assert status(world)["needs"] == (
        "**1 thing needs you**\n- `Spell::Cast` **waits in the queue for an answer**, since"
        f" <t:{int(again.updated_at.timestamp())}:R> · run `{again.id}` · `/run {again.id}` names its file"
    )
    world.store.advance(world.get(again), RunState.FAILED, world.clock.now(), reason="no cure")
    needs = status(world)["needs"]
    assert f"- `Spell::Cast` **given up: needs a person** · run `{again.id}` · no cure" in needs
    await world.crash("Spell::Cast")
    assert "given up" not in status(world)["needs"], "somebody is asked again"


async def test_the_status_names_a_run_that_was_given_up_until_something_comes_after_it(tmp_path: Path) -> None:
    world = await World(tmp_path).start()
    run = await world.crash("Map::Update")
    await world.pass_time(minutes=10)
    world.store.advance(run, RunState.FAILED, world.clock.now(), reason="no cure")
    assert status(world)["needs"] == (
        f"**1 thing needs you**\n- `Map::Update` **given up: needs a person** · run `{run.id}` · no cure"
        f" · `/retry {run.id}` tries it again"
    )
    await world.orders.retry(run.id, OPERATOR)
    assert status(world)["needs"] == "Nothing waits for you."


async def test_the_status_shows_orders_that_wait(world: World) -> None:
    await world.orders.restart_server(OPERATOR, timedelta(minutes=10), "new maps")
    due = int(world.clock.now().timestamp()) + 600
    assert f"**restart** <t:{due}:R>, ordered by Ann: new maps" in status(world)["server"]
    await world.pass_time(minutes=11)
    assert "ordered by" not in status(world)["server"]
