"""Processes on Windows: process groups of the keeper's console, handles. Not proven on a real machine yet."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from pipeline.keeper import process

assert sys.platform == "win32"  # noqa: S101 (tells mypy which system this module is for)

import msvcrt  # noqa: E402 (there on Windows only)


def raise_core_limit() -> None:
    """Windows writes no cores; the server's own crash filter writes its dump."""


class Spawner:
    """Starts servers in process groups of their own on the keeper's console, so that CTRL_BREAK reaches each alone."""

    def __init__(self) -> None:
        self._stdin, self._never_written = os.pipe()

    def spawn(self, order: process.Order) -> Server:
        """Raises OSError when the program cannot be run."""
        handles = [order.lock, msvcrt.get_osfhandle(self._never_written)]
        for each in handles:
            os.set_handle_inheritable(each, True)
        child = subprocess.Popen(
            order.argv,
            cwd=order.folder,
            env=dict(order.environment),
            stdin=self._stdin,
            stdout=order.output,
            stderr=order.output,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
            startupinfo=subprocess.STARTUPINFO(lpAttributeList={"handle_list": handles}),
        )
        return Server(child.pid, child=child)


class Server:
    """One server process, our child or adopted."""

    fd: int | None = None  # nothing to poll; `Wake` waits for the process itself

    def __init__(self, pid: int, *, child: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self._child = child
        self._process = None if child else psutil.Process(pid)

    @classmethod
    def attach(cls, pid: int, folder: Path, *, marked: bool) -> Server:
        """A living process; whether it carries our mark makes no difference here."""
        del folder, marked
        return cls(pid)

    @property
    def adopted(self) -> bool:
        return self._child is None

    def poll(self) -> process.Ended | None:
        """How it ended, None while it lives."""
        return self.wait(0.0)

    def wait(self, seconds: float) -> process.Ended | None:
        """Waits that long for its end. Windows gives the exit code of an adopted one too."""
        try:
            if self._child is not None:
                return process.Ended(self._child.wait(seconds))
            return process.Ended(self._process.wait(seconds) if self._process else None)
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            return None

    def ask_to_stop(self) -> None:
        try:
            os.kill(self.pid, signal.CTRL_BREAK_EVENT)
        except OSError:
            return

    def list_wrapped(self) -> list[psutil.Process]:
        """Who a batch file runs is asked by the same CTRL_BREAK."""
        return []

    def follow_stop(self) -> None:
        """See `list_wrapped`."""

    leaves_stacks = False  # nothing here makes a process leave them from outside

    def take_stacks(self) -> None:
        """See `leaves_stacks`."""

    def is_dumping(self) -> bool:
        return False

    def end_tree(self) -> None:
        """Ends it and everything below it, at once."""
        process.end_all(process.list_tree(self.pid))

    def close(self) -> None:
        """The handles go with the objects."""


def is_child(pid: int) -> bool:
    """There is no exec that would keep children."""
    del pid
    return False
