"""Counting players: established connections on the world port. Bots have none."""

from __future__ import annotations

import contextlib
from typing import Any

import psutil

from pipeline.ports import Listener


class ConnectedPlayers:
    """`ports.Players` for a server of this machine; `port` = SERVER_PORT, 0 = it cannot be told."""

    def __init__(self, port: int) -> None:
        self._port = port

    def count(self, pid: int) -> int | None:
        if not self._port:
            return None
        try:
            connections = psutil.Process(pid).net_connections(kind="tcp")
        except psutil.Error:  # gone, or another user's
            return None
        connections += _list_below(pid)
        return sum(
            1 for each in connections if each.status == psutil.CONN_ESTABLISHED and each.laddr.port == self._port
        )

    def find_listener(self, port: int) -> Listener | None:
        try:
            found = (each for each in psutil.net_connections("tcp") if each.laddr and each.laddr.port == port)
            pid = next((each.pid for each in found if each.status == psutil.CONN_LISTEN and each.pid), None)
            return None if pid is None else Listener(pid, psutil.Process(pid).name())
        except psutil.Error:
            return None


def _list_below(pid: int) -> list[Any]:
    """A SERVER_COMMAND that is a shell script is a shell, and the server is below it."""
    found: list[Any] = []
    with contextlib.suppress(psutil.Error):
        for each in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                found += each.net_connections(kind="tcp")
    return found
