"""The two systemd units of `docs/running.md`, as they stand there, under a real systemd.

    python tests/soak/units.py

A user manager of its own runs them, in a mount namespace with an empty /run (systemd starts only where /run says that
the machine was booted with it), so that nothing of the machine's own is touched. Needs root, `unshare`, systemd. Each
step prints the processes of bot, keeper and server and how long it took; ends with 1 where one is not as it must be.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

import psutil

from bot.demo.world import DemoWorld, make_world
from pipeline.adapters import toolchain
from pipeline.adapters.keeper_client import FileKeeper
from pipeline.keeper.protocol import ServerState

MANAGER = "/lib/systemd/systemd"
KEEPER, BOT = "spirit-healer-keeper", "spirit-healer"
INSIDE = "UNITS_INSIDE"
PATIENCE = 60.0  # seconds for each thing that is waited for
_UNIT = re.compile(r"`/etc/systemd/system/(?P<name>[\w-]+)\.service`:\n\n```ini\n(?P<text>.*?)```", re.DOTALL)


def main() -> int:
    if INSIDE not in os.environ:
        if os.geteuid() != 0 or shutil.which("unshare") is None or not Path(MANAGER).exists():
            print("needs root, unshare and systemd", file=sys.stderr)
            return 2
        argv = ["unshare", "--mount", sys.executable, str(Path(__file__).resolve())]
        return subprocess.run(argv, env={**os.environ, INSIDE: "1"}, check=False).returncode
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended all the same
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(Path(folder))
        units = Units(world)
        try:
            units.begin()
            play(units)
        finally:
            units.close()
    print("every step was as it must be")
    return 0


@dataclass(frozen=True)
class Seen:
    """Process ids; 0 = none."""

    bot: int
    keeper: int
    server: int


class Units:
    """A user manager with the documented units, for a realm of its own."""

    def __init__(self, world: DemoWorld) -> None:
        self.world = world
        self.client = FileKeeper(world.state_dir, world.server_dir)
        self.environ = {
            **{name: value for name, value in os.environ.items() if name != INSIDE},
            "XDG_RUNTIME_DIR": "/run/user/0",
            "XDG_CONFIG_HOME": str(world.folder / "config"),
            "SYSTEMD_LOG_TARGET": "null",
        }
        self.manager: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        for folder in ("/run/systemd/system", "/run/user/0"):
            Path(folder).mkdir(parents=True, mode=0o700)
        self._write_settings()
        self._write_units()
        self.manager = subprocess.Popen([MANAGER, "--user"], env=self.environ)
        self.wait(lambda: Path("/run/user/0/systemd/private").exists(), "the manager")
        self.order("daemon-reload")

    def _write_settings(self) -> None:
        world = self.world
        program = toolchain.executable_name("worldserver")
        (world.folder / ".env").write_text(
            f"REALM_NAME=Units\nSTATE_DIR={world.state_dir}\nSOURCE_DIR={world.checkout}\n"
            f"SERVER_DIR={world.server_dir}\nSERVER_COMMAND=./{program} -c worldserver.conf\n"
            f"SERVER_PORT={world.world_port}\nSERVER_SOAK=5s\nMIN_FREE_DISK=100M\n",
            encoding="utf-8",
        )

    def _write_units(self) -> None:
        """Word for word but for the user, the paths, and an account at Discord."""
        folder = self.world.folder / "config" / "systemd" / "user"
        folder.mkdir(parents=True)
        page = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
        for name, text in _UNIT.findall(page):
            here = text.replace("/home/wow/healer/.venv/bin/spirit-healer", f"{sys.executable} -m bot")
            here = here.replace("/home/wow/healer", str(self.world.folder)).replace("User=wow\n", "")
            here = here.replace(" -m bot run\n", " -m bot run --sandbox\n")
            here = here.replace("[Service]\n", f"[Service]\nEnvironment=PYTHONPATH={ROOT}\n")
            (folder / f"{name}.service").write_text(here, encoding="utf-8")

    def order(self, *words: str) -> str:
        argv = ["systemctl", "--user", *words]
        done = subprocess.run(argv, env=self.environ, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout.strip()

    def pid(self, unit: str) -> int:
        return int(self.order("show", "-p", "MainPID", "--value", unit))

    def look(self) -> Seen:
        observed = self.client.observed()
        server = observed.pid if observed and observed.pid and psutil.pid_exists(observed.pid) else 0
        return Seen(self.pid(BOT), self.pid(KEEPER), server)

    def is_well(self, *, bot: bool = True) -> bool:
        """The server is ready, below a keeper that is the unit's own."""
        observed = self.client.observed()
        if observed is None or observed.state is not ServerState.READY or not self.client.is_current(observed):
            return False
        return observed.keeper_pid == self.pid(KEEPER) and bool(self.pid(BOT)) is bot

    def wait(self, look: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not look():
            if time.monotonic() > deadline:
                raise SystemExit(f"waited {PATIENCE:.0f} s for {what}: {self.look()}")
            time.sleep(0.1)

    def close(self) -> None:
        if self.manager is None:
            return
        self.manager.terminate()
        self.manager.wait(60)
        for each in psutil.process_iter(["cmdline"]):
            if str(self.world.folder) in str(each.info["cmdline"]):
                each.kill()


def play(units: Units) -> None:
    step(units, "both units are started", lambda: units.order("start", BOT), units.is_well)
    first = units.look()
    after = step(units, "the bot's unit is restarted", lambda: units.order("restart", BOT), units.is_well)
    must(after.keeper == first.keeper and after.server == first.server and after.bot != first.bot, "keeper and server")
    for name, victims in (("the bot", (BOT,)), ("the keeper", (KEEPER,)), ("both", (KEEPER, BOT))):
        seen = kill(units, name, victims)
        must(seen.server == first.server, "the server goes on, below whoever came after")
    crashed = step(
        units, "the server crashes", lambda: os.kill(first.server, signal.SIGSEGV),
        lambda: units.is_well() and units.look().server != first.server,
    )  # fmt: skip
    step(units, "the bot's unit is stopped", lambda: units.order("stop", BOT), lambda: units.is_well(bot=False))
    must(units.look().server == crashed.server, "the server goes on without a bot")
    step(units, "the bot's unit is started", lambda: units.order("start", BOT), units.is_well)
    step(units, "the keeper's unit is restarted", lambda: units.order("restart", KEEPER), units.is_well)
    must(units.look().server != crashed.server, "it was ended in order, and is started anew")
    step(units, "the keeper's unit is stopped", lambda: units.order("stop", KEEPER), lambda: not any_left(units))


def kill(units: Units, name: str, victims: Sequence[str]) -> Seen:
    before = {unit: units.pid(unit) for unit in victims}

    def act() -> None:
        for pid in before.values():
            must(pid > 0, "it runs")
            os.kill(pid, signal.SIGKILL)

    def is_over() -> bool:
        return all(units.pid(unit) not in (0, pid) for unit, pid in before.items()) and units.is_well()

    return step(units, f"kill -9 of {name}", act, is_over)


def any_left(units: Units) -> bool:
    seen = units.look()
    return bool(seen.bot or seen.keeper or seen.server)


def step(units: Units, name: str, act: Callable[[], object], until: Callable[[], bool]) -> Seen:
    began = time.monotonic()
    act()
    units.wait(until, name)
    seen = units.look()
    print(f"{name:32}  {time.monotonic() - began:6.1f} s  {seen}", flush=True)
    return seen


def must(holds: bool, what: str) -> None:
    if not holds:
        raise SystemExit(f"not so: {what}")


if __name__ == "__main__":
    sys.exit(main())
