"""What people order in the channel, on a realm that lives."""

import time

import pytest
from living_ground import Ground
from living_realm import living

from bot.demo.bugs import get_bug

DISPATCHER, AURA = get_bug("dispatcher"), get_bug("aura")

pytestmark = pytest.mark.timeout(240)


def test_revert_asks_once_takes_the_fix_back_and_only_for_operators(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        realm.heal(DISPATCHER)
        commit = realm.branches()[realm.night_branch]
        refused = realm.channel.slash("revert", user="guest", commit=commit[:10])
        assert refused.private and "Nothing was changed" in refused.content
        question = realm.channel.slash("revert", commit=commit[:10])
        assert list(question.buttons) == ["Revert", "Keep"]
        assert "Reverting" in realm.channel.press(question, "Revert").content
        realm.wait_card("Reverted: ")
        assert realm.log()[0].startswith("revert")
        assert realm.show(DISPATCHER.file) + "\n" == (realm.checkout / DISPATCHER.file).read_text(encoding="utf-8")
        assert realm.branches()[realm.night_branch].startswith(realm.revision)
        again = realm.channel.slash("revert", commit=commit[:10])
        assert "is reverted already" in again.content


def test_the_revert_button_of_a_card_does_the_same(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        card = realm.heal(DISPATCHER)
        kept = realm.channel.press(realm.channel.press(card, "Revert"), "Keep")
        assert "Nothing was changed" in kept.content
        assert len(realm.log()) == 1
        realm.channel.press(realm.channel.press(card, "Revert"), "Revert")
        realm.wait_card("Reverted: ")
        assert len(realm.log()) == 2


def test_paused_stays_paused_over_a_restart_and_the_server_still_comes_back_at_once(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        assert "paused" in realm.channel.slash("pause", reason="I sleep").content
        assert realm.end_bot() == 0
        realm.start()
        status = realm.channel.slash("status", user="guest")
        assert "**Paused** by operator" in status.text and "I sleep" in status.text
        realm.set_off(DISPATCHER)
        realm.wait_card("Crash in ", of=DISPATCHER, saying="pipeline paused")
        assert realm.list_requests() == []
        assert "goes on" in realm.channel.slash("resume").content
        realm.answer(DISPATCHER, realm.wait_request(set()))
        realm.wait_fixed(DISPATCHER)


def test_a_restart_can_be_cancelled_until_it_is_due(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        first = realm.server_pid
        question = realm.channel.slash("restart-server", delay="2s", reason="new conf")
        ordered = realm.channel.press(question, "Restart")
        due = time.monotonic() + 2
        assert "Cancel" in ordered.buttons
        assert "cancelled" in realm.channel.press(ordered, "Cancel").content
        realm.wait(lambda: time.monotonic() > due + 1, "the time at which it was due")
        assert realm.server_pid == first and realm.count_starts() == 1
        realm.channel.press(realm.channel.slash("restart-server", delay="1s", reason="new conf"), "Restart")
        realm.wait(lambda: realm.server_pid not in (None, first), "another server")
        assert "new conf" in realm.wait_news("Server restarts").text
        assert realm.count_starts() == 2
        realm.wait(
            lambda: "0 crashes and 1 restart tonight" in realm.channel.slash("status").text, "what /status counts"
        )


def test_with_approval_of_patches_nothing_is_applied_before_somebody_says_so(ground: Ground) -> None:
    with living(ground, APPROVAL="patch") as realm:
        realm.start()
        realm.answer(DISPATCHER, realm.crash(DISPATCHER))
        card = realm.wait_card("Waits for approval: ", of=DISPATCHER, saying="May this patch be applied?")
        assert realm.channel.press(card, "Approve", user="guest").private
        assert realm.branches().keys() == {"main"}
        realm.channel.press(card, "Approve")
        realm.wait_fixed(DISPATCHER)
        realm.answer(AURA, realm.crash(AURA))
        card = realm.wait_card("Waits for approval: ", of=AURA)
        realm.channel.press(card, "Reject")
        realm.wait_card("Cancelled: ", saying="rejected by operator")
        assert len(realm.log()) == 1


def test_with_approval_of_deployments_a_build_is_pushed_and_waits(ground: Ground) -> None:
    with living(ground, APPROVAL="deploy") as realm:
        realm.start()
        realm.answer(DISPATCHER, realm.crash(DISPATCHER))
        card = realm.wait_card("Waits for approval: ", of=DISPATCHER, saying="May this build go live?")
        assert len(realm.log()) == 1 and realm.commit.startswith(realm.revision)
        realm.channel.press(card, "Approve")
        realm.wait_fixed(DISPATCHER)
        realm.answer(AURA, realm.crash(AURA))
        card = realm.wait_card("Waits for approval: ", of=AURA)
        runs = realm.server_pid
        realm.channel.press(card, "Reject")
        realm.wait(lambda: len(realm.log()) == 3, "the revert of what was pushed")
        assert realm.show(AURA.file) + "\n" == (realm.checkout / AURA.file).read_text(encoding="utf-8")
        realm.wait(lambda: realm.states()[-1] == "SUCCEEDED", "the end of the revert")
        assert realm.server_pid == runs, "what runs has the same content: no restart for it"
