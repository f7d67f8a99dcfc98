"""Bot or keeper of a realm that lives is stopped (SIGSTOP) and wakes again: never two deployments that overlap."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from living_ground import Ground
from living_realm import COMMAND, LivingRealm, living, push_as_somebody_else

from bot.demo.bugs import FixKind, get_bug
from pipeline.points import VARIABLE

DISPATCHER, AURA = get_bug("dispatcher"), get_bug("aura")

pytestmark = pytest.mark.timeout(240)


def without_secrets(environment: dict[str, str]) -> dict[str, str]:
    """What the command line needs none of, and the witness would find there."""
    return {name: each for name, each in environment.items() if not name.endswith(("_PASSWORD", "_TOKEN"))}


def run_beside(realm: LivingRealm, argv: list[str], **settings: str) -> subprocess.CompletedProcess[str]:
    """Another bot, or the command line, with the settings of this realm."""
    return subprocess.run(
        argv, cwd=realm.root / "cwd", env=without_secrets({**realm.environment, **settings}), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip


def read_status(realm: LivingRealm, **settings: str) -> str:
    return run_beside(realm, [*COMMAND[:3], "status"], **settings).stdout


def test_world_two_sigstop_of_the_bot_in_a_push_and_the_branch_has_moved_on_when_it_wakes(
    ground: Ground, tmp_path: Path
) -> None:
    """Nobody takes over meanwhile, the server is looked after, and it pushes nothing over what came."""
    marker = tmp_path / "paused"
    with living(ground) as realm:
        realm.start()
        realm.heal(DISPATCHER)
        branch = realm.night_branch
        realm.end_bot()
        realm.change_settings(**{VARIABLE: f"publish.begun:pause:{marker}"})
        realm.start()
        bot = realm.bot
        realm.answer(AURA, realm.crash(AURA))
        realm.wait(marker.exists, "the bot before its push")
        bot.send_signal(signal.SIGSTOP)
        marker.with_name("paused.go").touch()
        foreign = push_as_somebody_else(realm.root, branch)
        second = run_beside(realm, COMMAND)
        assert second.returncode == 1
        assert f"which is stopped and does nothing: `kill -CONT {bot.pid}` lets it go on" in second.stderr
        assert f"The bot (process {bot.pid}) is stopped" in read_status(realm)
        before = realm.server_pid
        assert before is not None
        psutil.Process(before).kill()
        realm.wait(lambda: realm.server_pid not in (None, before), "a restart without the bot")
        bot.send_signal(signal.SIGCONT)
        realm.wait_fixed(AURA)
        assert realm.branches()[branch] == foreign
        assert len(realm.log(f"{branch}-2")) == 2


def test_world_two_sigstop_of_the_keeper_in_a_soak_and_nothing_is_called_healthy_that_nobody_sees(
    ground: Ground,
) -> None:
    """The new server dies while its keeper stands still: the bot waits, says so, and learns of it from the keeper."""
    with living(ground, SERVER_SOAK="4s") as realm:
        realm.start()
        request = realm.crash(DISPATCHER)
        realm.answer(DISPATCHER, request)
        realm.wait_state("VERIFYING")
        keeper, server = realm.keeper(), realm.server_pid
        assert server is not None
        keeper.suspend()
        os.kill(server, signal.SIGKILL)
        told = realm.wait_news("Nobody looks after the server")
        cure = f"`kill -CONT {keeper.pid}` lets it go on"
        assert told.text == f"The keeper (process {keeper.pid}) is stopped: what dies now stays dead. {cure}"
        answer = realm.channel.slash("status")
        assert "the keeper does not answer" in answer.title
        assert cure in answer.text
        assert cure.replace("`", "") in read_status(realm)
        assert realm.states()[-1] == "VERIFYING"
        keeper.resume()
        realm.wait_news("The keeper looks after the server again")
        realm.wait_fixed(DISPATCHER)
        assert realm.server_pid != server


def test_world_two_server_folders_and_the_bot_starts_no_keeper_beside_the_living_one(
    ground: Ground, tmp_path: Path
) -> None:
    """SERVER_DIR was changed: the old server stays looked after, and nothing of it is concluded."""
    new = tmp_path / "server"
    with living(ground) as realm:
        realm.start()
        keeper, server, old = realm.keeper().pid, realm.server_pid, realm.server_dir.resolve()
        assert realm.end_bot() == 0
        shutil.copytree(realm.server_dir, new, ignore=shutil.ignore_patterns(".spirit-healer"))
        words = (
            f"the keeper of this state folder (process {keeper}) looks after the server in {old}, but SERVER_DIR is "
            f"{new}. Set it back to {old}, or end process {keeper} first: it stops its server in order and ends"
        )
        moved = {"SERVER_DIR": str(new), "SERVER_CONSOLE": "", "SERVER_CONSOLE_PASSWORD": "", "SANDBOX_TOKEN": ""}
        for command in (COMMAND, [*COMMAND[:3], "keeper"]):
            refused = run_beside(realm, command, **moved)
            assert refused.returncode in (1, 3)
            assert words in refused.stderr
        status = read_status(realm, **moved)
        assert f"1 thing needs you:\n  {words}\n" in status
        assert "Neither bot nor keeper runs" not in status
        assert not (new / ".spirit-healer").exists()
        assert (realm.keeper().pid, realm.server_pid) == (keeper, server)
        realm.start()
        assert (realm.keeper().pid, realm.server_pid, realm.count_starts()) == (keeper, server, 1)


def test_world_two_bots_with_one_server_folder_and_the_second_says_that_it_is_another_ones(
    ground: Ground, tmp_path: Path
) -> None:
    with living(ground) as realm:
        realm.start()
        keeper, server = realm.keeper().pid, realm.server_pid
        with (tmp_path / "second.txt").open("wb") as output:
            second = subprocess.Popen(
                COMMAND, cwd=realm.root / "cwd", env={**realm.environment, "STATE_DIR": str(tmp_path / "state")},
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        try:
            words = f"works for another bot, whose STATE_DIR is {realm.state.resolve()}"
            realm.wait(lambda: words in read_status(realm, STATE_DIR=str(tmp_path / "state")), "the second's word")
            realm.answer(DISPATCHER, realm.crash(DISPATCHER), FixKind.GOOD)
            realm.wait_fixed(DISPATCHER)
            assert second.poll() is None
            second.terminate()
            assert second.wait(30) == 0
        finally:
            second.kill()
            second.wait(30)
        assert realm.keeper().pid == keeper
        assert realm.server_pid != server
        assert realm.count_starts() == 3
