"""How often Discord is asked for something, and what a pass leaves for the next one."""

from __future__ import annotations

from edge_fakes import FakeClock

from bot.delivery.pace import CHANNEL, EDITS, LIMIT, PAUSE, PERIOD, Pace


def test_one_of_what_discord_takes_is_left_for_the_edit_that_calls_somebody() -> None:
    pace = Pace(FakeClock())
    for card in range(1, LIMIT):
        assert pace.has_room_for_edit(card, urgent=False)
        pace.count_edit(card)
    assert not pace.has_room(EDITS)
    assert not pace.has_room_for_edit(9, urgent=False)
    assert pace.has_room_for_edit(9, urgent=True)
    assert pace.has_room(CHANNEL), "what is sent is counted apart"


def test_the_next_pass_is_due_when_the_first_that_was_held_back_may_go_out() -> None:
    clock = FakeClock(steady=1000.0)
    pace = Pace(clock)
    for _ in range(1, LIMIT):
        pace.count(CHANNEL)
    pace.count_edit(12)
    clock.move(0.25)
    assert not pace.has_room(CHANNEL) and not pace.has_room_for_edit(12, urgent=False)
    assert pace.room_at == 1000.0 + min(PAUSE, PERIOD)


def test_what_an_earlier_pass_held_back_hurries_no_later_one() -> None:
    """Else the outbox would look again without a pause for as long as it lives."""
    clock = FakeClock()
    pace = Pace(clock)
    pace.count_edit(12)
    assert not pace.has_room_for_edit(12, urgent=False)
    clock.move(PERIOD)
    pace.begin_pass()
    assert pace.has_room_for_edit(12, urgent=False)
    assert pace.room_at is None
