"""What came of what was ordered: derived from what the keeper told since, so that nothing has to be noted for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pipeline.card_models import Post
from pipeline.keeper.protocol import EventKind
from pipeline.read_models import OrderEnd
from pipeline.tools import Tools

# What an answer says of an order that was carried out, once it is known; AGAIN: held, and up since.
UP, HELD, AGAIN, OVER = "up", "held", "again", "over"
PAUSE = "pause"
BEGINNINGS = ("restarting", "released")  # `what` of the posts that the server is being started
UP_AFTER = "up_after"  # in the data of such a post: seconds until it was ready
LOOKED_FOR = timedelta(days=1)  # what did not come of an order by then did not come of it


@dataclass(frozen=True)
class Outcome:
    """Of an order: the server is ready, or down and held."""

    state: str  # UP or HELD
    at: datetime
    detail: str = ""  # of the hold


def find_outcome(tools: Tools, since: datetime, taken_out: str | None = None) -> Outcome | None:
    """The first that the keeper told since; None = not known yet. What gets ready with the build that a rollback is to
    take out is no end of it."""
    return next(_list_outcomes(tools.store.list_events(since), taken_out), None)


def find_told(tools: Tools, post: Post) -> Post | None:
    """News of a start that are over, with how long it took where the server is ready. None = it still starts."""
    if post.created_at < tools.now() - LOOKED_FOR:
        return post
    outcome = find_outcome(tools, post.created_at)
    if outcome is None:
        return None
    if outcome.state == HELD:
        return post
    return replace(post, data={**post.data, UP_AFTER: (outcome.at - post.created_at).total_seconds()})


def _list_outcomes(events: Iterable[tuple[datetime, str, dict[str, Any]]], taken_out: str | None) -> Iterator[Outcome]:
    """A server that was started before may get ready in the moment between the order and its stop."""
    begun: set[object] = set()
    for at, kind, data in events:
        if kind in (EventKind.SPAWNED, EventKind.ADOPTED):
            begun.add(data.get("pid"))
        elif kind == EventKind.HELD:
            yield Outcome(HELD, at, str(data.get("detail") or ""))
        elif kind == EventKind.READY and data.get("pid") in begun and not _is_build(data.get("build"), taken_out):
            yield Outcome(UP, at)


def _is_build(build: object, taken_out: str | None) -> bool:
    return taken_out is not None and build == taken_out


def tell_end(tools: Tools, end: OrderEnd) -> OrderEnd:
    """The same with what is known to have come of it."""
    if end.state != "done":
        return end
    if end.kind == PAUSE:
        pause = tools.store.get_pause()
        return end if pause is not None and pause.at <= end.ended_at else replace(end, state=OVER)
    outcomes = _list_outcomes(tools.store.list_events(end.ended_at), end.about)
    first = next(outcomes, None)
    if first is None:
        return end
    told = replace(end, state=first.state, note=first.detail, seen_at=first.at)
    up = next((each for each in outcomes if each.state == UP), None) if first.state == HELD else None
    return told if up is None else replace(told, state=AGAIN, up_at=up.at)
