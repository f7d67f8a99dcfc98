"""A night with everything in it, in the fake world, in which the bot may be made to die at any fault point."""

import asyncio
import math
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from world import OPERATOR, START, World

from pipeline import points
from pipeline.keeper.protocol import EventKind
from pipeline.model import Diagnostic, Patch, RunKind, RunState, WholeFile

MAP, SPELL = "src/Map.cpp", "src/Spell.cpp"


class Killed(BaseException):
    """Nothing of the life that gets it does anything more."""


@dataclass
class Reaper:
    """Ends each life that comes to a point for the n-th time, and whatever else that life still does."""

    deaths: dict[str, int] = field(default_factory=dict)  # point -> n, those that are still to come
    seen: Counter[str] = field(default_factory=Counter)
    dying: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def installed(cls, patch: pytest.MonkeyPatch) -> "Reaper":
        found = cls()
        patch.setattr(points, "_on", True)
        patch.setattr(points, "_reach", found.reach)
        return found

    def reach(self, name: str) -> None:
        with self._lock:
            self.seen[name] += 1
            if not self.dying and self.seen[name] >= self.deaths.get(name, math.inf):
                self.dying = True
                del self.deaths[name]
        self.refuse_the_dead()

    def refuse_the_dead(self, *_: object) -> None:
        """Nothing of a life that ended reaches the database."""
        if self.dying:
            raise Killed


class Night:
    """What happens in it. Whoever ordered something and got no answer orders it once more."""

    def __init__(self, folder: Path, reaper: Reaper) -> None:
        self.world = World(folder, {"max_players_for_restart": 0})
        self.reaper = reaper
        event.listen(self.world.engine, "before_cursor_execute", reaper.refuse_the_dead)

    async def play(self) -> dict[str, Any]:
        await self._do(self.world.settle)
        await self._pass(seconds=10)
        await self._heal_one()
        await self._make_one_worse()
        await self._cure_nothing()
        await self._order()
        await self._deploy_by_a_crash()
        await self._answer_by_command()
        await self._pass(hours=10)  # past the morning and its summary
        return self._look()

    async def _heal_one(self) -> None:
        await self._crash("Map::Update")
        await self._answer("Map::Update", MAP, "good")
        await self._pass(minutes=3)

    async def _make_one_worse(self) -> None:
        """What does not compile comes back; what compiles dies of something new in the soak."""
        self.world.builder.broken["broken"] = (Diagnostic("'x' was not declared", SPELL, 3),)
        await self._crash("Spell::Cast")
        await self._answer("Spell::Cast", SPELL, "broken")
        await self._answer("Spell::Cast", SPELL, "worse")
        await self._crash("Loot::Roll")
        await self._pass(minutes=3)
        await self._ask(lambda: self.world.orders.resume(OPERATOR))
        await self._answer("Spell::Cast", SPELL, "mended")
        await self._pass(minutes=3)

    async def _cure_nothing(self) -> None:
        """A fix that is none, while the remote is gone; its branch comes back with somebody else's commits."""
        await self._crash("Loot::Roll")  # so far it was only in what was taken back
        self.world.source.remote_gone = True
        await self._answer("Loot::Roll", SPELL, "no cure")
        await self._crash("Loot::Roll")
        self.world.source.remote_gone = False
        self.world.source.diverged = set(self.world.source.remote)
        await self._pass(minutes=1)
        self.world.source.diverged = set()
        await self._answer("Loot::Roll", SPELL, "cured")
        await self._pass(minutes=3)

    async def _order(self) -> None:
        fixed = next(run for run in self.world.runs("Map::Update") if run.state is RunState.SUCCEEDED)
        await self._ask(lambda: self.world.orders.pause(OPERATOR, "I look myself"))
        await self._crash("Aura::Update")
        await self._ask(lambda: self.world.orders.revert(fixed.commit or "", OPERATOR))
        await self._pass(minutes=3)
        await self._ask(lambda: self.world.orders.resume(OPERATOR))
        await self._ask(lambda: self.world.orders.restart_server(OPERATOR, timedelta(seconds=30), "new maps"))
        await self._pass(seconds=31)

    async def _deploy_by_a_crash(self) -> None:
        self.world.players.online = 3
        await self._answer("Aura::Update", MAP, "aura")
        await self._crash("Aura::Update")
        self.world.players.online = 0
        await self._pass(minutes=3)

    async def _answer_by_command(self) -> None:
        self.world.analyst.has_command = True
        self.world.analyst.command_answer = Patch(files=(WholeFile(MAP, "commanded"),))
        await self._crash("Chat::Say")
        await self._pass(minutes=3)

    # --- one step ----------------------------------------------------------------------------------------------------

    async def _crash(self, name: str) -> None:
        self.world.clock.time += timedelta(seconds=1)
        self.world.keeper.crash(name)
        await self._do(self.world.settle)

    async def _answer(self, name: str, path: str, content: str) -> None:
        run = [each for each in self.world.runs(name) if each.kind is RunKind.FIX][-1]
        await self._do(lambda: self.world.answer(run, Patch(files=(WholeFile(path, content),))))

    async def _pass(self, **spans: float) -> None:
        self.world.clock.time += timedelta(**spans)
        await self._do(self.world.settle)

    async def _ask(self, order: Callable[[], Awaitable[object]]) -> None:
        if not await self._do(order):
            await self._do(order)
        await self._do(self.world.settle)

    async def _do(self, act: Callable[[], Awaitable[object]]) -> bool:
        """Whether the bot lived through it; one that did not is started again."""
        lived = await self._survives(act)
        while self.reaper.dying:
            lived = False
            if others := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(others)
            self.reaper.dying = False
            self.world.restart()
            await self._survives(self.world.settle)
        return lived

    @staticmethod
    async def _survives(act: Callable[[], Awaitable[object]]) -> bool:
        try:
            await act()
        except Killed:
            return False
        return True

    # --- the morning -------------------------------------------------------------------------------------------------

    def _look(self) -> dict[str, Any]:
        """All that people and the world have of the night, without times and the names of runs."""
        world, store = self.world, self.world.store
        runs = world.runs()
        names = {run.id: run.subject for run in runs}
        cards = {store.get_card_of_run(run.id): run.subject for run in runs}
        ends = [each.data.get("build") for each in world.keeper.journal if each.kind == EventKind.EXITED]
        return {
            "runs": Counter((run.subject, run.kind, run.state, run.verdict, run.fix_state, run.returns,
                             len(store.get_previous(run.id))) for run in runs),
            "requests": Counter(names[request.split("-")[0]] for request in world.analyst.requests),
            "answers": (len(world.analyst.completed), len(world.analyst.rejected), len(world.analyst.lying)),
            "posts": Counter((cards.get(post.card or 0), post.kind, post.data.get("what"), post.data.get("verdict"))
                             for post in world.posts()),
            "remote": {branch: world.source.subjects(head) for branch, head in world.source.remote.items()},
            "running": world.source.commits[world.running or ""].files,
            "starts": world.keeper.starts,
            "crashes": Counter(crash.signature.family for build in set(ends) if build
                               for crash in store.list_crashes_of_build(build, START) if crash.signature),
            "pause": store.get_pause(),
            "degraded": world.tools.degraded,
        }  # fmt: skip


async def play(folder: Path, reaper: Reaper) -> dict[str, Any]:
    """The morning of a night in which the bot died whenever the reaper said."""
    night = Night(folder, reaper)
    try:
        return await night.play()
    finally:
        night.world.engine.dispose()
