"""What has to be done now and then: pushes that are owed, the identity of what was found, old builds, quiet fixes, the
morning summary."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from itertools import islice

from pipeline import policy, records
from pipeline.card_models import PostKind
from pipeline.errors import PipelineError
from pipeline.halts import tell_halts
from pipeline.keeper.protocol import Observed, ServerState
from pipeline.model import OVER, FixState, Run
from pipeline.needs import list_fixes, list_unmerged
from pipeline.obstacles import add_cure
from pipeline.points import point
from pipeline.stages import finding, publishing, rolling_back
from pipeline.store import Branch, Fact, NewPost
from pipeline.tools import Tools

ABSENT = "absent fixes"  # in `degraded`
BACK_AGAIN = "it is live again with the next build of its branch"
QUIET = timedelta(hours=24)  # without a recurrence a watched fix counts as verified


class Chores:
    """Each chore has its interval; what people may have something new to read of answers True."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._next: dict[str, float] = {}

    def due(self) -> list[Callable[[Tools], bool]]:
        now = self._tools.clock.monotonic()
        due = [(chore, every) for chore, every in CHORES if self._next.get(chore.__name__, now) <= now]
        if not self._tools.prepared.is_set():  # it can be done only then, and is not to wait for its next turn
            due = [(chore, every) for chore, every in due if chore is not push_owed]
        for chore, every in due:
            self._next[chore.__name__] = now + every
        return [chore for chore, _ in due]

    def keep(self) -> bool:
        news = [chore(self._tools) for chore in self.due()]  # each is done, whatever the one before it found
        return any(news)


def settle_found(tools: Tools) -> bool:
    """Archives what lay in SERVER_DIR before us as the first fallback, and finds its commit once it told it."""
    observed = tools.keeper.observed()
    found = tools.store.get_fact(Fact.FOUND)
    if observed is None or (found is not None and found.get("commit")):
        return False
    if found is None:
        manifest = tools.builder.archive_found()
        point("found.archived")
        found = {"build": manifest.build, "commit": None}
        tools.store.note_found_build(manifest.build, None, None, tools.now())
        tools.store.set_fact(Fact.FOUND, found)
        point("found.noted")
    commit = commit_of_found(tools, observed)
    if commit is not None:
        tree = tools.source.commit(commit).tree
        tools.store.note_found_build(found["build"], commit, tree, tools.now())
        tools.store.set_fact(Fact.FOUND, {**found, "commit": commit})
    return commit is not None


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
        tools.store.set_fix_state(run.id, FixState.REVERTED if gone else FixState.VERIFIED, tools.now())
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
        if run.id in changed:
            tools.store.set_fix_state(run.id, FixState.WATCHING, tools.now())  # its card tells it
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
    """Night branches that the base branch has by now: nobody has to review them any more. Whether there is one."""
    reverts = tools.store.list_reverts()
    unmerged = list_unmerged(tools.store, tools.night(), reverts)
    waiting = [(branch, list_fixes(runs, reverts)) for branch, runs in unmerged]
    if not waiting or not tools.prepared.is_set():
        return False
    try:
        base = tools.source.base_head()
        merged = {
            branch.name: branch.head
            for branch, runs in waiting
            if _has_all(tools, base, branch, list_fixes(runs, reverts))
        }
    except PipelineError:
        return False  # then they are shown once more
    if merged:
        tools.store.set_fact(Fact.MERGED, {**(tools.store.get_fact(Fact.MERGED) or {}), **merged})
    return bool(merged)


def _has_all(tools: Tools, base: str, branch: Branch, fixes: Sequence[Run]) -> bool:
    """Merged, or each fix picked by itself."""
    if tools.source.contains(base, branch.head):
        return True
    return all(tools.source.holds_fix(base, run.commit or "", run.id) for run in fixes)


def post_summary(tools: Tools) -> bool:
    """Once for each night, on the morning after it or as soon as the bot is back. Nights before our first start, and
    those for which nobody was there on two mornings, have none."""
    due = policy.summary_due(tools.now(), tools.realm.summary_time, tools.realm.timezone)
    last = tools.store.get_fact(Fact.SUMMARY)
    if last is not None and due <= date.fromisoformat(last["night"]):
        return False
    posts = []
    if last is not None:
        summary = records.night_summary(tools, due)
        point("summary.made")
        posts = [NewPost(PostKind.SUMMARY, dataclasses.asdict(summary), to_channel=True)]
    tools.store.set_fact(Fact.SUMMARY, {"night": due.isoformat()}, posts=posts, at=tools.now())
    point("summary.noted")
    return bool(posts)


# What, and how often in seconds.
CHORES: tuple[tuple[Callable[[Tools], bool], float], ...] = (
    (tell_halts, 4),
    (settle_found, 1),
    (push_owed, 30),
    (verify_quiet_fixes, 600),
    (note_absent, 5),
    (prune, 60),
    (prune_queue, 3600),
    (note_merged, 120),
    (post_summary, 5),
)
