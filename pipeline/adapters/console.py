"""Which console the server has (SERVER_CONSOLE), and what is said to it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pipeline.adapters.console_command import CommandFailed
from pipeline.adapters.ra import RaConsole
from pipeline.adapters.soap import SoapConsole
from pipeline.ports import Console

__all__ = ["CommandFailed", "RaConsole", "ServerConsole", "SoapConsole", "find_revision", "parse_console"]

_PORTS = {"soap": 7878, "ra": 3443}
_CURE = "SERVER_CONSOLE is `soap://host:7878`, `ra://host:3443` or `signal`"
_REVISION = re.compile(r"rev\. (?P<hash>[0-9a-f]{7,40})(?P<dirty>\+?)(?![0-9A-Za-z])")
_LONGEST_ANNOUNCEMENT = 255  # characters a player's chat shows


def parse_console(
    url: str, user: str = "", password: str = "", timeout: float = 10.0
) -> SoapConsole | RaConsole | None:
    """The console that SERVER_CONSOLE names; None for `signal`. Raises ValueError, its text without any password."""
    if url.strip().lower() in ("", "signal"):
        return None
    scheme, host, port = _split(url)
    kind = SoapConsole if scheme == "soap" else RaConsole
    return kind(host, port, user, password, timeout)


def _split(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError(f"its port or host cannot be read: {_CURE}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("the login belongs into SERVER_CONSOLE_USER and SERVER_CONSOLE_PASSWORD, not into the address")
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query or port == 0:
        raise ValueError(_CURE)
    return parts.scheme, parts.hostname, port or _PORTS[parts.scheme]


class ServerConsole:
    """What we have to say to a server. Each raises ConsoleUnavailable, or CommandFailed with the server's answer."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def announce(self, text: str) -> None:
        """Tells all players, on one line."""
        self._console.execute(f"announce {one_line(text)}")

    def save_all(self) -> None:
        """Saves all players."""
        self._console.execute("saveall")

    def info(self) -> str:
        """Players, uptime, update time; the first line is the full revision."""
        return self._console.execute("server info")

    def revision(self) -> str | None:
        """The hash that the running server was built from, with `+` when dirty; None where it tells none."""
        return find_revision(self.info())


def one_line(text: str) -> str:
    """Text for the chat: one printable line, cut to what the chat shows."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    plain = " ".join(plain.split())
    return plain if len(plain) <= _LONGEST_ANNOUNCEMENT else plain[: _LONGEST_ANNOUNCEMENT - 1] + "…"


def find_revision(text: str) -> str | None:
    """The hash in a line like `TrinityCore rev. 0123456789ab+ 2025-11-04 …`."""
    found = _REVISION.search(text)
    return found and found["hash"] + found["dirty"]
