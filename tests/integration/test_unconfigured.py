"""A cmake that cannot configure: the change waits, nobody is asked for another one."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from git_world import make_git_world

from pipeline.card_models import PostKind
from pipeline.errors import Unconfigured
from pipeline.model import RunState

WORDS = "cmake could not configure: no compiler (exit code 1). Cure: install one"


async def test_a_cmake_that_cannot_configure_lets_the_fix_wait_and_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_git_world(tmp_path)
    broken, build = threading.Event(), world.builder.build

    def build_or_not(*arguments: Any, **named: Any) -> Any:
        if broken.is_set():
            raise Unconfigured(WORDS)
        return build(*arguments, **named)

    monkeypatch.setattr(world.builder, "build", build_or_not)
    broken.set()
    run = await world.propose("Map::Update")
    await world.pass_time(minutes=20)
    waiting = world.get(run)
    assert (waiting.state, waiting.reason, waiting.returns) == (RunState.BUILDING, WORDS, 0)
    assert world.degraded() == [WORDS]
    assert PostKind.BUILD_FAILED not in [post.kind for post in world.posts()]
    broken.clear()
    for _ in range(2):
        await world.pass_time(minutes=5)
    world.expect(run, RunState.SUCCEEDED)
    assert world.degraded() == []
