"""A disk that is full or read-only, as a process and all its children see it; the test itself keeps its own.

Where this machine lets us, it is a real small file system, mounted in a mount namespace that ends with its processes.
Where it does not (a container without that right), no file can grow: every write fails, on whatever disk.
"""

import functools
import subprocess
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
