"""What is left alone after a fault: for how long, and what people are told of it."""

from __future__ import annotations

import pytest
from edge_fakes import FakeClock

from bot.channel import Closed, Later, Uncertain
from bot.delivery.rests import DISCORD, TOPIC, Rests


class Place:
    """A place that something is delivered to, and what /status tells."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.told: dict[str, str | None] = {}
        self.rests = Rests(self.clock, self.told.__setitem__)

    async def deliver(self, fault: Exception | None = None, name: str = "channel") -> bool:
        return await self.rests.guard(name, self._answer(fault))

    async def _answer(self, fault: Exception | None) -> None:
        if fault is not None:
            raise fault

    def measure(self, name: str = "channel") -> int:
        """Seconds until its rest is over."""
        seconds = 0
        while self.rests.has(name):
            self.clock.move(1)
            seconds += 1
        return seconds


async def test_each_failure_in_a_row_is_a_longer_rest() -> None:
    place, lengths = Place(), []
    for _ in range(8):
        assert not await place.deliver(Closed("a right is missing"))
        lengths.append(place.measure())
    assert lengths == [1, 2, 4, 8, 16, 32, 60, 60]
    assert await place.deliver()
    await place.deliver(Closed("a right is missing"))
    assert place.measure() == 1


async def test_of_one_request_without_an_answer_nothing_is_told_of_a_second_one_it_is() -> None:
    place = Place()
    for told in ({}, {TOPIC: "Messages wait: no answer."}):
        with pytest.raises(Uncertain):
            await place.deliver(Uncertain("no answer"))
        assert place.told == told
        assert place.measure(DISCORD) and not place.rests.has("channel")
    await place.deliver()
    assert place.told == {TOPIC: None}


async def test_that_messages_go_out_again_is_told_once_nothing_rests() -> None:
    place = Place()
    for name in ("c12", "t13"):
        await place.deliver(Closed("a right is missing"), name)
    await place.deliver(name="c12")
    assert place.told == {TOPIC: "Messages wait: a right is missing. The bot needs its rights in the channel back."}
    await place.deliver(name="t13")
    assert place.told == {TOPIC: None} and not place.rests.any


async def test_once_discord_is_back_only_the_rests_that_it_asked_for_go_on() -> None:
    place = Place()
    await place.deliver(Later("Discord limits the rate", 9.0), "t12")
    await place.deliver(Closed("a right is missing"), "t13")
    place.rests.cut_short()
    assert place.rests.has("t12") and not place.rests.has("t13")
