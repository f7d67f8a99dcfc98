"""Ports: who listens where players come in, and whether the sandbox gets its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import psutil

from bot.doctor.finding import Finding, fail, ok, warn
from bot.lock import InstanceLock
from bot.settings import Settings


def check_world_port(settings: Settings) -> Iterator[Finding]:
    port = settings.server_port
    if not port:
        yield ok("SERVER_PORT", "0: a start is judged by SERVER_READY_PATTERN alone")
        return
    if not is_open(port):
        yield ok("SERVER_PORT", f"nobody listens on {port} just now")
        return
    listener = find_listener(port)
    if listener is None:
        yield warn(
            "SERVER_PORT",
            f"somebody listens on {port}, and cannot be told",
            "run the doctor as the server's user, or stop what listens there",
        )
    elif _is_in(listener, settings.server_dir):
        yield ok("SERVER_PORT", f"the server of SERVER_DIR listens on {port} (process {listener.pid})")
    else:
        yield fail(
            "SERVER_PORT",
            f"another program listens on {port}: {listener.name()} (process {listener.pid})",
            "stop it, or give the port of this server",
        )


def check_sandbox_port(settings: Settings) -> Iterator[Finding]:
    port = settings.sandbox_port
    listener = find_listener(port) if port else None
    if listener is not None and listener.pid == InstanceLock(settings.state_dir).find_bot():
        yield ok("SANDBOX_PORT", f"{port}, which the bot listens on (process {listener.pid})")
    elif port and is_open(port):
        yield fail("SANDBOX_PORT", f"{port} is taken", "choose another one, or 0 for any free one")
    else:
        yield ok("SANDBOX_PORT", str(port) if port else "any free one")


def is_open(port: int) -> bool:
    """Whether somebody accepts on this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def find_listener(port: int) -> psutil.Process | None:
    """Who listens, as far as this user may see it."""
    try:
        found = (each for each in psutil.net_connections("tcp") if each.laddr and each.laddr.port == port)
        pid = next((each.pid for each in found if each.status == psutil.CONN_LISTEN and each.pid), None)
        return None if pid is None else psutil.Process(pid)
    except psutil.Error:
        return None


def _is_in(process: psutil.Process, folder: Path) -> bool:
    try:
        places = (Path(process.cwd()), Path(process.exe()).parent)
    except (psutil.Error, OSError):
        return False
    return any(each.resolve().is_relative_to(folder.resolve()) for each in places)
