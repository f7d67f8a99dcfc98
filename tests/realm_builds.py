"""The sample realm as a git repository, compiled: as shipped, and with edits."""

import getpass
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from bot.demo.bugs import REALM, Edit

EXECUTABLE = "worldserver.exe" if sys.platform == "win32" else "worldserver"


@dataclass(frozen=True)
class RealmBuild:
    source: Path
    # a git repository with the realm in its root, on branch main
    server: Path
    # the compiled executable
    commit: str
    # what it was built from, 40 hex digits


@dataclass(frozen=True)
class Variant:
    compiled: bool
    output: str
    # the compiler's
    server: Path
    # there only if it compiled
    commit: str
    # HEAD of what was compiled, 40 hex digits


def git(folder: Path, *arguments: str) -> str:
    """The output of git there, as somebody whose own configuration does not matter."""
    settings = {"user.name": "Tester", "user.email": "tester@example.org", "commit.gpgsign": "false"}
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    return subprocess.run(
        ["git", *options, *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


def make_repository(folder: Path) -> str:
    """Copies the realm to a new folder and commits it on branch main; the commit's hash."""
    shutil.copytree(REALM, folder, ignore=shutil.ignore_patterns("build*"))
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "The realm as shipped")
    return git(folder, "rev-parse", "HEAD")


def configure(source: Path, build: Path) -> None:
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    _run("cmake", "-S", str(source), "-B", str(build), *generator).check_returncode()


def compile_realm(build: Path) -> subprocess.CompletedProcess[str]:
    return _run("cmake", "--build", str(build), "--target", "worldserver", "--config", "RelWithDebInfo")


def build_realm(folder: Path) -> RealmBuild:
    """A repository in `folder/source` and a build of it in `folder/build`."""
    commit = make_repository(folder / "source")
    configure(folder / "source", folder / "build")
    compiled = compile_realm(folder / "build")
    assert compiled.returncode == 0, compiled.stdout
    return RealmBuild(folder / "source", find_executable(folder / "build"), commit)


def shared_realm() -> RealmBuild:
    """The realm as shipped, built on the first call of all. To read: clone the source, copy the server."""
    with _workshop() as workshop:
        return RealmBuild(
            workshop / "source", workshop / "shipped" / EXECUTABLE, git(workshop / "source", "rev-parse", "shipped")
        )


def build_variant(edits: Iterable[Edit], folder: Path, *, commit: bool = True) -> Variant:
    """The shipped realm with these edits (uncommitted if wished), compiled; the executable is put into `folder`."""
    with _workshop() as workshop:
        source, build = workshop / "variant", workshop / "build"
        git(source, "reset", "-q", "--hard", "shipped")
        apply_edits(source, edits)
        if commit:
            git(source, "commit", "-q", "-a", "-m", "A variant")
        compiled = compile_realm(build)
        server = folder / EXECUTABLE
        if compiled.returncode == 0:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(find_executable(build), server)
        return Variant(compiled.returncode == 0, compiled.stdout, server, git(source, "rev-parse", "HEAD"))


def apply_edits(source: Path, edits: Iterable[Edit]) -> None:
    for edit in edits:
        file = source / edit.path
        text = file.read_text(encoding="utf-8")
        assert text.count(edit.search) == 1, f"{edit.path} has not exactly one {edit.search!r}"
        file.write_text(text.replace(edit.search, edit.replace), encoding="utf-8", newline="\n")


def find_executable(build: Path) -> Path:
    """In `bin`, or in the configuration's folder below it where a generator has several."""
    return (
        next(path for path in (build / "bin", build / "bin" / "RelWithDebInfo") if (path / EXECUTABLE).exists())
        / EXECUTABLE
    )


@contextmanager
def _workshop() -> Iterator[Path]:
    """The folder for this content of the realm, held alone: repository, its clone for variants, build, executable."""
    cache = Path(tempfile.gettempdir()) / f"spirit-healer-realm-{getpass.getuser()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    workshop = cache / _hash_realm()
    with FileLock(cache / f"{workshop.name}.lock", timeout=300):
        if not (workshop / "shipped" / EXECUTABLE).exists():
            _remove_old(cache)
            shutil.rmtree(workshop, ignore_errors=True)
            _make_workshop(workshop)
        yield workshop


def _make_workshop(workshop: Path) -> None:
    make_repository(workshop / "source")
    git(workshop / "source", "tag", "shipped")
    git(workshop, "clone", "-q", "source", "variant")
    configure(workshop / "variant", workshop / "build")
    compiled = compile_realm(workshop / "build")
    assert compiled.returncode == 0, compiled.stdout
    (workshop / "unfinished").mkdir()
    shutil.copy2(find_executable(workshop / "build"), workshop / "unfinished")
    (workshop / "unfinished").rename(workshop / "shipped")


def _remove_old(cache: Path) -> None:
    a_day_ago = time.time() - 86400
    for folder in cache.iterdir():
        if folder.is_dir() and folder.stat().st_mtime < a_day_ago:
            shutil.rmtree(folder, ignore_errors=True)


def _hash_realm() -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in REALM.rglob("*") if path.is_file()):
        digest.update(file.relative_to(REALM).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=280, check=False
    )
