"""ROLLING_BACK: the last healthy build runs again, the fixes of the deployment are reverted, the pipeline pauses."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from pipeline import policy
from pipeline.card_models import PostKind
from pipeline.keeper.protocol import Observed, ServerState
from pipeline.model import OURS, FixState, Impossible, Patch, Run, RunKind, RunState, Verdict
from pipeline.needs import find_death
from pipeline.points import point
from pipeline.stages import finding
from pipeline.store import Crash, Deployment, Fact, NewPost
from pipeline.tools import Tools

WORSE = "the fix made the server worse and was taken back"
ONE_OF_THEM = "it went live with other fixes, of which one made the server worse, and all were taken back"
NO_BETTER = "the server crashed while the fix was watched, of what was known before, and it was taken back"
MOST_DEATHS, MOST_FRAMES = 3, 20  # of the new build, and of each, that who is asked again is told
CALLED_OFF = "a rollback was ordered"


# --- by an operator's order ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WayBack:
    """From the build that runs to the last healthy one."""

    running: str
    target: str
    runs: tuple[Run, ...]  # whose changes are taken back, newest first
    deployment: Deployment | None  # the one under way that brought the running build; None = it is over


def find_way_back(tools: Tools) -> WayBack | Impossible:
    """Where a rollback would lead to now. What is only announced does not count: it does not run yet."""
    active = tools.store.get_active_deployment()
    if active is not None and active.state == "rolling back":
        return Impossible(f"`{active.build[:12]}` is being rolled back already.")
    active = active if active is not None and active.state in ("stopping", "verifying") else None
    running = active.build if active is not None else tools.store.get_fact(Fact.BUILD)
    if running is None or running.startswith("found-"):
        return Impossible("Nothing of ours runs: the server is as it was before the first deployment.")
    target = finding.find_kept(tools, running, wanted=None if active is None else active.previous)
    if target is None:
        return Impossible("No healthy build from before is kept any more: there is nothing to go back to.")
    runs = tools.store.list_runs_of(active.id) if active is not None else list_live_since(tools, target)
    return WayBack(running, target, tuple(newest_first(tools, runs)), active)


def list_live_since(tools: Tools, target: str) -> list[Run]:
    """Runs of the deployments that went live after that build did, and stayed."""
    since = tools.store.went_live_at(target)
    return [run for each in tools.store.list_live_deployments(since) for run in tools.store.list_runs_of(each.id)]


def list_passed(tools: Tools, way: WayBack) -> list[str]:
    """Builds between both that were found healthy, and that nobody wants any more, newest first: see
    `deploying.leave_out`."""
    since = tools.store.went_live_at(way.target)
    healthy = [each.build for each in tools.store.list_live_deployments(since) if each.verdict is Verdict.HEALTHY]
    builds = [tools.store.get_build(build) for build in dict.fromkeys(healthy) if build != way.running]
    return [each.build for each in builds if each is not None and each.healthy_at is None and not each.bad]


def list_absent(tools: Tools, at: str | None) -> list[Run]:
    """Watched fixes that a build of this commit has not, and that nobody took back."""
    reverts = tools.store.list_reverts()
    standing = [
        run for run in tools.store.list_watched_fixes() if policy.find_revert(run.commit or "", reverts) is None
    ]
    return [run for run in standing if at is not None and not tools.source.holds_fix(at, run.commit or "", run.id)]


def newest_first(tools: Tools, runs: Iterable[Run]) -> list[Run]:
    """In the order in which reverts apply: commits are made one at a time, not in the order of their crashes."""
    committed = [(tools.store.started_at(run.commit), run) for run in runs if run.commit]
    return [run for _, run in sorted(committed, key=lambda pair: pair[0], reverse=True)]


def describe_order(tools: Tools, way: WayBack, by: str, reason: str) -> dict[str, object]:
    """What the threads are told of it: by whom, what is taken back, with the revert of each that has one already, and
    where the server goes back to."""
    reverts = tools.store.list_reverts()
    target = tools.store.get_build(way.target)
    return {
        "what": "rolling back", "detail": reason, "by": by, "build": way.target,
        "build_commit": target.commit if target else None,
        "changes": [_describe_change(tools, run, reverts) for run in way.runs if run.commit],
    }  # fmt: skip


def _describe_change(tools: Tools, run: Run, reverts: Sequence[Run]) -> dict[str, object]:
    revert = policy.find_revert(run.commit or "", reverts)
    undone = revert.commit if revert is not None else None
    return {
        "kind": run.kind, "subject": run.subject, "commit": run.commit, "url": tools.source.url(run.commit or ""),
        "revert": undone, "revert_url": tools.source.url(undone) if undone else None,
    }  # fmt: skip


def begin_ordered(tools: Tools, way: WayBack, by: str, reason: str, news: Mapping[str, object]) -> None:
    """As `begin`, without a verdict: that it is worse is a person's word. `news` as `describe_order` has them."""
    now = tools.now()
    words = f"ordered by {by}" + (f": {reason}" if reason else "")
    announced = tools.store.get_active_deployment()
    if announced is not None and announced.state == "announcing":
        tools.store.move_deployment(announced, "over", now, over_at=now, reason=CALLED_OFF)
    tools.store.note_bad(way.running)
    point("rollback.begun")
    deployment = way.deployment
    if deployment is None:
        of = tools.store.find_deployment_of(way.running)
        deployment = Deployment(
            secrets.token_hex(4), way.running, way.target, "rolling back", by, of, now, None, now,
            None, None, None, None, words,
        )  # fmt: skip
        tools.store.add_deployment(deployment, way.runs, now)
    tools.store.move_deployment(
        deployment, "rolling back", now, runs=RunState.ROLLING_BACK, note=words,
        posts=[NewPost(PostKind.ORDER, news)], run_changes={"reason": words}, reason=words,
    )  # fmt: skip


# --- by a verdict ----------------------------------------------------------------------------------------------------


def begin(tools: Tools, deployment: Deployment, reason: str) -> bool:
    """The wish that follows (wish.py) names the build before; another one, where that is not kept any more."""
    tools.store.note_bad(deployment.build)
    before = finding.find_kept(tools, deployment.build, wanted=deployment.previous)
    point("rollback.begun")
    data = {"verdict": Verdict.UNHEALTHY, "detail": reason}
    tools.store.move_deployment(
        deployment, "rolling back", tools.now(), runs=RunState.ROLLING_BACK, note=reason,
        posts=[NewPost(PostKind.VERDICT, data)], run_changes={"reason": reason, "verdict": Verdict.UNHEALTHY},
        verdict=Verdict.UNHEALTHY, reason=reason, previous=before,
    )  # fmt: skip
    return True


def finish(tools: Tools, deployment: Deployment, observed: Observed) -> bool:
    """Over when the build before is seen running, or is seen to be held as well. What follows from it is noted before:
    a kill in between repeats it, and each part is done once."""
    back = observed.build == deployment.previous or (
        (deployment.previous or "").startswith("found-") and not observed.build
    )
    if not back or observed.state not in (ServerState.READY, ServerState.HELD):
        return False
    if any(crash.judged is None for crash in crashes_of(tools, deployment)):
        return False  # what it died of is known only then
    reason = say_where(tools, deployment)
    runs = tools.store.list_runs_of(deployment.id)
    pause(tools, f"rolled back: {name_all(runs)}: {reason}", deployment)
    point("rollback.paused")
    tools.store.set_fact(Fact.BUILD, deployment.previous)
    begin_revert(tools, deployment, runs)
    point("rollback.reverting")
    changes: dict[str, object] = {"reason": reason, "fix_state": FixState.REVERTED}
    if deployment.verdict is Verdict.UNHEALTHY:  # what a person took back, a person tries again
        changes["verdict"] = Verdict.UNHEALTHY
        fixes = [run for run in runs if run.kind is RunKind.FIX]
        try_again(tools, fixes, what_happened(tools, deployment, fixes), reason, list_deaths(tools, deployment))
    point("rollback.retried")
    tools.store.move_deployment(
        deployment, "over", tools.now(), runs=RunState.ROLLED_BACK, run_changes=changes, note=reason,
        over_at=tools.now(),
    )  # fmt: skip
    return True


def name_all(runs: Sequence[Run]) -> str:
    """What was taken back, for a person who reads only this."""
    return ", ".join(
        ("" if run.kind is RunKind.FIX else f"the {run.kind} of ")
        + f"`{run.subject}`"
        + (f" (`{run.commit[:7]}`)" if run.commit else "")
        for run in runs
    )


def say_where(tools: Tools, deployment: Deployment) -> str:
    """The reason, with what was seen: the keeper puts a build back before anybody has read what that died of."""
    reason = deployment.reason or "the new server was worse"
    places = list(dict.fromkeys(crash.signature.title for crash in crashes_of(tools, deployment) if crash.signature))
    if deployment.verdict is not Verdict.UNHEALTHY or not places or any(place in reason for place in places):
        return reason
    return f"{reason}: it crashed in {' and '.join(f'`{place}`' for place in places)}"


def what_happened(tools: Tools, deployment: Deployment, fixes: Sequence[Run]) -> str:
    if tools.store.crashed_as_known(deployment.build, deployment.created_at):
        return NO_BETTER
    return WORSE if len(fixes) < 2 else ONE_OF_THEM


def list_deaths(tools: Tools, deployment: Deployment) -> list[dict[str, object]]:
    """What the new build died of, for who is asked again."""
    reports = [(crash, crash.report) for crash in crashes_of(tools, deployment) if crash.report is not None]
    return [
        {
            "signature": crash.signature.exact if crash.signature else None,
            "frames": [asdict(frame) for frame in report.frames[:MOST_FRAMES]],
        }
        for crash, report in reports[:MOST_DEATHS]
    ]  # fmt: skip


def crashes_of(tools: Tools, deployment: Deployment) -> list[Crash]:
    return tools.store.list_crashes_of_build(deployment.build, deployment.created_at)


def attempt_of(run: Run, what: str, detail: str, deaths: Sequence[Mapping[str, object]] = ()) -> dict[str, object]:
    """What is told of it to who is asked again; `deaths` = crashes that only the build with it had."""
    return {
        "what": what, "detail": detail, "signature": run.signature.exact if run.signature else None,
        "summary": run.analysis.summary if run.analysis else None, "commit": run.commit,
        "patch": run.patch.to_plain() if run.patch else None, "crashed_then": [dict(each) for each in deaths],
    }  # fmt: skip


def pause(tools: Tools, reason: str, deployment: Deployment) -> None:
    if tools.store.get_pause() is not None:
        return
    death = find_death(tools.store, deployment)
    data = {
        "what": "paused", "detail": reason, "by": OURS, "ordered": deployment.verdict is not Verdict.UNHEALTHY,
        "death": death and asdict(death),
    }  # fmt: skip
    value = {"by": OURS, "reason": reason, "at": tools.now().isoformat()}
    posts = [NewPost(PostKind.PIPELINE, data, to_channel=True, offers=True)]
    tools.store.set_fact(Fact.PAUSE, value, posts=posts, at=tools.now())


def begin_revert(tools: Tools, deployment: Deployment, runs: Sequence[Run]) -> None:
    """One run that undoes every fix of the deployment, newest first; found again after a kill by its id."""
    commits = name_undone(tools, deployment, newest_first(tools, runs))
    id_of_revert = f"r{deployment.id}"[:8]
    if not commits or tools.store.get_run(id_of_revert) is not None:
        return
    first = runs[0]
    now = tools.now()
    revert = Run(
        id_of_revert, RunKind.REVERT, RunState.READY, tools.night(), first.signature, first.subject, now, now,
        patch=Patch(reverts=tuple(commits)), reason=deployment.reason, reverts=commits[0],
    )  # fmt: skip
    tools.store.add_run(revert, now, card=tools.store.get_card_of_run(first.id))


def name_undone(tools: Tools, deployment: Deployment, runs: Sequence[Run]) -> list[str]:
    """The commits to revert, newest first, so that the branch has what the build before had."""
    before = finding.commit_of(tools, deployment.previous)
    return [run.commit for run in runs if run.commit and _is_to_undo(tools, deployment, before, run)]


def _is_to_undo(tools: Tools, deployment: Deployment, before: str | None, run: Run) -> bool:
    """A fix that is in the build and was not taken out since; a revert only where what it took out was in the build
    before: reverting one of a fix that was rolled back or rejected would bring that back."""
    if policy.find_revert(run.commit or "", tools.store.list_reverts()) is not None:
        return False  # somebody has ordered that already
    if run.undoes:
        return finding.holds_any(tools, before, run.undoes)
    return tools.source.holds_fix(deployment.build, run.commit or "", run.id)


def try_again(
    tools: Tools, runs: Sequence[Run], what: str, detail: str, deaths: Sequence[Mapping[str, object]] = ()
) -> None:
    """A new analysis with what was tried, where tries are left."""
    for run in runs:
        same = [each for each in same_crash(tools, run) if each.kind is RunKind.FIX]
        tonight = [each for each in same if each.night == run.night]
        if run.signature is None or len(tonight) >= tools.realm.max_tries or any(e.retry_of == run.id for e in tonight):
            continue
        now = tools.now()
        new_id = secrets.token_hex(4)
        again = Run(
            new_id, RunKind.FIX, RunState.ANALYZING, run.night, run.signature, run.subject, now, now,
            request_id=new_id, retry_of=run.id, analysis=run.analysis,
        )  # fmt: skip
        previous = (*tools.store.get_previous(run.id), attempt_of(run, what, detail, deaths))
        tools.store.add_run(again, now, card=tools.store.get_card_of_run(run.id), previous=previous)


def same_crash(tools: Tools, run: Run) -> list[Run]:
    return [] if run.signature is None else tools.store.list_runs_of_signature(run.signature)
