"""Children end as a whole tree, whatever they do to get away. Real processes; POSIX shells stand in for compilers."""

from __future__ import annotations

import os
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.adapters import children, process_tree
from pipeline.adapters.children import Child, TimedOut
from pipeline.errors import Cancelled, ToolMissing

# A child that starts one in its session and one that left it (setsid), whose parents die at once; each names itself.
FAMILY = """
    import os, subprocess, sys, time
    sleeper = "import os, sys, time; open(sys.argv[1] + str(os.getpid()), 'w').close(); time.sleep(600)"
    folder = sys.argv[1]
    subprocess.Popen([sys.executable, "-c", sleeper, folder + "/same-"])
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-c", sleeper, folder + "/left-"])
        os._exit(0)
    os.wait()
    open(folder + "/root-" + str(os.getpid()), "w").close()
    while len(os.listdir(folder)) < 3:
        time.sleep(0.01)
    {last}
"""


def until(condition: Callable[[], bool], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def ignore(pid: int, create_time: float, what: str) -> None:
    pass


class Family:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "family"
        self.folder.mkdir()
        self.state = folder / "state"

    def start(self, last: str = "time.sleep(600)", *, low_priority: bool = False) -> Child:
        script = textwrap.dedent(FAMILY.format(last=last))
        return Child.start(
            [sys.executable, "-c", script, str(self.folder)],
            cwd=self.folder,
            output=None,
            what=children.mark_for(self.state, "build"),
            on_started=ignore,
            low_priority=low_priority,
        )

    @property
    def pids(self) -> list[int]:
        return [int(each.name.split("-")[1]) for each in self.folder.iterdir()]

    @property
    def complete(self) -> bool:
        return len(self.pids) == 3

    @property
    def living(self) -> list[int]:
        return [pid for pid in self.pids if psutil.pid_exists(pid) and process_tree.is_alive(psutil.Process(pid))]


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    family = Family(tmp_path)
    yield family
    children.end_marked(family.state)


def start(tmp_path: Path, script: str, *, what: str = "test", **more: object) -> Child:
    return Child.start(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        output=tmp_path / "output",
        what=what,
        on_started=ignore,
        **more,  # type: ignore[arg-type]  # each field by its name
    )


def test_a_child_writes_both_streams_to_its_file_and_gives_its_exit_code(tmp_path: Path) -> None:
    script = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
    assert start(tmp_path, script).wait(30) == 3
    assert (tmp_path / "output").read_text() == "out\nerr\n"


def test_a_second_child_appends_to_the_same_file(tmp_path: Path) -> None:
    start(tmp_path, "print(1)").wait(30)
    start(tmp_path, "print(2)").wait(30)
    assert (tmp_path / "output").read_text() == "1\n2\n"


def test_a_child_is_recorded_before_anybody_waits_for_it(tmp_path: Path) -> None:
    recorded: list[tuple[int, float, str]] = []
    child = Child.start(
        [sys.executable, "-c", ""],
        cwd=tmp_path,
        output=None,
        what="analyst",
        on_started=lambda *each: recorded.append(each),
    )
    assert recorded == [(child.pid, child.create_time, "analyst")]
    assert child.wait(30) == 0


def test_a_child_that_cannot_be_recorded_does_not_run(tmp_path: Path) -> None:
    started: list[int] = []

    def fail(pid: int, create_time: float, what: str) -> None:
        started.append(pid)
        raise OSError("the database is gone")

    with pytest.raises(OSError, match="database"):
        Child.start(["sleep", "600"], cwd=tmp_path, output=None, what="build", on_started=fail)
    assert not psutil.pid_exists(started[0])


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="`no-such-compiler` was not found"):
        Child.start(["no-such-compiler"], cwd=tmp_path, output=None, what="x", on_started=ignore)
    with pytest.raises(ToolMissing, match="no-such-tool"):
        Child.start([str(tmp_path / "no-such-tool")], cwd=tmp_path, output=None, what="x", on_started=ignore)


def test_a_child_has_the_given_environment_the_mark_and_nothing_else_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    script = "import os; print(os.environ.get('DISCORD_TOKEN'), os.environ['SPIRIT_HEALER_CHILD'], os.environ['A'])"
    child = start(tmp_path, script, what="abc:build", env={"A": "1", "PATH": os.environ["PATH"]})
    child.wait(30)
    assert (tmp_path / "output").read_text() == f"None {child.mark} 1\n"
    assert child.mark.startswith("abc:build:")


def test_a_timeout_ends_the_whole_tree_with_what_left_the_session(family: Family) -> None:
    child = family.start()
    until(lambda: family.complete)
    with pytest.raises(TimedOut):
        child.wait(0)
    assert family.living == []


def test_a_cancel_ends_the_whole_tree(family: Family) -> None:
    child = family.start()
    cancelled = threading.Event()
    with pytest.raises(Cancelled):
        child.wait(60, cancelled, watch=lambda: cancelled.set() if family.complete else None)
    assert family.living == []


def test_what_a_watcher_raises_ends_the_whole_tree(family: Family) -> None:
    def watch() -> None:
        if family.complete:
            raise RuntimeError("too much output")

    with pytest.raises(RuntimeError, match="too much"):
        family.start().wait(60, watch=watch)
    assert family.living == []


def test_what_a_child_leaves_in_its_session_ends_with_it_and_the_rest_on_demand(family: Family) -> None:
    child = family.start(last="os._exit(7)")
    assert child.wait(60) == 7
    until(lambda: len(family.living) == 1)
    child.end_tree()
    assert family.living == []


def test_what_ignores_the_asking_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_tree.end_all, "__defaults__", (0.1,))
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    child = start(tmp_path, script)
    until(lambda: (tmp_path / "output").read_text() == "deaf\n")
    child.end_tree()
    assert child.poll() == -9


def test_the_end_of_one_child_spares_another_of_the_same_kind(tmp_path: Path) -> None:
    sleeper = "import time; time.sleep(600)"
    one, other = start(tmp_path, sleeper), start(tmp_path, sleeper)
    one.end_tree()
    assert other.poll() is None
    other.end_tree()
    assert other.poll() == -15


def test_fault_a12_a_recorded_child_of_an_earlier_life_ends_as_a_tree(family: Family) -> None:
    child = family.start()
    until(lambda: family.complete)
    children.end_recorded(child.pid, child.create_time)
    assert family.living == []
    child.end_tree()


def test_fault_a12_a_recorded_child_that_died_first_takes_its_group_and_mark_along(family: Family) -> None:
    # the root is killed by its own hand, from outside of our Child, which would have ended the group with it
    grandparent = family.start(last="os._exit(0)")
    until(lambda: family.complete)
    os.waitpid(grandparent.pid, 0)
    assert len(family.living) == 2
    children.end_recorded(grandparent.pid, grandparent.create_time)
    assert family.living == []


def test_a_number_that_is_somebody_elses_by_now_is_left_alone(family: Family) -> None:
    child = family.start()
    until(lambda: family.complete)
    children.end_recorded(child.pid, child.create_time - 60)
    assert len(family.living) == 3
    child.end_tree()


def test_fault_a12_whatever_carries_the_mark_of_the_state_folder_ends_and_nothing_else(
    family: Family, tmp_path: Path
) -> None:
    child = family.start()
    stranger = start(
        tmp_path, "import time; time.sleep(600)", what=children.mark_for(tmp_path / "other state", "build")
    )
    until(lambda: family.complete)
    children.end_marked(family.state)
    assert family.living == []
    assert stranger.poll() is None
    stranger.end_tree()
    child.end_tree()


def test_a_low_priority_child_gives_way_with_all_it_starts(family: Family) -> None:
    child = family.start(low_priority=True)
    until(lambda: family.complete)
    assert {psutil.Process(pid).nice() for pid in family.pids} == {10}
    child.end_tree()
