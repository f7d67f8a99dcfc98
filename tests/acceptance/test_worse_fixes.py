"""Fixes that are worse than the crash, or none: taken back, or kept and said so, and in either case tried again."""

import pytest
from living_ground import Ground
from living_realm import LivingRealm, living

from bot.demo.bugs import CRASH_AFTER_READY_FUNCTION, FixKind, get_bug

DISPATCHER = get_bug("dispatcher")

pytestmark = pytest.mark.timeout(240)


def test_fault_a13_world_analyst_dead_fix_is_taken_back_by_the_keeper_and_on_the_branch(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        request = realm.crash(DISPATCHER)
        realm.answer(DISPATCHER, request, FixKind.CRASH_AT_START)
        expect_rollback(realm)
        assert realm.list_requests() == [request], "nobody is asked while it is paused"
        expect_healed_after_resume(realm, request)


def test_fault_b17_world_process_dies_late_is_rolled_back_and_the_next_try_waits_behind_the_pause(
    ground: Ground,
) -> None:
    with living(ground, SERVER_SOAK="6s") as realm:
        realm.start()
        request = realm.crash(DISPATCHER)
        realm.answer(DISPATCHER, request, FixKind.CRASH_AFTER_READY)
        expect_rollback(realm)
        card = realm.wait_card("Rolled back: ", of=DISPATCHER)
        assert CRASH_AFTER_READY_FUNCTION in card.text
        assert realm.list_requests() == [request], "nobody is asked while it is paused"
        realm.wait_card("Crash in ", saying="seen only in a build that was taken back")
        expect_healed_after_resume(realm, request)


def expect_rollback(realm: LivingRealm) -> None:
    """The server runs what it ran before, the branch says so, and the pipeline waits for a person."""
    realm.wait_card("Rolled back: ")
    paused = realm.wait_news("Pipeline paused itself")
    assert "Resume" in paused.buttons
    realm.wait(lambda: len(realm.branches()) == 2 and len(realm.log()) == 2, "the revert on the remote")
    assert realm.show(DISPATCHER.file) + "\n" == (realm.checkout / DISPATCHER.file).read_text(encoding="utf-8")
    assert realm.wait(lambda: realm.server_pid, "a server")
    assert realm.commit.startswith(realm.revision)
    assert "the pipeline paused itself" in realm.channel.slash("status", user="guest").text


def expect_healed_after_resume(realm: LivingRealm, first: str) -> None:
    realm.channel.slash("resume")
    again = realm.wait_request({first})
    realm.wait_card("Rolled back: ", of=DISPATCHER, saying="The request for a new try waits in the queue")
    (attempt,) = realm.read_request(again)["previous_attempts"]
    assert attempt["commit"] and attempt["patch"] and attempt["crashed_then"]
    realm.answer(DISPATCHER, again)
    realm.wait_fixed(DISPATCHER)
    assert len(realm.log()) == 3


def test_a_fix_that_does_not_cure_stays_is_said_to_be_none_and_is_tried_again(ground: Ground) -> None:
    with living(ground, SERVER_SOAK="8s") as realm:
        realm.start()
        request = realm.crash(DISPATCHER)
        realm.answer(DISPATCHER, request, FixKind.NOT_CURED)
        realm.wait_state("VERIFYING")
        realm.set_off(DISPATCHER)
        again = realm.wait_request({request})
        card = realm.wait_card("", of=DISPATCHER)
        realm.wait_thread(card, "Verdict: not cured")
        assert realm.branches()[realm.night_branch].startswith(realm.revision), "the build stays"
        assert realm.read_request(again)["previous_attempts"][-1]["commit"] == realm.branches()[realm.night_branch]
        realm.answer(DISPATCHER, again)
        realm.wait_fixed(DISPATCHER)
        assert len(realm.log()) == 2
