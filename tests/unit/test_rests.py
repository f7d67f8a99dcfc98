"""What is left alone after a fault: for how long, and what people are told of it."""

from __future__ import annotations

import logging

import pytest
from edge_fakes import FakeClock

from bot.channel import Closed, Later, Malformed, Uncertain
from bot.delivery.rests import DISCORD, PROBE, SILENCE, TOPIC, Rests
from pipeline.errors import Obstructed

NO_ANSWER = Uncertain("no answer")


class Place:
    """A place that something is delivered to, and what /status tells."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.told: dict[str, str | None] = {}
        self.connected = True
        self.rests = Rests(self.clock, self.told.__setitem__, lambda: self.connected)

    async def deliver(self, fault: Exception | None = None, name: str = "p1") -> bool:
        return await self.rests.guard(name, self._answer(fault))

    async def _answer(self, fault: Exception | None) -> bool:
        if fault is not None:
            raise fault
        return True

    async def hold_back(self, name: str) -> None:
        """Nothing is asked of Discord."""

        async def wait() -> bool:
            return False

        assert not await self.rests.guard(name, wait())

    async def fall_silent(self) -> None:
        for number in range(SILENCE):
            await self.deliver(NO_ANSWER, f"c{number}")
        assert self.rests.away

    def measure(self, name: str = "p1") -> int:
        """Seconds until its rest is over."""
        seconds = 0
        while self.rests.has(name):
            self.clock.move(1)
            seconds += 1
        return seconds


@pytest.mark.parametrize("fault", [Closed("a right is missing"), NO_ANSWER, ValueError("a bug")], ids=str)
async def test_each_failure_in_a_row_is_a_longer_rest(fault: Exception) -> None:
    place, lengths = Place(), []
    for _ in range(8):
        assert not await place.deliver(fault)
        lengths.append(place.measure())
    assert lengths == [1, 2, 4, 8, 16, 32, 60, 60]
    assert await place.deliver()
    await place.deliver(fault)
    assert place.measure() == 1


async def test_of_one_request_without_an_answer_nothing_is_told_of_a_second_one_it_is() -> None:
    place = Place()
    for told in ({}, {TOPIC: "Messages wait: no answer."}):
        await place.deliver(NO_ANSWER)
        assert place.told == told
        assert place.measure()
    await place.deliver()
    assert place.told == {TOPIC: None}


async def test_one_message_without_an_answer_rests_by_itself_however_often() -> None:
    place = Place()
    for _ in range(10):
        await place.deliver(NO_ANSWER)
        assert place.rests.has("p1") and not place.rests.has("p2") and not place.rests.away
        place.measure()


async def test_several_in_a_row_without_an_answer_are_all_of_discord() -> None:
    place = Place()
    await place.deliver(NO_ANSWER, "c1")
    await place.deliver(NO_ANSWER, "c2")
    await place.deliver(name="c3")
    await place.deliver(NO_ANSWER, "c4")
    await place.deliver(NO_ANSWER, "c5")
    assert not place.rests.away
    await place.deliver(NO_ANSWER, "c6")
    assert place.rests.away and place.rests.has("whatever else")
    assert place.measure(DISCORD) == 1
    await place.deliver(NO_ANSWER, "c4")  # one more tells that it is still so
    assert place.measure(DISCORD) == 2
    await place.deliver(name="c3")
    assert not place.rests.away


async def test_without_a_connection_one_is_enough_to_tell() -> None:
    place = Place()
    place.connected = False
    await place.deliver(NO_ANSWER)
    assert place.rests.away


async def test_what_is_held_back_does_not_tell_that_discord_is_there() -> None:
    place = Place()
    await place.fall_silent()
    await place.hold_back("c9")
    assert place.rests.away


async def test_what_failed_waits_for_what_did_not_and_is_then_tried_itself() -> None:
    place = Place()
    await place.deliver(NO_ANSWER)
    place.clock.move(60)
    place.rests.begin_round(untried_only=True)
    assert place.rests.has("p1") and not place.rests.has("p2")
    place.rests.begin_round(untried_only=False)
    assert not place.rests.has("p1")


async def test_what_fails_while_others_go_through_lets_them_pass() -> None:
    place = Place()
    await place.deliver(NO_ANSWER)
    await place.deliver(name="c1")
    assert not place.rests.lets_pass("p1", tried=True)
    await place.deliver(NO_ANSWER)
    assert place.rests.lets_pass("p1", tried=False)
    for number in range(SILENCE - 1):
        await place.deliver(NO_ANSWER, f"c{number}")
    assert not place.rests.away  # of all of Discord it tells nothing any more


async def test_what_failed_often_lets_the_next_one_tell_whether_discord_is_there() -> None:
    place = Place()
    for number in range(PROBE):
        assert not place.rests.lets_pass("p1", tried=bool(number))
        await place.deliver(NO_ANSWER)
    assert place.rests.lets_pass("p1", tried=True) and not place.rests.lets_pass("p1", tried=False)


async def test_what_discord_does_not_take_lets_others_pass_what_a_person_has_to_mend_does_not() -> None:
    place = Place()
    await place.deliver(Malformed("Invalid Form Body"), "p1")
    for _ in range(PROBE):
        await place.deliver(Closed("a right is missing"), "p2")
    assert place.rests.lets_pass("p1", tried=False) and not place.rests.lets_pass("p2", tried=True)


async def test_a_bug_of_ours_is_in_the_log_once_and_told_for_as_long_as_it_is_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = Place()
    for _ in range(5):
        assert not await place.deliver(ValueError("a bug"), "c12")
    assert [each.levelno for each in caplog.records] == [logging.ERROR]
    assert place.told == {TOPIC: "Messages wait: a fault of ours in #c12: ValueError; see the log."}
    await place.deliver(KeyError("another"), "c12")
    assert len(caplog.records) == 2
    await place.deliver(name="c12")
    assert place.told == {TOPIC: None}


async def test_an_obstacle_is_no_matter_of_one_message() -> None:
    place = Place()
    with pytest.raises(Obstructed):
        await place.deliver(Obstructed("the disk is full"))
    assert not place.rests.any


async def test_that_messages_go_out_again_is_told_once_nothing_rests() -> None:
    place = Place()
    for name in ("c12", "p13"):
        await place.deliver(Closed("a right is missing"), name)
    await place.deliver(name="c12")
    assert place.told == {TOPIC: "Messages wait: a right is missing. The bot needs its rights in the channel back."}
    await place.deliver(name="p13")
    assert place.told == {TOPIC: None} and not place.rests.any


async def test_what_left_without_being_delivered_rests_no_more_once_nothing_waits() -> None:
    place = Place()
    await place.fall_silent()
    await place.deliver(Malformed("Invalid Form Body"), "o7")
    place.rests.clear()
    assert place.told == {TOPIC: None} and not place.rests.any and not place.rests.away


async def test_once_discord_is_back_only_the_rests_that_it_asked_for_go_on() -> None:
    place = Place()
    await place.deliver(Later("Discord limits the rate", 9.0), "p12")
    await place.deliver(Closed("a right is missing"), "p13")
    place.rests.cut_short()
    assert place.rests.has("p12") and not place.rests.has("p13")
