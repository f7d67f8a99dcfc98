"""What an order would do, for the question that is asked before it. Blocking; nothing is changed."""

from __future__ import annotations

from pipeline import change_orders, server_orders
from pipeline.model import Impossible, Run, RunKind, RunState
from pipeline.read_models import RestartPlan, RevertPlan, RollbackPlan, TakenOut, UpdatePlan
from pipeline.server_views import count_players, expected_down_seconds, say_down, say_halted
from pipeline.stages import finding, rolling_back
from pipeline.tools import Tools

SHOWN_COMMITS = 10


def plan_revert(tools: Tools, commit: str) -> RevertPlan | Impossible:
    fix = change_orders.find_fix(tools, commit)
    return fix if isinstance(fix, Impossible) else _plan_revert_of(tools, fix)


def _plan_revert_of(tools: Tools, run: Run) -> RevertPlan:
    observed = tools.keeper.observed()
    verifying = run.state in (RunState.DEPLOYING, RunState.VERIFYING)
    down = expected_down_seconds(tools, observed)
    back = run.kind is RunKind.REVERT
    why = (run.reason or "") if back else ""
    players = count_players(tools, observed)
    fix = run.kind is RunKind.FIX
    return RevertPlan(run.commit or "", run.subject, down, players, verifying, back, why, say_down(tools), fix)


def plan_restart(tools: Tools) -> RestartPlan | Impossible:
    return server_orders.find_down(tools) or look_at_server(tools)


def plan_stop(tools: Tools) -> RestartPlan | Impossible:
    return server_orders.find_stop(tools) or look_at_server(tools)


def look_at_server(tools: Tools) -> RestartPlan:
    observed = tools.keeper.observed()
    standby = tools.store.get_standby()
    return RestartPlan(
        down_seconds=expected_down_seconds(tools, observed),
        players=count_players(tools, observed),
        running=(observed.revision or observed.build) if observed else None,
        brings=tuple(run.subject for run in tools.store.list_runs_of(standby.id)) if standby else (),
        down=say_down(tools),
        due=server_orders.say_due(tools),
        halted=say_halted(tools),
    )


def plan_update(tools: Tools) -> UpdatePlan | Impossible:
    """What the base branch has that the night branch has not. A conflict is found out now, not in the night."""
    head = tools.source.base_head()
    obstacle = change_orders.find_obstacle(tools, head)
    if obstacle is not None:
        return obstacle
    here = change_orders.find_here(tools)
    if here is None:
        return Impossible(
            "What the server runs is not known, so there is nothing to compare with. `SERVER_COMMIT` can name it."
        )
    conflict = change_orders.find_conflict(tools, here, head)
    if conflict is not None:
        return Impossible(f"{conflict}. Merge it by hand, or revert those fixes first.")
    commits = tools.source.list_unmerged(here, head)
    observed = tools.keeper.observed()
    branch = tools.store.get_open_branch()
    return UpdatePlan(
        head=head,
        here=here,
        branch=branch.name if branch is not None and branch.head == here else None,
        commits=len(commits),
        subjects=tuple((each.hash, each.subject) for each in commits[:SHOWN_COMMITS]),
        down_seconds=expected_down_seconds(tools, observed),
        players=count_players(tools, observed),
        checkout=str(tools.realm.source_dir),
        base=tools.source.find_base_branch(),
        committed_at=tools.source.commit(head).committed_at,
        down=say_down(tools),
    )


def plan_rollback(tools: Tools) -> RollbackPlan | Impossible:
    way = rolling_back.find_way_back(tools)
    if isinstance(way, Impossible):
        return way
    observed = tools.keeper.observed()
    target = tools.store.get_build(way.target)
    return RollbackPlan(
        running=way.running,
        target=way.target,
        healthy_at=target.healthy_at if target else None,
        taken=tuple(TakenOut(run.subject, run.commit or "", run.kind) for run in way.runs),
        verifying=way.deployment is not None,
        down_seconds=expected_down_seconds(tools, observed),
        players=count_players(tools, observed),
        notice=server_orders.give_notice(tools).total_seconds(),
        down=say_down(tools),
        passed=tuple(rolling_back.list_passed(tools, way)),
        out=tuple(TakenOut(run.subject, run.commit or "", run.kind) for run in _list_out(tools, way)),
        target_commit=target.commit if target else None,
        halted=say_halted(tools),
    )


def _list_out(tools: Tools, way: rolling_back.WayBack) -> list[Run]:
    taken = {run.id for run in way.runs}
    absent = rolling_back.list_absent(tools, finding.commit_of(tools, way.target))
    return [run for run in absent if run.id not in taken]
