"""Changes that people order: a fix is taken back, the base is moved. Each begins a run."""

from __future__ import annotations

import secrets

from pipeline import policy
from pipeline.errors import Refused
from pipeline.model import Done, Impossible, Outcome, Patch, Run, RunKind, RunState
from pipeline.moments import write_moment
from pipeline.points import point
from pipeline.stages import branching, deploying, finding
from pipeline.tools import Tools

REMOTE = "Its remote was not asked: `git pull` there brings what is newer."
WAITING = (RunState.AWAITING_APPROVAL, RunState.AWAITING_DEPLOYMENT)

# --- reverts ---------------------------------------------------------------------------------------------------------


def find_fix(tools: Tools, commit: str) -> Run | Impossible:
    """The run of a commit, where it can be reverted."""
    if not commit or not all(letter in "0123456789abcdef" for letter in commit.lower()) or len(commit) < 4:
        return Impossible(f"`{commit[:60]}` is not a commit: give at least 4 of its hexadecimal digits.")
    run = tools.store.get_run_by_commit(commit.lower())
    if run is None or run.commit is None:
        return Impossible(f"`{commit[:40]}` is not a commit of ours. `/revert` offers those that are.")
    undone = policy.find_revert(run.commit, tools.store.list_reverts())
    if undone is not None:
        return Impossible(f"`{run.commit[:12]}` is reverted already, in `{(undone.commit or undone.id)[:12]}`.")
    return run


def revert(tools: Tools, commit: str, by: str) -> Outcome:
    fix = find_fix(tools, commit)
    if isinstance(fix, Impossible):
        return fix
    words, untold = f"{policy.REVERTED} {by}", ""
    comes = fix.state in WAITING and fix.kind is not RunKind.REVERT  # a revert keeps out what it keeps out until then
    with tools.wishing, tools.store.together():
        run = begin_revert(tools, fix, (fix.commit or "",), by)
        if comes:  # it must not go live in the meantime
            tools.store.advance(fix, RunState.CANCELLED, tools.now(), note=words, reason=words, question=None)
            deploying.drop_standby(tools, tools.keeper.observed(), words)
            untold = deploying.tell_keeper(tools)
    point("revert.noted")
    return Done(untold, run=run.id)


def begin_revert(tools: Tools, of: Run, commits: tuple[str, ...], by: str) -> Run:
    """On the card of the run that is taken back."""
    now = tools.now()
    run = Run(
        secrets.token_hex(4), RunKind.REVERT, RunState.READY, tools.night(), of.signature, of.subject, now, now,
        patch=Patch(reverts=commits), asked_by=by, reverts=commits[0],
    )  # fmt: skip
    tools.store.add_run(run, now, card=tools.store.get_card_of_run(of.id))
    return run


# --- the base --------------------------------------------------------------------------------------------------------


def update(tools: Tools, by: str, commit: str | None = None) -> Outcome:
    """Brings the base branch's head, or the commit of it that a person was shown, into the night branch."""
    head = tools.source.base_head() if commit is None else tools.source.resolve(commit)
    if head is None:
        return Impossible(f"Nothing was changed: `{(commit or '')[:12]}` is not in the repository any more. Ask again.")
    fault = find_obstacle(tools, head)
    if fault is not None:
        return fault
    now = tools.now()
    run = Run(
        secrets.token_hex(4), RunKind.UPDATE, RunState.READY, tools.night(), None, f"base branch at {head[:12]}", now,
        now, patch=Patch(merges=head), asked_by=by,
    )  # fmt: skip
    tools.store.add_run(run, now, key="update")
    return Done(run=run.id)


def find_obstacle(tools: Tools, head: str) -> Impossible | None:
    """Why there is nothing to update, or not now."""
    here = find_here(tools)
    if here is not None and tools.source.contains(here, head) and not tools.source.list_unmerged(here, head):
        return Impossible(f"Nothing was changed: {name_head(tools, head)}, is in {name_here(tools)} already. {REMOTE}")
    if any(run.kind is RunKind.UPDATE for run in tools.store.list_open_runs()):
        return Impossible("Nothing was changed: the base is being moved already; see its card.")
    return None


def name_head(tools: Tools, head: str) -> str:
    at = write_moment(tools.source.commit(head).committed_at)
    return f"`{head[:12]}` (committed {at}), the head of the base branch in the checkout `{tools.realm.source_dir}`"


def find_here(tools: Tools) -> str | None:
    """The commit that the base would be merged into: the night branch's head, or what runs."""
    branch = branching.find_branch(tools)
    return branch.head if branch is not None else finding.running_commit(tools)


def name_here(tools: Tools) -> str:
    branch = branching.find_branch(tools)
    return f"`{branch.name}`" if branch is not None else "what runs"


def find_conflict(tools: Tools, here: str, head: str) -> str | None:
    """Why the merge would be refused; None = it goes through."""
    try:
        tools.source.check(Patch(merges=head), tools.limits(), here, None)
    except Refused as refusal:
        return tools.redact(str(refusal))
    return None
