"""Discord is away in the middle of three crashes, or loses one connection after the other: the channel ends up with
what the outbox has, each once and in order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import pytest
from edge_fakes import COMMIT, URL, make_card, make_run
from edge_world import EdgeWorld, open_world, until

from bot.sandbox import MessageState
from pipeline.card_models import CardView, FixLink, PostKind
from pipeline.model import RunState

FIX = FixLink(COMMIT, URL, "overnight-20241122")
NAMES = ("Map::Update", "Spell::Cast", "Loot::Roll")
ANY = r"^/channels/"


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


@pytest.mark.parametrize("length", [600, 12 * 3600], ids=["ten minutes", "twelve hours"])
@pytest.mark.parametrize("begin", range(9))
async def test_discord_away_in_the_middle_of_three_crashes_loses_and_doubles_nothing(
    world: EdgeWorld, begin: int, length: int
) -> None:
    for number, _ in enumerate(Story(world, 12).steps()):
        if number == begin:
            world.sandbox.faults.begin_outage()
        world.clock.move(length / 9)
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
