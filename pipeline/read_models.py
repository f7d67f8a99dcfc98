"""What people ask to see beside cards and `/status`: read models, filled by plans.py, rendered by bot/."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class RollbackPlan:
    """What /rollback asks about."""

    running: str  # the build that is taken out
    target: str  # the build that goes in again
    healthy_at: datetime | None  # when the target was found healthy
    subjects: tuple[str, ...]  # of the changes that are taken back, newest first
    verifying: bool  # what runs is still being verified
    down_seconds: float | None  # expected, None = not known
    players: int | None
    notice: float  # seconds in which players are told and it can be cancelled


@dataclass(frozen=True)
class OrderEnd:
    """An order that is over while its answer in the channel still says that it waits."""

    id: int
    kind: str  # "restart", "stop", "rollback"
    state: str  # "done", "cancelled", "lapsed", "failed"
    by: str
    reason: str
    due: datetime
    ended_at: datetime
    note: str  # who cancelled it, or why it failed
    place: str  # channel or thread of the answer
    message: str
