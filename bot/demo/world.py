"""The demo's world: a checkout of the sample realm with a remote of its own, built and installed in one folder."""

from __future__ import annotations

import shutil
import socket
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from bot.demo.bugs import REALM
from bot.demo.leftovers import SERVER, STATE
from bot.settings import Settings
from pipeline.adapters import toolchain
from pipeline.adapters.children import Child, mark_for
from pipeline.errors import DefiniteError

GIT_TIMEOUT = 60  # seconds
COMPILE_TIMEOUT = 600  # seconds
LONGEST_ANSWER = timedelta(hours=12)  # a visitor who answers himself has all day
PASSWORD = "Let-Me-In"  # noqa: S105 - of a server that listens on 127.0.0.1 for the length of a demo
USER = "operator"
REALM_NAME = "Sample realm"


@dataclass(frozen=True)
class DemoWorld:
    folder: Path
    checkout: Path
    remote: Path
    server_dir: Path
    state_dir: Path
    world_port: int
    soap_port: int

    @property
    def queue(self) -> Path:
        return self.state_dir / "queue"


def make_world(folder: Path) -> DemoWorld:
    """Copies, commits, compiles and installs the realm. Raises ToolMissing with what to install, or DefiniteError."""
    world = DemoWorld(folder, folder / "source", folder / "remote.git", folder / SERVER, folder / STATE, *free_ports(2))
    make_repositories(world)
    compile_realm(world)
    install(world)
    return world


def make_repositories(world: DemoWorld) -> None:
    shutil.copytree(REALM, world.checkout, ignore=shutil.ignore_patterns("build*", "__pycache__"))
    world.remote.mkdir()
    run(world, ["git", "init", "-q", "--bare", "-b", "main"], world.remote)
    run(world, ["git", "init", "-q", "-b", "main"], world.checkout)
    run(world, ["git", "add", "-A"], world.checkout)
    me = ["-c", "user.name=Realm owner", "-c", "user.email=owner@realm.invalid", "-c", "commit.gpgsign=false"]
    run(world, ["git", *me, "commit", "-q", "-m", "The realm as its owners run it"], world.checkout)
    run(world, ["git", "remote", "add", "origin", str(world.remote)], world.checkout)
    run(world, ["git", "push", "-q", "-u", "origin", "main"], world.checkout)


def compile_realm(world: DemoWorld) -> None:
    """As its owners would: a build folder of their own."""
    build = world.folder / "build"
    tools = toolchain.find(world.state_dir)
    run(world, tools.configure(world.checkout, build, "RelWithDebInfo"), world.folder, COMPILE_TIMEOUT)
    run(world, tools.compile(build, "worldserver", "RelWithDebInfo"), world.folder, COMPILE_TIMEOUT)


def install(world: DemoWorld) -> None:
    world.server_dir.mkdir()
    name = toolchain.executable_name("worldserver")
    built = next(path for path in (world.folder / "build").rglob(name) if path.is_file())
    shutil.copy2(built, world.server_dir / name)
    (world.server_dir / "worldserver.conf").write_text(
        f"""[worldserver]
WorldServerPort = {world.world_port}
BindIP = "127.0.0.1"
SOAP.Enabled = 1
SOAP.IP = "127.0.0.1"
SOAP.Port = {world.soap_port}
Console.Enable = 0
MaxCoreStuckTime = 5
Realm.ConsoleUser = "{USER}"
Realm.ConsolePassword = "{PASSWORD}"
Realm.LateSeconds = 45
""",
        encoding="utf-8",
    )


def run(world: DemoWorld, argv: list[str], cwd: Path, timeout: float = GIT_TIMEOUT) -> None:
    """A child of the demo's own; raises DefiniteError with the end of what it printed."""
    log = world.folder / "preparation.log"
    child = Child.start(argv, cwd=cwd, output=log, what=mark_for(world.state_dir, "demo"), on_started=lambda *_: None)
    if child.wait(timeout) != 0:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise DefiniteError(f"{' '.join(argv[:3])} failed:\n{tail}")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now; held together, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class DemoSettings(Settings):
    """Only what is given: the environment and `.env` of whoever tries the demo are not read."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def list_words(module: str, *arguments: str) -> tuple[str, ...]:
    """An ANALYST_COMMAND of ours. `-P`: nothing that lies in the scratch clone is taken for a module."""
    return (sys.executable, "-P", "-m", module, *arguments, "{request}", "{response}", "{worktree}")


def settings_of(world: DemoWorld, soak: timedelta, analyst: tuple[str, ...], port: int, token: str | None) -> Settings:
    """`analyst`: the command that answers requests."""
    return DemoSettings(
        realm_name=REALM_NAME,
        state_dir=world.state_dir,
        source_dir=world.checkout,
        server_dir=world.server_dir,
        server_command=(toolchain.executable_name("worldserver"), "-c", "worldserver.conf"),
        server_port=world.world_port,
        server_console=f"soap://127.0.0.1:{world.soap_port}",
        server_console_user=USER,
        server_console_password=SecretStr(PASSWORD),
        server_soak=soak,
        server_stop_notice=timedelta(seconds=5),
        server_ready_timeout=timedelta(seconds=60),
        build_like=world.folder / "build",
        analyst_command=analyst,
        analyst_timeout=LONGEST_ANSWER,
        min_free_disk=200 << 20,
        sandbox_port=port,
        sandbox_token=SecretStr(token) if token else None,
    )
