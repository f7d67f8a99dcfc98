"""What `spirit-healer status` knows of what does not work, beside the bot or without one."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from edge_fakes import NOW
from world import GOOD, World

from bot.needs import list_unneeded, say_need
from pipeline import status_views
from pipeline.fix_links import links_of
from pipeline.model import BuildResult, RunState
from pipeline.status_models import Stale, StatusView

MUTE = "the keeper (process 7) cannot report what it sees"
UNREPORTED = Stale(NOW.timestamp(), keeper=7, gone=8, server=9)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    yield await world.start()
    world.engine.dispose()


def look_from_outside(world: World) -> StatusView:
    tools = world.tools
    return status_views.outside_status(
        "realm", world.store, world.keeper, tools.now(), tools.realm.state_dir, links_of(tools)
    )


async def test_a_keeper_that_cannot_report_beside_its_server_is_a_need_whoever_asks(world: World) -> None:
    assert look_from_outside(world).degraded == ()
    world.keeper.stale = UNREPORTED
    seen = look_from_outside(world)
    assert seen.degraded == (f"{MUTE}. Cure: see that it can write to the state folder",)
    assert [say_need(each) for each in seen.needs] == list(seen.degraded)


async def test_a_full_disk_that_keeps_the_keeper_from_its_report_is_one_need(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_views, "find_free", lambda folder: 12 << 10)
    world.keeper.stale = UNREPORTED
    seen = look_from_outside(world)
    assert [say_need(each) for each in seen.needs] == [
        "only 12.0 KiB are free on the disk of `STATE_DIR`, where all is noted: make room there"
    ]
    assert list_unneeded(seen.degraded, seen.needs) == [f"{MUTE}: the disk is full"]


async def test_a_keeper_that_cannot_report_and_no_server_is_one_need(world: World) -> None:
    world.keeper.stale = replace(UNREPORTED, server=None)
    seen = look_from_outside(world)
    assert ([each.subject for each in seen.needs], seen.degraded) == (["unreported"], ())


async def test_what_a_change_waits_for_and_a_person_can_mend_is_a_need_whoever_asks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hinder(*arguments: object, **more: object) -> BuildResult:
        raise OSError(errno.ENOSPC, "No space left on device", "/realm/build/a.o")

    monkeypatch.setattr(world.builder, "build", hinder)
    run = await world.answer(await world.crash("Map::Update"), GOOD)
    words = "[Errno 28] No space left on device: '/realm/build/a.o'. Cure: make room in the state folder"
    assert world.expect(run, RunState.BUILDING).reason == words
    told_by_the_bot = status_views.status(world.tools)
    for seen in (told_by_the_bot, look_from_outside(world)):
        assert (seen.degraded, [say_need(each) for each in seen.needs]) == ((words,), [words])
    world.tools.degraded.clear()
    assert status_views.status(world.tools).degraded == (), "the bot itself knows that it is over"
