"""PATCHING: our clone is brought to the recorded head, the patch applied and committed. Commit comes before build:
TrinityCore stamps HEAD's hash into the binary, and a `+` when the tree is dirty.
"""

from __future__ import annotations

from pipeline import policy
from pipeline.adapters.commit_messages import commit_message
from pipeline.card_models import PostKind
from pipeline.errors import Refused
from pipeline.model import Commit, Patch, Run, RunKind, RunState
from pipeline.points import point
from pipeline.stages import branching, ready
from pipeline.store import Branch, NewPost
from pipeline.tools import Move, Step, Tools


def patch(tools: Tools, run: Run) -> Step:
    if run.patch is None:
        return Move(RunState.FAILED, "there is no change to apply")
    chosen = branching.choose(tools, run)
    if isinstance(chosen, branching.Unknown):
        return Move(RunState.READY, chosen.reason)
    branch = branching.begin(tools, chosen)
    point("patch.branch")
    try:
        commit = find_or_make(tools, run, run.patch, branch)
    except Refused as refusal:
        return give_back(tools, run, refusal)
    point("patch.committed")
    changes = {"branch": branch.name, "base": branch.head, "commit": commit.hash, "reason": None}
    return Move(RunState.BUILDING, f"committed {commit.hash[:12]}", (), changes)


def find_or_make(tools: Tools, run: Run, change: Patch, branch: Branch) -> Commit:
    """The commit of this run: an earlier passage may have made it already."""
    tip = tools.source.head(branch.name)
    if tip is not None and tip != branch.head:
        made = tools.source.find_run(branch.name, branch.head, run.id)
        if made is not None and made.hash == tip:
            tools.source.restore(branch.name, tip)
            return made
    tools.source.restore(branch.name, branch.head)
    return tools.source.apply(change, message_of(run, change), tools.limits(run), branching.seen_by_analyst(tools, run))


def message_of(run: Run, change: Patch) -> str:
    analysis = run.analysis
    return commit_message(
        kind={RunKind.FIX: "fix", RunKind.REVERT: "revert", RunKind.UPDATE: "merge"}[run.kind],
        paths=[each.path for each in change.files] + [each.path for each in change.edits if each.path],
        summary=(analysis and analysis.summary) or run.subject,
        details=(analysis and analysis.details) or run.reason,
        signature=run.signature.exact if run.signature else None,
        request_id=run.request_id,
        run=run.id,
    )


def give_back(tools: Tools, run: Run, refusal: Refused) -> Step:
    """The patch no longer applies: asked again, at most twice in all."""
    if run.kind is not RunKind.FIX:
        return ready.give_up(tools, run, refusal)
    reason = tools.redact(str(refusal))
    posts = [NewPost(PostKind.REFUSED, {"reason": reason})]
    if run.returns >= policy.MOST_RETURNS:
        return Move(RunState.PROPOSED, reason, posts, {"reason": reason})
    return Move(RunState.ANALYZING, reason, posts, next_round(run, reason))


def next_round(run: Run, reason: str) -> dict[str, object]:
    """What changes in a run that goes back to the analyst: a new request, the old patch gone."""
    returns = run.returns + 1
    return {
        "returns": returns, "request_id": f"{run.id}-{returns + 1}", "patch": None, "commit": None, "branch": None,
        "base": None, "reason": reason, "answered": (), "changes": (),
    }  # fmt: skip
