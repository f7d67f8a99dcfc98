"""A fake world: stateful fakes behind the pipeline's ports, with failures as switches, and a clock of its own.

world = World(tmp_path)
run = await world.crash("Map::Update")
await world.answer(run, GOOD)
await world.pass_time(minutes=3)
world.expect(run, RunState.SUCCEEDED)
"""

import dataclasses
import hashlib
import re
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared_statements import share_statements
from sqlalchemy import Engine

from pipeline import policy
from pipeline.card_models import Post
from pipeline.crash.as_json import report_from_plain, report_to_plain
from pipeline.errors import ConsoleUnavailable, Refused, RemoteUnreachable
from pipeline.keeper.protocol import (
    Desired,
    Event,
    EventKind,
    Exit,
    ExitVerdict,
    Hold,
    Manifest,
    Observed,
    ServerState,
    Want,
    from_json,
    to_json,
)
from pipeline.keeper.satisfaction import say_who
from pipeline.ledger import Ledger
from pipeline.model import (
    Actor,
    Analysis,
    BuildResult,
    Change,
    Commit,
    CrashReport,
    Diagnostic,
    Edit,
    Frame,
    Patch,
    Progress,
    Realm,
    ReportKind,
    Response,
    Run,
    RunState,
    Signature,
    WholeFile,
)
from pipeline.orders import Orders
from pipeline.ports import (
    AnalystFailed,
    AnalystWork,
    Answer,
    CrashReader,
    Diverged,
    ExitEvidence,
    Halt,
    Listener,
    PatchLimits,
    Pushed,
)
from pipeline.runner import Runner
from pipeline.status_models import Left, Stale
from pipeline.store import Codec, Store, open_engine
from pipeline.store.patience import PATIENCE
from pipeline.tables import metadata
from pipeline.tools import Tools
from pipeline.traces import Place, Trace

START = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)
BASE = "b" * 40
GOOD = Patch(files=(WholeFile("src/Map.cpp", "good"),))
OTHER = Patch(files=(WholeFile("src/Spell.cpp", "good too"),))
OPERATOR = Actor("1", "Ann")
BOB = Actor("2", "Bob")


class FakeClock:
    def __init__(self) -> None:
        self.time = START
        self._jumped = timedelta()

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - self._jumped).timestamp()

    def jump(self, **span: float) -> None:
        """Somebody sets it: no time has passed."""
        self._jumped += timedelta(**span)
        self.time += timedelta(**span)


@dataclass
class FakeCommit:
    hash: str
    parent: str | None
    files: dict[str, str]
    message: str
    run: str | None = None
    reverts: tuple[str, ...] = ()
    copy_of: str | None = None


class FakeSource:
    """A repository as a dictionary. `refuse`, `unwanted`, `remote_gone`, `diverged` are the switches."""

    def __init__(self) -> None:
        self.commits = {BASE: FakeCommit(BASE, None, {"src/Map.cpp": "bad", "src/Spell.cpp": "bad"}, "base")}
        self.branches: dict[str, str] = {}
        self.remote: dict[str, str] = {}
        self.checked_out = BASE
        self.refuse: str | None = None
        self.unwanted: dict[str, str] = {}  # content of a file -> why it may not be written
        self.remote_gone = False
        self.diverged: set[str] = set()
        self.base = BASE
        self.traced: list[tuple[str, str | None, tuple[Place, ...]]] = []  # what was asked about
        self.history = Trace(fixes=())  # what it tells of any crash

    def prepare(self) -> None: ...

    def resolve(self, revision: str) -> str | None:
        return next((each for each in self.commits if each.startswith(revision)), None)

    def base_head(self) -> str:
        return self.base

    def find_base_branch(self) -> str | None:
        return "main"

    def add_to_base(self, files: dict[str, str]) -> str:
        """Somebody commits to the base branch."""
        made = hashlib.sha1(f"{self.base}{files}".encode(), usedforsecurity=False).hexdigest()
        self.commits[made] = FakeCommit(made, self.base, files, "theirs")
        self.base = made
        return made

    def pick(self, commit: str) -> None:
        """Somebody brings one commit into the base branch."""
        found = self.commits[commit]
        before = self.commits[found.parent or BASE].files
        changed = {path: text for path, text in found.files.items() if before.get(path) != text}
        made = self.add_to_base(self.commits[self.base].files | changed)
        self.commits[made] = dataclasses.replace(self.commits[made], reverts=found.reverts, copy_of=commit)

    def begin(self, branch: str, base: str) -> None:
        self.branches.setdefault(branch, base)

    def restore(self, branch: str, head: str) -> None:
        self.branches[branch] = head
        self.checked_out = head

    def stand_on(self, commit: str) -> None:
        self.checked_out = commit

    def head(self, branch: str) -> str | None:
        return self.branches.get(branch)

    def find_run(self, branch: str, above: str, run: str) -> Commit | None:
        found = [each for each in self._history(self.branches[branch]) if each.run == run]
        return self.commit(found[0].hash) if found else None

    def apply(self, patch: Patch, message: str, limits: PatchLimits, since: str | None) -> Commit:
        files = self._changed(patch, self.checked_out)
        run = next(line.removeprefix("Run: ") for line in message.splitlines() if line.startswith("Run: "))
        branch = next(name for name, head in self.branches.items() if head == self.checked_out)
        text = f"{self.checked_out}{sorted(files.items())}{message}"
        made = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.commits[made] = FakeCommit(made, self.checked_out, files, message, run, patch.reverts)
        self.branches[branch] = self.checked_out = made
        return self.commit(made)

    def check(self, patch: Patch, limits: PatchLimits, at: str, since: str | None) -> tuple[list[Change], str]:
        if limits.canary is not None and any(limits.canary in each.content for each in patch.files):
            raise Refused("it holds the canary")
        changed = self._changed(patch, at)
        before = self.commits[at].files
        new = {path: text for path, text in changed.items() if before.get(path) != text}
        return [], "".join(f"--- {path}\n+++ {path}\n-{before.get(path)}\n+{new[path]}\n" for path in sorted(new))

    def _changed(self, patch: Patch, at: str) -> dict[str, str]:
        if why := self.refuse or next(
            (self.unwanted[e.content] for e in patch.files if e.content in self.unwanted), None
        ):
            raise Refused(why)
        files = dict(self.commits[at].files)
        for each in patch.files:
            files[each.path] = each.content
        for undone in patch.reverts:
            if not self.holds_fix(at, undone, ""):
                raise Refused("it is not in the branch")
            gone = self.commits[undone]
            before = self.commits[gone.parent or BASE].files
            changed = [path for path, content in gone.files.items() if content != before.get(path)]
            files = {path: content for path, content in files.items() if path not in changed}
            files |= {path: before[path] for path in changed if path in before}
        if patch.merges is not None:
            files |= self.commits[patch.merges].files
        if files == self.commits[at].files:
            raise Refused("no change")
        return files

    def publish(self, branch: str, head: str, known: str | None) -> Pushed | Diverged:
        if self.remote_gone:
            raise RemoteUnreachable("the remote does not answer")
        if branch in self.diverged:
            return Diverged("has commits on the remote that are not ours")
        self.remote[branch] = head
        return Pushed(head)

    def remote_head(self, branch: str) -> str | None:
        if self.remote_gone:
            raise RemoteUnreachable("the remote does not answer")
        return self.remote.get(branch)

    def list_published(self) -> set[str]:
        if self.remote_gone:
            raise RemoteUnreachable("the remote does not answer")
        return set(self.remote)

    def commit(self, hash: str) -> Commit:
        found = self.commits[hash]
        tree = hashlib.sha1(str(sorted(found.files.items())).encode(), usedforsecurity=False).hexdigest()
        return Commit(hash, tree, found.message.splitlines()[0], START, found.run)

    def contains(self, descendant: str, ancestor: str) -> bool:
        return ancestor in [each.hash for each in self._history(descendant)]

    def holds_fix(self, revision: str, fix: str, run: str) -> bool:
        history = self._history(revision)
        return any(fix in (c.hash, c.copy_of) for c in history) and not self._is_undone(fix, history)

    def took_out_fix(self, revision: str, fix: str, run: str) -> bool:
        history = self._history(revision)
        return any(fix in (c.hash, c.copy_of) for c in history) and self._is_undone(fix, history)

    def _is_undone(self, commit: str, history: "list[FakeCommit]") -> bool:
        return any(commit in c.reverts and not self._is_undone(c.hash, history) for c in history)

    def log(self, since: str, until: str) -> list[Commit]:
        return [self.commit(each.hash) for each in self._history(until) if not self.contains(since, each.hash)]

    def list_unmerged(self, head: str, other: str) -> list[Commit]:
        return self.log(head, other)

    def trace(self, at: str, good: str | None, places: Sequence[Place], seconds: float) -> Trace:
        self.traced.append((at, good, tuple(places)))
        return dataclasses.replace(self.history, since=good)

    def find_words(self, at: str, words: Sequence[str], seconds: float) -> set[str]:
        text = " ".join(self.commits[at].files.values())
        return {word for word in words if re.search(rf"\b{word}\b", text)}

    def url(self, commit: str) -> str | None:
        return f"https://example.org/commit/{commit}"

    def compare_url(self, base: str, branch: str) -> str | None:
        return f"https://example.org/compare/{base}...{branch}"

    def diff(self, commit: str) -> str:
        return f"diff of {commit}"

    def work_tree(self) -> Path:
        return Path("source")

    def subjects(self, commit: str) -> list[str]:
        """Of a commit and those before it, newest first."""
        return [each.message.splitlines()[0] for each in self._history(commit)]

    def _history(self, commit: str | None) -> list[FakeCommit]:
        found = []
        while commit is not None:
            found.append(self.commits[commit])
            commit = self.commits[commit].parent
        return found


class FakeBuilder:
    """Every commit builds, unless its files hold a word of `broken`."""

    def __init__(self, source: FakeSource, clock: FakeClock, folder: Path) -> None:
        self.source = source
        self.clock = clock
        self.folder = folder
        self.broken: dict[str, tuple[Diagnostic, ...]] = {}
        self.archive: dict[str, Manifest] = {}
        self.built: list[str] = []
        self.warmed: list[str] = []
        self.pruned: list[set[str]] = []
        self.fault: str | None = None
        self.unarchived: Exception | None = None  # why what was found cannot be archived
        self.tries = 0  # to archive it

    def build(
        self,
        source: Path,
        commit: str,
        *,
        on_started: Callable[[int, float, str], None],
        on_progress: Callable[[Progress, float | None], None],
        cancelled: threading.Event,
        warm: bool = False,
    ) -> BuildResult:
        (self.warmed if warm else self.built).append(commit)
        on_progress(Progress(1, 2), 1.0)
        errors = [e for text in self.source.commits[commit].files.values() for e in self.broken.get(text, ())]
        if errors or self.fault:
            return BuildResult(commit, 2.0, self.folder / "log", None, tuple(errors), self.fault)
        self.archive[commit] = Manifest(commit, (), commit[:12])
        return BuildResult(commit, 2.0, self.folder / "log", self.archive[commit])

    def archive_found(self) -> Manifest:
        self.tries += 1
        if self.unarchived is not None:
            raise self.unarchived
        self.archive["found-1"] = Manifest("found-1", (), None)
        return self.archive["found-1"]

    def manifest(self, build: str) -> Manifest | None:
        return self.archive.get(build)

    def prune(self, keep: int, protected: Any) -> list[str]:
        self.pruned.append(set(protected))
        return []

    def end_strays(self, children: Any) -> None: ...


class FakeKeeper:
    """A keeper with its server: obeys the wish at once. `bad_builds` says how a build behaves."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.wished: Desired | None = None
        self.wishes: list[Desired] = []
        self.journal: list[Event] = []
        self.now: Observed | None = None
        self.never_ready: set[str] = set()
        self.swap_fault: str | None = None  # why no build can be put in place
        self.starts = 0
        self.slow = False  # a server that is started is ready only once it is told to be
        self.lives = True
        self.halt: Halt | None = None  # who is stopped
        self.stale: Stale | None = None  # what is seen while nothing is reported
        self.revision = BASE[:12]

    def ensure(self) -> bool:
        return False

    def find_elsewhere(self) -> str | None:
        return None

    def desired(self) -> Desired | None:
        return self.wished

    def wish(self, desired: Desired) -> None:
        before, self.wished = self.wished, desired
        self.wishes.append(desired)
        if before is None or self.now is None:
            self.start(desired.build.build if desired.build else None, None)
        elif desired.want is Want.STOPPED:
            if self.now.pid is not None:
                self.end(ExitVerdict.ASKED)
                self.hold(Hold.STOPPED, say_who(desired, "stopped"))
        elif self._is_unplaceable(desired, before):
            return
        elif self._differs(desired, before):
            ahead = desired.next_build if self.now.pid is None else None
            if self.now.pid is not None:
                self.end(ExitVerdict.ASKED)
            elif self.now.hold is not None:
                self.note(EventKind.RELEASED, why=say_who(desired, "started"))
            if ahead is not None:
                self.start(ahead.build, desired.next_deployment)
            else:
                self.start(desired.build.build if desired.build else None, desired.probation)

    def _differs(self, desired: Desired, before: Desired) -> bool:
        runs = self.now.build if self.now else None
        wanted = desired.build and desired.build.build
        return desired.restart != before.restart or (wanted is not None and wanted != (runs or "found-1"))

    def _is_unplaceable(self, desired: Desired, before: Desired) -> bool:
        """Told once for each wish that names another build; what runs plays on."""
        for new, old in ((desired.build, before.build), (desired.next_build, before.next_build)):
            if self.swap_fault is not None and new is not None and new != old:
                self.note(EventKind.SWAP_FAILED, build=new.build, error=self.swap_fault, rolled="back")
                return True
        return False

    def observed(self) -> Observed | None:
        return self.now

    def alive(self) -> bool:
        return self.lives

    def is_current(self, observed: Observed) -> bool:
        return self.lives and self.halt is None

    def find_halt(self) -> Halt | None:
        return self.halt

    def find_stale(self) -> Stale | None:
        return self.stale

    def find_left(self) -> Left | None:
        if self.lives or self.now is None:
            return None
        told = self.journal[-1].kind == EventKind.KEEPER_STOPPED and self.now.pid is None
        return Left(told, self.journal[-1].at, self.now.pid)

    def events(self, after: tuple[str, int] | None) -> list[Event]:
        return [each for each in self.journal if after is None or each.number > after[1]]

    # --- what happens ------------------------------------------------------------------------------------------------

    def note(self, kind: EventKind, **data: Any) -> None:
        """As it comes back from the file: its kind is a text there."""
        noted = Event("k", len(self.journal) + 1, self.clock.now().timestamp(), kind, data)
        self.journal.append(from_json(Event, to_json(noted)))

    def start(self, build: str | None, deployment: str | None) -> None:
        self.starts += 1
        revision = build[:12] if build and not build.startswith("found") else self.revision
        at = self.clock.now().timestamp()
        self.note(EventKind.SPAWNED, pid=self.starts, build=build)
        if build in self.never_ready and self.wished is not None and self.wished.fallback is not None:
            fallback = self.wished.fallback.build
            self.note(EventKind.FELL_BACK, build=fallback, bad=build, deployment=deployment, why="not ready in time")
            self.start(fallback, None)
            return
        self.now = Observed(
            "k", 1, "boot", at, ServerState.READY, self.wished.generation if self.wished else 0, self.starts, at, at,
            at, build, deployment, revision, learned_start=4.0,
        )  # fmt: skip
        if self.slow:
            self.now = dataclasses.replace(self.now, state=ServerState.STARTING, ready_at=None)
        else:
            self.get_ready()

    def get_ready(self) -> None:
        assert self.now is not None
        runs, at = self.now, self.clock.now().timestamp()
        self.now = dataclasses.replace(runs, state=ServerState.READY, ready_at=at)
        seconds = at - (runs.started or at)
        self.note(EventKind.READY, pid=runs.pid, seconds=seconds, build=runs.build, revision=runs.revision)

    def end(self, verdict: ExitVerdict, output: str | None = None, status: int | None = 0) -> None:
        runs = self.now
        if runs is None:
            return
        at = self.clock.now().timestamp()
        end = Exit(
            verdict, at, runs.pid or 0, status, runs.build, runs.revision, runs.generation, 0.0,
            at - (runs.started or at), runs.started or at, output, deployment=runs.deployment,
        )  # fmt: skip
        if verdict is ExitVerdict.ASKED:
            self.note(EventKind.STOPPING, pid=runs.pid, why="wish", rung="signal")
        self.note(EventKind.EXITED, **dataclasses.asdict(end))
        self.now = dataclasses.replace(runs, state=ServerState.ABSENT, pid=None, ready_at=None, last_exit=end)

    def crash(self, name: str) -> None:
        """Dies of `name` and is up again at once: with the build that stands by, where one does."""
        runs = self.now
        self.end(ExitVerdict.CRASH, name, -11)
        standby = self.wished.next_build if self.wished else None
        if standby is not None and self.wished is not None:
            self.start(standby.build, self.wished.next_deployment)
        else:
            self.start(runs.build if runs else None, runs.deployment if runs else None)

    def give_up(self, output: Path, after: float = 60.0) -> None:
        """A start ends with exit code 1 before it is ready; the next try is `after` seconds from now."""
        now = self.clock.now().timestamp()
        self.starts += 1
        self.note(EventKind.SPAWNED, pid=self.starts, build=None)
        end = Exit(
            ExitVerdict.STARTUP_ERROR, now, self.starts, 1, None, None, 1, None, 0.1, now, str(output)
        )  # fmt: skip
        self.note(EventKind.EXITED, **dataclasses.asdict(end))
        self.back_off(end, now + after)

    def start_late(self, detail: str, *, trial: bool = False) -> None:
        """A start that has not said that it is ready in its time, and goes on."""
        at = self.clock.now().timestamp()
        self.starts += 1
        self.note(EventKind.SPAWNED, pid=self.starts, build=None)
        assert self.now is not None
        self.now = dataclasses.replace(
            self.now, state=ServerState.STARTING, pid=self.starts, started=at, ready_at=None, last_exit=None
        )
        self.note(EventKind.READY_TIMEOUT, pid=self.starts, seconds=900.0, build=None, trial=trial, detail=detail)

    def fail_to_spawn(self, error: str, after: float = 60.0) -> None:
        """There is not even a process."""
        self.note(EventKind.SPAWN_FAILED, error=error, build=None, generation=1)
        self.back_off(None, self.clock.now().timestamp() + after)

    def be_between_lives(self, state: ServerState) -> None:
        """No process at this moment, and the next start comes by itself."""
        assert self.now is not None
        self.now = dataclasses.replace(self.now, state=state, pid=None, started=None, ready_at=None)

    def back_off(self, end: Exit | None, next_start: float) -> None:
        assert self.now is not None
        self.now = dataclasses.replace(
            self.now, state=ServerState.BACKOFF, pid=None, started=None, ready_at=None, next_start=next_start,
            last_exit=end,
        )  # fmt: skip

    def hold(self, why: Hold, detail: str = "") -> None:
        assert self.now is not None
        self.now = dataclasses.replace(self.now, state=ServerState.HELD, hold=why, hold_detail=detail, pid=None)
        self.note(EventKind.HELD, why=why, detail=detail)


class FakeReader:
    """A crash is what its `output` names; names that begin with `port` are the environment's."""

    def read_name(self, name: str) -> Signature:
        return Signature(f"access violation | {name}", f"access violation | {name} | main", 1)

    def read(self, evidence: ExitEvidence) -> CrashReport:
        name = str(evidence.output)
        signature = self.read_name(name)
        frames = (Frame(name, "src/Map.cpp", 132),)
        environment = name.startswith("port")
        return CrashReport(
            ReportKind.CORE, "environment" if environment else "access violation", frames=frames, crashing_frame=0,
            signature=signature, environment=environment, cure="free the port" if environment else None,
        )  # fmt: skip


class FakeAnalyst:
    """Requests and answers in memory; an answer lies there until it is filed away."""

    def __init__(self) -> None:
        self.requests: dict[str, dict[str, Any]] = {}
        self.lying: list[Answer] = []
        self.completed: list[Answer] = []
        self.rejected: list[Answer] = []
        self.stuck: str | None = None  # why nothing can be moved
        self.has_command = False
        self.command_answer: Patch | None = None  # None = the command fails
        self.commanded: list[str] = []
        self.pruned: tuple[set[str], set[str]] | None = None  # what was last said to be over, and what was not
        self.thinks = False  # the command goes on until it is ended
        self.thinking = threading.Event()

    def ask(self, request_id: str, request: dict[str, object]) -> Path:
        self.requests[request_id] = dict(request)
        return Path(f"request_{request_id}.json")

    def request_path(self, request_id: str) -> Path:
        return Path(f"request_{request_id}.json")

    def answers(self) -> list[Answer]:
        return list(self.lying)

    def file_away(self, answer: Answer, used: bool) -> None:
        if self.stuck is not None:
            return
        self.lying.remove(answer)
        (self.completed if used else self.rejected).append(answer)

    def create(self) -> None: ...

    def prune(self, over: Collection[str], unfinished: Collection[str]) -> None:
        self.pruned = {*over}, {*unfinished}

    def remove_leftovers(self) -> None: ...

    def run_command(self, work: AnalystWork) -> AnalystFailed | None:
        self.commanded.append(work.request_id)
        if self.thinks:
            self.thinking.set()
            assert work.cancelled.wait(30), "nobody ended the command"
            return AnalystFailed("it was taken back")
        if self.command_answer is None:
            return AnalystFailed("it ended with code 1")
        response = Response(work.request_id, Analysis(summary="A cause."), self.command_answer)
        self.lying.append(Answer(Path("response.json"), f"by {work.request_id}", response, None, work.request_id))
        return None


class FakeConsole:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.deaf = False
        self.meanwhile: Callable[[], object] = lambda: None  # what happens while it saves

    def execute(self, command: str) -> str:
        if command == "saveall":
            self.meanwhile()
        if self.deaf:
            raise ConsoleUnavailable("no answer")
        self.said.append(command)
        return ""


class FakePlayers:
    def __init__(self) -> None:
        self.online: int | None = 0
        self.listeners: dict[int, Listener] = {}  # port -> who has it

    def count(self, pid: int) -> int | None:
        return self.online

    def find_listener(self, port: int) -> Listener | None:
        return self.listeners.get(port)


@dataclass
class World:
    """All of it, with a real database."""

    folder: Path
    realm_changes: dict[str, Any] = field(default_factory=dict)
    database: str | None = None  # an empty one; None = SQLite in `folder`
    real_reader: CrashReader | None = None  # instead of the fake one
    patience: float = PATIENCE  # seconds for a lock of the database

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.source = FakeSource()
        self.builder = FakeBuilder(self.source, self.clock, self.folder)
        self.keeper = FakeKeeper(self.clock)
        self.analyst = FakeAnalyst()
        self.console = FakeConsole()
        self.players = FakePlayers()
        self.reader = FakeReader()
        self.engine = self._open(self.database or f"sqlite:///{self.folder / 'world.sqlite'}")
        metadata.create_all(self.engine)
        realm = Realm(
            "Test realm",
            self.folder,
            self.folder / "checkout",
            self.folder / "server",
            ("./worldserver",),
            timezone=UTC,
        )
        self.realm = dataclasses.replace(realm, **self.realm_changes)
        self.store = self._make_store()
        self.tools = Tools(
            self.realm, self.store, self.source, self.builder, self.keeper, self.console, self.analyst, self.players,
            self.real_reader or self.reader, self.clock, lambda text: text.replace("hunter2", "***"),
        )  # fmt: skip
        self.tools.prepared.set()
        self.runner = Runner(self.tools, lambda: None, fatal=True)
        self.orders = Orders(self.tools, lambda: None, self.runner.cancel)
        self.ledger = Ledger(self.tools)

    def _open(self, url: str) -> Engine:
        return share_statements(open_engine(url, self.patience))

    def _make_store(self) -> Store:
        return Store(self.engine, Codec(report_to_plain, report_from_plain), lambda at: policy.night_of(at, UTC))

    # --- what happens ------------------------------------------------------------------------------------------------

    async def start(self) -> "World":
        await self.settle()
        await self.pass_time(seconds=10)
        return self

    def reopen(self) -> None:
        """The same with another connection to the database, as a new life has it."""
        self.engine.dispose()
        self.engine = self._open(str(self.engine.url))
        self.store = self._make_store()
        self.tools = dataclasses.replace(self.tools, store=self.store)
        self.restart()

    def restart(self) -> None:
        """The bot is killed and started again: nothing is left of it but the world and the database."""
        self.runner = Runner(self.tools, lambda: None, fatal=True)
        self.orders = Orders(self.tools, lambda: None, self.runner.cancel)

    async def settle(self) -> None:
        await self.runner.settle()

    async def pass_time(self, **spans: float) -> None:
        self.clock.time += timedelta(**spans)
        await self.settle()

    async def crash(self, name: str) -> Run:
        """The server dies of it; the newest run of that crash."""
        await self.die(name)
        return self.runs(name)[-1]

    async def die(self, name: str) -> None:
        """Of what nobody may be asked about."""
        self.clock.time += timedelta(seconds=1)
        self.keeper.crash(name)
        await self.settle()

    async def crash_until_all_go_live(self, patches: dict[str, Patch]) -> list[Run]:
        """Crashes of these names, each answered; players hold their builds back until all are made, and one deployment
        brings them (MAX_PLAYERS_FOR_RESTART is 0)."""
        runs = [await self.crash(name) for name in patches]
        self.players.online = 3
        for run, patch in zip(runs, patches.values(), strict=True):
            await self.answer(run, patch)
        self.players.online = 0
        await self.pass_time(minutes=1)
        return [self.expect(run, RunState.VERIFYING) for run in runs]

    async def answer(
        self, run: Run, patch: Patch | None, *, summary: str = "A cause.", prose: str | None = None
    ) -> Run:
        """An analyst answers the open request of the run."""
        request = self.get(run).request_id or ""
        shape = "C" if patch is None else "ours"
        response = Response(request, Analysis(summary=summary, confidence="high"), patch, prose, shape)
        digest = hashlib.sha256(f"{request}{patch}{prose}".encode()).hexdigest()
        self.analyst.lying.append(Answer(Path(f"response_{request}.json"), digest, response, None, request))
        await self.settle()
        return self.get(run)

    # --- what is seen ------------------------------------------------------------------------------------------------

    def get(self, run: Run) -> Run:
        found = self.store.get_run(run.id)
        assert found is not None
        return found

    def runs(self, name: str | None = None) -> list[Run]:
        found = self.store.list_runs_in(*RunState)
        return [run for run in found if name is None or run.subject == name]

    def expect(self, run: Run, state: RunState) -> Run:
        found = self.get(run)
        assert found.state is state, f"{found.state}: {found.reason}; {self.store.history(run.id)}"
        return found

    @property
    def running(self) -> str | None:
        return self.keeper.now.build if self.keeper.now else None

    def posts(self) -> list[Post]:
        """Everything that was said beside the cards, as if every card had its thread."""
        for card in self.store.list_dirty_cards():
            self.store.card_delivered(card.card, 0, "1", "1")
        return self.store.list_pending_posts(self.clock.now())

    def wish_json(self) -> str:
        assert self.keeper.wished is not None
        return to_json(self.keeper.wished)


def edit(path: str, search: str, replace: str) -> Patch:
    return Patch(edits=(Edit(path, search, replace),))
