"""A state folder that cannot be written when the bot starts: the server comes up all the same, and it is said."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from small_disks import Fault, put_on

from pipeline.keeper.foreign import list_marked, make_folder_id
from pipeline.keeper.protocol import DESIRED, Desired, ReadyRule, Want, to_json

if sys.platform == "win32":
    pytest.fail("these tests mount POSIX file systems", pytrace=False)

ROOT = Path(__file__).parents[2]
DEADLINE = 60.0  # seconds; nothing here takes one on an idle machine
SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")


@dataclass
class Realm:
    """A realm whose bot has run before: its wish and its lock lie in the state folder."""

    root: Path
    bots: list[subprocess.Popen[bytes]] = field(default_factory=list)
    output: str = ""
    # what the bots said

    def __post_init__(self) -> None:
        for each in ("home", "state", "template", "source", "server"):
            (self.root / each).mkdir()

    @property
    def server(self) -> Path:
        return self.root / "server"

    @property
    def template(self) -> Path:
        """What the state folder's disk holds before it is full."""
        return self.root / "template"

    def leave_wish(self) -> None:
        wish = Desired(7, Want.UP, "test", "", str(self.server), SLEEP, ready=ReadyRule(pattern="", port=0))
        (self.template / DESIRED).write_text(to_json(wish))

    def start_bot(self, fault: Fault) -> subprocess.Popen[bytes]:
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.root / "home"), "PYTHONPATH": str(ROOT),
            "STATE_DIR": str(self.root / "state"), "SOURCE_DIR": str(self.root / "source"),
            "SERVER_DIR": str(self.server), "SERVER_COMMAND": " ".join([SLEEP[0], SLEEP[1], f"'{SLEEP[2]}'"]),
            "SERVER_PORT": "0", "SERVER_READY_PATTERN": "none", "SANDBOX_PORT": "0",
        }  # fmt: skip
        argv = [sys.executable, "-m", "bot", "run", "--sandbox"]
        bot = subprocess.Popen(
            put_on(fault, self.root / "state", self.template, argv),
            cwd=self.root / "home", env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.bots.append(bot)
        threading.Thread(target=self._listen, args=[bot], daemon=True).start()
        return bot

    def _listen(self, bot: subprocess.Popen[bytes]) -> None:
        """By a pipe: a file might be the very thing that cannot grow."""
        assert bot.stdout is not None
        with bot.stdout:
            for line in bot.stdout:
                self.output += line.decode("utf-8", "replace")

    def list_servers(self) -> list[int]:
        return [each.who.pid for each in list_marked(make_folder_id(self.server)) if each.leads]

    def wait(self, look: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while not look():
            assert time.monotonic() < deadline, f"waited in vain for {what}:\n{self.output}"
            time.sleep(0.02)

    def close(self) -> None:
        """Bots, keepers and servers of this realm, and nothing else."""
        for bot in self.bots:
            bot.kill()
            bot.wait(DEADLINE)
        for each in list_keepers(self.root):
            each.kill()
            each.wait(DEADLINE)
        for pid in self.list_servers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def list_keepers(root: Path) -> list[psutil.Process]:
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error):
            words = psutil.Process(pid).cmdline()
            if "pipeline.keeper" in words and str(root / "server") in words:
                found.append(psutil.Process(pid))
    return found


@pytest.fixture
def realm(tmp_path: Path) -> Iterator[Realm]:
    made = Realm(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("before", ["a lock file", "no lock file"])
def test_invariant_13_a_state_folder_that_cannot_be_written_keeps_no_server_down(
    realm: Realm, fault: Fault, before: str
) -> None:
    realm.leave_wish()
    if before == "a lock file":
        (realm.template / "instance.lock").touch()
    bot = realm.start_bot(fault)
    realm.wait(realm.list_servers, "a server")
    realm.wait(lambda: "cannot be written" in realm.output, "a word about it")
    assert bot.poll() is None, realm.output
    assert "Logging error" not in realm.output
    bot.terminate()
    assert bot.wait(DEADLINE) == 0, realm.output
    assert len(realm.list_servers()) == 1, "the end of the bot leaves the server running"


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("before", ["a lock file", "no lock file"])
def test_invariant_1_a_disk_that_cannot_be_written_lets_no_second_bot_in(
    tmp_path: Path, fault: Fault, before: str
) -> None:
    state, template = tmp_path / "state", tmp_path / "template"
    template.mkdir()
    if before == "a lock file":
        (template / "instance.lock").touch()
    done = subprocess.run(
        put_on(fault, state, template, [sys.executable, "-c", TWO_BOTS, str(state)]),
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert done.stdout.split() == [b"first", b"refused"], done.stderr.decode()


TWO_BOTS = """
import subprocess, sys
from pathlib import Path
from bot.lock import InstanceHeld, InstanceLock
lock = InstanceLock(Path(sys.argv[1]))
try:
    lock.acquire()
    print(*sys.argv[2:] or ["first"], flush=True)
    if not sys.argv[2:]:
        subprocess.run([*sys.orig_argv[:3], sys.argv[1], "second"], timeout=30)
except InstanceHeld:
    print("refused", flush=True)
"""
