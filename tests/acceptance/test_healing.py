"""Crash in, fix live, no hand: each planted bug, and answers of every kind, on a realm that lives."""

from datetime import UTC, datetime, timedelta

import pytest
from living_ground import Ground
from living_realm import living
from realm import git

from bot.demo.bugs import FixKind, PlantedBug, get_bug, response

DISPATCHER, AURA = get_bug("dispatcher"), get_bug("aura")
# Class and function of the crash, where they are not what bugs.py calls the cause.
SEEN_AS = {
    "dispatcher": "access violation | EventDispatcher::UnsubscribeAll",
    "aura": "access violation | Unit::UpdateAuras",
    "late": "access violation | Player::SetOnline",
}

pytestmark = pytest.mark.timeout(240)  # the first of a worker builds its ground


@pytest.mark.parametrize("names", ["dispatcher aura assert late", "bih freeze recursion doublefree"])
def test_each_planted_bug_is_healed_one_after_the_other(ground: Ground, names: str) -> None:
    bugs = [get_bug(name) for name in names.split()]
    with living(ground) as realm:
        realm.start()
        for bug in bugs:
            request = realm.crash(bug)
            signature = realm.read_request(request)["signature"]
            assert signature.startswith(SEEN_AS.get(bug.name, f"{bug.category} | {bug.function}")), signature
            realm.answer(bug, request)
            realm.wait_fixed(bug)
        assert len(realm.log()) == len(bugs)
        assert realm.branches()[realm.night_branch].startswith(realm.revision)
        lives = realm.server_pid
        for bug in bugs:
            realm.ask_server(bug.command)
        assert realm.server_pid == lives


def test_fault_a16_the_chain_closes_by_itself_and_the_channel_has_seen_each_step(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        card = realm.heal(DISPATCHER)
        titles = [each.title for each in realm.wait_thread(card, "Verdict: healthy")]
        assert titles == ["The crash", "Analysis", "The patch", "Built", "Live", "Verdict: healthy"]
        message = git(realm.remote, "log", "-1", "--format=%B", realm.night_branch)
        assert message.startswith("fix(")
        assert "Crash-Signature: access violation | EventDispatcher::UnsubscribeAll" in message
        assert "Request-Id: " in message and "Run: " in message
        assert DISPATCHER.fix.replace in realm.show(DISPATCHER.file)


def test_fault_a7_a_fix_that_does_not_compile_goes_back_with_its_diagnostics(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        first = realm.crash(DISPATCHER)
        realm.answer(DISPATCHER, first, FixKind.NO_COMPILE)
        second = realm.wait_request({first})
        (attempt,) = realm.read_request(second)["previous_attempts"]
        assert "GameSystemsManager.cpp" in attempt["diagnostics"][0] and "error" in attempt["diagnostics"][0]
        card = realm.wait_card("Fix does not compile: ", of=DISPATCHER, saying="try 2 of 3")
        assert realm.branches().keys() == {"main"}, "only what has built is pushed"
        realm.answer(DISPATCHER, second)
        realm.wait_fixed(DISPATCHER)
        assert len(realm.log()) == 1
        realm.wait_thread(card, "The fix does not compile")


def test_fault_a6_a_fix_that_never_compiles_ends_after_three_tries(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        requests = [realm.crash(DISPATCHER)]
        runs = realm.server_pid
        for _ in range(2):
            realm.answer(DISPATCHER, requests[-1], FixKind.NO_COMPILE)
            requests.append(realm.wait_request(set(requests)))
        realm.answer(DISPATCHER, requests[-1], FixKind.NO_COMPILE)
        card = realm.wait_card("Fix does not compile: ", saying="a person is needed")
        realm.wait_thread(card, "The fix does not compile", times=3)
        assert realm.list_requests() == sorted(requests)
        assert realm.branches().keys() == {"main"}
        assert realm.server_pid == runs and realm.commit.startswith(realm.revision)


def test_fault_a8_a_response_that_leaves_the_source_is_refused_and_writes_nothing(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        request = realm.crash(DISPATCHER)
        realm.answer(DISPATCHER, request, FixKind.OUTSIDE)
        card = realm.wait_card("Needs a look: ", of=DISPATCHER)
        assert "outside.txt" in card.text
        assert not list(realm.root.rglob("outside.txt"))
        assert realm.branches().keys() == {"main"}
        realm.answer(DISPATCHER, request)  # a better answer reopens it
        realm.wait_fixed(DISPATCHER)


def test_fault_a4_before_and_after_is_applied_where_it_matches_one_place_else_refused(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        request = realm.crash(DISPATCHER)
        realm.respond(request, before_and_after(DISPATCHER, request, before="_nothing.like(this);"))
        realm.wait_card("Needs a look: ", of=DISPATCHER)
        realm.respond(request, before_and_after(DISPATCHER, request, before=with_arrows(DISPATCHER.fix.search)))
        realm.wait_fixed(DISPATCHER)
        assert DISPATCHER.fix.replace in realm.show(DISPATCHER.file)


def before_and_after(bug: PlantedBug, request: str, before: str) -> dict[str, object]:
    """Shape B: files without code, and one replacement."""
    plain = response(bug, request)
    del plain["edits"]
    changes = {"before": before, "after": bug.fix.replace}
    return {**plain, "fix": {"files_modified": [{"path": bug.file}], "code_changes": changes}}


def with_arrows(code: str) -> str:
    """As analysts quote code: with a comment at the place they mean."""
    first, *rest = code.splitlines(keepends=True)
    return "".join([first.rstrip("\n") + "  // <-- the dispatcher goes first\n", *rest])


def test_fault_a18_a_whole_file_that_would_undo_another_fix_is_refused(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        first, second = realm.crash(DISPATCHER), realm.crash(AURA)
        realm.answer(DISPATCHER, first)
        realm.wait_fixed(DISPATCHER)
        plain = response(AURA, second)
        del plain["edits"]
        as_it_was = (realm.checkout / DISPATCHER.file).read_text(encoding="utf-8")
        files = [{"path": DISPATCHER.file, "new_code": f"{as_it_was}// Seen.\n"}]
        realm.respond(second, {**plain, "fix": {"files_modified": files}})
        card = realm.wait_card("Needs a look: ", of=AURA)
        assert "GameSystemsManager.cpp" in card.text
        assert len(realm.log()) == 1 and DISPATCHER.fix.replace in realm.show(DISPATCHER.file)


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


def test_fault_a15_fixes_that_wait_go_out_in_one_restart(ground: Ground) -> None:
    with living(ground, MAX_PLAYERS_FOR_RESTART="0", DEPLOY_AT_LATEST=in_twelve_hours(), TIMEZONE="UTC") as realm:
        realm.start()
        requests = {bug: realm.crash(bug) for bug in (DISPATCHER, AURA)}
        player = realm.join("Ann")
        starts = realm.count_starts()
        for bug, request in requests.items():
            realm.answer(bug, request)
        for bug in requests:
            realm.wait_card("Fix built, waiting for a quiet moment", of=bug, saying="1 player online")
        assert realm.count_starts() == starts
        player.close()
        for bug in requests:
            realm.wait_fixed(bug)
        assert realm.count_starts() == starts + 1
        assert len(realm.log()) == 2


def in_twelve_hours() -> str:
    return f"{datetime.now(UTC) + timedelta(hours=12):%H:%M}"
