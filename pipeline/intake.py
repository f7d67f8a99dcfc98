"""What comes in: the keeper's events, and responses of analysts.

Each function can be called again at any moment: what was taken in is known by its row, not by having been told.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline import startup
from pipeline.card_models import PostKind
from pipeline.keeper.protocol import Event, EventKind
from pipeline.model import Analysis, Run, RunState
from pipeline.points import point
from pipeline.ports import Answer
from pipeline.store import NewPost, Refusal
from pipeline.tools import Tools

log = logging.getLogger(__name__)

SAID = ("pid", "build", "verdict", "status", "why", "detail", "error", "reason", "seconds", "revision")  # in our log
PASSING = (EventKind.HELD, EventKind.RELEASED, EventKind.READY_TIMEOUT)  # the post is closed once it is over
TOLD_AGAIN = timedelta(days=1)  # a fault of a swap that comes back


# --- events ----------------------------------------------------------------------------------------------------------


def import_events(tools: Tools) -> int:
    """Takes in every new event of the keeper, once; how many."""
    taken = 0
    for each in tools.keeper.events(tools.store.last_event()):
        at = datetime.fromtimestamp(each.at, UTC)
        log.info("keeper: %s %s", each.kind, {name: _round(each.data[name]) for name in SAID if each.data.get(name)})
        point("event.seen")
        posts = [] if was_told(tools, each, at) else posts_about(each)
        taken += tools.store.import_event(each, at, [*posts, *startup.posts_about(tools, each)])
    return taken


def _round(value: object) -> object:
    """Of a second, nobody reads more than the thousandths."""
    return round(value, 3) if isinstance(value, float) else value


def was_told(tools: Tools, event: Event, at: datetime) -> bool:
    """A build that cannot be put in place is tried again and again, and told once. One that is taken out again while
    it is being deployed has its card, and the words of the pause that follows."""
    if event.kind == EventKind.FELL_BACK:
        under_way = tools.store.get_lane()
        return any(each is not None and each.build == event.data.get("bad") for each in under_way)
    if event.kind != EventKind.SWAP_FAILED:
        return False
    same = [event.data.get(name) for name in ("build", "error")]
    earlier = tools.store.list_events(at - TOLD_AGAIN)
    return any(kind == event.kind and [data.get("build"), data.get("error")] == same for _, kind, data in earlier)


def posts_about(event: Event) -> list[NewPost]:
    """What the channel reads of an event; crashes have their card instead."""
    what = _what_happened(event)
    if what is None:
        return []
    detail = str(event.data.get("detail") or event.data.get("error") or event.data.get("why") or "")
    runs = None if event.kind == EventKind.OWN_BUILD else event.data.get("build")  # there it is the one that is gone
    data = {
        "what": what,
        "detail": detail,
        "build": runs,
        "by": event.data.get("by"),
        "rolled": event.data.get("rolled"),
    }
    return [NewPost(PostKind.SERVER, data, to_channel=True, offers=event.kind in PASSING)]


def _what_happened(event: Event) -> str | None:
    match event.kind:
        case EventKind.HELD:
            return f"held: {event.data.get('why')}"  # a newer keeper may have reasons of its own
        case EventKind.RELEASED:
            return "released"
        case EventKind.FELL_BACK:
            return "fell back"
        case EventKind.SWAP_FAILED:
            return "swap failed"
        case EventKind.FOREIGN:
            return "foreign"
        case EventKind.OWN_BUILD:
            return "own build"
        case EventKind.READY_TIMEOUT if not event.data.get("trial"):  # a trial's deployment has its own words
            return "not ready"
        case _:
            return None


# --- answers ---------------------------------------------------------------------------------------------------------


def take_answers(tools: Tools) -> int:
    """Stores every complete response in its run's row, then moves its file; how many moved a run."""
    answers = tools.analyst.answers()
    outcomes = [take_answer(tools, answer) for answer in answers]
    tools.store.note_refusals([each for each in outcomes if isinstance(each, Refusal)], tools.now())
    for answer, outcome in zip(answers, outcomes, strict=True):
        point("answer.stored")
        tools.analyst.file_away(answer, outcome is True)
        point("answer.moved")
    note_stuck(tools)
    return sum(outcome is True for outcome in outcomes)


def note_stuck(tools: Tools) -> None:
    stuck = tools.analyst.stuck
    if stuck is None:
        tools.degraded.pop("responses", None)
    else:
        tools.degraded["responses"] = stuck


def id_of(answer: Answer) -> str:
    """The id of its request; one without is known by its name, which may hold anything."""
    return answer.request_id or readable(answer.path.stem)


def readable(name: str) -> str:
    """A file's name as text: on Linux it may be no text at all."""
    return name.encode("utf-8", "replace").decode("utf-8")


def take_answer(tools: Tools, answer: Answer) -> bool | Refusal:
    """Whether the response was used (now, or already by an earlier passage that was killed before the move); why it
    cannot be, where that is yet to be noted."""
    request_id = id_of(answer)
    before = tools.store.find_answer(request_id, answer.digest)
    if before is not None:
        return before in tuple(RunState)
    run = tools.store.get_run_by_request(request_id)
    fault = why_unusable(answer, run)
    if fault is not None or run is None or answer.response is None:
        reason = tools.redact(fault or "unusable")
        return Refusal(request_id, answer.digest, tools.redact(readable(answer.path.name)), reason)
    return use(tools, answer, run)


def why_unusable(answer: Answer, run: Run | None) -> str | None:
    if answer.response is None:
        return answer.fault or "it cannot be read"
    if run is None:
        return "nobody asked for this: no request of ours has this id"
    if run.state not in (RunState.ANALYZING, RunState.PROPOSED):
        return f"it is too late: run {run.id} is {run.state}"
    return None


# What an analyst answered with, as a run's steps tell it.
SHAPES = {
    "A": "answered with whole files", "B": "answered with a replacement", "C": "answered in words",
    "ours": "answered with a change", "worktree": "answered by changing the source",
}  # fmt: skip


def use(tools: Tools, answer: Answer, run: Run) -> bool:
    response = answer.response
    if response is None:
        return False
    to = RunState.READY if response.patch is not None else RunState.PROPOSED
    prose = response.prose and tools.redact(response.prose)
    analysis = without_secrets(tools, response.analysis)
    reason = None if response.patch is not None else "the answer is in words, with no change"
    data = {"analysis": asdict(analysis), "prose": prose, "attempt": run.returns + 1}
    tools.store.take_answer(
        run, to, answer.digest, tools.now(), note=SHAPES[response.shape],
        posts=[NewPost(PostKind.ANALYSIS, data)], analysis=analysis, patch=response.patch, prose=prose,
        reason=reason,
    )  # fmt: skip
    return True


def without_secrets(tools: Tools, analysis: Analysis) -> Analysis:
    """Its texts end up in commit messages and in later requests, too."""
    texts = {name: each for name, each in asdict(analysis).items() if isinstance(each, str)}
    clean: dict[str, Any] = {name: tools.redact(each) for name, each in texts.items()}
    return replace(analysis, **clean)
