"""How often a dying server is started again: back-off and breaker (KEEPER.md, "Exits nobody asked for"). Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.keeper.protocol import RestartLimits

HOUR = 3600.0
_LARGEST_EXPONENT = 30


@dataclass(frozen=True)
class Counts:
    """What the breaker remembers. It outlives the keeper and the machine."""

    early: int = 0  # deaths in a row before the soak was over
    restarts: int = 0  # restarts after a crash since the last life that survived its soak
    environment: int = 0  # starts in a row that ended before ready for a reason outside the code
    crashes: tuple[float, ...] = ()  # when the crashes of the last hour happened, seconds since the epoch
    fallback_tried: bool = False  # the breaker has already put the last healthy build back


def back_off(limits: RestartLimits, nth: int) -> float:
    """Seconds before the nth restart in a row: 0, base, 2 x base … cap."""
    if nth <= 0:
        return 0.0
    return float(min(limits.cap, limits.base * 2 ** min(nth - 1, _LARGEST_EXPONENT)))


def count_crash(counts: Counts, now: float, *, good_life: bool) -> Counts:
    """The counts after a crash. A good life is one that survived its soak: what was before it is forgiven."""
    crashes = (*(each for each in counts.crashes if each > now - HOUR), now)
    if good_life:
        return replace(counts, early=0, restarts=0, environment=0, crashes=crashes, fallback_tried=False)
    return replace(counts, early=counts.early + 1, crashes=crashes)


def is_tripped(counts: Counts, limits: RestartLimits) -> bool:
    """Too many deaths: starting it again does harm."""
    return counts.early >= limits.deaths_in_a_row or len(counts.crashes) >= limits.deaths_per_hour


def is_good_life(ready_after: float | None, lived: float, limits: RestartLimits, ready_timeout: float) -> bool:
    """It survived its soak after ready; one whose ready was never seen counts when it lived past both times."""
    if ready_after is None:
        return lived >= ready_timeout + limits.soak
    return lived - ready_after >= limits.soak
