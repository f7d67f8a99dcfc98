"""kill -9 of bot, keeper or both at named points of their code and at random moments, on real parts: a sample of
`tests/soak/kills.py`."""

import random
from pathlib import Path

import pytest
from chance import SETTINGS, Chance, Killer, Pace
from killing import Fault, MortalRealm, Victim, killing
from living_ground import Ground
from living_realm import living_as
from point_names import covers, list_points

pytestmark = pytest.mark.timeout(600)

LIVING = [name for part in ("/bot/", "/keeper/", "/adapters/") for name in list_points(part)]

# Each is worst where something was done and nothing says so yet.
FAULTS = """
publish.pushed:both card.sent:bot swap.moved:keeper verdict.followed:bot post.sent:bot stop.signalled:both
answer.stored:bot patch.made:both build.archived:bot exit.seen:keeper rollback.retried:both restart.noted:bot
"""


def test_a_night_of_kills_breaks_nothing_and_comes_to_every_point_of_its_parts(ground: Ground, tmp_path: Path) -> None:
    wanted = [Fault(point, Victim(victim)) for point, _, victim in (each.partition(":") for each in FAULTS.split())]
    with killing(ground, tmp_path / "faults", wanted) as night:
        night.play()
        assert {*night.realm.fired} == {*wanted}
        assert LIVING
        assert [name for name in LIVING if not any(covers(name, each) for each in night.realm.reached)] == []


def test_kills_at_random_moments_of_a_night_break_nothing(ground: Ground) -> None:
    """The invariants are looked at when all that was begun has come to its end."""
    with living_as(MortalRealm, ground, None, **SETTINGS) as realm:
        realm.start()
        night = Chance(realm, random.Random(5), Pace(crash=4, order=8, answer=1, reaction=3))
        with Killer(realm, random.Random(6), 3.0) as killer:
            night.play(20)
        night.rest()
        assert killer.kills
