"""Windows reports in every layout, put together here line by line."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from artefacts import read_file
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.crash.conclude import conclude
from pipeline.crash.wheaty import read_wheaty
from pipeline.model import Assertion, CrashReport, ExceptionInfo, Frame, ReportKind, Revision

HEAD = "Call stack:\r\nAddress   Frame     Function      SourceFile\r\n"
LOCALS = "========================\r\nLocal Variables And Parameters\r\n"
FAULT = 0x7FF65011FB20


def frame(address: int, symbol: str, place: str = "", offset: str = "70") -> str:
    at = f"  {place}" if place else ""
    return f"{address:016X}  00000061CBCFF0D0  {symbol}+{offset}{at}\r\n"


def naked(address: int, offset: int, module: str = "C:\\Srv\\worldserver.exe") -> str:
    return f"{address:016X}  00000061CBCFF0D0  0001:{offset:016X} {module}\r\n"


OWN = frame(FAULT, "Playerbot::EventDispatcher::UnsubscribeAll", "C:\\src\\EventDispatcher.cpp line 106")
CALLER = frame(0x7FF65021F632, "Playerbot::Manager::OnShutdown", "C:\\src\\Manager.cpp line 150")
WAITING = frame(0x7FFE59CC2222, "NtWaitForSingleObject", offset="14")


def report(
    *stacks: str,
    code: str = "C0000005 ACCESS_VIOLATION",
    message: str = "",
    uncaught: str = "",
    fault: int = FAULT,
    revision: str = "TrinityCore rev. 0123456789ab+ 2025-10-31 09:00:00 +0100 (playerbot-dev branch) (Win64)",
    registers: str = "Registers:\r\nRAX:0000000000000000\r\nR8: 0000000000000000\r\nFlags:00010246\r\n",
    end: str = LOCALS,
) -> str:
    said = f"\r\nUncaught C++ exception info: {uncaught}\r\n" if uncaught else ""
    return (
        f"Revision: {revision}\r\nDate 4:11:2025. Time 9:15 \r\n//====\r\n"
        "*** Hardware ***\r\nProcessor: <unknown>\r\n\r\n"
        f"*** Operation System:\r\n<unknown>\r\n\r\n//====\r\nException code: {code}\r\n{message}"
        f"Fault address:  {fault:016X} 01:00000000018CEB20 C:\\Srv\\worldserver.exe\r\n\r\n{registers}{said}\r\n"
        + "\r\n".join(HEAD + stack for stack in stacks)
        + end
    )


def read(text: str, name: str = "") -> CrashReport:
    return conclude(read_wheaty(text.splitlines(keepends=True), name))


def key(found: CrashReport) -> str:
    assert found.signature is not None
    return found.signature.exact


def test_the_first_stack_is_the_crashing_threads() -> None:
    found = read(report(OWN + CALLER, WAITING))
    assert (found.kind, found.category) == (ReportKind.WHEATY, "access violation")
    assert found.exception == ExceptionInfo("C0000005", "ACCESS_VIOLATION")
    assert found.revision == Revision("0123456789ab", True, "2025-10-31 09:00:00 +0100", "playerbot-dev")
    assert found.frame == Frame(
        "Playerbot::EventDispatcher::UnsubscribeAll", "C:\\src\\EventDispatcher.cpp", 106, None, "70"
    )
    assert key(found) == (
        "access violation | Playerbot::EventDispatcher::UnsubscribeAll | Playerbot::Manager::OnShutdown"
    )
    assert found.notes == ()


def test_an_empty_first_stack_gives_way_to_the_one_with_the_fault_address() -> None:
    dispatched = frame(0x7FFE57206FD3, "UnhandledExceptionFilter") + frame(0x7FFE59CC5C6E, "KiUserExceptionDispatcher")
    found = read(report("", WAITING, WAITING + dispatched + OWN + CALLER))
    assert found.crashing_frame == 3
    assert key(found).startswith("access violation | Playerbot::EventDispatcher::UnsubscribeAll | ")
    assert "first stack is empty" in found.notes[0]


def test_an_empty_first_stack_gives_way_to_one_that_passed_the_dispatcher() -> None:
    dispatched = frame(0x7FFE59CC5C6E, "KiUserExceptionDispatcher") + CALLER
    found = read(report("", WAITING, dispatched, fault=0x1234))
    assert found.frame is not None
    assert found.frame.function == "Playerbot::Manager::OnShutdown"


def test_a_second_thread_that_crashed_is_told_and_not_taken() -> None:
    second = WAITING + frame(1, "WheatyExceptionReport::UnhandledExceptionFilterImpl") + frame(2, "Map::Update")
    found = read(report(OWN, second))
    assert key(found) == "access violation | Playerbot::EventDispatcher::UnsubscribeAll"
    assert found.notes == ("a second thread crashed too: Map::Update",)


def test_no_stack_at_all_is_grouped_by_the_fault_address() -> None:
    found = read(report("", WAITING))
    assert key(found) == "access violation | worldserver+18ceb20"
    assert found.frames == ()


ASSERT_MESSAGE = (
    "\r\nAssertion message: \r\nC:\\src\\SpellAuras.cpp:168 in AuraApplication::_HandleEffect ASSERTION FAILED:\r\n"
    "  HasEffect(effIndex) == (!apply)\r\n\r\n\r\n"
)
ASSERT_STACK = (
    frame(0x7FFE57201234, "RaiseException", offset="69")
    + frame(0x7FF650F00010, "Trinity::Assert", "C:\\src\\Errors.cpp line 75")
    + frame(FAULT, "AuraApplication::_HandleEffect", "C:\\src\\SpellAuras.cpp line 168")
    + f"{0x7FF650000999:016X}  00000061CBCFF400  [inline] Player::ResurrectPlayer+19  C:\\src\\Player.cpp line 4400\r\n"
)


@pytest.mark.parametrize(
    "words", ["An assertion failure has occurred.\r\n", "Ein Assertionsfehler ist aufgetreten.\r\n"]
)
def test_an_assertion_is_read_in_any_language(words: str) -> None:
    found = read(report(ASSERT_STACK, code=f"C0000420 {words}", message=ASSERT_MESSAGE))
    assert found.category == "assertion"
    assert found.assertion == Assertion(
        "C:\\src\\SpellAuras.cpp", 168, "AuraApplication::_HandleEffect", "HasEffect(effIndex) == (!apply)", None
    )
    assert found.crashing_frame == 2
    assert found.frames[3] == Frame("Player::ResurrectPlayer", "C:\\src\\Player.cpp", 4400, None, "19", True)
    assert key(found) == "assertion | AuraApplication::_HandleEffect | HasEffect(effIndex) == (!apply)"


def test_fault_b16_a_freeze_is_read_from_the_world_thread() -> None:
    message = (
        "\r\nAssertion message: \r\nC:\\src\\Main.cpp:9 in FreezeDetector::Handler ABORTED:\r\n"
        "World Thread hangs for 61000 ms, forcing a crash!\r\n\r\n"
    )
    watchdog = frame(1, "RaiseException") + frame(2, "Trinity::Abort") + frame(3, "FreezeDetector::Handler")
    world = frame(4, "PathGenerator::Build") + frame(5, "Map::Update") + frame(6, "World::Update") + frame(7, "main")
    found = read(report(watchdog, WAITING, world, code="C0000420 x", message=message))
    assert key(found) == "freeze | PathGenerator::Build | Map::Update | World::Update"
    assert found.frames[0].function == "PathGenerator::Build"


def test_an_abort_behind_libmysql_is_no_bug_of_mysql() -> None:
    stack = (
        frame(FAULT, "my_sigabrt_handler") + frame(1, "raise") + frame(2, "abort") + frame(3, "terminate")
        + frame(4, "_CxxThrowException") + frame(5, "BIH::subdivide", "C:\\src\\BoundingIntervalHierarchy.cpp line 60")
    )  # fmt: skip
    found = read(report(stack, code="80000003 BREAKPOINT"))
    assert key(found) == "uncaught exception | BIH::subdivide"


def test_an_uncaught_exception_says_what_it_is() -> None:
    stack = frame(FAULT, "RaiseException") + frame(1, "_CxxThrowException") + frame(2, "std::vector<int>::at") + CALLER
    found = read(report(stack, code="E06D7363 Unhandled C++ exception", uncaught="invalid vector subscript"))
    assert found.exception == ExceptionInfo("E06D7363", "invalid vector subscript")
    assert key(found) == "uncaught exception | Playerbot::Manager::OnShutdown"


def test_what_a_program_of_mingw_throws_is_an_exception_too() -> None:
    stack = frame(FAULT, "RaiseException") + frame(1, "_Unwind_RaiseException") + frame(2, "__cxa_throw") + CALLER
    assert key(read(report(stack, code="20474343 "))) == "uncaught exception | Playerbot::Manager::OnShutdown"


def test_without_symbols_each_place_is_its_own_group() -> None:
    one, other = read(report(naked(FAULT, 0x6D062A))), read(report(naked(FAULT, 0x7CE0E1)))
    assert key(one) == "access violation | worldserver+6d062a"
    assert key(one) != key(other)
    assert one.frame == Frame(None, None, None, "C:\\Srv\\worldserver.exe", "6d062a")
    assert any("no symbols" in note and ".pdb" in note for note in one.notes)


def test_a_revision_without_git_is_unknown() -> None:
    revision = "AzerothCore rev. unknown 1970-01-01 00:00:00 +0000 (Archived branch) (Win64)"
    assert read(report(OWN, revision=revision)).revision is None


@pytest.mark.parametrize(
    ("address", "registers"),
    [
        (
            "{:08X}  0012FF70",
            "Registers:\r\nEAX:00000000\r\nCS:EIP:0023:0040A2FF\r\nSS:ESP:002B:0012FF00  EBP:0012FF70\r\n",
        ),
        (
            "{:016X}  0000004A1C213310",
            "Registers:\r\nX0:0000000000000000\r\nLR:00007FF6\r\nSP:0000004A FP:0000004A\r\n",
        ),
    ],
)
def test_reports_of_x86_and_arm64_are_read(address: str, registers: str) -> None:
    stack = f"{address.format(0x40A2FF)}  Eluna::OnConfigLoad+1F  d:\\src\\serverhooks.cpp line 251\r\n"
    assert key(read(report(stack, registers=registers))) == "access violation | Eluna::OnConfigLoad"


def test_a_failed_symbol_handler_is_said() -> None:
    broken = "----\r\nSYMBOL HANDLER ERROR (THIS IS NOT THE CRASH ERROR)\r\n----\r\n"
    assert any("symbol handler" in note for note in read(report(OWN, registers=broken)).notes)


def test_a_report_that_is_cut_off_is_read_as_far_as_it_goes_and_says_so() -> None:
    whole = report(OWN + CALLER, end="")
    assert any("cut off" in note for note in read(whole).notes)
    for length in range(0, len(whole), 37):
        read(whole[:length])


def test_symbols_may_hold_spaces_templates_and_backticks() -> None:
    odd = "std::_Func_impl_no_alloc<<lambda_1> ,void,int>::_Do_call"
    stack = frame(1, odd) + frame(2, "`anonymous namespace'::Foo<int, std::less<void> >::operator()") + CALLER
    assert key(read(report(stack))) == "access violation | Foo::operator() | Playerbot::Manager::OnShutdown"


def test_the_second_is_taken_from_the_name_of_the_file() -> None:
    newest = read(report(OWN), "0123456789ab+_worldserver.exe_[2025_11_4_9_15_33].txt")
    older = read(report(OWN), "Archive_worldserver.exe_[4-11_9-15-33].txt")
    assert newest.crashed_at == older.crashed_at == datetime(2025, 11, 4, 9, 15, 33).astimezone()
    assert read(report(OWN)).crashed_at == datetime(2025, 11, 4, 9, 15).astimezone()
    assert read(report(OWN), "x_worldserver.exe_[2025_13_44_9_15_33].txt").crashed_at is not None


def test_reading_stops_where_the_locals_begin() -> None:
    def lines() -> Iterator[str]:
        yield from report(OWN).splitlines(keepends=True)
        raise AssertionError("read on behind the locals")

    assert key(conclude(read_wheaty(lines()))) == "access violation | Playerbot::EventDispatcher::UnsubscribeAll"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_report_is_read_in_its_code_page(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "report.txt"
    text = report(OWN, code="C0000420 Ein Fehler für Prüfungen.\r\n").replace("Srv", "Sérv")
    file.write_bytes(text.encode(encoding))
    found = read_file(file)
    assert found.kind is ReportKind.WHEATY
    assert found.exception == ExceptionInfo("C0000420", "ASSERTION_FAILURE")


def test_an_old_report_that_punts_on_symbols_is_read(tmp_path: Path) -> None:
    file = tmp_path / "old.txt"
    file.write_bytes((report(OWN) + "punting on symbol x, partial output:\r\n\tLocal int a = 0x1\r\n").encode())
    assert key(read_file(file)) == "access violation | Playerbot::EventDispatcher::UnsubscribeAll"


@settings(max_examples=60)
@given(st.data())
def test_no_mutation_of_a_report_raises(data: st.DataObject) -> None:
    text = report(ASSERT_STACK, naked(1, 2), "", code="C0000420 x", message=ASSERT_MESSAGE)
    at = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 200))
    read(text[:at] + data.draw(st.text(max_size=60)) + text[at + length :])
