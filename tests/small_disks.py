"""A disk that is full or read-only: as a process and all its children see it (`put_on`), or the test too (`mounted`,
`filling`, `ending`).

Where this machine lets us, it is a real small file system, mounted in a mount namespace that ends with its processes.
Where it does not (a container without that right), no file can grow: every write fails, on whatever disk.
"""

import contextlib
import ctypes
import functools
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

_SIZE = "256k"
_IMAGE = 24 << 20  # bytes of a file system with a journal
_MOUNTED = """
set -e
place=$1 template=$2; shift 2
mount -t tmpfs -o size={size},mode=0700 tmpfs "$place"
if [ -d "$template" ]; then cp -a "$template/." "$place/"; fi
{spoil}
exec "$@"
"""
_NO_GROWTH = """
set -e
place=$1 template=$2; shift 2
if [ -d "$template" ]; then cp -a "$template/." "$place/"; fi
ulimit -f 0
exec "$@"
"""


_SMALL = """
set -e
place=$1; shift
mount -t tmpfs -o size={size},mode=0700 tmpfs "$place"
exec "$@"
"""
_SHORT = """
place=$1; shift
ulimit -f {blocks}
exec "$@"
"""


class Fault(StrEnum):
    FULL = "full"
    READ_ONLY = "read-only"


_SPOIL = {
    # It keeps room for names, not for content.
    Fault.FULL: 'cat /dev/zero > "$place/filler" 2>/dev/null || true',
    Fault.READ_ONLY: 'mount -o remount,ro "$place"',
}


def put_on(fault: Fault, place: Path, template: Path, argv: list[str]) -> list[str]:
    """The command, with `place` on such a disk that holds what lies in `template`."""
    place.mkdir(exist_ok=True)
    namespace = find_namespace()
    script = _NO_GROWTH if namespace is None else _MOUNTED.format(size=_SIZE, spoil=_SPOIL[fault])
    return [*(namespace or ()), "sh", "-c", script, "sh", str(place), str(template), *argv]


def put_on_small(size: str, place: Path, argv: list[str]) -> list[str]:
    """The command, with `place` on an empty disk of so many mebibytes ("16m"). Where nobody may mount one no file can
    grow beyond that, which programs tell as another fault."""
    place.mkdir(parents=True, exist_ok=True)
    namespace = find_namespace()
    blocks = int(size.removesuffix("m")) << 11  # of 512 bytes
    script = _SHORT.format(blocks=blocks) if namespace is None else _SMALL.format(size=size)
    return [*(namespace or ()), "sh", "-c", script, "sh", str(place), *argv]


@functools.cache
def find_namespace() -> tuple[str, ...] | None:
    """What begins a mount namespace here, None where nobody may."""
    for words in (("unshare", "--mount"), ("unshare", "--user", "--map-root-user", "--mount")):
        try:
            done = subprocess.run(
                [*words, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, timeout=20, check=False
            )
        except OSError:
            continue
        if done.returncode == 0:
            return words
    return None


@dataclass
class SmallDisk:
    """A disk that the test can fill and empty, and turn read-only and back. Where nobody may mount, no file of this
    process can grow instead, or be written to."""

    folder: Path
    is_real: bool

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Room for names, not for content."""
        filler = self.folder / "filler"
        if not self.is_real:
            with _no_growth():
                yield
            return
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        try:
            yield
        finally:
            filler.unlink()

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        self._turn("ro", 0o555)
        try:
            yield
        finally:
            self._turn("rw", 0o755)

    def _turn(self, how: str, mode: int) -> None:
        if self.is_real:
            subprocess.run(["mount", "-o", f"remount,{how}", str(self.folder)], check=True, timeout=20)
            return
        for path in (*self.folder.rglob("*"), self.folder):
            path.chmod(mode)


@contextlib.contextmanager
def mounted(folder: Path, size: str = "16m") -> Iterator[SmallDisk]:
    folder.mkdir(exist_ok=True)
    real = _enter_namespace()
    if real:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True, timeout=20)
    try:
        yield SmallDisk(folder, real)
    finally:
        if real:
            subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=20)


@functools.cache
def _enter_namespace() -> bool:
    """Once, for good: what this thread and those that it starts mount is theirs alone. False where nobody may."""
    if ctypes.CDLL(None).unshare(0x00020000) != 0:  # CLONE_NEWNS
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], check=False, timeout=20).returncode == 0


@contextlib.contextmanager
def _no_growth() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# --- a disk that fails under who works there --------------------------------------------------------------------------


@contextlib.contextmanager
def filling(folder: Path, pids: Callable[[], Iterable[int]]) -> Iterator[SmallDisk]:
    """`mounted`, which is full for `pids` alone where nobody may mount: with files of theirs that no longer grow."""
    with mounted(folder) as disk:
        yield disk if disk.is_real else _Limited(folder, False, pids)


@dataclass
class _Limited(SmallDisk):
    pids: Callable[[], Iterable[int]]

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        self._limit(0)
        try:
            yield
        finally:
            self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        for pid in self.pids():
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextlib.contextmanager
def ending(folder: Path) -> Iterator[Callable[[], None]]:
    """A file system that gives up when it is told to: from then on nobody can write there, whatever is open. Where
    nobody may mount one, whatever lies there loses its right to be written."""
    folder.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile() as image:
        image.truncate(_IMAGE)
        if not _enter_namespace() or not _mount_image(image.name, folder):
            yield lambda: _take_rights(folder)
            return
        try:
            (folder / "lost+found").rmdir()
            yield lambda: _run("mount", "-o", "remount,abort", str(folder))
        finally:
            _run("umount", "--lazy", str(folder))


def _mount_image(image: str, folder: Path) -> bool:
    try:
        _run("mkfs.ext4", "-q", "-F", image)
        _run("mount", "-o", "loop,errors=remount-ro", image, str(folder))
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _take_rights(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        path.chmod(path.stat().st_mode & ~0o222)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=20)
