"""One night as people want to read it in the morning. The values are what JSON holds: times are seconds since the
epoch, the night is ISO; each has a default, as a summary that waits in the outbox may be read by a newer version.

Who asks for a night is told of it from noon to noon. What is posted in the morning tells of all since the one before
it, so that nothing falls between two; the chart is that of its night.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo

from pipeline import policy
from pipeline.keeper.protocol import EventKind
from pipeline.model import OF_WHAT_WENT, FixState, Run, RunKind, RunState
from pipeline.needs import (
    Links,
    Review,
    Seen,
    Waiting,
    came_again,
    gather_waiting,
    is_being_taken_out,
    is_brought_again,
    is_fixed,
    is_gone,
    is_live,
    list_machine_needs,
    list_needs,
)
from pipeline.status_models import Need, Rider, Setback
from pipeline.store import Branch, Store
from pipeline.store.nights import NightCard, Stretch
from pipeline.timeline import Happening, Phase, Span, Start, list_starts, seconds_of, trace_server

TELLING = (
    EventKind.SPAWNED, EventKind.ADOPTED, EventKind.READY, EventKind.STOPPING, EventKind.EXITED,
    EventKind.SPAWN_FAILED, EventKind.HELD,
)  # fmt: skip
BEING_REVERTED = "being reverted"
BROUGHT_AGAIN = "brought again"  # only in what was taken back, and that is live again
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class BranchLine:
    """A night branch with changes that nobody merged yet."""

    name: str = ""
    remote: str = "origin"
    fixes: int = 0
    compare: str | None = None  # the page that shows them all
    pushed: bool = True
    riders: tuple[Rider, ...] = ()  # what a merge would bring beside the fixes
    setback: Setback | None = None  # why it is not to be merged, and what is brought in instead
    uncured: int = 0  # commits beside the fixes that are live and did not cure their crash
    reverts: int = 0  # of fixes that the base branch has
    base: str = ""  # the base branch, "" = not known


@dataclass(frozen=True)
class FixedLine:
    subject: str = ""
    commit: str = ""
    url: str | None = None
    cause: str | None = None
    files: int = 0
    added: int = 0  # lines
    removed: int = 0  # lines
    verdict: str | None = None
    live_since: float | None = None
    crashes: int = 0  # on its card
    message: str | None = None
    only_taken_back: bool = False  # it was seen only in a build that was taken back
    absent: bool = False  # what runs now has it not


@dataclass(frozen=True)
class UnfixedLine:
    subject: str = ""
    crashes: int = 0  # this night
    # a RunState, "paused", "in queue", "hindered", "stuck", OF_WHAT_WENT, BEING_REVERTED, BROUGHT_AGAIN,
    # "environment", "recurred"; else what became of it
    state: str = ""
    why: str = ""
    message: str | None = None
    tries: int = 0  # answers of its analyst, the awaited one too; 0 = nobody is asked, or a commit came of one


@dataclass(frozen=True)
class UndoneLine:
    """A fix that was taken back."""

    subject: str = ""
    commit: str = ""  # that took it back
    url: str | None = None
    by: str | None = None  # operator, None = the pipeline
    why: str = ""


@dataclass(frozen=True)
class UpdateLine:
    """The base was moved, and it holds."""

    commit: str = ""  # of the base branch
    url: str | None = None
    by: str | None = None  # operator
    at: float | None = None  # seconds since the epoch: when it was live


@dataclass(frozen=True)
class CrashLine:
    title: str = ""
    crashes: int = 0
    before: int = 0  # the night before


@dataclass(frozen=True)
class Counts:
    crashes: int = 0
    kinds: int = 0
    crashes_before: int = 0  # the night before
    kinds_before: int = 0
    starts: int = 0  # that an end came before
    deployed: int = 0  # of those: another build was put in place, by us and not with a restart after a crash
    up: float = 0.0  # seconds
    down: float = 0.0  # seconds, planned stops and starts included
    recovery: float | None = None  # seconds from a crash to ready, median
    not_back: bool = False  # the last crash was not followed by a server that was ready


@dataclass(frozen=True)
class Mark:
    """A moment on the chart."""

    at: float
    what: str


@dataclass(frozen=True)
class Chart:
    begin: float = 0.0
    end: float = 0.0  # of the night
    until: float = 0.0  # how far it is told
    server: tuple[Span, ...] = ()
    crashes: tuple[float, ...] = ()
    builds: tuple[Span, ...] = ()  # `what` is built or failed
    deployments: tuple[Mark, ...] = ()  # `what` is the verdict, "" = none yet
    hours: tuple[Mark, ...] = ()  # every third: `what` is what clocks of the realm show


@dataclass(frozen=True)
class NightSummary:
    realm: str = ""
    night: str = ""  # YYYY-MM-DD, its evening
    over: bool = True  # False: it goes on
    told: float | None = None  # seconds since the epoch: when this was gathered
    needs: tuple[Need, ...] = ()
    degraded: tuple[str, ...] = ()  # what does not work
    branches: tuple[BranchLine, ...] = ()
    fixed: tuple[FixedLine, ...] = ()
    unfixed: tuple[UnfixedLine, ...] = ()
    undone: tuple[UndoneLine, ...] = ()
    updates: tuple[UpdateLine, ...] = ()  # oldest first
    crashes: tuple[CrashLine, ...] = ()
    counts: Counts = Counts()
    chart: Chart = Chart()


@dataclass(frozen=True)
class Scene:
    """What a summary is made of beside the database."""

    realm: str
    now: datetime
    zone: tzinfo | None  # None = the machine's own
    seen: Seen
    links: Links
    degraded: Sequence[str] = ()
    free: int | None = None  # bytes in the state folder; None = not known


def summarize(store: Store, night: date, scene: Scene, stretch: Stretch | None = None) -> NightSummary:
    """The night, as far as it has come; its lists and figures of another stretch of time, if that is given. Reads the
    database only."""
    stretch = stretch or stretch_of(night, scene.zone)
    cards = store.list_night_cards(stretch)
    end = policy.night_begins(night + DAY, scene.zone)
    current = store.night_of(scene.now) == night or scene.now - end < DAY
    waiting = gather_waiting(store, night)
    machine = list_machine_needs(scene.degraded, scene.free)
    told = list_told(store, stretch)
    fixed = [run for run in told if is_fixed(run, waiting.reverts)]
    empty = frame(night, scene.now, scene.zone)
    begin, until = stretch.begin.timestamp(), min(stretch.until, scene.now).timestamp()
    happenings = read_happenings(store, min(empty.begin, begin), max(empty.until, until))
    starts = [each for each in list_starts(happenings) if begin <= each.at < until]
    return NightSummary(
        realm=scene.realm,
        night=night.isoformat(),
        over=scene.now >= end,
        told=scene.now.timestamp(),
        needs=tuple(list_needs(store, waiting, scene.now, scene.seen, scene.links, machine)) if current else (),
        degraded=tuple(scene.degraded) if current else (),
        branches=tuple(_branch(scene, each) for each in waiting.reviews if _is_told(each.branch, night, fixed)),
        fixed=tuple(sorted((_fixed(store, scene, run) for run in fixed), key=lambda line: -line.crashes)),
        unfixed=tuple(_list_unfixed(store, cards, waiting)),
        undone=tuple(_list_undone(store, scene, told, waiting)),
        updates=tuple(_update(store, scene, run) for run in told if is_update(run)),
        crashes=tuple(CrashLine(each.title, each.crashes, each.before) for each in cards),
        counts=_count(store, stretch, trace_server(happenings, begin, until), starts),
        chart=draw(store, happenings, empty),
    )


def stretch_of(night: date, zone: tzinfo | None) -> Stretch:
    return Stretch(*(policy.night_begins(night + days * DAY, zone) for days in (-1, 0, 1)))


def list_told(store: Store, stretch: Stretch) -> list[Run]:
    """Runs that came to their end then, and changes that came back then, as what had taken them out went; oldest
    first."""
    last: dict[str, tuple[datetime, Run]] = {}
    for run, at in store.list_turned(stretch.begin):
        over = run.state in (RunState.SUCCEEDED, RunState.ROLLED_BACK)
        last.update({each.id: (at, each) for each in (run, *(_list_touched(store, run) if over else ()))})
    return [run for at, run in sorted(last.values(), key=lambda each: each[0]) if at < stretch.until]


def _list_touched(store: Store, revert: Run) -> Iterator[Run]:
    """The changes that a revert took out or brought back; a run of another kind has none."""
    for undone in filter(None, map(store.get_run_by_commit, revert.undoes)):
        yield from _list_touched(store, undone) if undone.kind is RunKind.REVERT else (undone,)


# --- what became of the crashes --------------------------------------------------------------------------------------


def _is_told(branch: Branch, night: date, fixed: Sequence[Run]) -> bool:
    """How to merge it: in the summary of its night, and in those of what went live on it since."""
    return branch.night == night or any(run.branch == branch.name for run in fixed)


def _branch(scene: Scene, review: Review) -> BranchLine:
    branch, compare = review.branch, scene.links.compare(review.branch.base, review.branch.name)
    pushed = branch.pushed == branch.head
    return BranchLine(
        branch.name, scene.links.remote, review.fixes, compare, pushed, review.riders, review.setback, review.uncured,
        review.reverts, review.base,
    )  # fmt: skip


def _list_undone(store: Store, scene: Scene, told: Sequence[Run], waiting: Waiting) -> Iterator[UndoneLine]:
    """By reverts that stand, of an operator or of a rollback: each change that one took out, whose ever card it is on;
    not what was itself a revert, as that brought something back."""
    over, updates = (RunState.SUCCEEDED, RunState.ROLLED_BACK), store.list_live_updates()
    made = [run for run in told if run.kind is RunKind.REVERT and run.state in over]
    for revert in made:
        if revert.commit is None or policy.find_revert(revert.commit, waiting.reverts) is not None:
            continue
        undone = [run for run in map(store.get_run_by_commit, revert.undoes) if run is not None]
        back = [run for run in undone if is_live(run) or is_brought_again(run, updates, waiting.reverts)]
        gone = [run for run in undone if run.kind is not RunKind.REVERT and run not in back]
        yield from (_undone(scene, revert, run) for run in gone)


def _fixed(store: Store, scene: Scene, run: Run) -> FixedLine:
    deployment = store.get_deployment(run.deployment) if run.deployment else None
    ready = deployment.ready_at if deployment else None
    return FixedLine(
        subject=run.subject,
        commit=run.commit or "",
        url=scene.links.url(run.commit) if run.commit else None,
        cause=run.analysis.summary if run.analysis else None,
        files=len(run.changes),
        added=sum(each.added for each in run.changes),
        removed=sum(each.removed for each in run.changes),
        verdict=run.verdict,
        live_since=ready.timestamp() if ready else None,
        crashes=store.count_card_crashes(run.id),
        message=store.get_message_of_run(run.id),
        only_taken_back=is_gone(store, run.signature),
        absent=run.id in store.list_absent(),
    )


def _list_unfixed(store: Store, cards: Sequence[NightCard], waiting: Waiting) -> Iterator[UnfixedLine]:
    for card in cards:
        if any(is_fixed(run, waiting.reverts) for run in card.runs):
            continue
        fixes = [run for run in card.runs if run.kind is RunKind.FIX]
        tries = fixes[-1].returns + 1 if fixes and fixes[-1].commit is None else 0
        if fixes:
            state, why = _stand(store, fixes[-1], waiting), fixes[-1].reason
        else:
            went = card.signature if card.judged == OF_WHAT_WENT else None
            again = went is not None and came_again(store, went)
            state = BROUGHT_AGAIN if again else card.judged or "not read yet"
            why = (card.report or {}).get("cure") if card.judged == "environment" else None
        yield UnfixedLine(card.title, card.crashes, state, why or "", card.message, tries)


def _stand(store: Store, run: Run, waiting: Waiting) -> str:
    """Of a run that has not fixed its crash."""
    if waiting.pause is not None and policy.waits_for_resume(run, asked=store.was_asked(run)):
        return "paused"
    if any(each.id == run.id for each in waiting.unanswered):
        return "in queue"
    if policy.is_kept_out(run):
        return "stuck"
    if policy.is_hindered(run):
        return "stuck" if policy.is_stuck(run) else "hindered"
    if run.state in (RunState.ROLLED_BACK, RunState.FAILED) and is_gone(store, run.signature):
        return OF_WHAT_WENT
    if is_being_taken_out(run, waiting.reverts):
        return BEING_REVERTED
    return (run.fix_state if run.state is RunState.SUCCEEDED else None) or run.state  # recurred, or reverted


def _undone(scene: Scene, revert: Run, run: Run) -> UndoneLine:
    commit = revert.commit or ""
    why = run.reason if revert.asked_by is None else None  # what an ordered revert tells is how it went itself
    return UndoneLine(run.subject, commit, scene.links.url(commit), revert.asked_by, why or "")


def is_update(run: Run) -> bool:
    """Of the base, live and not taken back."""
    return run.kind is RunKind.UPDATE and run.state is RunState.SUCCEEDED and run.fix_state is not FixState.REVERTED


def _update(store: Store, scene: Scene, run: Run) -> UpdateLine:
    deployment = store.get_deployment(run.deployment) if run.deployment else None
    ready = deployment.ready_at if deployment else None
    commit = (run.patch.merges if run.patch else None) or ""
    return UpdateLine(commit, scene.links.url(commit), run.asked_by, ready.timestamp() if ready else None)


# --- figures and the chart -------------------------------------------------------------------------------------------


def _count(store: Store, stretch: Stretch, server: Sequence[Span], starts: Sequence[Start]) -> Counts:
    crashes, kinds = store.count_crashes_between(stretch.begin, stretch.until)
    crashes_before, kinds_before = store.count_crashes_between(stretch.before, stretch.begin)
    recoveries = store.list_recoveries(stretch.begin, stretch.until)
    seen = [each for each in recoveries if each is not None]
    return Counts(
        crashes, kinds, crashes_before, kinds_before,
        starts=len(starts),
        deployed=sum(each.deploys for each in starts),
        up=seconds_of(server, Phase.UP),
        down=seconds_of(server, Phase.STARTING, Phase.STOPPING, Phase.DOWN, Phase.HELD),
        recovery=statistics.median(seen) if seen else None,
        not_back=bool(recoveries) and recoveries[-1] is None,
    )  # fmt: skip


def read_happenings(store: Store, begin: float, until: float) -> list[Happening]:
    """Oldest first; the first ones may be of before the night, and say how that began."""
    rows = store.list_events_until(TELLING, _moment(begin), _moment(until))
    return [Happening(row.at.timestamp(), row.kind, row.data) for row in rows]


def frame(night: date, now: datetime, zone: tzinfo | None) -> Chart:
    """The chart of a night in which nothing happened."""
    begin, end = policy.night_begins(night, zone), policy.night_begins(night + DAY, zone)
    until = min(max(now, begin), end)
    return Chart(begin.timestamp(), end.timestamp(), until.timestamp(), hours=tuple(_hours(begin, end, zone)))


def draw(store: Store, happenings: Sequence[Happening], empty: Chart) -> Chart:
    """What the chart shows."""
    begin, until = _moment(empty.begin), _moment(empty.until)
    builds = [(each, each.begun.timestamp()) for each in store.list_builds_between(begin, until)]
    return replace(
        empty,
        server=trace_server(happenings, empty.begin, empty.until),
        crashes=tuple(at.timestamp() for at in store.list_crash_times(begin, _moment(empty.end))),
        builds=tuple(Span(begun, begun + (each.seconds or 0.0), each.state) for each, begun in builds),
        deployments=tuple(
            Mark((each.wished_at or each.created_at).timestamp(), each.verdict or "")
            for each in store.list_deployments_between(begin, until)
        ),
    )


def _hours(begin: datetime, end: datetime, zone: tzinfo | None) -> Iterator[Mark]:
    at = begin
    while at <= end:
        yield Mark(at.timestamp(), f"{at.astimezone(zone):%H}")
        at += 3 * HOUR


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
