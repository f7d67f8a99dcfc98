"""Two keepers, or two bots, of one realm, one of them stopped (SIGSTOP): never two servers, and whoever wakes notices.

A lock is not taken from its holder, be it stopped for hours. But a person may remove the file, and then somebody comes.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from keeper_world import KeeperWorld, open_world, until

from bot.lock import InstanceHeld, InstanceLock
from pipeline.adapters.keeper_client import FileKeeper
from pipeline.keeper.protocol import EventKind, ServerState, replace_file, to_json
from pipeline.ports import Halt, Halted

if sys.platform == "win32":
    pytest.fail("these tests speak POSIX signals", pytrace=False)

OTHER_KEEPER = 3  # exit code


@pytest.fixture
def world(tmp_path: Path) -> Iterator[KeeperWorld]:
    with open_world(tmp_path) as made:
        yield made


def make_other_bot(world: KeeperWorld) -> Path:
    """The state folder of another bot that was given the same SERVER_DIR; its wish lies there."""
    other = world.state.with_name("other-state")
    other.mkdir()
    replace_file(other / "desired.json", to_json(replace(world.wish, generation=1, by="the other bot")))
    return other


def crash(world: KeeperWorld) -> None:
    """While nobody may see it."""
    pid = world.list_pids()[-1]
    os.kill(pid, signal.SIGKILL)
    until(lambda: pid not in world.list_living(), "the server's end")


def remove_lock(world: KeeperWorld) -> None:
    (world.server / ".spirit-healer" / "keeper.lock").unlink()


def remove_folder(world: KeeperWorld) -> None:
    shutil.rmtree(world.server / ".spirit-healer")


REMOVALS = [remove_lock, remove_folder]


# --- the keeper is stopped


def test_world_two_sigstop_of_the_keeper_is_told_and_nobody_takes_over(world: KeeperWorld) -> None:
    seen = world.begin()
    first = world.keepers[0]
    client = FileKeeper(world.state, world.server)
    until(lambda: client.is_current(seen), "a keeper that said who it is")
    first.send_signal(signal.SIGSTOP)
    until(client.find_halt, "a word about it")
    text = (
        f"the keeper (process {first.pid}) is stopped: what dies now stays dead. `kill -CONT {first.pid}` lets it go on"
    )
    assert client.find_halt() == Halt(Halted.KEEPER, text)
    assert not client.is_current(seen), "what it saw last is not what is"
    assert not client.ensure(), "its lock is held: nobody else is started"
    assert world.wait_for_end(world.start_keeper()) == OTHER_KEEPER
    crash(world)
    first.send_signal(signal.SIGCONT)
    until(lambda: len(world.list_living()) == 1, "the restart, late as it is")
    until(lambda: world.observed and client.is_current(world.observed), "what is, again")
    assert client.find_halt() is None
    assert [each["pid"] for each in world.list_events(EventKind.EXITED)] == [seen.pid]


@pytest.mark.parametrize("point", ["swap.noted", "swap.step.1", "swap.moved", "start.spawn.before", "stop.signalled"])
def test_world_two_sigstop_in_the_midst_of_a_swap_while_the_wish_moves_on(world: KeeperWorld, point: str) -> None:
    marker = world.server.parent / "paused"
    world.ask()
    first = world.start_keeper() if point == "start.spawn.before" else world.start_keeper(f"{point}:pause:{marker}")
    world.wait_until_ready()
    if point == "start.spawn.before":  # only of the new build's start
        world.kill_keeper()
        first = world.start_keeper(f"{point}:pause:{marker}")
        world.wait_until_ready(adopted=True)
    world.ask(build=world.make_build("b1"), probation="d1", lift_hold=True)
    until(marker.exists, f"the keeper at {point}")
    first.send_signal(signal.SIGSTOP)
    marker.with_name("paused.go").touch()
    assert world.wait_for_end(world.start_keeper()) == OTHER_KEEPER
    world.ask(build=world.make_build("b2"), probation="d2", lift_hold=True)
    world.keepers.pop()
    first.send_signal(signal.SIGCONT)
    seen = world.wait_until_ready(build="b2", deployment="d2")
    assert world.list_living() == [seen.pid]
    assert (world.server / "data.txt").read_text() == "b2"
    assert world.list_builds() in (["b0", "b2"], ["b0", "b1", "b2"])
    assert not (world.server / ".spirit-healer" / "swap.json").exists()


# --- somebody takes its lock for stale


@pytest.mark.parametrize("remove", REMOVALS)
def test_world_two_keepers_after_a_removed_lock_and_the_one_that_wakes_leaves(
    world: KeeperWorld, remove: Callable[[KeeperWorld], None]
) -> None:
    seen = world.begin()
    first = world.keepers[0]
    first.send_signal(signal.SIGSTOP)
    remove(world)
    other = make_other_bot(world)
    second = world.start_keeper_of(other)
    client = FileKeeper(other, world.server)
    now = until(lambda: now if (now := client.observed()) and now.state is ServerState.READY else None, "adoption")
    assert (now.pid, now.adopted, now.keeper_pid) == (seen.pid, True, second.pid)
    first.send_signal(signal.SIGCONT)
    assert world.wait_for_end(first) == OTHER_KEEPER
    assert world.list_events(EventKind.KEEPER_STOPPED) == [{"why": "another keeper looks after the server now"}]
    assert world.list_living() == [seen.pid], "it was left as it is"
    crash(world)
    until(lambda: len(world.list_living()) == 1, "one restart")
    assert len(world.list_pids()) == 2


@pytest.mark.parametrize("remove", REMOVALS)
def test_world_two_keepers_where_both_see_the_crash_start_one_server(
    world: KeeperWorld, remove: Callable[[KeeperWorld], None]
) -> None:
    """The first was stopped between the crash and its restart at once, which looks at nothing else."""
    marker = world.server.parent / "paused"
    world.ask()
    first = world.start_keeper(f"exit.told:pause:{marker}")
    world.wait_until_ready()
    world.order("signal 11")
    until(marker.exists, "the first keeper after the crash")
    first.send_signal(signal.SIGSTOP)
    remove(world)
    other = make_other_bot(world)
    second = world.start_keeper_of(other)
    client = FileKeeper(other, world.server)
    if remove is remove_lock:  # the one that sleeps has server.lock: a hold, which names it
        lock = world.server / ".spirit-healer" / "server.lock"
        until(lambda: (now := client.observed()) and now.state is ServerState.HELD, "the hold")
        held = client.observed()
        assert held
        assert held.hold_detail == f"{lock} is held by process {first.pid}"
    else:
        until(lambda: len(world.list_living()) == 1, "the second keeper's server")
    marker.with_name("paused.go").touch()
    first.send_signal(signal.SIGCONT)
    assert world.wait_for_end(first) == OTHER_KEEPER
    second.kill()
    second.wait(20)
    world.start_keeper_of(other)  # looks at once
    until(lambda: len(world.list_living()) == 1, "one server")
    assert len(world.list_pids()) == 2


@pytest.mark.parametrize("remove", REMOVALS)
def test_world_two_keepers_are_still_impossible_once_a_removed_lock_was_taken_again(
    world: KeeperWorld, remove: Callable[[KeeperWorld], None]
) -> None:
    seen = world.begin()
    remove(world)
    client = FileKeeper(world.state, world.server)
    until(client.alive, "the lock anew")
    assert world.wait_for_end(world.start_keeper()) == OTHER_KEEPER
    world.keepers.pop()
    world.order("exit 2")
    world.wait_for_event(EventKind.READY, 2)
    after = world.wait_until_ready()
    assert world.list_living() == [after.pid]
    until(lambda: client.is_current(after), "its note beside the lock")
    world.kill_keeper()
    world.start_keeper()
    world.wait_until_ready(pid=after.pid, adopted=True)
    assert seen.pid != after.pid


# --- two bots


def test_world_two_bots_with_one_server_folder_and_the_second_is_told_whose_it_is(world: KeeperWorld) -> None:
    seen = world.begin()
    other = make_other_bot(world)
    client = FileKeeper(other, world.server)
    until(client.find_halt, "a keeper that said who it is")
    assert not client.ensure()
    text = (
        f"the keeper of SERVER_DIR (process {seen.keeper_pid}) works for another bot, whose STATE_DIR is "
        f"{world.state}: this one sees and changes nothing of the server. End that bot and its keeper, or this bot"
    )
    assert client.find_halt() == Halt(Halted.KEEPER, text)
    assert FileKeeper(world.state, world.server).find_halt() is None
    stale = replace(seen, keeper="earlier", keeper_pid=os.getpid())
    assert not client.is_current(stale), "what its own keeper once saw is not what is"
    assert not FileKeeper(world.state, world.server).is_current(stale)


HOLD = """
import sys, time
from pathlib import Path
from bot.lock import InstanceLock
InstanceLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
time.sleep(600)
"""


def test_world_two_bots_sigstop_of_the_first_and_the_second_is_told_that_it_stands_still(world: KeeperWorld) -> None:
    first = subprocess.Popen([sys.executable, "-c", HOLD, str(world.state)], stdout=subprocess.PIPE)
    world.others.append(first)
    assert first.stdout
    with first.stdout:
        assert first.stdout.readline() == b"held\n"
    lock = InstanceLock(world.state)
    assert lock.find_cure() is None
    first.send_signal(signal.SIGSTOP)
    until(lock.find_cure, "a word about it")
    words = f"process {first.pid} on .*, which is stopped and does nothing: `kill -CONT {first.pid}` lets it go on"
    with pytest.raises(InstanceHeld, match=words):
        lock.acquire()
    first.send_signal(signal.SIGCONT)
    first.kill()
    first.wait(20)
    lock.acquire()
    lock.release()
