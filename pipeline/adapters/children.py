"""Child processes that do not outlive their purpose: compilers, analysts.

Each child leads its own session (Windows: a job that dies with us), carries a mark in its environment, is told to
`on_started` before anybody waits for it, writes to a file and never to a pipe, and is ended as a whole tree. Whatever
an earlier life of the bot left behind is found again by (pid, create time) or by the mark.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from pipeline.adapters import job_object, priority, process_tree
from pipeline.adapters.process_tree import MARK
from pipeline.errors import Cancelled, PipelineError, ToolMissing
from pipeline.ports import OnStarted

__all__ = ["MARK", "Child", "Flood", "TimedOut", "end_marked", "end_recorded", "mark_for"]

_LOOK_EVERY = 0.1  # seconds between two looks at `cancelled` and `watch`; the child's own end is seen at once

if sys.platform == "win32":
    _CREATE_SUSPENDED = 0x4  # resumed once it is in its job, so that nothing it starts can be outside of it
    _FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW | _CREATE_SUSPENDED
else:
    _FLAGS = 0


class TimedOut(PipelineError):
    """The child took longer than it may; its whole tree was ended."""


class Flood(PipelineError):
    """The child writes more than it may: a watcher raises it, and no grace is given, in which it would write on."""


def mark_for(state_dir: Path, what: str) -> str:
    """What children of this state folder are called: `<state id>:<what>`, so that no bot ends another one's."""
    return f"{_state_id(state_dir)}:{what}"


class Child:
    """A running child: `start`, then `wait`. `end_tree` is safe at any time, also after its end."""

    def __init__(self, process: subprocess.Popen[bytes], create_time: float, mark: str, job: job_object.Job | None):
        self.pid = process.pid
        self.create_time = create_time  # seconds since the epoch, as psutil gives it
        self.mark = mark  # the value of SPIRIT_HEALER_CHILD: `what` and a part of its own
        self._process = process
        self._job = job
        self._reaping = threading.Lock()

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        output: Path | None,
        what: str,
        on_started: OnStarted,
        low_priority: bool = False,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
    ) -> Child:
        """Starts argv in cwd with exactly `env` (None = ours) and the mark; stdout and stderr are appended to `output`.

        `what` is best made by `mark_for`. Raises ToolMissing; whatever `on_started` raises ends the child first.
        """
        mark = f"{what}:{secrets.token_hex(4)}"
        environment = {**(os.environ if env is None else env), MARK: mark}
        process = _spawn(argv, cwd, environment, output, stdin)
        child = cls(process, psutil.Process(process.pid).create_time(), mark, job_object.hold(process.pid))
        with child._ended_on_error():
            if low_priority:
                priority.lower(psutil.Process(child.pid))
            on_started(child.pid, child.create_time, what)
            _resume(child.pid)
        return child

    def poll(self) -> int | None:
        """The exit code, negative for a signal's number; None while it runs."""
        with self._reaping:
            if self._process.returncode is None and self._has_exited():
                self._finish()
            return self._process.returncode

    def wait(
        self,
        timeout: float,
        cancelled: threading.Event | None = None,
        watch: Callable[[], None] | None = None,
    ) -> int:
        """Waits at most `timeout` seconds for the exit code; `watch` is called about ten times a second meanwhile.

        Raises TimedOut or Cancelled, or what `watch` raised, after the whole tree has been ended.
        """
        deadline = time.monotonic() + timeout
        with self._ended_on_error():
            while (status := self.poll()) is None:
                if cancelled is not None and cancelled.is_set():
                    raise Cancelled("it was taken back")
                if (left := deadline - time.monotonic()) <= 0:
                    raise TimedOut(f"it took longer than {timeout:g} s")
                if watch is not None:
                    watch()
                self._doze(min(left, _LOOK_EVERY))
        return status

    def end_tree(self, grace: float = process_tree.GRACE) -> None:
        """Ends the child and everything it started: asked first, killed after a grace of a few seconds."""
        if self._job is not None:
            self._job.end()
        process_tree.end_all(self._list_tree, grace)
        with self._reaping:
            if self._process.returncode is None:
                self._finish()

    @contextlib.contextmanager
    def _ended_on_error(self) -> Iterator[None]:
        try:
            yield
        except Flood:
            self.end_tree(grace=0.0)
            raise
        except BaseException:
            self.end_tree()
            raise

    def _list_tree(self) -> list[psutil.Process]:
        marked = process_tree.list_marked(lambda mark: mark == self.mark)
        if self._process.returncode is not None:  # the number may be somebody else's by now
            return marked
        root = process_tree.find_process(self.pid, self.create_time)
        return [*marked, *(process_tree.list_descendants(root) if root else ()), *process_tree.list_group(self.pid)]

    def _has_exited(self) -> bool:
        """Looks without reaping where that can be done: an unreaped child keeps its number, and its group's, taken."""
        if sys.platform != "linux":
            return self._process.poll() is not None
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _finish(self) -> None:
        """Ends what the child left in its group, then reaps it."""
        if sys.platform == "linux":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_LOOK_EVERY * 50)
        if self._job is not None:
            self._job.close()

    def _doze(self, seconds: float) -> None:
        """Sleeps until the child ends, at most so long."""
        if sys.platform == "linux":
            _await_exit(self.pid, seconds)
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=seconds)


def end_recorded(pid: int, create_time: float) -> None:
    """Ends a recorded child's whole tree if it is still that process; if it is gone, what carries a mark in its group.

    The group of a dead leader keeps the leader's number taken, so its members can be nobody else's.
    """
    root = process_tree.find_process(pid, create_time)
    if root is None and psutil.pid_exists(pid):
        return
    group = process_tree.list_group(pid)
    marks = {process_tree.mark_of(each) for each in (*group, *([root] if root else ()))} - {None}

    def list_tree() -> list[psutil.Process]:
        found = process_tree.list_marked(marks.__contains__) if marks else []
        return [*found, *(process_tree.list_descendants(root) if root else ())]

    process_tree.end_all(list_tree)


def end_marked(state_dir: Path) -> None:
    """Ends every process that carries the mark of this state folder, whatever it is."""
    ours = f"{_state_id(state_dir)}:"
    process_tree.end_all(lambda: process_tree.list_marked(lambda mark: mark.startswith(ours)))


def _state_id(state_dir: Path) -> str:
    return hashlib.sha256(os.fsencode(state_dir.resolve())).hexdigest()[:12]


def _spawn(
    argv: Sequence[str], cwd: Path, env: dict[str, str], output: Path | None, stdin: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    program = argv[0] if Path(argv[0]).parent != Path() else shutil.which(argv[0], path=env.get("PATH"))
    if program is None:
        raise ToolMissing(f"`{argv[0]}` was not found: install it, or put its folder on PATH")
    with open(output or os.devnull, "ab") as sink:  # noqa: PTH123 (devnull is no Path on Windows)
        try:
            return subprocess.Popen(
                [program, *argv[1:]],
                cwd=cwd,
                env=env,
                stdin=stdin,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                creationflags=_FLAGS,
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError) as fault:
            raise ToolMissing(f"`{program}` cannot be started in {cwd}: {fault.strerror}") from fault


def _resume(pid: int) -> None:
    if sys.platform == "win32":
        psutil.Process(pid).resume()


def _await_exit(pid: int, seconds: float) -> None:
    if sys.platform == "linux":
        try:
            handle = os.pidfd_open(pid)
        except OSError:  # a kernel before 5.3
            time.sleep(min(seconds, 0.01))
            return
        try:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            poll.poll(seconds * 1000)
        finally:
            os.close(handle)
