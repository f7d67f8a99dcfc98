"""How people write a delay, and the forms of an order that waits until it is due and can be cancelled meanwhile."""

from __future__ import annotations

import re
from datetime import timedelta

LONGEST_DELAY = timedelta(days=1)
_DELAY = re.compile(r"(?:(?P<hours>\d{1,5})h)?(?:(?P<minutes>\d{1,5})m)?(?:(?P<seconds>\d{1,5})s?)?", re.ASCII)


def read_delay(text: str) -> timedelta | None:
    """`now`, `90s`, `2m`, `1h30m`, `10` (seconds), at most a day; None = not understood."""
    words = text.strip().lower().replace(" ", "")
    if words == "now":
        return timedelta()
    found = _DELAY.fullmatch(words)
    if found is None or not words:
        return None
    delay = timedelta(**{unit: int(number) for unit, number in found.groupdict().items() if number})
    return delay if delay <= LONGEST_DELAY else None


def write_delay(delay: timedelta) -> str:
    """As `read_delay` takes it."""
    minutes, seconds = divmod(int(delay.total_seconds()), 60)
    parts = ((minutes // 60, "h"), (minutes % 60, "m"), (seconds, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "now"


def explain(text: str) -> str:
    return f"`{text[:40]}` is no delay of at most a day: give `now`, `90s`, `2m` or `1h30m`."


def read_argument(argument: str) -> tuple[timedelta, str]:
    """What a question's button carries: `<seconds>:<reason>`."""
    seconds, _, reason = argument.partition(":")
    return timedelta(seconds=int(seconds)), reason
