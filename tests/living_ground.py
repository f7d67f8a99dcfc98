"""Where realms of the acceptance tests live: a folder whose path does not change, with a build that is warm.

Paths are compiled into objects and build folders, so a fix compiles within seconds only where the realm lies where it
was built before. Each worker borrows a folder of its own, and every test finds it as the first one left it: checkout,
remote, server, our clone and our build of what runs. It is kept beside the shared realm and made anew with it.
"""

import getpass
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from invariants import end_processes
from realm import EXECUTABLE, git, shared_realm

_SLOTS = 16
_HOME = "Größe & Welt"  # a path like any other: whatever lives there shows it
_KEPT = ("source", "build")  # of the state folder, beside the build of what runs


@dataclass(frozen=True)
class Ground:
    home: Path
    # where the realm lives; empty or gone between tests
    template: Path
    # what it begins with; not there before the first realm was warm
    commit: str
    # what runs at first, 40 hex digits

    def lay_out(self) -> bool:
        """Makes the home anew; whether it is warm. What a killed test run has left living there ends first."""
        end_processes(self.home)
        shutil.rmtree(self.home, ignore_errors=True)
        warm = self.template.is_dir()
        if warm:
            shutil.copytree(self.template, self.home, symlinks=True)
            git(self.home / "state" / "source", "update-index", "-q", "--refresh")  # else git writes each file anew
        else:
            make_realm(self.home)
        return warm

    def keep(self) -> None:
        """What lies in the home now is what every further realm begins with. Nothing may run there."""
        unfinished = self.template.with_name("unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        for name in ("checkout", "remote.git", "server/" + EXECUTABLE):
            _copy(self.home / name, unfinished / name)
        for name in (*_KEPT, f"builds/{self.commit}"):
            _copy(self.home / "state" / name, unfinished / "state" / name)
        unfinished.replace(self.template)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)


def make_realm(home: Path) -> None:
    """A checkout with a bare remote, and a server folder with what was built of it."""
    shared = shared_realm()
    home.mkdir(parents=True)
    git(home, "clone", "-q", "--no-hardlinks", str(shared.source), "checkout")
    git(home, "init", "-q", "--bare", "-b", "main", "remote.git")
    git(home / "checkout", "remote", "set-url", "origin", str(home / "remote.git"))
    git(home / "checkout", "push", "-q", "origin", "main")
    (home / "server").mkdir()
    shutil.copy2(shared.server, home / "server" / EXECUTABLE)


@contextmanager
def borrow_ground() -> Iterator[Ground]:
    """A folder that nobody else uses until it is given back."""
    commit = shared_realm().commit
    cache = Path(tempfile.gettempdir()) / f"spirit-healer-living-{getpass.getuser()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    _remove_old(cache, commit)
    for number in range(_SLOTS):
        slot = cache / f"{commit[:12]}-{number}"
        lock = FileLock(cache / f"{slot.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        try:
            yield Ground(slot / _HOME, slot / "kept", commit)
        finally:
            shutil.rmtree(slot / _HOME, ignore_errors=True)
            lock.release()
        return
    raise AssertionError(f"{_SLOTS} test runs at once on this machine")


def _remove_old(cache: Path, commit: str) -> None:
    """What was made of another realm and is older than a day."""
    a_day_ago = time.time() - 86400
    for folder in cache.iterdir():
        if folder.is_dir() and not folder.name.startswith(commit[:12]) and folder.stat().st_mtime < a_day_ago:
            shutil.rmtree(folder, ignore_errors=True)
