"""Cores that systemd keeps, asked of a program that answers as coredumpctl; `tests/soak/cores.py` asks a real one."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.adapters.coredumpctl import KeptCores, is_systemds
from pipeline.adapters.crash_reader import CrashFileReader
from pipeline.adapters.gdb import find_gdb
from pipeline.ports import ExitEvidence

if sys.platform != "linux":
    pytest.skip("cores are Linux's", allow_module_level=True)

SYSTEMDS = "|/usr/lib/systemd/systemd-coredump %P %u %g %s %t 9223372036854775808 %h"
KEY = "access violation | Spell::Cast | Map::Update | main"
BARE = "access violation | SIGSEGV without a stack"
PROGRAM = """
struct Spell { int power; __attribute__((noinline)) int Cast() { return power; } };
struct Map { __attribute__((noinline)) int Update(Spell* spell) { return spell->Cast() + 1; } };
int main(int argc, char**) { return Map().Update(reinterpret_cast<Spell*>(argc - 1L)); }
"""
# Writes down how it was called; says of the first so many times that there is nothing yet.
CTL = """#!{python}
import json, pathlib, shutil, sys, time
here = pathlib.Path({here!r})
calls = json.loads((here / "calls").read_text()) if (here / "calls").exists() else []
calls.append(sys.argv[1:])
(here / "calls").write_text(json.dumps(calls))
time.sleep({sleep})
print("           PID: 4711 (worldserver)")
if len(calls) <= {late}:
    print("No match found.")
    sys.exit(1)
output = next(each.partition("=")[2] for each in sys.argv if each.startswith("--output="))
shutil.copyfile({kept!r}, output)
"""


@pytest.fixture(scope="session")
def dead(tmp_path_factory: pytest.TempPathFactory) -> ExitEvidence:
    """A program that died of a signal, and whose core somebody took away."""
    folder = tmp_path_factory.mktemp("dead")
    server = folder / "worldserver"
    (folder / "server.cpp").write_text(PROGRAM)
    subprocess.run(["g++", "-g", "-O0", "-o", server, folder / "server.cpp"], check=True, timeout=100)
    began = time.time()
    process = subprocess.Popen([server], cwd=folder, preexec_fn=allow_core)
    assert process.wait(30) == -signal.SIGSEGV
    next(folder.glob("core*")).rename(folder / "kept")
    return ExitEvidence(-signal.SIGSEGV, None, None, None, server, began - 60, time.time() - 60, pid=process.pid)


def allow_core() -> None:
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    yield
    assert list(tmp_path.glob("scratch/*")) == [], "a copy of a core stayed"


def install(folder: Path, dead: ExitEvidence, late: int = 0, sleep: float = 0) -> None:
    assert dead.executable is not None
    program, kept = folder / "bin" / "coredumpctl", dead.executable.with_name("kept")
    program.write_text(CTL.format(python=sys.executable, here=str(folder), kept=str(kept), late=late, sleep=sleep))
    program.chmod(0o755)


def read(
    folder: Path, dead: ExitEvidence, *busy: bool, pattern: str = SYSTEMDS, timeout: float = 30
) -> tuple[str, str]:
    """The key and the notes. `busy` = whether systemd-coredump works, at each look; then not."""
    looks = iter(busy)
    kept = KeptCores(
        scratch=folder / "scratch", pattern=lambda: pattern, is_writing=lambda: next(looks, False), timeout=timeout
    )
    report = CrashFileReader(kept_cores=kept).read(dead)
    return (report.signature.exact if report.signature else ""), " ".join(report.notes)


def list_calls(folder: Path) -> list[list[str]]:
    found: list[list[str]] = json.loads((folder / "calls").read_text()) if (folder / "calls").exists() else []
    return found


HAS_GDB = find_gdb() is not None


def test_a_core_that_systemd_keeps_is_read_like_any_other(tmp_path: Path, dead: ExitEvidence) -> None:
    install(tmp_path, dead)
    assert read(tmp_path, dead)[0] == (KEY if HAS_GDB else BARE)
    (call,) = list_calls(tmp_path)
    span = [f"--since=@{math.floor(dead.started)}", f"--until=@{math.ceil(dead.at) + 600}"]
    assert (call[:4], call[5:]) == (["dump", "--no-pager", *span], [str(dead.pid)])


def test_a_core_that_is_still_being_written_is_waited_for(tmp_path: Path, dead: ExitEvidence) -> None:
    install(tmp_path, dead, late=2)
    assert read(tmp_path, dead, True, True)[0] == (KEY if HAS_GDB else BARE)
    assert len(list_calls(tmp_path)) == 3


def test_where_systemd_has_none_and_works_on_none_the_signal_speaks_and_a_note_says_why(
    tmp_path: Path, dead: ExitEvidence
) -> None:
    install(tmp_path, dead, late=9)
    key, notes = read(tmp_path, dead)
    assert (key, len(list_calls(tmp_path))) == (BARE, 1)
    assert "there is no core to read: systemd keeps cores here, but has none of this crash: No match found." in notes


WORDS = """           PID: 4711 (worldserver)
        Signal: 11 (SEGV)
       Message: Process 4711 (worldserver) of user 0 dumped core.

                Stack trace of thread 4711:
                #0  0x0000555555555162 _ZN5Spell4CastEv (worldserver + 0x1162)
                #1  0x0000555555555182 _ZN3Map6UpdateEP5Spell (worldserver + 0x1182)
                #2  0x0000555555555153 main (worldserver + 0x1153)
                ELF object binary architecture: AMD x86-64
"""


def test_of_a_core_that_was_not_kept_its_words_are_read_and_why_is_said(tmp_path: Path, dead: ExitEvidence) -> None:
    program = tmp_path / "bin" / "coredumpctl"
    complaint = "Coredump entry has no core attached (neither internally in the journal nor externally on disk)."
    program.write_text(f"#!{sys.executable}\nprint({complaint!r})\nprint({WORDS!r})\nraise SystemExit(1)\n")
    program.chmod(0o755)
    assert read(tmp_path, dead) == (
        KEY,
        f"there is no core to read: systemd keeps cores here, but has none of this crash: {complaint} "
        "the stack is what systemd noted of the core: without what was inlined",
    )


def test_one_that_does_not_answer_is_ended_and_said(tmp_path: Path, dead: ExitEvidence) -> None:
    install(tmp_path, dead, sleep=600)
    key, notes = read(tmp_path, dead, timeout=0.5)
    assert key == BARE
    assert "systemd keeps it, but coredumpctl did not give it: it took longer than 0.5 s" in notes


def test_a_program_that_is_missing_is_said(tmp_path: Path, dead: ExitEvidence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert "there is no core to read: systemd keeps it, but coredumpctl is not installed" in read(tmp_path, dead)[1]


@pytest.mark.parametrize(
    "pattern", ["", "core", "core.%p", "|/usr/share/apport/apport %p", "|", "/run/systemd-coredump"]
)
def test_nobody_is_asked_where_systemd_takes_no_cores(tmp_path: Path, dead: ExitEvidence, pattern: str) -> None:
    install(tmp_path, dead)
    assert not is_systemds(pattern)
    key, notes = read(tmp_path, dead, pattern=pattern)
    assert (key, notes, list_calls(tmp_path)) == (
        BARE,
        "no stack: told apart only by what the text or the exit says",
        [],
    )


@pytest.mark.parametrize("status", [0, 1, 139, -signal.SIGKILL, -signal.SIGTERM])
def test_nobody_is_asked_of_an_end_that_leaves_no_core(tmp_path: Path, dead: ExitEvidence, status: int) -> None:
    install(tmp_path, dead)
    read(tmp_path, replace(dead, status=status))
    assert list_calls(tmp_path) == []
