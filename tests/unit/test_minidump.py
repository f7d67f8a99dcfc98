"""A minidump without a debugger: exception, modules, comments; and which executable may be read with it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from artefacts import read_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minidumps import BASE, EXE, SIZE, STAMP, image, minidump

from pipeline.adapters.crash_reader import CrashFileReader
from pipeline.adapters.lldb import find_lldb, parse
from pipeline.crash.as_json import report_from_plain, report_to_plain
from pipeline.crash.minidump import Identity, parse_minidump, read_identity
from pipeline.model import CrashReport, ExceptionInfo, Frame, ReportKind
from pipeline.ports import ExitEvidence

NAME = "0123456789ab_worldserver.exe_[2025_10_31_11_3_20].dmp"


def write(folder: Path, content: bytes, name: str = NAME) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def key(report: CrashReport) -> str:
    assert report.signature is not None
    return report.signature.exact


def test_the_header_tells_exception_module_offset_thread_and_time(tmp_path: Path) -> None:
    report = read_file(write(tmp_path, minidump()))
    assert (report.kind, report.exception) == (ReportKind.MINIDUMP, ExceptionInfo("C0000005", "ACCESS_VIOLATION"))
    assert report.frames == (Frame(module=EXE, offset="100a"),)
    assert report.crashed_at == datetime.fromtimestamp(1_761_905_000, UTC)
    assert key(report) == "access violation | worldserver+100a"
    assert parse_minidump(tmp_path / NAME).thread == 4711


def test_comments_of_both_kinds_are_noted(tmp_path: Path) -> None:
    comments = ((10, b"said \xc3\xa4gain\0\0junk"), (11, "wide".encode("utf-16-le") + b"\0\0"))
    report = read_file(write(tmp_path, minidump(comments=comments)))
    assert report.notes[-2:] == ("comment in the dump: said ägain", "comment in the dump: wide")


@pytest.mark.parametrize(
    ("said", "exact"),
    [
        ("ASSERTION FAILED:\n  HasEffect(i) == (!apply)\n", "assertion | _HandleEffect | HasEffect(i) == (!apply)"),
        ("ABORTED:\nWorld Thread hangs for 61000 ms, forcing a crash!\n", "freeze | world thread"),
    ],
)
def test_the_comment_tells_assertions_apart_whose_address_is_one_and_the_same(
    tmp_path: Path, said: str, exact: str
) -> None:
    comment = f"\n/src/Aura.cpp:15 in _HandleEffect {said}".encode() + b"\0"
    report = read_file(write(tmp_path, minidump(code=0xC0000420, comments=((10, comment),))))
    assert (report.exception and report.exception.code, key(report)) == ("C0000420", exact)


def test_an_exception_that_windows_has_no_name_for_keeps_its_code(tmp_path: Path) -> None:
    report = read_file(write(tmp_path, minidump(code=0xDEADBEEF)))
    assert (report.category, report.exception) == ("abnormal exit", ExceptionInfo("DEADBEEF", None))


def test_an_address_outside_of_every_module_is_kept_as_it_is(tmp_path: Path) -> None:
    assert read_file(write(tmp_path, minidump(address=0x10))).frames == (Frame(offset="10"),)


def test_a_dump_of_gigabytes_is_read_by_its_tables(tmp_path: Path) -> None:
    path = write(tmp_path, minidump())
    with path.open("r+b") as file:
        file.truncate(8 << 30)  # sparse: the memory of a process
    assert key(read_file(path)) == "access violation | worldserver+100a"


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_raises(tmp_path: Path, data: st.DataObject) -> None:
    whole = minidump(comments=((10, b"x"),))
    at, length = data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, 60))
    path = write(tmp_path, whole[:at] + data.draw(st.binary(max_size=40)) + whole[at + length :])
    report = CrashFileReader().read_alone(path)
    assert report_from_plain(json.loads(json.dumps(report_to_plain(report)))) == report


# --- whose executable ------------------------------------------------------------------------------------------------


def test_an_executable_is_known_by_what_its_linker_stamped_into_it(tmp_path: Path) -> None:
    assert read_identity(write(tmp_path, image(), "a.exe")) == Identity(STAMP, SIZE)
    for other in (b"", b"MZ", b"\x7fELF" + b"\0" * 400, image()[:0x90]):
        assert read_identity(write(tmp_path, other, "b.exe")) is None


MISSING = "only the header of the minidump was read, module and offset but no stack: "


def test_another_builds_executable_is_refused_wherever_it_lies(tmp_path: Path) -> None:
    dump = write(tmp_path / "Crashes", minidump())
    newer = write(tmp_path, image(STAMP + 1), "worldserver.exe")
    beside = CrashFileReader().read_alone(dump)
    archived = CrashFileReader(list_programs=lambda name: [newer]).read_alone(dump)
    given = CrashFileReader().read(ExitEvidence(None, None, None, None, newer, 0.0, 1.0, (dump,)))
    why = "refused, as worldserver.exe is of another build than the dump "
    seen = "(TimeDateStamp 6b02c72b, 500000 bytes; 6b02c72a, 500000 bytes)"
    for report in (beside, archived, given):
        assert MISSING + (why + seen if find_lldb() else "lldb is not installed") in report.notes
        assert report.frames == (Frame(module=EXE, offset="100a"),)


def test_where_no_executable_is_at_hand_it_says_which_one_is_needed(tmp_path: Path) -> None:
    report = CrashFileReader().read_alone(write(tmp_path, minidump()))
    needed = "worldserver.exe of the build that crashed (6b02c72a, 500000 bytes) is not here"
    assert MISSING + (needed if find_lldb() else "lldb is not installed") in report.notes


def test_lldbs_words_are_a_stack_of_each_thread(tmp_path: Path) -> None:
    said = """\
(lldb) thread backtrace all -c 64
  thread #1
    frame 0||||0x00007ffc00001234
* thread #2, stop reason = Exception 0xc0000005 encountered at address 0x14000100a
  * frame 0|Game::Buff::operator|(int)|C:/src/Buff.cpp|21|0x000000014000100a
    frame 1|Game::Map::Update(unsigned int)|C:/src/Map.cpp|24|0x00000001400011e6
    frame 2||||0x0000000140001200
    frame 3|main [inlined] `anonymous namespace'::Run(int)|C:/src/Main.cpp|7|0x0000000140001200
"""
    stacks = parse(said, parse_minidump(write(tmp_path, minidump())))
    assert stacks is not None
    assert stacks.crashed.frames == (
        Frame("Game::Buff::operator|", "C:/src/Buff.cpp", 21, EXE, "100a"),
        Frame("Game::Map::Update", "C:/src/Map.cpp", 24, EXE, "11e6"),
        Frame(None, None, None, EXE, "1200"),
        Frame("`anonymous namespace'::Run", "C:/src/Main.cpp", 7, EXE, "1200", True),
    )
    assert [each.frames for each in stacks.others] == [(Frame(offset="7ffc00001234"),)]
    assert parse("error: unable to create target", parse_minidump(tmp_path / NAME)) is None


# --- one crash, two files --------------------------------------------------------------------------------------------

REPORT = f"""\
Exception code: C0000005 ACCESS_VIOLATION
Fault address:  {BASE + 0x100A:016X} 01:000000000000000A {EXE}

Call stack:
Address   Frame     Function      SourceFile
{BASE + 0x100A:016X}  0000004A1C213310  Game::ApplyEffect+A  C:\\src\\Game.cpp line 21

========================
"""


@pytest.mark.parametrize("order", [1, -1])
def test_text_and_dump_of_one_crash_are_one_report(tmp_path: Path, order: int) -> None:
    text = write(tmp_path, REPORT.replace("\n", "\r\n").encode(), NAME.replace(".dmp", ".txt"))
    dump = write(tmp_path, minidump(comments=((10, b"as TrinityCore writes it"),)))
    evidence = ExitEvidence(None, None, None, None, None, 0.0, 1.0, (text, dump)[::order])
    report = CrashFileReader().read(evidence)
    assert (report.kind, key(report)) == (ReportKind.WHEATY, "access violation | Game::ApplyEffect")
    assert "comment in the dump: as TrinityCore writes it" in report.notes
    assert not [note for note in report.notes if note.startswith(MISSING)], "a text gave the stack"


@pytest.mark.parametrize(("content", "asked"), [(REPORT, []), ("no report", ["worldserver.exe"])])
def test_no_debugger_is_asked_for_a_stack_that_a_text_has(tmp_path: Path, content: str, asked: list[str]) -> None:
    text = write(tmp_path, content.encode(), NAME.replace(".dmp", ".txt"))
    names: list[str] = []

    def list_programs(name: str) -> list[Path]:
        names.append(name)
        return []

    evidence = ExitEvidence(None, None, None, None, None, 0.0, 1.0, (text, write(tmp_path, minidump())))
    CrashFileReader(list_programs=list_programs).read(evidence)
    assert names == asked
