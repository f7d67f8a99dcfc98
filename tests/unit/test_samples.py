"""The samples beside the repository, where they lie: what their README says a correct reading finds."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from artefacts import read_file

from pipeline.adapters.crash_reader import CrashFileReader
from pipeline.adapters.lldb import find_lldb
from pipeline.crash.as_json import inspect_object, report_from_plain, report_to_plain

SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples beside the repository ({SAMPLES})")


def inspect(name: str) -> dict[str, Any]:
    report = read_file(SAMPLES / name)
    assert report_from_plain(json.loads(json.dumps(report_to_plain(report)))) == report
    return inspect_object(report, name)


def crashing(plain: dict[str, Any]) -> tuple[str | None, str | None, int | None]:
    frame = plain["frames"][plain["crashing_frame"]]
    file = re.split(r"[\\/]", frame["file"])[-1] if frame["file"] else None
    return frame["function"], file, frame["line"]


def test_the_assertion_of_a_windows_report() -> None:
    plain = inspect("reports/template_wheaty_assert_new.txt")
    assert (plain["kind"], plain["category"]) == ("wheaty", "assertion")
    assert plain["assertion"]["expression"] == "HasEffect(effIndex) == (!apply)"
    assert (plain["assertion"]["file"].endswith("SpellAuras.cpp"), plain["assertion"]["line"]) == (True, 168)
    assert crashing(plain) == ("AuraApplication::_HandleEffect", "SpellAuras.cpp", 168)
    assert [frame["function"] for frame in plain["frames"] if frame["inlined"]] == ["Player::ResurrectPlayer"]
    assert plain["signature"]["exact"] == (
        "assertion | AuraApplication::_HandleEffect | HasEffect(effIndex) == (!apply)"
    )


def test_the_windows_report_whose_first_stack_is_empty() -> None:
    plain = inspect("reports/template_wheaty_two_threads_crashed.txt")
    assert crashing(plain) == ("Playerbot::Events::EventDispatcher::UnsubscribeAll", "EventDispatcher.cpp", 106)
    assert plain["revision"]["dirty"] is True


def test_the_windows_reports_with_and_without_symbols() -> None:
    with_symbols = inspect("reports/adapted_wheaty_A_symbols_tc335.txt")
    assert crashing(with_symbols) == ("Eluna::OnConfigLoad", "serverhooks.cpp", 251)
    without = inspect("reports/adapted_wheaty_B_nosymbols_ac.txt")
    assert without["signature"]["family"] == "access violation | worldserver+6d062a"
    assert without["revision"] is None


def test_the_gdb_session_whose_top_frame_is_the_library() -> None:
    plain = inspect("reports/adapted_gdb_E_info_threads_map_worker.txt")
    assert (plain["kind"], plain["exception"]["code"], plain["crashing_frame"]) == ("gdb", "SIGSEGV", None)
    assert any("thread 9" in note for note in plain["notes"])


def test_the_assertion_after_a_port_that_would_not_bind_is_environment() -> None:
    plain = inspect("reports/adapted_stderr_F_ac_assert_bind_failure.txt")
    assert (plain["category"], plain["environment"]) == ("environment", True)
    assert plain["assertion"]["function"] == "~SocketMgr"


def test_the_sanitizers_reports() -> None:
    plain = inspect("reports/template_asan_synthetic.txt")
    assert plain["exception"]["code"] == "heap-use-after-free"
    assert crashing(plain)[0] == "WaypointMovementGenerator<Creature>::DoUpdate"
    assert len(plain["frames"]) == 2
    assert inspect("linux/asan_segv.txt")["exception"]["code"] == "SEGV"


def test_gdb_and_the_sanitizer_give_one_key() -> None:
    keys = {inspect(name)["signature"]["exact"] for name in ("linux/gdb_segv.txt", "linux/asan_segv.txt")}
    assert keys == {"access violation | Game::ApplyEffect | Game::Unit::CastSpell | Game::Map::Update"}


def test_glibcs_word() -> None:
    plain = inspect("linux/glibc_abort.txt")
    assert (plain["category"], plain["exception"]["code"]) == (
        "double free",
        "free(): double free detected in tcache 2",
    )


def test_the_header_of_the_minidump() -> None:
    plain = inspect("windows/crash_msvc.dmp")
    assert (plain["kind"], plain["exception"]["code"]) == ("minidump", "C0000005")
    assert plain["signature"]["family"] == "access violation | crash_msvc+100a"
    assert any("CommentStreamA" in note for note in plain["notes"])


FRAMES = ["Game::ApplyEffect", "Game::Unit::CastSpell", "Game::GridUpdater<Game::Unit>::Visit", "Game::Map::Update"]


def test_the_stack_of_the_minidump_where_a_debugger_is() -> None:
    report = CrashFileReader().read_alone(SAMPLES / "windows/crash_msvc.dmp")
    if find_lldb() is None:
        assert any("lldb is not installed" in note for note in report.notes)
        return
    assert [frame.function for frame in report.frames[:4]] == FRAMES
    assert [frame.line for frame in report.frames[:4]] == [21, 22, 23, 24]


def test_the_program_that_was_built_anew_is_refused(tmp_path: Path) -> None:
    """Reading the dump with it would name the wrong function."""
    for path in (SAMPLES / "windows/crash_msvc.dmp", *(SAMPLES / "windows/mismatch").iterdir()):
        shutil.copy2(path, tmp_path)
    report = CrashFileReader().read_alone(tmp_path / "crash_msvc.dmp")
    assert [frame.offset for frame in report.frames] == ["100a"]
    why = "refused, as crash_msvc.exe is of another build than the dump" if find_lldb() else "lldb is not installed"
    assert any(why in note for note in report.notes)
