"""Processes on Linux and other POSIX systems: sessions, pidfd, signals."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import psutil

from pipeline.keeper import process

assert sys.platform != "win32"  # noqa: S101 (tells mypy which system this module is for)

import resource  # noqa: E402


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
        return Server(child.pid, own=True)


class Server:
    """One server process, our child or adopted."""

    def __init__(self, pid: int, *, own: bool, marked: bool = True) -> None:
        self.pid = pid
        self._own = own
        # Only what a keeper started leads a session of its own; another one's group may hold the user's shell.
        self._leads_session = marked
        self.fd = _open_pidfd(pid)

    @classmethod
    def attach(cls, pid: int, *, marked: bool) -> Server:
        """A living process: our own child if we came by exec, else somebody's."""
        return cls(pid, own=is_child(pid), marked=marked)

    @property
    def adopted(self) -> bool:
        return not self._own

    def poll(self) -> process.Ended | None:
        """How it ended, None while it lives. What it leaves in its session is ended with it."""
        return self._poll_child() if self._own else self._poll_stranger()

    def _poll_child(self) -> process.Ended | None:
        if sys.platform == "linux":
            seen = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if seen is None:
                return None
            # Not reaped yet, so the number of the session is still taken: what answers to it is the server's.
            self._end_session()
            os.waitpid(self.pid, 0)
            exited = seen.si_code == os.CLD_EXITED
            return process.Ended(seen.si_status if exited else -seen.si_status, seen.si_code == os.CLD_DUMPED)
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return process.Ended(os.waitstatus_to_exitcode(status), os.WCOREDUMP(status)) if pid else None

    def _poll_stranger(self) -> process.Ended | None:
        if self.fd is not None:
            return process.Ended(None) if select.select([self.fd], [], [], 0)[0] else None
        return None if psutil.pid_exists(self.pid) and not _is_zombie(self.pid) else process.Ended(None)

    def ask_to_stop(self) -> None:
        self._signal(signal.SIGTERM)

    leaves_stacks = True

    def take_stacks(self) -> None:
        """Makes a hung server leave its stacks in a core."""
        self._signal(signal.SIGABRT)

    def is_dumping(self) -> bool:
        """The kernel is still writing its core (proc(5), `CoreDumping`)."""
        try:
            with open(f"/proc/{self.pid}/status", "rb") as status:  # noqa: PTH123 (hot path, no Path needed)
                return b"CoreDumping:\t1" in status.read()
        except OSError:
            return False

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
