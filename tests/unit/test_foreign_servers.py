"""What only a server shows that nobody here wrote: it flushes nothing, prints no revision, or has no log of its own."""

import dataclasses
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from world import OPERATOR, World

from pipeline import intake, status_views
from pipeline.card_models import PostKind
from pipeline.keeper.protocol import Event, EventKind, ReadyRule
from pipeline.keeper.ready import ReadyWatch
from pipeline.stages import deploying

PATTERN = "version .* running"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    yield await world.start()
    world.engine.dispose()


def late(**data: object) -> Event:
    return Event("k", 1, 0.0, EventKind.READY_TIMEOUT, {"pid": 7, "build": None, **data})


def test_a_server_that_does_not_say_that_it_is_ready_is_told_with_what_is_missing() -> None:
    posts = intake.posts_about(late(trial=False, detail="port 1883 accepts connections, but"))
    assert [(each.kind, each.data["what"], each.to_channel) for each in posts] == [(PostKind.SERVER, "not ready", True)]
    assert posts[0].data["detail"] == "port 1883 accepts connections, but"


def test_a_deployment_that_does_not_get_ready_has_words_of_its_own() -> None:
    assert intake.posts_about(late(trial=True, detail="")) == []


def test_an_executable_put_there_by_hand_is_not_told_as_the_build_that_it_replaced() -> None:
    gone = Event("k", 1, 0.0, EventKind.OWN_BUILD, {"sha256": "1", "build": "b1", "detail": "somebody replaced it"})
    assert [(each.data["build"], each.data["detail"]) for each in intake.posts_about(gone)] == [
        (None, "somebody replaced it")
    ]


def test_an_open_port_without_the_ready_line_is_explained(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        watch = ReadyWatch(ReadyRule(PATTERN, port=port), tmp_path, None, started=0.0)
        assert not watch.look(1.0, 0)
        assert watch.explain(0).startswith(f"port {port} accepts connections, but no line of SERVER_LOGS")


def test_a_ready_line_without_its_port_is_explained(tmp_path: Path) -> None:
    output = tmp_path / "output.log"
    output.write_text("version 2 running\n")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    watch = ReadyWatch(ReadyRule(PATTERN, port=port), tmp_path, output, started=0.0)
    assert not watch.look(1.0, 0)
    assert watch.explain(0) == f"it said that it is ready, but nothing accepts connections on SERVER_PORT {port}"


async def test_an_order_is_due_by_the_clock(world: World) -> None:
    assert deploying.seconds_to_next(world.tools) is None
    await world.orders.restart_server(OPERATOR, timedelta(seconds=60), "")
    seconds = deploying.seconds_to_next(world.tools)
    assert seconds is not None
    assert 0 < seconds <= 60


async def test_a_restart_is_ordered_though_the_database_is_newer_than_the_server(world: World) -> None:
    remembered = world.keeper.wished
    assert remembered is not None
    world.keeper.wished = dataclasses.replace(remembered, restart=5)
    starts = world.keeper.starts
    await world.orders.restart_server(OPERATOR, timedelta(), "")
    await world.pass_time(seconds=1)
    assert world.keeper.starts == starts + 1
    assert [each.restart for each in world.keeper.wishes][-1] == 6


async def test_the_first_start_is_no_restart(world: World) -> None:
    await world.pass_time(seconds=1)
    assert world.keeper.starts == 1
    assert status_views.status(world.tools).restarts_tonight == 0
    await world.crash("Map::Update")
    assert status_views.status(world.tools).restarts_tonight == 1
