"""What must hold of a realm's history, whatever was done to it. It reads what is left behind and names what is broken.

    broken(gather(site, looks, messages)) == []

It imports nothing of the bot: the invariants are DESIGN.md's, the words those of the files, tables and messages that
anybody can read. `gather` reads a realm on the disk; `broken` only judges, so that it is tested with histories that are
wrong on purpose (`tests/unit/test_checker.py`): a checker that finds nothing must be known to find something.
"""

import json
import re
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]

_NIGHT_BRANCH = re.compile(r"overnight-\d{8}(-\d+)?")
_COMMIT = "%H%x09%(trailers:key=Run,valueonly,separator=%x2C)%x09%s"
_TABLES = ("runs", "run_events", "events", "crashes", "builds", "deployments", "branches", "posts", "cards", "audit")
_AT_REST = {
    "SUCCEEDED", "ROLLED_BACK", "FAILED", "CANCELLED", "PROPOSED", "ANALYZING", "READY", "AWAITING_APPROVAL",
    "AWAITING_DEPLOYMENT",
}  # fmt: skip
_CHANGING = {"PATCHING", "BUILDING", "PUBLISHING"}
_DEPLOYED = {"DEPLOYING", "VERIFYING", "ROLLING_BACK"}
_WRITTEN = timedelta(seconds=2)  # between an order that was done and its row of the audit
_CRASHES = {"crash", "hang_at_stop"}  # verdicts of an exit that are reports


@dataclass(frozen=True)
class Look:
    """The process table at one moment: pids by what they are."""

    servers: tuple[int, ...]
    keepers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Push:
    """One line of the remote's own book."""

    branch: str
    forward: bool
    deleted: bool = False


@dataclass(frozen=True)
class Commit:
    """One commit of ours on a night branch of the remote: it names its run."""

    hash: str
    branch: str
    subject: str
    run: str
    below: frozenset[str] = frozenset()
    # all of ours that it contains, itself left out


@dataclass(frozen=True)
class Message:
    """One message of the bot in the channel: its number is that of its footer."""

    kind: str
    # "c" for a card, "p" for a post
    number: int
    words: str
    thread: str | None = None


@dataclass(frozen=True)
class History:
    looks: Sequence[Look] = ()
    journal: Sequence[Row] = ()
    # the keeper's events, as they stand in its file: keeper, number, kind, at and the data
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    pushes: Sequence[Push] = ()
    commits: Sequence[Commit] = ()
    # on the remote's night branches, each once
    messages: Sequence[Message] = ()
    observed: Row = field(default_factory=dict)
    # the keeper's last word
    archived: frozenset[str] = frozenset()
    # builds that have a folder in the archive
    alive: bool = True
    # whether the server ran when this was gathered

    def rows(self, table: str) -> Sequence[Row]:
        return self.tables.get(table, ())


def broken(history: History) -> list[str]:
    """Every invariant that does not hold, in words; empty = all hold."""
    return [f"{invariant.__name__}: {what}" for invariant in INVARIANTS for what in invariant(history)]


# --- processes -------------------------------------------------------------------------------------------------------


def one_server_at_a_time(history: History) -> Iterator[str]:
    for look in history.looks:
        if len(look.servers) > 1:
            yield f"servers {look.servers} ran at once"
            return


def no_start_over_a_living_server(history: History) -> Iterator[str]:
    """Between two starts the first one was seen to end, by whichever keeper lived then."""
    living: int | None = None
    for event in history.journal:
        if event["kind"] == "spawned":
            if living is not None:
                yield f"{event['data']['pid']} was started while {living} was not seen to end"
            living = event["data"]["pid"]
        elif event["kind"] == "adopted":
            living = event["data"]["pid"]
        elif event["kind"] == "exited" and event["data"]["pid"] == living:
            living = None


def a_server_runs_or_the_hold_is_told(history: History) -> Iterator[str]:
    if history.alive:
        return
    hold = history.observed.get("hold")
    if not hold:
        yield "no server runs and nothing holds it"
    elif not any("held" in message.words.lower() or "stays down" in message.words.lower()
                 for message in history.messages):  # fmt: skip
        yield f"the server is held ({hold}) and the channel was not told"


def what_runs_is_archived(history: History) -> Iterator[str]:
    build = history.observed.get("build")
    if history.alive and build and not any(name.startswith(build) or build.startswith(name)
                                           for name in history.archived):  # fmt: skip
        yield f"{build} runs and is not in the archive"


# --- crashes ---------------------------------------------------------------------------------------------------------


def each_crash_is_counted_once(history: History) -> Iterator[str]:
    told = Counter((event["keeper"], event["number"]) for event in history.journal
                   if event["kind"] == "exited" and event["data"]["verdict"] in _CRASHES)  # fmt: skip
    counted = Counter((row["keeper"], row["number"]) for row in history.rows("crashes") if row["keeper"] != "file")
    for key in told - counted:
        yield f"the death {key} is in no row"
    for key, times in counted.items():
        if times > 1:
            yield f"the death {key} is counted {times} times"


def each_event_is_taken_once(history: History) -> Iterator[str]:
    told = [(event["keeper"], event["number"]) for event in history.journal]
    for key, times in Counter(told).items():
        if times > 1:
            yield f"the keeper wrote event {key} {times} times"
    taken = {(row["keeper"], row["number"]) for row in history.rows("events")}
    for key in sorted(set(told) - taken):
        yield f"the keeper's event {key} was never read"


# --- runs ------------------------------------------------------------------------------------------------------------


def a_run_goes_from_state_to_state(history: History) -> Iterator[str]:
    last: dict[str, str] = {}
    for row in sorted(history.rows("run_events"), key=lambda row: int(row["id"])):
        if row["before"] != last.get(row["run"]):
            yield f"run {row['run']} went from {row['before']} but was {last.get(row['run'])}"
        last[row["run"]] = row["after"]
    for row in history.rows("runs"):
        if row["state"] != last.get(row["id"]):
            yield f"run {row['id']} is {row['state']} and its history ends with {last.get(row['id'])}"


def a_run_ends_or_waits(history: History) -> Iterator[str]:
    for row in history.rows("runs"):
        if row["state"] not in _AT_REST:
            yield f"run {row['id']} is left in {row['state']}"


def one_change_and_one_deployment_at_a_time(history: History) -> Iterator[str]:
    changing: set[str] = set()
    for row in sorted(history.rows("run_events"), key=lambda row: int(row["id"])):
        changing.discard(row["run"])
        if row["after"] in _CHANGING:
            changing.add(row["run"])
        if len(changing) > 1:
            yield f"runs {sorted(changing)} changed the clone at once"
            return
    spans = sorted((row["wished_at"], row["over_at"] or "9") for row in history.rows("deployments")
                   if row["wished_at"])  # fmt: skip
    for (_, over), (begun, _) in pairwise(spans):
        if begun < over:
            yield f"a deployment began at {begun}, before the one of before was over at {over}"


def paused_stays_paused(history: History) -> Iterator[str]:
    """While paused, by a person or by a rollback, nothing begins but what a person ordered and the rollback's own
    revert; and nothing goes live but what was ordered, with what its build contains."""
    ordered = list_ordered(history)
    own = {row["id"] for row in history.rows("runs") if row["kind"] == "revert"}
    passing = {"PATCHING": ordered | own, "DEPLOYING": list_brought_by_order(history, ordered)}
    pauses = list(_pauses(history))
    for row in history.rows("run_events"):
        begins = row["before"] in ("READY", "AWAITING_DEPLOYMENT") and row["after"] in passing
        if begins and row["run"] not in passing[row["after"]] and _is_within(row["at"], pauses):
            yield f"run {row['run']} went to {row['after']} while paused"


def list_ordered(history: History) -> set[str]:
    """Runs that a person began, or for which one pressed Deploy now."""
    pressed = {row["arguments"] for row in history.rows("audit") if row["command"] == "deploy"}
    return {row["id"] for row in history.rows("runs") if row["asked_by"] or row["id"] in pressed}


def list_brought_by_order(history: History, ordered: set[str]) -> set[str]:
    """These, where it was their build that went live, and the runs that it contains."""
    below = {commit.hash: commit.below for commit in history.commits}
    brought = set()
    for deployment in history.rows("deployments"):
        build = deployment["build"]
        carried = [row for row in history.rows("runs") if row["deployment"] == deployment["id"]]
        if any(row["id"] in ordered and row["commit"] == build for row in carried):
            brought |= {row["id"] for row in carried if row["commit"] in {build, *below.get(build, ())}}
    return brought


def _pauses(history: History) -> Iterator[tuple[datetime, datetime]]:
    """From its beginning to shortly before the audit has its end, which is written down when it was done: what begins
    then follows from it. An order to pause that was not carried out is none."""
    rows = [row for row in history.rows("audit") if row["command"] != "pause" or row.get("outcome", "done") == "done"]
    given = [(row["at"], row["command"]) for row in rows if row["command"] in ("pause", "resume")]
    own = [(row["at"], "pause") for row in history.rows("run_events") if row["after"] == "ROLLED_BACK"]
    since: datetime | None = None
    for at, what in sorted([*given, *own]):
        if what == "pause":
            since = since or datetime.fromisoformat(at)
        elif since is not None:
            yield since, datetime.fromisoformat(at) - _WRITTEN
            since = None
    if since is not None:
        yield since, datetime.max


def _is_within(at: str, spans: Sequence[tuple[datetime, datetime]]) -> bool:
    moment = datetime.fromisoformat(at)
    return any(begin < moment < end for begin, end in spans)


def nothing_is_called_done_that_was_not_seen(history: History) -> Iterator[str]:
    """A fix that succeeded is on the remote or owed to it, its build is there, and a server of it was ready."""
    ready = {event["data"].get("build") for event in history.journal if event["kind"] in ("ready", "adopted")}
    if None in ready:  # what lay there before us runs under no name of ours
        ready |= {row["build"] for row in history.rows("builds") if row["build"].startswith("found-")}
    remote = {commit.hash for commit in history.commits}
    owed = {row["head"] for row in history.rows("branches") if row["owed_since"]}
    built = {row["commit"] for row in history.rows("builds") if row["state"] == "built"}
    for row in history.rows("runs"):
        if row["state"] != "SUCCEEDED" or not row["commit"] or row["kind"] == "update":
            continue
        if row["commit"] not in built:
            yield f"run {row['id']} succeeded and {row['commit']} was never built"
        if row["commit"] not in remote and not owed:
            yield f"run {row['id']} succeeded and {row['commit']} is not on the remote"
        carried = {each["build"] for each in history.rows("deployments") if each["id"] == row["deployment"]}
        if not (carried or same_content(history, row["commit"])) & ready:
            yield f"run {row['id']} succeeded and no server of {sorted(carried)} was ever ready"


def same_content(history: History, commit: str) -> set[str]:
    """Builds of the same files: where one of them runs already, nothing is deployed."""
    trees = {row["build"]: row["tree"] for row in history.rows("builds")}
    return {build for build, tree in trees.items() if tree and tree == trees.get(commit)}


# --- git -------------------------------------------------------------------------------------------------------------


def pushes_go_forward_on_night_branches_only(history: History) -> Iterator[str]:
    for push in history.pushes:
        if not _NIGHT_BRANCH.fullmatch(push.branch):
            yield f"{push.branch} was pushed"
        if push.deleted:
            yield f"{push.branch} was deleted"
        elif not push.forward:
            yield f"{push.branch} was forced"


def only_what_has_built_is_on_the_remote(history: History) -> Iterator[str]:
    built = {row["commit"] for row in history.rows("builds") if row["state"] == "built"}
    for commit in history.commits:
        if commit.hash not in built:
            yield f"{commit.hash} ({commit.subject}) is on {commit.branch} and was never built"


def each_commit_belongs_to_its_run(history: History) -> Iterator[str]:
    """A run commits once an attempt, and only a first answer that did not build is followed by another."""
    known = {row["id"] for row in history.rows("runs")}
    for commit in history.commits:
        if commit.run not in known:
            yield f"{commit.hash} ({commit.subject}) names run {commit.run}, which is none"
    for (branch, run), times in Counter((commit.branch, commit.run) for commit in history.commits).items():
        if times > 1:
            yield f"run {run} has {times} commits on {branch}"


# --- the channel -----------------------------------------------------------------------------------------------------


def each_message_is_there_once(history: History) -> Iterator[str]:
    seen = Counter((message.kind, message.number) for message in history.messages if message.kind)
    for (kind, number), times in seen.items():
        if times > 1:
            yield f"{kind}{number} is in the channel {times} times"
    for table, kind in (("cards", "c"), ("posts", "p")):
        for row in history.rows(table):
            if (kind, row["id"]) not in seen:
                yield f"{kind}{row['id']} was never delivered"


INVARIANTS: tuple[Callable[[History], Iterator[str]], ...] = (
    one_server_at_a_time,
    no_start_over_a_living_server,
    a_server_runs_or_the_hold_is_told,
    what_runs_is_archived,
    each_crash_is_counted_once,
    each_event_is_taken_once,
    a_run_goes_from_state_to_state,
    a_run_ends_or_waits,
    one_change_and_one_deployment_at_a_time,
    paused_stays_paused,
    nothing_is_called_done_that_was_not_seen,
    pushes_go_forward_on_night_branches_only,
    only_what_has_built_is_on_the_remote,
    each_commit_belongs_to_its_run,
    each_message_is_there_once,
)


# --- gathering -------------------------------------------------------------------------------------------------------


def gather(
    state: Path, remote: Path, base: str, *, looks: Sequence[Look], messages: Sequence[Message], alive: bool
) -> History:
    """What a realm leaves behind: `state` = the state folder, `base` = the commit that the night began with."""
    observed = state / "observed.json"
    return History(
        looks=looks,
        journal=read_journal(state / "events.jsonl"),
        tables=read_tables(state / "spirit-healer.sqlite"),
        pushes=read_pushes(remote),
        commits=read_commits(remote, base),
        messages=messages,
        observed=json.loads(observed.read_text(encoding="utf-8")) if observed.exists() else {},
        archived=frozenset(each.name for each in (state / "builds").iterdir()),
        alive=alive,
    )


def read_journal(path: Path) -> list[Row]:
    """Whole lines only: a line that a kill cut short is written again. What it holds no more is in the older file."""
    files = [each for each in (path.with_name(f"{path.name}.1"), path) if each.exists()]
    lines = [line for each in files for line in each.read_text(encoding="utf-8").splitlines()]
    return [found for line in lines if (found := _parse(line)) is not None]


def _parse(line: str) -> Row | None:
    try:
        found: Row = json.loads(line)
    except ValueError:
        return None
    return found


def read_tables(path: Path) -> dict[str, list[Row]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
        database.row_factory = sqlite3.Row
        return {name: [dict(row) for row in database.execute(f"select * from {name}")] for name in _TABLES}  # noqa: S608 (our own names)


def read_pushes(remote: Path) -> list[Push]:
    """From the book that a hook of the remote keeps: `old new ref`, a line each."""
    book = remote / "pushes.txt"
    found = []
    for line in book.read_text(encoding="utf-8").splitlines() if book.exists() else ():
        old, new, name = line.split(" ")
        begun, deleted = set(old) == {"0"}, set(new) == {"0"}
        forward = begun or (not deleted and _git_ok(remote, "merge-base", "--is-ancestor", old, new))
        found.append(Push(name.removeprefix("refs/heads/"), forward, deleted))
    return found


def read_commits(remote: Path, base: str) -> list[Commit]:
    found: dict[str, Commit] = {}
    for branch in _git(remote, "for-each-ref", "--format=%(refname:short)", "refs/heads/overnight-*").splitlines():
        for line in _git(remote, "log", f"--format={_COMMIT}", f"{base}..{branch}").splitlines():
            commit, run, subject = line.split("\t", 2)
            if run:  # somebody else's commits name none
                below = _git(remote, "rev-list", f"{base}..{commit}^").split()
                found.setdefault(commit, Commit(commit, branch, subject, run, frozenset(below)))
    return list(found.values())


def _git(repository: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=repository, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def _git_ok(repository: Path, *arguments: str) -> bool:
    return subprocess.run(["git", *arguments], cwd=repository, capture_output=True, timeout=60).returncode == 0
