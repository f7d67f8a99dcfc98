"""The machine: who else looks after the server, whether a crash leaves a core, and what reads it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from bot import realm
from bot.doctor.finding import Finding, fail, ok, warn
from bot.settings import Settings
from pipeline.adapters.coredumpctl import find_coredumpctl, is_systemds, read_pattern
from pipeline.adapters.lldb import find_lldb
from pipeline.adapters.toolchain import find_tool
from pipeline.keeper import foreign
from pipeline.keeper.protocol import SERVER_MARK

UNIT_FOLDERS = (Path("/etc/systemd/system"), Path("~/.config/systemd/user"))
PM2_DUMP = Path("~/.pm2/dump.pm2")
_OURS = re.compile(r"^ExecStart=[-@:+!]*(?:\S*/)?spirit-healer\s", re.MULTILINE)
_CURE = "take the server out of it (stop and disable it there): two of them would start two servers"


# --- other supervisors -----------------------------------------------------------------------------------------------


def check_supervisors(settings: Settings) -> Iterator[Finding]:
    found = [*list_live(settings), *list_units(settings), *list_pm2(settings)]
    yield from found or [ok("supervisors", "nobody else looks after this server")]


def list_live(settings: Settings) -> Iterator[Finding]:
    """Servers of this folder that run now, and who would start them again."""
    own = foreign.read_cgroup("self")
    folder = settings.server_dir.resolve()
    for each in foreign.find_servers(folder, realm.program(settings), settings.server_command):
        yield judge_live(each, own, psutil.Process().username())


def judge_live(found: foreign.Found, own_cgroup: str, user: str) -> Finding:
    """What `run` does with a server that it finds: the keeper decides by the same."""
    server = f"the server runs (process {found.who.pid})"
    supervisor = foreign.find_supervisor(found, own_cgroup)
    if supervisor is not None:
        return fail("supervisors", f"the server (process {found.who.pid}) is looked after by {supervisor.name}", _CURE)
    if SERVER_MARK in found.environment:
        return ok("supervisors", f"{server}, and the keeper that started it is ours")
    if found.user != user:
        return fail(
            "supervisors",
            f"{server} as another user, {found.user}: it can be neither stopped nor replaced",
            f"run the bot as {found.user}, or stop that server",
        )
    return ok("supervisors", f"{server}, started by hand: `run` looks after it as it is")


def list_units(settings: Settings, folders: Iterable[Path] = UNIT_FOLDERS) -> Iterator[Finding]:
    """systemd units that start a program of SERVER_DIR. One that runs spirit-healer is meant to be there."""
    for folder in folders:
        for unit in sorted(folder.expanduser().glob("*.service")):
            lines = [line for line in _read(unit).splitlines() if line.startswith(("ExecStart=", "WorkingDirectory="))]
            text = "\n".join(lines)
            if _names(text, settings.server_dir) and not _OURS.search(text):
                yield warn("supervisors", f"the systemd unit {unit.name} works in SERVER_DIR", _CURE)


def list_pm2(settings: Settings, dump: Path = PM2_DUMP) -> Iterator[Finding]:
    if _names(_read(dump.expanduser()), settings.server_dir):
        yield warn(
            "supervisors",
            "pm2 has saved a process of SERVER_DIR, and starts it with the machine",
            "pm2 delete it, then pm2 save",
        )


def _names(text: str, folder: Path) -> bool:
    """Whether a path in SERVER_DIR stands in the text."""
    return any(re.search(re.escape(str(each)) + r"(?![\w.-])", text) for each in {folder, folder.resolve()})


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


# --- cores -----------------------------------------------------------------------------------------------------------


def check_cores(settings: Settings) -> Iterator[Finding]:
    if sys.platform != "linux":
        yield ok("cores", "not looked for on this system: the server writes its own reports")
        return
    import resource

    hard_limit = resource.getrlimit(resource.RLIMIT_CORE)[1]
    yield from judge_cores(read_pattern(), hard_limit, settings.server_dir, find_coredumpctl())


def judge_cores(pattern: str, hard_limit: int, server_dir: Path, coredumpctl: str | None) -> Iterator[Finding]:
    """`hard_limit` in bytes, -1 = none: the keeper raises the soft one to it. `coredumpctl` = where it is."""
    if hard_limit == 0:
        yield warn(
            "cores",
            "are forbidden here (hard limit 0), so that a crash leaves no stack",
            "raise it: LimitCORE=infinity in the unit, or `* hard core unlimited` in /etc/security/limits.conf",
        )
    elif is_systemds(pattern) and coredumpctl is not None:
        yield ok("cores", f"are kept by systemd-coredump and asked for with {coredumpctl}")
    elif pattern.startswith("|"):
        program = pattern[1:].split()[0] if pattern[1:].split() else "|"
        yield warn("cores", f"go to another program ({program}), not to a file that we could read", cure_pipe(program))
    elif not pattern:
        yield warn("cores", "have no name (kernel.core_pattern is empty)", "sysctl -w kernel.core_pattern=core.%p")
    else:
        yield _judge_folder(pattern, (server_dir / pattern).parent)


def cure_pipe(program: str) -> str:
    """Each distribution sets the pattern again at the next boot, in its own place."""
    name = program.rpartition("/")[2]
    firsts = {
        "apport": "sudo systemctl disable --now apport, then ",
        "systemd-coredump": "install coredumpctl (Debian: in the package systemd-coredump), or ",
    }
    first = firsts.get(name, "")
    return (
        f"{first}sudo sysctl -w kernel.core_pattern=core.%p, and for the next boot the line "
        "kernel.core_pattern=core.%p in /etc/sysctl.d/99-cores.conf"
    )


def _judge_folder(pattern: str, folder: Path) -> Finding:
    if folder.is_dir() and os.access(folder, os.W_OK):
        return ok("cores", f"are written to {folder} ({pattern})")
    return warn(
        "cores", f"would go to {folder}, which cannot be written", "make it, or sysctl -w kernel.core_pattern=core.%p"
    )


# --- debuggers -------------------------------------------------------------------------------------------------------


def check_debugger(settings: Settings) -> Iterator[Finding]:
    yield judge_debugger(sys.platform)


def judge_debugger(platform: str) -> Finding:
    """gdb reads cores; on Windows lldb reads minidumps."""
    if platform == "win32":
        found = find_lldb()
        cure = "winget install LLVM.LLVM"
        return (
            ok("lldb", str(found)) if found else warn("lldb", "was not found: a minidump is read without a stack", cure)
        )
    gdb = find_tool("gdb")
    if gdb is None:
        return warn(
            "gdb",
            "was not found: a crash is known by its signal alone",
            "install gdb (Debian, Ubuntu: apt install gdb)",
        )
    return ok("gdb", str(gdb))
