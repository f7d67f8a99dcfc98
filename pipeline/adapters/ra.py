"""The server's telnet console, RA (TRINITYCORE.md, 4).

One short session for each command: an open one can hold up the server's signals. What is sent before the server asks
for a name is swallowed as telnet negotiation, so nothing is. The prompt is the only end of an output, and there is no
word of success or failure.
"""

from __future__ import annotations

import contextlib
import socket
import time

from pipeline.adapters.console_command import check_command, check_login
from pipeline.errors import ConsoleUnavailable

_PROMPTS = (b"TC>", b"AC>")
_REFUSED = b"Authentication failed"
_MOST = 1 << 20  # bytes of an answer
_FAREWELL = 1.0  # seconds to wait for `Bye`


class RaConsole:
    """`ports.Console` over telnet. `user` needs `Ra.MinLevel` for all realms."""

    def __init__(self, host: str, port: int, user: str, password: str, timeout: float = 10.0) -> None:
        self._address = (host, port)
        self._user = user
        self._password = password
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"ra://{self._address[0]}:{self._address[1]}"

    def execute(self, command: str) -> str:
        """The command's output. Raises CommandFailed, ConsoleUnavailable."""
        check_command(command)
        check_login(self._user, self._password)
        try:
            with _Session(self._address, self._timeout) as session:
                return self._converse(session, command)
        except TimeoutError:
            raise ConsoleUnavailable(f"{self!r} did not answer within {self._timeout:g} s") from None
        except OSError as fault:
            raise ConsoleUnavailable(f"{self!r} cannot be reached: {fault.strerror or fault}") from None

    def _converse(self, session: _Session, command: str) -> str:
        session.read_until(b"Username: ")
        session.send(self._user)
        session.read_until(b"Password: ")
        session.send(self._password)
        greeting = session.read_until(*_PROMPTS, _REFUSED, _REFUSED + b"\r\n")
        if greeting.rstrip().endswith(_REFUSED):
            raise ConsoleUnavailable(f"{self!r} refused the login: check SERVER_CONSOLE_USER, its password and level")
        session.send(command)
        output = session.read_until(*_PROMPTS)
        session.say_goodbye()
        return output[:-3].decode("utf-8", "replace").replace("\r\n", "\n").strip("\n")


class _Session:
    """A connection with one deadline for all that is said on it. Raises TimeoutError, OSError."""

    def __init__(self, address: tuple[str, int], timeout: float) -> None:
        self._deadline = time.monotonic() + timeout
        self._socket = socket.create_connection(address, timeout=timeout)

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, line: str) -> None:
        self._socket.settimeout(self._left())
        self._socket.sendall(line.encode("utf-8") + b"\r\n")

    def read_until(self, *ends: bytes) -> bytes:
        """All that comes up to and with one of the ends, once nothing follows it."""
        received = b""
        while not (received.endswith(ends) and self._is_silent()):
            self._socket.settimeout(self._left())
            chunk = self._socket.recv(65536)
            if not chunk:
                return self._closed(received, ends)
            received += chunk
            if len(received) > _MOST:
                raise ConsoleUnavailable("it answers without end")
        return received

    def say_goodbye(self) -> None:
        """The server ends the session itself, and counts it as ended."""
        with contextlib.suppress(OSError):
            self.send("quit")
            self._socket.settimeout(min(_FAREWELL, self._left()))
            while self._socket.recv(4096):
                pass

    def _closed(self, received: bytes, ends: tuple[bytes, ...]) -> bytes:
        for end in ends:
            if received.rstrip().endswith(end):
                return received.rstrip()
        raise ConsoleUnavailable("the server closed the console before it had answered")

    def _is_silent(self) -> bool:
        """A prompt in the middle of an output is none."""
        self._socket.settimeout(0)
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left
