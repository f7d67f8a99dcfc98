"""A SERVER_COMMAND that is a shell script without `exec`: the server is saved at a stop, and its crash is known."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from keeper_world import KeeperWorld, open_world, until

from pipeline.adapters.players import ConnectedPlayers
from pipeline.keeper.book import Book
from pipeline.keeper.burial import observe_end
from pipeline.keeper.folders import Folders
from pipeline.keeper.memory import Life
from pipeline.keeper.process import Ended, end_all, list_tree
from pipeline.keeper.protocol import EventKind, ExitVerdict, ServerState, Want
from pipeline.keeper.verdict import judge
from pipeline.keeper.wrapping import find_servers, list_below, read_shell_status

if sys.platform == "win32":
    pytest.fail("these tests speak POSIX signals", pytrace=False)

PLAIN = "./worldserver\necho done > after\n"
ENDLESS = "while :; do ./worldserver; done\n"
LAST_WORD = "./worldserver\n"
TAKEN_OVER = "echo starting\nexec ./worldserver\n"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[KeeperWorld]:
    with open_world(tmp_path) as made:
        made.ask(stop_timeout=15.0)  # nothing but the signal ends it in time
        yield made


def begin_wrapped(world: KeeperWorld, script: str) -> int:
    """The pid of the server, which the keeper did not start itself."""
    start = world.server / "start.sh"
    start.write_text(f"#!/bin/sh\n{script}")
    start.chmod(0o755)
    world.begin(command=("./start.sh",))
    return world.list_pids()[-1]


def stop(world: KeeperWorld) -> None:
    world.ask(want=Want.STOPPED)
    world.wait_for(ServerState.ABSENT)


def read_last_log(world: KeeperWorld) -> str:
    return Path(world.list_events(EventKind.EXITED)[-1]["log"]).read_text()


@pytest.mark.parametrize("script", [PLAIN, ENDLESS, LAST_WORD])
def test_the_server_below_a_shell_is_asked_itself_and_ends_in_order(world: KeeperWorld, script: str) -> None:
    server = begin_wrapped(world, script)
    stop(world)
    saved = (world.server / "saved").read_text().split()
    assert saved[0] == str(server), "it was not killed together with its shell, which may have begun another by then"
    told = world.list_events(EventKind.STOPPING)
    assert [each["rung"] for each in told] == ["signal"]
    assert [each["wrapped"][0].split()[-1] for each in told] == [str(server)]
    assert world.list_living() == []
    assert world.list_events(EventKind.EXITED)[0]["verdict"] == "asked"


def test_a_script_goes_on_to_its_end_behind_the_server(world: KeeperWorld) -> None:
    begin_wrapped(world, PLAIN)
    stop(world)
    assert (world.server / "after").read_text() == "done\n"


def test_a_server_that_a_script_has_become_is_asked_as_ever(world: KeeperWorld) -> None:
    begin_wrapped(world, TAKEN_OVER)
    stop(world)
    assert "Halting process" in read_last_log(world)
    assert "wrapped" not in world.list_events(EventKind.STOPPING)[0]


def test_a_deaf_server_below_a_shell_leaves_its_own_stacks(world: KeeperWorld) -> None:
    world.set_habits(deaf=True)
    begin_wrapped(world, LAST_WORD)
    world.ask(stop_timeout=0.3, want=Want.STOPPED)
    world.wait_for(ServerState.ABSENT)
    told = world.list_events(EventKind.EXITED)[0]
    assert (told["verdict"], told["status"]) == ("hang_at_stop", -signal.SIGABRT)
    assert world.list_living() == []


def test_a_crash_below_a_shell_is_known_by_the_shells_word(world: KeeperWorld) -> None:
    begin_wrapped(world, LAST_WORD)
    world.order("signal 11")
    told = world.wait_for_event(EventKind.EXITED)
    assert (told["verdict"], told["status"]) == ("crash", -signal.SIGSEGV)
    world.wait_for_event(EventKind.READY, 2)


@pytest.mark.parametrize(("code", "verdict"), [(0, "shutdown"), (2, "restart"), (3, "crash")])
def test_an_exit_code_comes_through_a_shell_as_it_is(world: KeeperWorld, code: int, verdict: str) -> None:
    begin_wrapped(world, LAST_WORD)
    world.order(f"exit {code}")
    told = world.wait_for_event(EventKind.EXITED)
    assert (told["status"], told["verdict"]) == (code, verdict)


def test_a_stop_of_a_wrapped_server_is_finished_by_the_next_keeper(world: KeeperWorld) -> None:
    killed = world.start_keeper("stop.noted:kill")
    start = world.server / "start.sh"
    start.write_text(f"#!/bin/sh\n{LAST_WORD}")
    start.chmod(0o755)
    world.ask(command=("./start.sh",))
    world.wait_until_ready()
    world.ask(want=Want.STOPPED)
    world.wait_for_end(killed)
    world.start_keeper()
    world.wait_for(ServerState.ABSENT)
    assert "Halting process" in read_last_log(world)


@pytest.mark.parametrize("core", [None, Path("core-of-the-server")])
def test_a_core_of_the_server_outweighs_the_good_word_of_its_shell(tmp_path: Path, core: Path | None) -> None:
    book = Book(Folders(state=tmp_path, server=tmp_path))
    life = Life("id", 0.0, book.boot, 1, ready_at=1.0)
    end = observe_end(book, life, Ended(0, None, (7, 8)), None, core)
    assert judge(end) is (ExitVerdict.SHUTDOWN if core is None else ExitVerdict.CRASH)


def test_the_core_of_a_process_below_the_shell_is_found(world: KeeperWorld) -> None:
    server = begin_wrapped(world, PLAIN)
    world.order("signal 6")
    told = world.wait_for_event(EventKind.EXITED)
    left = [path.name for path in world.server.iterdir() if path.name.startswith("core")]
    assert left == [], "it is moved aside"
    if told["core"] is not None:  # the machine's core_pattern is no pipe
        assert told["core"].endswith(f"-{server}")
        assert told["verdict"] == "crash", "though the script ended with 0"


def test_a_program_of_the_server_folder_is_the_server_and_what_reads_its_output_is_not(tmp_path: Path) -> None:
    shutil.copy2(shutil.which("sleep") or "/bin/sleep", tmp_path / "worldserver")
    shell = subprocess.Popen(["sh", "-c", "./worldserver 600 | cat; true"], cwd=tmp_path, start_new_session=True)
    try:
        until(lambda: [each for each in find_servers(shell.pid, tmp_path) if each.name() == "worldserver"], "it")
        assert [each.name() for each in find_servers(shell.pid, tmp_path)] == ["worldserver"]
        assert set(list_below(shell.pid)) == {each.pid for each in psutil.Process(shell.pid).children(recursive=True)}
    finally:
        end_all(list_tree(shell.pid))
        shell.wait(20)


def test_players_of_a_server_below_a_shell_are_counted() -> None:
    script = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)"
    words = ["sh", "-c", '"$0" -c "$1"; true', sys.executable, f"{script}; c = s.accept(); time.sleep(600)"]
    shell = subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert shell.stdout is not None
        port = int(shell.stdout.readline())
        assert ConnectedPlayers(port).count(shell.pid) == 0
        with socket.create_connection(("127.0.0.1", port)):
            until(lambda: ConnectedPlayers(port).count(shell.pid) == 1, "a player")
    finally:
        end_all(list_tree(shell.pid))
        shell.communicate(timeout=20)


@pytest.mark.parametrize(
    ("word", "status"), [(0, 0), (1, 1), (127, 127), (128, 128), (139, -11), (143, -15), (255, 255)]
)
def test_what_a_shell_says_of_its_last_command(word: int, status: int) -> None:
    assert read_shell_status(word) == status
