"""The fake world over real git: a user's checkout, its remote and our clone are real; server, builds and clock are not.

world = await make_git_world(tmp_path)
fix = await world.heal("Map::Update")
assert world.bed.checkout.remote_head(world.branch) == fix.commit
"""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from checkouts import Bed, Checkout, git, make_bed
from world import FakeBuilder, World

from pipeline.card_models import PostKind
from pipeline.keeper.protocol import Manifest
from pipeline.ledger import Ledger
from pipeline.model import BuildResult, Patch, Progress, Run, RunState, WholeFile
from pipeline.orders import Orders
from pipeline.runner import Runner
from pipeline.status_views import status


class WillingBuilder(FakeBuilder):
    """Whatever is asked for builds."""

    def build(
        self,
        source: Path,
        commit: str,
        *,
        on_started: Callable[[int, float, str], None],
        on_progress: Callable[[Progress, float | None], None],
        cancelled: threading.Event,
        warm: bool = False,
    ) -> BuildResult:
        (self.warmed if warm else self.built).append(commit)
        self.archive[commit] = Manifest(commit, (), commit[:12])
        return BuildResult(commit, 2.0, self.folder / "log", self.archive[commit])


class GitWorld(World):
    """See `make_git_world`."""

    bed: Bed

    def stand_on(self, bed: Bed) -> None:
        self.bed = bed
        self.keeper.revision = bed.base[:12]
        self.builder = WillingBuilder(self.source, self.clock, self.folder)
        self.tools = dataclasses.replace(self.tools, source=bed.source, builder=self.builder)
        self.tools.prepared.set()
        self.runner = Runner(self.tools, lambda: None, fatal=True)
        self.orders = Orders(self.tools, lambda: None, self.runner.cancel)
        self.ledger = Ledger(self.tools)

    # --- what happens ------------------------------------------------------------------------------------------------

    async def propose(self, name: str, patch: Patch | None = None) -> Run:
        """A crash, and an answer to it; the run, as far as it came."""
        run = await self.crash(name)
        return await self.answer(run, patch or new_file(name))

    async def heal(self, name: str, patch: Patch | None = None) -> Run:
        """The same, until it is over."""
        run = await self.propose(name, patch)
        await self.pass_time(minutes=5)
        return self.expect(run, RunState.SUCCEEDED)

    # --- what is seen ------------------------------------------------------------------------------------------------

    @property
    def checkout(self) -> Checkout:
        return self.bed.checkout

    @property
    def branch(self) -> str:
        """Of this night."""
        return f"overnight-{self.tools.night():%Y%m%d}"

    def degraded(self) -> list[str]:
        """What `/status` says that does not work."""
        return list(status(self.tools).degraded)

    def told(self, what: str) -> list[str]:
        """Details of the posts of the pipeline's own kind that say so."""
        found = [post.data for post in self.posts() if post.kind is PostKind.PIPELINE]
        return [str(data["detail"]) for data in found if data["what"] == what]

    def runs_of(self, head: str) -> list[str]:
        """The runs whose commits stand above what ran at first, oldest first."""
        found = git(
            self.bed.clone, "log", "--reverse", "--format=%(trailers:key=Run,valueonly)", f"{self.bed.base}..{head}"
        )
        return found.split()

    def expect_each_once(self, head: str, *runs: Run) -> None:
        """Nothing lost, nothing doubled: the branch has one commit of each of these runs, in this order."""
        assert self.runs_of(head) == [run.id for run in runs]
        assert Counter(self.builder.built) == Counter(run.commit for run in map(self.get, runs))


async def make_git_world(folder: Path, files: dict[str, str | bytes] | None = None, **settings: Any) -> GitWorld:
    """Started, its server ready. `settings` are those of GitSource."""
    return await start_git_world(folder, make_bed(folder / "git", files, **settings))


async def start_git_world(folder: Path, bed: Bed) -> GitWorld:
    world = GitWorld(folder)
    world.stand_on(bed)
    await world.start()
    return world


def new_file(name: str) -> Patch:
    """A change that no other one touches."""
    plain = "".join(letter for letter in name if letter.isalnum())
    return Patch(files=(WholeFile(f"src/{plain}.h", f"// {name}\n"),))
