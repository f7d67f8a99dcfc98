"""The sample realm for tests: built once and kept, started on free ports, spoken to as operators and players do.

    build = realm.shared_realm()                    # the realm as shipped: its repository and its compiled server
    with realm.start_server(build.server, tmp_path) as server:
        server.wait_ready()
        assert "TrinityCore rev." in server.soap("server info").text
        server.player("Ann").send("BUG aura")
        assert server.wait_exit() == -signal.SIGSEGV

`build_realm(folder)` makes a repository and a build of one's own; `build_variant(edits, folder)` compiles the shipped
realm with edits, in a few seconds, because it shares one build folder (one at a time) over all tests and runs.
`shared_realm` and `build_variant` keep what they have in the folder for temporary files, by a hash of the realm.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from realm_builds import (
    EXECUTABLE,
    RealmBuild,
    Variant,
    apply_edits,
    build_realm,
    build_variant,
    compile_realm,
    configure,
    git,
    make_repository,
    shared_realm,
)
from realm_clients import PASSWORD, USER, PlayerClient, RaConsole, SoapAnswer, ask_soap

from bot.demo.bugs import REALM

__all__ = [
    "EXECUTABLE",
    "PASSWORD",
    "READY",
    "USER",
    "PlayerClient",
    "RaConsole",
    "RealmBuild",
    "RunningServer",
    "SoapAnswer",
    "Variant",
    "apply_edits",
    "ask_soap",
    "build_realm",
    "build_variant",
    "compile_realm",
    "configure",
    "find_free_ports",
    "git",
    "make_repository",
    "shared_realm",
    "start_server",
    "stop_gently",
    "wait_for",
    "write_configuration",
]

READY = "(worldserver-daemon) ready..."
T = TypeVar("T")
if sys.platform == "win32":
    _OWN_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _OWN_GROUP = 0


def wait_for(look: Callable[[], T], what: str, timeout: float = 20) -> T:
    """What `look` returns as soon as it is true; AssertionError naming `what` after so many seconds."""
    deadline = time.monotonic() + timeout
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {timeout} s for {what}"
        time.sleep(0.02)
    return found


@dataclass
class RunningServer:
    process: subprocess.Popen[str]
    folder: Path
    # its working folder, with logs, stdout.txt, stderr.txt and characters
    world_port: int
    ra_port: int
    soap_port: int
    _said_before: int = 0
    # length of stdout.txt when it was started: what earlier servers of this folder have said
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "RunningServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=20)
        if self.process.stdin:
            self.process.stdin.close()

    def read(self, name: str) -> str:
        """A file of its folder; empty when there is none."""
        file = self.folder / name
        return file.read_bytes().decode(errors="replace") if file.exists() else ""

    @property
    def log(self) -> str:
        return self.read("Server.log")

    @property
    def stderr(self) -> str:
        return self.read("stderr.txt")

    @property
    def is_ready(self) -> bool:
        """Whether this one (not an earlier one of the same folder) has said so."""
        return READY in self.read("stdout.txt")[self._said_before :]

    def wait_ready(self) -> "RunningServer":
        wait_for(lambda: self.is_ready or self.process.poll() is not None, "the server to be ready")
        assert self.is_ready, f"it ended with {self.process.poll()}:\n{self.log}{self.stderr}"
        return self

    def wait_exit(self, timeout: float = 20) -> int:
        """The exit code; minus the signal's number where one ended it."""
        return self.process.wait(timeout=timeout)

    def soap(self, command: str, user: str = USER, password: str = PASSWORD) -> SoapAnswer:
        return ask_soap(self.soap_port, command, user, password)

    def ra(self) -> RaConsole:
        console = RaConsole(self.ra_port)
        self._open.callback(console.close)
        return console

    def player(self, name: str) -> PlayerClient:
        """Somebody who has logged in."""
        player = PlayerClient(self.world_port)
        self._open.callback(player.close)
        player.send(f"HELLO {name}")
        assert player.read_line() == f"WELCOME {name}"
        return player

    def read_experience(self) -> int:
        """What the bots have by now, in memory."""
        return int(self.soap("bots").text.split()[-1])

    def read_saved_experience(self) -> int:
        """What of it stands in the file of characters."""
        return sum(int(line.split()[2]) for line in self.read("characters.db.txt").splitlines())


def find_free_ports(count: int) -> list[int]:
    """Ports on the loopback that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def write_configuration(folder: Path, settings: Mapping[str, object]) -> Path:
    """worldserver.conf there: the one that is shipped, with these keys (all of which it knows) set otherwise."""
    text = (REALM / "worldserver.conf.dist").read_text(encoding="utf-8")
    for key, value in settings.items():
        text, found = re.subn(rf"(?m)^{re.escape(key)} = .*$", f'{key} = "{value}"', text)
        assert found == 1, f"worldserver.conf.dist does not know {key}"
    file = folder / "worldserver.conf"
    file.write_text(text, encoding="utf-8")
    return file


def start_server(
    server: Path,
    folder: Path,
    settings: Mapping[str, object] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
) -> RunningServer:
    """Starts it in this folder (made if it is not there) with both consoles on free ports and its own console off.

    Its end is the caller's: use it as a context manager. It leaves no core file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    world, ra, soap = find_free_ports(3)
    defaults: dict[str, object] = {
        "WorldServerPort": world, "Ra.Enable": 1, "Ra.Port": ra, "SOAP.Enabled": 1, "SOAP.Port": soap,
        "Console.Enable": 0, "Realm.ConsoleUser": USER, "Realm.ConsolePassword": PASSWORD,
    }  # fmt: skip
    write_configuration(folder, {**defaults, **(settings or {})})
    said_before = (folder / "stdout.txt").stat().st_size if (folder / "stdout.txt").exists() else 0
    with (folder / "stdout.txt").open("a") as output, (folder / "stderr.txt").open("a") as errors:
        process = subprocess.Popen(
            [str(server)], cwd=folder, stdin=stdin, stdout=output, stderr=errors, text=True,
            env={**os.environ, **(environment or {})}, start_new_session=sys.platform != "win32",
            creationflags=_OWN_GROUP,
        )  # fmt: skip
    _forbid_core(process.pid)
    return RunningServer(process, folder, world, ra, soap, said_before)


def stop_gently(server: RunningServer) -> None:
    """The signal with which a supervisor asks it to save and end."""
    if sys.platform == "win32":
        server.process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        server.process.send_signal(signal.SIGTERM)


def _forbid_core(pid: int) -> None:
    if sys.platform == "linux":
        import resource

        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
