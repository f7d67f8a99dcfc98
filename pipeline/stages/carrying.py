"""What a deployment may bring: it changes nothing but its fixes, and each of these is wanted.

A build contains every run before it on its branch, so it is not enough to look at the run that goes: what was taken
back since, what nobody has approved, and what runs now are looked for in the commits that the build would bring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline import policy
from pipeline.model import Approval, FixState, Hindrance, Question, Run, RunKind, RunState
from pipeline.stages import finding, postponing
from pipeline.tools import Tools

BECAME = {
    RunState.CANCELLED: "was taken back", RunState.ROLLED_BACK: "was rolled back", RunState.FAILED: "has failed",
}  # fmt: skip


@dataclass(frozen=True)
class Load:
    """A build that may go live, and the runs that wait for it, as they were looked at."""

    build: str
    runs: list[Run]
    reverts: frozenset[str]  # that were ordered by then, whatever became of them


@dataclass(frozen=True)
class Veto:
    """Why a build may not go live as it is."""

    kind: Hindrance
    words: str


def settle_live(tools: Tools, waiting: Sequence[Run]) -> bool:
    """What runs was built on these: deploying one would take the server back to what was before. Or what was built on
    them has the content of what runs: reverts took out all that they brought. Whether there were any."""
    found = [(run, _find_live(tools, run)) for run in waiting]
    for run, live in found:
        if live is not None:
            _settle(tools, run, live)
    return any(live for _, live in found)


def _find_live(tools: Tools, run: Run) -> str | None:
    """The commit above this run's that runs, or whose content does; None = it is yet to go live."""
    running = finding.running_commit(tools)
    if running is None or run.commit is None or run.commit == running:
        return None
    branch = tools.store.get_branch(run.branch) if run.branch else None
    head = branch.head if branch is not None else run.commit
    if _contains(tools, running, run.commit):
        return running
    return head if _contains(tools, head, run.commit) and finding.runs_already(tools, head) else None


def _settle(tools: Tools, run: Run, live: str) -> None:
    holds = tools.source.holds_fix(live, run.commit or "", run.id)
    watched = FixState.WATCHING if holds else FixState.REVERTED
    note = "the running build contains it already" if holds else "the running build contains it, and its revert"
    state = watched if run.kind is RunKind.FIX else None
    tools.store.advance(run, RunState.SUCCEEDED, tools.now(), note=note, fix_state=state)


def ask_approval(tools: Tools, waiting: Sequence[Run]) -> list[Run]:
    """Runs that may go; the others are asked about."""
    if tools.realm.approval is not Approval.DEPLOY:
        return list(waiting)
    yes = [run for run in waiting if policy.is_ordered(run) or Question.DEPLOY in run.answered]
    for run in waiting:
        if run not in yes:
            note = "APPROVAL=deploy"
            tools.store.advance(run, RunState.AWAITING_APPROVAL, tools.now(), note=note, question=Question.DEPLOY)
    return yes


def list_below(tools: Tools, run: Run) -> list[Run]:
    """Other runs in this one's build that wait for an approval of their deployment: a yes to one is a yes to them."""
    if run.commit is None:
        return []
    asked = [each for each in tools.store.list_runs_in(RunState.AWAITING_APPROVAL) if each.id != run.id]
    return [each for each in asked if policy.asks_to_go(each) and _contains(tools, run.commit, each.commit)]


def _contains(tools: Tools, build: str, commit: str | None) -> bool:
    return commit is not None and tools.source.contains(build, commit)


# --- which build -----------------------------------------------------------------------------------------------------


def choose(tools: Tools, runs: Sequence[Run]) -> Load | None:
    """The newest build that may go, with what it brings: changes are made one at a time, so the one begun last contains
    the others. A build that may not go says why on the card of its run, and the one before it is looked at. While
    paused only what a person ordered goes, with what its build contains."""
    may = [run for run in runs if policy.is_ordered(run)] if tools.store.get_pause() is not None else runs
    reverts = list_ordered(tools)
    loads = [(_load(tools, run.commit, runs, reverts), run) for run in may if run.commit]
    begun = {load.build: (tools.store.started_at(load.build), len(load.runs)) for load, _ in loads}
    for load, run in sorted(loads, key=lambda each: begun[each[0].build], reverse=True):
        veto = find_hindrance(tools, load)
        if veto is None:
            return load
        postponing.tell(tools, [run], veto.words, veto.kind)
    return None


def look_at(tools: Tools, build: str, runs: Sequence[Run]) -> Load:
    return Load(build, list(runs), list_ordered(tools))


def list_ordered(tools: Tools) -> frozenset[str]:
    return frozenset(revert.id for revert in tools.store.list_reverts())


def _load(tools: Tools, build: str, runs: Sequence[Run], reverts: frozenset[str]) -> Load:
    return Load(build, [each for each in runs if _contains(tools, build, each.commit)], reverts)


def find_hindrance(tools: Tools, load: Load) -> Veto | None:
    """None = it may go live."""
    running = finding.running_commit(tools)
    if running is not None and not _contains(tools, load.build, running):
        words = (
            f"the server runs `{running[:7]}`, which its build was not made on and would take out: `/update` brings in "
            "what is on the base branch; else `/reject` it and `/retry`"
        )
        return Veto(Hindrance.BASE, words)
    brought = list_brought(tools, load, running)
    reverts = tools.store.list_reverts()
    return next(filter(None, (_find_veto(tools, load, run, reverts) for run in brought)), None)


def list_brought(tools: Tools, load: Load, running: str | None) -> list[Run]:
    """Every run whose commit goes live with this build and is not undone in it."""
    since = running or _find_base(tools, load)
    if since is None:
        return list(load.runs)
    commits = {commit.hash for commit in tools.source.log(since, load.build)}
    there = tools.store.list_runs_with(commits)
    return [run for run in there if run.commit and tools.source.holds_fix(load.build, run.commit, run.id)]


def _find_base(tools: Tools, load: Load) -> str | None:
    branches = [tools.store.get_branch(run.branch) for run in load.runs if run.branch]
    return next((branch.base for branch in branches if branch is not None), None)


def _find_veto(tools: Tools, load: Load, run: Run, reverts: Sequence[Run]) -> Veto | None:
    """Why nobody wants this run live; None = it may be brought."""

    def is_in(other: Run) -> bool:
        return _contains(tools, load.build, other.commit)

    commit = (run.commit or "")[:7]
    revert = policy.find_revert(run.commit or "", reverts)
    if revert is not None and is_in(revert):
        revert = None
    if (revert is not None or _is_refused(tools, run)) and not policy.is_put_back(run, reverts, is_in):
        became = BECAME.get(run.state, "is being reverted")
        words = f"its build still holds `{run.subject}` (`{commit}`), which {became}: waits for its revert"
        if revert is not None and policy.asks_to_go(revert):
            return Veto(Hindrance.UNAPPROVED, f"{words}, which asks for an approval: approve run `{revert.id}`")
        if revert is not None:
            return Veto(Hindrance.REVERT_COMING, words)
        return Veto(Hindrance.REFUSED, f"{words}; `/revert {commit}` orders one")
    if policy.asks_to_go(run):
        what = f"its build holds `{run.subject}` (`{commit}`) too, which nobody has approved"
        return Veto(Hindrance.UNAPPROVED, f"{what}: approve or reject run `{run.id}`")
    return None


def _is_refused(tools: Tools, run: Run) -> bool:
    """As far as the running build tells what anybody wants."""
    takes_out = bool(run.undoes) and finding.holds_any(tools, finding.running_commit(tools), run.undoes)
    return policy.is_refused(run, takes_out=takes_out)


# --- while it is being brought ---------------------------------------------------------------------------------------


def why_not_any_more(tools: Tools, load: Load) -> str | None:
    """What speaks by now against a build that was chosen; None = it may still go."""
    said = find_objection(tools, load)
    veto = find_hindrance(tools, load) if said is None else None
    return said if veto is None else veto.words


def find_objection(tools: Tools, load: Load) -> str | None:
    """What people have said since it was looked at; asks the database alone, and so not which change a new revert
    takes out of the build: that is looked at again."""
    now = [tools.store.get_run(run.id) or run for run in load.runs]
    if any(run.state is not RunState.AWAITING_DEPLOYMENT for run in now):
        return "a change that it would bring was taken back"
    if tools.store.get_pause() is not None and not any(
        policy.is_ordered(run) for run in now if run.commit == load.build
    ):
        return "paused"
    if list_ordered(tools) != load.reverts:
        return "a revert was ordered since"
    return None
