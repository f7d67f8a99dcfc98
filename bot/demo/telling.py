"""What the demo says at a terminal: one line for each step, with the seconds since its start."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime

from bot.sandbox import MessageEvent

Say = Callable[[str], None]

WIDTH = 110  # characters of a line
_STAMP = re.compile(r"<t:(\d+)(?::(\w))?>")
_LINK = re.compile(r"\[([^\]\n]+)\]\(<?https?://[^)\s]+\)")
_MARKS = re.compile(
    r"\\([*_`~|\\])|\*\*|(?<![\w*])\*(?=\S)|(?<=\S)\*(?![\w*])|`|^(?:-# |#{1,3} |> )|\u200b", re.MULTILINE
)


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
        text = " · ".join([strip_marks(line) for line in lines if line.strip()][:2])
        if text and text != self._last:
            self._last = text
            self.step(f"bot: {cut(text, WIDTH)}")


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…"


def strip_marks(text: str) -> str:
    """A line for Discord as one for a terminal: no marks, links as their words, moments on this machine's clock."""
    words = _LINK.sub(r"\1", _STAMP.sub(lambda found: show_time(int(found[1]), found[2]), text))
    return _MARKS.sub(lambda mark: mark[1] or "", words).strip()


def show_time(stamp: int, form: str | None) -> str:
    moment = datetime.fromtimestamp(stamp)
    return f"{moment:%H:%M:%S}" if form in ("R", "T") else f"{moment:%H:%M}"
