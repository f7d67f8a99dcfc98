"""Our clone after a kill, a power cut, a hanging remote: nothing is lost that can still be read, nothing hangs."""

from __future__ import annotations

import http.server
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from checkouts import MAP_CPP, NIGHT, Bed, git, make_bed, make_source
from world import START, World

from pipeline.adapters import git as git_source
from pipeline.adapters import git_clone, process_tree
from pipeline.adapters.children import mark_for
from pipeline.errors import RemoteUnreachable
from pipeline.model import Commit, Patch, Question, Run, RunKind, RunState, Signature, WholeFile
from pipeline.ports import Pushed
from pipeline.stages import patching, ready
from pipeline.tools import Move, Step

MAP = "src/game/Map.cpp"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return make_bed(tmp_path)


def add_file(bed: Bed, name: str, run: str = "r1") -> Commit:
    return bed.apply(Patch(files=(WholeFile(f"src/{name}", f"{name}\n"),)), run=run)


def wait_until(done: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline, f"in 30 s it did not happen that {what}"
        time.sleep(0.01)


# --- a clone that is damaged -----------------------------------------------------------------------------------------


def loose_object(bed: Bed, revision: str) -> Path:
    name = bed.in_clone("rev-parse", revision)
    return bed.clone / ".git" / "objects" / name[:2] / name[2:]


def truncate(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"")


def empty_work_tree(bed: Bed) -> None:
    for path in bed.clone.iterdir():
        if path.name != ".git":
            git_clone.remove_tree(path) if path.is_dir() else path.unlink()


DAMAGES: dict[str, Callable[[Bed], object]] = {
    "HEAD is empty": lambda bed: truncate(bed.clone / ".git" / "HEAD"),
    "HEAD is gone": lambda bed: (bed.clone / ".git" / "HEAD").unlink(),
    "the branch is empty": lambda bed: truncate(bed.clone / ".git" / "refs" / "heads" / NIGHT),
    "the branch is garbage": lambda bed: (bed.clone / ".git" / "refs" / "heads" / NIGHT).write_bytes(b"\0\xff" * 20),
    "the references are gone": lambda bed: shutil.rmtree(bed.clone / ".git" / "refs"),
    "the index is garbage": lambda bed: (bed.clone / ".git" / "index").write_bytes(b"DIRC garbage"),
    "the index is empty": lambda bed: truncate(bed.clone / ".git" / "index"),
    "the configuration is gone": lambda bed: (bed.clone / ".git" / "config").unlink(),
    "an object of the base is empty": lambda bed: truncate(loose_object(bed, f"{bed.base}^{{tree}}")),
    "the work tree is gone": empty_work_tree,
    "an exchange was interrupted": lambda bed: bed.clone.rename(bed.clone.with_name("source.broken")),
    "an exchange had begun": lambda bed: shutil.copytree(bed.clone, bed.clone.with_name("source.new")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_unpushed_commits_survive_a_damaged_clone(bed: Bed, damage: str) -> None:
    first, second = add_file(bed, "a.h"), add_file(bed, "b.h", "r2")
    DAMAGES[damage](bed)
    again = make_source(bed.state.parent, bed.checkout)
    again.prepare()
    again.begin(NIGHT, bed.base)
    again.restore(NIGHT, second.hash)
    assert again.log(bed.base, second.hash) == [second, first]
    assert again.head(NIGHT) == second.hash
    assert (bed.clone / "src/b.h").read_text() == "b.h\n"
    assert bed.in_clone("status", "--porcelain") == ""
    assert sorted(path.name for path in bed.state.iterdir()) == ["source"]


@pytest.mark.parametrize("what", ["", "^{tree}", ":src/b.h"], ids=["commit", "tree", "file"])
def test_the_newest_state_that_can_be_read_survives_an_unreadable_one(bed: Bed, what: str) -> None:
    first, second = add_file(bed, "a.h"), add_file(bed, "b.h", "r2")
    truncate(loose_object(bed, f"{second.hash}{what}"))
    again = make_source(bed.state.parent, bed.checkout)
    again.prepare()
    assert again.head(NIGHT) == first.hash
    again.restore(NIGHT, first.hash)
    assert (bed.clone / "src/a.h").read_text() == "a.h\n"
    assert (bed.state / "source.broken").is_dir()  # not all of it was read: it is kept for a person


def test_a_clone_that_is_gone_is_made_anew(bed: Bed) -> None:
    shutil.rmtree(bed.clone)
    bed.source.prepare()
    assert bed.source.head(NIGHT) is None
    bed.source.begin(NIGHT, bed.base)
    assert (bed.clone / MAP).read_text() == MAP_CPP


def delete_the_clone(bed: Bed) -> Bed:
    """With its night branch, which the checkout does not have."""
    shutil.rmtree(bed.clone)
    bed.source = make_source(bed.state.parent, bed.checkout)
    bed.source.prepare()
    assert bed.source.head(NIGHT) is None
    return bed


class Realm(World):
    """The fake world over a real clone, its night branch recorded at a head."""

    def over(self, bed: Bed, head: str) -> World:
        self.tools = replace(self.tools, source=bed.source)
        self.tools.store.add_branch(NIGHT, self.tools.night(), bed.base, START, head)
        return self

    def admit(self, change: Patch) -> tuple[Run, Step]:
        signature = Signature("abort | Map", "abort | Map | main", 1)
        run = Run(
            "r2", RunKind.FIX, RunState.READY, self.tools.night(), signature, "Map", START, START, "r2", patch=change
        )
        run = self.store.get_run("r2") or self.store.add_run(run, START, key="k")
        return run, ready.admit(self.tools, run)


def test_a_clone_deleted_between_two_runs_gets_its_night_branch_back_from_the_remote(bed: Bed) -> None:
    first = add_file(bed, "a.h")
    bed.source.publish(NIGHT, first.hash, None)
    delete_the_clone(bed)
    world = Realm(bed.state.parent)
    world.over(bed, first.hash)
    run, step = world.admit(Patch(files=(WholeFile("src/b.h", "b\n"),)))
    assert isinstance(step, Move) and step.to is RunState.PATCHING, step
    step = patching.patch(world.tools, run)
    assert isinstance(step, Move) and step.to is RunState.BUILDING, step
    second = bed.source.commit(str(step.changes["commit"]))
    assert bed.source.log(bed.base, second.hash) == [second, first]
    assert bed.source.publish(NIGHT, second.hash, first.hash) == Pushed(second.hash)
    assert world.tools.degraded == {}
    world.engine.dispose()


def test_a_head_that_nobody_has_any_more_is_asked_about_until_somebody_pushes_it(bed: Bed) -> None:
    first = add_file(bed, "a.h")
    git(bed.state.parent, "clone", "-q", "--bare", str(bed.clone), "rescued.git")
    delete_the_clone(bed)
    world = Realm(bed.state.parent)
    world.over(bed, first.hash)
    for _ in range(2):  # asked again, it is no fault of the second time either
        _, step = world.admit(Patch(files=(WholeFile("src/b.h", "b\n"),)))
        assert isinstance(step, Move) and step.to is RunState.AWAITING_APPROVAL, step
        assert step.changes["question"] is Question.BASE
        assert first.hash[:12] in str(step.changes["reason"])
    assert first.hash[:12] in world.tools.degraded["night branch"]
    git(bed.state.parent / "rescued.git", "push", "-q", str(bed.checkout.remote), NIGHT)
    _, step = world.admit(Patch(files=(WholeFile("src/b.h", "b\n"),)))
    assert isinstance(step, Move) and step.to is RunState.PATCHING, step
    assert world.tools.degraded == {}
    world.engine.dispose()


# --- kills -----------------------------------------------------------------------------------------------------------

# A bot whose git stands still at one verb, before or after its work: a real git of ours, alive when the bot is killed.
WORK = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
from checkouts import NIGHT, make_source, Checkout
from pipeline.adapters.git_process import GitProgram
from pipeline.model import Patch, WholeFile
from pipeline.ports import PatchLimits

real = GitProgram.run

def run(self, *arguments, **rest):
    if {verb!r} not in arguments:
        return real(self, *arguments, **rest)
    if {after}:
        real(self, *arguments, **rest)
    return real(self, "-c", "alias.still=!sleep 600", "still", timeout=600)

GitProgram.run = run
folder = Path({folder!r})
source = make_source(folder, Checkout(folder / "user", folder / "remote.git"))
change = Patch(files=(WholeFile("src/k.h", "k\\n"),))
commit = source.apply(change, "fix: k\\n\\nRun: rk\\n", PatchLimits(), None)
source.publish(NIGHT, commit.hash, None)
"""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("verb", ["write-tree", "commit-tree", "reset", "push"])
def test_fault_a10_world_git_killed_with_its_bot_at_any_step_leaves_a_clone_that_goes_on(
    bed: Bed, verb: str, after: bool
) -> None:
    folder = bed.state.parent
    work = WORK.format(root=str(ROOT), tests=str(ROOT / "tests"), folder=str(folder), verb=verb, after=after)
    worker = subprocess.Popen([sys.executable, "-c", work])
    try:
        wait_until(lambda: len(list_strays(bed)) > 1 or worker.poll() is not None, f"{verb} was reached")
        assert worker.poll() is None
    finally:
        worker.kill()
        worker.wait(timeout=30)
    (bed.clone / ".git" / "index.lock").write_bytes(b"")  # what git leaves when it dies in the middle
    again = bed.source = make_source(folder, bed.checkout)
    again.prepare()
    assert list_strays(bed) == []
    again.begin(NIGHT, bed.base)
    done = again.find_run(NIGHT, bed.base, "rk")
    assert (done is not None) == (verb == "push" or (verb == "reset" and after))
    again.restore(NIGHT, again.head(NIGHT) or "")
    commit = done or add_file(bed, "k.h", "rk")
    assert again.publish(NIGHT, commit.hash, None) == Pushed(commit.hash)
    assert bed.checkout.remote_head(NIGHT) == commit.hash
    assert bed.in_clone("status", "--porcelain") == ""


def list_strays(bed: Bed) -> list[psutil.Process]:
    """git and its child that stand still and carry the mark of this state folder."""
    prefix = mark_for(bed.state, "git")
    return [each for each in process_tree.list_marked(lambda mark: mark.startswith(prefix)) if is_still(each)]


def is_still(process: psutil.Process) -> bool:
    try:
        return "sleep" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def test_fault_a9_world_git_held_lock_of_an_earlier_life_goes_once_its_git_was_ended(bed: Bed) -> None:
    lock = bed.clone / ".git" / "index.lock"
    lock.write_bytes(b"")
    mark = f"{mark_for(bed.state, 'git')}:earlier"
    other = f"{mark_for(bed.state.parent / 'other-state', 'git')}:somebody-elses"
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    stray = subprocess.Popen(sleep, env={**os.environ, process_tree.MARK: mark})
    foreign = subprocess.Popen(sleep, env={**os.environ, process_tree.MARK: other})
    try:
        bed.source.prepare()
        assert stray.wait(timeout=30) != 0
        assert foreign.poll() is None
        assert not lock.exists()
    finally:
        for each in (stray, foreign):
            each.kill()
            each.wait(timeout=30)


# --- a remote that does not answer -----------------------------------------------------------------------------------


def set_ssh(bed: Bed, code: str, path: str = "/x.git") -> None:
    """Lets the checkout reach its remote through a program of ours in place of ssh."""
    script = bed.state.parent / "ssh.py"
    script.write_text(f"import pathlib, shlex, subprocess, sys\n{code}")
    git(bed.checkout.folder, "config", "core.sshCommand", f"'{sys.executable}' '{script.as_posix()}'")
    git(bed.checkout.folder, "remote", "set-url", "origin", f"ssh://git@example.invalid{path}")
    bed.source.prepare()


SLEEP = "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
SERVE = "verb, path = shlex.split(sys.argv[-1])\nsys.exit(subprocess.call(['git', verb.removeprefix('git-'), path]))\n"


def test_how_the_checkout_reaches_its_remote_is_taken_over(bed: Bed, tmp_path: Path) -> None:
    log = tmp_path / "log"
    set_ssh(bed, f"pathlib.Path({str(log)!r}).write_text(repr(sys.argv))\n{SERVE}", bed.checkout.remote.as_posix())
    commit = add_file(bed, "a.h")
    assert bed.source.publish(NIGHT, commit.hash, None) == Pushed(commit.hash)
    assert "git@example.invalid" in log.read_text()
    assert bed.checkout.remote_head(NIGHT) == commit.hash


def test_world_git_remote_slow_is_given_up_and_its_whole_tree_is_ended(tmp_path: Path) -> None:
    bed = make_bed(tmp_path, network_timeout=2.0, push_attempts=1)
    pid = tmp_path / "pid"
    set_ssh(bed, f"{SLEEP}pathlib.Path({str(pid)!r}).write_text(str(child.pid))\nchild.wait()\n")
    commit = add_file(bed, "a.h")
    with pytest.raises(RemoteUnreachable, match="the remote origin did not answer: git ls-remote took longer than 2 s"):
        bed.source.publish(NIGHT, commit.hash, None)
    wait_until(lambda: not is_running(int(pid.read_text())), "the child of ssh ended")


def test_world_git_remote_slow_is_not_asked_at_once_again_for_what_nobody_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed, asked = make_bed(tmp_path, network_timeout=5.0), tmp_path / "asked"
    moments = itertools.chain([0.0], itertools.repeat(120.0))  # it hangs for longer than nobody is asked again
    monkeypatch.setattr(git_source, "time", SimpleNamespace(monotonic=lambda: next(moments), time=time.time))
    only_told = "if '-G' in sys.argv: sys.exit(1)\n"  # git asks what kind of ssh it is, and goes on if that dies
    set_ssh(bed, f"{only_told}open({str(asked)!r}, 'a').write('once ')\n{SLEEP}child.wait()\n")
    assert [bed.source.resolve("deadbeef1234") for _ in range(2)] == [None, None]
    assert asked.read_text() == "once "


def is_running(pid: int) -> bool:
    try:
        return process_tree.is_alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


class Locked(http.server.BaseHTTPRequestHandler):
    """A remote that wants a password."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on standard error."""


@pytest.fixture
def locked_remote() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Locked)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/o/n.git"
    server.shutdown()
    thread.join(timeout=30)
    server.server_close()


def test_a_remote_that_wants_a_password_asks_nobody(
    bed: Bed, locked_remote: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    ask = tmp_path / "ask"
    ask.write_text(f"#!/bin/sh\ntouch {asked}\necho x\n")
    ask.chmod(0o755)
    for name in ("GIT_ASKPASS", "SSH_ASKPASS"):
        monkeypatch.setenv(name, str(ask))
    git(bed.checkout.folder, "remote", "set-url", "origin", locked_remote)
    bed.source.prepare()
    commit = add_file(bed, "a.h")
    with pytest.raises(RemoteUnreachable, match="could not read Username"):
        bed.source.publish(NIGHT, commit.hash, None)
    assert not asked.exists()


def test_a_daemon_that_keeps_gits_pipes_open_holds_nothing_up(bed: Bed, tmp_path: Path) -> None:
    """ssh's ControlPersist and the credential cache outlive git with its standard error in hand."""
    pid = tmp_path / "pid"
    quiet = SLEEP.replace("])", "], stdout=subprocess.DEVNULL)")
    set_ssh(
        bed, f"{quiet}pathlib.Path({str(pid)!r}).write_text(str(child.pid))\n{SERVE}", bed.checkout.remote.as_posix()
    )
    commit = add_file(bed, "a.h")
    assert bed.source.publish(NIGHT, commit.hash, None) == Pushed(commit.hash)
    assert is_running(int(pid.read_text()))
    make_source(bed.state.parent, bed.checkout).prepare()  # ends what still carries our mark
    wait_until(lambda: not is_running(int(pid.read_text())), "the daemon of an earlier life ended")
