"""What an analyst is told of a crash: of the life that ended, not of the one that runs by now."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from world import GOOD, OPERATOR, World

from pipeline.card_models import PostKind
from pipeline.model import Done, RunState

STAMP = "20261122T200000.000Z"


@pytest.fixture
async def world(tmp_path: Path) -> World:
    logs = (tmp_path / "server" / "Server.log", tmp_path / "server" / "Playerbot.log")
    return await World(tmp_path, {"server_logs": logs}).start()


async def test_the_log_of_the_bots_is_that_of_the_dead_server(world: World, tmp_path: Path) -> None:
    lives = tmp_path / "server" / ".spirit-healer" / "lives"
    _write(lives / f"log-{STAMP}-Playerbot.log", "Ahnra follows the dead")
    _write(tmp_path / "server" / "Playerbot.log", "Ahnra logs in anew")
    context = await _ask_about(world, lives / f"output-{STAMP}.log")
    assert context["playerbot_log_context"] == ["Ahnra follows the dead"]


async def test_the_log_of_the_bots_may_have_stayed_beside_itself(world: World, tmp_path: Path) -> None:
    server = tmp_path / "server"
    _write(server / f"log-{STAMP}-Playerbot.log", "Ahnra follows the dead")
    context = await _ask_about(world, server / ".spirit-healer" / "lives" / f"output-{STAMP}.log")
    assert context["playerbot_log_context"] == ["Ahnra follows the dead"]


async def test_a_log_that_nobody_moved_counts_if_the_dead_server_was_the_last_to_write_it(
    world: World, tmp_path: Path
) -> None:
    log = tmp_path / "server" / "Playerbot.log"
    _write(log, "Ahnra follows the dead")
    died = world.clock.now().timestamp() + 1
    os.utime(log, (died, died))
    context = await _ask_about(world, tmp_path / "adopted")
    assert context["playerbot_log_context"] == ["Ahnra follows the dead"]


async def test_a_log_of_the_next_life_is_not_the_dead_servers(world: World, tmp_path: Path) -> None:
    log = tmp_path / "server" / "Playerbot.log"
    _write(log, "Ahnra logs in anew")
    later = world.clock.now().timestamp() + 60
    os.utime(log, (later, later))
    context = await _ask_about(world, tmp_path / "adopted")
    assert context["playerbot_log_context"] == []


async def test_the_last_that_a_bot_did_is_told_with_the_crash(world: World, tmp_path: Path) -> None:
    lives = tmp_path / "server" / ".spirit-healer" / "lives"
    log = lives / f"log-{STAMP}-Playerbot.log"
    _write(log, "Ahnra mounts up\nAhnra opens hunter2's mail")
    await _ask_about(world, lives / f"output-{STAMP}.log")
    (post,) = [each for each in world.posts() if each.kind is PostKind.BACKTRACE]
    assert post.data["last_act"] == "Ahnra opens ***'s mail"


async def test_a_new_try_is_told_the_last_crash_of_what_it_works_on(world: World) -> None:
    run = await world.crash("Map::Update")
    first = world.analyst.requests[run.request_id or ""]
    await world.orders.cancel_run(run.id, OPERATOR)
    done = await world.orders.retry(run.id, OPERATOR)
    await world.settle()
    assert isinstance(done, Done)
    again = world.analyst.requests[done.run or ""]
    assert again["crash"]["call_stack"] == first["crash"]["call_stack"] == ["Map::Update at src/Map.cpp:132"]
    assert again["crash"]["timestamp"] == first["crash"]["timestamp"]


@pytest.mark.parametrize("while_it", ["composes the request", "writes it down"])
async def test_a_pause_lets_no_analyst_begin_any_more(
    world: World, monkeypatch: pytest.MonkeyPatch, while_it: str
) -> None:
    place, name = {
        "composes the request": (world.store, "get_previous"),
        "writes it down": (world.analyst, "ask"),
    }[while_it]
    goes_on = getattr(place, name)

    def pause_first(*arguments: Any) -> Any:
        world.orders._pause(OPERATOR, "hands off")
        return goes_on(*arguments)

    world.analyst.has_command, world.analyst.command_answer = True, GOOD
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(place, name, pause_first)
        run = await world.crash("Map::Update")
    assert world.expect(run, RunState.ANALYZING).attempts == 0
    assert (list(world.analyst.requests), world.analyst.commanded) == ([run.id] * (name == "ask"), [])
    await world.orders.resume(OPERATOR)
    await world.settle()
    assert world.analyst.commanded == [run.id]
    world.expect(run, RunState.VERIFYING)


def _write(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{line}\n", encoding="utf-8")


async def _ask_about(world: World, output: Path) -> Any:
    """The request's context, after a death that left this output."""
    run = await world.crash(str(output))
    return world.analyst.requests[run.request_id or ""]["context"]
