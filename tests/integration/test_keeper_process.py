"""The keeper with real processes: it starts, restarts, stops, swaps and adopts, whatever is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from keeper_world import ROOT, KeeperWorld, make_revision, open_world, until

from pipeline.keeper.protocol import EventKind, ExitVerdict, Hold, ReadyRule, RestartLimits, ServerState, Want

if sys.platform == "win32":
    pytest.fail("these tests speak POSIX signals", pytrace=False)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[KeeperWorld]:
    with open_world(tmp_path) as made:
        yield made


# --- starting, and what an exit means


def test_fault_b2_a_crash_is_restarted_and_everything_about_it_is_told(world: KeeperWorld) -> None:
    world.set_habits(output="ASSERTION FAILED\n")
    first = world.begin()
    assert (first.revision, first.generation, first.build) == (make_revision("b0"), 1, None)
    world.order("signal 11")
    told = world.wait_for_event(EventKind.EXITED)
    world.wait_for_event(EventKind.READY, 2)
    assert (told["verdict"], told["status"], told["pid"], told["revision"]) == ("crash", -11, first.pid, first.revision)
    assert Path(told["output"]).read_text() == "ASSERTION FAILED\n"
    assert "worldserver-daemon) ready" in Path(told["log"]).read_text()
    second = world.wait_until_ready()
    assert second.pid != first.pid
    assert second.last_exit
    assert second.last_exit.verdict is ExitVerdict.CRASH


def test_a_core_is_moved_to_the_state_folder_before_the_next_life(world: KeeperWorld) -> None:
    if Path("/proc/sys/kernel/core_pattern").read_text().startswith("|"):
        return  # this machine gives its cores to a program: they are not ours to move
    world.begin()
    world.order("signal 6")
    told = world.wait_for_event(EventKind.EXITED)
    world.wait_for_event(EventKind.READY, 2)
    assert told["core"] is None or Path(told["core"]).stat().st_size > 0
    assert not (world.server / "core").exists()


def test_fault_b3_exit_2_restarts_at_once(world: KeeperWorld) -> None:
    world.begin()
    world.order("exit 2")
    world.wait_for_event(EventKind.READY, 2)
    assert world.list_events(EventKind.EXITED)[0]["verdict"] == "restart"


def test_fault_b3_exit_0_stays_down_until_somebody_lifts_it(world: KeeperWorld) -> None:
    world.begin()
    world.order("exit 0")
    world.wait_for(ServerState.HELD, hold=Hold.EXIT_ZERO)
    world.ask(limits=RestartLimits(base=0.01))
    world.kill_keeper()
    world.start_keeper()
    world.wait_for(ServerState.HELD, hold=Hold.EXIT_ZERO)
    assert len(world.list_pids()) == 1, "held stays held over a restart of the keeper"
    world.ask(lift_hold=True)
    world.wait_until_ready()
    assert [each["why"] for each in world.list_events(EventKind.RELEASED)] == ["started by test: because"]


def test_a_lift_that_was_obeyed_lifts_no_later_hold(world: KeeperWorld) -> None:
    world.begin(lift_hold=True)
    world.order("exit 0")
    world.wait_for(ServerState.HELD)
    world.kill_keeper()
    world.start_keeper()
    world.wait_for(ServerState.HELD)
    assert len(world.list_pids()) == 1


def test_fault_b3_exit_1_before_ready_backs_off_and_never_holds(world: KeeperWorld) -> None:
    world.set_habits(exit=1)
    world.ask(limits=RestartLimits(base=0.001, cap=0.002, deaths_in_a_row=2))
    world.start_keeper()
    world.wait_for_event(EventKind.EXITED, 7)
    assert {each["verdict"] for each in world.list_events(EventKind.EXITED)} == {"startup_error"}
    world.set_habits()
    world.wait_until_ready()
    assert world.list_events(EventKind.HELD) == []


@pytest.mark.parametrize("hours", [-3, 3], ids=["back", "ahead"])
def test_world_time_backward_or_forward_a_back_off_is_as_long_as_before(world: KeeperWorld, hours: int) -> None:
    world.set_habits(exit=1)
    world.ask(limits=RestartLimits(base=2.0, cap=2.0))
    world.start_keeper_with_clock()
    world.wait_for_event(EventKind.EXITED, 1)
    world.set_habits()
    world.set_clock(hours)
    world.wait_until_ready()


def test_fault_b1_the_breaker_holds_a_server_that_keeps_dying(world: KeeperWorld) -> None:
    world.set_habits(exit=3)
    world.ask(limits=RestartLimits(base=0.001, cap=0.002))
    world.start_keeper()
    seen = world.wait_for(ServerState.HELD, hold=Hold.BREAKER)
    assert "5 deaths in a row" in seen.hold_detail
    assert len(world.list_pids()) == 5
    world.set_habits()
    world.ask(lift_hold=True)
    world.wait_until_ready()


def test_a_program_that_cannot_be_run_is_told_and_tried_again(world: KeeperWorld) -> None:
    (world.server / "worldserver").unlink()
    world.ask()
    world.start_keeper()
    world.wait_for_event(EventKind.SPAWN_FAILED, 2)
    world.write_server("b0")
    world.wait_until_ready()


def begin_with_a_closed_port(world: KeeperWorld) -> int:
    """A server that says that it is ready, and does not listen where it should."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    world.ask(ready=ReadyRule(port=port))
    world.start_keeper()
    until(lambda: "ready..." in _read(world.server / "Server.log"), "the ready line")
    return int(port)


def test_ready_needs_the_port_too(world: KeeperWorld) -> None:
    port = begin_with_a_closed_port(world)
    world.wait_for(ServerState.STARTING)
    world.set_habits(port=port)
    world.order("signal 9")
    world.wait_until_ready()


def test_how_long_a_start_took_is_not_learned_where_its_rule_was_mended_meanwhile(world: KeeperWorld) -> None:
    begin_with_a_closed_port(world)
    world.ask(ready=ReadyRule(port=0))
    assert world.wait_until_ready().learned_start is None
    world.order("signal 9")
    world.wait_for_event(EventKind.READY, 2)
    assert world.wait_until_ready().learned_start is not None


def test_world_process_never_ready_is_only_told_without_probation(world: KeeperWorld) -> None:
    world.set_habits(silent=True)
    world.ask(ready=ReadyRule(port=0, timeout=0.05))
    world.start_keeper()
    world.wait_for_event(EventKind.READY_TIMEOUT)
    until(world.list_pids, "the server")
    world.wait_for(ServerState.STARTING)
    assert world.list_living() == world.list_pids()
    assert len(world.list_pids()) == 1


# --- what the server gets


def test_invariant_12_withheld_variables_are_not_in_the_servers_environment(world: KeeperWorld) -> None:
    world.ask(withhold=("DISCORD_TOKEN",), environment={"TC_CONSOLE_ENABLE": "0"})
    world.start_keeper(DISCORD_TOKEN="very secret", KEPT="yes")
    seen = world.wait_until_ready()
    text = Path(f"/proc/{seen.pid}/environ").read_text()
    variables = dict(each.split("=", 1) for each in text.split("\0") if each)
    assert "very secret" not in text
    assert (variables["KEPT"], variables["TC_CONSOLE_ENABLE"]) == ("yes", "0")
    assert "SPIRIT_HEALER_SERVER" in variables
    assert variables["SPIRIT_HEALER_GENERATION"] == "1"


def test_stdin_never_ends_even_when_the_keeper_is_killed(world: KeeperWorld) -> None:
    seen = world.begin()
    world.kill_keeper()
    world.start_keeper()
    world.wait_until_ready(pid=seen.pid, adopted=True)
    assert "EOF" not in _read(world.server / "Server.log")


def test_world_process_flood_hinders_neither_the_server_nor_the_keeper(world: KeeperWorld) -> None:
    world.set_habits(flood=True)
    world.begin()
    world.order("exit 2")
    world.wait_for_event(EventKind.EXITED)
    world.set_habits()
    world.order("exit 2")
    world.wait_for_event(EventKind.READY, 2)


def test_the_server_has_a_session_of_its_own_and_may_leave_a_core(world: KeeperWorld) -> None:
    seen = world.begin()
    assert seen.pid
    assert os.getsid(seen.pid) == seen.pid
    limits = Path(f"/proc/{seen.pid}/limits").read_text()
    soft, hard = next(line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core file size"))
    assert soft == hard


# --- the wish


def test_stop_and_start(world: KeeperWorld) -> None:
    world.begin()
    world.ask(want=Want.STOPPED, operator_stop=True)
    world.wait_for(ServerState.HELD, hold=Hold.STOPPED, generation=world.wish.generation)
    assert world.list_living() == []
    told = world.list_events(EventKind.EXITED)[0]
    assert (told["verdict"], told["asked"]) == ("asked", "stopped by test: because")
    world.ask(want=Want.UP, operator_stop=False, lift_hold=True)
    world.wait_until_ready()


def test_a_restart_is_asked_for_by_counter_and_not_judged(world: KeeperWorld) -> None:
    world.begin()
    world.ask(restart=1)
    world.wait_until_ready()
    assert [each["verdict"] for each in world.list_events(EventKind.EXITED)] == ["asked"]
    world.kill_keeper()
    world.start_keeper()
    world.wait_until_ready()
    assert len(world.list_pids()) == 2, "a restart that was done is not done again"


def test_a_generation_that_changes_nothing_of_the_start_restarts_nothing(world: KeeperWorld) -> None:
    seen = world.begin()
    world.ask(limits=RestartLimits(base=2.0), ready=ReadyRule(port=0, timeout=99.0))
    assert world.wait_until_ready().pid == seen.pid


def test_an_unreadable_wish_leaves_the_last_one_in_force(world: KeeperWorld) -> None:
    world.begin()
    (world.state / "desired.json").write_text('{"generation":')
    world.wait_for_event(EventKind.WISH_UNREADABLE)
    world.kill_keeper()
    world.order("signal 9")
    until(lambda: not world.list_living(), "the server's end")
    world.start_keeper()
    world.wait_for_event(EventKind.READY, 2)


def test_an_end_before_the_wish_is_obeyed_costs_no_second_downtime(world: KeeperWorld) -> None:
    seen = world.begin()
    world.kill_keeper()
    world.ask(environment={"NEW": "1"})
    os.kill(seen.pid or 0, signal.SIGTERM)
    until(lambda: not world.list_living(), "the server's end")
    world.start_keeper()
    world.wait_until_ready()
    assert world.list_events(EventKind.EXITED)[0]["verdict"] == "asked", "the wish had moved on: it is not judged"
    assert len(world.list_pids()) == 2


# --- stopping


def test_fault_a10_the_keepers_own_end_stops_the_server_and_leaves_the_wish(world: KeeperWorld) -> None:
    world.begin()
    world.keepers[-1].terminate()
    assert world.wait_for_end(world.keepers[-1]) == 0
    assert world.list_living() == []
    assert world.list_events(EventKind.EXITED)[0]["verdict"] == "asked"
    assert world.list_events(EventKind.KEEPER_STOPPED) == [{"why": "SIGTERM"}]
    world.start_keeper()
    world.wait_until_ready()


def test_fault_b4_world_process_ignores_sigterm_leaves_its_stacks_and_is_ended_with_its_children(
    world: KeeperWorld,
) -> None:
    world.set_habits(deaf=True, child=True)
    seen = world.begin()
    assert seen.pid
    children = until(lambda: psutil.Process(seen.pid).children(), "the server's child")
    world.ask(want=Want.STOPPED)
    world.wait_for(ServerState.ABSENT)
    told = world.list_events(EventKind.EXITED)[0]
    assert (told["verdict"], told["status"]) == ("hang_at_stop", -signal.SIGABRT)
    assert [each["rung"] for each in world.list_events(EventKind.STOPPING)] == ["signal", "stacks"]
    until(lambda: not any(each.is_running() for each in children), "the end of the whole tree")


def test_fault_a14_nothing_but_the_own_server_is_ended(world: KeeperWorld) -> None:
    world.write_server("b0", to=world.server.parent / "elsewhere" / "worldserver")
    other = subprocess.Popen(["./worldserver"], cwd=world.server.parent / "elsewhere", stdin=subprocess.PIPE)
    world.others.append(other)
    world.begin()
    world.set_habits(deaf=True)
    world.order("signal 9")
    world.wait_for_event(EventKind.READY, 2)
    world.ask(want=Want.STOPPED)
    world.wait_for(ServerState.ABSENT)
    assert other.poll() is None, "a server of the same name in another folder is somebody else's"


# --- kill -9 of the keeper, anywhere

KILLS = [
    "start.prepared",
    "start.spawn.before",
    "start.spawn.after",
    "start.told",
    "start.noted",
    "ready.seen",
]


@pytest.mark.parametrize("point", KILLS)
def test_invariant_3_a_keeper_killed_in_a_start_is_followed_by_a_running_server(world: KeeperWorld, point: str) -> None:
    world.ask()
    assert world.wait_for_end(world.start_keeper(f"{point}:kill")) == -signal.SIGKILL
    world.start_keeper()
    seen = world.wait_until_ready()
    assert world.list_living() == [seen.pid]
    assert len(world.list_pids()) == 1, "what was started was adopted"
    assert world.list_events(EventKind.EXITED) == []


@pytest.mark.parametrize("point", ["exit.seen", "exit.moved", "exit.told", "start.spawn.before", "start.spawn.after"])
def test_invariant_7_a_crash_is_told_once_whenever_the_keeper_is_killed(world: KeeperWorld, point: str) -> None:
    world.ask()
    if point.startswith("start"):  # the first start must come through
        world.start_keeper()
        world.wait_until_ready()
        world.kill_keeper()
    killed = world.start_keeper(f"{point}:kill")
    world.wait_until_ready()
    world.order("signal 11")
    assert world.wait_for_end(killed) == -signal.SIGKILL
    world.start_keeper()
    seen = world.wait_until_ready()
    assert world.list_living() == [seen.pid]
    told = world.list_events(EventKind.EXITED)
    assert [each["pid"] for each in told] == world.list_pids()[:1]
    assert told[0]["verdict"] == "crash"


@pytest.mark.parametrize("point", ["stop.noted", "stop.signalled", "stop.stacks", "exit.seen", "exit.told"])
def test_invariant_3_a_stop_is_finished_by_the_next_keeper_and_is_no_crash(world: KeeperWorld, point: str) -> None:
    world.set_habits(deaf=point == "stop.stacks")
    world.ask()
    killed = world.start_keeper(f"{point}:kill")
    world.wait_until_ready()
    world.ask(want=Want.STOPPED)
    assert world.wait_for_end(killed) == -signal.SIGKILL
    world.start_keeper()
    world.wait_for(ServerState.ABSENT)
    assert world.list_living() == []
    assert [each["verdict"] for each in world.list_events(EventKind.EXITED)] in (["asked"], ["hang_at_stop"])


def test_a_server_that_dies_while_nobody_looks_is_told_by_the_next_keeper(world: KeeperWorld) -> None:
    seen = world.begin()
    world.kill_keeper()
    world.order("signal 9")
    until(lambda: not world.list_living(), "the server's end")
    world.start_keeper()
    world.wait_until_ready()
    told = world.list_events(EventKind.EXITED)
    assert [(each["pid"], each["status"], each["verdict"]) for each in told] == [(seen.pid, None, "crash")]


def test_a_server_that_ended_with_the_machine_is_no_crash_and_an_exit_zero_hold_ends(world: KeeperWorld) -> None:
    world.begin()
    world.kill_keeper()
    world.order("signal 9")
    until(lambda: not world.list_living(), "the server's end")
    world.pretend_reboot()
    world.start_keeper()
    world.wait_until_ready()
    assert [each["verdict"] for each in world.list_events(EventKind.EXITED)] == ["with_machine"]
    world.order("exit 0")
    world.wait_for(ServerState.HELD)
    world.kill_keeper()
    world.pretend_reboot()
    world.start_keeper()
    world.wait_until_ready()
    assert [each["why"] for each in world.list_events(EventKind.RELEASED)] == ["the machine was restarted"]


def test_an_adopted_servers_end_is_seen_and_its_orderly_one_is_known_by_its_log(world: KeeperWorld) -> None:
    seen = world.begin()
    assert seen.pid
    world.kill_keeper()
    world.start_keeper()
    world.wait_until_ready(adopted=True)
    assert world.list_events(EventKind.ADOPTED) == [{"pid": seen.pid, "build": None, "ours": True}]
    os.kill(seen.pid, signal.SIGTERM)
    world.wait_for(ServerState.HELD, hold=Hold.EXIT_ZERO)


def test_an_adopted_server_that_crashes_is_restarted(world: KeeperWorld) -> None:
    world.begin()
    world.kill_keeper()
    world.start_keeper()
    world.wait_until_ready(adopted=True)
    world.order("signal 11")
    world.wait_until_ready(adopted=False)


def test_a_server_of_which_every_note_is_lost_is_found_by_its_mark(world: KeeperWorld) -> None:
    seen = world.begin()
    world.kill_keeper()
    (world.server / ".spirit-healer" / "memory.json").unlink()
    for file in ("observed.json", "events.jsonl"):
        (world.state / file).unlink()
    world.start_keeper()
    found = world.wait_until_ready(pid=seen.pid, adopted=True)
    assert (found.started, found.output) == (seen.started, seen.output)


def test_fault_b14_world_two_keepers_of_one_folder_are_one_whatever_the_state_folder(
    world: KeeperWorld, tmp_path: Path
) -> None:
    world.begin()
    command = [sys.executable, "-m", "pipeline.keeper", "--state-dir", str(tmp_path), "--server-dir", str(world.server)]
    second = subprocess.run(command, cwd=Path.cwd(), env=_with_root(), capture_output=True, timeout=20, check=False)
    assert second.returncode == 3
    assert b"another keeper" in second.stderr


def test_sighup_replaces_the_keeper_and_keeps_its_child(world: KeeperWorld) -> None:
    seen = world.begin()
    keeper = world.keepers[-1]
    keeper.send_signal(signal.SIGHUP)
    renewed = until(lambda: world.observed if world.observed and world.observed.keeper != seen.keeper else None, "it")
    assert (renewed.pid, renewed.keeper_pid, renewed.adopted) == (seen.pid, keeper.pid, False)
    assert keeper.poll() is None
    world.order("exit 7")
    assert world.wait_for_event(EventKind.EXITED)["status"] == 7, "its status is still ours to know"
    world.wait_until_ready()
    keeper.terminate()
    assert world.wait_for_end(keeper) == 0


# --- other servers and supervisors


def test_world_process_by_a_person_is_adopted(world: KeeperWorld) -> None:
    other = subprocess.Popen(["./worldserver"], cwd=world.server, stdin=subprocess.PIPE)
    world.others.append(other)
    until(lambda: world.list_pids(), "the other server")
    world.ask()
    world.start_keeper()
    world.wait_until_ready(pid=other.pid, adopted=True)
    assert world.list_events(EventKind.ADOPTED) == [{"pid": other.pid, "build": None, "ours": False}]
    world.ask(restart=1)
    other.wait(20)
    world.wait_until_ready(adopted=False)


def test_world_process_by_a_person_while_held_is_adopted_and_the_hold_is_over(world: KeeperWorld) -> None:
    world.begin()
    world.order("exit 0")
    world.wait_for(ServerState.HELD)
    world.kill_keeper()
    other = subprocess.Popen(["./worldserver"], cwd=world.server, stdin=subprocess.PIPE)
    world.others.append(other)
    until(lambda: len(world.list_pids()) == 2, "the other server")
    world.start_keeper()
    world.wait_until_ready(pid=other.pid, hold=None)
    assert [each["why"] for each in world.list_events(EventKind.RELEASED)] == ["a living server was found"]


def test_fault_b14_world_process_shell_loop_is_held_off_until_it_is_gone(world: KeeperWorld) -> None:
    script = world.server.parent / "restarter.sh"
    script.write_text("while :; do ./worldserver; sleep 0.05; done\n")
    restarter = subprocess.Popen(["/bin/sh", str(script)], cwd=world.server, stdin=subprocess.PIPE)
    world.others.append(restarter)
    first = until(lambda: world.list_living(), "the other server")[0]
    world.ask()
    world.start_keeper()
    seen = world.wait_for(ServerState.HELD, hold=Hold.FOREIGN)
    assert "restarter.sh" in seen.hold_detail
    world.ask(lift_hold=True, restart=1)
    assert first in world.list_living(), "never stopped"
    restarter.kill()
    restarter.wait(20)
    os.kill(first, signal.SIGKILL)
    world.kill_keeper()
    world.start_keeper()
    world.wait_until_ready()
    assert world.list_events(EventKind.RELEASED)


# --- builds


def begin_with_build(world: KeeperWorld) -> None:
    """A ready server of build b1, swapped in over what lay there."""
    world.begin(build=world.make_build("b1"))
    assert world.list_builds() == ["b1"]
    assert (world.server / "data.txt").read_text() == "b1"


def test_a_new_build_is_swapped_in_with_one_restart(world: KeeperWorld) -> None:
    world.begin()
    world.ask(build=world.make_build("b1"), probation="d1", lift_hold=True)
    seen = world.wait_until_ready(build="b1", deployment="d1", revision=make_revision("b1"))
    assert world.list_builds() == ["b0", "b1"]
    assert world.list_living() == [seen.pid]
    kinds = [event.kind for event in world.events]
    order = [EventKind.STOPPING, EventKind.EXITED, EventKind.SWAP_STARTED, EventKind.SWAPPED, EventKind.SPAWNED]
    assert kinds[kinds.index("stopping") :] == [*order, EventKind.READY]
    assert not (world.server / ".spirit-healer" / "swap.json").exists()


def test_a_build_that_lies_there_already_needs_no_restart(world: KeeperWorld) -> None:
    found = world.make_build("found")
    for file in found.files:
        content = (world.state / "builds" / "found" / "files" / file.source).read_bytes()
        (world.server / file.path).write_bytes(content)
    first = world.begin()
    world.ask(build=found)
    assert world.wait_until_ready(build="found").pid == first.pid


def test_an_approved_build_goes_in_at_the_next_crash(world: KeeperWorld) -> None:
    begin_with_build(world)
    world.ask(next_build=world.make_build("b2"), next_deployment="d2")
    until(lambda: (world.server / ".spirit-healer/staged/b2/data.txt").exists(), "the staged build")
    world.wait_until_ready()
    world.order("signal 11")
    world.wait_until_ready(build="b2", deployment="d2")
    assert world.list_builds() == ["b1", "b2"]
    world.ask(build=world.wish.next_build, probation="d2", next_build=None, next_deployment=None)
    world.wait_until_ready(build="b2")
    assert world.list_builds() == ["b1", "b2"], "the wish that follows restarts nothing"


def test_a_build_whose_files_are_wrong_is_told_and_the_server_plays_on(world: KeeperWorld) -> None:
    seen = world.begin()
    broken = world.make_build("b1")
    (world.state / "builds/b1/files/data.txt").write_text("xx")
    world.ask(build=broken)
    assert world.wait_for_event(EventKind.SWAP_FAILED)["build"] == "b1"
    world.order("signal 9")
    world.wait_for_event(EventKind.READY, 2)
    assert world.list_builds() == ["b0", "b0"]
    assert seen.pid not in world.list_living()


def test_a_build_that_cannot_be_staged_costs_no_restart_and_goes_in_once_a_later_wish_names_it(
    world: KeeperWorld,
) -> None:
    begin_with_build(world)
    b2 = world.make_build("b2")
    obstacle = world.server / ".spirit-healer" / "staged" / "b2"
    obstacle.parent.mkdir(exist_ok=True)
    obstacle.write_text("a file where a folder has to be")
    b1 = world.wish.build
    world.ask(build=b2, probation="d2")
    failed = world.wait_for_event(EventKind.SWAP_FAILED)
    assert failed["build"] == "b2"
    assert failed["error"].startswith("[Errno ")
    obstacle.unlink()
    world.ask(build=b1, probation=None)
    world.wait_until_ready(build="b1")
    assert world.list_builds() == ["b1"], "it was never stopped"
    world.ask(build=b2, probation="d3")
    world.wait_until_ready(build="b2", deployment="d3")
    assert world.list_builds() == ["b1", "b2"]


def test_the_operators_own_build_is_started_and_told(world: KeeperWorld) -> None:
    begin_with_build(world)
    world.write_server("own")
    world.order("signal 9")
    told = world.wait_for_event(EventKind.OWN_BUILD)
    assert told["build"] == "b1"
    world.wait_until_ready(build=f"found-{told['sha256']}")
    assert world.list_builds() == ["b1", "own"]


# One file is replaced and one is new: three renames.
SWAP_KILLS = ["stage.copied", "swap.noted", *(f"swap.step.{number}" for number in range(3)), "swap.moved", "swap.done"]


@pytest.mark.parametrize("point", SWAP_KILLS)
def test_invariant_3_a_swap_is_finished_by_the_next_keeper_wherever_it_was_killed(
    world: KeeperWorld, point: str
) -> None:
    world.ask()
    killed = world.start_keeper(f"{point}:kill")
    world.wait_until_ready()
    world.ask(build=world.make_build("b2"), probation="d2")
    assert world.wait_for_end(killed) == -signal.SIGKILL
    world.start_keeper()
    seen = world.wait_until_ready(build="b2", deployment="d2", revision=make_revision("b2"))
    assert (world.server / "data.txt").read_text() == "b2"
    assert world.list_living() == [seen.pid]


def test_fault_a5_world_disk_full_server_folder_or_one_that_refuses_a_swap_is_rolled_back_and_the_old_build_runs(
    world: KeeperWorld,
) -> None:
    begin_with_build(world)
    world.kill_keeper()
    world.start_keeper("swap.step.2:full")
    world.ask(build=world.make_build("b2"))
    assert world.wait_for_event(EventKind.SWAP_FAILED)["rolled"] == "back"
    world.wait_for_event(EventKind.READY, 2)
    assert world.list_builds() == ["b1", "b1"]
    assert (world.server / "data.txt").read_text() == "b1"


def test_files_that_fit_neither_build_are_held_and_another_build_mends_it(world: KeeperWorld) -> None:
    begin_with_build(world)
    world.kill_keeper()
    killed = world.start_keeper("swap.step.3:kill")
    world.ask(build=world.make_build("b2"))
    world.wait_for_end(killed)
    for folder in ("staged", "previous"):
        for file in (world.server / ".spirit-healer" / folder).rglob("*"):
            if file.is_file():
                file.unlink()
    saved = (world.state / "builds").rename(world.state / "gone")
    world.start_keeper()
    world.wait_for(ServerState.HELD, hold=Hold.SWAP)
    saved.rename(world.state / "builds")
    world.ask(lift_hold=True)
    world.wait_until_ready(build="b2")


# --- probation


def put_on_probation(world: KeeperWorld, fault: str, **wish: object) -> None:
    begin_with_build(world)
    good = world.wish.build
    world.ask(build=world.make_build("b2", fault), probation="d2", fallback=good, lift_hold=True, **wish)


def test_fault_a13_world_build_dead_artifact_is_taken_out(world: KeeperWorld) -> None:
    put_on_probation(world, "dies before ready")
    told = world.wait_for_event(EventKind.FELL_BACK)
    world.wait_for(ServerState.READY, build="b1")
    assert world.list_builds() == ["b1", "b2", "b1"]
    assert told == {"build": "b1", "bad": "b2", "deployment": "d2", "why": "died before it was ready"}
    died = world.list_events(EventKind.EXITED)[1]
    assert (died["verdict"], died["deployment"], died["build"]) == ("crash", "d2", "b2")
    world.order("signal 11")
    world.wait_for_event(EventKind.READY, 3)
    assert world.list_builds() == ["b1", "b2", "b1", "b1"], "the same deployment does not bring it back"


def test_world_build_dead_artifact_that_cannot_even_be_run_is_taken_out(world: KeeperWorld) -> None:
    begin_with_build(world)
    good = world.wish.build
    world.ask(build=world.make_broken_build("b2"), probation="d2", fallback=good, lift_hold=True)
    assert "Exec format error" in world.wait_for_event(EventKind.SPAWN_FAILED)["error"]
    assert world.wait_for_event(EventKind.FELL_BACK)["bad"] == "b2"
    world.wait_for(ServerState.READY, build="b1")
    assert world.list_builds() == ["b1", "b1"]
    assert world.list_events(EventKind.HELD) == []


def test_world_process_never_ready_on_probation_is_taken_out(world: KeeperWorld) -> None:
    put_on_probation(world, "is never ready", ready=ReadyRule(port=0, timeout=0.3))
    assert world.wait_for_event(EventKind.READY_TIMEOUT)["build"] == "b2"
    assert world.wait_for_event(EventKind.FELL_BACK)["why"] == "not ready in time"
    world.wait_for(ServerState.READY, build="b1")
    assert world.list_builds() == ["b1", "b2", "b1"]


def test_fault_b17_world_process_dies_late_twice_on_probation_and_the_build_is_taken_out(world: KeeperWorld) -> None:
    put_on_probation(world, "")
    world.wait_until_ready(build="b2")
    for number in (3, 4):
        world.order("signal 11")
        world.wait_for_event(EventKind.READY, number)
    world.wait_for(ServerState.READY, build="b1")
    assert world.list_builds() == ["b1", "b2", "b2", "b1"]


def test_a_fallback_that_dies_before_ready_too_is_the_environment(world: KeeperWorld) -> None:
    begin_with_build(world)
    good = world.make_build("b1good", "dies before ready")
    world.ask(build=world.make_build("b2", "dies before ready"), probation="d2", fallback=good)
    world.wait_for_event(EventKind.FELL_BACK)
    world.wait_for_event(EventKind.EXITED, 6)
    verdicts = [each["verdict"] for each in world.list_events(EventKind.EXITED)]
    assert verdicts[:3] == ["asked", "crash", "startup_error"]
    assert set(verdicts[3:]) == {"startup_error"}
    assert world.list_events(EventKind.HELD) == []


def test_an_approved_build_that_fails_at_a_crash_is_taken_out_too(world: KeeperWorld) -> None:
    begin_with_build(world)
    good = world.wish.build
    bad = world.make_build("b2", "dies before ready")
    world.ask(next_build=bad, next_deployment="d2", fallback=good)
    until(lambda: (world.server / ".spirit-healer/staged/b2/data.txt").exists(), "the staged build")
    world.wait_until_ready()
    world.order("signal 11")
    world.wait_for_event(EventKind.FELL_BACK)
    world.wait_for(ServerState.READY, build="b1")
    assert world.list_builds() == ["b1", "b2", "b1"]


def test_the_breaker_tries_the_last_healthy_build_once(world: KeeperWorld) -> None:
    begin_with_build(world)
    good = world.wish.build
    world.set_habits(exit=3)
    limits = RestartLimits(base=0.001, cap=0.002, deaths_in_a_row=3)
    world.ask(build=world.make_build("b2"), fallback=good, limits=limits)
    world.wait_for(ServerState.HELD, hold=Hold.BREAKER)
    assert world.list_builds() == ["b1", "b2", "b2", "b2", "b1"]
    assert world.wait_for_event(EventKind.FELL_BACK)["why"].startswith("breaker")


# --- a full disk


@pytest.mark.parametrize("point", ["journal.write", "journal.sync", "state.write", "output.open"])
def test_invariant_13_world_disk_full_server_or_state_folder_stops_no_restart(world: KeeperWorld, point: str) -> None:
    world.begin()
    world.kill_keeper()
    world.start_keeper(f"{point}:full")
    until(lambda: len(world.list_living()) == 1, "the adopted server")
    for number in (2, 3):
        world.order("signal 11")
        world.wait_for_births(number)
    until(lambda: len(world.list_living()) == 1, "the restarted server")


def test_invariant_13_a_state_folder_that_is_gone_stops_no_restart(world: KeeperWorld) -> None:
    world.begin()
    world.state.rename(world.state.with_name("gone"))
    world.state.write_text("no folder")
    for number in (2, 3):
        world.order("signal 11")
        world.wait_for_births(number)
    world.state.unlink()
    world.state.with_name("gone").rename(world.state)
    world.wait_for_event(EventKind.EXITED, 2)
    with contextlib.suppress(FileNotFoundError):
        assert world.read_faults() == ""


def _read(path: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return path.read_text()
    return ""


def _with_root() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
