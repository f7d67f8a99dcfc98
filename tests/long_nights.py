"""Nights of many hours in the fake world, in seconds: the dice say what happens when, the clock is the test's own.

    night = LongNight(folder, seed=1, hours=8)
    await night.play()

Forty crashes of six kinds, fixes of every sort, outages of remote, analyst and Discord, pauses, reverts, restarts that
are due later, players. A night keeps its own book of what it did (`crashes`, `answers`, …): what the bot made of it is
compared with that, not with what the bot says.
"""

import heapq
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import RowMapping
from world import BASE, OPERATOR, START, FakeSource, World

from pipeline.card_models import PostKind
from pipeline.model import Diagnostic, Done, Patch, Run, RunState, WholeFile

KINDS = {name: f"src/{name.split(':')[0]}.cpp" for name in
         ("Map::Update", "Spell::Cast", "Loot::Roll", "Aura::Tick", "Chat::Say", "Group::Follow")}  # fmt: skip
NOON = {name: f"src/{name.split(':')[0]}.cpp" for name in ("Before::Noon", "At::Noon", "After::Noon")}
AROUND = timedelta(hours=1)  # on either side of noon
CRASHES = 40
LIMIT = 5  # players
LOOK = timedelta(minutes=10)  # the longest time without a look
SOAK = timedelta(minutes=2)
# What an answer is worth -> how often it is drawn. Each stands in the file it writes.
WORTH = {"good": 34, "once": 14, "never": 8, "no cure": 12, "worse": 8, "dies": 8, "refused": 8, "prose": 8}
NOT_COMPILING = ("once", "never")
Act = Callable[[], Awaitable[None]]


class Doomed(set[str]):
    """Builds that do not become ready: a file of theirs says so."""

    def __init__(self, source: FakeSource) -> None:
        super().__init__()
        self._source = source

    def __contains__(self, build: object) -> bool:
        commit = self._source.commits.get(str(build))
        return commit is not None and any(text.startswith("dies") for text in commit.files.values())


@dataclass
class Book:
    """What the night did to the bot."""

    crashes: Counter[str] = field(default_factory=Counter)  # name -> how often the server died of it
    answers: list[tuple[str, str, str]] = field(default_factory=list)  # (run, request, its worth)
    late: set[str] = field(default_factory=set)  # requests that were answered once more, too late
    reverts: int = 0  # that people ordered and got
    pauses: int = 0  # that the pipeline made by itself
    restarts: dict[int, datetime] = field(default_factory=dict)  # order -> when it is due; cancelled ones are not here
    asked: Counter[str] = field(default_factory=Counter)  # request -> how often it was written
    posts: Counter[int] = field(default_factory=Counter)  # post -> how often it was delivered
    said: Counter[str] = field(default_factory=Counter)  # kind of post -> how many of it


class LongNight:
    """`noon` = one that it crosses: a run stands on the night's branch then, another joins it, a third begins the next
    one. Around it nothing is left to the dice."""

    def __init__(self, folder: Path, seed: int, hours: float, begins: datetime = START, noon: datetime | None = None):
        self.world = World(folder, {"max_players_for_restart": LIMIT})
        self.book = Book()
        self.hours = hours
        self.begins = self.world.clock.time = begins
        self._dice = random.Random(seed)
        self._due: list[tuple[datetime, int, Act]] = []
        self._numbers = count()
        self._watched: set[str] = set()  # deployments whose soak was foreseen
        self._seen: set[str] = set()  # requests
        self._noticed: set[datetime] = set()  # when the pipeline paused itself
        self._noon = noon
        self._deaf = False  # Discord
        self._mute_until = begins  # the analyst
        self._prepare()

    def _prepare(self) -> None:
        world = self.world
        world.source.commits[BASE].files = dict.fromkeys((*KINDS.values(), *NOON.values()), "bad")
        world.keeper.never_ready = Doomed(world.source)
        world.players.online = 0
        world.analyst.ask = self._note_request(world.analyst.ask)  # type: ignore[method-assign]  # counted on its way

    def _note_request(self, ask: Callable[..., Path]) -> Callable[..., Path]:
        def counting(request_id: str, request: dict[str, object]) -> Path:
            self.book.asked[request_id] += 1
            return ask(request_id, request)

        return counting

    @property
    def ends(self) -> datetime:
        return self.begins + timedelta(hours=self.hours)

    # --- time --------------------------------------------------------------------------------------------------------

    def at(self, when: datetime, act: Act) -> None:
        heapq.heappush(self._due, (when, next(self._numbers), act))

    def later(self, act: Act, **spans: float) -> None:
        self.at(self.world.clock.time + timedelta(**spans), act)

    async def play(self, until: datetime | None = None) -> None:
        """To the end, or up to some time; then it is called again."""
        if self.world.clock.time == self.begins:
            await self.world.start()
            self._plan()
        until = min(until or self.ends, self.ends)
        while self._due and self._due[0][0] <= until:
            when, _, act = heapq.heappop(self._due)
            await self._go_to(when)
            await act()
            await self._settle()
        await self._go_to(until)

    async def _go_to(self, when: datetime) -> None:
        while self.world.clock.time < when:
            self.world.clock.time = min(when, self.world.clock.time + LOOK)
            await self._settle()

    async def _settle(self) -> None:
        await self.world.settle()
        self._read_the_channel()
        self._watch_requests()
        self._watch_deployments()
        self._watch_pause()

    # --- the plan ----------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Quiet in the last hour, so that all that was begun can end."""
        for _ in range(CRASHES):
            self.at(self._draw(0.0, self.hours - 1), self._crash)
        for begin, end, longest in (
            (self._lose_remote, self._find_remote, 40), (self._lose_analyst, self._nothing, 90),
            (self._lose_discord, self._find_discord, 90), (self._pause, self._resume, 30),
            (self._fill_up, self._empty, 50),
        ):  # fmt: skip
            for _ in range(3):
                when = self._draw(0.1, self.hours - 2.5)
                self.at(when, begin)
                self.at(when + timedelta(minutes=self._dice.uniform(3, longest)), end)
        for act in (self._revert, self._restart, self._restart_and_cancel, self._start_again):
            for _ in range(2):
                self.at(self._draw(1, self.hours - 1.5), act)

        if self._noon is not None:
            self._plan_noon(self._noon)

    def _plan_noon(self, noon: datetime) -> None:
        """A build waits for players to leave; only when it was judged does a new branch begin."""
        self.at(noon - timedelta(minutes=40), self._fill_up)
        for name, minutes in zip(NOON, (-39, -38, 45), strict=True):
            self.at(noon + timedelta(minutes=minutes), self._crash_of(name))
        self.at(noon + timedelta(minutes=30), self._empty)

    def _draw(self, earliest: float, latest: float) -> datetime:
        when = self.begins + timedelta(hours=self._dice.uniform(earliest, latest))
        around = self._noon is not None and abs(when - self._noon) < 2 * AROUND
        return when - 4 * AROUND if around else when

    def _is_around_noon(self) -> bool:
        return self._noon is not None and abs(self.world.clock.time - self._noon) < AROUND

    async def _nothing(self) -> None: ...

    # --- the server --------------------------------------------------------------------------------------------------

    async def _crash(self) -> None:
        """Of something that is not cured in what runs; where all is, of one that comes back."""
        files = self._list_running_files()
        left = [name for name, path in KINDS.items() if not files[path].startswith("good")]
        self._die_of(self._dice.choice(left or list(KINDS)))

    def _crash_of(self, name: str) -> Act:
        async def crash() -> None:
            self._die_of(name)

        return crash

    def _die_of(self, name: str) -> None:
        self.world.clock.time += timedelta(seconds=1)
        self.book.crashes[name] += 1
        self.world.keeper.crash(name)

    def _list_running_files(self) -> dict[str, str]:
        running = self.world.running
        return self.world.source.commits[running if running in self.world.source.commits else BASE].files

    def _watch_deployments(self) -> None:
        """A build that goes live shows within its soak what its fixes are worth."""
        deployment = self.world.store.get_active_deployment()
        if deployment is None or deployment.state != "verifying" or deployment.id in self._watched:
            return
        self._watched.add(deployment.id)
        self.later(self._nothing, seconds=SOAK.total_seconds() + 1)
        runs = self.world.store.list_runs_of(deployment.id)
        for run in sorted(runs, key=lambda each: each.subject):
            worth = self._worth_of(run)
            if worth == "worse":
                name = f"Worse::After{len(self.book.crashes)}"
                self.later(self._die_in_soak(deployment.id, name), seconds=self._dice.uniform(5, 90))
            elif worth == "no cure":
                self.later(self._die_in_soak(deployment.id, run.subject), seconds=self._dice.uniform(5, 90))

    def _die_in_soak(self, deployment: str, name: str) -> Act:
        async def die() -> None:
            active = self.world.store.get_active_deployment()
            if active is not None and active.id == deployment and active.state == "verifying":
                self._die_of(name)

        return die

    def _worth_of(self, run: Run) -> str | None:
        return next((worth for of, _, worth in reversed(self.book.answers) if of == run.id), None)

    async def _fill_up(self) -> None:
        self.world.players.online = LIMIT + 1

    async def _empty(self) -> None:
        self.world.players.online = 0

    # --- the analyst -------------------------------------------------------------------------------------------------

    def _watch_requests(self) -> None:
        subjects = {run.id: run.subject for run in self.world.runs()}  # ids are drawn by other dice
        new = [each for each in self.world.analyst.requests if each not in self._seen]
        for request in sorted(new, key=lambda each: subjects[each.split("-")[0]]):
            self._seen.add(request)
            takes = self._dice.choices((self._dice.uniform(1, 8), self._dice.uniform(60, 150)), (6, 1))[0]
            if self._is_around_noon():
                takes = 43 if subjects[request.split("-")[0]] == "At::Noon" else 2
            when = max(self.world.clock.time, self._mute_until) + timedelta(minutes=takes)
            if when < self.ends - timedelta(minutes=30):
                self.at(when, self._answer(request))

    def _answer(self, request: str) -> Act:
        async def answer() -> None:
            (run,) = (each for each in self.world.runs() if each.id == request.split("-")[0])
            worth = self._choose_worth(run)
            self.book.answers.append((run.id, request, worth))
            patch = None if worth == "prose" else self._write(run, request, worth)
            await self.world.answer(run, patch, prose="Look at it." if patch is None else None)
            if self._dice.random() < 0.2 and not self._is_around_noon():
                self.later(self._answer_again(run, request), minutes=self._dice.uniform(5, 60))

        return answer

    def _choose_worth(self, run: Run) -> str:
        """What does not compile once is good then; what never does, never."""
        if run.subject not in KINDS:
            return "good" if run.subject in NOON else "prose"
        before = self._worth_of(run)
        if before in NOT_COMPILING:
            return "never" if before == "never" else "good"
        return self._dice.choices([*WORTH], [*WORTH.values()])[0]

    def _write(self, run: Run, request: str, worth: str) -> Patch:
        path, text = (KINDS | NOON)[run.subject], f"{worth} by {request}"
        if worth in NOT_COMPILING:
            self.world.builder.broken[text] = (Diagnostic("'x' was not declared", path, 3),)
        if worth == "refused":
            self.world.source.unwanted[text] = f"`{path}` is not in SOURCE_ALLOWED_PATHS"
        return Patch(files=(WholeFile(path, text),))

    def _answer_again(self, run: Run, request: str) -> Act:
        """Something else, when the first answer is taken long since."""

        async def answer() -> None:
            if self.world.get(run).state not in (RunState.ANALYZING, RunState.PROPOSED):
                self.book.late.add(request)
                await self.world.answer(run, self._write(run, f"{request} again", "good"))

        return answer

    async def _lose_analyst(self) -> None:
        self._mute_until = self.world.clock.time + timedelta(minutes=self._dice.uniform(20, 90))

    # --- the rest of the world ---------------------------------------------------------------------------------------

    async def _lose_remote(self) -> None:
        self.world.source.remote_gone = True

    async def _find_remote(self) -> None:
        self.world.source.remote_gone = False

    async def _lose_discord(self) -> None:
        self._deaf = True

    async def _find_discord(self) -> None:
        self._deaf = False

    def _read_the_channel(self) -> None:
        """Delivers as the outbox does: cards first, then posts, in order."""
        if self._deaf:
            return
        store = self.world.store
        for card in store.list_dirty_cards():
            store.card_delivered(card.card, card.wanted, f"m{card.card}", f"t{card.card}")
        while posts := store.list_pending_posts(self.world.clock.time):
            for post in posts:
                self.book.posts[post.id] += 1
                what = post.data["what"] if post.kind in (PostKind.PIPELINE, PostKind.SERVER) else ""
                self.book.said[f"{post.kind} {what}".strip()] += 1
                store.post_delivered(post.id, f"p{post.id}")

    async def _start_again(self) -> None:
        """The bot ends in order, and is there again."""
        await self.world.runner.close()
        self.world.restart()

    # --- people ------------------------------------------------------------------------------------------------------

    def _watch_pause(self) -> None:
        """Somebody looks at what the pipeline has paused for, and lets it go on."""
        pause = self.world.store.get_pause()
        if pause is None or pause.by == str(OPERATOR) or pause.at in self._noticed:
            return
        self._noticed.add(pause.at)
        self.book.pauses += 1
        self.later(self._resume, minutes=self._dice.uniform(2, 25))

    async def _pause(self) -> None:
        await self.world.orders.pause(OPERATOR, "I look myself")

    async def _resume(self) -> None:
        await self.world.orders.resume(OPERATOR)

    async def _revert(self) -> None:
        fixes = [each for each in await self.world.orders.list_fixes() if not each.reverted]
        if fixes:
            outcome = await self.world.orders.revert(self._dice.choice(fixes).commit, OPERATOR)
            self.book.reverts += isinstance(outcome, Done)

    async def _restart(self) -> None:
        delay = timedelta(minutes=self._dice.uniform(1, 20))
        outcome = await self.world.orders.restart_server(OPERATOR, delay, "new maps")
        if isinstance(outcome, Done) and outcome.order is not None:
            due = self.world.clock.time + delay
            self.book.restarts = {order: at for order, at in self.book.restarts.items() if at <= due}
            self.book.restarts[outcome.order] = due
            self.at(due, self._nothing)

    async def _restart_and_cancel(self) -> None:
        outcome = await self.world.orders.restart_server(OPERATOR, timedelta(minutes=30), "new maps")
        if isinstance(outcome, Done) and outcome.order is not None:
            assert isinstance(await self.world.orders.cancel_order(outcome.order, OPERATOR), Done)

    # --- what is left ------------------------------------------------------------------------------------------------

    def rows(self, table: Any) -> list[RowMapping]:
        with self.world.engine.connect() as c:
            return list(c.execute(select(table)).mappings())
