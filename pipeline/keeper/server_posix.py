"""Processes on Linux and other POSIX systems: sessions, pidfd, signals."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil

from pipeline.keeper import process, wrapping

assert sys.platform != "win32"  # noqa: S101 (tells mypy which system this module is for)

import resource  # noqa: E402 (not there on Windows)

_LAST_WORDS = 1.0  # seconds for what a script still does behind its server


def raise_core_limit() -> None:
    """Children inherit it; without it a crash leaves no core."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


class Spawner:
    """Starts servers. All share one stdin pipe: nothing is ever written to it, and as each server inherits the
    end for writing too, it never ends, even when the keeper is killed (EOF stops a console server)."""

    def __init__(self) -> None:
        self._stdin, self._never_written = os.pipe()

    def spawn(self, order: process.Order) -> Server:
        """Raises OSError when the program cannot be run."""
        child = subprocess.Popen(
            order.argv,
            cwd=order.folder,
            env=dict(order.environment),
            stdin=self._stdin,
            stdout=order.output,
            stderr=order.output,
            start_new_session=True,
            pass_fds=(order.lock, self._never_written),
        )
        child.returncode = 0  # we wait for it ourselves (Server.poll); this keeps Popen from doing so
        return Server(child.pid, order.folder, own=True)


class Server:
    """One server process, our child or adopted."""

    def __init__(self, pid: int, folder: Path, *, own: bool, marked: bool = True) -> None:
        self.pid = pid
        self._folder = folder  # SERVER_DIR
        self._shell = wrapping.is_shell(pid)
        self._below: tuple[int, ...] = ()  # the last that were seen below a shell
        self._asked: list[psutil.Process] = []  # signalled instead of their shell
        self._alone_since: float | None = None  # monotonic: since then the shell has outlived them
        self._own = own
        # Only what a keeper started leads a session of its own; another one's group may hold the user's shell.
        self._leads_session = marked
        self.fd = _open_pidfd(pid)

    @classmethod
    def attach(cls, pid: int, folder: Path, *, marked: bool) -> Server:
        """A living process: our own child if we came by exec, else somebody's."""
        return cls(pid, folder, own=is_child(pid), marked=marked)

    @property
    def adopted(self) -> bool:
        return not self._own

    def poll(self) -> process.Ended | None:
        """How it ended, None while it lives. What it leaves in its session is ended with it."""
        ended = self._poll_child() if self._own else self._poll_stranger()
        if ended is None:
            self._look_below()
            return None
        return self._read_shells_word(ended) if self._shell else ended

    def _look_below(self) -> None:
        """A script may become the server by `exec` at any moment."""
        self._shell = self._shell and wrapping.is_shell(self.pid)
        if self._shell:
            self._below = wrapping.list_below(self.pid) or self._below

    def _read_shells_word(self, ended: process.Ended) -> process.Ended:
        """Whether there is a core its word does not tell."""
        if ended.status is None or ended.status < 0:
            return replace(ended, below=self._below)
        return process.Ended(wrapping.read_shell_status(ended.status), None, self._below)

    def _poll_child(self) -> process.Ended | None:
        if sys.platform == "linux":
            seen = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if seen is None:
                return None
            # Not reaped yet, so the number of the session is still taken: what answers to it is the server's.
            exited = seen.si_code == os.CLD_EXITED
            if not exited or seen.si_status:  # a script that put the server into the background has ended with 0
                self._end_session()
            os.waitpid(self.pid, 0)
            return process.Ended(seen.si_status if exited else -seen.si_status, seen.si_code == os.CLD_DUMPED)
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return process.Ended(os.waitstatus_to_exitcode(status), os.WCOREDUMP(status)) if pid else None

    def _poll_stranger(self) -> process.Ended | None:
        if self.fd is not None:
            return process.Ended(None) if select.select([self.fd], [], [], 0)[0] else None
        return None if psutil.pid_exists(self.pid) and not _is_zombie(self.pid) else process.Ended(None)

    def list_wrapped(self) -> list[psutil.Process]:
        """The server's own processes, where what was started is a shell that waits for them; else empty."""
        return wrapping.find_servers(self.pid, self._folder) if wrapping.is_shell(self.pid) else []

    def ask_to_stop(self) -> None:
        self._signal_server(signal.SIGTERM)

    def follow_stop(self) -> None:
        """A shell that goes on behind the server it waited for is asked too, and whatever it has begun since."""
        if not self._asked or any(each.is_running() and not _is_zombie(each.pid) for each in self._asked):
            return
        self._alone_since = self._alone_since or time.monotonic()
        if time.monotonic() - self._alone_since >= _LAST_WORDS:
            self._asked = []
            wrapping.signal_all(process.list_tree(self.pid), signal.SIGTERM)  # the shell first: it begins nothing more

    leaves_stacks = True

    def take_stacks(self) -> None:
        """Makes a hung server leave its stacks in a core."""
        self._signal_server(signal.SIGABRT)

    def is_dumping(self) -> bool:
        """The kernel is still writing its core (proc(5), `CoreDumping`)."""
        return any(_is_dumping(each) for each in (self.pid, *self._below))

    def end_tree(self) -> None:
        """Ends it and everything below it, at once."""
        if self.poll() is not None:
            return
        tree = process.list_tree(self.pid)
        if self._leads_session:
            self._end_session()
        process.end_all(tree)

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def _signal_server(self, number: int) -> None:
        """One that somebody has stopped (SIGSTOP) hears nothing before it goes on: systemd.kill(5) does the same."""
        self._asked, self._alone_since = self.list_wrapped(), None
        if self._asked:
            wrapping.signal_all(self._asked, number)
            wrapping.signal_all(self._asked, signal.SIGCONT)
        else:
            self._signal(number)
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        try:
            if sys.platform == "linux" and self.fd is not None:
                signal.pidfd_send_signal(self.fd, number)  # never a later process with its number
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return

    def _end_session(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return


def _open_pidfd(pid: int) -> int | None:
    if sys.platform == "linux":
        try:
            return os.pidfd_open(pid)
        except OSError:
            return None
    return None


def _is_dumping(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/status", "rb") as status:  # noqa: PTH123 (hot path, no Path needed)
            return b"CoreDumping:\t1" in status.read()
    except OSError:
        return False


def is_child(pid: int) -> bool:
    """Whether it is ours to wait for, be it dead already."""
    try:
        if sys.platform == "linux":
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return True
        return psutil.Process(pid).ppid() == os.getpid()
    except (OSError, psutil.Error):
        return False


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
