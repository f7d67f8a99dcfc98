"""How often Discord is asked for something, so that what matters never waits for what does not.

Discord counts the messages sent to a channel or a thread, and apart from them the edits of all messages of the channel;
discord.py sleeps once they are used up, the whole outbox with it. So one of them is left over each time, but for the
edit that tells what is live, over or calls somebody.
"""

from __future__ import annotations

from collections import defaultdict, deque

from pipeline.ports import Clock

LIMIT = 5  # requests of one kind
PERIOD = 5.0  # seconds
PAUSE = PERIOD / (LIMIT - 1)  # seconds between two edits of one card; the states in between are folded
CHANNEL = "channel"
EDITS = "edits"


class Pace:
    """Moments are monotonic seconds. A kind of request is `EDITS`, or the place that something is sent to."""

    def __init__(self, clock: Clock) -> None:
        self.room_at: float | None = None  # when the first that was held back in this pass may go out
        self._clock = clock
        self._newest: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=LIMIT))
        self._edited: dict[int, float] = {}  # card -> its newest edit

    def begin_pass(self) -> None:
        """Nothing is held back yet. What has changed again by the next pass is folded."""
        self.room_at = None

    def count(self, kind: str) -> None:
        """One is made now."""
        self._newest[kind].append(self._clock.monotonic())

    def count_edit(self, card: int) -> None:
        self._edited[card] = self._clock.monotonic()
        self.count(EDITS)

    def has_room(self, kind: str) -> bool:
        """Whether one may be made now; else it is held back."""
        return self._is_due(self._get_free_at(kind))

    def has_room_for_edit(self, card: int, *, urgent: bool) -> bool:
        paused = float("-inf") if urgent else self._edited.get(card, float("-inf")) + PAUSE
        return self._is_due(max(paused, self._get_free_at(EDITS, urgent=urgent)))

    def _get_free_at(self, kind: str, *, urgent: bool = False) -> float:
        newest, most = self._newest[kind], LIMIT if urgent else LIMIT - 1
        return newest[-most] + PERIOD if len(newest) >= most else float("-inf")

    def _is_due(self, moment: float) -> bool:
        if moment <= self._clock.monotonic():
            return True
        self.room_at = moment if self.room_at is None else min(self.room_at, moment)
        return False
