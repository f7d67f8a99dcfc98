"""Programs that really crash, their cores read by the real gdb, through the reader that the pipeline uses."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psutil
import pytest
from minidumps import minidump

from pipeline.adapters import lldb
from pipeline.adapters.crash_reader import CrashFileReader
from pipeline.adapters.debugger import run_debugger
from pipeline.adapters.gdb import find_gdb, read_core
from pipeline.crash.elf import read_build_id, read_core_file
from pipeline.crash.minidump import parse_minidump
from pipeline.model import CrashReport, ReportKind
from pipeline.ports import ExitEvidence
from pipeline.store import DatabaseAway

if sys.platform != "linux":
    pytest.skip("cores are Linux's", allow_module_level=True)
import resource

PROGRAM = r"""
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#define NOINLINE __attribute__((noinline))
extern "C" { char const* TrinityAssertionFailedMessage = nullptr; }
namespace Trinity {
NOINLINE void Die(std::string const& text) {
    fputs(text.c_str(), stderr);
    TrinityAssertionFailedMessage = strdup(text.c_str());
    *((volatile int*)nullptr) = 0;
    exit(1);
}
NOINLINE void Assert(char const* f, int l, char const* fn, char const* what) {
    Die("\n" + std::string(f) + ":" + std::to_string(l) + " in " + fn + " ASSERTION FAILED:\n  " + what + "\n\n");
}
NOINLINE void Abort(char const* f, int l, char const* fn, char const* what) {
    Die("\n" + std::string(f) + ":" + std::to_string(l) + " in " + fn + " ABORTED:\n" + what + "\n");
}
void AbortHandler(int n) { Die("Caught signal " + std::to_string(n) + "\n"); }
}
struct Unit {
    int hp = 1;
    NOINLINE int Touch() { return hp; }
    NOINLINE void Check(bool ok) { if (!ok) Trinity::Assert(__FILE__, __LINE__, __FUNCTION__, "ok == true"); }
};
struct Grid {
    Unit* unit = nullptr;
    NOINLINE void Visit() {
        printf("visit");  // the line that is left of it
#line 191 "/usr/include/c++/12/bits/unique_ptr.h"
        printf("%d", static_cast<Unit* volatile&>(unit)->Touch());
#line 1000 "server.cpp"
    }
};
struct Loot {
    char* items = (char*)malloc(16);
    NOINLINE void Clear() { free(items); }
    NOINLINE ~Loot() { free(items); }
};
NOINLINE int Down(int n);
NOINLINE int Deeper(int n) { volatile char b[100]; b[0] = n; return Down(n + 1) + b[0]; }
NOINLINE int Down(int n) { volatile char b[100]; b[0] = n; return Deeper(n + 1) + b[0]; }
namespace { NOINLINE void Throw(int n) { if (n) throw std::logic_error("no node 4711"); } }
struct Map {
    NOINLINE void Hang() { for (volatile bool on = true; on;) usleep(5000); }
    NOINLINE void Update(std::string const& how) {
        if (how == "null") { Unit* volatile u = nullptr; printf("%d", u->Touch()); }
        if (how == "lambda") [] { Unit* volatile u = nullptr; printf("%d", u->Touch()); }();
        if (how == "inlined") Grid().Visit();
        if (how == "assert") Unit().Check(false);
        if (how == "double") { Loot loot; loot.Clear(); }
        if (how == "throw") Throw(1);
        if (how == "deep") printf("%d", Down(0));
        if (how == "nospace") throw std::bad_alloc();
        if (how == "freeze" || how == "hang") Hang();
    }
};
struct World { Map map; NOINLINE void Update(std::string const& how) { map.Update(how); printf("."); } };
namespace FreezeDetector {
NOINLINE void Handler() {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    Trinity::Abort(__FILE__, __LINE__, __FUNCTION__, "World Thread hangs for 61000 ms, forcing a crash!");
}
}
int main(int, char** arguments) {
    setvbuf(stdout, nullptr, _IOFBF, 1 << 16);
    std::string how = arguments[1];
    signal(SIGABRT, &Trinity::AbortHandler);
    fputs("TrinityCore rev. 0123456789ab+ 2025-11-04 07:00:00 +0100 (night branch) (Unix)\nup\n", stderr);
    std::thread watchdog;
    if (how == "freeze") watchdog = std::thread(FreezeDetector::Handler);
    World().Update(how);
    if (watchdog.joinable()) watchdog.join();
}
"""
# Without gdb a core is noted and the text or the signal speaks; both are what a realm may have.
HAS_GDB = find_gdb() is not None


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    (folder / "server.cpp").write_text(PROGRAM, encoding="utf-8")
    command = ["g++", "-std=c++17", "-g", "-O1", "-pthread", "-o", "worldserver", "server.cpp"]
    subprocess.run(command, cwd=folder, check=True, timeout=100)
    return folder / "worldserver"


@dataclass
class Death:
    status: int
    evidence: ExitEvidence

    def without_core(self) -> "Death":
        return replace(self, evidence=replace(self.evidence, core=None))

    def read(self) -> CrashReport:
        return CrashFileReader().read(self.evidence)


def die(program: Path, folder: Path, how: str, send: int | None = None) -> Death:
    output = folder / "output.txt"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [program, how], cwd=folder, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=allow_core,
        )  # fmt: skip
        try:
            if send is not None:
                wait_until_up(output)
                process.send_signal(send)
            status = process.wait(timeout=30)
        finally:
            process.kill()
    core = next(folder.glob("core*"), None)
    return Death(status, ExitEvidence(status, output, None, core, program, time.time() - 1, time.time()))


def allow_core() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


def lives(pid: int) -> bool:
    """Whether it runs; what nobody has reaped yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_up(output: Path) -> None:
    deadline = time.monotonic() + 20
    while b"up\n" not in output.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("how", "exact", "without_gdb"),
    [
        ("null", "access violation | Unit::Touch | Map::Update | World::Update",
         "access violation | SIGSEGV without a stack"),
        ("lambda", "access violation | Unit::Touch | Map::Update | World::Update",
         "access violation | SIGSEGV without a stack"),
        ("assert", "assertion | Unit::Check | ok == true", "assertion | Check | ok == true"),
        ("double", "double free | Loot::~Loot | Map::Update | World::Update",
         "double free | free(): double free detected in tcache 2"),
        ("throw", "uncaught exception | Throw | Map::Update | World::Update",
         "uncaught exception | std::logic_error | no node N"),
        ("deep", "stack overflow | Deeper | Down", "access violation | SIGSEGV without a stack"),
        ("freeze", "freeze | Map::Hang | Map::Update | World::Update", "freeze | world thread"),
    ],
)  # fmt: skip
def test_a_real_crash_has_its_class_and_its_functions(
    program: Path, tmp_path: Path, how: str, exact: str, without_gdb: str
) -> None:
    death = die(program, tmp_path, how)
    assert death.evidence.core is not None, "the system writes cores elsewhere: /proc/sys/kernel/core_pattern"
    with_core, without = death.read(), death.without_core().read()
    assert with_core.signature is not None
    assert with_core.signature.exact == (exact if HAS_GDB else without_gdb)
    assert without.signature is not None
    assert without.signature.exact == without_gdb
    assert with_core.revision is not None
    assert with_core.revision.hash == "0123456789ab"
    assert not with_core.environment


def test_a_function_stands_in_its_own_file_where_nothing_but_lines_of_a_header_is_left(
    program: Path, tmp_path: Path
) -> None:
    report = die(program, tmp_path, "inlined").read()
    line = PROGRAM.splitlines().index('        printf("visit");  // the line that is left of it') + 1
    told = [(frame.function, frame.file, frame.line) for frame in report.frames[1:2]]
    assert told == ([("Grid::Visit", "server.cpp", line)] if HAS_GDB else [])


def test_fault_b16_a_hang_that_was_aborted_for_its_stacks_is_a_freeze(program: Path, tmp_path: Path) -> None:
    report = die(program, tmp_path, "hang", send=signal.SIGABRT).read()
    assert report.signature is not None
    assert report.signature.exact == (
        "freeze | Map::Hang | Map::Update | World::Update" if HAS_GDB else "abort | SIGABRT without a stack"
    )


def test_memory_that_ran_out_is_environment(program: Path, tmp_path: Path) -> None:
    report = die(program, tmp_path, "nospace").read()
    assert report.environment
    assert report.cure is not None
    assert "memory" in report.cure


def test_the_core_alone_tells_the_assertion(program: Path, tmp_path: Path) -> None:
    death = die(program, tmp_path, "assert")
    report = replace(death, evidence=replace(death.evidence, output=None)).read()
    said = report.assertion and (report.assertion.function, report.assertion.expression)
    assert said == (("Check", "ok == true") if HAS_GDB else None)
    assert HAS_GDB or any("gdb is not installed" in note for note in report.notes)


def test_the_core_of_a_program_that_is_gone_is_still_read(program: Path, tmp_path: Path) -> None:
    death = die(program, tmp_path, "null")
    report = replace(death, evidence=replace(death.evidence, executable=None)).read()
    assert report.category == "access violation"
    assert report.signature is not None
    assert report.signature.family.startswith("access violation | ")


def test_what_is_no_core_is_noted_and_the_signal_speaks(program: Path, tmp_path: Path) -> None:
    torn = tmp_path / "core.1"
    torn.write_bytes(b"\x7fELF nothing more")
    report = CrashFileReader().read(ExitEvidence(-11, None, tmp_path / "gone.log", torn, program, 0, 0))
    assert report.signature is not None
    assert report.signature.exact == "access violation | SIGSEGV without a stack"
    assert any(note.startswith("there is a core, but gdb") for note in report.notes)


def test_a_debugger_does_not_give_way_as_a_build_does() -> None:
    said = run_debugger([sys.executable, "-c", "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"])
    assert said == f"{os.getpriority(os.PRIO_PROCESS, 0)}\n"


def test_gdb_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "gdb"
    slow.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path / 'child'}\nwait\n", encoding="utf-8")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "core").write_bytes(b"")
    started: list[int] = []
    run = partial(run_debugger, timeout=1.0, on_started=lambda pid, create_time, what: started.append(pid))
    assert read_core(None, tmp_path / "core", run) is None
    both = [*started, int((tmp_path / "child").read_text(encoding="utf-8"))]
    assert len(both) == 2
    assert [pid for pid in both if lives(pid)] == []


def test_where_one_lldb_dies_of_a_dump_the_newest_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crash.dmp").write_bytes(minidump())
    stack = "* thread #1, stop reason = x\n  * frame 0|Map::Update|C:/Map.cpp|7|0x000000014000100a\n"
    for name, ends in (("lldb", "kill -SEGV $$"), ("lldb-13", "exit 1"), ("lldb-19", f"printf '%s' '{stack}'")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{ends}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(lldb, "find_tool", lambda name: tmp_path / name if (tmp_path / name).exists() else None)
    stacks = lldb.read_stacks(tmp_path / "a.exe", tmp_path / "crash.dmp", parse_minidump(tmp_path / "crash.dmp"))
    assert stacks is not None and [frame.function for frame in stacks.crashed.frames] == ["Map::Update"]


def test_a_debugger_that_prints_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.adapters.debugger.MOST_OUTPUT", 1 << 20)
    started: list[int] = []
    run = partial(run_debugger, on_started=lambda pid, create_time, what: started.append(pid), scratch=tmp_path / "s")
    assert run(["yes"]) is None
    assert run(["echo", "a stack"]) == "a stack\n"
    assert [pid for pid in started if lives(pid)] == []
    assert list((tmp_path / "s").iterdir()) == []


def test_a_debugger_that_cannot_be_recorded_is_ended_and_the_crash_is_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "gdb"
    slow.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "core").write_bytes(b"")
    started: list[int] = []

    def record(pid: int, create_time: float, what: str) -> None:
        started.append(pid)
        raise DatabaseAway("it is away")

    with pytest.raises(DatabaseAway):
        CrashFileReader(on_started=record).read(ExitEvidence(-11, None, None, tmp_path / "core", None, 0, 0))
    assert len(started) == 1 and not lives(started[0])


def test_what_gdb_must_not_run_in_the_cores_folder_is_not_run(program: Path, tmp_path: Path) -> None:
    (tmp_path / ".gdbinit").write_text(f"shell touch {tmp_path / 'ran'}\n", encoding="utf-8")
    (tmp_path / "worldserver-gdb.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n", encoding="utf-8")
    copied = tmp_path / "worldserver"
    shutil.copy2(program, copied)
    assert die(copied, tmp_path, "null").read().kind is (ReportKind.CORE if HAS_GDB else ReportKind.UNKNOWN)
    assert not (tmp_path / "ran").exists()


# --- a core alone, as `inspect` is given it --------------------------------------------------------------------------

NULL = "access violation | Unit::Touch | Map::Update | World::Update"
BARE = "access violation | SIGSEGV without a stack"


def take_copy(program: Path, folder: Path, name: str = "worldserver") -> Path:
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy2(program, folder / name))


def build_anew(program: Path) -> None:
    """The same program, a line longer: another build id."""
    source = program.with_name("other.cpp")
    source.write_text("// a line\n" + PROGRAM, encoding="utf-8")
    command = ["g++", "-std=c++17", "-g", "-O1", "-pthread", "-o", program.name, source.name]
    subprocess.run(command, cwd=program.parent, check=True, timeout=100)


def read_key(core: Path | None, archive: list[Path] | None = None) -> tuple[str, tuple[str, ...]]:
    assert core is not None
    report = CrashFileReader(list_programs=lambda name: archive or []).read_alone(core)
    assert (report.kind, report.exception and report.exception.code) == (ReportKind.CORE, "SIGSEGV")
    return (report.signature.exact if report.signature else ""), report.notes


def test_a_bare_core_names_its_program_and_its_signal(program: Path, tmp_path: Path) -> None:
    death = die(take_copy(program, tmp_path / "bin"), tmp_path, "null")
    assert death.evidence.core is not None
    told = read_core_file(death.evidence.core)
    assert (told.signal, told.program) == ("SIGSEGV", tmp_path / "bin" / "worldserver")
    assert told.build_id == read_build_id(program)
    assert read_key(death.evidence.core)[0] == (NULL if HAS_GDB else BARE)


def test_a_core_is_read_with_no_other_build_of_its_program(program: Path, tmp_path: Path) -> None:
    """gdb would name wrong functions without a word."""
    here = take_copy(program, tmp_path / "bin")
    core = die(here, tmp_path, "null").evidence.core
    build_anew(here)
    key, notes = read_key(core)
    assert key == BARE
    assert any("refused, as worldserver is of another build" in note for note in notes)
    newer = ExitEvidence(-11, None, None, core, here, 0.0, time.time())
    assert CrashFileReader().read(newer).frames == ()


def test_the_archived_build_of_a_core_is_found_by_its_build_id(program: Path, tmp_path: Path) -> None:
    here = take_copy(program, tmp_path / "bin")
    core = die(here, tmp_path, "null").evidence.core
    archived = take_copy(program, tmp_path / "archive")
    build_anew(here)
    assert read_key(core, [here, archived])[0] == (NULL if HAS_GDB else BARE)


def test_no_damage_of_a_core_raises(program: Path, tmp_path: Path) -> None:
    core = die(program, tmp_path, "null").evidence.core
    assert core is not None
    content = core.read_bytes()[: 64 << 10]
    for at in range(0, 4096, 61):
        core.write_bytes(content[:at] + b"\xff" * 9 + content[at + 9 :])
        read_core_file(core)
        core.write_bytes(content[:at])
        assert read_core_file(core).program in (None, program)
