"""Discord's buckets: so many requests from the first one on, then 429 until the window is over."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class _Window:
    ends: float
    # steady seconds
    used: int = 0


@dataclass(frozen=True)
class Allowance:
    """What the X-RateLimit headers say after one request was counted."""

    granted: bool
    limit: int
    remaining: int
    reset_after: float
    # seconds


class Buckets:
    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._windows: dict[str, _Window] = {}

    def take(self, key: str, limit: int, period: float) -> Allowance:
        now = self._steady()
        window = self._windows.get(key)
        if window is None or now >= window.ends:
            self._forget_over(now)
            window = self._windows[key] = _Window(now + period)
        granted = window.used < limit
        window.used += granted
        return Allowance(granted, limit, max(limit - window.used, 0), max(window.ends - now, 0.0))

    def give_back(self, key: str) -> None:
        """The request that was counted last does not count after all."""
        window = self._windows.get(key)
        if window is not None and window.used:
            window.used -= 1

    def _forget_over(self, now: float) -> None:
        self._windows = {key: window for key, window in self._windows.items() if now < window.ends}
