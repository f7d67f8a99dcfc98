"""The server's consoles over real sockets: small servers that speak as TRINITYCORE.md says, and the sample realm."""

from __future__ import annotations

import base64
import contextlib
import html
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import realm

from pipeline.adapters.console import (
    CommandFailed,
    RaConsole,
    ServerConsole,
    SoapConsole,
    find_revision,
    one_line,
    parse_console,
)
from pipeline.adapters.console_command import check_command
from pipeline.adapters.players import ConnectedPlayers
from pipeline.errors import ConsoleUnavailable

USER, PASSWORD = "OPERATOR", "geheim<&>ü"
INFO = "TrinityCore rev. 6e01fc26da52+ 2025-11-04 09:15:04 +0100 (master branch) (Unix, RelWithDebInfo, Static)"


@dataclass
class Loopback:
    """A server on a free port that gives each connection to `talk`, one after the other."""

    talk: Callable[[socket.socket], None]
    faults: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ended = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ended:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(20)
                try:
                    self.talk(connection)
                except (ConnectionError, TimeoutError):
                    continue
                except BaseException as fault:
                    self.faults.append(fault)

    def close(self) -> None:
        self._ended = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(20)
        assert self.faults == []


@contextlib.contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    server = Loopback(talk)
    try:
        yield server.port
    finally:
        server.close()


@contextlib.contextmanager
def hanging() -> Iterator[int]:
    """A server that accepts and then says nothing."""
    ended = threading.Event()

    def wait(_: socket.socket) -> None:
        ended.wait(20)

    with serving(wait) as port:
        try:
            yield port
        finally:
            ended.set()


def read_line(connection: socket.socket) -> str:
    received = b""
    while not received.endswith(b"\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError
        received += byte
    return received[:-2].decode()


# --- a telnet console to the letter of the core ----------------------------------------------------------------------


@dataclass
class TelnetServer:
    """RASession as the core has it; `heard` is every line it was sent."""

    prompt: str = "TC>"
    answer: str = "one\r\ntwo\r\n"
    negotiation: float = 0.05  # seconds that it swallows what comes; one second in the core
    heard: list[str] = field(default_factory=list)
    swallowed: bytes = b""

    def __call__(self, connection: socket.socket) -> None:
        self._negotiate(connection)
        connection.sendall(b"Authentication Required\r\n")
        if not self._login(connection):
            connection.sendall(b"Authentication failed\r\n")
            return
        connection.sendall(b"Welcome\r\n")
        while True:
            connection.sendall(self.prompt.encode())
            command = self._hear(connection)
            if command == "":
                return
            if command == "quit":
                connection.sendall(b"Bye\r\n")
                return
            connection.sendall(self.answer.encode())

    def _negotiate(self, connection: socket.socket) -> None:
        deadline = time.monotonic() + self.negotiation
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            with contextlib.suppress(TimeoutError):
                self.swallowed += connection.recv(4096)
                connection.sendall(b"\xff\xf0")
        connection.settimeout(20)

    def _login(self, connection: socket.socket) -> bool:
        connection.sendall(b"Username: ")
        user = self._hear(connection)
        connection.sendall(b"Password: ")
        return (user, self._hear(connection)) == (USER, PASSWORD)

    def _hear(self, connection: socket.socket) -> str:
        line = read_line(connection)
        self.heard.append(line)
        return line


def telnet(port: int, user: str = USER, password: str = PASSWORD, timeout: float = 10.0) -> RaConsole:
    return RaConsole("127.0.0.1", port, user, password, timeout)


@pytest.mark.parametrize("prompt", ["TC>", "AC>"])
def test_ra_gives_the_output_up_to_the_prompt_and_leaves_in_order(prompt: str) -> None:
    server = TelnetServer(prompt)
    with serving(server) as port:
        assert telnet(port).execute("server info") == "one\ntwo"
    assert server.heard == [USER, PASSWORD, "server info", "quit"]


def test_ra_sends_nothing_that_would_be_swallowed_as_negotiation() -> None:
    server = TelnetServer(negotiation=0.3)
    with serving(server) as port:
        telnet(port).execute("saveall")
    assert server.swallowed == b""


def test_ra_takes_one_session_for_each_command() -> None:
    server = TelnetServer()
    with serving(server) as port:
        console = telnet(port)
        console.execute("saveall")
        console.execute("server info")
    assert server.heard == [USER, PASSWORD, "saveall", "quit", USER, PASSWORD, "server info", "quit"]


@pytest.mark.parametrize("answer", ["", "a TC> in the text\r\n", "ü✅\r\n", "x" * 200_000 + "\r\n"])
def test_ra_reads_any_output(answer: str) -> None:
    with serving(TelnetServer(answer=answer)) as port:
        assert telnet(port).execute("server info") == answer.strip()


def test_ra_tells_a_refused_login_without_the_password() -> None:
    with serving(TelnetServer()) as port, pytest.raises(ConsoleUnavailable) as refused:
        telnet(port, password="wrong-secret").execute("server info")
    assert str(refused.value) == (
        f"ra://127.0.0.1:{port} refused the login: check SERVER_CONSOLE_USER, its password and level"
    )


def test_ra_gives_up_on_a_server_that_hangs() -> None:
    with hanging() as port, pytest.raises(ConsoleUnavailable, match=r"did not answer within 0\.2 s"):
        telnet(port, timeout=0.2).execute("server info")


def test_ra_gives_up_on_a_server_that_drips() -> None:
    def drip(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"x")
            time.sleep(0.01)

    with serving(drip) as port, pytest.raises(ConsoleUnavailable, match=r"did not answer within 0\.3 s"):
        telnet(port, timeout=0.3).execute("server info")


def test_ra_gives_up_on_a_server_that_floods() -> None:
    def flood(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"x" * 65536)

    with serving(flood) as port, pytest.raises(ConsoleUnavailable, match="it answers without end"):
        telnet(port).execute("server info")


def test_ra_tells_a_server_that_closes_early() -> None:
    def leave(connection: socket.socket) -> None:
        connection.sendall(b"Authent")

    with serving(leave) as port, pytest.raises(ConsoleUnavailable, match="closed the console before it had answered"):
        telnet(port).execute("server info")


# --- a SOAP console --------------------------------------------------------------------------------------------------

ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/'
    'envelope/" xmlns:ns1="{namespace}"><SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>'
)
FAULT = (
    "<SOAP-ENV:Fault><faultcode>SOAP-ENV:Client</faultcode><faultstring>{text}</faultstring>"
    "<detail>{text}</detail></SOAP-ENV:Fault>"
)


@dataclass
class SoapServer:
    """gSOAP as the core uses it."""

    namespace: str = "urn:TC"
    refused: str | None = None
    level: int = 3
    heard: list[str] = field(default_factory=list)

    def __call__(self, connection: socket.socket) -> None:
        headers = self._read_head(connection)
        body = b""
        while len(body) < int(headers["content-length"]):
            body += connection.recv(4096)
        status, answer = self._answer(headers, body.decode())
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {len(answer.encode())}"
        connection.sendall(f"{head}\r\nConnection: close\r\n\r\n{answer}".encode())

    def _read_head(self, connection: socket.socket) -> dict[str, str]:
        assert read_line(connection) == "POST / HTTP/1.1"
        headers = {}
        while line := read_line(connection):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return headers

    def _answer(self, headers: dict[str, str], body: str) -> tuple[str, str]:
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if headers["authorization"] != f"Basic {login}":
            return "401 Unauthorized", ""
        if self.level < 3:
            return "403 Forbidden", ""
        if f'xmlns:ns1="{self.namespace}"' not in body:
            text = "Method 'ns1:executeCommand' not implemented: method name or namespace not recognized"
            return "500 Internal Server Error", self._wrap(FAULT.format(text=text))
        command = re.search(r"<ns1:executeCommand><command>(.*)</command></ns1:executeCommand>", body, re.DOTALL)
        assert command is not None
        self.heard.append(html.unescape(command[1]))
        if self.refused is not None:
            return "500 Internal Server Error", self._wrap(FAULT.format(text=html.escape(self.refused)))
        result = "<ns1:executeCommandResponse><result>one &lt;two&gt;&#xD;\n</result></ns1:executeCommandResponse>"
        return "200 OK", self._wrap(result)

    def _wrap(self, body: str) -> str:
        return ENVELOPE.format(namespace=self.namespace, body=body)


def soap(port: int, user: str = USER, password: str = PASSWORD, timeout: float = 10.0) -> SoapConsole:
    return SoapConsole("127.0.0.1", port, user, password, timeout)


def test_soap_gives_the_result_of_a_command() -> None:
    server = SoapServer()
    with serving(server) as port:
        assert soap(port).execute("server info") == "one <two>\r\n"
    assert server.heard == ["server info"]


def test_soap_escapes_what_xml_would_read() -> None:
    server = SoapServer()
    command = 'announce </command><command>server exit</command> & <b> "ü" ]]>'
    with serving(server) as port:
        soap(port).execute(command)
    assert server.heard == [command]


def test_soap_finds_the_namespace_of_azerothcore_and_keeps_to_it() -> None:
    server = SoapServer(namespace="urn:AC")
    with serving(server) as port:
        console = soap(port)
        console.execute("saveall")
        console.execute("server info")
    assert server.heard == ["saveall", "server info"]


def test_soap_tells_the_servers_own_words_for_a_command_it_refused() -> None:
    server = SoapServer(refused="Syntax: server <what>")
    with serving(server) as port, pytest.raises(CommandFailed, match=r"^Syntax: server <what>$"):
        soap(port).execute("server")


@pytest.mark.parametrize(
    ("server", "password", "reason"),
    [
        (SoapServer(), "wrong-secret", "refused the login"),
        (SoapServer(level=2), PASSWORD, "refused the account: it needs security level 3"),
    ],
    ids=["401", "403"],
)
def test_soap_tells_a_refused_login_without_the_password(server: SoapServer, password: str, reason: str) -> None:
    with serving(server) as port, pytest.raises(ConsoleUnavailable, match=reason) as refused:
        soap(port, password=password).execute("server info")
    assert password not in f"{refused.value!r}{refused.value.__cause__!r}"
    assert base64.b64encode(password.encode()).decode() not in repr(refused.value)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"hello\r\n\r\n", "cannot be reached: "),
        (b"", "cannot be reached: "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "answered with HTTP 200 and nothing that is known"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "answered with HTTP 500 and nothing that is known"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * (2 << 20), "it answers without end"),
    ],
    ids=["no_http", "closed", "no_result", "no_fault", "flood"],
)
def test_soap_tells_a_server_of_another_kind(answer: bytes, reason: str) -> None:
    def talk(connection: socket.socket) -> None:
        asked = b""
        while b"Envelope>" not in asked[-40:] and (more := connection.recv(65536)):
            asked += more  # what is left unread at the close would reset the connection under the answer
        connection.sendall(answer)

    with serving(talk) as port, pytest.raises(ConsoleUnavailable, match=reason):
        soap(port).execute("server info")


def test_soap_gives_up_on_a_world_that_hangs() -> None:
    with hanging() as port, pytest.raises(ConsoleUnavailable, match=r"did not answer within 0\.2 s"):
        soap(port, timeout=0.2).execute("server info")


def test_soap_gives_up_on_a_server_that_drips() -> None:
    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.01)

    with serving(drip) as port, pytest.raises(ConsoleUnavailable, match=r"did not answer within 0\.3 s"):
        soap(port, timeout=0.3).execute("server info")


# --- both ------------------------------------------------------------------------------------------------------------

KINDS = {"ra": RaConsole, "soap": SoapConsole}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_server_that_is_not_there_is_told(kind: type[RaConsole] | type[SoapConsole]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConsoleUnavailable, match=f"{port} cannot be reached: "):
        kind("127.0.0.1", port, USER, PASSWORD, 5).execute("server info")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("command", ["", " ", "saveall\nserver exit", "a\r\nb", "a\x00b", "\x1b[2J", "x" * 5000])
def test_hostile_command_is_refused_before_anything_is_sent(
    kind: type[RaConsole] | type[SoapConsole], command: str
) -> None:
    with pytest.raises(CommandFailed):
        kind("127.0.0.1", 1, USER, PASSWORD, 5).execute(command)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize(("user", "password"), [("", "x"), ("x", ""), ("a\r\nb", "x"), ("x", "a\nb")])
def test_a_login_that_cannot_be_one_is_never_sent(
    kind: type[RaConsole] | type[SoapConsole], user: str, password: str
) -> None:
    with pytest.raises(ConsoleUnavailable, match="SERVER_CONSOLE_USER"):
        kind("127.0.0.1", 1, user, password, 5).execute("server info")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_console_never_shows_its_password(kind: type[RaConsole] | type[SoapConsole]) -> None:
    assert PASSWORD not in repr(kind("127.0.0.1", 1, USER, PASSWORD, 5))


# --- which console ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("soap://127.0.0.1:7000", "soap://127.0.0.1:7000"),
        ("soap://localhost", "soap://localhost:7878"),
        ("RA://127.0.0.1/", "ra://127.0.0.1:3443"),
        (" ra://[::1]:99 ", "ra://::1:99"),
    ],
)
def test_a_console_is_named_by_its_address(url: str, expected: str) -> None:
    assert repr(parse_console(url, USER, PASSWORD)) == expected


@pytest.mark.parametrize("url", ["signal", "Signal", ""])
def test_a_server_without_a_console_is_stopped_by_signals(url: str) -> None:
    assert parse_console(url) is None


@pytest.mark.parametrize(
    "url", ["http://x:1", "soap://", "soap://x:port", "soap://x:99999", "soap://x:0", "x", "ra://x/y", "soap://[::1"]
)
def test_another_address_is_refused_with_the_cure(url: str) -> None:
    with pytest.raises(ValueError, match="SERVER_CONSOLE is `soap://host:7878`, `ra://host:3443` or `signal`"):
        parse_console(url)


def test_a_login_in_the_address_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="belongs into SERVER_CONSOLE_USER") as refused:
        parse_console("soap://joe:secret@127.0.0.1:7878")
    assert "secret" not in str(refused.value)


# --- what is said ----------------------------------------------------------------------------------------------------


class Listener:
    def __init__(self, answer: str = "") -> None:
        self.heard: list[str] = []
        self._answer = answer

    def execute(self, command: str) -> str:
        check_command(command)
        self.heard.append(command)
        return self._answer


def test_an_announcement_is_one_line_whatever_it_was() -> None:
    listener = Listener()
    ServerConsole(listener).announce("Restart in 30 s\r\nserver exit\x00  \u200bnow")
    assert listener.heard == ["announce Restart in 30 s server exit now"]


def test_a_long_announcement_is_cut_to_what_the_chat_shows() -> None:
    assert len(one_line("word " * 100)) == 255
    assert one_line("word " * 100).endswith("…")


def test_players_are_saved() -> None:
    listener = Listener()
    ServerConsole(listener).save_all()
    assert listener.heard == ["saveall"]


@pytest.mark.parametrize(
    ("answer", "revision"),
    [
        (f"{INFO}\r\nConnected players: 0.", "6e01fc26da52+"),
        ("AzerothCore rev. 0123456789ab 2025-01-01 00:00:00 +0000 (master branch)", "0123456789ab"),
        ("TrinityCore rev. unknown 1970-01-01 00:00:00 +0000 (Archived branch)", None),
        ("Connected players: 0.", None),
        ("rev. 0123456789abcdefghi", None),
        ("", None),
    ],
)
def test_the_running_revision_is_read_from_the_servers_own_words(answer: str, revision: str | None) -> None:
    assert ServerConsole(Listener(answer)).revision() == find_revision(answer) == revision


# --- the sample realm ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[realm.RunningServer]:
    with realm.start_server(realm.shared_realm().server, tmp_path_factory.mktemp("realm")) as running:
        yield running.wait_ready()


@pytest.mark.parametrize("scheme", ["soap", "ra"])
def test_the_sample_realm_tells_its_revision_on_each_console(server: realm.RunningServer, scheme: str) -> None:
    port = server.soap_port if scheme == "soap" else server.ra_port
    console = parse_console(f"{scheme}://127.0.0.1:{port}", realm.USER, realm.PASSWORD)
    assert console is not None
    assert ServerConsole(console).revision() == realm.shared_realm().commit[:12]


def test_the_sample_realm_takes_announcements_and_saves_over_soap(server: realm.RunningServer) -> None:
    console = ServerConsole(SoapConsole("127.0.0.1", server.soap_port, realm.USER, realm.PASSWORD))
    console.announce("größer & <besser>")
    console.save_all()


def test_the_sample_realm_refuses_an_unknown_command_over_soap(server: realm.RunningServer) -> None:
    with pytest.raises(CommandFailed):
        SoapConsole("127.0.0.1", server.soap_port, realm.USER, realm.PASSWORD).execute("no such command")


@pytest.mark.parametrize("scheme", ["soap", "ra"])
def test_the_sample_realm_refuses_a_wrong_password(server: realm.RunningServer, scheme: str) -> None:
    port = server.soap_port if scheme == "soap" else server.ra_port
    console = parse_console(f"{scheme}://127.0.0.1:{port}", realm.USER, "wrong")
    assert console is not None
    with pytest.raises(ConsoleUnavailable, match="refused the login"):
        console.execute("server info")


def test_players_are_counted_by_their_connections(server: realm.RunningServer) -> None:
    players = ConnectedPlayers(server.world_port)
    before = players.count(server.process.pid)
    player = server.player("Ann")
    assert (before, players.count(server.process.pid)) == (0, 1)
    player.close()


def test_players_of_what_cannot_be_looked_into_are_not_known(tmp_path: Path) -> None:
    assert ConnectedPlayers(8085).count(2**22 + 1) is None
    assert ConnectedPlayers(0).count(1) is None
