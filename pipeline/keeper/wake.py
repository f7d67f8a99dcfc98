"""What the keeper sleeps on: the end of the server, a signal, a finished piece of background work, or the time."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from pipeline.keeper.server import Server

if sys.platform != "win32":
    import fcntl


class Wake:
    """One sleep for all reasons to wake up."""

    def __init__(self) -> None:
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self._watched: int | None = None
        self.hears = False
        if sys.platform != "win32":
            self._poll = select.poll()
            self._poll.register(self._ear.fileno(), select.POLLIN)

    def listen_to_signals(self, names: tuple[str, ...], note: dict[str, bool]) -> None:
        """Each named signal that this system has sets its entry in `note` and wakes the keeper."""
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        for name in names:
            number = getattr(signal, name, None)
            if number is not None:
                signal.signal(number, _make_handler(name, note))

    def listen_to_folder(self, folder: Path) -> None:
        """Linux tells by a signal when a file is renamed into the folder (fcntl(2), F_NOTIFY): nobody has to ask.

        `hears` says whether it was ever told; before, and where there is no such thing, the folder is asked.
        """
        if sys.platform == "linux":
            signal.signal(signal.SIGIO, self._hear)
            try:
                self._folder = os.open(folder, os.O_RDONLY)
                fcntl.fcntl(self._folder, fcntl.F_NOTIFY, fcntl.DN_RENAME | fcntl.DN_CREATE | fcntl.DN_MULTISHOT)
            except OSError:
                return

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self.hears = True

    def ring(self) -> None:
        """Wakes the keeper, from any thread."""
        try:
            self._bell.send(b"!")
        except BlockingIOError:
            return  # it is full: it will wake

    def sleep(self, seconds: float, server: Server | None) -> None:
        """At most that long."""
        if sys.platform == "win32":
            time.sleep(seconds) if server is None else server.wait(seconds)
        else:
            self._watch(server.fd if server else None)
            self._poll.poll(seconds * 1000)
        self._hush()

    def _watch(self, fd: int | None) -> None:
        if fd == self._watched:
            return
        self.forget()
        if fd is not None and sys.platform != "win32":
            self._poll.register(fd, select.POLLIN)
        self._watched = fd

    def forget(self) -> None:
        """The watched server's descriptor is about to be closed."""
        if self._watched is not None and sys.platform != "win32":
            self._poll.unregister(self._watched)
        self._watched = None

    def _hush(self) -> None:
        try:
            while len(self._ear.recv(256)) == 256:
                pass
        except BlockingIOError:
            return


def _make_handler(name: str, note: dict[str, bool]) -> Callable[[int, FrameType | None], None]:
    def handle(_number: int, _frame: FrameType | None) -> None:
        note[name] = True

    return handle
