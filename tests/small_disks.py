"""A disk that is full or read-only: as a process and all its children see it (`put_on`), or the test too (`mounted`).

Where this machine lets us, it is a real small file system, mounted in a mount namespace that ends with its processes.
Where it does not (a container without that right), no file can grow: every write fails, on whatever disk.
"""

import contextlib
import ctypes
import functools
import resource
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_SIZE = "256k"
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
