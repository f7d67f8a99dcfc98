"""What a night keeps: the branch, the owner's own work, and what the bots of the realm have gained."""

import pytest
from living_ground import Ground
from living_realm import SELDOM, living

from bot.demo.bugs import get_bug

DISPATCHER, AURA = get_bug("dispatcher"), get_bug("aura")

pytestmark = pytest.mark.timeout(240)  # the first of a worker builds its ground


def test_fault_a1_a2_a3_a_bot_started_again_on_the_same_day_continues_the_branch(ground: Ground) -> None:
    """The owner's uncommitted work lies in the checkout of every realm; the invariants look after it."""
    with living(ground) as realm:
        realm.start()
        realm.heal(DISPATCHER)
        branch, first = realm.night_branch, realm.branches()[realm.night_branch]
        assert realm.end_bot() == 0
        realm.start()
        realm.heal(AURA)
        assert realm.night_branch == branch
        assert len(realm.log()) == 2
        assert first in realm.history(branch)


def test_a_deployment_loses_nothing_that_bots_gained_and_a_kill_does(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        request = realm.crash(DISPATCHER)
        realm.wait(lambda: realm.experience() >= 60, "some play", every=SELDOM)
        gained = realm.experience()
        realm.answer(DISPATCHER, request)
        realm.wait_fixed(DISPATCHER)
        saved = realm.experience()
        assert saved >= gained
        realm.wait(lambda: realm.experience() >= saved + 120, "more play", every=SELDOM)
        before = realm.experience()
        realm.set_off(AURA)
        assert realm.experience() < before
