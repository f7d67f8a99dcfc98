"""What has to be done now and then, where some of it cannot be done."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from world import GOOD, World

from bot.needs import list_unneeded
from pipeline import status_views
from pipeline.card_models import PostKind
from pipeline.errors import DefiniteError
from pipeline.model import RunState
from pipeline.obstacles import CURE
from pipeline.runner import Runner

FULL = OSError(errno.ENOSPC, "No space left on device", "/state/builds/.new-found-1")
LOCKED = PermissionError(errno.EACCES, "Permission denied", "/srv/wow/worldserver")
MISSING = DefiniteError(f"SERVER_COMMAND: there is no program /srv/wow/nice{CURE}give the one that SERVER_DIR holds")
RIGHTS = "let our user read what lies in SERVER_DIR and write to the state folder"
UNARCHIVED = "what lies in SERVER_DIR could not be archived, and without it no fix goes live: "
TOLD = [
    (FULL, f"[Errno 28] No space left on device: '/state/builds/.new-found-1'{CURE}make room in the state folder"),
    (LOCKED, f"[Errno 13] Permission denied: '/srv/wow/worldserver'{CURE}{RIGHTS}"),
    (MISSING, f"SERVER_COMMAND: there is no program /srv/wow/nice{CURE}give the one that SERVER_DIR holds"),
]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.engine.dispose()


@pytest.mark.parametrize(("fault", "words"), TOLD)
async def test_without_an_archive_of_what_was_found_a_fix_waits_and_every_other_chore_is_done(
    world: World, fault: Exception, words: str
) -> None:
    world.builder.unarchived = fault
    await world.start()
    run = await world.crash("Map::Update")
    world.source.remote_gone = True
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    world.source.remote_gone = False
    assert [branch.name for branch in world.store.list_owed_branches()] == ["overnight-20261122"]
    pruned = len(world.builder.pruned)
    await world.pass_time(hours=12)
    assert world.store.list_owed_branches() == []
    assert len(world.builder.pruned) > pruned
    assert [post.data["night"] for post in world.posts() if post.kind is PostKind.SUMMARY] == ["2026-11-22"]
    assert list(world.tools.degraded.values()) == [UNARCHIVED + words]
    world.expect(run, RunState.AWAITING_DEPLOYMENT)
    world.builder.unarchived = None
    await world.pass_time(minutes=1)
    assert world.tools.degraded == {}
    world.expect(run, RunState.VERIFYING)


async def test_what_hinders_the_archive_is_among_what_needs_a_person(world: World) -> None:
    world.builder.unarchived = MISSING
    await world.start()
    view = status_views.status(world.tools)
    assert [need.detail for need in view.needs] == [UNARCHIVED + TOLD[2][1]]
    assert list_unneeded(view.degraded, view.needs) == []


async def test_a_chore_that_failed_rests(world: World) -> None:
    world.builder.unarchived = FULL
    await world.start()
    await world.pass_time(seconds=30)
    tries = world.builder.tries
    await world.pass_time(seconds=29)
    assert world.builder.tries == tries
    await world.pass_time(seconds=1)
    assert world.builder.tries == tries + 1


async def test_a_bug_in_one_chore_is_told_as_one_until_it_works_and_hinders_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object) -> None:
        raise TypeError("a bug")

    world.runner = Runner(world.tools, lambda: None)
    with monkeypatch.context() as broken:
        broken.setattr(world.analyst, "prune", stumble)
        await world.start()
        assert list(world.tools.degraded.values()) == [
            "a fault of ours in housekeeping (prune queue): TypeError; see the log"
        ]
        await world.pass_time(hours=12)
    assert [post.data["night"] for post in world.posts() if post.kind is PostKind.SUMMARY] == ["2026-11-22"]
    await world.pass_time(seconds=30)
    assert world.tools.degraded == {}
