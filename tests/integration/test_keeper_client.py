"""The bot's end of the keeper's files, with real files and the real keeper."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.adapters.keeper_client import FileKeeper
from pipeline.adapters.keeper_process import is_locked, keeper_environment
from pipeline.errors import TransientError
from pipeline.keeper.locks import acquire
from pipeline.keeper.protocol import (
    DESIRED,
    EVENTS,
    KEEPER_NOTE,
    LOCK_FOLDER,
    OBSERVED,
    Desired,
    Event,
    EventKind,
    KeeperNote,
    Observed,
    ServerState,
    Want,
    to_json,
)
from pipeline.status_models import Left

KEEPER = "k1"


class Realm:
    """A state folder and a server folder, and what a keeper would write there."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.server = folder / "server"
        self.server.mkdir()
        self.state.mkdir()
        self.client = FileKeeper(self.state, self.server, withhold=["DISCORD_TOKEN"], environ=dict(os.environ))

    @property
    def events(self) -> Path:
        return self.state / EVENTS

    @property
    def lock(self) -> Path:
        return self.server / LOCK_FOLDER / "keeper.lock"

    def tell(self, *numbers: int, keeper: str = KEEPER) -> None:
        with self.events.open("ab") as file:
            for number in numbers:
                file.write(line(number, keeper))

    def heard(self, after: int | None = None, keeper: str = KEEPER) -> list[int]:
        found = self.client.events(None if after is None else (keeper, after))
        return [event.number for event in found]

    def wish(self, generation: int = 1) -> Desired:
        command = (sys.executable, "-c", "import time; time.sleep(600)")
        return Desired(generation, Want.UP, "test", "", str(self.server), command)


def line(number: int, keeper: str = KEEPER) -> bytes:
    return to_json(Event(keeper, number, float(number), EventKind.READY, {"pid": number})).encode() + b"\n"


@pytest.fixture
def realm(tmp_path: Path) -> Realm:
    return Realm(tmp_path)


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"not in 20 s: {what}"
        time.sleep(0.005)


# --- events ----------------------------------------------------------------------------------------------------------


def test_without_a_file_there_are_no_events(realm: Realm) -> None:
    assert realm.heard() == []


def test_events_come_in_the_order_of_the_file_and_only_behind_the_last_one(realm: Realm) -> None:
    realm.tell(1, 2, 3)
    assert realm.heard() == [1, 2, 3]
    assert realm.heard(after=3) == []
    realm.tell(4, 5)
    assert realm.heard(after=3) == [4, 5]
    assert realm.heard(after=5) == []


def test_what_was_not_taken_is_given_again(realm: Realm) -> None:
    realm.tell(1, 2, 3)
    assert realm.heard() == [1, 2, 3]
    assert realm.heard(after=1) == [2, 3]
    assert realm.heard() == [1, 2, 3]


def test_a_bot_that_starts_again_reads_on_behind_what_it_knows(realm: Realm) -> None:
    realm.tell(1, 2, 3)
    assert realm.heard(after=2) == [3]


def test_only_the_new_end_of_a_long_file_is_read(realm: Realm) -> None:
    realm.tell(*range(1, 2001))
    assert len(realm.heard()) == 2000
    with realm.events.open("r+b") as file:
        file.write(b"\x00" * 100)  # whoever read from the beginning would stumble here
    realm.tell(2001)
    assert realm.heard(after=2000) == [2001]


def test_a_torn_last_line_is_waited_for(realm: Realm) -> None:
    realm.tell(1)
    whole = line(2)
    for end in (1, len(whole) // 2, len(whole) - 1):
        realm.events.write_bytes(line(1) + whole[:end])
        assert realm.heard(after=1) == []
    realm.events.write_bytes(line(1) + whole)
    assert realm.heard(after=1) == [2]


def test_a_line_torn_for_good_is_passed_over(realm: Realm) -> None:
    realm.events.write_bytes(line(1) + line(2)[:20] + b"\n" + b"\xff\x00\n" + b"\n" + line(2))
    assert realm.heard() == [1, 2]


def test_events_that_a_keeper_wrote_again_after_a_full_disk_follow_the_last_one(realm: Realm) -> None:
    realm.events.write_bytes(line(1) + line(2) + line(3)[:9] + b"\n" + line(2) + line(3))
    assert realm.heard(after=2) == [3]


def test_numbers_of_another_keeper_are_other_events(realm: Realm) -> None:
    realm.tell(1, 2)
    realm.tell(1, keeper="k2")
    assert realm.heard(after=1) == [2, 1]
    assert realm.heard(after=1, keeper="k2") == []


def test_a_file_that_was_begun_anew_is_read_from_its_beginning(realm: Realm) -> None:
    realm.tell(1, 2, 3)
    assert realm.heard() == [1, 2, 3]
    realm.events.unlink()
    realm.tell(1, keeper="k2")
    assert [event.keeper for event in realm.client.events((KEEPER, 3))] == ["k2"]


@pytest.mark.parametrize("after", [3, 99])
def test_a_file_that_was_rewritten_in_place_is_read_from_its_beginning(realm: Realm, after: int) -> None:
    realm.tell(1, 2, 3)
    assert realm.heard() == [1, 2, 3]
    realm.events.write_bytes(b"".join(line(number, "another keeper") for number in range(10, 20)))
    assert realm.heard(after=after) == list(range(10, 20))


# --- the wish and what is ---------------------------------------------------------------------------------------------


def test_a_wish_is_read_back_as_it_was(realm: Realm) -> None:
    assert realm.client.desired() is None
    realm.client.wish(realm.wish())
    assert realm.client.desired() == realm.wish()
    assert [path.name for path in realm.state.iterdir()] == [DESIRED]


def test_a_wish_that_was_spoilt_is_taken_from_the_keepers_copy(realm: Realm) -> None:
    (realm.server / LOCK_FOLDER).mkdir()
    (realm.server / LOCK_FOLDER / DESIRED).write_text(to_json(realm.wish(generation=57)))
    (realm.state / DESIRED).write_text('{"generation": 5')
    assert realm.client.desired() == realm.wish(generation=57)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"keeper": 7}', "\x00"])
def test_observations_that_cannot_be_read_are_none(realm: Realm, content: str) -> None:
    assert realm.client.observed() is None
    (realm.state / OBSERVED).write_text(content)
    assert realm.client.observed() is None


def test_observations_are_read(realm: Realm) -> None:
    observed = Observed("k1", 7, "boot", 1.0, ServerState.READY, 3, pid=8)
    (realm.state / OBSERVED).write_text(to_json(observed))
    assert realm.client.observed() == observed


# --- the lock --------------------------------------------------------------------------------------------------------


def test_a_keeper_lives_as_long_as_its_lock_is_held(realm: Realm) -> None:
    assert not realm.client.alive()
    realm.lock.parent.mkdir()
    lock = acquire(realm.lock)
    assert lock is not None
    assert realm.client.alive()
    lock.release()
    assert realm.lock.exists()
    assert not realm.client.alive()


def test_looking_at_the_lock_does_not_keep_it(realm: Realm) -> None:
    realm.lock.parent.mkdir()
    realm.lock.touch()
    assert is_locked(realm.lock) is False
    assert acquire(realm.lock) is not None


def test_a_lock_that_may_not_be_opened_leaves_the_process_to_tell(realm: Realm) -> None:
    realm.lock.parent.write_text("a file stands where the folder should be")
    assert is_locked(realm.lock) is None
    assert not realm.client.alive()
    (realm.state / OBSERVED).write_text(to_json(Observed("k1", os.getpid(), "boot", 1.0, ServerState.READY, 3)))
    assert realm.client.alive()


# --- the environment -------------------------------------------------------------------------------------------------


def test_no_setting_and_no_mark_of_ours_reaches_the_keeper() -> None:
    ours = {"PATH": "/bin", "DISCORD_TOKEN": "t", "SPIRIT_HEALER_CHILD": "x", "NOTIFY_SOCKET": "/run/x", "LANG": "C"}
    kept = keeper_environment(ours, ["DISCORD_TOKEN"], "linux")
    assert {name: kept[name] for name in kept if name != "PYTHONPATH"} == {"PATH": "/bin", "LANG": "C"}


def test_on_windows_names_are_the_same_in_any_case() -> None:
    kept = keeper_environment({"Discord_Token": "t", "Path": "c:"}, ["DISCORD_TOKEN"], "win32")
    assert "Discord_Token" not in kept
    assert kept["Path"] == "c:"


# --- the real keeper -------------------------------------------------------------------------------------------------


@pytest.fixture
def keepers(realm: Realm) -> Iterator[Realm]:
    """Whatever keeper and server of this realm live at the end are ended."""
    yield realm
    ended = [each for keeper in list_keepers(realm) for each in (keeper, *keeper.children(recursive=True))]
    for each in ended:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(ended, timeout=20)


def list_keepers(realm: Realm) -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline"])
    return [each for each in found if each.info["cmdline"] and str(realm.server) in each.info["cmdline"]]


def keeper_of(realm: Realm) -> psutil.Process:
    eventually(lambda: realm.client.observed() is not None, "the keeper reports")
    observed = realm.client.observed()
    assert observed is not None
    return psutil.Process(observed.keeper_pid)


def test_a_keeper_is_started_once(keepers: Realm) -> None:
    assert keepers.client.ensure() is True
    assert keepers.client.alive()
    assert keepers.client.ensure() is False
    assert FileKeeper(keepers.state, keepers.server).ensure() is False


def test_a_keeper_that_died_is_started_again(keepers: Realm) -> None:
    keepers.client.ensure()
    first = keeper_of(keepers)
    first.kill()
    eventually(lambda: not keepers.client.alive(), "the keeper is gone")
    assert keepers.client.ensure() is True


def test_a_keeper_that_a_service_manager_had_started_is_left_to_it_for_a_while(keepers: Realm) -> None:
    """Else the manager's own would find the lock held, again and again, and its stop would not reach the server."""
    argv = [sys.executable, "-m", "pipeline.keeper", "--state-dir", str(keepers.state), "--foreground"]
    root = Path(__file__).parents[2]
    with subprocess.Popen([*argv, "--server-dir", str(keepers.server)], cwd=root) as managed:
        eventually(lambda: (keepers.server / LOCK_FOLDER / KEEPER_NOTE).exists(), "the keeper says who it is")
        assert keepers.client.ensure() is False
        managed.kill()
    assert [keepers.client.ensure() for _ in range(6)] == [False] * 5 + [True]


def test_a_bot_that_finds_no_keeper_at_its_start_waits_for_nobody(keepers: Realm) -> None:
    note = KeeperNote(1, 0.0, str(keepers.state), foreground=True)
    keepers.lock.parent.mkdir()
    (keepers.lock.parent / KEEPER_NOTE).write_text(to_json(note))
    assert keepers.client.ensure() is True


def test_a_keeper_stands_alone(keepers: Realm) -> None:
    environ = {**os.environ, "DISCORD_TOKEN": "secret", "KEPT": "yes"}
    client = FileKeeper(keepers.state, keepers.server, withhold=["DISCORD_TOKEN"], environ=environ)
    client.ensure()
    keeper = keeper_of(keepers)
    assert "DISCORD_TOKEN" not in keeper.environ()
    assert keeper.environ()["KEPT"] == "yes"
    assert Path(keeper.cwd()) == keepers.state
    if sys.platform != "win32":
        assert os.getsid(keeper.pid) == keeper.pid
        targets = {str(Path(f"/proc/{keeper.pid}/fd/{number}").readlink()) for number in (0, 1, 2)}
        assert targets == {os.devnull, str(client.log)}


def test_a_keeper_outlives_the_bot_that_started_it(keepers: Realm) -> None:
    script = (
        "import sys; from pathlib import Path; from pipeline.adapters.keeper_client import FileKeeper\n"
        "FileKeeper(Path(sys.argv[1]), Path(sys.argv[2])).ensure()\n"
        "import os, signal; os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))"
    )
    argv = [sys.executable, "-c", script, str(keepers.state), str(keepers.server)]
    root = str(Path(__file__).parents[2])
    subprocess.run(argv, cwd=root, env={**os.environ, "PYTHONPATH": root}, timeout=60, check=False)
    assert keepers.client.alive()


def test_world_two_keepers_that_start_at_once_are_one(keepers: Realm) -> None:
    clients = [FileKeeper(keepers.state, keepers.server) for _ in range(3)]
    children = [client._start() for client in clients]
    eventually(lambda: sum(child.poll() is None for child in children) == 1, "the others have given way")
    assert keepers.client.ensure() is False
    assert len(list_keepers(keepers)) == 1


def test_a_wish_makes_the_keeper_start_a_server(keepers: Realm) -> None:
    keepers.client.wish(keepers.wish())
    keepers.client.ensure()

    def has_started() -> bool:
        observed = keepers.client.observed()
        return observed is not None and observed.pid is not None

    eventually(has_started, "a server runs")
    assert EventKind.SPAWNED in [event.kind for event in keepers.client.events(None)]


def start(realm: Realm) -> tuple[psutil.Process, psutil.Process]:
    """A keeper and its server."""
    seen: list[psutil.Process] = []

    def has_started() -> bool:
        observed = realm.client.observed()
        if observed is not None and observed.pid is not None and realm.client.is_current(observed):
            seen[:] = [psutil.Process(observed.keeper_pid), psutil.Process(observed.pid)]
        return bool(seen)

    realm.client.ensure()
    eventually(has_started, "a server runs")
    return seen[0], seen[1]


def end(realm: Realm, *processes: psutil.Process) -> None:
    for each in processes:
        each.kill()
    psutil.wait_procs(processes, timeout=20)
    eventually(lambda: not realm.client.alive(), "no keeper lives")


def test_what_a_keeper_left_tells_whether_it_was_ended_in_order_and_what_still_runs(keepers: Realm) -> None:
    assert keepers.client.find_left() is None, "there never was one"
    keepers.client.wish(keepers.wish())
    keeper, server = start(keepers)
    assert keepers.client.find_left() is None, "it lives"
    end(keepers, keeper)
    left = keepers.client.find_left()
    assert left is not None and (left.in_order, left.server) == (False, server.pid)
    end(keepers, server)
    left = keepers.client.find_left()
    assert left is not None and (left.in_order, left.server) == (False, None)
    if sys.platform != "win32":
        keeper, _ = start(keepers)
        keeper.terminate()
        eventually(lambda: not keepers.client.alive(), "it is gone")
        left, last = keepers.client.find_left(), keepers.client.events(None)[-1]
        assert left == Left(in_order=True, at=last.at, server=None)


def test_a_keeper_that_cannot_live_is_told_with_its_last_words(realm: Realm) -> None:
    realm.server.rmdir()
    with pytest.raises(TransientError, match=r"the keeper ended at once with 1: .*server is no folder"):
        realm.client.ensure()


def test_a_python_that_is_gone_is_told(realm: Realm) -> None:
    client = FileKeeper(realm.state, realm.server, python=str(realm.state / "python-of-yesterday"))
    cure = "Cure: install Spirit Healer again where it was, then start it anew$"
    with pytest.raises(TransientError, match=rf"python-of-yesterday.*{cure}"):
        client.ensure()


if sys.platform != "win32":

    def test_fault_a10_a_keeper_ends_in_order_even_if_the_bot_ignored_signals(keepers: Realm) -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            keepers.client.ensure()
        finally:
            signal.signal(signal.SIGINT, before)
        keeper = keeper_of(keepers)
        keeper.send_signal(signal.SIGINT)
        eventually(lambda: not keepers.client.alive(), "the keeper has ended")
        kinds = [event.kind for event in keepers.client.events(None)]
        assert kinds[-1] == EventKind.KEEPER_STOPPED
