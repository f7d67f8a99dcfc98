"""The remote is gone, or has what is not ours: nothing waits for it, nothing is lost, nothing is overwritten."""

import pytest
from living_ground import Ground
from living_realm import living, push_as_somebody_else

from bot.demo.bugs import get_bug

DISPATCHER, AURA = get_bug("dispatcher"), get_bug("aura")

pytestmark = pytest.mark.timeout(240)  # the first of a worker builds its ground


def test_fault_a5_world_git_remote_gone_a_fix_goes_live_and_the_push_is_owed_until_it_is_back(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        request = realm.crash(DISPATCHER)
        away = realm.remote.with_name("away.git")
        realm.remote.rename(away)
        realm.answer(DISPATCHER, request)
        realm.wait_card("Fixed: ", of=DISPATCHER, saying="not on the remote yet")
        assert realm.end_bot() == 0
        away.rename(realm.remote)
        realm.start()
        realm.wait(lambda: len(realm.branches()) == 2, "the push that was owed")
        assert realm.branches()[realm.night_branch].startswith(realm.revision)
        realm.wait_card("Fixed: ", of=DISPATCHER)
        assert len([each for each in realm.channel.news() if "A push is owed" in each.title]) == 1


def test_world_git_branch_foreign_commit_is_left_alone_and_the_night_goes_on_beside_it(
    ground: Ground,
) -> None:
    with living(ground) as realm:
        realm.start()
        realm.heal(DISPATCHER)
        branch = realm.night_branch
        foreign = push_as_somebody_else(realm.root, branch)
        realm.heal(AURA)
        assert realm.branches().keys() == {"main", branch, f"{branch}-2"}
        assert realm.branches()[branch] == foreign
        assert len(realm.log(f"{branch}-2")) == 2
        assert realm.branches()[f"{branch}-2"].startswith(realm.revision)
        told = realm.wait_news("The night goes on under another branch")
        assert f"`{branch}-2`" in told.text
