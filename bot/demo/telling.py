"""What the demo says at a terminal: one line for each step, with the seconds since its start."""

from __future__ import annotations

import time
from collections.abc import Callable

from bot.markup import bare
from bot.sandbox import MessageEvent

Say = Callable[[str], None]

WIDTH = 110  # characters of a line


class Teller:
    """`step` for what the demo does itself, `hear` for what the bot posts in its channel."""

    def __init__(self, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._began = clock()
        self._last = ""

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._began

    def step(self, text: str) -> None:
        self._say(f"{self.elapsed:6.1f} s  {text}")

    def hear(self, event: MessageEvent) -> None:
        """A card or a post as one line; threads hold the details, and are left to the channel's page."""
        message = event.message
        if message["thread"] or event.kind == "delete":
            return
        lines = [*(message["content"] or "").splitlines()]
        for embed in message["embeds"]:
            lines += [str(embed.get("title") or ""), *str(embed.get("description") or "").splitlines()]
        text = " · ".join([bare(line) for line in lines if line.strip()][:2])
        if text and text != self._last:
            self._last = text
            self.step(f"bot: {cut(text, WIDTH)}")


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…"
