"""Answers that do not do as they came: what becomes of each, on one realm, with a bug for each."""

from collections.abc import Iterator

import pytest
from living_ground import Ground
from living_realm import LivingRealm, living

from bot.demo.bugs import FixKind, PlantedBug, get_bug, response

pytestmark = pytest.mark.timeout(240)  # the first of a worker builds its ground


@pytest.fixture(scope="module")
def realm(ground: Ground) -> Iterator[LivingRealm]:
    """The invariants are looked at when all of these have had their turn."""
    with living(ground) as found:
        yield found.start()


def count_commits(realm: LivingRealm) -> int:
    """On the remote's night branch, which may not be there yet."""
    return len(realm.log()) if len(realm.branches()) > 1 else 0


def test_fault_a7_a_fix_that_does_not_compile_goes_back_with_its_diagnostics(realm: LivingRealm) -> None:
    bug, before = get_bug("dispatcher"), count_commits(realm)
    first = realm.crash(bug)
    known = set(realm.list_requests())
    realm.answer(bug, first, FixKind.NO_COMPILE)
    second = realm.wait_request(known)
    (attempt,) = realm.read_request(second)["previous_attempts"]
    assert "GameSystemsManager.cpp" in attempt["diagnostics"][0] and "error" in attempt["diagnostics"][0]
    card = realm.wait_card("Fix does not compile: ", of=bug, saying="try 2 of 3")
    assert count_commits(realm) == before, "only what has built is pushed"
    realm.answer(bug, second)
    realm.wait_fixed(bug)
    assert count_commits(realm) == before + 1
    realm.wait_thread(card, "The fix does not compile")


def test_fault_a6_a_fix_that_never_compiles_ends_after_three_tries(realm: LivingRealm) -> None:
    bug = get_bug("assert")
    before, revision = realm.branches(), realm.revision
    request = realm.crash(bug)
    runs, known = realm.server_pid, set(realm.list_requests())
    for _ in range(2):
        realm.answer(bug, request, FixKind.NO_COMPILE)
        request = realm.wait_request(known)
        known.add(request)
    realm.answer(bug, request, FixKind.NO_COMPILE)
    card = realm.wait_card("Fix does not compile: ", saying="a person is needed")
    realm.wait_thread(card, "The fix does not compile", times=3)
    assert {*realm.list_requests()} == known
    assert realm.branches() == before
    assert realm.server_pid == runs and realm.revision == revision


def test_fault_a8_a_response_that_leaves_the_source_is_refused_and_writes_nothing(realm: LivingRealm) -> None:
    bug = get_bug("doublefree")
    before, request = realm.branches(), realm.crash(bug)
    realm.answer(bug, request, FixKind.OUTSIDE)
    card = realm.wait_card("Needs a look: ", of=bug)
    assert "outside.txt" in card.text
    assert not list(realm.root.rglob("outside.txt"))
    assert realm.branches() == before
    realm.answer(bug, request)  # a better answer reopens it
    realm.wait_fixed(bug)


def test_fault_a4_before_and_after_is_applied_where_it_matches_one_place_else_refused(realm: LivingRealm) -> None:
    bug = get_bug("bih")
    request = realm.crash(bug)
    realm.respond(request, before_and_after(bug, request, before="_nothing.like(this);"))
    realm.wait_card("Needs a look: ", of=bug)
    realm.respond(request, before_and_after(bug, request, before=with_arrows(bug.fix.search)))
    realm.wait_fixed(bug)
    assert bug.fix.replace in realm.show(bug.file)


def before_and_after(bug: PlantedBug, request: str, before: str) -> dict[str, object]:
    """Shape B: files without code, and one replacement."""
    plain = response(bug, request)
    del plain["edits"]
    changes = {"before": before, "after": bug.fix.replace}
    return {**plain, "fix": {"files_modified": [{"path": bug.file}], "code_changes": changes}}


def with_arrows(code: str) -> str:
    """As analysts quote code: with a comment at the place they mean."""
    first, *rest = code.splitlines(keepends=True)
    return "".join([first.rstrip("\n") + "  // <-- the other end\n", *rest])


def test_fault_a18_a_whole_file_that_would_undo_another_fix_is_refused(realm: LivingRealm) -> None:
    fixed, bug = get_bug("recursion"), get_bug("aura")
    first, request = realm.crash(fixed), realm.crash(bug)
    realm.answer(fixed, first)
    realm.wait_fixed(fixed)
    before = realm.branches()
    plain = response(bug, request)
    del plain["edits"]
    as_it_was = (realm.checkout / fixed.file).read_text(encoding="utf-8")
    files = [{"path": fixed.file, "new_code": f"{as_it_was}// Seen.\n"}]
    realm.respond(request, {**plain, "fix": {"files_modified": files}})
    card = realm.wait_card("Needs a look: ", of=bug)
    assert "FollowChain.cpp" in card.text
    assert realm.branches() == before and fixed.fix.replace in realm.show(fixed.file)
