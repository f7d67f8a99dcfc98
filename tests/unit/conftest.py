"""The fake world that several files of tests are played in."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import postgres
import pytest
from world import World

DATABASES = ("sqlite", "postgresql") if postgres.is_expected() else ("sqlite",)


@pytest.fixture
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """On one of the databases, drawn by the name of the test: their sum is what both have to do. What is about a
    database itself is played on each, elsewhere; a file that asks for SQLite alone has a `world` of its own."""
    drawn = random.Random(request.node.name).choice(DATABASES)
    cluster = request.getfixturevalue("cluster") if drawn == "postgresql" else None
    world = World(tmp_path, database=cluster and cluster.make_database())
    yield await world.start()
    world.engine.dispose()
