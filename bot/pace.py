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
EDITS = "edits"


class Pace:
    """Moments are monotonic seconds. A kind of request is `EDITS`, or the place that something is sent to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._newest: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=LIMIT))
        self._edited: dict[int, float] = {}  # card -> its newest edit

    def count(self, kind: str) -> None:
        """One is made now."""
        self._newest[kind].append(self._clock.monotonic())

    def count_edit(self, card: int) -> None:
        self._edited[card] = self._clock.monotonic()
        self.count(EDITS)

    def get_free_at(self, kind: str, *, urgent: bool = False) -> float:
        """From when on one may be made."""
        newest, most = self._newest[kind], LIMIT if urgent else LIMIT - 1
        return newest[-most] + PERIOD if len(newest) >= most else float("-inf")

    def get_edit_at(self, card: int, *, urgent: bool) -> float:
        """From when on the card may be edited."""
        paused = float("-inf") if urgent else self._edited.get(card, float("-inf")) + PAUSE
        return max(paused, self.get_free_at(EDITS, urgent=urgent))
