"""A private PostgreSQL: a cluster in a temporary folder, reached through a socket there, so that it needs no free port.

As a fixture it is started once for all workers of a test run (`borrow`); by hand it lends itself to one command::

    python tests/postgres.py spirit-healer migrate          # with DATABASE_URL set to an empty database
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock

SECONDS = 60  # for each call of a tool
DEBIAN = Path("/usr/lib/postgresql")
PREFIX = "sh-pg-"  # of the folder
SUPERUSER = "postgres"  # of the cluster; the system's own user of that name is another matter


def find_tools() -> Path | None:
    """The folder of initdb and pg_ctl, of the newest version."""
    on_path = shutil.which("pg_ctl")
    if on_path:
        return Path(on_path).resolve().parent
    found = [each.parent for each in DEBIAN.glob("*/bin/pg_ctl")]
    return max(found, key=lambda folder: float(folder.parent.name), default=None)


def is_expected() -> bool:
    """Whether the tests are to be played on PostgreSQL too. Where CI runs, a missing one is a failure."""
    return os.name == "posix" and (find_tools() is not None or bool(os.environ.get("CI")))


def find_user() -> str | None:
    """PostgreSQL refuses to run as root: another user is lent to it. None = it runs as who we are."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd

    return "postgres" if "postgres" in {each.pw_name for each in pwd.getpwall()} else "nobody"


@dataclass(frozen=True)
class Cluster:
    """Started by `start`, ended by `stop`; `folder` holds the data, the socket and the log."""

    folder: Path

    @classmethod
    def make(cls) -> Cluster:
        end_strays()
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        (folder / "owner").write_text(json.dumps(describe_run()))
        if user := find_user():
            shutil.chown(folder, user)
        cluster = cls(folder)
        cluster._call(
            "initdb", "--auth=trust", f"--username={SUPERUSER}", "--encoding=UTF8", "--no-locale", "--no-sync"
        )
        return cluster

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off"
        self._call("pg_ctl", "start", "--wait", "--silent", f"--log={self.folder / 'log'}", f"--options={options}")

    def stop(self) -> None:
        self._call("pg_ctl", "stop", "--wait", "--silent", "--mode=immediate")

    def remove(self) -> None:
        shutil.rmtree(self.folder)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{SUPERUSER}@/{database}?host={self.folder}"

    def make_database(self) -> str:
        """The address of a new, empty database."""
        name = f"realm_{uuid.uuid4().hex[:12]}"
        self._call("psql", "--quiet", "--no-psqlrc", f"--host={self.folder}", f"--username={SUPERUSER}",
                   "--dbname=postgres", f"--command=CREATE DATABASE {name}", data=False)  # fmt: skip
        return self.url(name)

    def _call(self, tool: str, *arguments: str, data: bool = True) -> None:
        tools = find_tools()
        if tools is None:
            raise RuntimeError("PostgreSQL's own tools (initdb, pg_ctl) are not installed")
        place = [f"--pgdata={self.folder / 'data'}"] if data else []
        with (self.folder / f"{tool}.out").open("ab") as output:  # never a pipe: the server would inherit it
            done = subprocess.run(
                [tools / tool, *place, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                timeout=SECONDS, user=find_user(), cwd=self.folder, start_new_session=True, check=False,
            )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{tool} failed: {(self.folder / f'{tool}.out').read_text(errors='replace')[-2000:]}")


def describe_run() -> list[float]:
    """Process id and create time of the test run, which outlives its workers."""
    pid = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    return [pid, psutil.Process(pid).create_time()]


def end_strays() -> None:
    """Ends clusters of test runs that were killed."""
    for note in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/owner"):
        with contextlib.suppress(OSError, ValueError, RuntimeError, psutil.Error):
            pid, created = json.loads(note.read_text())
            if psutil.pid_exists(int(pid)) and psutil.Process(int(pid)).create_time() == created:
                continue
            stray = Cluster(note.parent)
            if (note.parent / "data" / "postmaster.pid").exists():
                stray.stop()
            stray.remove()


@contextlib.contextmanager
def borrow(shared: Path) -> Iterator[Cluster]:
    """The cluster of a test run. `shared` is a folder that all workers see; the last of them ends the cluster."""
    lock, note = FileLock(shared / "postgres.lock", timeout=2 * SECONDS), shared / "postgres.json"
    with lock:
        users, folder = json.loads(note.read_text()) if note.exists() else (0, "")
        cluster = Cluster(Path(folder)) if users else _make_running()
        note.write_text(json.dumps([users + 1, str(cluster.folder)]))
    try:
        yield cluster
    finally:
        with lock:
            users = json.loads(note.read_text())[0] - 1
            note.write_text(json.dumps([users, str(cluster.folder)]))
            if not users:
                cluster.stop()
                cluster.remove()


def _make_running() -> Cluster:
    cluster = Cluster.make()
    try:
        cluster.start()
    except BaseException:
        cluster.remove()
        raise
    return cluster


def main(command: Sequence[str]) -> int:
    """Runs a command with DATABASE_URL set to an empty database of a cluster of its own; its exit code."""
    cluster = _make_running()
    try:
        environment = {**os.environ, "DATABASE_URL": cluster.make_database()}
        return subprocess.run(command, env=environment, timeout=10 * SECONDS, check=False).returncode
    finally:
        cluster.stop()
        cluster.remove()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
