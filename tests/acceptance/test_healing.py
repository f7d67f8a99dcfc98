"""Crash in, fix live, no hand: each planted bug, one after the other and several at once, on a realm that lives."""

from datetime import UTC, datetime, timedelta

import pytest
from living_ground import Ground
from living_realm import LivingRealm, living
from realm import git

from bot.demo.bugs import PlantedBug, get_bug, response

DISPATCHER, AURA = get_bug("dispatcher"), get_bug("aura")
# Class and function of the crash, where they are not what bugs.py calls the cause.
SEEN_AS = {
    "dispatcher": "access violation | EventDispatcher::UnsubscribeAll",
    "aura": "access violation | Unit::UpdateAuras",
    "late": "access violation | Player::SetOnline",
}

pytestmark = pytest.mark.timeout(240)  # the first of a worker builds its ground


def test_fault_a16_the_chain_closes_by_itself_and_the_channel_has_seen_each_step(ground: Ground) -> None:
    bugs = [DISPATCHER, AURA, get_bug("assert"), get_bug("late")]
    with living(ground) as realm:
        realm.start()
        for bug in bugs:
            realm.answer(bug, crash(realm, bug))
            card = realm.wait_fixed(bug)
            titles = [each.title for each in realm.wait_thread(card, "Verdict: healthy")]
            assert titles == ["The crash", "Analysis", "The patch", "Built", "Live", "Verdict: healthy"]
            assert realm.branches()[realm.night_branch].startswith(realm.revision)
            assert bug.fix.replace in realm.show(bug.file) + "\n"
        messages = git(realm.remote, "log", "--format=%B%x00", f"{realm.commit}..{realm.night_branch}").split("\0")[:-1]
        assert len(messages) == len(bugs)
        for message in messages:
            assert message.strip().startswith("fix(")
            assert "Request-Id: " in message and "Run: " in message
        assert "Crash-Signature: access violation | EventDispatcher::UnsubscribeAll" in messages[-1]
        expect_cured(realm, bugs)


def crash(realm: LivingRealm, bug: PlantedBug) -> str:
    """Its request, which knows it by its class and its function."""
    request = realm.crash(bug)
    signature = realm.read_request(request)["signature"]
    assert signature.startswith(SEEN_AS.get(bug.name, f"{bug.category} | {bug.function}")), signature
    return request


def expect_cured(realm: LivingRealm, bugs: list[PlantedBug]) -> None:
    lives = realm.server_pid
    for bug in bugs:
        realm.ask_server(bug.command)
    assert realm.server_pid == lives


def test_fault_a15_fixes_that_wait_go_out_in_one_restart(ground: Ground) -> None:
    bugs = [get_bug(name) for name in ("bih", "freeze", "recursion", "doublefree")]
    with living(ground, MAX_PLAYERS_FOR_RESTART="0", DEPLOY_AT_LATEST=in_twelve_hours(), TIMEZONE="UTC") as realm:
        realm.start()
        requests = [(bug, crash(realm, bug)) for bug in bugs]
        player = realm.join("Ann")
        starts = realm.count_starts()
        for bug, request in requests:
            realm.answer(bug, request)
        for bug in bugs:
            realm.wait_card("Fix built, waiting for a quiet moment", of=bug, saying="1 player online")
        assert realm.count_starts() == starts
        player.close()
        for bug in bugs:
            realm.wait_fixed(bug)
        assert realm.count_starts() == starts + 1
        assert len(realm.log()) == len(bugs)
        expect_cured(realm, bugs)


def in_twelve_hours() -> str:
    return f"{datetime.now(UTC) + timedelta(hours=12):%H:%M}"


def test_fault_a4_an_answer_in_prose_is_a_proposal_and_never_applied(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        request = realm.crash(AURA)
        plain = response(AURA, request)
        del plain["edits"]
        prose = 'Delete the aura only after the loop has passed it.\n```cpp\nsystem("rm -rf /");\n```'
        realm.respond(request, {**plain, "fix_strategy": "minimal", "fix_content": prose})
        card = realm.wait_card("Needs a look: ", of=AURA)
        analysis = realm.wait_thread(card, "Analysis")[-1]
        assert "Delete the aura only after the loop has passed it." in analysis.text
        assert realm.branches().keys() == {"main"}
        assert realm.commit.startswith(realm.revision)
