"""Every planted bug of the sample realm, crashed for real, is read with its class and its function."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import realm
import realm_stacks
from realm import RunningServer, build_variant, shared_realm, start_server

from bot.demo.analyst.answer import answer
from bot.demo.analyst.case import Case
from bot.demo.analyst.request import read_request
from bot.demo.analyst.tree import SourceTree
from bot.demo.bugs import (
    BUGS,
    CRASH_AFTER_READY_FUNCTION,
    REALM,
    SYSTEMS,
    Edit,
    FixKind,
    PlantedBug,
    get_bug,
    list_edits,
)
from pipeline.adapters.crash_reader import CrashFileReader
from pipeline.adapters.gdb import find_gdb
from pipeline.adapters.git_places import AROUND
from pipeline.crash.request import build_request
from pipeline.crash.rules import get_rules
from pipeline.model import CrashReport
from pipeline.ports import ExitEvidence
from pipeline.suspects import list_places
from pipeline.traces import Place

if sys.platform != "linux":
    pytest.skip("cores are Linux's", allow_module_level=True)
import resource

# The class is the platform's word; the demo's own word for a null pointer says more than a crash can know.
CLASSES = {
    "null dereference": "access violation",
    "use after free": "access violation",  # without a sanitizer nobody sees that the memory was freed
}
# Where the debugger sees an inlined function of the same bug in front of the one that is named in bugs.py.
INLINED = {"late": "Player::SetOnline"}


@pytest.fixture(autouse=True)
def cores_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other tests of the realm leave no cores; these are about them."""
    monkeypatch.setattr(realm, "_forbid_core", allow_core)


def allow_core(pid: int) -> None:
    _, most = resource.prlimit(pid, resource.RLIMIT_CORE)
    resource.prlimit(pid, resource.RLIMIT_CORE, (most, most))


def crash(bug: PlantedBug, folder: Path) -> CrashReport:
    server = shared_realm().server
    stuck = {"MaxCoreStuckTime": 1} if bug.name == "freeze" else {}
    with start_server(server, folder, {"Realm.LateSeconds": 1, **stuck}) as running:
        running.wait_ready()
        running.player("Ann").send(bug.packet)
        status = running.wait_exit(60)
    return read(running, folder, server, status)


def read(running: RunningServer, folder: Path, server: Path, status: int) -> CrashReport:
    output = folder / "output.txt"
    with output.open("wb") as both:
        for name in ("stdout.txt", "stderr.txt"):
            both.write((folder / name).read_bytes())
    core = next(folder.glob("core*"), None)
    return CrashFileReader().read(
        ExitEvidence(status, output, folder / "Server.log", core, server, time.time() - 60, time.time())
    )


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_read_with_its_class_and_function(bug: PlantedBug, tmp_path: Path) -> None:
    report = crash(bug, tmp_path)
    assert report.signature is not None
    assert report.revision is not None
    assert not report.environment
    if find_gdb() is None:
        assert any("gdb is not installed" in note for note in report.notes)
        return
    assert report.category == CLASSES.get(bug.category, bug.category)
    assert report.frame is not None
    assert report.frame.function == INLINED.get(bug.name, bug.function)
    assert answer_of(report) == answer_of_recorded(bug), (
        "the example analyst makes the same of it as of the recorded stack"
    )


def test_what_a_bad_fix_broke_is_a_place_of_its_crash_though_a_header_was_inlined_there(tmp_path: Path) -> None:
    """The compiler leaves no line of `GameSystemsManager::Update` at the call but one of `unique_ptr.h`."""
    edits = list_edits(get_bug("aura"), FixKind.CRASH_AFTER_READY)
    bad = build_variant(edits, tmp_path / "bad")
    with start_server(bad.server, tmp_path) as running:
        running.wait_ready()
        report = read(running, tmp_path, bad.server, running.wait_exit(60))
    if find_gdb() is None:
        assert report.frames == ()
        return
    assert report.frame is not None and report.frame.function == CRASH_AFTER_READY_FUNCTION
    place = next(each for each in list_places(report, get_rules()) if each.function == "GameSystemsManager::Update")
    assert place.file is not None and place.file.endswith(SYSTEMS)
    assert "_eventDispatcher.reset();" in read_around(place, edits)


def read_around(place: Place, edits: Sequence[Edit]) -> str:
    """The lines that git is asked about."""
    text = (REALM / SYSTEMS).read_text(encoding="utf-8")
    for edit in edits:
        text = text.replace(edit.search, edit.replace)
    return "\n".join(text.splitlines()[(place.line or 0) - 1 - AROUND : (place.line or 0) + AROUND])


def answer_of(report: CrashReport) -> str:
    """The diff that the example analyst answers this very crash with."""
    source = shared_realm().source
    request = build_request(
        request_id="9f3c",
        at=datetime.now(UTC),
        crash_id="1",
        report=report,
        signature=report.signature,
        occurrences=1,
        logs=(),
        crashed_at=None,
        source_dir=source,
        built_in=(source.parent / "variant",),
        base_commit=None,
    )
    return str(answer(Case(read_request(request), SourceTree(source)))["patch"])


def answer_of_recorded(bug: PlantedBug) -> str:
    return str(answer(Case(read_request(realm_stacks.ask(bug.name, REALM)), SourceTree(REALM)))["patch"])
