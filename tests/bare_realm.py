"""A realm whose bot is a real process, and whose server only sleeps: for where no build is wanted.

realm.leave_wish()
realm.start_bot()
realm.wait(realm.list_servers, "a server")
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from living_channel import Channel
from small_disks import Fault, put_on

from pipeline.keeper.foreign import list_marked, make_folder_id
from pipeline.keeper.protocol import DESIRED, Desired, ReadyRule, Want, to_json

ROOT = Path(__file__).parents[1]
DEADLINE = 60.0  # seconds; nothing here takes one on an idle machine
TOKEN = "page"
_ADDRESS = re.compile(r"The channel: (http://127\.0\.0\.1:\d+)/")
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

    def start_bot(self, fault: Fault | None = None) -> subprocess.Popen[bytes]:
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.root / "home"), "PYTHONPATH": str(ROOT),
            "STATE_DIR": str(self.root / "state"), "SOURCE_DIR": str(self.root / "source"),
            "SERVER_DIR": str(self.server), "SERVER_COMMAND": " ".join([SLEEP[0], SLEEP[1], f"'{SLEEP[2]}'"]),
            "SERVER_PORT": "0", "SERVER_READY_PATTERN": "none", "SANDBOX_PORT": "0", "SANDBOX_TOKEN": TOKEN,
        }  # fmt: skip
        argv = [sys.executable, "-m", "bot", "run", "--sandbox"]
        bot = subprocess.Popen(
            argv if fault is None else put_on(fault, self.root / "state", self.template, argv),
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

    @property
    def channel(self) -> Channel:
        """Of the bot that was started last, once it printed where it is."""
        self.wait(lambda: _ADDRESS.search(self.output), "the address of the channel")
        return Channel(_ADDRESS.findall(self.output)[-1], TOKEN)

    def wait_status(self, *words: str) -> str:
        """The answer of /status, once it has all of these words."""
        found = ""

        def look() -> bool:
            nonlocal found
            try:
                found = self.channel.slash("status").words
            except (OSError, AssertionError) as fault:
                found = str(fault)
            return all(each in found for each in words)

        try:
            self.wait(look, f"{words} in /status")
        except AssertionError as fault:
            raise AssertionError(f"{fault}\n/status said: {found}") from fault
        return found

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
