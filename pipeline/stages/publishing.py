"""PUBLISHING: pushes what has built. A push that does not go through is owed and holds nothing up."""

from __future__ import annotations

from pipeline.card_models import PostKind
from pipeline.errors import DefiniteError, RemoteUnreachable
from pipeline.model import Run, RunState
from pipeline.points import point
from pipeline.ports import Diverged
from pipeline.stages import branching, finding
from pipeline.store import Branch, NewPost
from pipeline.tools import Move, Step, Tools


def publish(tools: Tools, run: Run) -> Step:
    if run.commit is None or run.branch is None:
        return Move(RunState.FAILED, "there is no commit to publish")
    branch = tools.store.get_branch(run.branch)
    if branch is None:
        return Move(RunState.FAILED, f"the branch {run.branch} is not known any more")
    push(tools, branch)
    point("publish.noted")
    pushed = tools.store.get_run(run.id) or run  # the night may have gone on under another name
    posts = [NewPost(PostKind.BUILT, describe(tools, run, run.commit, pushed.branch))]
    if finding.runs_already(tools, run.commit):
        return Move(RunState.SUCCEEDED, "the running build has the same content: nothing to deploy", posts)
    return Move(RunState.AWAITING_DEPLOYMENT, "built", posts)


def describe(tools: Tools, run: Run, commit: str, branch: str | None) -> dict[str, object]:
    """What its thread is told: the commit, and each that it takes back, with their pages."""
    undoes = [{"commit": each, "url": tools.source.url(each)} for each in run.undoes]
    return {
        "commit": commit, "url": tools.source.url(commit), "branch": branch, "kind": run.kind, "undoes": undoes,
        "puts_back": tools.store.puts_back(run), "by": run.asked_by,
    }  # fmt: skip


def push(tools: Tools, branch: Branch) -> None:
    """Pushes a branch's built head. On a branch that diverged or vanished there, goes on as `-2`, told."""
    point("publish.begun")
    try:
        outcome = tools.source.publish(branch.name, branch.head, branch.pushed)
        if isinstance(outcome, Diverged):
            branch = continue_elsewhere(tools, branch, outcome.detail)
            outcome = tools.source.publish(branch.name, branch.head, None)
    except (RemoteUnreachable, DefiniteError) as fault:
        return owe(tools, branch, tools.redact(str(fault)))
    if isinstance(outcome, Diverged):
        return owe(tools, branch, outcome.detail)
    point("publish.pushed")
    here = [run.id for run in tools.store.list_committed_runs(branch.night) if run.branch == branch.name]
    data = {"what": "push made up", "detail": f"`{branch.name}` is on the remote: nothing is owed any more"}
    owed = [] if branch.owed_since is None else [NewPost(PostKind.PIPELINE, data, to_channel=True)]
    return tools.store.note_pushed(branch.name, branch.head, tools.now(), here, owed)


def owe(tools: Tools, branch: Branch, reason: str) -> None:
    data = {"what": "push owed", "detail": f"`{branch.name}` is not on the remote: {reason}"}
    posts = [NewPost(PostKind.PIPELINE, data, to_channel=True)]
    tools.store.note_push_owed(branch.name, reason, tools.now(), posts)


def continue_elsewhere(tools: Tools, branch: Branch, detail: str) -> Branch:
    """The same commits under the next name; what is on the remote stays as it is."""
    name = branching.free_name(tools, branch.night, branch.head)
    if not branch.ended:  # else our clone stands on another one, where a build may be under way
        tools.source.begin(name, branch.head)
        tools.source.restore(name, branch.head)
    now = tools.now()
    point("publish.renamed")
    tools.store.move_branch(branch.name, name, branch.night, branch.base, branch.head, now)
    data = {"what": "branch continued", "detail": f"`{branch.name}` {detail}: the night goes on as `{name}`"}
    tools.store.add_posts([NewPost(PostKind.PIPELINE, data, to_channel=True)], now)
    moved = tools.store.get_branch(name)
    if moved is None:
        raise DefiniteError(f"the branch {name} could not be recorded")
    return moved
