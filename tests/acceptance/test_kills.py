"""kill -9 of bot, keeper or both, at any moment: once the bot was started again, all is as if nothing had been."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import psutil
import pytest
from invariants import list_processes, list_servers
from living_ground import Ground
from living_realm import COMMAND, ENDING, LivingRealm, living
from realm import shared_realm, start_server

from bot.demo.bugs import get_bug

DISPATCHER, AURA = get_bug("dispatcher"), get_bug("aura")
# Long enough that each moment can be hit.
SLOW: dict[str, object] = {"Realm.StartDelay": 700, "Realm.StopDelay": 700}

pytestmark = pytest.mark.timeout(240)


def test_fault_a10_the_bot_killed_in_every_stage_of_a_run_still_heals_with_one_commit(ground: Ground) -> None:
    with living(ground, conf=SLOW) as realm:
        realm.start()
        starts = realm.count_starts()
        known = set(realm.list_requests())
        realm.set_off(DISPATCHER)
        realm.kill_bot()  # while the crash is read
        realm.start_bot()
        request = realm.wait_request(known)
        realm.kill_bot()
        realm.answer(DISPATCHER, request)  # an answer that comes while nobody is there
        for stage in ("BUILDING", "DEPLOYING", "VERIFYING"):
            realm.start_bot()
            realm.wait_state(stage)
            realm.kill_bot()
        realm.start_bot()
        realm.wait_fixed(DISPATCHER)
        assert len(realm.log()) == 1
        assert realm.count_starts() == starts + 2, "one restart after the crash, one for the fix"


def test_fault_a12_compilers_of_a_killed_bot_are_ended_before_the_next_build(ground: Ground) -> None:
    with living(ground) as realm:
        realm.start()
        request = realm.crash(DISPATCHER)
        realm.answer(DISPATCHER, request)
        build = realm.state / "build"
        compilers = realm.wait(lambda: list_processes(build), "compilers at work")
        for each in compilers:
            each.suspend()  # as one that would run for an hour
        realm.kill_bot()
        realm.start_bot()
        psutil.wait_procs(compilers, timeout=20)
        assert not [each for each in compilers if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
        realm.wait_fixed(DISPATCHER)
        assert len(realm.log()) == 1


def test_fault_b2_a_crash_while_no_bot_lives_is_restarted_at_once_and_healed_when_one_is_there_again(
    ground: Ground,
) -> None:
    with living(ground) as realm:
        realm.start()
        realm.kill_bot()
        realm.set_off(DISPATCHER)
        realm.start_bot()
        realm.answer(DISPATCHER, realm.wait_request(set()))
        realm.wait_fixed(DISPATCHER)


def test_keepers_that_are_killed_alone_with_the_bot_or_with_everything_are_replaced_and_the_server_runs(
    ground: Ground,
) -> None:
    with living(ground) as realm:
        realm.start()
        server, first = realm.server_pid, realm.keeper().pid
        realm.kill_keeper()
        realm.wait(lambda: realm.observed()["keeper_pid"] != first and realm.server_pid, "another keeper")
        assert realm.server_pid == server
        realm.kill_bot()
        realm.kill_keeper()
        assert [each.pid for each in list_servers(realm.server_dir)] == [server]
        realm.start()
        assert realm.server_pid == server
        assert realm.count_starts() == 1
        realm.heal(DISPATCHER)
        bring_up_after_all_was_killed(realm)
        assert realm.branches()[realm.night_branch].startswith(realm.revision), "the fix runs, not what was before it"


def bring_up_after_all_was_killed(realm: LivingRealm) -> None:
    server = realm.server_pid
    assert server is not None
    realm.kill_bot()
    realm.kill_keeper()
    psutil.Process(server).kill()
    realm.wait(lambda: not list_servers(realm.server_dir), "the end of the server")
    realm.start()


def test_a_keeper_killed_in_a_deployment_ends_in_the_new_build(ground: Ground) -> None:
    with living(ground, conf=SLOW) as realm:
        realm.start()
        for bug, moment in ((DISPATCHER, "stopping"), (AURA, "starting")):
            request = realm.crash(bug)
            realm.wait(lambda: realm.server_pid, "a server")
            realm.answer(bug, request)
            realm.wait_state("DEPLOYING")
            wait_observed(realm, moment)
            realm.kill_keeper()
            realm.wait_fixed(bug)


def wait_observed(realm: LivingRealm, state: str) -> None:
    realm.wait(lambda: realm.observed()["state"] == state, f"a server that is {state}")


def test_fault_a10_a_signal_ends_the_bot_in_order_and_the_server_goes_on(ground: Ground) -> None:
    """Also where it was started in the background, with SIGINT ignored."""
    with living(ground) as realm:
        for order in (signal.SIGTERM, signal.SIGINT):
            process = start_in_background(realm)
            realm.wait(lambda: realm.server_pid, "the server")
            realm.channel.state()
            server = realm.server_pid
            process.send_signal(order)
            assert process.wait(ENDING) == 0, order
            assert "Traceback" not in realm.bot_output
            assert [each.pid for each in list_servers(realm.server_dir)] == [server]
        realm.start()
        assert realm.count_starts() == 1


def start_in_background(realm: LivingRealm) -> "subprocess.Popen[bytes]":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return realm.start_bot()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_fault_a9_a_lock_file_that_nobody_holds_blocks_nothing(ground: Ground) -> None:
    """Nor does a note that names a process which lives, but is somebody else by now."""
    with living(ground) as realm:
        realm.state.mkdir(exist_ok=True)
        (realm.state / "instance.lock").touch()
        (realm.state / "instance.json").write_text(
            json.dumps({"pid": os.getpid(), "create_time": 1.0, "host": socket.gethostname()}), encoding="utf-8"
        )
        realm.start()


def test_fault_a14_another_worldserver_of_the_same_name_is_left_alone(ground: Ground, tmp_path: Path) -> None:
    with start_server(shared_realm().server, tmp_path) as other, living(ground) as realm:
        other.wait_ready()
        realm.start()
        realm.heal(DISPATCHER)
        assert realm.end_bot() == 0
        realm.end_keeper()
        realm.start()
        assert other.process.poll() is None


def test_world_two_bots_on_one_state_folder_and_the_second_is_refused_and_told_who_holds_it(ground: Ground) -> None:
    with living(ground) as realm:
        first = realm.start_bot()
        realm.wait(lambda: realm.server_pid, "the server")
        second = subprocess.run(
            COMMAND, cwd=realm.root / "cwd", env=realm.environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert f"process {first.pid}" in second.stderr
        assert "Traceback" not in second.stderr
        realm.wait(lambda: realm.channel.state()["ready"], "the channel of the first")
        assert realm.count_starts() == 1
