"""Discord is away in the middle of three crashes, or loses one connection after the other: the channel ends up with
what the outbox has, each once and in order. First with a story that is told to it, then with what the pipeline itself
writes down of three crashes that it heals meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path

import pytest
from edge_fakes import COMMIT, URL, make_card, make_run
from edge_world import EdgeWorld, open_world, until
from sqlalchemy import select
from world import World

from bot.cards import render_card
from bot.sandbox import MessageState
from pipeline import tables as t
from pipeline.card_models import CardView, FixLink, PostKind
from pipeline.model import Patch, RunState, WholeFile

FIX = FixLink(COMMIT, URL, "overnight-20241122")
NAMES = ("Map::Update", "Spell::Cast", "Loot::Roll")
ANY = r"^/channels/"
SHORT, LONG = timedelta(minutes=10), timedelta(hours=12)  # outages: where one story has one, the other has the other


@pytest.fixture
async def world() -> AsyncIterator[EdgeWorld]:
    """Discord no longer knows any nonce: only a look in the channel can tell."""
    async with open_world(nonce_window=0.0, global_limit=100_000) as opened:
        yield opened


@dataclass
class Story:
    """Three crashes, each from its card to its fix, one word after the other."""

    world: EdgeWorld
    first: int
    # number of the first card

    def steps(self) -> Iterator[None]:
        """One after the other, so that what happens in between falls at every moment of a crash."""
        for number, name in enumerate(NAMES, self.first):
            for _ in self._crash(number, name):
                yield

    def _crash(self, number: int, name: str) -> Iterator[None]:
        ledger, view = self.world.ledger, make_card(number, title=name)
        ledger.show(view)
        ledger.post(PostKind.BACKTRACE, number, frames="main")
        yield
        ledger.post(PostKind.ANALYSIS, number, analysis={"summary": "why"})
        ledger.show(_moved(view, RunState.BUILDING))
        yield
        ledger.post(PostKind.SERVER, None, what="released")
        ledger.post(PostKind.BUILT, number, commit=COMMIT, url=URL)
        ledger.show(_moved(view, RunState.SUCCEEDED))
        yield


def _moved(view: CardView, state: RunState) -> CardView:
    return replace(view, run=make_run(state, subject=view.title), fix=FIX)


def mark_of(message: MessageState) -> str:
    """`#c12` or `#p34`: by what it is known in the outbox."""
    return str(message["embeds"][0]["footer"]["text"]).rsplit(" ", 1)[-1]


def assert_channel_is_the_outbox(world: EdgeWorld) -> None:
    """Nothing lost, nothing twice, the order kept in each place, and every card shows its newest state."""
    ledger = world.ledger
    wanted = [*(f"#c{card}" for card in ledger.cards), *(f"#p{post}" for post in ledger.posts)]
    assert sorted(world.get_footers()) == sorted(wanted)
    for card in (None, *ledger.cards):
        thread = None if card is None else ledger.cards[card].thread
        there = [mark_of(each) for each in world.messages if each["thread"] == thread]
        posts = [f"#p{post.id}" for post in ledger.posts.values() if post.card == card]
        assert [each for each in there if each.startswith("#p")] == posts, f"order in the place of card {card}"
    titles = {mark_of(each): each["embeds"][0]["title"] for each in world.messages}
    assert {card: titles[f"#c{card}"] for card in ledger.cards} == {
        card: f"Fixed: {view.title}" for card, view in ledger.views.items()
    }


@pytest.mark.parametrize(("begin", "length"), [*enumerate(islice(cycle((SHORT, LONG)), 9))])
async def test_discord_away_in_the_middle_of_three_crashes_loses_and_doubles_nothing(
    world: EdgeWorld, begin: int, length: timedelta
) -> None:
    for number, _ in enumerate(Story(world, 12).steps()):
        if number == begin:
            world.sandbox.faults.begin_outage()
        world.clock.move(length.total_seconds() / 9)
        await world.deliver()
    world.sandbox.faults.end_outage()
    await until(lambda: world.edge.channel.open)
    await world.deliver(3)
    assert_channel_is_the_outbox(world)


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
async def test_a_connection_that_is_cut_at_each_request_once_loses_and_doubles_nothing(
    world: EdgeWorld, after: bool
) -> None:
    requests = await count_requests(world, Story(world, 12))
    assert requests >= 20
    for nth in range(requests):
        world.sandbox.faults.cut("*", ANY, after=after, skip=nth)
        await count_requests(world, Story(world, 100 + 10 * nth))
        await world.deliver(3)
        world.sandbox.faults.clear()
        assert_channel_is_the_outbox(world)


async def count_requests(world: EdgeWorld, story: Story) -> int:
    """Tells it; how many requests that took."""
    before = len(world.sandbox.exchanges)
    for _ in story.steps():
        world.clock.move(61)
        await world.deliver()
    return len(world.sandbox.exchanges) - before


# --- with the pipeline's own outbox ----------------------------------------------------------------------------------

STEPS = 3  # of a crash
NAMED = 40  # crashes that there is a file for


@dataclass
class Night:
    """A world whose runner writes the outbox, and the channel that reads it."""

    world: World
    edge: EdgeWorld
    healed: int = 0
    steps: int = 0
    away: int | None = None  # the step from which on Discord is away

    async def heal(self) -> None:
        """One more crash, with its answer and its verdict."""
        name, path = f"Map::Update{self.healed}", f"src/Map{self.healed}.cpp"
        run = await self.world.crash(name)
        await self._deliver()
        await self.world.answer(run, Patch(files=(WholeFile(path, f"good {name}"),)))
        await self._deliver()
        await self.world.pass_time(minutes=3)
        self.world.expect(run, RunState.SUCCEEDED)
        await self._deliver()
        self.healed += 1

    async def _deliver(self) -> None:
        if self.steps == self.away:
            self.edge.sandbox.faults.begin_outage()
        self.steps += 1
        await self.edge.edge.outbox.deliver()
        await self.world.pass_time(seconds=61)

    async def catch_up(self) -> None:
        self.edge.sandbox.faults.end_outage()
        await until(lambda: self.edge.edge.channel.open)
        for _ in range(4):
            await self.edge.edge.outbox.deliver()
            await self.world.pass_time(seconds=61)

    async def count_requests(self) -> int:
        """That healing one more takes."""
        before = len(self.edge.sandbox.exchanges)
        await self.heal()
        return len(self.edge.sandbox.exchanges) - before

    def count_cuts(self) -> int:
        return sum(each.status is None for each in self.edge.sandbox.exchanges)


@asynccontextmanager
async def open_night(folder: Path) -> AsyncIterator[Night]:
    world = World(folder)
    world.clock.time = (datetime.now(UTC) - timedelta(days=3)).replace(hour=22)  # before whatever the sandbox dates
    world.source.commits[world.source.base].files |= {f"src/Map{number}.cpp": "bad" for number in range(NAMED)}
    await world.start()
    async with open_world(world.ledger, world.clock, nonce_window=0.0, global_limit=100_000) as edge:
        yield Night(world, edge)


@pytest.mark.parametrize(("begin", "length"), [*enumerate(islice(cycle((LONG, SHORT)), 3 * STEPS))])
async def test_what_the_pipeline_wrote_down_while_discord_was_away_is_in_the_channel_once_and_in_order(
    tmp_path: Path, begin: int, length: timedelta
) -> None:
    async with open_night(tmp_path) as night:
        night.away = begin
        for _ in range(3):
            await night.heal()
        await night.world.pass_time(seconds=length.total_seconds())
        await night.catch_up()
        assert_channel_is_the_database(night)


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
async def test_what_the_pipeline_wrote_down_is_there_once_over_a_connection_that_is_cut_at_each_request_once(
    tmp_path: Path, after: bool
) -> None:
    async with open_night(tmp_path) as night:
        await night.heal()  # only once is something told beside it: what this night begins with
        requests = await night.count_requests()
        assert requests >= 9
        for nth in range(requests):
            night.edge.sandbox.faults.cut("*", ANY, after=after, skip=nth)
            await night.heal()
            await night.catch_up()
            assert night.count_cuts() == nth + 1
            assert_channel_is_the_database(night)


def assert_channel_is_the_database(night: Night) -> None:
    """Nothing lost, nothing twice, the order kept in each place, and every card as its run is now."""
    world, edge = night.world, night.edge
    assert world.store.list_pending_posts(world.clock.now()) == []
    with world.engine.connect() as c:
        cards = {f"#c{row.id}": row for row in c.execute(select(t.cards).order_by(t.cards.c.id))}
        posts = {f"#p{row.id}": row for row in c.execute(select(t.posts).order_by(t.posts.c.id))}
    assert len(cards) == night.healed and len(posts) >= 4 * night.healed
    there = [mark_of(each) for each in edge.messages]
    assert sorted(there) == sorted([*cards, *posts])
    assert {mark_of(each): each["id"] for each in edge.messages} == {
        mark: row.message for mark, row in (cards | posts).items()
    }
    for thread in (None, *(row.thread for row in cards.values())):
        place = [mark_of(each) for each in edge.messages if each["thread"] == thread]
        card = next((row.id for row in cards.values() if row.thread == thread), None)
        assert [each for each in place if each in posts] == [mark for mark, row in posts.items() if row.card == card]
    for each in edge.messages:
        if (row := cards.get(mark_of(each))) is not None:
            shown = render_card(world.ledger.get_card_view(row.id)).embed
            assert shown is not None and shown.title.startswith("Fixed: ")
            assert each["embeds"][0]["title"] == shown.title
