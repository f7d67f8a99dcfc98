"""From AWAITING_DEPLOYMENT on: one deployment at a time carries every run that waits.

`plan` begins one, `step` takes it on by one observed fact: announcing -> stopping -> verifying -> over, with
rolling back where the new server is worse. Each is short; waiting is done by being called again.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import assert_never

from pipeline import policy
from pipeline.card_models import PostKind
from pipeline.errors import PipelineError
from pipeline.keeper.protocol import EventKind, Hold, Observed, ServerState
from pipeline.model import FixState, Hindrance, Run, RunKind, RunState, Verdict
from pipeline.obstacles import find_obstacle
from pipeline.points import point
from pipeline.stages import carrying, finding, postponing, rolling_back, verifying, wish
from pipeline.stages.carrying import Load
from pipeline.store import Deployment, Fact, NewPost, Order, Overtaken
from pipeline.tools import Tools

LONGEST_BACK_OFF = timedelta(minutes=2)  # between a death and the start that deploys what stood by
CLOCKS = timedelta(seconds=0.1)  # what two processes' readings of one clock may lie apart
STOPPED = "an operator stopped the server: it goes live with the next start"
NO_FALLBACK = (
    "there is no healthy build to go back to, and without one nothing is risked: what lay in SERVER_DIR before the "
    "first deployment becomes one as soon as it is archived, and `/status` names what hinders that"
)
GIVEN_UP = (Hold.BREAKER, Hold.SWAP)  # holds that no person made
LATEST_WAKE = timedelta(seconds=1)  # after its moment; what is late for longer waits for something else


def go_on(tools: Tools) -> bool:
    """One decision, and the wish that follows from it; whether something changed."""
    changed = step(tools) or plan(tools)
    wish.reconcile(tools)
    return changed


# --- beginning -------------------------------------------------------------------------------------------------------


def plan(tools: Tools) -> bool:
    """Begins a deployment, or a standby, of what waits and may go; whether something was begun."""
    with tools.store.together():
        waiting = tools.store.list_runs_in(RunState.AWAITING_DEPLOYMENT)
        active, standby = tools.store.get_lane()
    if active is not None:
        postponing.tell_in_line(tools, [run for run in waiting if run.deployment != active.id], active)
        return False
    if carrying.settle_live(tools, waiting) or (standby is not None and take_standby_back(tools, standby)):
        return True
    if not waiting:
        return False
    load = carrying.choose(tools, carrying.ask_approval(tools, waiting))
    return load is not None and begin_or_stand_by(tools, load)


def take_standby_back(tools: Tools, standby: Deployment) -> bool:
    """A build that nobody wants any more does not stand by; whether it was taken back."""
    load = carrying.look_at(tools, standby.build, tools.store.list_runs_of(standby.id))
    why = carrying.why_not_any_more(tools, load)
    if why is not None:
        withdraw_standby(tools, why)
    return why is not None


def begin_or_stand_by(tools: Tools, load: Load) -> bool:
    build, runs = load.build, load.runs
    if not any(postponing.is_due(tools, run) for run in runs):
        return False
    observed = tools.keeper.observed()
    if observed is None:
        return False
    if finding.find_kept(tools, build) is None:
        postponing.tell(tools, runs, NO_FALLBACK, Hindrance.NO_FALLBACK)
        return False
    if wish.is_stopped(tools):
        postponing.tell(tools, runs, STOPPED)
        return stand_by(tools, load, observed)
    if goes_by_itself(tools, build, observed):
        return False
    since = min(tools.store.started_at(run.commit) for run in runs if run.commit)
    players = count_players(tools, observed)
    decision = policy.may_deploy_now(tools.now(), players, tools.realm, since)
    if isinstance(decision, policy.Wait) and not any(map(policy.is_ordered, runs)):
        postponing.tell(tools, runs, decision.reason)
        return stand_by(tools, load, observed)
    return announce(tools, load, observed, players)


def goes_by_itself(tools: Tools, build: str, observed: Observed) -> bool:
    """A start is on its way that may bring this build in: whether it does is seen when it is up."""
    standby = tools.store.get_standby()
    coming = observed.state in (ServerState.STARTING, ServerState.SWAPPING) or observed.hold is Hold.STOPPED
    return standby is not None and standby.build == build and coming


def stand_by(tools: Tools, load: Load, observed: Observed) -> bool:
    """The build is also the keeper's for the next start: a crash deploys it at no extra downtime."""
    standby = tools.store.get_standby()
    if standby is not None and standby.build == load.build:
        return False
    with tools.wishing, tools.store.together():  # somebody may have said no since it was chosen
        if carrying.find_objection(tools, load) is not None:
            return False
        deployment = new_deployment(tools, load.build, "standby", observed, load.runs)
        tools.store.add_deployment(deployment, load.runs, tools.now())
    point("standby.noted")
    return True


def withdraw_standby(tools: Tools, reason: str) -> str:
    """Takes the build that stands by from the keeper before the order that asks for it is answered. What the keeper
    could not be told, in words; "" = it knows."""
    with tools.wishing:
        drop_standby(tools, tools.keeper.observed(), reason)
        return tell_keeper(tools)


def drop_standby(tools: Tools, observed: Observed | None, reason: str) -> None:
    """One that a crash has put in by now is judged like any other: taking it away would restart the server."""
    standby = tools.store.get_standby() if observed is not None else None
    if observed is None or standby is None or not adopt_standby(tools, standby, observed):
        tools.store.drop_standby(tools.now(), reason)


def tell_keeper(tools: Tools) -> str:
    """For whoever holds `tools.wishing`, before the order is kept: a kill in between leaves a keeper that brings in
    less than it might, never more. What was ordered holds, whether or not its file can be written: every step tries
    it again."""
    try:
        wish.write(tools)
    except Exception as fault:
        obstacle = find_obstacle(fault)
        if obstacle is None:
            raise
        words = tools.redact(obstacle).rstrip(".")
        return f"The keeper could not be told yet ({words}): a crash until then may still bring in what stood by."
    return ""


def announce(tools: Tools, load: Load, observed: Observed, players: int | None) -> bool:
    notice = tools.realm.stop_notice if has_listeners(tools, players) else timedelta()
    deployment = new_deployment(tools, load.build, "announcing", observed, load.runs, stop_at=tools.now() + notice)
    with tools.wishing, tools.store.together():  # a rollback may have been ordered since it was chosen
        if tools.store.get_active_deployment() is not None:
            return False
        tools.store.add_deployment(deployment, load.runs, tools.now())
    point("deploy.noted")
    if notice:
        tell_players(tools, f"Server restart in {notice.total_seconds():.0f} seconds: a crash fix goes live.")
    return True


def new_deployment(
    tools: Tools, build: str, state: str, observed: Observed, runs: Sequence[Run], stop_at: datetime | None = None
) -> Deployment:
    healthy = finding.find_kept(tools, build)
    by = next((run.asked_by for run in runs if run.asked_by), None)
    return Deployment(
        secrets.token_hex(4), build, healthy, state, by, None, tools.now(), stop_at, None, None, None, None, None, None
    )


def count_players(tools: Tools, observed: Observed) -> int | None:
    return None if observed.pid is None else tools.players.count(observed.pid)


def has_listeners(tools: Tools, players: int | None) -> bool:
    return tools.console is not None and players != 0


def tell_players(tools: Tools, text: str) -> None:
    console_call(tools, f"announce {text}")


def console_call(tools: Tools, command: str) -> bool:
    """Whether the server's console took it. A console that does not answer never holds up a stop: SIGTERM saves too."""
    observed = tools.keeper.observed()
    if tools.console is None or observed is None or observed.pid is None:
        return False  # nobody is there to be told
    try:
        tools.console.execute(command)
    except PipelineError as fault:
        tools.degraded["console"] = (
            f"the server's console did not do `{command.split()[0]}`: {tools.redact(str(fault))}"
        )
        return False
    tools.degraded.pop("console", None)
    return True


# --- one step --------------------------------------------------------------------------------------------------------


def step(tools: Tools) -> bool:
    """Takes the deployment on; whether something changed."""
    observed = tools.keeper.observed()
    if observed is None or not tools.keeper.is_current(observed):
        return False
    deployment, standby = tools.store.get_lane()
    if deployment is None:
        return standby is not None and adopt_standby(tools, standby, observed)
    match deployment.state:
        case "announcing":
            return stop_when_due(tools, deployment)
        case "stopping":
            return watch_start(tools, deployment, observed)
        case "verifying":
            return watch_soak(tools, deployment, observed)
        case "rolling back":
            return rolling_back.finish(tools, deployment, observed)
        case _:
            return False


def seconds_to_next(tools: Tools) -> float | None:
    """Until the clock alone lets an order or the deployment go on; None = only an event will, or there is none."""
    with tools.store.together():
        deployment, orders = tools.store.get_active_deployment(), tools.store.list_waiting_orders()
    now = tools.now()
    due = [at for order in orders for at in moments_of(tools, order)]
    if deployment is not None and deployment.state == "announcing" and deployment.stop_at is not None:
        due.append(deployment.stop_at)
    if deployment is not None and deployment.state == "verifying" and deployment.ready_at is not None:
        soaked = deployment.ready_at + tools.realm.soak
        due.append(soaked)
    coming = [at for at in due if now - at < LATEST_WAKE]
    return None if not coming else max(0.0, (min(coming) - now).total_seconds())


def moments_of(tools: Tools, order: Order) -> list[datetime]:
    """When an order is carried out, and when players are told of it once more."""
    told = order.due - tools.realm.stop_notice
    return [order.due, *([told] if order.told_at is not None and order.told_at < told else [])]


def adopt_standby(tools: Tools, standby: Deployment, observed: Observed) -> bool:
    """A crash has deployed what stood by: it goes through verification like any other."""
    if observed.deployment != standby.id:
        fault = postponing.find_fault(tools, standby, standby.created_at)
        return fault is not None and postponing.put_off(tools, standby, fault)
    began = datetime.fromtimestamp(observed.started or observed.at, standby.created_at.tzinfo)
    tools.store.move_deployment(
        standby, "stopping", tools.now(), runs=RunState.DEPLOYING, note="deployed by a crash", wished_at=began
    )
    return True


def stop_when_due(tools: Tools, deployment: Deployment) -> bool:
    load = carrying.look_at(tools, deployment.build, tools.store.list_runs_of(deployment.id))
    if (why := carrying.why_not_any_more(tools, load)) is not None:
        return call_off(tools, deployment, why)
    if deployment.stop_at is not None and not tools.is_past("stop", deployment.stop_at, tools.realm.stop_notice):
        return False
    console_call(tools, "saveall")
    point("deploy.saved")
    with tools.wishing, tools.store.together():  # saving takes seconds, in which people still order
        if (why := carrying.find_objection(tools, load)) is not None:
            return call_off(tools, deployment, why)
        now = tools.now()
        note = "stopping the server"
        tools.store.move_deployment(deployment, "stopping", now, runs=RunState.DEPLOYING, note=note, wished_at=now)
    return True


def call_off(tools: Tools, deployment: Deployment, reason: str) -> bool:
    """What was announced does not happen; its runs wait on, or are over."""
    tools.store.move_deployment(deployment, "over", tools.now(), over_at=tools.now(), reason=reason)
    return True


def watch_start(tools: Tools, deployment: Deployment, observed: Observed) -> bool:
    """DEPLOYING until the new build is ready, or is seen not to be."""
    if tools.store.fell_back(deployment):
        return rolling_back.begin(tools, deployment, "the new build did not become ready")
    fault = postponing.find_fault(tools, deployment, deployment.wished_at or deployment.created_at)
    if fault is not None and observed.build != deployment.build:
        return postponing.put_off(tools, deployment, fault)
    if observed.deployment != deployment.id and observed.build != deployment.build:
        return False
    if roll_back_held(tools, deployment, observed):
        return True
    if observed.state is not ServerState.READY or observed.build != deployment.build or observed.ready_at is None:
        return False
    ready = datetime.fromtimestamp(observed.ready_at, deployment.created_at.tzinfo)
    down = down_seconds(tools, deployment, ready)
    url = tools.source.url(deployment.build)
    data = {"commit": deployment.build, "url": url, "down_seconds": down, "revision": observed.revision}
    tools.store.move_deployment(
        deployment, "verifying", tools.now(), runs=RunState.VERIFYING, posts=[NewPost(PostKind.DEPLOYED, data)],
        ready_at=ready, down_seconds=down,
    )  # fmt: skip
    return True


def roll_back_held(tools: Tools, deployment: Deployment, observed: Observed) -> bool:
    """Whether it is held with the new build: another one lifts that."""
    if observed.state is not ServerState.HELD or observed.build != deployment.build:
        return False
    return rolling_back.begin(tools, deployment, f"the server is held: {observed.hold_detail or observed.hold}")


def down_seconds(tools: Tools, deployment: Deployment, ready: datetime) -> float:
    """From the stop to ready, as the keeper saw both; from the death, where a crash deployed it."""
    wished = deployment.wished_at or deployment.created_at
    events = [each for each in tools.store.list_events(wished - LONGEST_BACK_OFF) if each[0] <= ready]
    stops = [at for at, kind, _ in events if kind == EventKind.STOPPING and at >= wished - CLOCKS]
    deaths = [at for at, kind, _ in events if kind == EventKind.EXITED]
    began = stops[0] if stops else deaths[-1] if deaths else wished
    return (ready - began).total_seconds()


def watch_soak(tools: Tools, deployment: Deployment, observed: Observed) -> bool:
    if tools.store.fell_back(deployment):
        return rolling_back.begin(tools, deployment, "the new server died twice")
    judgement = verifying.judge(tools, deployment, observed)
    if judgement is None:
        return observed.hold in GIVEN_UP and roll_back_held(tools, deployment, observed)
    match judgement.verdict:
        case Verdict.UNHEALTHY:
            return rolling_back.begin(tools, deployment, judgement.reason)
        case Verdict.HEALTHY | Verdict.INCONCLUSIVE:
            return conclude(tools, deployment, judgement, RunState.SUCCEEDED)
        case Verdict.NOT_CURED:
            return conclude(tools, deployment, judgement, RunState.FAILED)
        case _:
            assert_never(judgement.verdict)


def conclude(tools: Tools, deployment: Deployment, judgement: verifying.Judgement, end: RunState) -> bool:
    """The build stays. Only a healthy one becomes a fallback. What follows is noted before: a kill repeats it."""
    now = tools.now()
    with tools.store.together():  # written, then looked at: a rollback that was ordered meanwhile has called it bad
        tools.store.set_fact(Fact.BUILD, deployment.build)
        if judgement.verdict is Verdict.HEALTHY:
            tools.store.note_healthy(deployment.build, now)
        if tools.store.get_active_deployment() != deployment:
            raise Overtaken(f"deployment {deployment.id} is not {deployment.state} any more")
    changes = {
        "verdict": judgement.verdict, "reason": judgement.reason or None,
        "fix_state": FixState.WATCHING if end is RunState.SUCCEEDED else None,
    }  # fmt: skip
    runs = tools.store.list_runs_of(deployment.id)
    undone = list_undone(tools, deployment.build, runs)
    for run in runs:
        note_reverted(tools, run)
    if end is RunState.FAILED:
        rolling_back.try_again(tools, runs, "the crash came back with the fix in place", judgement.reason)
    point("verdict.followed")
    data = {"verdict": judgement.verdict, "detail": judgement.reason}
    with tools.store.together():
        tools.store.move_deployment(
            deployment, "over", now, runs=end, run_changes=changes, note=judgement.reason,
            posts=[NewPost(PostKind.VERDICT, data)], verdict=judgement.verdict, over_at=now, reason=judgement.reason,
        )  # fmt: skip
        for run in undone:
            tools.store.set_fix_state(run.id, FixState.REVERTED, now)
        if any(run.kind is RunKind.UPDATE or tools.store.puts_back(run) for run in runs):
            tools.store.show_taken_back_anew(now)
    point("verdict.noted")
    return True


def list_undone(tools: Tools, build: str, runs: Sequence[Run]) -> list[Run]:
    """Fixes that came with their own revert: they are in the build's history, and not live."""
    fixes = [run for run in runs if run.kind is RunKind.FIX and run.commit]
    return [run for run in fixes if not tools.source.holds_fix(build, run.commit or "", run.id)]


def note_reverted(tools: Tools, run: Run) -> None:
    """A revert that went live takes the state of what it undid; a fix that was undone by that is live again."""
    for undone in filter(None, map(tools.store.get_run_by_commit, run.undoes)):
        tools.store.set_fix_state(undone.id, FixState.REVERTED, tools.now())
        leave_out(tools, undone)
        for back in filter(None, map(tools.store.get_run_by_commit, undone.undoes)):
            tools.store.set_fix_state(back.id, FixState.WATCHING, tools.now())


def leave_out(tools: Tools, undone: Run) -> None:
    """A rollback never brings back what was reverted: builds that hold it are none to go back to, where there are
    others."""
    kept = list(finding.list_kept(tools))
    commits = {build: finding.commit_of(tools, build) for build in kept}
    holding = [
        build
        for build, commit in commits.items()
        if commit is not None and tools.source.holds_fix(commit, undone.commit or "", undone.id)
    ]
    for build in holding if len(holding) < len(kept) else []:
        tools.store.note_unwanted(build)
