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

import psutil
import pytest
from keeper_world import KeeperWorld, open_world, until

from bot.lock import InstanceHeld, InstanceLock
from pipeline.adapters.keeper_client import FileKeeper
from pipeline.adapters.keeper_process import is_locked
from pipeline.errors import TransientError
from pipeline.keeper import locks
from pipeline.keeper.process import end_all, list_tree
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


# --- SERVER_DIR is changed while the keeper of before lives


def copy_server(world: KeeperWorld, *, own: bool) -> Path:
    """As an operator does it who moves the server; `own` = with all that the keeper keeps there."""
    new = world.server.with_name("new-server")
    shutil.copytree(world.server, new, ignore=None if own else shutil.ignore_patterns(".spirit-healer"))
    return new


def move_to(world: KeeperWorld, server: Path) -> None:
    """What the bot wishes once it may."""
    world.server = server
    (server / "pids").unlink()
    world.ask(server_dir=str(server))


@pytest.mark.parametrize("own", [False, True])
def test_world_two_keepers_of_one_state_folder_with_two_server_folders_are_refused(
    world: KeeperWorld, own: bool
) -> None:
    seen = world.begin()
    first, old = world.keepers[0], world.server
    until(lambda: (old / ".spirit-healer" / "keeper.json").exists(), "its note")
    new = copy_server(world, own=own)
    client = FileKeeper(world.state, new)
    words = (
        f"the keeper of this state folder (process {first.pid}) looks after the server in {old}, but SERVER_DIR is "
        f"{new}. Set it back to {old}, or end process {first.pid} first: it stops its server in order and ends"
    )
    assert client.find_elsewhere() == words
    assert client.find_halt() == Halt(Halted.KEEPER, words)
    with pytest.raises(TransientError, match="looks after the server in"):
        client.ensure()
    assert world.wait_for_end(world.start_keeper_in(new)) == OTHER_KEEPER, "the lock of the state folder"
    assert FileKeeper(world.state, old).find_elsewhere() is None
    assert world.list_living() == [seen.pid]
    assert world.observed == client.observed() == seen
    first.send_signal(signal.SIGTERM)
    world.wait_for_end(first)
    assert world.list_living() == []
    assert client.find_elsewhere() is None
    move_to(world, new)
    world.start_keeper_in(new)
    after = world.wait_until_ready(server_dir=str(new))
    assert world.list_living() == [after.pid]
    assert [each["verdict"] for each in world.list_events(EventKind.EXITED)] == ["asked"]


@pytest.mark.parametrize("own", [False, True])
def test_world_two_server_folders_and_nothing_is_concluded_of_the_one_whose_keeper_was_killed(
    world: KeeperWorld, own: bool
) -> None:
    seen = world.begin()
    old, before = world.server, world.list_pids()
    new = copy_server(world, own=own)
    world.kill_keeper()
    client = FileKeeper(world.state, new)
    assert client.find_elsewhere() == (
        f"the server in {old} (process {seen.pid}) still runs and no keeper looks after it, but SERVER_DIR is {new}. "
        f"Set it back to {old}, where it is looked after again, or end process {seen.pid} first"
    )
    move_to(world, new)
    try:
        world.start_keeper_in(new)  # by hand, past the bot
        after = world.wait_until_ready(server_dir=str(new), adopted=False)
        assert after.pid not in before
        assert psutil.Process(before[0]).is_running(), "it is not that keeper's"
        assert world.list_events(EventKind.EXITED) == []
    finally:
        end_all(list_tree(before[0]))


def test_world_two_server_folders_and_an_earlier_keeper_that_has_no_lock_in_the_state_folder(
    world: KeeperWorld,
) -> None:
    seen, old = world.begin(), world.server
    world.kill_keeper()
    until(lambda: (old / ".spirit-healer" / "keeper.lock").exists(), "its lock")
    replace_file(world.state / "observed.json", to_json(replace(seen, server_dir="")))
    (world.state / "keeper.lock").unlink()
    (old / ".spirit-healer" / "keeper.json").unlink(missing_ok=True)
    client = FileKeeper(world.state, copy_server(world, own=False))
    lock = locks.acquire(old / ".spirit-healer" / "keeper.lock")
    assert lock
    assert (client.find_elsewhere() or "").startswith(
        f"the keeper of this state folder (process {seen.keeper_pid}) looks after the server in {old}, but"
    )
    lock.release()


def test_world_two_keepers_are_still_impossible_once_the_state_folders_lock_was_removed(world: KeeperWorld) -> None:
    world.begin()
    (world.state / "keeper.lock").unlink()
    until(lambda: is_locked(world.state / "keeper.lock"), "the lock anew")
    assert world.wait_for_end(world.start_keeper_in(copy_server(world, own=False))) == OTHER_KEEPER


def test_world_two_keepers_are_still_impossible_once_the_first_has_replaced_itself(world: KeeperWorld) -> None:
    seen = world.begin()
    world.keepers[0].send_signal(signal.SIGHUP)
    until(lambda: len(world.list_events(EventKind.KEEPER_STARTED)) == 2, "the new one")
    world.wait_until_ready(pid=seen.pid, keeper=world.events[-1].keeper)
    assert is_locked(world.state / "keeper.lock")
    assert world.wait_for_end(world.start_keeper_in(copy_server(world, own=False))) == OTHER_KEEPER


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
