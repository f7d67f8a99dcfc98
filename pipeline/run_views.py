"""One run as people see it: its line, its build, its deployment. Blocking; nothing is changed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pipeline import policy
from pipeline.card_models import DeploymentView
from pipeline.keeper.protocol import Want
from pipeline.model import Awaits, Progress, Run, RunState
from pipeline.status_models import RunLine
from pipeline.store import Deployment, Fact, Store
from pipeline.tools import Tools


def run_line(store: Store, run: Run, unanswered: Collection[Run] | None = None) -> RunLine:
    """`unanswered` = the requests that nobody works on; None = they are looked for."""
    build = store.get_pace(run.id) if run.state is RunState.BUILDING else None
    return RunLine(
        run.id, run.subject, run.state, run.reason, run.question, progress_of(build),
        _is_in_line(store, run), run.not_before, waits_for_resume(store, run),
        in_queue=is_in_queue(store, run, unanswered),
        hindered=policy.is_hindered(run),
        kind=run.kind,
        awaits=find_wait(store, run),
        fix_state=run.fix_state,
        puts_back=store.puts_back(run),
    )  # fmt: skip


def is_in_queue(store: Store, run: Run, unanswered: Collection[Run] | None) -> bool:
    if run.state is not RunState.ANALYZING:
        return False
    return any(each.id == run.id for each in (store.list_unanswered() if unanswered is None else unanswered))


def waits_for_resume(store: Store, run: Run) -> bool:
    if store.get_pause() is None:
        return False
    return policy.waits_for_resume(run, asked=run.state is RunState.ANALYZING and store.was_asked(run))


def find_wait(store: Store, run: Run) -> Awaits | None:
    """The one thing that a build waits for; None = it is none, or what is the matter with it is said elsewhere."""
    if run.state is not RunState.AWAITING_DEPLOYMENT:
        return None
    if waits_for_resume(store, run):
        return Awaits.RESUME
    if policy.is_hindered(run):
        return None
    if _is_in_line(store, run):
        return Awaits.LANE
    if (store.get_fact(Fact.SERVER) or {}).get("want") == Want.STOPPED:
        return Awaits.START
    if run.not_before is not None:
        return Awaits.RETRY
    return Awaits.TURN if policy.is_ordered(run) else Awaits.QUIET


def _is_in_line(store: Store, run: Run) -> bool:
    """Built, and another deployment has the lane: it waits for that one, for no quiet moment."""
    active = store.get_active_deployment() if run.state is RunState.AWAITING_DEPLOYMENT else None
    return active is not None and active.id != run.deployment


def progress_of(row: Any) -> Progress | None:
    return None if row is None or row.total is None else Progress(row.done, row.total)


def deployment_view(tools: Tools, run: Run | None) -> DeploymentView | None:
    found = tools.store.get_deployment(run.deployment) if run and run.deployment else None
    if found is None or found.state == "standby":
        return None
    healthy_at = found.ready_at + tools.realm.soak if found.ready_at else None
    previous = tools.store.get_build(found.previous) if found.previous else None
    return DeploymentView(
        found.id, found.build, _stage_of(found), found.down_seconds, found.ready_at, healthy_at, found.previous,
        previous.commit if previous else None,
    )  # fmt: skip


def _stage_of(deployment: Deployment) -> str:
    return "starting" if deployment.state == "stopping" else deployment.state
