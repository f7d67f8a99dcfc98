"""The prepared fixes do what their kind says: compiled into the sample realm and run."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import realm
import realm_stacks
from realm import start_server

from bot.demo.analyst.answer import apply
from bot.demo.analyst.case import Case
from bot.demo.analyst.request import read_request
from bot.demo.analyst.rules import find_mistake
from bot.demo.analyst.tree import SourceTree
from bot.demo.bugs import BUGS, REALM, Edit, FixKind, get_bug, list_edits

DISPATCHER = get_bug("dispatcher")


def list_prepared() -> list[Edit]:
    return [bug.fix for bug in BUGS]


def list_found() -> list[Edit]:
    """What the example analyst makes of each bug's crash, whole files."""
    found = []
    for bug in BUGS:
        mistake = find_mistake(Case(read_request(realm_stacks.ask(bug.name, REALM)), SourceTree(REALM)))
        assert mistake is not None, bug.name
        files = {edit.file: None for edit in mistake.edits}
        found += [Edit(file.path, file.text, apply(file, mistake.edits)) for file in files]
    return found


@pytest.mark.parametrize("list_fixes", [list_prepared, list_found], ids=["prepared", "by_the_example_analyst"])
def test_with_all_good_fixes_no_planted_bug_ends_the_server(
    tmp_path: Path, list_fixes: Callable[[], list[Edit]]
) -> None:
    variant = realm.build_variant(list_fixes(), tmp_path / "bin")
    assert variant.compiled, variant.output
    assert "warning:" not in variant.output
    with start_server(variant.server, tmp_path, {"Realm.LateSeconds": 0}) as server:
        server.wait_ready()
        for bug in BUGS:
            server.soap(bug.command)
        realm.wait_for(lambda: "login of Wanderer is finished\n" in server.read("Playerbot.log"), "the last bug")
        reached = server.read_experience() + 60
        realm.wait_for(lambda: server.read_experience() > reached, "a second of play")
        assert server.process.poll() is None
        assert not (tmp_path / "deferred_login.txt").exists()
        assert server.soap("server exit").status == 200
        assert server.wait_exit() == 0


def test_a_fix_that_does_not_compile_is_told_by_the_compiler(tmp_path: Path) -> None:
    variant = realm.build_variant(list_edits(DISPATCHER, FixKind.NO_COMPILE), tmp_path / "bin")
    assert not variant.compiled
    assert "GameSystemsManager.cpp" in variant.output and "error:" in variant.output


def test_a_fix_that_crashes_at_the_start_never_gets_ready(tmp_path: Path) -> None:
    variant = realm.build_variant(list_edits(DISPATCHER, FixKind.CRASH_AT_START), tmp_path / "bin")
    with start_server(variant.server, tmp_path) as server:
        assert server.wait_exit() == -signal.SIGSEGV
        assert not server.is_ready


def test_a_fix_that_crashes_after_ready_cures_its_own_bug(tmp_path: Path) -> None:
    variant = realm.build_variant(list_edits(DISPATCHER, FixKind.CRASH_AFTER_READY), tmp_path / "bin")
    with start_server(variant.server, tmp_path) as server:
        server.wait_ready().soap(DISPATCHER.command)
        realm.wait_for(lambda: "Ahnra logs out" in server.read("Playerbot.log"), "the bot's logout")
        assert server.read_experience() > 0
        assert server.wait_exit() == -signal.SIGSEGV


@pytest.mark.parametrize("name", ["aura"])
def test_a_fix_that_does_not_cure_leaves_the_crash_as_it_was(tmp_path: Path, name: str) -> None:
    variant = realm.build_variant(list_edits(get_bug(name), FixKind.NOT_CURED), tmp_path / "bin")
    with start_server(variant.server, tmp_path) as server:
        server.wait_ready().soap(f"bug {name}")
        assert server.wait_exit() == -signal.SIGSEGV
