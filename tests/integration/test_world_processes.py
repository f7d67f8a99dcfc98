"""Server processes that misbehave, under a real keeper: one server at most, nobody else's ended, nothing left over."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from keeper_world import ROOT, KeeperWorld, open_world, until
from small_memory import bound_memory, kill_as_the_kernel_does

from pipeline.adapters.crash_reader import CrashFileReader
from pipeline.adapters.keeper_client import FileKeeper
from pipeline.keeper.foreign import list_marked, make_folder_id
from pipeline.keeper.lives import KEPT_OUTPUT, MOST_OUTPUT, bound_output
from pipeline.keeper.protocol import EventKind, Hold, ReadyRule, ServerState, Want
from pipeline.ports import ExitEvidence, Halt, Halted

if sys.platform == "win32":
    pytest.fail("these tests speak POSIX signals", pytrace=False)

GIB = 1 << 30


@pytest.fixture
def world(tmp_path: Path) -> Iterator[KeeperWorld]:
    with open_world(tmp_path) as made:
        yield made


def stop(world: KeeperWorld) -> None:
    world.ask(want=Want.STOPPED)
    world.wait_for(ServerState.ABSENT)


def list_all_marked(world: KeeperWorld) -> list[int]:
    """Whatever a server of this folder started, wherever it went."""
    return [each.who.pid for each in list_marked(make_folder_id(world.server))]


# --- it forks helpers, which outlive it


def test_world_process_forks_helpers_that_leave_its_session_and_they_end_with_it(world: KeeperWorld) -> None:
    world.set_habits(away=True)
    world.begin()
    [first] = until(world.list_away, "the helper")
    world.order("signal 11")
    world.wait_for_event(EventKind.READY, 2)
    until(lambda: world.list_away() and first not in world.list_away(), "the end of what the dead server left")
    assert len(world.list_away()) == 1, "the helper of the server that runs is its own business"
    stop(world)
    until(lambda: not list_all_marked(world), "the end of all that it left")


def test_world_process_forks_a_helper_that_is_not_taken_for_the_server(world: KeeperWorld) -> None:
    """It runs the same program in the same folder, leads its session, carries the mark, and holds server.lock."""
    world.set_habits(away=True)
    seen = world.begin()
    [helper] = until(world.list_away, "the helper")
    world.kill_keeper()
    os.kill(seen.pid or 0, signal.SIGKILL)
    until(lambda: not world.list_living(), "the server's end")
    world.set_habits()
    world.start_keeper()
    after = world.wait_until_ready(adopted=False)
    assert after.pid not in (seen.pid, helper)
    until(lambda: not world.list_away(), "the end of the helper")
    assert [each["pid"] for each in world.list_events(EventKind.EXITED)] == [seen.pid]


# --- a script puts it into the background


@pytest.mark.parametrize("how", ["./worldserver </dev/zero &", "setsid ./worldserver </dev/zero &"])
def test_world_process_put_into_the_background_by_a_script_is_looked_after(world: KeeperWorld, how: str) -> None:
    """The script ends with 0 at once: that is no shutdown, and a later crash is restarted."""
    script = world.server / "start.sh"
    script.write_text(f"#!/bin/sh\n{how}\nexit 0\n")
    script.chmod(0o755)
    world.ask(command=("./start.sh",))
    world.start_keeper()
    first = world.wait_until_ready(adopted=True)
    assert world.list_living() == [first.pid]
    world.order("signal 11")
    world.wait_for_births(2)
    [born] = [pid for pid in world.list_pids() if pid != first.pid]
    world.wait_until_ready(adopted=True, pid=born)  # the keeper may not have told of the first one's end yet
    assert world.list_living() == [born]
    assert [each["verdict"] for each in world.list_events(EventKind.EXITED)] == ["crash"]
    assert world.list_events(EventKind.HELD) == []
    stop(world)
    assert world.list_living() == []


# --- it floods its output


def test_world_process_flood_of_output_is_cut_and_a_deaf_one_is_ended_all_the_same(world: KeeperWorld) -> None:
    world.set_habits(flood=True, deaf=True)
    seen = world.begin()
    output = Path(seen.output or "")
    until(lambda: b"of output were cut off here" in _read_begin(output), "the cut")
    assert world.list_living() == [seen.pid]
    stop(world)
    told = world.list_events(EventKind.EXITED)[0]
    assert (told["verdict"], told["pid"]) == ("hang_at_stop", seen.pid), "that its output grows is no progress"
    assert output.stat().st_size <= MOST_OUTPUT


def test_world_process_flood_keeps_its_end_and_is_written_on_behind_it(tmp_path: Path) -> None:
    output = tmp_path / "output.log"
    with output.open("ab", buffering=0) as server:
        server.write(b"first words\n" + b"." * (3 << 20) + b"last words\n")
        assert bound_output(output, most=2 << 20, kept=1 << 20)
        server.write(b"and on\n")
    text = output.read_bytes()
    assert text.startswith(b"[2 MiB of output were cut off here: it was too long]\n..")
    assert text.endswith(b"last words\nand on\n")
    assert not bound_output(output, most=2 << 20, kept=1 << 20)
    assert KEPT_OUTPUT < MOST_OUTPUT


def test_world_process_flood_that_goes_on_while_its_output_is_cut_is_written_behind_what_says_so(
    tmp_path: Path,
) -> None:
    output = tmp_path / "output.log"
    over = threading.Event()

    def flood() -> None:
        with output.open("ab", buffering=0) as server:
            while not over.is_set():
                server.write(b"flood " * 10_000)

    server = threading.Thread(target=flood)
    server.start()
    try:
        cut = 0
        while cut < 100:
            if output.exists() and bound_output(output, most=1 << 20, kept=1 << 16):
                cut += 1
                assert b"of output were cut off here" in _read_begin(output)
    finally:
        over.set()
        server.join()


BOUNDED_READER = """
import json, resource, sys
from pathlib import Path
from pipeline.adapters.crash_reader import CrashFileReader
from pipeline.ports import ExitEvidence
here = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (here + (200 << 20),) * 2)
output, log = map(Path, sys.argv[1:])
report = CrashFileReader().read(ExitEvidence(-6, output, log, None, None, 0.0, 0.0))
print(json.dumps([report.assertion and report.assertion.expression, list(report.notes)]))
"""


def test_world_process_flood_of_a_gibibyte_is_read_in_little_memory(tmp_path: Path) -> None:
    output, log = tmp_path / "output.log", tmp_path / "Server.log"
    for each in (output, log):
        with each.open("wb") as file:
            file.truncate(GIB)
            file.seek(0, os.SEEK_END)
            file.write(b"\n/src/server/game/Maps/Map.cpp:42 in Update ASSERTION FAILED:\n  _player\n")
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED_READER, str(output), str(log)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == '["_player", []]\n', done.stderr


# --- it is stopped (SIGSTOP)


def test_world_process_stopped_is_told_and_ends_in_order_when_it_is_to_end(world: KeeperWorld) -> None:
    seen = world.begin()
    client = FileKeeper(world.state, world.server)
    assert (client.find_halt(), client.is_current(seen)) == (None, True)
    os.kill(seen.pid or 0, signal.SIGSTOP)
    until(client.find_halt, "a word about it")
    detail = f"the server (process {seen.pid}) is stopped: nobody can play on it. `kill -CONT {seen.pid}` lets it go on"
    assert client.find_halt() == Halt(Halted.SERVER, detail)
    assert not client.is_current(seen), "nothing is concluded from a server that stands still"
    world.ask(want=Want.STOPPED, stop_timeout=30.0)
    world.wait_for(ServerState.ABSENT)
    told = world.list_events(EventKind.EXITED)[0]
    assert (told["verdict"], told["status"]) == ("asked", 0)
    assert "Halting process" in Path(told["log"]).read_text()
    assert client.find_halt() is None


# --- it is started twice, or by a person


def test_world_process_twice_the_second_ends_by_itself_and_ours_is_left_alone(world: KeeperWorld) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    world.set_habits(port=port)
    seen = world.begin(ready=ReadyRule(port=port))
    second = subprocess.Popen(["./worldserver"], cwd=world.server, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    world.others.append(second)
    assert second.wait(20) == 1, "its port is taken"
    assert (world.server / "two servers").read_text() == str(second.pid)
    (world.server / "two servers").unlink()
    assert world.list_living() == [seen.pid]
    world.order("exit 2")
    world.wait_for_event(EventKind.READY, 2)
    assert world.list_events(EventKind.HELD) == []


def test_world_process_by_a_person_while_the_keeper_stood_still_before_its_own_start(world: KeeperWorld) -> None:
    """It had looked around already, and was stopped between that and the start."""
    marker = world.server.parent / "paused"
    world.ask()
    keeper = world.start_keeper(f"start.prepared:pause:{marker}")
    until(marker.exists, "the keeper before its start")
    keeper.send_signal(signal.SIGSTOP)
    other = subprocess.Popen(["./worldserver"], cwd=world.server, stdin=subprocess.PIPE)
    world.others.append(other)
    until(world.list_pids, "the person's server")
    marker.with_name("paused.go").touch()
    keeper.send_signal(signal.SIGCONT)
    world.wait_until_ready(pid=other.pid, adopted=True)
    assert world.list_pids() == [other.pid]


@pytest.mark.parametrize("moment", ["exit.seen", "exit.told"])
def test_world_process_by_a_person_while_the_keeper_stood_still_after_a_crash(world: KeeperWorld, moment: str) -> None:
    """After a crash it does not look around, as it knows best; not so if that was a while ago."""
    marker = world.server.parent / "paused"
    world.ask()
    keeper = world.start_keeper(f"{moment}:pause:{marker}")
    world.wait_until_ready()
    world.order("signal 11")
    until(marker.exists, "the keeper after the crash")
    keeper.send_signal(signal.SIGSTOP)
    other = subprocess.Popen(["./worldserver"], cwd=world.server, stdin=subprocess.PIPE)
    world.others.append(other)
    until(lambda: len(world.list_pids()) == 2, "the person's server")
    with pytest.raises(subprocess.TimeoutExpired):
        other.wait(1.1)  # for so long the keeper would be sure
    marker.with_name("paused.go").touch()
    keeper.send_signal(signal.SIGCONT)
    world.wait_until_ready(pid=other.pid, adopted=True)
    assert len(world.list_pids()) == 2


# --- somebody else looks after it

SUPERVISOR = "import subprocess, sys, time\nwhile True:\n    subprocess.call(['./worldserver'])\n    time.sleep(0.05)\n"


def start_under(world: KeeperWorld, name: str) -> subprocess.Popen[bytes]:
    """A process of this name that starts the server again whenever it ends."""
    program = world.server.parent / name
    program.symlink_to(Path(sys.executable).resolve())  # what PATH has may be a script that asks for its own name
    script = world.server.parent / "supervise.py"
    script.write_text(SUPERVISOR)
    other = subprocess.Popen([str(program), "-IS", str(script)], cwd=world.server, stdin=subprocess.PIPE)
    world.others.append(other)
    until(world.list_living, "its server")
    return other


def put_into_unit(process: subprocess.Popen[bytes], pids: list[int]) -> Path | None:
    """Into a control group that is named as a systemd unit is; None where this machine does not let us."""
    for root in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")):
        if not (root / "cgroup.procs").exists():
            continue
        try:
            unit = root / f"spirit-{process.pid}.service"
            unit.mkdir()
            for pid in (process.pid, *pids):
                (unit / "cgroup.procs").write_text(str(pid))
        except OSError:
            continue
        return unit
    return None


@pytest.mark.parametrize("kind", ["a unit", "runsv"])
def test_world_process_systemd_or_another_supervisor_has_it_and_we_hold(world: KeeperWorld, kind: str) -> None:
    name = "python-of-a-person" if kind == "a unit" else "runsv"
    other = start_under(world, name)
    unit = put_into_unit(other, world.list_living()) if kind == "a unit" else None
    if kind == "a unit" and unit is None:  # no rights to make one: a supervisor that is known by its name
        other.kill()
        kill_as_the_kernel_does(world.list_living()[0])
        until(lambda: not world.list_living(), "the end of the first")
        name = "supervisord"
        other = start_under(world, name)
    first = world.list_living()
    world.ask()
    world.start_keeper()
    seen = world.wait_for(ServerState.HELD, hold=Hold.FOREIGN)
    name = f"systemd unit {unit.name}" if unit else name
    assert seen.hold_detail == f"process {first[0]} runs this server, looked after by {name}"
    world.ask(lift_hold=True, restart=1)
    assert world.list_living() == first, "neither stopped nor doubled"
    other.kill()
    other.wait(20)
    os.kill(first[0], signal.SIGKILL)
    until(lambda: not world.list_living(), "its end")
    world.kill_keeper()
    world.start_keeper()
    world.wait_until_ready()
    assert [each["why"] for each in world.list_events(EventKind.RELEASED)] == ["the other supervisor is gone"]
    if unit:
        until(lambda: not (unit / "cgroup.procs").read_text(), "an empty unit")
        unit.rmdir()


# --- its memory runs out


def test_world_process_oom_kill_is_restarted_and_is_no_bug(world: KeeperWorld) -> None:
    first = world.begin()
    assert first.pid
    with bound_memory(first.pid, 16 << 20) as bounded:
        if bounded:
            world.order("eat 64")
        else:
            kill_as_the_kernel_does(first.pid)
        told = world.wait_for_event(EventKind.EXITED)
    assert (told["pid"], told["verdict"], told["status"]) == (first.pid, "crash", -signal.SIGKILL)
    world.wait_for_event(EventKind.READY, 2)
    report = CrashFileReader().read(
        ExitEvidence(told["status"], Path(told["output"]), Path(told["log"]), None, None, told["started"], told["at"])
    )
    assert report.environment
    assert report.cure == (
        "Something outside killed the server (SIGKILL): most often the kernel for want of memory (see `dmesg`), else a "
        "person or a service manager."
    )


def _read_begin(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(200)
