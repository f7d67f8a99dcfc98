"""What systemd says of a core that was not kept."""

from pathlib import Path

import pytest

from pipeline.crash.conclude import conclude
from pipeline.crash.read import read_report
from pipeline.crash.systemd_text import read_systemd
from pipeline.model import ExceptionInfo, Frame, ReportKind

INFO = """\
           PID: 4711 (worldserver)
           UID: 1000 (wow)
        Signal: 11 (SEGV)
     Timestamp: Fri 2026-11-27 03:32:10 UTC (1s ago)
  Command Line: ./worldserver -c ../etc/worldserver.conf
    Executable: /home/wow/server/bin/worldserver
       Storage: none
       Message: Process 4711 (worldserver) of user 1000 dumped core.

                Module libmysqlclient.so.21 from deb mysql-8.0-8.0.40.amd64
                Stack trace of thread 4713:
                #0  0x0000555555555162 _ZN5Spell4CastEv (worldserver + 0x1162)
                #1  0x0000555555555182 _ZN3Map6UpdateEP5Spell (worldserver + 0x1182)
                #2  0x00007ffff7e5b1c4 n/a (libstdc++.so.6 + 0xd44a3)
                #3  0x00007ffff7dfb24a start_thread (libc.so.6 + 0x891c4)

                Stack trace of thread 4711:
                #0  0x00007ffff7dfb24a __futex_abstimed_wait_common (libc.so.6 + 0x85ee6)
                #1  0x00005555555550a1 main (/home/wow/server/bin/worldserver)
                ELF object binary architecture: AMD x86-64
"""


def test_the_first_thread_died_and_the_others_are_kept_apart() -> None:
    reading = read_systemd(INFO)
    assert reading is not None and reading.crashed is not None
    assert (reading.kind, reading.word, reading.exception) == (
        ReportKind.CORE, "access violation", ExceptionInfo("SIGSEGV"),
    )  # fmt: skip
    assert reading.crashed.frames[1:3] == (
        Frame("_ZN3Map6UpdateEP5Spell", module="worldserver", offset="1182"),
        Frame(None, module="libstdc++.so.6", offset="d44a3"),
    )
    (other,) = reading.others
    assert (other.name, other.frames[1]) == ("4711", Frame("main", module="/home/wow/server/bin/worldserver"))


def test_it_has_the_key_that_its_core_would_have() -> None:
    report = conclude(read_systemd(INFO) or pytest.fail("not read"))
    assert report.signature is not None
    assert report.signature.exact == "access violation | Spell::Cast | Map::Update"
    assert report.notes == ("the stack is what systemd noted of the core: without what was inlined",)


def test_a_report_that_somebody_made_of_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "info.txt").write_text(INFO)
    assert read_report(tmp_path / "info.txt") == read_systemd(INFO)


def test_without_a_stack_the_signal_is_left() -> None:
    reading = read_systemd(INFO.partition("Stack trace")[0])
    assert reading is not None
    assert (reading.word, reading.crashed, reading.detail) == ("access violation", None, "SIGSEGV without a stack")


def test_a_stack_ends_where_a_complaint_tore_it() -> None:
    torn = INFO.replace("#1  0x0000555555555182", '#1  0x0000Cannot access "core.zst": No such file\n555555555182', 1)
    reading = read_systemd(torn)
    assert reading is not None and reading.crashed is not None
    assert [frame.function for frame in reading.crashed.frames] == ["_ZN5Spell4CastEv"]


@pytest.mark.parametrize("text", ["", "No match found.\n", INFO.replace("dumped core", "said hello")])
def test_what_tells_of_no_core_is_nothing(text: str) -> None:
    assert read_systemd(text) is None
