"""A short night of the real keeper and the bot's real files under the recorder, and what must hold after a power loss.

The night: a first start, a crash, a build that is swapped in, a crash of that, a second build for the next start, a
crash that brings it, an orderly end. The bot's part (archive and wish) is played by a program of its own.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fuzzing import make_tools
from keeper_world import ROOT as REPOSITORY
from keeper_world import KeeperWorld, make_revision, until
from power import Loss, Recorder, Step
from sqlalchemy import delete, select

from pipeline import intake
from pipeline import tables as t
from pipeline.adapters.archive import Archive
from pipeline.adapters.event_log import EventLog
from pipeline.adapters.keeper_client import FileKeeper
from pipeline.keeper import locks
from pipeline.keeper.folders import Folders, read_json
from pipeline.keeper.loop import Keeper
from pipeline.keeper.memory import Memory
from pipeline.keeper.protocol import Desired, EventKind, Manifest, Observed, ServerState, to_json
from pipeline.keeper.renewal import Locks

# What is no file of ours: how the test's server is told what to do, and what it says.
NOT_OURS = re.compile(r"\.?(?:order|habits|alone|pids|saved|Server\.log)(?:\.\d+\.tmp)?")
BOT = """
import json, sys
from pathlib import Path
from pipeline.adapters.archive import Archive, Product
from pipeline.keeper.protocol import Desired, from_json
from pipeline.adapters.keeper_client import FileKeeper
state, server = Path(sys.argv[1]), Path(sys.argv[2])
for line in sys.stdin:
    what, _, rest = line.partition(" ")
    if what == "wish":
        FileKeeper(state, server).wish(from_json(Desired, rest))
    else:
        build, made, revision = json.loads(rest)
        products = [Product(each, Path(made) / each, each == "worldserver") for each in ("worldserver", "data.txt")]
        Archive(state).add(build, products, revision, None)
    print("done", flush=True)
"""


class RecordedWorld(KeeperWorld):
    """Builds and wishes go through the bot's own code, under the recorder, as the keeper does."""

    def __init__(self, folder: Path, made: Path) -> None:
        super().__init__(folder)
        self._made = made
        made.mkdir()
        self.write_server("b0", to=made / "shipped")
        self.wished: list[tuple[int, int]] = []  # (step, generation that was written by then)
        self.archived: list[tuple[int, str]] = []  # (step, build that was published by then)

    def begin_bot(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._bot = subprocess.Popen(
            [sys.executable, "-c", BOT, str(self.state), str(self.server)], cwd=REPOSITORY,
            env={**os.environ, **recorder.environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.wish = replace(self.wish, environment={"LD_PRELOAD": ""})

    def _tell(self, line: str) -> int:
        assert self._bot.stdin is not None and self._bot.stdout is not None
        self._bot.stdin.write(line + "\n")
        self._bot.stdin.flush()
        assert self._bot.stdout.readline() == "done\n"
        return len(self._recorder.steps)

    def make_build(self, build: str, fault: str = "") -> Manifest:
        program = self.write_server(build, fault, self._made / build / "worldserver")
        (program.parent / "data.txt").write_text(build)
        done = self._tell("add " + json.dumps([build, str(program.parent), make_revision(build)]))
        self.archived.append((done, build))
        found = Archive(self.state).verified(build)
        assert found is not None
        return found

    def ask(self, **changes: Any) -> Any:
        self.wish = replace(self.wish, generation=self.wish.generation + 1, **changes)
        self.wished.append((self._tell("wish " + to_json(self.wish)), self.wish.generation))
        return self.wish

    def close(self) -> None:
        assert self._bot.stdin is not None and self._bot.stdout is not None
        self._bot.stdin.close()
        self._bot.wait(20)
        self._bot.stdout.close()
        super().close()


@dataclass(frozen=True)
class Night:
    """What was recorded of it."""

    root: Path
    steps: list[Step]
    wished: list[tuple[int, int]]
    archived: list[tuple[int, str]]
    builds: dict[str, dict[str, str]]
    # build -> file below SERVER_DIR -> sha256
    first_wish: Desired


@contextmanager
def record_night(folder: Path) -> Iterator[Night]:
    """Plays it in `folder/root`, which holds what is left of it."""
    root = folder / "root"
    root.mkdir()
    world = RecordedWorld(root, folder / "made")
    with Recorder(root) as recorder:
        world.begin_bot(recorder)
        first_wish = replace(world.wish, generation=1)
        try:
            _play(world, recorder.environment)
        finally:
            world.close()
    shipped = {"worldserver": hash_bytes((folder / "made" / "shipped").read_bytes())}
    builds = {"found": shipped}
    for each in ("b1", "b2"):
        files = (folder / "made" / each).iterdir()
        builds[each] = {path.name: hash_bytes(path.read_bytes()) for path in files}
    yield Night(root, recorder.steps, world.wished, world.archived, builds, first_wish)


def _play(world: RecordedWorld, environment: dict[str, str]) -> None:
    world.ask()
    keeper = world.start_keeper(**environment)
    world.wait_until_ready()
    _crash(world)
    first = world.make_build("b1")
    world.ask(build=first, probation="d1", fallback=None)
    world.wait_until_ready(build="b1")
    _crash(world)
    second = world.make_build("b2")
    world.ask(next_build=second, next_deployment="d2", fallback=first)
    staged = world.server / ".spirit-healer" / "staged" / "b2"
    until(lambda: sorted(path.name for path in staged.glob("[!.]*")) == ["data.txt", "worldserver"], "b2 to be staged")
    while world.list_builds()[-1] != "b2":  # the keeper may not have noticed yet
        _crash(world)
    world.wait_until_ready(build="b2")
    keeper.terminate()
    assert world.wait_for_end(keeper) == 0


def _crash(world: RecordedWorld) -> None:
    births = len(world.list_pids())
    world.order("signal 9")
    world.wait_for_births(births + 1)
    world.wait_until_ready()


def hash_bytes(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def start_again(night: Night, loss: Loss) -> list[str]:
    """The real keeper on what a power loss left: which invariants its server breaks."""
    loss.write_to(night.root)
    world = KeeperWorld.__new__(KeeperWorld)
    world.state, world.server = night.root / "state", night.root / "server"
    world.keepers, world.others = [], []
    (world.server / "pids").unlink(missing_ok=True)
    if FileKeeper(world.state, world.server).desired() is None:
        FileKeeper(world.state, world.server).wish(night.first_wish)  # the bot has its own start
    keeper = world.start_keeper()
    try:
        seen = until(lambda: _find_ready(world, keeper.pid), f"a server after {loss.name}")
        runs = hash_bytes((world.server / "worldserver").read_bytes())
        told = night.builds[seen.build or "found"]["worldserver"] if seen.build in (*night.builds, None) else seen.build
        keeper.terminate()
        assert world.wait_for_end(keeper) == 0
        faults = [] if runs == told else [f"{seen.build} is told and another program runs"]
        return faults + ([world.read_faults()] if world.read_faults() else [])
    finally:
        world.close()


def _find_ready(world: KeeperWorld, pid: int) -> Observed | None:
    seen = world.observed
    return seen if seen and seen.keeper_pid == pid and seen.state is ServerState.READY else None


# --- what must hold afterwards ---------------------------------------------------------------------------------------


@dataclass
class Aftermath:
    """One power loss, and the real readers and the keeper's real beginning after it."""

    night: Night
    step: int
    database: Path

    def __post_init__(self) -> None:
        self.state, self.server = self.night.root / "state", self.night.root / "server"
        self.folders = Folders(self.state, self.server)
        self.tools = make_tools(self.database)
        with self.tools.store.engine.begin() as connection:
            for table in reversed(t.metadata.sorted_tables):
                connection.execute(delete(table))

    def list_faults(self, loss: Loss) -> list[str]:
        """Each invariant that is broken."""
        self._import(self._read_before("state/events.jsonl"))
        counted = self._list_counted()
        loss.write_to(self.night.root)
        faults = [*self._check_files(), *self._check_archive(), *self._check_generation()]
        self._begin_again()
        faults += self._check_placed()
        self._import(self.folders.events.read_bytes() if self.folders.events.exists() else b"")
        return [*faults, *self._check_crashes(counted)]

    def _read_before(self, name: str) -> bytes:
        """A file as every program saw it when the machine died."""
        step, node = self.night.steps[self.step], 0
        for part in name.split("/"):
            found = step.entries.get((node, part))
            if found is None:
                return b""
            node = found
        return step.nodes[node].content or b""

    def _import(self, events: bytes) -> None:
        """The bot takes in what it sees, synced or not; what it has noted is synced."""
        (self.database / "events.jsonl").write_bytes(events)
        intake.import_events(self.tools)

    def _list_counted(self) -> list[float]:
        """When each life began that was counted as crashed."""
        with self.tools.store.engine.begin() as connection:
            return [row.exit["started"] for row in connection.execute(select(t.crashes.c.exit))]

    def _check_files(self) -> Iterator[str]:
        """Whatever stands under its final name is whole, or known not to be."""
        for path, shape in ((self.folders.observed, Observed), (self.folders.memory, Memory)):
            if path.exists() and read_json(shape, path) is None:
                yield f"{path.name} is half written"

    def _check_archive(self) -> Iterator[str]:
        archive = Archive(self.state)
        for step, build in self.night.archived:
            found = archive.manifest(build)
            if step <= self.step and found is None:
                yield f"the build {build} was published and is gone"
            if found is not None and archive.verified(build) is None:
                yield f"the build {build} is believed, and is not what it was"

    def _check_generation(self) -> Iterator[str]:
        written = max((generation for step, generation in self.night.wished if step <= self.step), default=0)
        wish = FileKeeper(self.state, self.server).desired()
        found = wish.generation if wish else 0
        observed, memory = read_json(Observed, self.folders.observed), read_json(Memory, self.folders.memory)
        reached = max(observed.generation if observed else 0, memory.accepted if memory else 0)
        if found < written:
            yield f"generation {written} was wished, {found} is left"
        if reached > found:
            yield f"generation {reached} was reached, {found} is the newest wish"

    def _begin_again(self) -> None:
        """The keeper of the next boot, up to where it would start the server."""
        self.folders.make()
        lock = locks.acquire(self.folders.server_lock)
        assert lock is not None
        try:
            self.keeper = Keeper(self.folders, Locks(lock, lock, None))
            self.keeper._book.boot = "the next boot"
            self.keeper._begin()
            self.mended = self.keeper._placing.mend()
            assert self.keeper._book.save()
        finally:
            lock.release()

    def _check_placed(self) -> Iterator[str]:
        """No server is started whose files are of two builds, or of another build than the one that is told."""
        if not self.mended:
            yield "the files fit neither build"
        there = {each.name: hash_bytes(each.read_bytes()) for each in self.server.iterdir()
                 if each.is_file() and not NOT_OURS.fullmatch(each.name)}  # fmt: skip
        fitting = [build for build, files in self.night.builds.items() if files == there]
        if not fitting:
            yield f"the server's files are of no build: {sorted(there)}"
        placed = self.keeper._book.memory.placed
        if fitting and placed and placed.manifest.build != fitting[0]:
            yield f"{fitting[0]} lies there and {placed.manifest.build} is told"
        if not os.access(self.server / "worldserver", os.X_OK):
            yield "the program may not be run"

    def _check_crashes(self, before: list[float]) -> Iterator[str]:
        counted = self._list_counted()
        twice = sorted({each for each in counted if counted.count(each) > 1})
        if twice:
            yield f"counted twice: {twice}"
        if set(before) - set(counted):
            yield "a crash that was counted is gone"
        died = self._list_dead()
        if died - set(counted):
            yield f"a crash is lost: {sorted(died - set(counted))}"

    def _list_dead(self) -> set[float]:
        """Lives of which any keeper has ever told that they crashed."""
        (self.database / "seen.jsonl").write_bytes(self._read_before("state/events.jsonl"))
        events = EventLog(self.database / "seen.jsonl").read(None)
        return {each.data["started"] for each in events
                if each.kind == EventKind.EXITED and each.data["verdict"] == "crash"}  # fmt: skip
