"""What Discord does not take, or we cannot put into words, is one message's matter: all others go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from edge_fakes import make_card, make_run
from edge_world import EdgeWorld, open_world

from bot.channel import Uncertain
from pipeline.card_models import CardView, PostKind
from pipeline.model import RunState
from pipeline.read_models import OrderEnd

NAMES = {12: "Map::Update", 13: "Spell::Cast", 14: "Loot::Roll", 15: "Unit::Kill"}
ALWAYS = 10**9
THREADING = r"/messages/\d+/threads$"


@pytest.fixture
async def world() -> AsyncIterator[EdgeWorld]:
    """Discord no longer knows any nonce: only a look in the channel can tell what arrived."""
    async with open_world(nonce_window=0.0, global_limit=100_000) as opened:
        yield opened


def show(world: EdgeWorld, *cards: int, state: RunState | None = None) -> None:
    for card in cards:
        run = None if state is None else make_run(state, subject=NAMES[card])
        world.ledger.show(make_card(card, title=NAMES[card], run=run))


def refuse_edits(world: EdgeWorld, *cards: int) -> None:
    for card in cards:
        world.sandbox.faults.fail("PATCH", f"/messages/{world.ledger.cards[card].message}$", 503, times=ALWAYS)


def refuse_posts(world: EdgeWorld, place: str | None) -> None:
    world.sandbox.faults.fail("POST", f"/channels/{place}/messages$", 503, times=ALWAYS)


def lose_upload(world: EdgeWorld, monkeypatch: pytest.MonkeyPatch, mark: str) -> None:
    """The line is too slow for what this one brings."""
    send = world.edge.channel.send

    async def try_to_send(place: str | None, message: Any, nonce: str) -> str:
        if nonce == mark:
            raise Uncertain("Discord does not answer (TimeoutError)")
        return await send(place, message, nonce)

    monkeypatch.setattr(world.edge.channel, "send", try_to_send)


async def test_a_card_that_discord_never_takes_holds_up_nothing_but_itself(world: EdgeWorld) -> None:
    show(world, 12, 13)
    await world.deliver()
    refuse_edits(world, 12)
    show(world, 12, 13, state=RunState.BUILDING)
    details = world.ledger.post(PostKind.BACKTRACE, 13, frames="main")
    news = world.ledger.post(PostKind.SERVER, None, what="released")
    await world.deliver()
    assert world.titles == ["Crash in Map::Update", "Building fix for Spell::Cast", "Server no longer held"]
    assert {details, news} == set(world.ledger.sent)
    await world.deliver(2)
    assert str(world.reports["discord delivery"]).startswith("Messages wait: ")
    world.sandbox.faults.clear()
    await world.deliver(2)
    assert world.titles[0] == "Building fix for Map::Update"
    assert world.reports["discord delivery"] is None


async def test_a_thread_that_takes_nothing_keeps_its_order_and_holds_up_no_other(world: EdgeWorld) -> None:
    show(world, 12, 13)
    await world.deliver()
    thread = world.ledger.cards[12].thread
    refuse_posts(world, thread)
    for card in (12, 13):
        world.ledger.post(PostKind.BACKTRACE, card, frames="main")
        world.ledger.post(PostKind.ANALYSIS, card, analysis={"summary": "why"})
    await world.deliver(5)
    assert world.in_thread(thread) == []
    assert world.in_thread(world.ledger.cards[13].thread) == ["The crash", "Analysis"]
    world.sandbox.faults.clear()
    await world.deliver(2)
    assert world.in_thread(thread) == ["The crash", "Analysis"]


async def test_where_no_thread_can_be_opened_the_channel_has_cards_and_news(world: EdgeWorld) -> None:
    world.sandbox.faults.fail("POST", THREADING, 503, times=ALWAYS)
    show(world, *NAMES)
    await world.deliver()
    world.ledger.post(PostKind.SERVER, None, what="held: breaker", detail="5 deaths in a row")
    await world.deliver(2)
    cards = [f"Crash in {name}" for name in NAMES.values()]
    assert world.titles == [*cards, "Server held: it died too often"]


async def test_news_wait_for_no_edit(world: EdgeWorld) -> None:
    show(world, 12)
    await world.deliver()
    before = len(world.sandbox.exchanges)
    show(world, 12, state=RunState.BUILDING)
    world.ledger.post(PostKind.SERVER, None, what="held: breaker", detail="5 deaths in a row")
    await world.deliver()
    assert [each.method for each in world.sandbox.exchanges[before:]] == ["POST", "PATCH"]


async def test_many_cards_that_discord_never_takes_do_not_make_it_look_away(world: EdgeWorld) -> None:
    show(world, *NAMES)
    await world.deliver()
    refuse_edits(world, 12, 13, 14)
    show(world, *NAMES, state=RunState.BUILDING)
    await world.deliver(2)
    assert [title for title in world.titles if title.startswith("Building")] == ["Building fix for Unit::Kill"]
    world.ledger.post(PostKind.SERVER, None, what="released")
    await world.deliver(2)
    assert world.titles[-1] == "Server no longer held"


async def test_news_that_never_arrive_are_passed_by_the_next_ones(
    world: EdgeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_upload(world, monkeypatch, "p1")
    for what in ("released", "held: breaker"):
        world.ledger.post(PostKind.SERVER, None, what=what)
    await world.deliver(2)
    assert world.titles == []  # it may be Discord: what came first is told first
    await world.deliver(2)
    assert world.titles == ["Server held: it died too often"]
    await world.deliver(2)
    world.ledger.post(PostKind.SERVER, None, what="released")
    world.clock.move(2)
    await world.deliver()  # while the first one rests
    assert world.get_footers() == ["#p2", "#p3"]
    monkeypatch.undo()
    await world.deliver(2)
    assert world.get_footers() == ["#p2", "#p3", "#p1"]


@pytest.mark.parametrize("place", ["thread", "channel"])
async def test_what_arrived_without_an_answer_is_there_once_though_the_others_went_on(
    world: EdgeWorld, place: str
) -> None:
    show(world, 12, 13)
    await world.deliver()
    where = world.ledger.cards[12].thread if place == "thread" else world.sandbox.channel_id
    world.sandbox.faults.fail("POST", f"/channels/{where}/messages$", 503, times=1, after=True)
    for card in (12, 13, None):
        world.ledger.post(PostKind.SERVER, card, what="released")
    await world.deliver(3)
    assert sorted(world.get_footers()) == ["#c12", "#c13", "#p1", "#p2", "#p3"]


async def test_a_bug_of_ours_in_one_card_leaves_the_others_alone(
    world: EdgeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = world.ledger.get_card_view

    def trip(card: int) -> CardView:
        if card == 12:
            raise ValueError("a bug")
        return view(card)

    monkeypatch.setattr(world.ledger, "get_card_view", trip)
    show(world, 12, 13)
    world.ledger.post(PostKind.SERVER, None, what="released")
    await world.deliver()
    assert world.titles == ["Crash in Spell::Cast", "Server no longer held"]
    assert world.reports["discord delivery"] == ("Messages wait: a fault of ours in #c12: ValueError; see the log.")
    monkeypatch.undo()
    await world.deliver(2)
    assert "Crash in Map::Update" in world.titles and world.reports["discord delivery"] is None


async def test_that_messages_wait_is_over_once_what_waited_has_left(world: EdgeWorld) -> None:
    show(world, 12)
    await world.deliver()
    message, now = str(world.ledger.cards[12].message), world.clock.now()
    refuse_edits(world, 12)
    world.ledger.ends[7] = OrderEnd(
        7, "stop", "done", "operator", "", now, now + timedelta(1), "", world.sandbox.channel_id, message
    )
    await world.deliver(2)
    assert "Messages wait" in str(world.reports["discord delivery"])
    del world.ledger.ends[7]  # after a day nobody looks for it any more
    await world.deliver()
    assert world.reports["discord delivery"] is None
