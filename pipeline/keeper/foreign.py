"""Living servers of this folder: ours, by the mark; somebody's, by executable, folder and user; and who else looks
after them (systemd, pm2, restarter loops). What is found is data; whether it is a supervisor is decided purely."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import psutil

from pipeline.keeper.memory import Who
from pipeline.keeper.protocol import SERVER_MARK

# Processes whose business is to start again what ended. Names as the system shows them, in lower case.
SUPERVISORS = frozenset(
    {"supervisord", "circusd", "runsv", "s6-supervise", "supervise", "monit", "immortal", "ampinstmgr"}
    | {"nssm.exe", "winsw.exe", "windowsgsm.exe", "srvany.exe", "shawl.exe"}
)
SHELLS = frozenset(
    {"sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "busybox", "cmd.exe", "powershell.exe", "pwsh", "pwsh.exe"}
)
# Services that only open a door for people, or start something once.
_DOORS = (
    *("ssh", "cron", "crond", "atd", "user@", "getty@", "session", "docker", "containerd"),
    *("gnome", "plasma", "app-"),
)


@dataclass(frozen=True)
class Ancestor:
    who: Who
    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """A living process that may be the server of this folder."""

    who: Who
    user: str
    leads: bool  # it leads its session: a keeper started it itself (always true on Windows)
    environment: Mapping[str, str] = field(default_factory=dict)  # empty where it cannot be read
    cgroup: str = ""
    ancestors: tuple[Ancestor, ...] = ()  # nearest first


@dataclass(frozen=True)
class Supervisor:
    name: str
    who: Who  # while it lives, the server is not ours to start


def make_folder_id(server: Path) -> str:
    """Names a SERVER_DIR in the mark, whatever the state folder."""
    return sha256(os.fsencode(server)).hexdigest()[:12]


def find_supervisor(found: Found, own_cgroup: str) -> Supervisor | None:
    """Who would start it again, were it to end. Nothing of ours: a keeper's server carries the mark."""
    if SERVER_MARK in found.environment:
        return None
    for each in found.ancestors:
        if name := _name_supervisor(each):
            return Supervisor(name, each.who)
    if "pm_id" in found.environment:
        return Supervisor("pm2", found.who)
    service = _name_service(found.cgroup)
    if service and service != _name_service(own_cgroup):
        return Supervisor(f"systemd unit {service}", found.who)
    shell = found.ancestors[0] if found.ancestors else None
    if shell and is_script(shell):
        return Supervisor(f"a script ({' '.join(shell.argv)[:120]})", shell.who)
    return None


def _name_supervisor(ancestor: Ancestor) -> str | None:
    line = " ".join(ancestor.argv)
    if line.startswith("PM2 ") and "God Daemon" in line:
        return "pm2"
    name = ancestor.name.lower()
    return name if name in SUPERVISORS else None


def _name_service(cgroup: str) -> str | None:
    name = cgroup.strip().rpartition("/")[2]
    if not name.endswith(".service") or name.startswith(_DOORS):
        return None
    return name


def is_script(ancestor: Ancestor) -> bool:
    """A shell that works through a script; an interactive one has no argument but options."""
    if ancestor.name.lower() not in SHELLS or not ancestor.argv:
        return False
    arguments = ancestor.argv[1:]
    if any(each.lower() in ("-c", "/c", "-command", "-file") for each in arguments):
        return True
    return any(not each.startswith(("-", "/k", "/K")) for each in arguments)


def find_servers(folder: Path, executable: Path, argv: Sequence[str]) -> list[Found]:
    """Living processes that run this executable in this folder."""
    running = [each for each in _list_in_folder(folder) if _runs(each, folder, executable, argv)]
    return [found for each in running if (found := _try_describe(each))]


def _list_in_folder(folder: Path) -> Iterator[psutil.Process]:
    for pid in psutil.pids():
        try:
            # A link read is a tenth of what psutil needs for it: this stands before a start, for each process there is.
            link = f"/proc/{pid}/cwd"
            here = os.readlink(link) if sys.platform == "linux" else psutil.Process(pid).cwd()  # noqa: PTH115 (hot path)
            if Path(here) == folder and pid != os.getpid():
                yield psutil.Process(pid)
        except (OSError, psutil.Error):
            continue


def _runs(process: psutil.Process, folder: Path, executable: Path, argv: Sequence[str]) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE or Path(process.exe()) != executable.resolve():
            return _is_interpreted(process, executable, argv)
        # An interpreter runs much else in this folder: there the arguments have to be the same too.
        return executable.resolve().is_relative_to(folder) or process.cmdline()[1:] == list(argv[1:])
    except (OSError, psutil.Error):
        return False


def _is_interpreted(process: psutil.Process, executable: Path, argv: Sequence[str]) -> bool:
    """A script that is the executable: the kernel puts its interpreter in front."""
    line = process.cmdline()
    tail = list(argv[1:])
    own = line[: len(line) - len(tail)]
    return line[len(own) :] == tail and any(Path(process.cwd(), each) == executable for each in own[1:])


def list_marked(folder_id: str) -> list[Found]:
    """Living processes that carry our mark for this folder, the server and what it started."""
    found = []
    for pid in psutil.pids():
        try:
            if pid != os.getpid() and _is_marked(pid, folder_id):
                found.append(_try_describe(psutil.Process(pid)))
        except (OSError, psutil.Error):
            continue
    return [each for each in found if each]


def _is_marked(pid: int, folder_id: str) -> bool:
    if sys.platform == "linux":
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 (thousands of them)
            text = file.read()
        return f"{SERVER_MARK}={folder_id}.".encode() in text
    return bool(psutil.Process(pid).environ().get(SERVER_MARK, "").startswith(f"{folder_id}."))


def _try_describe(process: psutil.Process) -> Found | None:
    try:
        return _describe(process)
    except (OSError, psutil.Error):
        return None


def _describe(process: psutil.Process) -> Found:
    with process.oneshot():
        return Found(
            who=Who(process.pid, process.create_time()),
            user=process.username(),
            leads=sys.platform == "win32" or os.getsid(process.pid) == process.pid,
            environment=_read_environment(process),
            cgroup=read_cgroup(process.pid),
            ancestors=tuple(_list_ancestors(process)),
        )


def _read_environment(process: psutil.Process) -> Mapping[str, str]:
    try:
        return process.environ()
    except (OSError, psutil.Error):
        return {}


def read_cgroup(pid: int | str) -> str:
    """The path in the unified hierarchy, empty where there is none."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return ""
    return next((each.partition("::")[2] for each in lines if each.startswith("0::")), "")


def _list_ancestors(process: psutil.Process) -> Iterator[Ancestor]:
    for each in process.parents():
        try:
            yield Ancestor(Who(each.pid, each.create_time()), each.name(), tuple(each.cmdline()))
        except psutil.Error:
            continue
