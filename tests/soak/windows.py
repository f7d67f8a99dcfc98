"""The sample realm built for Windows with ziglang and crashed under wine: text and minidump, as our readers have them.

    PYTHONPATH=.:tests python tests/soak/windows.py [BUG ...]

Needs `ziglang`, `cmake` and `ninja` (the `demo` extra) and wine (Debian: `apt-get install wine wine64`, some 500 MB);
the stack of a minidump needs an lldb that knows the linker's PDB (Debian: `lldb-19`). Not part of the quick run: the
first time zig compiles libc++, which takes minutes. `tests/data/crashes/WindowsReport.cpp` writes what TrinityCore's
filter would. Exit code 1 if a text was read otherwise than it should be, 2 if something that is needed is not here.

Seen with wine 8 and lldb 19: six texts as they should be, and five dumps with the same functions. An assertion's dump
has no stack but wine's own `RaiseException`, which lldb cannot walk: there its comment tells which assertion it was.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from realm import READY, find_free_ports, wait_for, write_configuration

from bot.demo.bugs import BUGS, REALM, PlantedBug, get_bug
from pipeline.adapters.crash_reader import CrashFileReader
from pipeline.adapters.toolchain import find_tool, find_zig
from pipeline.model import CrashReport
from pipeline.ports import ExitEvidence

FILTER = Path(__file__).parents[1] / "data" / "crashes" / "WindowsReport.cpp"
TARGET = "x86_64-windows-gnu"
FLAGS = "-g -O1 -fno-sanitize=undefined"
BUILD, START, CRASH = 1800.0, 60.0, 60.0  # seconds
END_OF_STACKS = b"Local Variables And Parameters"
# Of a bug the family of its text.
WANTED = {
    "dispatcher": {"access violation | EventDispatcher::UnsubscribeAll"},
    # What is freed is overwritten at once: the virtual call goes nowhere, and nobody can walk back from there.
    "aura": {"access violation | no stack", "access violation | Unit::UpdateAuras"},
    "assert": {"assertion | AuraApplication::_HandleEffect | HasEffect(effIndex) == (!apply)"},
    "bih": {"uncaught exception | BIH::subdivide"},
    "freeze": {"freeze | Map::Update"},
    "late": {"access violation | DeferredLogin::Update", "access violation | Player::SetOnline"},
}
# What wine does otherwise than Windows: shown, and nothing is expected of it.
OTHERWISE = {
    "recursion": "wine calls no filter on a stack that ran out; the freeze detector ends the server instead",
    "doublefree": "wine's heap says nothing of a double free",
}


@dataclass(frozen=True)
class Bench:
    folder: Path
    server: Path  # the folder with worldserver.exe and worldserver.pdb

    @property
    def environment(self) -> dict[str, str]:
        given = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**given, "HOME": str(self.folder), "WINEPREFIX": str(self.folder / "prefix"), "WINEDEBUG": "-all",
                "WINEDLLOVERRIDES": "winemenubuilder.exe,mscoree,mshtml="}  # fmt: skip


def build(folder: Path, zig: list[str]) -> Path:
    """The folder of the executable and its PDB."""
    source = folder / "realm"
    shutil.copytree(REALM, source, ignore=shutil.ignore_patterns("build*"))
    shutil.copy2(FILTER, source / "src" / "common" / "Debugging")
    programs = {name: write_program(folder / name, [*zig, *words]) for name, words in (
        ("cxx", ["c++", "-target", TARGET]), ("ar", ["ar"]), ("ranlib", ["ranlib"]), ("rc", ["rc"]),
    )}  # fmt: skip
    cmake, ninja = find_tool("cmake"), find_tool("ninja")
    configure = [
        str(cmake), "-S", str(source), "-B", str(folder / "build"), "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}",
        "-DWITHOUT_GIT=ON", "-DCMAKE_SYSTEM_NAME=Windows", f"-DCMAKE_CXX_COMPILER={programs['cxx']}",
        f"-DCMAKE_AR={programs['ar']}", f"-DCMAKE_RANLIB={programs['ranlib']}",
        f"-DCMAKE_RC_COMPILER={programs['rc']}", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
        f"-DCMAKE_CXX_FLAGS_RELWITHDEBINFO={FLAGS}", "-DCMAKE_CXX_STANDARD_LIBRARIES=-ldbghelp",
    ]  # fmt: skip
    for command in (configure, [str(cmake), "--build", str(folder / "build"), "--target", "worldserver"]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=BUILD)
        if done.returncode:
            raise SystemExit(done.stdout[-3000:])
    return folder / "build" / "bin"


def write_program(path: Path, words: list[str]) -> Path:
    path.write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def crash(bench: Bench, bug: PlantedBug) -> tuple[int | None, list[Path], Path]:
    """How it ended (None = it had to be), what it left in `Crashes`, and its output."""
    folder = bench.folder / f"run {bug.name}"
    shutil.copytree(bench.server, folder)
    (port,) = find_free_ports(1)
    settings = {"WorldServerPort": port, "Console.Enable": 0, "Realm.LateSeconds": 1, "MaxCoreStuckTime": 2}
    write_configuration(folder, settings)
    output = folder / "output.txt"
    with output.open("wb") as sink:
        server = subprocess.Popen(
            ["wine", "worldserver.exe"], cwd=folder, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
            env=bench.environment, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(lambda: READY.encode() in output.read_bytes(), "the server to be ready", START)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as player:
            player.sendall(b"HELLO Ann\n")
            player.recv(100)
            player.sendall(f"{bug.packet}\n".encode())
            status = wait_end(server, folder)
    finally:
        end_wine(bench)
        server.wait(30)
    return status, sorted((folder / "Crashes").glob("*")), output


def wait_end(server: subprocess.Popen[bytes], folder: Path) -> int | None:
    """None where it still runs once its text is whole, or its time is over."""
    deadline = time.monotonic() + CRASH
    while server.poll() is None and time.monotonic() < deadline:
        if any(END_OF_STACKS in each.read_bytes() for each in (folder / "Crashes").glob("*.txt")):
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(5)
            break
        time.sleep(0.1)
    return server.poll()


def end_wine(bench: Bench) -> None:
    """All that runs in our prefix."""
    subprocess.run(["wineserver", "-k"], env=bench.environment, capture_output=True, timeout=60)


def look(bench: Bench, bug: PlantedBug) -> bool:
    """Prints what came of it; whether its text says what it should."""
    status, files, output = crash(bench, bug)
    print(f"{bug.name}: ended with {status}, left {', '.join(each.name for each in files) or 'nothing'}")
    families = {}
    for each in files:
        report = CrashFileReader().read_alone(each)
        families[each.suffix] = report.signature and report.signature.family
        print(*tell(each.suffix, report), sep="\n")
    whole = ExitEvidence(status, output, None, None, bench.server / "worldserver.exe", 0.0, time.time(), tuple(files))
    print(*tell("together", CrashFileReader().read(whole)), sep="\n")
    if bug.name in OTHERWISE:
        print(f"   {OTHERWISE[bug.name]}")
        return True
    right = families.get(".txt") in WANTED[bug.name] and set(families) == {".txt", ".dmp"}
    print(f"   {'right' if right else f'WRONG: it should be one of {sorted(WANTED[bug.name])}'}", flush=True)
    return right


def tell(name: str, report: CrashReport) -> Iterator[str]:
    yield f"   {name:8} {report.kind:9} {report.signature.exact if report.signature else 'no signature'}"
    yield from (f"            {note[:150]}" for note in report.notes)


def main() -> int:
    zig = find_zig()
    missing = [name for name in ("wine", "wineserver") if shutil.which(name) is None]
    missing += [name for name in ("cmake", "ninja") if find_tool(name) is None] + ([] if zig else ["ziglang"])
    if missing or zig is None:
        print(f"not here: {', '.join(missing)}; see the begin of {Path(__file__).name}", file=sys.stderr)
        return 2
    bugs = [get_bug(name) for name in sys.argv[1:]] or list(BUGS)
    with tempfile.TemporaryDirectory() as name:
        began = time.monotonic()
        bench = Bench(Path(name), build(Path(name), zig))
        print(f"built in {time.monotonic() - began:.0f} s", flush=True)
        subprocess.run(["wineboot", "-i"], env=bench.environment, capture_output=True, timeout=300)
        wrong = [bug.name for bug in bugs if not look(bench, bug)]
    print(f"{len(bugs) - len(wrong)} of {len(bugs)} as they should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
