"""Which branch a run goes on: the night's is continued, or begun at the commit that the server runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pipeline import policy
from pipeline.card_models import PostKind
from pipeline.errors import Obstructed, RemoteUnreachable
from pipeline.model import CHANGE_LANE, DEPLOY_LANE, Question, Run, RunState
from pipeline.stages import finding
from pipeline.store import Branch, NewPost
from pipeline.tools import Tools

LOST = "night branch"  # in `degraded`
NOT_KNOWN = (
    "what the server runs is not known (no revision, or built from uncommitted changes): SERVER_COMMIT can name the "
    "commit instead"
)


@dataclass(frozen=True)
class Chosen:
    """A branch that exists, or one that would begin at `head`."""

    head: str
    branch: Branch | None


@dataclass(frozen=True)
class Unknown:
    """Nobody knows what the server runs, or the branch is lost; an operator must accept the base."""

    reason: str
    base: str | None = None  # where the branch would begin; None = at the head of the base branch


def choose(tools: Tools, run: Run) -> Chosen | Unknown:
    """The branch this run's commit goes on; begins nothing. Raises RemoteUnreachable where only the remote can give
    back what our clone has lost, and does not answer."""
    branch = find_branch(tools, run)
    lost = None if branch is None else tell_lost(tools, branch)
    if branch is not None and lost is None:
        return Chosen(branch.head, branch)
    base = finding.running_commit(tools)
    if Question.BASE in run.answered:
        return Chosen(base or tools.source.base_head(), None)
    if lost is not None:
        return Unknown(lost, base)
    return Unknown(NOT_KNOWN) if base is None else Chosen(base, None)


def find_branch(tools: Tools, run: Run | None = None) -> Branch | None:
    """The night's branch, or an earlier night's that a run still stands on, or that alone has what this one undoes."""
    branch = tools.store.get_open_branch()
    if branch is None or branch.night == tools.night() or is_in_use(tools, branch):
        return branch
    return branch if run is not None and _has_alone(tools, branch, run) else None


def _has_alone(tools: Tools, branch: Branch, run: Run) -> bool:
    running = finding.running_commit(tools)
    return any(
        tools.source.contains(branch.head, each) and not (running and tools.source.contains(running, each))
        for each in run.undoes
    )


def tell_lost(tools: Tools, branch: Branch) -> str | None:
    """What to say of a branch whose head is gone with our clone; None = it is there, or was on the remote."""
    words = f"`{branch.head[:12]}`, the head of `{branch.name}`, is neither in our clone nor on the remote"
    if tools.source.resolve(branch.head) is None and not _is_found_again(tools, branch, words):
        return f"{words}. Approved, a new branch begins without it; once somebody pushes it there, the old one goes on"
    tools.degraded.pop(LOST, None)
    return None


def _is_found_again(tools: Tools, branch: Branch, lost: str) -> bool:
    """Whether the remote has it. Raises RemoteUnreachable: one that is gone for now is waited for; and Obstructed while
    our clone itself is gone, which is then all that there is to tell."""
    told = f"{lost}: push that branch to the remote from wherever it still is"
    try:
        there = tools.source.remote_head(branch.name)
    except Obstructed:
        tools.degraded.pop(LOST, None)
        raise
    except RemoteUnreachable:
        tools.degraded[LOST] = told
        raise
    if there is not None and tools.source.resolve(branch.head) is not None:
        return True
    tools.degraded[LOST] = told
    return False


def is_in_use(tools: Tools, branch: Branch) -> bool:
    """Whether a run of it stands between PATCHING and ROLLING_BACK: a build that waits for an approval was made on this
    branch too, and what is built on another one could never go live before it."""
    middle = (*CHANGE_LANE, RunState.AWAITING_APPROVAL, RunState.AWAITING_DEPLOYMENT, *DEPLOY_LANE)
    return any(run.branch == branch.name and run.commit for run in tools.store.list_runs_in(*middle))


def begin(tools: Tools, chosen: Chosen) -> Branch:
    """The branch, in the database and in our clone."""
    branch = chosen.branch or _add(tools, chosen.head)
    tools.source.begin(branch.name, branch.base)
    tools.degraded.pop(LOST, None)
    return branch


def _add(tools: Tools, head: str) -> Branch:
    """Told where the night's own name is taken by a branch that this database does not know."""
    name, usual = free_name(tools), policy.branch_name(tools.night(), 1)
    if name != usual and usual not in tools.store.list_branch_names():
        detail = f"`{usual}` was there already, and not by what we remember: the night goes on as `{name}`"
        data = {"what": "branch continued", "detail": detail}
        tools.store.add_posts([NewPost(PostKind.PIPELINE, data, to_channel=True)], tools.now())
    return tools.store.add_branch(name, tools.night(), head, tools.now())


def free_name(tools: Tools, night: date | None = None, head: str | None = None) -> str:
    """`overnight-YYYYMMDD`, or the first of `-2`, `-3`, … that neither we, nor our clone, nor the remote have. One that
    stands at `head` in our clone alone was begun for it and never recorded: it is taken."""
    taken = set(tools.store.list_branch_names())
    night = night or tools.night()
    number = 1
    while (name := policy.branch_name(night, number)) in taken or is_taken(tools, name, head):
        number += 1
    return name


def is_taken(tools: Tools, name: str, head: str | None = None) -> bool:
    """A remote that does not answer says nothing: what it has shows at the push."""
    if tools.source.head(name) not in (None, head):
        return True
    try:
        return tools.source.remote_head(name) is not None
    except RemoteUnreachable:
        return False


def seen_by_analyst(tools: Tools, run: Run) -> str | None:
    """The commit that the request of this run named."""
    return finding.base_of_answers(tools, tools.store.get_crash_of_run(run.id))
