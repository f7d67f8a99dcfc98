"""One night with everything in it, played again and again: each time the bot dies at another point of its code.

What is there in the morning is what is there after a night in which nobody died. Everything but the world is real:
runner, stages, orders, database. Points of keeper, adapters and Discord's edge are reached where those are real.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nights import Reaper, play
from point_names import covers, list_points

ELSEWHERE = {name for part in ("/adapters/", "/keeper/", "/bot/") for name in list_points(part)}
NIGHTLY = [name for name in list_points() if name not in ELSEWHERE]
NIGHTS = 10  # whose points lie far apart in the code


@dataclass
class Undisturbed:
    """The night in which nobody died."""

    morning: dict[str, Any]
    seen: Counter[str]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    with pytest.MonkeyPatch.context() as patch:
        reaper = Reaper.installed(patch)
        return Undisturbed(asyncio.run(play(tmp_path_factory.mktemp("undisturbed"), reaper)), reaper.seen)


def test_every_point_of_the_pipeline_is_reached_in_the_night(undisturbed: Undisturbed) -> None:
    assert [name for name in NIGHTLY if not any(covers(name, seen) for seen in undisturbed.seen)] == []


@pytest.mark.parametrize("names", [NIGHTLY[each::NIGHTS] for each in range(NIGHTS)], ids=" ".join)
async def test_a_bot_that_dies_there_leaves_the_same_morning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Undisturbed, names: list[str]
) -> None:
    """At the first passage of a night or at the last: which of them is drawn by the name. All of them, with a keeper
    and a server that live, are the matrix of tests/soak/kills.py."""
    reaper = Reaper.installed(monkeypatch)
    reaper.deaths = {name: random.Random(name).choice([1, undisturbed.seen[name]]) for name in names}
    morning = await play(tmp_path, reaper)
    assert reaper.deaths == {}, "where nobody died"
    assert morning == undisturbed.morning
