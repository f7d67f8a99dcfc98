"""A realm folder with a real server process and a real keeper, for the keeper's tests: all waits have a deadline."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import psutil

import pipeline
from pipeline.keeper.foreign import list_marked, make_folder_id
from pipeline.keeper.journal import list_recent
from pipeline.keeper.process import end_all, list_tree
from pipeline.keeper.protocol import (
    BuildFile,
    Desired,
    Event,
    EventKind,
    Manifest,
    Observed,
    ReadyRule,
    RestartLimits,
    ServerState,
    Want,
    from_json,
    replace_file,
    to_json,
)
from pipeline.points import VARIABLE

T = TypeVar("T")
ROOT = Path(pipeline.__file__).parent.parent
DEADLINE = 20.0  # seconds; nothing here takes one

# What the server does is told by files in its folder: `habits` is read at its start, `order` while it runs. Its build
# and what is wrong with it stand in the program itself, as they would in a real one.
SERVER = """#!{python} -IS
import fcntl, json, os, select, signal, socket, sys, time
BUILD, REVISION, FAULT = {build!r}, {revision!r}, {fault!r}
class Quiet:  # a disk that takes nothing is no reason to die, for this server as for a real one
    def __init__(self, name, how):
        try:
            self.file = open(name, how, buffering=1)
        except OSError:
            self.file = open(os.devnull, how)
    def write(self, text):
        try:
            self.file.write(text)
        except OSError:
            pass
habits = json.loads(open("habits").read()) if os.path.exists("habits") else {{}}
alone = open("alone", "r" if os.path.exists("alone") else "w")
try:
    fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    open("two servers", "w").write(str(os.getpid()))
Quiet("pids", "a").write(f"{{os.getpid()}} {{BUILD}}\\n")
log = Quiet("Server.log", "w")
if habits.get("output"):
    try:
        os.write(1, habits["output"].encode())
    except OSError:
        pass
if habits.get("child") and os.fork() == 0:
    time.sleep(600)
if habits.get("away") and os.fork() == 0:
    alone.close()
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open("away", "a").write(f"{{os.getpid()}}\\n")
    time.sleep(600)
if FAULT == "dies before ready":
    os.kill(os.getpid(), 11)
if "exit" in habits:
    os._exit(habits["exit"])
def stop(*_):
    if habits.get("deaf"):
        return
    open("saved", "a").write(f"{{os.getpid()}}\\n")
    log.write("Halting process...\\n")
    os._exit(habits.get("exit_at_stop", 0))
signal.signal(signal.SIGTERM, stop)
def die(word):
    if word.startswith("signal"):
        os.kill(os.getpid(), int(word.split()[1]))
    if word.startswith("exit"):
        os._exit(int(word.split()[1]))
    if word.startswith("eat"):
        hoard = b"x" * (int(word.split()[1]) << 20)
if habits.get("port"):
    listener = socket.create_server(("127.0.0.1", habits["port"]))
if FAULT != "is never ready" and not habits.get("silent"):
    log.write(f"TrinityCore rev. {{REVISION}} 2025-11-04 (x branch) (Unix) (worldserver-daemon) ready...\\n")
flooding = habits.get("flood")
while True:
    if flooding:
        os.write(1, b"flood " * 10000)
    elif select.select([0], [], [], 0.01)[0] and not os.read(0, 1):
        log.write("EOF on stdin\\n")
        os._exit(0)
    try:
        word = open("order").read()
    except FileNotFoundError:
        continue
    os.unlink("order")
    die(word)
"""


# A keeper in a process whose clock somebody sets; the other one goes on as it does.
CLOCK = """
import pathlib, sys, time
from pipeline.keeper.__main__ import main
real, ahead = time.time, pathlib.Path({ahead!r})
time.time = lambda: real() + float(ahead.read_text())
sys.exit(main(sys.argv[1:]))
"""


def make_revision(build: str) -> str:
    """The hash that a build prints."""
    return build.encode().hex().ljust(12, "0")


def until(look: Callable[[], T | None], what: str) -> T:
    """Waits until `look` gives something true, and gives it back."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {DEADLINE:.0f} s in vain for: {what}")


class KeeperWorld:
    """One SERVER_DIR, one state folder, keepers one after the other."""

    def __init__(self, folder: Path) -> None:
        self.state, self.server = folder / "state", folder / "server"
        for each in (self.state, self.server):
            each.mkdir(exist_ok=True)  # a disk of its own may be mounted there
        self.keepers: list[subprocess.Popen[bytes]] = []
        self.others: list[subprocess.Popen[bytes]] = []
        self.write_server("b0")
        self.wish = Desired(
            generation=0,
            want=Want.UP,
            by="test",
            reason="because",
            server_dir=str(self.server),
            command=("./worldserver",),
            ready=ReadyRule(port=0),
            limits=RestartLimits(base=0.05, cap=0.2),
            stop_timeout=0.3,
        )

    # --- the server and its builds

    def write_server(self, build: str, fault: str = "", to: Path | None = None) -> Path:
        path = to or self.server / "worldserver"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name("worldserver.new")
        revision = make_revision(build)
        temporary.write_text(SERVER.format(python=sys.executable, build=build, revision=revision, fault=fault))
        temporary.chmod(0o755)
        temporary.replace(path)
        return path

    def make_build(self, build: str, fault: str = "") -> Manifest:
        """A build in the state folder, as the bot leaves it: two files."""
        files = self.state / "builds" / build / "files"
        program = self.write_server(build, fault, files / "worldserver")
        data = files / "data.txt"
        data.write_text(build)
        return Manifest(build, tuple(_describe(path, files) for path in (program, data)), revision=make_revision(build))

    def make_broken_build(self, build: str) -> Manifest:
        """One whose program is none, by any system's reckoning."""
        made = self.make_build(build)
        program = self.state / "builds" / build / "files" / "worldserver"
        program.write_bytes(b"neither ELF nor script")
        return replace(made, files=(_describe(program, program.parent), *made.files[1:]))

    def set_habits(self, **habits: Any) -> None:
        replace_file(self.server / "habits", json.dumps(habits))

    def order(self, word: str) -> None:
        """`exit N` or `signal N`: the running server does it."""
        replace_file(self.server / "order", word)

    def list_pids(self) -> list[int]:
        """Every server that was ever started here, in order."""
        return [int(line.split()[0]) for line in self._read_pids()]

    def list_builds(self) -> list[str]:
        """Which builds they were."""
        return [line.split()[1] for line in self._read_pids()]

    def _read_pids(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return (self.server / "pids").read_text().splitlines()
        return []

    def list_living(self) -> list[int]:
        return [pid for pid in self.list_pids() if psutil.pid_exists(pid) and not _is_zombie(pid)]

    def list_away(self) -> list[int]:
        """Helpers that left the session of their server, those that live."""
        with contextlib.suppress(FileNotFoundError):
            numbers = [int(line) for line in (self.server / "away").read_text().splitlines()]
            return [pid for pid in numbers if psutil.pid_exists(pid) and not _is_zombie(pid)]
        return []

    # --- the keeper

    def start_keeper(self, point: str = "", **environment: str) -> subprocess.Popen[bytes]:
        """A keeper; with a fault point it dies there, or its writes fail there."""
        return self._start(self.state, {VARIABLE: point, **environment})

    def start_keeper_of(self, state: Path) -> subprocess.Popen[bytes]:
        """The keeper of another bot, whose state folder this is."""
        return self._start(state, {})

    def start_keeper_in(self, server: Path) -> subprocess.Popen[bytes]:
        """The keeper of the same state folder after SERVER_DIR was changed."""
        return self._start(self.state, {}, server=server)

    def start_keeper_with_clock(self) -> subprocess.Popen[bytes]:
        """A keeper whose clock `set_clock` sets."""
        self.set_clock(0)
        return self._start(self.state, {}, "-c", CLOCK.format(ahead=str(self._ahead)))

    def set_clock(self, hours: float) -> None:
        replace_file(self._ahead, str(hours * 3600))

    @property
    def _ahead(self) -> Path:
        return self.server.parent / "ahead"

    def _start(
        self, state: Path, environment: dict[str, str], *program: str, server: Path | None = None
    ) -> subprocess.Popen[bytes]:
        folders = ["--state-dir", str(state), "--server-dir", str(server or self.server)]
        keeper = subprocess.Popen(
            [sys.executable, *(program or ("-m", "pipeline.keeper")), *folders],
            cwd=ROOT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        self.keepers.append(keeper)
        return keeper

    def wait_for_end(self, keeper: subprocess.Popen[bytes]) -> int:
        return keeper.wait(DEADLINE)

    def kill_keeper(self) -> None:
        self.keepers[-1].kill()
        self.wait_for_end(self.keepers[-1])

    def pretend_reboot(self) -> None:
        """What the keeper remembers is of another boot."""
        memory = self.server / ".spirit-healer" / "memory.json"
        seen = self.observed
        memory.write_text(memory.read_text().replace(seen.boot if seen else "?", "an earlier boot"))

    def ask(self, **changes: Any) -> Desired:
        """Writes the next generation of the wish."""
        self.wish = replace(self.wish, generation=self.wish.generation + 1, **changes)
        replace_file(self.state / "desired.json", to_json(self.wish))
        return self.wish

    # --- what is seen

    @property
    def observed(self) -> Observed | None:
        with contextlib.suppress(FileNotFoundError):
            return from_json(Observed, (self.state / "observed.json").read_bytes())
        return None

    @property
    def events(self) -> list[Event]:
        return list_recent(self.state / "events.jsonl")

    def list_events(self, kind: EventKind) -> list[dict[str, Any]]:
        return [dict(event.data) for event in self.events if event.kind == kind]

    def wait_for_births(self, number: int) -> None:
        """Until that many servers were started in all."""
        until(lambda: len(self.list_pids()) == number, f"server {number}")

    def wait_for_event(self, kind: EventKind, number: int = 1) -> dict[str, Any]:
        """The number-th event of that kind."""
        found = until(
            lambda: self.list_events(kind) if len(self.list_events(kind)) >= number else None, f"{number} x {kind}"
        )
        return found[number - 1]

    def wait_for(self, state: ServerState, **values: Any) -> Observed:
        """Until observed.json has that state and those values, by the keeper that runs now."""

        def look() -> Observed | None:
            seen = self.observed
            if seen is None or seen.state is not state or seen.keeper_pid != self.keepers[-1].pid:
                return None
            return seen if all(getattr(seen, name) == value for name, value in values.items()) else None

        try:
            return until(look, f"{state} {values}")
        except AssertionError as fault:
            raise AssertionError(f"{fault}; seen {self.observed}; events {self.events}; {self.read_faults()}") from None

    def wait_until_ready(self, **values: Any) -> Observed:
        """A ready server under the present wish."""
        return self.wait_for(ServerState.READY, **{"generation": self.wish.generation, **values})

    def begin(self, **wish: Any) -> Observed:
        """A keeper with a ready server."""
        self.ask(**wish)
        self.start_keeper()
        return self.wait_until_ready()

    def read_faults(self) -> str:
        """The keeper's own bugs: none, in every test."""
        with contextlib.suppress(FileNotFoundError):
            return (self.state / "keeper.log").read_text()
        return ""

    def close(self) -> None:
        """Ends what was started here, and nothing else."""
        for keeper in self.keepers + self.others:
            if keeper.poll() is None:
                # A shell that it is spawning, or the server that this shell is, would be nobody's a moment later.
                end_all(stop_tree(psutil.Process(keeper.pid)))
            keeper.wait(DEADLINE)
        end_all([each for pid in self.list_pids() for each in list_tree(pid) if _runs_in(each, self.server)])
        # One whose keeper was killed as it spawned it has not said its number yet, but carries the mark.
        until(lambda: not self._end_marked(), "the end of whatever has the mark")

    def _end_marked(self) -> list[psutil.Process]:
        found = [each for one in list_marked(make_folder_id(self.server)) for each in list_tree(one.who.pid)]
        end_all(found)
        return found


def stop_tree(process: psutil.Process) -> list[psutil.Process]:
    """It and all below it, each stopped before what is below it is listed, so that nothing is begun meanwhile."""
    try:
        process.suspend()
        until(lambda: _is_zombie(process.pid) or process.status() == psutil.STATUS_STOPPED, f"{process} to stop")
        return [process, *(each for child in process.children() for each in stop_tree(child))]
    except psutil.NoSuchProcess:
        return []


def _describe(path: Path, files: Path) -> BuildFile:
    content = path.read_bytes()
    name = path.relative_to(files).as_posix()
    return BuildFile(name, name, hashlib.sha256(content).hexdigest(), len(content), executable=name == "worldserver")


def _runs_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()) == folder
    except psutil.Error:
        return False


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True


@contextlib.contextmanager
def open_world(folder: Path) -> Iterator[KeeperWorld]:
    """A world that leaves no process behind, never had two servers, and whose keepers had no bug."""
    world = KeeperWorld(folder)
    try:
        yield world
        assert not (world.server / "two servers").exists(), "two servers ran at the same time"
        assert world.read_faults() == ""
    finally:
        world.close()
