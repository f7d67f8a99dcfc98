"""What must hold of a realm whatever was done to it, seen from outside only: processes, files, git, the channel.

Knows nothing of how the bot works but what DESIGN.md promises to others: where builds are archived, and that the
footer of each message ends with its number.
"""

import hashlib
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil
from checker import Look
from living_channel import Said
from realm import EXECUTABLE, git

UNCOMMITTED = "only-on-my-machine"  # stands in what the owner of the checkout did not commit
_EVERY = 0.15  # seconds between two looks at the processes
_ENDING = 20.0  # seconds for what was killed to be gone
_HOOK = """#!/bin/sh
cat >> "{book}"
"""
# Where the bot, its keeper and the server may write; everything else is compared with what was there before.
_OURS = ("state", "server", "remote.git")
_BOT = r"(-m bot|channel_apart\.py \d+) run"  # in its command line
_OUTPUT = re.compile(r"bot-\d+\.txt")
_SERVER_WRITES = re.compile(
    # Logs are moved to the state folder, and aside where that lies on another disk.
    r"\.spirit-healer(/.*)?|(log-\d{8}T\d{6}\.\d{3}Z-)?(Server|Playerbot)\.log|core.*|characters\.db\.txt|deferred_login\.txt|worldserver(\.exe)?"
)


@dataclass(frozen=True)
class Site:
    root: Path
    # all of the realm lies in it
    checkout: Path
    remote: Path
    server_dir: Path
    state: Path
    commit: str
    # what the server was built from at first
    secrets: dict[str, "Secret"]
    # by what they are
    numbers: bool = True
    # whether cards and posts have every one from 1: PostgreSQL leaves some out where a transaction was cut off


@dataclass(frozen=True)
class Secret:
    """A planted value, and the only places where it belongs."""

    value: str
    files: str = ""
    # a regular expression for paths below the realm's folder
    programs: str = ""
    # one for command lines; the bot may know all of them


class Witness:
    """Looks on from the first moment to the last."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stop = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._most_servers: list[psutil.Process] = []
        self.looks: list[Look] = []  # each one that differs from the one before
        self._overheard: set[str] = set()  # secrets in argv or environment of a process that has no use for them
        self._heard: dict[str, bytes] = {}  # process id -> the command line that it had at the last look
        self._before = take_stock(site)
        self._shipped = hash_file(site.server_dir / EXECUTABLE)
        self._book = site.remote / "pushes.txt"

    def __enter__(self) -> "Witness":
        hook = self._site.remote / "hooks" / "post-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(_HOOK.format(book=self._book.as_posix()), encoding="utf-8")
        hook.chmod(0o755)
        self._watching.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._watching.join(10)

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY):
            self._overhear()
            servers = list_servers(self._site.server_dir)
            look = Look(tuple(sorted(each.pid for each in servers)))
            if not self.looks or self.looks[-1] != look:
                self.looks.append(look)
            if len(servers) > len(self._most_servers):
                self._most_servers = servers

    def _overhear(self) -> None:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes()
                if not words or self._heard.get(folder.name) == words:
                    continue  # between a fork and its exec, where it still has what its parent has, or over; or known
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue
            self._heard[folder.name] = words
            command = words.replace(b"\0", b" ").decode("utf-8", "replace")
            for name, each in self._site.secrets.items():
                if each.value.encode() in words:
                    self._overheard.add(f"{name} in argv of {command}")
                elif each.value.encode() in environment and not re.search(f"{_BOT}|{each.programs or _BOT}", command):
                    self._overheard.add(f"{name} in the environment of {command}")

    # --- while it lives ----------------------------------------------------------------------------------------------

    def check_alive(self, messages: list[Said], revision: str) -> None:
        """With a server that is up, and a channel that has come to rest."""
        self._check_running(revision)
        gaps = self.find_gaps(messages)
        assert not gaps, f"messages are missing: {gaps}"
        marks = Counter(f"{each.kind}{each.number}" for each in messages if each.kind)
        twice = [mark for mark, times in marks.items() if times > 1]
        assert not twice, f"said twice: {twice}"
        told = [name for name, secret in self._site.secrets.items() for each in messages if secret.value in each.words]
        assert not told, f"told to the channel: {told}"

    def find_gaps(self, messages: list[Said]) -> list[str]:
        """Numbers that are missing: whoever counts cards and posts leaves none out."""
        gaps: list[str] = []
        for kind in ("c", "p") if self._site.numbers else ():
            seen = {each.number for each in messages if each.kind == kind}
            gaps += [f"{kind}{number}" for number in range(1, max(seen, default=0) + 1) if number not in seen]
        return gaps

    def _check_running(self, revision: str) -> None:
        """One server, and its program is what was built from the commit that it says it is."""
        servers = list_servers(self._site.server_dir)
        assert len(servers) == 1, (
            f"servers at once: {[each.as_dict(['pid', 'ppid', 'exe', 'status', 'create_time']) for each in servers]}"
        )
        (server,) = servers
        assert self._site.server_dir / EXECUTABLE == Path(server.exe())
        assert hash_file(Path(server.exe())) in self._list_builds(revision), f"what runs is no build of {revision}"

    def _list_builds(self, revision: str) -> set[str]:
        found = {self._shipped} if self._site.commit.startswith(revision) else set()
        for folder in (self._site.state / "builds").iterdir():
            if folder.name.startswith(revision):
                found |= {hash_file(path) for path in folder.rglob(EXECUTABLE)}
        return found

    # --- afterwards --------------------------------------------------------------------------------------------------

    def check_left(self) -> None:
        """When nothing of it runs any more."""
        assert len(self._most_servers) <= 1, f"two servers at once: {self._most_servers}"
        self._check_untouched()
        self._check_server_folder()
        self._check_pushes()
        self._check_secrets()

    def _check_untouched(self) -> None:
        after = take_stock(self._site)
        changed = [name for name in self._before.keys() | after.keys() if self._before.get(name) != after.get(name)]
        assert not changed, f"written outside of what is ours: {sorted(changed)}"

    def _check_server_folder(self) -> None:
        strangers = [
            name
            for path in self._site.server_dir.rglob("*")
            if not _SERVER_WRITES.fullmatch(name := path.relative_to(self._site.server_dir).as_posix())
            and name != "worldserver.conf"
        ]
        assert not strangers, f"left in the server's folder: {strangers}"

    def _check_pushes(self) -> None:
        """The remote's own book: forward only, nothing deleted, and nothing but night branches."""
        for line in self._book.read_text(encoding="utf-8").splitlines() if self._book.exists() else ():
            old, new, name = line.split(" ")
            assert re.fullmatch(r"refs/heads/overnight-\d{8}(-\d+)?", name), f"pushed to {name}"
            assert set(new) != {"0"}, f"{name} was deleted"
            if set(old) != {"0"}:
                git(self._site.remote, "merge-base", "--is-ancestor", old, new)
        leaked = git(self._site.remote, "log", "--all", "--format=%h %s", f"-S{UNCOMMITTED}")
        assert not leaked, f"what nobody committed was committed: {leaked}"
        assert git(self._site.remote, "rev-parse", "main") == git(self._site.checkout, "rev-parse", "origin/main")

    def _check_secrets(self) -> None:
        assert not self._overheard, f"overheard: {sorted(self._overheard)}"
        said = git(self._site.remote, "log", "--all", "-p", "--format=%an%n%B%n%N")
        for name, secret in self._site.secrets.items():
            found = [str(path) for path in self._list_readable(secret) if secret.value.encode() in path.read_bytes()]
            assert not found, f"{name} stands in {found}"
            assert secret.value not in said, f"{name} was committed"

    def _list_readable(self, secret: Secret) -> Iterator[Path]:
        """Everything that was written, but for where it belongs."""
        for folder in (self._site.state, self._site.server_dir, self._site.remote):
            for path in _list_files(folder):
                name = path.relative_to(self._site.root).as_posix()
                if not secret.files or not re.fullmatch(secret.files, name):
                    yield path


# --- looking ---------------------------------------------------------------------------------------------------------


def list_servers(server_dir: Path) -> list[psutil.Process]:
    """Living processes whose program lies, or lay, in that folder."""
    return [each for each in psutil.process_iter() if _exe(each).startswith(str(server_dir)) and is_alive(each)]


def list_processes(root: Path) -> list[psutil.Process]:
    """Living processes that have to do with that folder: by program, working folder or command line."""
    own = psutil.Process()
    return [each for each in psutil.process_iter() if each != own and _is_about(each, root) and is_alive(each)]


def _is_about(process: psutil.Process, root: Path) -> bool:
    try:
        about = [_exe(process), process.cwd(), *process.cmdline()]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return any(str(root) in text for text in about)


def end_processes(root: Path) -> list[str]:
    """Ends whatever has to do with that folder, and what it still began meanwhile; what there was at first.

    A keeper whose adopted server is ended before it has the next one running within milliseconds.
    """
    left = list_processes(root)
    names = [str(each) for each in left]
    deadline = time.monotonic() + _ENDING
    while left:
        assert time.monotonic() < deadline, f"cannot be ended: {left}"
        for each in left:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(left, _ENDING)
        left = list_processes(root)
    return names


def is_alive(process: psutil.Process) -> bool:
    """Whether it does anything any more."""
    try:
        return process.is_running() and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _exe(process: psutil.Process) -> str:
    """Asked anew each time: psutil remembers the program that a process had at its first look, before its exec."""
    try:
        if sys.platform == "linux":
            return str(Path(f"/proc/{process.pid}/exe").readlink())
        return process.exe() or ""
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return ""


def take_stock(site: Site) -> dict[str, str]:
    """Every file that is not ours to write: name -> mode, time and content."""
    found = {}
    for path in _list_files(site.root):
        name = path.relative_to(site.root).as_posix()
        if name.split("/", 1)[0] not in _OURS and not _OUTPUT.fullmatch(name):
            about = path.lstat()
            content = path.readlink() if path.is_symlink() else hash_file(path)
            found[name] = f"{about.st_mode:o} {about.st_mtime_ns} {content}"
    conf = site.server_dir / "worldserver.conf"
    return {**found, "server/worldserver.conf": hash_file(conf)}


def hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _list_files(folder: Path) -> Iterator[Path]:
    """Links and files, not what links lead to."""
    for path in folder.rglob("*"):
        if path.is_symlink() or path.is_file():
            yield path
