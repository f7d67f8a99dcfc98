"""A moment within a text that is kept.

People read the text later, and each by a clock of his own: whoever shows it puts the reader's own time in its place. A
log, a file or a program reads an instant that needs no knowledge of ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

_MOMENT = re.compile(r"<(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z>")


def write_moment(at: datetime) -> str:
    """`<2026-11-22T22:04:10Z>`."""
    return f"<{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}>"


def show_moments(text: str, show: Callable[[datetime], str]) -> str:
    """The text with each moment as `show` has it. What only looks like one stays."""

    def put(found: re.Match[str]) -> str:
        try:
            return show(datetime.fromisoformat(found[1]).replace(tzinfo=UTC))
        except ValueError:
            return found[0]

    return _MOMENT.sub(put, text)
