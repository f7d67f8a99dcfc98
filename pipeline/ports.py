"""The seams: what has a real form and a fake one. Everything here is synchronous and may block; the runner calls it in
a thread. Whatever waits has a timeout of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from pipeline.keeper.protocol import Desired, Event, Manifest, Observed
from pipeline.model import BuildResult, Change, Commit, CrashReport, Patch, Progress, Response
from pipeline.status_models import Left, Stale
from pipeline.traces import Place, Trace

OnStarted = Callable[[int, float, str], None]  # pid, create time (seconds since the epoch), what it is


@dataclass(frozen=True)
class Pushed:
    head: str


@dataclass(frozen=True)
class Diverged:
    """The branch on the remote has what ours lacks, or vanished after we had pushed it."""

    detail: str


class Source(Protocol):
    """Our own clone. The user's checkout is only ever read."""

    def prepare(self) -> None:
        """Clones where there is no clone, ends what our own killed git left (locks), fetches from the checkout.
        Raises SourceUnusable, RemoteUnreachable."""

    def resolve(self, revision: str) -> str | None:
        """The full hash of a (short) hash, branch or `HEAD`, None where it is not in the repository. What our clone
        lacks is fetched: from the checkout, and from the night branches of the remote."""

    def base_head(self) -> str:
        """The head of SOURCE_BASE_BRANCH in the checkout, fetched into our clone."""

    def find_base_branch(self) -> str | None:
        """The name of that branch; None = none is set, and the checkout's HEAD is on none."""

    def begin(self, branch: str, base: str) -> None:
        """Makes the branch at base unless it exists, and checks it out. Idempotent."""

    def restore(self, branch: str, head: str) -> None:
        """Our clone is exactly at head on branch: index, work tree, nothing untracked."""

    def stand_on(self, commit: str) -> None:
        """The work tree is exactly this commit's, on no branch: for the warm build."""

    def head(self, branch: str) -> str | None:
        """The head of a local branch."""

    def find_run(self, branch: str, above: str, run: str) -> Commit | None:
        """The commit above `above` on the branch that carries `Run: <run>`."""

    def apply(self, patch: Patch, message: str, limits: PatchLimits, since: str | None) -> Commit:
        """Applies to the checked-out branch and commits. `since` = the commit the analyst saw.
        Raises Refused (nothing written; the clone is as before)."""

    def check(self, patch: Patch, limits: PatchLimits, at: str, since: str | None) -> tuple[list[Change], str]:
        """What the patch would change at a commit, and as a unified diff; writes nothing. Raises Refused."""

    def publish(self, branch: str, head: str, known: str | None) -> Pushed | Diverged:
        """Pushes fast-forward only; idempotent. `known` = what we last pushed there (None = nothing yet).
        Raises RemoteUnreachable."""

    def remote_head(self, branch: str) -> str | None:
        """What the remote has under this name just now, None also where there is no remote.
        Raises RemoteUnreachable."""

    def list_published(self) -> set[str]:
        """The night branches that the remote has just now. Raises RemoteUnreachable."""

    def commit(self, hash: str) -> Commit: ...

    def contains(self, descendant: str, ancestor: str) -> bool:
        """Whether `ancestor` is in the history of `descendant` (or is it)."""

    def holds_fix(self, revision: str, fix: str, run: str) -> bool:
        """Whether a binary of `revision` has the fix (ancestor, `Run:` trailer or patch-id) and no revert of it."""

    def took_out_fix(self, revision: str, fix: str, run: str) -> bool:
        """Whether a binary of `revision` had the fix, in one of these ways, and has a revert of it."""

    def log(self, since: str, until: str) -> list[Commit]:
        """Commits after `since` up to `until`, newest first."""

    def list_unmerged(self, head: str, other: str) -> list[Commit]:
        """Commits of `other` that the files at `head` lack, newest first: they are not in its history, or the merge
        that brought them was undone."""

    def trace(self, at: str, good: str | None, places: Sequence[Place], seconds: float) -> Trace:
        """Who changed these places of a crashed commit last, what changed since a good one, and which fixes of ours are
        in it, as far as that can be told in so many seconds. Raises SourceUnusable where there is no such commit."""

    def find_words(self, at: str, words: Sequence[str], seconds: float) -> set[str]:
        """Those of these identifiers that stand in a source file of a commit. Raises SourceUnusable where there is no
        such commit, GitTimedOut where it takes longer."""

    def url(self, commit: str) -> str | None:
        """The commit's page, None where the remote has none."""

    def compare_url(self, base: str, branch: str) -> str | None:
        """The page of what a branch has above a commit, None where the remote has none."""

    def diff(self, commit: str) -> str:
        """The commit as a unified diff against its first parent."""

    def work_tree(self) -> Path:
        """Where builds read from."""


@dataclass(frozen=True)
class PatchLimits:
    """What policy allows of a patch."""

    allowed: tuple[str, ...] = ("src/**",)
    denied: tuple[str, ...] = ()
    max_files: int = 10
    max_lines: int = 400
    secrets: tuple[str, ...] = field(default=(), repr=False)  # values of settings that no file may gain
    canary: str | None = None  # of the request that is answered: it stands in its data, and belongs into no file


@dataclass(frozen=True)
class FileChange:
    """What a patch would make of one file: what is judged before anything is written."""

    path: str
    old_mode: str | None  # git's, "100644"; None = a new file
    new_mode: str | None  # None = deleted
    old: bytes | None  # as in the repository
    new: bytes | None
    added: int  # lines
    removed: int  # lines


class Review(Protocol):
    """What the source asks before it writes; `pipeline.policy` is it."""

    def check_paths(self, paths: Iterable[str], tree: Mapping[str, str], limits: PatchLimits) -> None:
        """Whether a patch may name these paths in a tree (path -> git's mode). Raises Refused."""

    def check_changes(self, changes: Sequence[FileChange], limits: PatchLimits) -> None:
        """Whether these changes may be committed. Raises Refused."""

    def check_size(self, path: str, size: int) -> None:
        """Whether a file of that many bytes may be written. Raises Refused."""


class Builder(Protocol):
    def build(
        self,
        source: Path,
        commit: str,
        *,
        on_started: OnStarted,
        on_progress: Callable[[Progress, float | None], None],  # progress, seconds left where they can be told
        cancelled: threading.Event,
        warm: bool = False,
    ) -> BuildResult:
        """Configures when needed, compiles, archives into builds/<commit>/. A commit that is archived already is
        answered from its manifest. Raises Cancelled, ToolMissing, Obstructed (no fault of the commit)."""

    def archive_found(self) -> Manifest:
        """Archives the executable that lies in SERVER_DIR, with its symbols, as build `found-<sha256>`; idempotent."""

    def manifest(self, build: str) -> Manifest | None:
        """A build that is archived and complete."""

    def prune(self, keep: int, protected: Iterable[str]) -> list[str]:
        """Removes the oldest archived builds beyond `keep`, never a protected one; the names that went."""

    def end_strays(self, children: Iterable[tuple[int, float]]) -> None:
        """Ends what still runs of builds begun by an earlier life of the bot (pid, create time; and our mark)."""


class Halted(StrEnum):
    KEEPER = "keeper"  # it lives and does nothing, or nothing for us
    SERVER = "server"  # it lives and nobody can play on it


@dataclass(frozen=True)
class Halt:
    """A process that holds what it holds and does nothing."""

    who: Halted
    detail: str  # what that means, and the cure


class Keeper(Protocol):
    """The bot's end of the keeper's files."""

    def ensure(self) -> bool:
        """Starts a keeper where none lives; whether one had to be started."""

    def desired(self) -> Desired | None:
        """The last wish that was written."""

    def wish(self, desired: Desired) -> None: ...

    def observed(self) -> Observed | None:
        """None while no keeper has ever reported, or its file is not readable."""

    def alive(self) -> bool:
        """Whether a keeper holds its lock."""

    def is_current(self, observed: Observed) -> bool:
        """Whether what was observed is what is: a keeper of ours goes on, and so does the server that it saw."""

    def find_elsewhere(self) -> str | None:
        """Who of this state folder works in another SERVER_DIR, and what to do; None = nobody does."""

    def find_halt(self) -> Halt | None:
        """Whom somebody has stopped, or taken away from us; None = everybody goes on."""

    def find_stale(self) -> Stale | None:
        """What can be seen where a keeper lives and what it reported last is not what is; None = it is, or somebody
        has stopped one of them."""

    def find_left(self) -> Left | None:
        """What the last keeper has left; None = one lives, or there never was one."""

    def events(self, after: tuple[str, int] | None) -> list[Event]:
        """Events behind the given (keeper, number), in the order of the file; None = all of them."""


class Console(Protocol):
    """The server's own console. Raises ConsoleUnavailable."""

    def execute(self, command: str) -> str: ...


@dataclass(frozen=True)
class Answer:
    """A complete response file (or the outcome of ANALYST_COMMAND)."""

    path: Path
    digest: str  # sha256 of its content
    response: Response | None  # None = it cannot be used
    fault: str | None = None  # why not, in a sentence
    request_id: str | None = None  # as far as it can be told, also where the response cannot be used


@dataclass(frozen=True)
class AnalystFailed:
    reason: str


@dataclass(frozen=True)
class AnalystWork:
    """What ANALYST_COMMAND needs beside the request file."""

    request_id: str
    request: Path
    base_commit: str
    on_started: OnStarted
    cancelled: threading.Event = field(default_factory=threading.Event)


class Analyst(Protocol):
    def ask(self, request_id: str, request: dict[str, object]) -> Path:
        """Writes `requests/request_<id>.json` (temporary name, rename); idempotent."""

    def request_path(self, request_id: str) -> Path:
        """Where the request of an id lies, or would lie."""

    def answers(self) -> list[Answer]:
        """Every response that lies there complete, oldest first; half-written ones are left until they are quiet."""

    def file_away(self, answer: Answer, used: bool) -> None:
        """Moves the response to `completed/` or `rejected/`; never overwrites. One that cannot be moved comes again."""

    @property
    def stuck(self) -> str | None:
        """Why no response can be read, or what was judged and could not be moved, with the cure; None = nothing."""

    def create(self) -> None:
        """Makes the queue's folders. Raises TransientError."""

    def prune(self, over: Collection[str], unfinished: Collection[str]) -> None:
        """Removes what the queue need not keep any more, by ids of runs: `over` are those that are over."""

    def remove_leftovers(self) -> None:
        """What an earlier life's ANALYST_COMMAND left behind; its children are ended by then."""

    @property
    def has_command(self) -> bool: ...

    def run_command(self, work: AnalystWork) -> AnalystFailed | None:
        """Runs ANALYST_COMMAND in a scratch clone; what it found lies as a response file afterwards."""


@dataclass(frozen=True)
class Listener:
    """A process that has a port."""

    pid: int
    name: str


class Players(Protocol):
    def count(self, pid: int) -> int | None:
        """Established connections on the world port of the server; None where it cannot be told."""

    def find_listener(self, port: int) -> Listener | None:
        """Who listens on a port of this machine, as far as this user may see it."""


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, UTC."""

    def monotonic(self) -> float:
        """Seconds."""


@dataclass(frozen=True)
class ExitEvidence:
    """What one end of the server left behind."""

    status: int | None
    output: Path | None
    log: Path | None
    core: Path | None
    executable: Path | None
    started: float
    at: float
    reports: tuple[Path, ...] = ()  # new files of SERVER_CRASH_DIRS
    pid: int | None = None  # of the process, where it was the server itself


class CrashReader(Protocol):
    def read(self, evidence: ExitEvidence) -> CrashReport:
        """One report from all that a crash left; never raises on any content. Raises Obstructed."""
