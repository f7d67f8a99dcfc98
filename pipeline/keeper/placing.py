"""Which build lies in SERVER_DIR: staging it, swapping it in, mending a swap that was interrupted, knowing it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.keeper import stage, swap
from pipeline.keeper.book import Book
from pipeline.keeper.checksums import Checksums
from pipeline.keeper.folders import read_json
from pipeline.keeper.launch import Launcher
from pipeline.keeper.limits import Counts
from pipeline.keeper.memory import Identity, Placed
from pipeline.keeper.protocol import Desired, EventKind, Manifest
from pipeline.keeper.satisfaction import Staged
from pipeline.keeper.stage import StageOutcome
from pipeline.keeper.swap import NotStaged, Plan, Rolled
from pipeline.keeper.worker import Worker
from pipeline.points import point


@dataclass(frozen=True)
class ExecutableSum:
    """What the program is that was just started."""

    identity: Identity
    sha256: str | None


class Placing:
    """The files of the build."""

    def __init__(self, book: Book, launcher: Launcher, worker: Worker) -> None:
        self._book = book
        self._launcher = launcher
        self._worker = worker
        self._sums = Checksums()
        self._closing = False  # a swap is done; its swap.json goes when the memory knows it
        self.staged: dict[str, Staged] = {}

    def stage(self, manifest: Manifest) -> None:
        """Begins to stage, in the background."""
        self.staged[manifest.build] = Staged.PENDING
        self._worker.add(lambda: stage.stage(manifest, self._book.folders, self._sums))

    def note_staged(self, outcome: StageOutcome) -> None:
        """The background work is done."""
        if self.staged.get(outcome.build) is not Staged.PENDING:
            return  # a newer wish or a swap has made it worthless
        if outcome.error is not None:
            self.staged[outcome.build] = Staged.FAILED
            self._tell_failed(outcome.build, outcome.error, Rolled.BACK)
        else:
            self.staged[outcome.build] = Staged.IN_PLACE if outcome.in_place else Staged.READY

    def follow(self, wish: Desired) -> None:
        """A new wish: what failed may be tried again, what is no longer named goes."""
        self.staged = {build: how for build, how in self.staged.items() if how is not Staged.FAILED}
        if self._book.folders.swap.exists():
            return
        named = {each.build for each in (wish.build, wish.next_build, wish.fallback) if each}
        placed = self._book.memory.placed
        kept = {*named, swap.UNKNOWN, *((placed.manifest.build, swap.name_kept(placed)) if placed else ())}
        self._worker.add(lambda: stage.tidy(self._book.folders, named, kept, self._sums))

    def relabel(self, manifest: Manifest, deployment: str | None) -> None:
        """The living server is this build: it was started from exactly these files."""
        self._note_placed(manifest, deployment)
        self._book.change_life(build=manifest.build, deployment=deployment)

    def swap(self, manifest: Manifest, deployment: str | None) -> None:
        """Puts a staged build in place. What goes wrong is told, and the files fit one build again, or it is held."""
        self.mend()  # one that cannot be mended is replaced: every file of the new build will be put in place
        placed, begun = self._book.memory.placed, time.monotonic()
        try:
            plan = swap.make_plan(manifest, deployment, placed, self._book.folders, self._sums)
        except (NotStaged, OSError):
            self.staged.pop(manifest.build, None)
            return
        self._book.tell(EventKind.SWAP_STARTED, build=manifest.build, previous=placed.shown_build if placed else None)
        self._book.save()
        if self._exchange(plan):
            self._settle(plan, time.monotonic() - begun)

    def _exchange(self, plan: Plan) -> bool:
        if not plan.moves:
            return True
        try:
            swap.begin(plan, self._book.folders)
            swap.run(plan, self._book.folders, self._sums)
        except OSError as fault:
            self._undo(plan, str(fault))
            return False
        return True

    def _undo(self, plan: Plan, error: str) -> None:
        self.staged[plan.manifest.build] = Staged.FAILED
        rolled = Rolled.BACK if self._try_back(plan) else Rolled.STUCK
        self._tell_failed(plan.manifest.build, error, rolled)
        if rolled is Rolled.BACK:
            self._close()

    def _try_back(self, plan: Plan) -> bool:
        try:
            return swap.roll_back(plan, self._book.folders, self._sums)
        except OSError:
            return False

    def mend(self) -> bool:
        """Ends a swap that was interrupted. False when the files fit neither build: nothing may be started."""
        if not self._book.folders.swap.exists():
            return True
        if self._closing:
            self._close()
            return True
        plan = read_json(Plan, self._book.folders.swap)
        if plan is None:
            return False
        rolled = swap.recover(plan, self._book.folders, self._sums)
        if rolled is Rolled.FORWARD:
            self._settle(plan, 0.0)
        elif rolled is Rolled.BACK:
            self._book.remember(placed=plan.previous)
            self._tell_failed(plan.manifest.build, "interrupted", rolled)
            self._finish()
        else:
            self._book.remember(placed=None)  # so that any build that the wish names is put in place whole
        return rolled is not Rolled.STUCK

    def _settle(self, plan: Plan, seconds: float) -> None:
        """All files are the new build's."""
        self._note_placed(plan.manifest, plan.deployment)
        if self._book.memory.fall is None or self._book.memory.fall.told:
            self._book.remember(counts=Counts())  # another program: its deaths are counted anew
        self._book.tell(EventKind.SWAPPED, build=plan.manifest.build, seconds=seconds, deployment=plan.deployment)
        self._finish()
        point("swap.done")

    def _finish(self) -> None:
        self.staged.clear()  # what was in place may not be any more, and the other way round
        self._closing = True
        if self._book.save():
            self._close()

    def _close(self) -> None:
        try:
            swap.close(self._book.folders)
            self._closing = False
        except OSError:
            return  # it is found again at the next start, complete

    def close_if_saved(self, saved: bool) -> None:
        """A full disk kept the memory from being written; now it is, and swap.json can go."""
        if saved and self._closing:
            self._close()

    def _note_placed(self, manifest: Manifest, deployment: str | None) -> None:
        self._book.remember(placed=Placed(manifest, deployment, self._launcher.identify_executable()))

    def _tell_failed(self, build: str, error: str, rolled: Rolled) -> None:
        self._book.tell(EventKind.SWAP_FAILED, build=build, error=error, rolled=rolled.value)

    def check_executable(self) -> None:
        """After a start: is the program still the one that was placed? Read only if the file was replaced."""
        placed, path = self._book.memory.placed, self._launcher.executable
        identity = self._launcher.identify_executable()
        if placed is None or path is None or identity is None or identity == placed.executable:
            return
        self._worker.add(lambda: ExecutableSum(identity, self._sums.read(path)))

    def note_executable(self, found: ExecutableSum) -> None:
        """The operator's own build is started and told, not fought: its base is unknown."""
        placed = self._book.memory.placed
        expected = self._find_expected(placed.manifest) if placed else None
        if placed is None or expected is None or found.sha256 is None:
            return
        own = None if found.sha256 == expected else found.sha256
        self._book.remember(placed=replace(placed, executable=found.identity, own=own))
        if self._book.life:
            self._book.change_life(own=own)
        if own and own != placed.own:
            build = placed.manifest.build
            name = "the build that was there before" if build.startswith("found-") else build[:12]
            detail = f"its executable is no longer that of {name}: somebody replaced it"
            self._book.tell(EventKind.OWN_BUILD, sha256=own, build=placed.manifest.build, detail=detail)

    def _find_expected(self, manifest: Manifest) -> str | None:
        server = self._book.folders.server
        return next((f.sha256 for f in manifest.files if Path(server, f.path) == self._launcher.executable), None)
