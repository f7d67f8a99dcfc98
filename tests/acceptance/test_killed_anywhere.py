"""kill -9 of bot, keeper or both at named points of their code, on real parts: a sample of `tests/soak/kills.py`."""

from pathlib import Path

import pytest
from killing import Fault, Victim, killing
from living_ground import Ground
from point_names import covers, list_points

pytestmark = pytest.mark.timeout(600)

# Each is worst where something was done and nothing says so yet.
NIGHTS = (
    "publish.pushed:both card.sent:bot swap.moved:keeper verdict.followed:bot post.sent:bot stop.signalled:both",
    "answer.stored:bot patch.made:both build.archived:bot exit.seen:keeper rollback.retried:both restart.noted:bot",
)


def test_every_point_of_bot_and_adapters_is_reached_in_a_night_of_real_parts(ground: Ground, tmp_path: Path) -> None:
    with killing(ground, tmp_path / "faults", []) as night:
        night.play()
        named = [*list_points("/bot/"), *list_points("/adapters/")]
        assert named
        assert [name for name in named if not any(covers(name, each) for each in night.realm.reached)] == []


@pytest.mark.parametrize("faults", NIGHTS)
def test_a_night_of_kills_breaks_nothing(ground: Ground, tmp_path: Path, faults: str) -> None:
    wanted = [Fault(point, Victim(victim)) for point, _, victim in (each.partition(":") for each in faults.split())]
    with killing(ground, tmp_path / "faults", wanted) as night:
        night.play()
        assert {*night.realm.fired} == {*wanted}
