"""What needs a person: one list, whoever asks for it: /status, the summary, the command line. Of the database and the
keeper alone, so that it is the same beside the bot and without one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from pipeline import obstacles, policy
from pipeline.card_models import Death
from pipeline.keeper.protocol import Observed, ServerState
from pipeline.model import CHANGE_LANE, LIVE, OURS, OVER, FixState, Run, RunKind, RunState, Signature, Verdict
from pipeline.status_models import Left, Need, PauseView, Rider, Setback, Stale, Topic
from pipeline.store import Branch, Deployment, Fact, Store
from pipeline.tools import Tools

DAY = timedelta(days=1)
NO_ROOM = 16 << 20  # bytes free in the state folder, below which not all can be noted
REVIEWED = 14  # nights: how long a branch waits for its review, and is looked for in the base branch
UNANSWERED = timedelta(minutes=30)  # after which somebody should see who reads the queue, or what the remote refuses


@dataclass(frozen=True)
class Seen:
    """What is observed of the server."""

    observed: Observed | None = None  # None = no keeper answers
    halted: str = ""  # who is stopped and does nothing, and the cure
    left: Left | None = None  # what is there while no keeper lives
    stale: Stale | None = None  # what is there while its keeper cannot report
    trouble: str = ""  # why it does not start
    cure: str = ""  # who is at fault, and what a person can do; "" = nobody has to
    late: str | None = None  # what its start still waits for beyond its time; None = it has time, or is ready


@dataclass(frozen=True)
class Links:
    """Pages of commits and comparisons, the remote's name, and whether the queue has a reader of ours."""

    url: Callable[[str], str | None] = lambda commit: None
    compare: Callable[[str, str], str | None] = lambda base, branch: None
    remote: str = "origin"
    has_command: bool = False  # ANALYST_COMMAND is set: it takes each request by itself, once


@dataclass(frozen=True)
class Review:
    """A night branch with changes that the base branch has not got yet, as far as it was looked at."""

    branch: Branch
    fixes: int
    reverts: int  # of fixes that the base branch has, and that are live without them
    uncured: int  # commits beside them that are live and did not cure their crash
    riders: tuple[Rider, ...]  # what a merge would bring beside them
    setback: Setback | None  # why it is not to be merged
    base: str  # the name of the base branch, "" = not known


@dataclass(frozen=True)
class Waiting:
    """What the database holds that may need somebody, read once for whatever shows it."""

    night: date
    pause: PauseView | None
    asking: list[Run]
    stuck: list[Run]
    given_up: list[Run]
    unanswered: list[Run]
    owed: list[Branch]
    reviews: list[Review]
    reverts: list[Run]  # all there are


def gather_waiting(store: Store, night: date) -> Waiting:
    """What waits since an earlier night waits still."""
    pause, reverts = store.get_pause(), store.list_reverts()
    return Waiting(
        night=night,
        pause=pause,
        asking=store.list_runs_in(RunState.AWAITING_APPROVAL, RunState.PROPOSED),
        stuck=list_stuck(store, pause),
        given_up=list_given_up(store, night - DAY, reverts),
        unanswered=store.list_unanswered(),
        owed=store.list_owed_branches(),
        reviews=list_reviews(store, night, reverts),
        reverts=reverts,
    )


def list_needs(
    store: Store, waiting: Waiting, now: datetime, seen: Seen, links: Links, machine: Iterable[Need] = ()
) -> Iterator[Need]:
    """Most urgent first."""
    yield from list_server_needs(seen)
    yield from machine
    if waiting.pause is not None:
        yield _of_pause(store, waiting.pause)
    for run in (*waiting.asking, *waiting.stuck, *waiting.given_up):
        yield _of_run(store, run)
    for run in waiting.unanswered:
        taken = links.has_command and not run.attempts and not run.reason  # or will be, once our clone is there
        if not taken and (
            not links.has_command or now - run.updated_at >= UNANSWERED
        ):  # else a person's from the start
            since = run.updated_at.timestamp()
            yield replace(_of_run(store, run), topic=Topic.ANSWER, since=since)
    for owed in waiting.owed:
        if owed.owed_since is not None and now - owed.owed_since >= UNANSWERED:
            yield Need(Topic.PUSH, owed.name, owed.owed_reason or "", since=owed.owed_since.timestamp())
    for each in waiting.reviews:
        compare = links.compare(each.branch.base, each.branch.name)
        name, riders, setback = each.branch.name, each.riders, each.setback
        yield Need(
            Topic.REVIEW, name, fixes=each.fixes, reverts=each.reverts, uncured=each.uncured, url=compare,
            riders=riders, setback=setback,
        )  # fmt: skip


def list_server_needs(seen: Seen) -> Iterator[Need]:
    """What the keeper and the machine tell by themselves."""
    observed = seen.observed
    if seen.halted:
        yield Need(Topic.SERVER, "halted", seen.halted)
    elif seen.stale is not None:
        yield from _of_stale(seen.stale)
    elif observed is None:
        yield from _of_left(seen.left)
    elif observed.state is ServerState.HELD:
        held = str(observed.hold or "held")
        yield Need(Topic.SERVER, held, observed.hold_detail, since=find_down_since(observed))
    elif seen.late is not None:
        yield Need(Topic.SERVER, "not ready", seen.late, since=observed.started)
    elif seen.cure:
        yield Need(Topic.SERVER, "down", f"{seen.trouble}. {seen.cure}")


def _of_stale(stale: Stale) -> Iterator[Need]:
    """One that runs does so by what hinders its keeper's report alone, which is told by itself."""
    if stale.server is None:
        yield Need(Topic.SERVER, "unreported", str(stale.keeper), since=stale.at)


def list_machine_needs(degraded: Sequence[str], free: int | None) -> Iterator[Need]:
    """Of all that does not work what a person can mend, once for each cause: a full disk hinders much. `free` bytes in
    the state folder."""
    causes: set[str] = set()
    if free is not None and free < NO_ROOM:
        causes.add(obstacles.ROOM)
        yield Need(Topic.DEGRADED, obstacles.ROOM, str(free))
    for words in degraded:
        cause = obstacles.find_cause(words)
        if cause is not None and cause not in causes:
            causes.add(cause)
            yield Need(Topic.DEGRADED, cause, words)


def find_down_since(seen: Observed | None) -> float | None:
    """Seconds since the epoch; None = it runs, or nobody knows. Not while it is tried again and again: the last try was
    no server that was up."""
    end = seen.last_exit if seen is not None and seen.pid is None else None
    if seen is None or end is None or (seen.state is not ServerState.HELD and end.ready_after is None):
        return None
    return end.at


def _of_left(left: Left | None) -> Iterator[Need]:
    """Nothing where somebody has ended both in order."""
    if left is None:
        yield Need(Topic.SERVER, "unknown")
    elif left.server is not None:
        yield Need(Topic.SERVER, "alone", str(left.server))
    elif not left.in_order:
        yield Need(Topic.SERVER, "gone")


def list_stuck(store: Store, pause: PauseView | None) -> list[Run]:
    """Built, and not live before a person does something. What a pause holds is not looked at before it goes on. What
    could not be put in place for so long is tried on; it waits for whoever makes room for it."""
    built = store.list_runs_in(RunState.AWAITING_DEPLOYMENT)
    looked_at = [run for run in built if pause is None or not policy.waits_for_resume(run, asked=False)]
    return [run for run in looked_at if policy.is_stuck(run) or policy.is_kept_out(run)]


# --- what nobody works on any more -----------------------------------------------------------------------------------


def list_given_up(store: Store, since: date, reverts: Sequence[Run]) -> list[Run]:
    """Of these nights: what failed or was rolled back and no other run goes on with. A fix of what was seen only in a
    build that was taken back is not missed."""
    failed = store.list_failed_last(since)
    return [
        *(run for run in failed if run.kind is not RunKind.FIX or not is_gone(store, run.signature)),
        *(run for run in reverts if run.updated_at.date() >= since and _is_undone_order(store, run, reverts)),
    ]


def is_gone(store: Store, signature: Signature | None) -> bool:
    """Whether nothing that is live ever crashed so: it was seen only in builds that were taken back, and nothing of
    what those had brought came again."""
    return signature is not None and store.was_only_taken_back(signature) and not came_again(store, signature)


def came_again(store: Store, signature: Signature) -> bool:
    """Whether something of what the builds had brought that crashed so is live."""
    reverts, updates = store.list_reverts(), store.list_live_updates()
    taken = store.list_runs_that_crashed(signature)
    return any(is_live(run) or is_brought_again(run, updates, reverts) for run in taken)


def is_brought_again(run: Run, updates: Sequence[Run], reverts: Sequence[Run]) -> bool:
    """Whether one of these live updates was ordered after this one was taken out, and stands: it brings that again."""
    out = [each.created_at for each in reverts if run.commit in each.undoes]
    if run.kind is not RunKind.UPDATE or not out:
        return False
    later = [each for each in updates if each.created_at > max(out)]
    return any(policy.find_revert(each.commit or "", reverts) is None for each in later)


def is_given_up(tools: Tools, run: Run) -> bool:
    """Of this night and the one before."""
    if run.state not in (RunState.ROLLED_BACK, RunState.FAILED):
        return False
    given_up = list_given_up(tools.store, tools.night() - DAY, tools.store.list_reverts())
    return any(each.id == run.id for each in given_up)


def _is_undone_order(store: Store, run: Run, reverts: Sequence[Run]) -> bool:
    """A person's revert that went out with what was worse: what it had taken out is live again."""
    if run.state is not RunState.ROLLED_BACK or run.asked_by is None:
        return False
    undone = filter(None, map(store.get_run_by_commit, run.undoes))
    return any(is_live(each) and policy.find_revert(each.commit or "", reverts) is None for each in undone)


def _of_pause(store: Store, pause: PauseView) -> Need:
    """Where a rollback is why, with the card that has what there is to look at: of the crash, else of what was rolled
    back."""
    last = store.get_active_deployment() or store.get_last_deployment()
    need = Need(Topic.PAUSE, pause.by, pause.reason, since=pause.at.timestamp())
    if last is None or not is_paused_over(last, pause):
        return need
    if last.verdict is not Verdict.UNHEALTHY:
        return replace(need, ordered=True)
    if (death := find_death(store, last)) is not None:
        return replace(need, crash=death.title, message=death.message)
    runs = store.list_runs_of(last.id)
    return replace(need, message=store.get_message_of_run(runs[0].id) if runs else None)


def find_death(store: Store, deployment: Deployment) -> Death | None:
    """None = it was not found worse, or did not crash."""
    if deployment.verdict is not Verdict.UNHEALTHY:
        return None
    for crash in store.list_crashes_of_build(deployment.build, deployment.created_at):
        if crash.signature is not None and crash.card is not None:
            return Death(crash.signature.title, store.get_card_state(crash.card).message)
    return None


def is_paused_over(deployment: Deployment, pause: PauseView | None) -> bool:
    """Whether its rollback made this pause: not an operator's, and not over what came later, as a rollback pauses
    before its deployment is over."""
    if pause is None or pause.by != OURS or deployment.created_at > pause.at:
        return False
    return deployment.over_at is None or pause.at <= deployment.over_at


def _of_run(store: Store, run: Run) -> Need:
    topic = Topic.APPROVAL if run.state is RunState.AWAITING_APPROVAL else Topic.LOOK
    message = store.get_message_of_run(run.id)
    return Need(
        topic, run.subject, run.reason or "", run.id, message, run.state, run.question or "", kind=run.kind,
        puts_back=store.puts_back(run),
    )  # fmt: skip


@dataclass(frozen=True)
class InBase:
    """What the base branch has of the changes of our night branches, as it was last looked at (housekeeping)."""

    head: str = ""
    name: str = ""
    has: frozenset[str] = frozenset()  # commits in its history, as themselves or as copies, undone there or not
    lacks: frozenset[str] = frozenset()  # commits of reverts: what they undo stands there


def read_in_base(store: Store) -> InBase:
    found = store.get_fact(Fact.MERGED) or {}
    sets = [frozenset(found.get(name, ())) for name in ("has", "lacks")]
    return InBase(found.get("base", ""), found.get("name", ""), *sets)


def list_reviews(store: Store, night: date, reverts: Sequence[Run]) -> list[Review]:
    """Of the nights up to this one, oldest first; each commit by itself, as people merge while more comes."""
    base = read_in_base(store)
    found = []
    for branch, runs in _list_reviewable(store, night):
        fixes = [run for run in runs if is_fixed(run, reverts) and run.commit not in base.has]
        undoing = [run for run in runs if run.commit in base.lacks and _has_taken_out(store, run, reverts)]
        if fixes or undoing:
            found.append(_review(store, branch, runs, reverts, base, (fixes, undoing)))
    return found


def _list_reviewable(store: Store, night: date) -> Iterator[tuple[Branch, list[Run]]]:
    """Whoever deletes a branch on the remote has decided. What stood there is told of where the night went on, on the
    remote again under its next name."""
    deleted = (store.get_fact(Fact.DELETED) or {}).get("branches", ())
    stood: dict[date, list[Run]] = {}
    for branch, runs in list_branches(store, night):
        if branch.name in deleted:
            stood[branch.night] = [*stood.get(branch.night, []), *runs]
        else:
            yield branch, [*stood.pop(branch.night, []), *runs]


def list_branches(store: Store, night: date) -> list[tuple[Branch, list[Run]]]:
    """Of the last nights up to this one, oldest first, each with the runs that made a commit."""
    branches = store.list_night_branches(night - (REVIEWED - 1) * DAY, night)
    return [(branch, store.list_runs_on(branch.name)) for branch in branches]


def _review(
    store: Store, branch: Branch, runs: Sequence[Run], reverts: Sequence[Run], base: InBase,
    wanted: tuple[Sequence[Run], Sequence[Run]],
) -> Review:  # fmt: skip
    """`wanted` = the fixes and the reverts that are to be brought in."""
    fixes, undoing = wanted
    standing = [run for run in runs if _stands(store, run)]
    lacked = [run for run in standing if run.commit not in base.has]
    riders = tuple(list_riders(store, lacked, reverts))
    setback = find_setback(store, standing, reverts, base, [*fixes, *undoing])
    return Review(branch, len(fixes), len(undoing), sum(map(_is_uncured, lacked)), riders, setback, base.name)


def _has_taken_out(store: Store, revert: Run, reverts: Sequence[Run]) -> bool:
    """Whether its fixes are live no more, and it is to stay; one on its way is told of when it is there."""
    undone = filter(None, map(store.get_run_by_commit, revert.undoes))
    stays = policy.find_revert(revert.commit or "", reverts) is None
    return revert.state in OVER and stays and not any(map(is_live, undone))


def is_fixed(run: Run, reverts: Sequence[Run]) -> bool:
    """It went live, stands and holds; also one that was rolled back, and that a person has put back."""
    went_live = run.kind is RunKind.FIX and run.state in (RunState.SUCCEEDED, RunState.ROLLED_BACK)
    return went_live and is_live(run) and not is_being_taken_out(run, reverts)


def is_being_taken_out(run: Run, reverts: Sequence[Run]) -> bool:
    """Whether one of all `reverts` stands on the branch, on its way to where the fix is live still."""
    revert = policy.find_revert(run.commit or "", reverts)
    return revert is not None and revert.commit is not None and revert.state not in CHANGE_LANE and is_live(run)


def _is_uncured(run: Run) -> bool:
    """Its build stays, and the crash came again."""
    at_once = run.state is RunState.FAILED and run.verdict is Verdict.NOT_CURED
    later = run.state is RunState.SUCCEEDED and run.fix_state is FixState.RECURRED
    return run.kind is RunKind.FIX and run.fix_state is not FixState.REVERTED and (at_once or later)


# --- what a merge would bring beside the fixes, and what it would take out -------------------------------------------


def find_setback(
    store: Store, changes: Sequence[Run], reverts: Sequence[Run], base: InBase, wanted: Sequence[Run]
) -> Setback | None:
    """The last update decides: one that came after another was taken back brings what that one had brought, too. Not
    where the base branch has that revert already: a merge takes out nothing more."""
    updates = [run for run in changes if run.kind is RunKind.UPDATE]
    revert = policy.find_revert(updates[-1].commit or "", reverts) if updates else None
    if revert is None or not _stands(store, revert) or revert.commit in base.has:
        return None
    picks = sorted((run.commit or "" for run in wanted), key=store.started_at)
    return Setback(updates[-1].subject, revert.commit or "", tuple(picks))


def list_riders(store: Store, changes: Sequence[Run], reverts: Sequence[Run]) -> Iterator[Rider]:
    """Oldest first: as a deployment asks it of what it would bring (stages/carrying.py), of what stands on a branch.
    What is to be taken back rides until its revert stands there."""
    for run in changes:
        revert = policy.find_revert(run.commit or "", reverts)
        if revert is not None and _stands(store, revert):
            continue
        unwanted = (revert is not None or _is_refused(store, run)) and not policy.is_put_back(run, reverts, _is_alive)
        if unwanted or policy.asks_to_go(run):
            yield Rider(run.subject, run.commit or "", run.id, run.state, run.kind, revert is not None)


def _stands(store: Store, run: Run) -> bool:
    """On its branch: only what has built stays there."""
    build = store.get_build(run.commit) if run.commit and run.state not in CHANGE_LANE else None
    return build is not None and build.state == "built"


def _is_refused(store: Store, run: Run) -> bool:
    """As far as the runs tell what anybody wants."""
    undone = filter(None, map(store.get_run_by_commit, run.undoes))
    takes_out = any(is_live(each) or not policy.is_refused(each, takes_out=True) for each in undone)
    return policy.is_refused(run, takes_out=takes_out)


def is_live(run: Run) -> bool:
    return run.fix_state in LIVE


def _is_alive(revert: Run) -> bool:
    """On its way to the branch, if it does not stand there."""
    return revert.state not in policy.TAKEN_BACK
