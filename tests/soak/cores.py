"""Cores through a real systemd: systemd-coredump takes them, journald notes them, coredumpctl gives them to our reader.

    python tests/soak/cores.py

The kernel's `core_pattern` belongs to the whole machine and stays as it is. A program that dies is held by gdb at its
signal instead, and systemd-coredump is called as the kernel would call it: with the words of the package's own
`kernel.core_pattern`, and the core on its standard input. All of it runs in a mount namespace with an empty /run and
/var/lib/systemd and a journal of its own, from packages that are unpacked and not installed. Needs root, `unshare`,
`apt-get` with systemd's packages in reach, gcc and gdb; half a minute. Ends with 1 where a step is not as it must be.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from pipeline.adapters.coredumpctl import KeptCores, is_systemds
from pipeline.adapters.crash_reader import CrashFileReader
from pipeline.model import CrashReport
from pipeline.ports import ExitEvidence

INSIDE = "CORES_INSIDE"
PACKAGES = ("systemd-coredump", "systemd", "libsystemd0", "libsystemd-shared")
NEEDED = ("unshare", "apt-get", "dpkg-deb", "g++", "gdb")
KEY = "access violation | Spell::Cast | Map::Update | main"
BARE = "access violation | SIGSEGV without a stack"
KEPT = Path("/var/lib/systemd/coredump")
PATIENCE = 60.0  # seconds for each thing that is waited for
PROGRAM = """
struct Spell { int power; __attribute__((noinline)) int Cast() { return power; } };
struct Map { __attribute__((noinline)) int Update(Spell* spell) { return spell->Cast() + 1; } };
int main(int argc, char**) { return Map().Update(reinterpret_cast<Spell*>(argc - 1L)); }
"""


def main() -> int:
    if INSIDE not in os.environ:
        missing = [name for name in NEEDED if shutil.which(name) is None]
        if os.geteuid() != 0 or missing:
            print(f"needs root and {', '.join(missing or NEEDED)}", file=sys.stderr)
            return 2
        argv = ["unshare", "--mount", sys.executable, str(Path(__file__).resolve())]
        return subprocess.run(argv, env={**os.environ, INSIDE: "1"}, check=False).returncode
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended all the same
    with tempfile.TemporaryDirectory() as folder, open_systemd(Path(folder)) as systemd:
        play(systemd)
    print("every step was as it must be")
    return 0


@dataclass(frozen=True)
class Systemd:
    """The parts of one that take and give cores. `pattern` = what the package makes of `kernel.core_pattern`."""

    folder: Path
    root: Path  # of the unpacked packages
    pattern: str

    @property
    def environ(self) -> dict[str, str]:
        libraries = self.root / "usr/lib/x86_64-linux-gnu"
        return {**os.environ, "LD_LIBRARY_PATH": f"{libraries}/systemd:{libraries}", "SYSTEMD_LOG_TARGET": "null"}

    def find(self, name: str) -> Path:
        return next(self.root / place / name for place in ("lib/systemd", "usr/lib/systemd", "usr/bin")
                    if (self.root / place / name).exists())  # fmt: skip

    def configure(self, **settings: str) -> None:
        """`coredump.conf`."""
        lines = [f"{name}={value}" for name, value in settings.items()]
        place = Path("/run/systemd/coredump.conf.d/ours.conf")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("\n".join(["[Coredump]", *lines, ""]), encoding="utf-8")

    def start_dump(self, pid: int) -> "subprocess.Popen[bytes]":
        """As the kernel does once `pid` has its signal; the core is to be written to its standard input."""
        words = {"%P": pid, "%u": 0, "%g": 0, "%s": int(signal.SIGSEGV), "%t": int(time.time()), "%h": "realm", "%d": 1}
        values = [str(words.get(word, word)) for word in self.pattern.removeprefix("|").split()[1:]]
        return subprocess.Popen([self.find("systemd-coredump"), *values], stdin=subprocess.PIPE, env=self.environ)


@contextlib.contextmanager
def open_systemd(folder: Path) -> Iterator[Systemd]:
    root = folder / "root"
    subprocess.run(
        ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *PACKAGES], cwd=folder, check=True, timeout=300
    )
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, root], check=True)
    (rule,) = root.glob("*/lib/sysctl.d/50-coredump.conf")
    lines = rule.read_text("utf-8").splitlines()
    pattern = next(line.partition("=")[2] for line in lines if line.startswith("kernel.core_pattern="))
    systemd = Systemd(folder, root, pattern)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for place in ("/run", "/var/lib/systemd"):
        subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    for made in (Path("/run/systemd/journal"), KEPT):
        made.mkdir(parents=True)
    systemd.configure()
    (folder / "bin").mkdir()
    wrapper = folder / "bin" / "coredumpctl"
    wrapper.write_text(
        f'#!/bin/sh\nLD_LIBRARY_PATH={systemd.environ["LD_LIBRARY_PATH"]} exec {systemd.find("coredumpctl")} "$@"\n'
    )
    wrapper.chmod(0o755)
    os.environ["PATH"] = f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"
    journal = subprocess.Popen([systemd.find("systemd-journald")], env=systemd.environ)
    try:
        wait(Path("/run/systemd/journal/socket").exists, "journald")
        threading.Thread(target=serve, args=(systemd,), daemon=True).start()
        yield systemd
    finally:
        journal.terminate()
        journal.wait(PATIENCE)


def serve(systemd: Systemd) -> None:
    """`systemd-coredump.socket`: of a process in a unit the first systemd-coredump hands the core to a second one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind("/run/systemd/coredump")
        door.listen(16)
        while True:
            guest, _ = door.accept()
            call = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" 3<&0 0</dev/null'
            with guest:
                argv = ["sh", "-c", call, str(systemd.find("systemd-coredump"))]
                subprocess.run(argv, stdin=guest.fileno(), env=systemd.environ, check=True)


def wait(look: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not look():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {PATIENCE:.0f} s for {what}")
        time.sleep(0.05)


# --- a program that dies ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dying:
    """Held at its signal, as the kernel holds it while its core is taken; `core` = what the kernel would pipe."""

    pid: int
    core: Path
    program: Path
    began: float


@contextlib.contextmanager
def hold_dying(folder: Path) -> Iterator[Dying]:
    folder.mkdir()
    program, core, pid, over = (folder / name for name in ("worldserver", "core", "pid", "over"))
    (folder / "server.cpp").write_text(PROGRAM)
    subprocess.run(["g++", "-g", "-O0", "-o", program, folder / "server.cpp"], check=True, timeout=100)
    told = f"python open({str(pid)!r}, 'w').write(str(gdb.selected_inferior().pid) + chr(10))"
    held = f"shell while [ ! -e {over} ]; do sleep 0.05; done"
    steps = ("set startup-with-shell off", "run", f"gcore {core}", told, held, "kill")
    argv = ["gdb", "-nx", "-q", "-batch", *(part for step in steps for part in ("-ex", step)), str(program)]
    began = time.time()
    environment = {**os.environ, "DEBUGINFOD_URLS": ""}
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as debugger:
        try:
            wait(lambda: pid.exists() and pid.read_text().endswith("\n"), "gdb")
            yield Dying(int(pid.read_text()), core, program, began)
        finally:
            over.touch()
            debugger.wait(PATIENCE)


def take(systemd: Systemd, dying: Dying, slowly: float = 0.0) -> None:
    """The kernel's part: its pipe gives the core, with a pause in the midst of it."""
    content = dying.core.read_bytes()
    dump = systemd.start_dump(dying.pid)
    assert dump.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        dump.stdin.write(content[: len(content) // 2])
        dump.stdin.flush()
        time.sleep(slowly)
        dump.stdin.write(content[len(content) // 2 :])
        dump.stdin.close()
    assert dump.wait(PATIENCE) == 0


def read(systemd: Systemd, dying: Dying) -> CrashReport:
    """As the bot reads a crash of which it knows the process and the signal."""
    kept = KeptCores(scratch=systemd.folder / "scratch", pattern=lambda: systemd.pattern)
    evidence = ExitEvidence(
        -signal.SIGSEGV, None, None, None, dying.program, dying.began, time.time(), pid=dying.pid
    )  # fmt: skip
    return CrashFileReader(kept_cores=kept).read(evidence)


# --- the steps --------------------------------------------------------------------------------------------------------


def play(systemd: Systemd) -> None:
    assert is_systemds(systemd.pattern), systemd.pattern
    print(f"core_pattern of the package: {systemd.pattern}")
    with hold_dying(systemd.folder / "whole") as dying:
        take(systemd, dying)
        expect("a core that systemd took is read", read(systemd, dying), KEY)
    with hold_dying(systemd.folder / "late") as dying:
        taking = threading.Thread(target=take, args=(systemd, dying, 5.0))
        taking.start()
        time.sleep(0.5)
        expect("one that it still writes, 5 s long, is waited for", read(systemd, dying), KEY)
        taking.join(PATIENCE)
        for kept in KEPT.iterdir():
            kept.unlink()
        expect("of one that was removed since, its words are", read(systemd, dying), KEY, "Cannot access")
    with hold_dying(systemd.folder / "never") as dying:
        expect("of one that it never got it has none", read(systemd, dying), BARE, "has none of this crash: No match")
    systemd.configure(Storage="none")
    with hold_dying(systemd.folder / "none") as dying:
        take(systemd, dying)
        expect("of one that is not kept, its words are", read(systemd, dying), KEY, "Coredump entry has no core")
    systemd.configure(ProcessSizeMax="1M", ExternalSizeMax="1K")
    with hold_dying(systemd.folder / "large") as dying:
        take(systemd, dying)
        expect("and of one that is too large", read(systemd, dying), KEY, "Coredump entry has no core")


def expect(what: str, report: CrashReport, key: str, note: str = "") -> None:
    show(what, report)
    found = report.signature.exact if report.signature else None
    if found != key or note not in " ".join(report.notes):
        raise SystemExit(f"expected {key!r} and a note with {note!r}")


def show(what: str, report: CrashReport) -> None:
    print(f"{what}: {report.signature and report.signature.exact}", *report.notes, sep="\n    ", flush=True)


if __name__ == "__main__":
    sys.exit(main())
