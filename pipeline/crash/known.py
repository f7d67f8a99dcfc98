"""What is known about crashes of playerbot realms: hints for whoever looks, never a verdict.

A family is known by its frames or by what the exception says; names and lines drift between revisions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.crash.names import normalise
from pipeline.model import CrashReport

_FRAMES = 24  # innermost frames that are looked at


@dataclass(frozen=True)
class Family:
    name: str
    pattern: re.Pattern[str]  # searched in `class | message | functions`, joined by " | "
    cause: str
    cure: str


def _family(name: str, pattern: str, cause: str, cure: str) -> Family:
    return Family(name, re.compile(pattern), cause, cure)


FAMILIES: tuple[Family, ...] = (
    _family(
        "bounding hierarchy",
        r"invalid node overlap|BIH::(?:subdivide|buildHierarchy)",
        "The bounding interval hierarchy found overlapping nodes: mostly corrupt map geometry.",
        "Where the maps are the cause, extract them again with this revision's tools; else look at what is inserted.",
    ),
    _family(
        "teleport acknowledgement",
        r"HandleMoveTeleportAck",
        "A bot's teleport is acknowledged in the same tick as its resurrection.",
        "Defer the acknowledgement by about 100 ms through the player's own event queue, and check that the player is "
        "still in the world.",
    ),
    _family(
        "remove list",
        r"Map::AddObjectToRemoveList",
        "An object is removed while its session is half up or half down.",
        "Check the session's state before removing.",
    ),
    _family(
        "spell modifier",
        r"Unit::DealDamage",
        "A spell modifier that bots never initialise may have been read.",
        "Do not read it for bots, or initialise it.",
    ),
    _family(
        "socket of a bot",
        r"(?:World)?Socket::CloseSocket",
        "A bot's session has no socket.",
        "Guard the access, or give bots a stub socket.",
    ),
    _family(
        "recursive lock",
        r"recursive_mutex|Resource deadlock",
        "The same lock is taken again below a bot's login.",
        "Narrow the scope of the lock, or try-lock.",
    ),
    _family(
        "event dispatcher",
        r"EventDispatcher::Unsubscribe",
        "Members die in reverse order: the dispatcher is gone before its subscribers, or an object in destruction is "
        "called virtually.",
        "End the managers explicitly first; take what is needed before unsubscribing.",
    ),
)


def find_family(report: CrashReport) -> Family | None:
    """The first known family that the report fits."""
    names = [name for frame in report.frames[:_FRAMES] if (name := normalise(frame.function))]
    said = report.exception.name if report.exception else None
    text = " | ".join(part for part in (report.category, said, *names) if part)
    return next((family for family in FAMILIES if family.pattern.search(text)), None)
