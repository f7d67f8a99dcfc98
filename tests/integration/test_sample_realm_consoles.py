"""The sample realm's consoles (RA, SOAP, its own) and its players' port, spoken to over real sockets and pipes."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import realm
from realm import RealmBuild, RunningServer, start_server


@pytest.fixture(scope="module")
def build() -> RealmBuild:
    return realm.shared_realm()


@pytest.fixture
def server(build: RealmBuild, tmp_path: Path) -> Iterator[RunningServer]:
    with start_server(build.server, tmp_path) as running:
        yield running.wait_ready()


def full_version(build: RealmBuild) -> str:
    date = realm.git(build.source, "show", "-s", "--format=%ci", build.commit)
    return f"TrinityCore rev. {build.commit[:12]} {date} (main branch) (Unix, RelWithDebInfo, Static)"


# The telnet console


def test_ra_greets_asks_and_answers_up_to_its_prompt(build: RealmBuild, server: RunningServer) -> None:
    console = server.ra()
    assert console.read_until("Username: ") == "Authentication Required\r\nUsername: "
    console.send("OPERATOR")
    assert console.read_until(": ") == "Password: "
    console.send("let-me-in")
    assert console.read_until("TC>") == "Welcome to the sample realm.\r\nTC>"
    assert console.command("server info").splitlines()[0] == full_version(build)
    console.send("quit")
    assert console.read_to_close() == "Bye\r\n"


def test_ra_swallows_what_is_sent_before_it_asks(server: RunningServer) -> None:
    console = server.ra()
    console.send(realm.USER)
    assert console.read_until("Username: ").encode("latin-1") == b"\xff\xf0Authentication Required\r\nUsername: "


def test_ra_refuses_a_wrong_password_and_closes(server: RunningServer) -> None:
    assert server.ra().login(password="wrong") == "Authentication failed\r\n"


def test_ra_refuses_an_account_below_its_level(build: RealmBuild, tmp_path: Path) -> None:
    with start_server(build.server, tmp_path, {"Realm.ConsoleLevel": 2}) as server:
        assert server.wait_ready().ra().login() == "Authentication failed\r\n"


def test_an_empty_line_closes_ra(server: RunningServer) -> None:
    console = server.ra()
    console.login()
    console.send("")
    assert console.read_to_close() == ""


def test_ra_shows_no_difference_between_success_and_failure(server: RunningServer) -> None:
    console = server.ra()
    console.login()
    assert console.command("nonsense") == "Command 'nonsense' does not exist\r\n"
    assert console.command(".saveall") == "All players saved.\r\n"


# The SOAP console


def test_soap_answers_with_the_output_of_the_command(build: RealmBuild, server: RunningServer) -> None:
    answer = server.soap("server info")
    assert answer.status == 200
    first, players, connections, uptime, diff, end = answer.text.split("\r\n")
    assert first == full_version(build)
    assert players == "Players online: 0 (max: 0)"
    assert connections == "Active connections: 3 (max: 3) Queued connections: 0 (max: 0)"
    assert uptime.startswith("Server uptime: ")
    assert diff.startswith("Update time diff: ")
    assert end == ""


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("", "Command can not be empty"),
        ("nonsense & <more>", "Command 'nonsense' does not exist\r\n"),
        ("server shutdown", "Syntax: .server shutdown [force] #delay [#exit_code] [reason]\r\n"),
        ("server shutdown soon", "Syntax: .server shutdown [force] #delay [#exit_code] [reason]\r\n"),
        ("server shutdown force 0 126", "Syntax: .server shutdown [force] #delay [#exit_code] [reason]\r\n"),
        ("server shutdown cancel", "No shutdown is in progress.\r\n"),
    ],
)
def test_soap_tells_a_failure_by_a_fault(server: RunningServer, command: str, fault: str) -> None:
    assert server.soap(command) == realm.SoapAnswer(500, fault)


def test_soap_knows_who_is_asking(build: RealmBuild, tmp_path: Path, server: RunningServer) -> None:
    assert server.soap("server info", password="wrong").status == 401
    with start_server(build.server, tmp_path / "second", {"Realm.ConsoleLevel": 2}) as second:
        assert second.wait_ready().soap("server info").status == 403


# Players


def test_announcements_reach_players_who_have_logged_in(server: RunningServer) -> None:
    player = server.player("Ann")
    assert server.soap("announce Restart in a minute").status == 200
    assert player.read_line() == "CHAT [SERVER] Restart in a minute"
    server.soap("notify Hold on")
    assert player.read_line() == "CHAT [NOTICE] Hold on"
    assert "Players online: 1 (max: 1)" in server.soap("server info").text


# Its own console


def test_the_end_of_its_input_stops_a_server_with_a_console(build: RealmBuild, tmp_path: Path) -> None:
    with start_server(build.server, tmp_path, {"Console.Enable": 1}) as server:
        assert server.wait_exit() == 0
        assert server.is_ready
        assert "Halting process..." in server.log


def test_its_own_console_takes_commands_while_its_input_is_open(build: RealmBuild, tmp_path: Path) -> None:
    with start_server(build.server, tmp_path, {"Console.Enable": 1}, stdin=subprocess.PIPE) as server:
        server.wait_ready()
        assert server.process.stdin
        server.process.stdin.write("saveall\nserver exit\n")
        server.process.stdin.flush()
        assert server.wait_exit() == 0
        assert "\nAll players saved.\r\nTC>Shutting down...\r\nTC>" in server.read("stdout.txt")
