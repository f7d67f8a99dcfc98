"""A disk that fills up, or whose file system gives up, under a keeper at work: the server is restarted all the same.

The disk is real where this machine lets us mount one: a small file system is filled, and the journal of another is
aborted, upon which the kernel lets nobody write there any more, whatever is open.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from keeper_world import KeeperWorld, make_revision, open_world, until
from small_disks import ending, filling

from pipeline.adapters.keeper_client import FileKeeper
from pipeline.keeper.foreign import list_marked, make_folder_id
from pipeline.keeper.process import list_tree
from pipeline.keeper.protocol import EventKind, ReadyRule, ServerState
from pipeline.status_models import Stale

if sys.platform == "win32":
    pytest.fail("these tests mount POSIX file systems", pytrace=False)

# To its output too: its log may be lost.
READY = f"TrinityCore rev. {make_revision('b0')} 2025-11-04 (x branch) (Unix) (worldserver-daemon) ready...\n"


def list_servers(world: KeeperWorld) -> list[int]:
    """By their mark: what they note themselves may be lost."""
    return [each.who.pid for each in list_marked(make_folder_id(world.server))]


def list_all(world: KeeperWorld) -> list[int]:
    return [each.pid for keeper in world.keepers for each in list_tree(keeper.pid)]


def crash(world: KeeperWorld) -> int:
    """The server that follows."""
    [pid] = until(lambda: list_servers(world), "a server")
    os.kill(pid, signal.SIGSEGV)
    [follower] = until(lambda: [each for each in list_servers(world) if each != pid], "another server")
    return follower


def test_invariant_13_world_disk_full_state_folder_stops_no_restart_and_all_is_told_once_there_is_room(
    tmp_path: Path,
) -> None:
    with filling(tmp_path / "state", lambda: list_all(world)) as disk, open_world(tmp_path) as world:
        first = world.begin()
        with disk.full():
            assert len({first.pid, *(crash(world) for _ in range(3))}) == 4
            [server] = list_servers(world)
            client = FileKeeper(world.state, world.server)
            assert client.find_stale() == Stale(first.at, world.keepers[0].pid, first.pid, server)
        world.wait_for(ServerState.READY, pid=list_servers(world)[0])
        ends = world.list_events(EventKind.EXITED)
        assert [each["verdict"] for each in ends] == ["crash"] * 3
        assert client.find_stale() is None


def test_world_disk_full_server_folder_loses_the_ready_line_of_a_start_and_its_port_tells_that_it_is_ready(
    tmp_path: Path,
) -> None:
    with filling(tmp_path / "server", lambda: list_all(world)) as disk, open_world(tmp_path) as world:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        world.set_habits(port=port)
        world.begin(ready=ReadyRule(port=port))
        with disk.full():
            world.wait_for(ServerState.READY, pid=crash(world), revision=None)
        world.ask(restart=1)
        world.wait_until_ready(revision=make_revision("b0"))


def test_invariant_13_world_disk_full_server_folder_stops_no_restart_and_takes_no_build(tmp_path: Path) -> None:
    with filling(tmp_path / "server", lambda: list_all(world)) as disk, open_world(tmp_path) as world:
        world.set_habits(output=READY)
        world.begin()
        with disk.full():
            crash(world)
            world.ask(build=world.make_build("b2"), probation="d2")
            crash(world)
        failed = world.wait_for_event(EventKind.SWAP_FAILED)
        assert failed["build"] == "b2"
        assert any(words in failed["error"] for words in ("No space left", "File too large"))
        world.ask(probation="d3")
        world.wait_until_ready(build="b2", deployment="d3")
        assert [each["verdict"] for each in world.list_events(EventKind.EXITED)] == ["crash", "crash", "asked"]


@pytest.mark.parametrize("place", ["server", "state"])
def test_invariant_13_world_disk_read_only_server_or_state_folder_stops_no_restart_nor_the_next_keeper(
    tmp_path: Path, place: str
) -> None:
    with ending(tmp_path / place) as end, open_world(tmp_path) as world:
        world.set_habits(output=READY)
        first = world.begin()
        end()
        with pytest.raises(OSError, match=r"Read-only|denied"):
            (tmp_path / place / "probe").touch()
        assert len({first.pid, *(crash(world) for _ in range(2))}) == 3
        world.kill_keeper()
        world.start_keeper()
        crash(world)
