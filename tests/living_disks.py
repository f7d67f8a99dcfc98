"""A realm that lives, a folder of which lies on a small disk that the test fills up while the bot works there.

with living_on_small_disk(ground, "state") as (realm, disk):
    realm.start()
    with disk.full():
        ...
"""

import contextlib
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from invariants import list_processes
from killing import MortalRealm
from living_ground import Ground
from living_realm import living_as
from small_disks import SmallDisk, mounted

SIZE = "150m"  # of a disk that a state folder of the sample realm fits on, with a few builds


class LivingDisk(SmallDisk):
    """Where nobody may mount, it is full for whatever runs there now, and for what that starts."""

    realm: MortalRealm

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            if self.is_real:
                stack.enter_context(super().full())
            else:
                self._limit(0)
                stack.callback(self._limit, resource.RLIM_INFINITY)
            yield

    def _limit(self, size: int) -> None:
        """Of each file; the server, whose folder is another one, goes on as it was."""
        for each in list_processes(self.realm.state):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextlib.contextmanager
def living_on_small_disk(ground: Ground, folder: str, **settings: str) -> Iterator[tuple[MortalRealm, LivingDisk]]:
    """`folder` below the realm's root. What lies there is what every realm begins with."""
    disks: list[LivingDisk] = []
    with contextlib.ExitStack() as stack:

        def make(*arguments: Any) -> MortalRealm:
            realm = MortalRealm(*arguments)
            disks.append(stack.enter_context(moved(realm.root / folder)))
            disks[0].realm = realm
            return realm

        with living_as(make, ground, None, **settings) as realm:
            yield realm, disks[0]
            assert realm.lives == 1, "the bot died of it"


@contextlib.contextmanager
def moved(place: Path) -> Iterator[LivingDisk]:
    with tempfile.TemporaryDirectory() as aside:
        kept = Path(aside) / "kept"
        shutil.copytree(place, kept, symlinks=True)
        with mounted(place, SIZE) as disk:
            shutil.copytree(kept, place, symlinks=True, dirs_exist_ok=True)
            yield LivingDisk(disk.folder, disk.is_real)
