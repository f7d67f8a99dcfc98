"""Why runs wait in AWAITING_DEPLOYMENT, said on their cards.

A build that could not be put in place (the disk is full, a file is held open) is the environment's fault, not the
fix's: the old build runs on, and the runs wait until it is tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline import obstacles
from pipeline.keeper.protocol import EventKind
from pipeline.model import Hindrance, Run, RunState
from pipeline.moments import write_moment
from pipeline.store import Deployment, Fact
from pipeline.tools import Tools

SOONEST = timedelta(minutes=1)  # before the second try; doubled each time
LATEST = timedelta(minutes=30)
INTERRUPTED = "interrupted"  # the keeper was killed in the midst of it, and goes on by itself

PLACE = "SERVER_DIR"
DAMAGED = "the archived build is damaged: reject it and let it be made again"
UNKNOWN_CURE = "mend that in SERVER_DIR"


@dataclass(frozen=True)
class SwapFault:
    """What the keeper told of a build that it could not put in place."""

    error: str
    stuck: bool  # the files fit neither build

    @property
    def cure(self) -> str:
        if (found := obstacles.find_cure(self.error, PLACE)) is not None:
            return found
        return DAMAGED if any(sign in self.error for sign in ("manifest says", "is missing")) else UNKNOWN_CURE


def find_fault(tools: Tools, deployment: Deployment, since: datetime) -> SwapFault | None:
    """Why its build is not in place; None = nothing went wrong, or the keeper tries again by itself."""
    faults = [
        SwapFault(str(data.get("error") or "no reason was told"), data.get("rolled") == "stuck")
        for _, kind, data in tools.store.list_events(since)
        if kind == EventKind.SWAP_FAILED and data.get("build") == deployment.build
    ]
    return faults[-1] if faults and faults[-1].error != INTERRUPTED else None


def put_off(tools: Tools, deployment: Deployment, fault: SwapFault) -> bool:
    """Ends this deployment without a verdict; its runs wait, longer each time."""
    now = tools.now()
    tries = 1 + max((run.attempts for run in tools.store.list_runs_of(deployment.id)), default=0)
    again = now + min(LATEST, SOONEST * 2 ** min(tries - 1, 10))
    reason = (
        f"the build could not be put in place: {tools.redact(fault.error)}. Cure: {fault.cure}; tried again "
        f"{write_moment(again)}"
    )
    if fault.stuck:
        tools.store.set_fact(Fact.BUILD, deployment.previous)  # whole files of one build lift the keeper's hold
    tools.store.move_deployment(
        deployment, "over", now, runs=RunState.AWAITING_DEPLOYMENT, note=reason, over_at=now, reason=reason,
        run_changes={"reason": reason, "attempts": tries, "not_before": again},
    )  # fmt: skip
    return True


def is_due(tools: Tools, run: Run) -> bool:
    return run.not_before is None or tools.is_past("try", run.not_before, LATEST)


def tell_in_line(tools: Tools, runs: Sequence[Run], active: Deployment) -> None:
    """Another deployment has the lane: which one, and until when."""
    if runs:
        first = next(iter(tools.store.list_runs_of(active.id)), None)
        name = f"`{first.subject}`" if first else f"`{active.build[:12]}`"
        tell(tools, [run for run in runs if is_due(tools, run)], name_wait(tools, active, name))


def name_wait(tools: Tools, active: Deployment, name: str) -> str:
    if active.state == "verifying" and active.ready_at is not None:
        end = write_moment(active.ready_at + tools.realm.soak)
        return f"waits for the verification of {name} to end, {end} if it stays up"
    return f"waits for the {'rollback' if active.state == 'rolling back' else 'deployment'} of {name} to end"


def tell(tools: Tools, runs: Sequence[Run], reason: str, hindrance: Hindrance | None = None) -> None:
    """What is due is no longer put off by what hindered it before."""
    for run in runs:
        again = None if is_due(tools, run) else run.not_before
        if (run.reason, run.hindrance, run.not_before) != (reason, hindrance, again):
            tools.store.advance(run, run.state, tools.now(), reason=reason, hindrance=hindrance, not_before=again)
