"""The fake world that several files of tests are played in."""

from collections.abc import AsyncIterator
from pathlib import Path

import postgres
import pytest
from world import World

DATABASES = ("sqlite", "postgresql") if postgres.is_expected() else ("sqlite",)


@pytest.fixture(params=DATABASES)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """On each database; a file that asks for less has a `world` of its own."""
    cluster = request.getfixturevalue("cluster") if request.param == "postgresql" else None
    world = World(tmp_path, database=cluster and cluster.make_database())
    yield await world.start()
    world.engine.dispose()
