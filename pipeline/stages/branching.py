"""Which branch a run goes on: the night's is continued, or begun at the commit that the server runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pipeline import policy
from pipeline.errors import RemoteUnreachable
from pipeline.model import CHANGE_LANE, DEPLOY_LANE, Question, Run, RunState
from pipeline.stages import finding
from pipeline.store import Branch
from pipeline.tools import Tools


@dataclass(frozen=True)
class Chosen:
    """A branch that exists, or one that would begin at `head`."""

    head: str
    branch: Branch | None


@dataclass(frozen=True)
class Unknown:
    """Nobody knows what the server runs; an operator must accept the base."""

    reason: str


def choose(tools: Tools, run: Run) -> Chosen | Unknown:
    """The branch this run's commit goes on; begins nothing."""
    open_branch = tools.store.get_open_branch()
    if open_branch is not None and (open_branch.night == tools.night() or is_in_use(tools, open_branch)):
        return Chosen(open_branch.head, open_branch)
    base = finding.running_commit(tools)
    if base is not None:
        return Chosen(base, None)
    if Question.BASE in run.answered:
        return Chosen(tools.source.base_head(), None)
    return Unknown(
        "what the server runs is not known (no revision, or built from uncommitted changes): may fixes begin at the "
        "head of the base branch? SERVER_COMMIT can name the commit instead"
    )


def is_in_use(tools: Tools, branch: Branch) -> bool:
    """Whether a run of it stands between PATCHING and ROLLING_BACK."""
    middle = (*CHANGE_LANE, RunState.AWAITING_DEPLOYMENT, *DEPLOY_LANE)
    return any(run.branch == branch.name for run in tools.store.list_runs_in(*middle))


def begin(tools: Tools, chosen: Chosen) -> Branch:
    """The branch, in the database and in our clone."""
    branch = chosen.branch or tools.store.add_branch(free_name(tools), tools.night(), chosen.head, tools.now())
    tools.source.begin(branch.name, branch.base)
    return branch


def free_name(tools: Tools, night: date | None = None) -> str:
    """`overnight-YYYYMMDD`, or the first of `-2`, `-3`, … that neither we, nor our clone, nor the remote have."""
    taken = set(tools.store.list_branch_names())
    night = night or tools.night()
    number = 1
    while (name := policy.branch_name(night, number)) in taken or is_taken(tools, name):
        number += 1
    return name


def is_taken(tools: Tools, name: str) -> bool:
    """A remote that does not answer says nothing: what it has shows at the push."""
    if tools.source.head(name) is not None:
        return True
    try:
        return tools.source.remote_head(name) is not None
    except RemoteUnreachable:
        return False


def seen_by_analyst(tools: Tools, run: Run) -> str | None:
    """The commit that the request of this run named."""
    return finding.base_of_answers(tools, tools.store.get_crash_of_run(run.id))
