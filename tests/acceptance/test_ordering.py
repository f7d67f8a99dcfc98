"""What people order in the channel, on a realm that lives."""

import time

import pytest
from living_ground import Ground
from living_realm import LivingRealm, living, living_as
from realm import git

from bot.demo.bugs import PlantedBug, get_bug

NEWER = "src/server/game/Maps/Map.cpp"
DISPATCHER, AURA = get_bug("dispatcher"), get_bug("aura")

pytestmark = pytest.mark.timeout(240)


def test_revert_asks_once_takes_the_fix_back_and_only_for_operators(ground: Ground) -> None:
    """By command, and by the button of a card."""
    with living(ground) as realm:
        realm.start()
        realm.heal(DISPATCHER)
        commit = realm.branches()[realm.night_branch]
        refused = realm.channel.slash("revert", user="guest", commit=commit[:10])
        assert refused.private and "Nothing was changed" in refused.content
        question = realm.channel.slash("revert", commit=commit[:10])
        assert list(question.buttons) == ["Revert", "Keep"]
        assert "Reverting" in realm.channel.press(question, "Revert").content
        expect_reverted(realm, DISPATCHER)
        again = realm.channel.slash("revert", commit=commit[:10])
        assert "is reverted already" in again.content
        card = realm.heal(AURA)
        kept = realm.channel.press(realm.channel.press(card, "Revert"), "Keep")
        assert "Nothing was changed" in kept.content
        assert len(realm.log()) == 3
        realm.channel.press(realm.channel.press(card, "Revert"), "Revert")
        expect_reverted(realm, AURA)
        assert len(realm.log()) == 4


def expect_reverted(realm: LivingRealm, bug: PlantedBug) -> None:
    realm.wait_card("Reverted: ", of=bug)
    assert realm.log()[0].startswith("revert")
    assert realm.show(bug.file) + "\n" == (realm.checkout / bug.file).read_text(encoding="utf-8")
    assert realm.branches()[realm.night_branch].startswith(realm.revision)


def test_paused_stays_paused_over_a_restart_and_the_server_still_comes_back_at_once(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        assert "paused" in realm.channel.slash("pause", reason="I sleep").content
        assert realm.end_bot() == 0
        realm.start()
        status = realm.channel.slash("status", user="guest")
        assert "the pipeline is paused by operator" in status.text and "I sleep" in status.text
        realm.set_off(DISPATCHER)
        realm.wait_card("Crash in ", of=DISPATCHER, saying="pipeline paused")
        assert realm.list_requests() == []
        assert "goes on" in realm.channel.slash("resume").content
        realm.answer(DISPATCHER, realm.wait_request(set()))
        realm.wait_fixed(DISPATCHER)


def test_a_restart_can_be_cancelled_until_it_is_due_and_stopped_stays_stopped_until_somebody_starts_it(
    ground: Ground,
) -> None:
    with living(ground) as realm:
        realm.start()
        first = realm.server_pid
        question = realm.channel.slash("restart-server", delay="2s", reason="new conf")
        ordered = realm.channel.press(question, "Restart")
        due = time.monotonic() + 2
        assert "Cancel" in ordered.buttons
        assert "Cancelled by operator" in realm.channel.press(ordered, "Cancel").content
        realm.wait(lambda: time.monotonic() > due + 1, "the time at which it was due")
        assert realm.server_pid == first and realm.count_starts() == 1
        realm.channel.press(realm.channel.slash("restart-server", delay="1s", reason="new conf"), "Restart")
        realm.wait(lambda: realm.server_pid not in (None, first), "another server")
        assert "New conf" in realm.wait_news("Server restarts").text
        assert realm.count_starts() == 2
        realm.wait(
            lambda: "0 crashes and 1 restart tonight" in realm.channel.slash("status").text, "what /status counts"
        )
        stopped = realm.channel.press(realm.channel.slash("stop-server", delay="1s", reason="new disk"), "Stop")
        assert "The server stops" in stopped.content and "Cancel" in stopped.buttons
        realm.wait(lambda: realm.observed()["hold"] == "stopped", "the server to be down")
        assert "Stopped by operator: new disk" in realm.wait_news("Server stopped").text
        over = realm.wait(
            lambda: next((each for each in realm.channel.said() if each.id == stopped.id and not each.buttons), None),
            "the Cancel button to go",
        )
        assert over.content.startswith(("The server was told to stop", "The server is down "))
        assert "told to stop" in over.content and "as operator ordered: new disk" in over.content
        assert realm.end_bot() == 0
        realm.start_bot()
        realm.wait(realm.is_open, "the channel")
        assert "Living realm: server stopped" in realm.channel.slash("status").title
        assert realm.count_starts() == 2
        assert "is being started" in realm.channel.slash("start-server").content
        realm.wait(lambda: realm.server_pid, "the server to be up")
        assert realm.count_starts() == 3


def test_a_rollback_reverts_pushes_and_pauses_and_the_build_before_runs(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        realm.heal(DISPATCHER)
        healed = realm.revision
        question = realm.channel.slash("rollback", reason="it lags")
        assert "Roll back from" in question.content and DISPATCHER.function in question.content
        realm.channel.press(question, "Roll back")
        realm.wait_card("Rolled back: ", of=DISPATCHER, saying="ordered by operator: it lags")
        realm.wait(lambda: realm.server_pid, "the server to be up")
        assert realm.revision != healed and realm.commit.startswith(realm.revision)
        realm.wait(lambda: len(realm.log()) == 2, "the revert on the remote")
        assert realm.show(DISPATCHER.file) + "\n" == (realm.checkout / DISPATCHER.file).read_text(encoding="utf-8")
        assert "the pipeline is paused by a rollback" in realm.channel.slash("status").text
        again = realm.channel.slash("rollback")
        assert "Nothing of ours runs" in again.content and not again.buttons
        assert "goes on" in realm.channel.slash("resume").content


def test_a_run_is_cancelled_in_the_midst_of_its_build_and_tried_again(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        realm.answer(DISPATCHER, realm.crash(DISPATCHER))
        realm.wait_state("BUILDING")
        (run,) = [row["id"] for row in realm.rows("select id from runs")]
        assert realm.channel.slash("cancel", user="guest", run=run).private
        assert "cancelled by operator" in realm.channel.slash("cancel", run=run).content
        realm.wait_card("Cancelled: ", saying="cancelled by operator")
        assert realm.branches().keys() == {"main"} and realm.commit.startswith(realm.revision)
        known = set(realm.list_requests())
        assert "is tried again as run" in realm.channel.slash("retry", run=run).content
        request = realm.wait_request(known)
        (before,) = realm.read_request(request)["previous_attempts"]
        assert before["detail"] == "cancelled by operator"
        realm.answer(DISPATCHER, request)
        realm.wait_fixed(DISPATCHER)
        assert len(realm.log()) == 1
        shown = realm.channel.slash("run", user="guest", id=run)
        assert "cancelled by operator" in shown.text and "building" in shown.text
        listed = realm.channel.slash("crashes", user="guest")
        assert DISPATCHER.function in listed.text and "fixed in" in listed.text


class BehindItsBase(LivingRealm):
    """Its owner has committed since the server was built."""

    def work_in_the_checkout(self) -> None:
        with (self.checkout / NEWER).open("a", encoding="utf-8") as file:
            file.write("// newer than what runs\n")
        git(self.checkout, "commit", "-q", "-m", "Maps: a word more", NEWER)
        super().work_in_the_checkout()


def test_an_update_shows_what_comes_with_it_merges_builds_and_deploys_it(ground: Ground) -> None:
    with living_as(BehindItsBase, ground) as realm:
        realm.start()
        question = realm.channel.slash("update")
        assert "1 commit comes with it" in question.content and "Maps: a word more" in question.content
        assert "Nothing was changed" in realm.channel.press(question, "Keep").content
        realm.channel.press(realm.channel.slash("update"), "Update")
        realm.wait_card("Updated: ")
        merged, theirs = realm.log()
        assert "base branch at" in merged and theirs == "Maps: a word more"
        assert realm.show(NEWER).endswith("// newer than what runs")
        assert realm.branches()[realm.night_branch].startswith(realm.revision)
        assert f"is in `{realm.night_branch}` already" in realm.channel.slash("update").content
        lines = realm.channel.slash("log", source="bot", lines="200")
        assert lines.private and realm.password not in lines.content
        audit = realm.channel.slash("audit")
        assert audit.private and "**operator** `/update` " in audit.text and "**operator**" in audit.text


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
        realm.wait_card("Rejected: ", saying="rejected by operator")
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
