"""What needs a person: one list, whoever asks for it: /status, the summary, the command line. Of the database and the
keeper alone, so that it is the same beside the bot and without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.keeper.protocol import Observed, ServerState
from pipeline.model import Need, Run, RunState, Topic
from pipeline.store import Branch, Fact, Store

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Seen:
    """What is observed of the server."""

    observed: Observed | None = None  # None = no keeper answers
    halted: str = ""  # who is stopped and does nothing, and the cure
    trouble: str = ""  # why it does not start
    cure: str = ""  # who is at fault, and what a person can do; "" = nobody has to


@dataclass(frozen=True)
class Links:
    """Pages of commits and comparisons, and the remote's name."""

    url: Callable[[str], str | None] = lambda commit: None
    compare: Callable[[str, str], str | None] = lambda base, branch: None
    remote: str = "origin"


def list_needs(store: Store, night: date, seen: Seen, links: Links) -> Iterator[Need]:
    """Most urgent first. What waits since an earlier night waits still."""
    yield from list_server_needs(seen)
    pause = store.get_pause()
    if pause is not None:
        yield Need(Topic.PAUSE, pause.by, pause.reason)
    for run in (*store.list_runs_in(RunState.AWAITING_APPROVAL, RunState.PROPOSED), *store.list_given_up(night - DAY)):
        yield _of_run(store, run)
    for owed in store.list_owed_branches():
        yield Need(Topic.PUSH, owed.name, owed.owed_reason or "")
    for branch in list_branches(store, night):
        compare = links.compare(branch.base, branch.name)
        yield Need(Topic.REVIEW, branch.name, fixes=store.count_fixes_of_branch(branch.name), url=compare)


def list_server_needs(seen: Seen) -> Iterator[Need]:
    """What the keeper and the machine tell by themselves."""
    observed = seen.observed
    if seen.halted:
        yield Need(Topic.SERVER, "halted", seen.halted)
    elif observed is None:
        yield Need(Topic.SERVER, "unknown")
    elif observed.state is ServerState.HELD:
        yield Need(Topic.SERVER, str(observed.hold or "held"), observed.hold_detail)
    elif seen.cure:
        yield Need(Topic.SERVER, "down", f"{seen.trouble}. {seen.cure}")


def _of_run(store: Store, run: Run) -> Need:
    topic = Topic.APPROVAL if run.state is RunState.AWAITING_APPROVAL else Topic.LOOK
    message = store.get_message_of_run(run.id)
    return Need(topic, run.subject, run.reason or "", run.id, message, run.state, run.question or "")


def list_branches(store: Store, night: date) -> list[Branch]:
    """Night branches with fixes that the base branch has not got yet, as far as it was looked at."""
    merged = store.get_fact(Fact.MERGED) or {}
    return [
        branch
        for branch in store.list_night_branches(night)
        if store.count_fixes_of_branch(branch.name) and merged.get(branch.name) != branch.head
    ]
