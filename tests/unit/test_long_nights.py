"""Nights of 8 and 14 hours, played in seconds: what the bot made of them is exactly what happened, and no more.

Each `…_is_…` below yields what is wrong, in words, so that a night tells all of it at once.
"""

import gc
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from long_nights import NOON, NOT_COMPILING, LongNight
from world import START

from pipeline import policy
from pipeline import tables as t
from pipeline.keeper.protocol import ServerState
from pipeline.model import CHANGE_LANE, CLOSED, DEPLOY_LANE, OF_WHAT_WENT, RunKind, RunState

pytestmark = pytest.mark.timeout(240)

MORNING = START + timedelta(hours=3)  # 01:00: fourteen hours from there reach the next afternoon
NEXT_NOON = START + timedelta(hours=14)
STANDING = (*CHANGE_LANE, RunState.AWAITING_DEPLOYMENT, *DEPLOY_LANE)
ROOM = 64 << 10  # bytes that what lives of the pipeline may grow by in the hours after the middle
MOST_EVENTS = 14  # of one run: every state there is, not one of them twice without a round of its own


async def test_long_night_of_14_hours_keeps_its_branch_over_noon_as_long_as_a_run_stands_on_it(tmp_path: Path) -> None:
    night = LongNight(tmp_path, seed=3, hours=14, begins=MORNING, noon=NEXT_NOON)
    await night.play()
    await night.world.runner.close()
    assert list_faults(night) == []
    branches = {run.subject: run.branch for run in night.world.runs() if run.subject in NOON}
    assert branches == {
        "Before::Noon": "overnight-20261122",
        "At::Noon": "overnight-20261122",
        "After::Noon": "overnight-20261123",
    }


async def test_long_night_of_8_hours_is_counted_exactly_and_takes_no_more_memory_after_its_middle(
    tmp_path: Path,
) -> None:
    night = LongNight(tmp_path, seed=1, hours=8)
    await night.play(until=night.begins + timedelta(hours=4))
    tracemalloc.start()
    try:
        await night.play(until=night.begins + timedelta(hours=4.5))  # so that what is met again counts on both sides
        before = measure_pipeline()
        await night.play()
        grown = measure_pipeline() - before
    finally:
        tracemalloc.stop()
    await night.world.runner.close()
    assert list_faults(night) == []
    assert grown < ROOM


def measure_pipeline() -> int:
    """Bytes that our code holds, the fakes' memory of the whole night left out."""
    gc.collect()
    kept = tracemalloc.take_snapshot().filter_traces(
        [
            tracemalloc.Filter(True, "*/pipeline/*"),
            tracemalloc.Filter(False, "*/pipeline/keeper/protocol.py"),
            tracemalloc.Filter(False, "*/pipeline/stages/wish.py"),
        ]
    )
    return sum(each.size for each in kept.traces)


def list_faults(night: LongNight) -> list[str]:
    return [f"{check.__name__}: {what}" for check in CHECKS for what in check(night)]


# --- exact -----------------------------------------------------------------------------------------------------------


def every_crash_is_counted_once_on_its_card(night: LongNight) -> Iterator[str]:
    rows = night.rows(t.crashes)
    cards = {row["id"]: row for row in night.rows(t.cards)}
    told = Counter(row["exact"].split(" | ")[1] for row in rows if row["judged"])
    if told != night.book.crashes:
        yield f"{told} instead of {night.book.crashes}"
    for name, times in Counter((card["title"], card["night"]) for card in cards.values()).items():
        if times > 1:
            yield f"{name} has {times} cards"
    for row in rows:
        if cards[row["card"]]["title"] not in row["exact"]:
            yield f"a crash of {row['exact']} is on the card of {cards[row['card']]['title']}"
    shown = Counter({card["title"]: 0 for card in cards.values()})
    for number, card in cards.items():
        shown[card["title"]] += night.world.ledger.get_card_view(number).occurrences
    if +shown != night.book.crashes:
        yield f"cards show {+shown} instead of {night.book.crashes}"


def every_run_has_its_cause(night: LongNight) -> Iterator[str]:
    runs = night.world.runs()
    begun = [row["run"] for row in night.rows(t.crashes) if row["judged"] == "run"]
    again = [run.id for run in runs if run.retry_of is not None]
    fixes = [run.id for run in runs if run.kind is RunKind.FIX]
    if sorted(fixes) != sorted(begun + again):
        yield f"runs {sorted(fixes)}, begun by crashes {sorted(begun)}, tried again {sorted(again)}"
    rolled_back = [row["id"] for row in night.rows(t.deployments) if row["verdict"] == "unhealthy"]
    reverts = [run.id for run in runs if run.kind is RunKind.REVERT]
    if len(reverts) != night.book.reverts + len(rolled_back):
        yield f"{len(reverts)} reverts for {night.book.reverts} orders and {len(rolled_back)} rollbacks"
    for (signature, when), times in Counter((run.signature, run.night) for run in runs if run.id in fixes).items():
        if times > night.world.realm.max_tries:
            yield f"{signature} was tried {times} times on {when}"


def every_request_is_written_once_a_round(night: LongNight) -> Iterator[str]:
    rounds = Counter(request.split("-")[0] for request in night.book.asked)
    failed = Counter(run for run, _, worth in night.book.answers if worth in NOT_COMPILING)
    for run in night.world.runs():
        expected = 1 + min(failed[run.id], 2) if run.kind is RunKind.FIX else 0
        if rounds[run.id] != expected:
            yield f"run {run.id} ({run.subject}) was asked about {rounds[run.id]} times instead of {expected}"
    yield from (f"{name} was written {times} times" for name, times in night.book.asked.items() if times > 1)


def every_answer_is_used_or_refused(night: LongNight) -> Iterator[str]:
    analyst = night.world.analyst
    found = (len(analyst.completed), len(analyst.rejected), len(analyst.lying))
    expected = (len(night.book.answers), len(night.book.late), 0)
    if found != expected:
        yield f"{found} used, refused and left instead of {expected}"


def every_post_is_made_and_delivered_once(night: LongNight) -> Iterator[str]:
    yield from (f"post {number} was delivered {times} times" for number, times in night.book.posts.items() if times > 1)
    if left := night.world.store.count_undelivered():
        yield f"{left} cards and posts are not delivered"
    expected = count_posts(night)
    said = {kind: night.book.said[kind] for kind in expected}
    if said != expected:
        yield f"{said} instead of {expected}"


def count_posts(night: LongNight) -> dict[str, int]:
    """By what happened, not by what was said."""
    worth = Counter(worth for _, _, worth in night.book.answers)
    runs = night.world.runs()
    carried = Counter(run.deployment for run in runs)
    deployments = night.rows(t.deployments)
    failed = [run for run in runs if run.kind is RunKind.REVERT and run.state is RunState.FAILED]
    return {
        "analysis": len(night.book.answers),
        "backtrace": sum(row["judged"] in ("run", OF_WHAT_WENT) for row in night.rows(t.crashes)),
        "build_failed": worth["once"] + worth["never"],
        "refused": worth["refused"] + len(failed),
        "built": sum(row["before"] == RunState.PUBLISHING for row in night.rows(t.run_events)),
        "deployed": sum(carried[row["id"]] for row in deployments if row["ready_at"]),
        "verdict": sum(carried[row["id"]] for row in deployments if row["verdict"]),
        "order": len(night.book.restarts),
        "pipeline paused": night.book.pauses,
        "rejected_response": len(night.book.late),
        "summary": sum(night.begins < each <= night.ends for each in list_mornings(night)),
    }


def list_mornings(night: LongNight) -> list[datetime]:
    first = night.begins.date()
    return [datetime(day.year, day.month, day.day, 8, tzinfo=night.begins.tzinfo)
            for day in (first, first + timedelta(days=1))]  # fmt: skip


# --- at rest ---------------------------------------------------------------------------------------------------------


def every_run_has_ended_or_waits_for_somebody(night: LongNight) -> Iterator[str]:
    open_requests = set(night.book.asked) - {request for _, request, _ in night.book.answers}
    for run in night.world.runs():
        waits = run.state is RunState.ANALYZING and run.request_id in open_requests
        if run.state not in CLOSED and not waits:
            yield f"run {run.id} ({run.subject}) is {run.state}: {run.reason}"
    for row in night.rows(t.deployments):
        if row["state"] not in ("over", "rolled back"):
            yield f"deployment {row['id']} is {row['state']}"


def what_runs_is_what_was_found_well(night: LongNight) -> Iterator[str]:
    observed = night.world.keeper.observed()
    if observed is None or observed.state is not ServerState.READY:
        yield f"the server is {observed}"
    running = night.world.source.commits.get(night.world.running or "")
    for path, text in running.files.items() if running else ():
        if text.startswith(("dies", "worse", "once", "never", "refused")):
            yield f"{path} runs with {text!r}"


def the_remote_has_what_was_built(night: LongNight) -> Iterator[str]:
    heads = {row["name"]: row["head"] for row in night.rows(t.branches)}
    if night.world.source.remote != heads:
        yield f"the remote has {night.world.source.remote} instead of {heads}"
    built = {*night.world.builder.archive}
    yield from (f"{branch} ends with what was never built" for branch, head in heads.items() if head not in built)


def a_branch_changes_only_when_nothing_stands_on_the_one_before(night: LongNight) -> Iterator[str]:
    branches = sorted(night.rows(t.branches), key=lambda row: row["created_at"])
    for before, after in pairwise(branches):
        if before["night"] == after["night"] and not before["ended"]:
            yield f"{after['name']} began beside {before['name']}"
        standing = [run.id for run in night.world.runs() if run.branch == before["name"]
                    and find_state(night, run.id, find_first_commit(night, after["name"])) in STANDING]  # fmt: skip
        if standing:
            yield f"{after['name']} began while {standing} stood on {before['name']}"
    for row in branches:
        if row["night"] != night_of(row["created_at"]):
            yield f"{row['name']} was begun in the night of {night_of(row['created_at'])}"


def find_first_commit(night: LongNight, branch: str) -> int:
    """The move with which it was made."""
    runs = {run.id for run in night.world.runs() if run.branch == branch}
    return min(int(row["id"]) for row in night.rows(t.run_events)
               if row["run"] in runs and row["after"] == RunState.BUILDING)  # fmt: skip


def find_state(night: LongNight, run: str, move: int) -> str | None:
    """Of a run, before that move of any run."""
    rows = [row for row in night.rows(t.run_events) if row["run"] == run and row["id"] < move]
    return max(rows, key=lambda row: int(row["id"]))["after"] if rows else None


def night_of(at: datetime) -> date:
    return policy.night_of(at, START.tzinfo)


# --- nothing grows ---------------------------------------------------------------------------------------------------


def tables_hold_what_happened_and_no_more(night: LongNight) -> Iterator[str]:
    runs, deployments = night.world.runs(), night.rows(t.deployments)
    rounds = len(night.book.asked) + len(runs)
    for name, found, most in (
        ("events", len(night.rows(t.events)), len(night.world.keeper.journal)),
        ("moves of runs", len(night.rows(t.run_events)), MOST_EVENTS * rounds),
        ("answers", len(night.rows(t.answers)), len(night.book.answers) + len(night.book.late)),
        ("builds", len(night.rows(t.builds)), len(night.world.builder.built) + len(night.world.builder.warmed) + 1),
        ("children", len(night.rows(t.children)), 0),
        ("wishes", len(night.world.keeper.wishes), 6 * len(deployments) + 2 * len(night.book.restarts) + 10),
    ):  # fmt: skip
        if found > most:
            yield f"{found} {name}, at most {most}"


def nothing_is_left_in_the_runner(night: LongNight) -> Iterator[str]:
    """After its end."""
    runner = night.world.runner
    if runner._tasks or runner._passages or runner._analyses:
        yield f"tasks {[*runner._tasks]}, passages {[*runner._passages, *runner._analyses]}"
    for thread in [each for each in threading.enumerate() if each.name.startswith("pipeline")]:
        thread.join(10)
        if thread.is_alive():
            yield f"{thread.name} lives on"


CHECKS: tuple[Callable[[LongNight], Iterator[str]], ...] = (
    every_crash_is_counted_once_on_its_card,
    every_run_has_its_cause,
    every_request_is_written_once_a_round,
    every_answer_is_used_or_refused,
    every_post_is_made_and_delivered_once,
    every_run_has_ended_or_waits_for_somebody,
    what_runs_is_what_was_found_well,
    the_remote_has_what_was_built,
    a_branch_changes_only_when_nothing_stands_on_the_one_before,
    tables_hold_what_happened_and_no_more,
    nothing_is_left_in_the_runner,
)
