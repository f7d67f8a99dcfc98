"""What has to be done now and then: pushes that are owed, the identity of what was found, old builds, quiet fixes, the
morning summary."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

from pipeline import policy, records
from pipeline.card_models import PostKind
from pipeline.errors import Obstructed, PipelineError
from pipeline.halts import tell_halts
from pipeline.keeper.protocol import Observed, ServerState
from pipeline.model import OVER, FixState, Run, RunKind
from pipeline.needs import InBase, list_branches, list_reviews, read_in_base
from pipeline.obstacles import CURE, add_cure
from pipeline.points import point
from pipeline.stages import finding, publishing, rolling_back
from pipeline.store import Fact, NewPost, Overtaken
from pipeline.store.nights import Stretch
from pipeline.store.patience import one_patience
from pipeline.tools import Tools, bug_topic

ABSENT = "absent fixes"  # in `degraded`
BACK_AGAIN = "it is live again with the next build of its branch"
QUIET = timedelta(hours=24)  # without a recurrence a watched fix counts as verified
REST = 30.0  # seconds until a chore that failed is tried again
DAY = timedelta(days=1)
ON_ITS_WAY = timedelta(seconds=10)  # what is as new may not have reached the database: the next summary has it
READING = 900.0  # seconds that a summary waits for crashes that are not read yet
RIGHTS = "let our user read what lies in SERVER_DIR and write to the state folder"

Chore = Callable[[Tools], bool]
TellFault = Callable[[str, Exception], None]  # of what


class Chores:
    """Each chore has its interval; what people may have something new to read of answers True."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._next: dict[str, float] = {}

    def due(self) -> list[Chore]:
        now = self._tools.clock.monotonic()
        due = [(chore, every) for chore, every in CHORES if self._next.get(chore.__name__, now) <= now]
        if not self._tools.prepared.is_set():  # it can be done only then, and is not to wait for its next turn
            due = [(chore, every) for chore, every in due if chore is not push_owed]
        for chore, every in due:
            self._next[chore.__name__] = now + every
        return [chore for chore, _ in due]

    def keep(self, tell_fault: TellFault) -> bool:
        """Each is done, whatever the one before it found or failed of."""
        with one_patience():  # a database that is locked is waited for once
            news = [self._do(chore, tell_fault) for chore in self.due()]
        return any(news)

    def _do(self, chore: Chore, tell_fault: TellFault) -> bool:
        name = f"housekeeping ({chore.__name__.replace('_', ' ')})"
        try:
            news = chore(self._tools)
        except Overtaken:
            return False
        except Exception as fault:
            self._next[chore.__name__] = self._tools.clock.monotonic() + REST
            tell_fault(name, fault)
            return False
        self._tools.degraded.pop(bug_topic(name), None)
        return news


def settle_found(tools: Tools) -> bool:
    """Archives what lay in SERVER_DIR before us as the first fallback, and finds its commit once it told it."""
    observed = tools.keeper.observed()
    found = tools.store.get_fact(Fact.FOUND)
    if observed is None or (found is not None and found.get("commit")):
        return False
    if found is None:
        found = _archive_found(tools)
    commit = commit_of_found(tools, observed)
    if commit is not None:
        tree = tools.source.commit(commit).tree
        tools.store.note_found_build(found["build"], commit, tree, tools.now())
        tools.store.set_fact(Fact.FOUND, {**found, "commit": commit})
    return commit is not None


def _archive_found(tools: Tools) -> dict[str, Any]:
    """Its fact. Raises Obstructed: until a person mends that, no fix can go live."""
    try:
        manifest = tools.builder.archive_found()
    except (OSError, PipelineError) as fault:
        words = f"what lies in SERVER_DIR could not be archived, and without it no fix goes live: {fault}"
        raise Obstructed(f"{words}{CURE}{RIGHTS}" if isinstance(fault, PermissionError) else add_cure(words)) from fault
    point("found.archived")
    found = {"build": manifest.build, "commit": None}
    tools.store.note_found_build(manifest.build, None, None, tools.now())
    tools.store.set_fact(Fact.FOUND, found)
    point("found.noted")
    return found


def commit_of_found(tools: Tools, observed: Observed) -> str | None:
    """Only what runs from before our first deployment can tell it."""
    if tools.store.get_fact(Fact.BUILD) is not None or observed.state is not ServerState.READY:
        return None
    return finding.found_commit(tools, observed)


def push_owed(tools: Tools) -> bool:
    pushed = False
    for branch in tools.store.list_owed_branches():
        publishing.push(tools, branch)
        after = tools.store.get_branch(branch.name)
        pushed = pushed or (after is not None and after.owed_since is None)
    return pushed


def verify_quiet_fixes(tools: Tools) -> bool:
    """Also what somebody took out by hand, in the base branch, comes to its end here."""
    absent = tools.store.list_absent()  # of what does not run, silence tells nothing
    watched = [run for run in tools.store.list_watched_fixes() if run.id not in absent]
    quiet = [run for run in watched if tools.now() - run.updated_at >= QUIET]
    running = finding.running_commit(tools) if quiet else None
    for run in quiet:
        gone = running is not None and tools.source.took_out_fix(running, run.commit or "", run.id)
        now = FixState.REVERTED if gone else FixState.VERIFIED
        tools.store.set_fix_state(run.id, now, tools.now(), still=FixState.WATCHING)
    return bool(quiet)


def note_absent(tools: Tools) -> bool:
    """Fixes that are live by our books and that what runs has not; looked at anew when one of both changes."""
    observed = tools.keeper.observed()
    if observed is None or observed.state is not ServerState.READY or not tools.prepared.is_set():
        return False
    watched = tools.store.list_watched_fixes()
    before = tools.store.get_fact(Fact.ABSENT) or {}
    if not watched and not before.get("runs"):
        return False
    reverts = [run.id for run in tools.store.list_reverts() if run.state not in policy.TAKEN_BACK]
    seen = {"build": observed.build, "watched": [*sorted(run.id for run in watched), *sorted(reverts)]}
    absent = [run for run in watched if run.id in before.get("runs", ())]
    if {name: before.get(name) for name in seen} != seen:
        try:
            absent = rolling_back.list_absent(tools, finding.running_commit(tools))
        except PipelineError:
            return False  # then the next time
        tools.store.set_fact(Fact.ABSENT, {**seen, "runs": [run.id for run in absent]})
    _tell_absent(tools, absent)
    changed = {run.id for run in absent} ^ {*before.get("runs", ())}
    for run in watched:
        if run.id in changed:  # its card tells it
            tools.store.set_fix_state(run.id, FixState.WATCHING, tools.now(), still=FixState.WATCHING)
    return bool(changed)


def _tell_absent(tools: Tools, absent: Sequence[Run]) -> None:
    named = ", ".join(f"`{run.subject}` (`{(run.commit or '')[:7]}`)" for run in absent)
    if absent:
        tools.degraded[ABSENT] = f"what runs is older than the fix of {named}: {BACK_AGAIN}"
    else:
        tools.degraded.pop(ABSENT, None)


def prune(tools: Tools) -> bool:
    """Old builds go, never one that runs, waits, or is a fallback."""
    healthy = islice(finding.list_kept(tools), 2)
    open_builds = [run.commit for run in tools.store.list_unfinished_runs() if run.state not in OVER and run.commit]
    found = tools.store.get_fact(Fact.FOUND) or {}
    settled = tools.store.get_fact(Fact.BUILD)
    observed = tools.keeper.observed()
    running = observed.build if observed else None
    protected = {each for each in (*healthy, *open_builds, found.get("build"), settled, running) if each}
    try:
        tools.builder.prune(tools.realm.keep_builds, protected)
        tools.degraded.pop("prune", None)
    except (OSError, PipelineError) as fault:
        tools.degraded["prune"] = add_cure(f"old builds could not be removed: {fault}")
    return False


def prune_queue(tools: Tools) -> bool:
    """Old requests and answers go, never one of a run that may still need it."""
    store = tools.store
    tools.analyst.prune(store.list_ids(over=True), store.list_ids(over=False))
    return False


def note_merged(tools: Tools) -> bool:
    """What the base branch has by now of our night branches: nobody has to review that any more. Whether it changed."""
    runs = [run for _, each in list_branches(tools.store, tools.night()) for run in each]
    if not runs or not tools.prepared.is_set():
        return False
    before = read_in_base(tools.store)
    try:
        now = look_at_base(tools, before, runs)
    except PipelineError:
        return False  # then they are shown once more
    if now == before:
        return False
    lists = {"has": sorted(now.has), "lacks": sorted(now.lacks)}
    tools.store.set_fact(Fact.MERGED, {"base": now.head, "name": now.name, **lists})
    return (now.has, now.lacks) != (before.has, before.lacks)


def note_deleted(tools: Tools) -> bool:
    """Night branches that people deleted on the remote: nothing is to review there. Whether that changed. The remote is
    asked only while there is something to review, or was."""
    store = tools.store
    before: list[str] = (store.get_fact(Fact.DELETED) or {}).get("branches", [])
    if not tools.prepared.is_set() or not (before or list_reviews(store, tools.night(), store.list_reverts())):
        return False
    pushed = [each.name for each, _ in list_branches(store, tools.night()) if each.pushed is not None]
    try:
        there = tools.source.list_published()
    except PipelineError:
        return False  # then they are as they were seen last
    deleted = [name for name in pushed if name not in there]
    if deleted != before:
        store.set_fact(Fact.DELETED, {"branches": deleted})
    return deleted != before


def look_at_base(tools: Tools, before: InBase, runs: Sequence[Run]) -> InBase:
    """What it had it has still, unless somebody put it back to an earlier commit."""
    base, name = tools.source.base_head(), tools.source.find_base_branch() or ""
    kept = before.has if before.head and tools.source.contains(base, before.head) else frozenset()
    has = {run.commit for run in runs if run.commit and (run.commit in kept or _is_in(tools, base, run))}
    reverts = [run for run in runs if run.kind is RunKind.REVERT and run.commit and run.commit not in has]
    lacks = {run.commit for run in reverts if run.commit and _is_wanted_in(tools, base, run)}
    return InBase(base, name, frozenset(has), frozenset(lacks))


def _is_in(tools: Tools, base: str, run: Run) -> bool:
    """In its history, or as a copy; an update, which is a merge, has none."""
    commit = run.commit or ""
    if run.kind is RunKind.UPDATE:
        return tools.source.contains(base, commit)
    return tools.source.holds_fix(base, commit, run.id) or tools.source.took_out_fix(base, commit, run.id)


def _is_wanted_in(tools: Tools, base: str, revert: Run) -> bool:
    """What it undoes stands there. Not one of an update: that would take out of the base branch what is its own."""
    find = tools.store.get_run_by_commit
    if policy.is_of_update(revert, find):
        return False
    undone = [(commit, find(commit)) for commit in revert.undoes]  # no run: it was tried again, and has another by now
    return any(tools.source.holds_fix(base, commit, run.id if run else "") for commit, run in undone)


def post_summary(tools: Tools) -> bool:
    """Once for each night, on the morning after it or as soon as the bot is back. Nights before our first start, and
    those for which nobody was there on two mornings, have none: the next one tells of that time too."""
    due = policy.summary_due(tools.now(), tools.realm.summary_time, tools.realm.timezone)
    last = tools.store.get_fact(Fact.SUMMARY)
    if last is not None and (due <= date.fromisoformat(last["night"]) or _is_reading(tools, due)):
        return False
    posts, until = [], tools.now() - ON_ITS_WAY
    if last is not None:
        begin = _find_told(tools, last)
        summary = records.night_summary(tools, due, Stretch(begin - DAY, begin, until))
        point("summary.made")
        posts = [NewPost(PostKind.SUMMARY, dataclasses.asdict(summary), to_channel=True)]
    told = {"night": due.isoformat(), "until": until.isoformat()}
    tools.store.set_fact(Fact.SUMMARY, told, posts=posts, at=tools.now())
    point("summary.noted")
    return bool(posts)


def _find_told(tools: Tools, last: Mapping[str, str]) -> datetime:
    """Up to when the summary before has told. Earlier versions did not note it."""
    if "until" in last:
        return datetime.fromisoformat(last["until"])
    return policy.summary_time(date.fromisoformat(last["night"]), tools.realm.summary_time, tools.realm.timezone)


def _is_reading(tools: Tools, night: date) -> bool:
    """Whether crashes are read still that it should tell of, as the bot is just back. What cannot be read is not waited
    for."""
    begun = tools.alarms.setdefault(
        ("summary", policy.night_begins(night, tools.realm.timezone)), tools.clock.monotonic()
    )
    return tools.clock.monotonic() < begun + READING and bool(tools.store.list_unjudged_crashes())


# What, and how often in seconds.
CHORES: tuple[tuple[Chore, float], ...] = (
    (tell_halts, 4),
    (settle_found, 1),
    (push_owed, 30),
    (verify_quiet_fixes, 600),
    (note_absent, 5),
    (prune, 60),
    (prune_queue, 3600),
    (note_merged, 120),
    (note_deleted, 300),
    (post_summary, 5),
)
