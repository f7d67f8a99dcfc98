"""READY: has a patch. May it be applied, and is the lane free?"""

from __future__ import annotations

from datetime import timedelta

from pipeline import policy
from pipeline.card_models import PostKind
from pipeline.errors import Overlaid, Refused
from pipeline.keeper.protocol import ServerState
from pipeline.model import Approval, Patch, Question, Run, RunKind, RunState
from pipeline.stages import branching, proposal, repeating
from pipeline.store import Branch, NewPost
from pipeline.tools import Move, Stay, Step, Tools

PATIENCE = timedelta(minutes=2)  # for a server to get ready
LOOK = 2.0  # seconds between two looks whether it is


def admit(tools: Tools, run: Run) -> Step:
    if run.patch is None:
        return Move(RunState.FAILED, "there is no change to apply")
    if is_held_up(tools, run):
        return Stay()  # the card says so by itself, and no longer when it goes on
    base = branching.choose(tools, run)
    if isinstance(base, branching.Unknown) and may_still_tell(tools, run):
        return Stay("waits until the server is up again and says what it is built from", LOOK)
    if isinstance(base, branching.Unknown):
        question = {"question": Question.BASE, "reason": base.reason, "base": base.base}
        return Move(RunState.AWAITING_APPROVAL, base.reason, changes=question)
    try:
        changes, diff = tools.source.check(
            run.patch, tools.limits(run), base.head, branching.seen_by_analyst(tools, run)
        )
    except Refused as refusal:
        return refuse(tools, run, refusal)
    posts = proposal.show(tools, run, diff)
    seen = run.kind is not RunKind.FIX or Question.PATCH in run.answered
    again = None if seen else repeating.find_taken_back(tools, run, diff)
    if again or (not seen and tools.realm.approval is Approval.PATCH):
        asked = {"question": Question.PATCH, "changes": tuple(changes), "reason": again}
        return Move(RunState.AWAITING_APPROVAL, again or "APPROVAL=patch", posts, asked)
    return Move(RunState.PATCHING, "", posts, {"changes": tuple(changes)})


def is_held_up(tools: Tools, run: Run) -> bool:
    """By the pause."""
    return not policy.passes_pause(run) and tools.store.get_pause() is not None


def may_still_tell(tools: Tools, run: Run) -> bool:
    """A server between two lives says what it is when it is ready; nobody is asked for that. One that does not come up
    may need this very fix: then somebody is."""
    observed = tools.keeper.observed()
    comes_up = observed is not None and observed.state not in (ServerState.READY, ServerState.HELD)
    return comes_up and tools.now() - run.updated_at < PATIENCE


def refuse(tools: Tools, run: Run, refusal: Refused) -> Move:
    """A patch that may not be applied is a person's turn; a better answer reopens it."""
    if run.kind is not RunKind.FIX:
        return give_up(tools, run, refusal)
    reason = tools.redact(str(refusal))
    posts = proposal.show(tools, run, proposal.write_out(run.patch or Patch()))
    refused = NewPost(PostKind.REFUSED, {"reason": reason})
    return Move(RunState.PROPOSED, reason, [*posts, refused], {"reason": reason})


def give_up(tools: Tools, run: Run, refusal: Refused) -> Move:
    """What no analyst made: a revert, or an update."""
    reason = tools.redact(str(refusal))
    if run.kind is RunKind.REVERT and run.asked_by is None:
        reason = end_branch(tools, reason)
    elif isinstance(refusal, Overlaid):
        reason = f"{reason}. Nothing was changed: {say_way_out(tools, refusal)}"
    return Move(RunState.FAILED, reason, [NewPost(PostKind.REFUSED, {"reason": reason})], {"reason": reason})


def say_way_out(tools: Tools, overlaid: Overlaid) -> str:
    """What a person does who wants it out all the same."""
    if overlaid.by is not None and tools.store.get_run_by_commit(overlaid.by) is not None:
        return f"`/revert {overlaid.by[:12]}` takes that one back first"
    return "merge the night branch, take it out of the base branch by hand, and `/update` brings that"


def end_branch(tools: Tools, reason: str) -> str:
    """A rollback whose revert does not apply, or does not compile without what was built on it: the branch ends, the
    next begins at the commit that runs."""
    branch = tools.store.get_open_branch()
    if branch is None:
        return reason
    tools.store.end_branch(branch.name)
    give_up_above(tools, branch)
    return (
        f"{reason}; `{branch.name}` ends here, the next fix begins a new branch at the commit that runs. Whoever "
        "merges the old one takes out by hand what was rolled back"
    )


def give_up_above(tools: Tools, branch: Branch) -> None:
    """What was built on it contains the fix that was rolled back, and must not bring it back."""
    reason = "its build contains a fix that was rolled back and cannot be taken out of it: `/retry` asks for another"
    waiting = tools.store.list_runs_in(RunState.AWAITING_DEPLOYMENT, RunState.AWAITING_APPROVAL)
    for run in waiting:
        if run.branch == branch.name and run.commit is not None:
            tools.store.advance(run, RunState.FAILED, tools.now(), note=reason, reason=reason, question=None)
