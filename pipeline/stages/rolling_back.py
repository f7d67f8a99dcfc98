"""ROLLING_BACK: the last healthy build runs again, the fixes of the deployment are reverted, the pipeline pauses."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from pipeline.keeper.protocol import Observed, ServerState
from pipeline.model import OURS, FixState, Patch, PostKind, Run, RunKind, RunState, Verdict
from pipeline.points import point
from pipeline.store import Crash, Deployment, Fact, NewPost
from pipeline.tools import Tools

WORSE = "the fix made the server worse and was taken back"


def begin(tools: Tools, deployment: Deployment, reason: str) -> bool:
    """The wish that follows (wish.py) names the build before."""
    tools.store.note_bad(deployment.build)
    point("rollback.begun")
    data = {"verdict": Verdict.UNHEALTHY, "detail": reason}
    tools.store.move_deployment(
        deployment, "rolling back", tools.now(), runs=RunState.ROLLING_BACK, note=reason,
        posts=[NewPost(PostKind.VERDICT, data)], run_changes={"reason": reason, "verdict": Verdict.UNHEALTHY},
        verdict=Verdict.UNHEALTHY, reason=reason,
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
        return False  # which run asks about it is known only then
    reason = deployment.reason or "the new server was worse"
    runs = tools.store.list_runs_of(deployment.id)
    pause(tools, f"rolled back: {name_all(runs)}: {reason}")
    point("rollback.paused")
    tools.store.set_fact(Fact.BUILD, deployment.previous)
    begin_revert(tools, deployment, runs)
    point("rollback.reverting")
    fixes = [run for run in runs if run.kind is RunKind.FIX]
    if not hand_over(tools, deployment, fixes, reason):
        try_again(tools, fixes, WORSE, reason)
    point("rollback.retried")
    changes = {"verdict": Verdict.UNHEALTHY, "reason": reason, "fix_state": FixState.REVERTED}
    tools.store.move_deployment(
        deployment, "over", tools.now(), runs=RunState.ROLLED_BACK, run_changes=changes, note=reason,
        over_at=tools.now(),
    )  # fmt: skip
    return True


def name_all(runs: Sequence[Run]) -> str:
    """What was taken back, for a person who reads only this."""
    return ", ".join(f"`{run.subject}`" + (f" (`{run.commit[:7]}`)" if run.commit else "") for run in runs)


def hand_over(tools: Tools, deployment: Deployment, fixes: Sequence[Run], reason: str) -> bool:
    """The crash of the new build has a run of its own: it learns what was tried. Whether there is one."""
    crashes = crashes_of(tools, deployment)
    begun = {crash.run for crash in crashes if crash.judged == "run" and crash.run is not None}
    for run in begun:
        for fix in fixes:
            tools.store.add_previous(run, attempt_of(fix, WORSE, reason))
    return bool(begun)


def crashes_of(tools: Tools, deployment: Deployment) -> list[Crash]:
    return tools.store.list_crashes_of_build(deployment.build, deployment.created_at)


def attempt_of(run: Run, what: str, detail: str) -> dict[str, object]:
    return {
        "what": what, "detail": detail, "signature": run.signature.exact if run.signature else None,
        "summary": run.analysis.summary if run.analysis else None, "commit": run.commit,
        "patch": run.patch.to_plain() if run.patch else None,
    }  # fmt: skip


def pause(tools: Tools, reason: str) -> None:
    if tools.store.get_pause() is not None:
        return
    value = {"by": OURS, "reason": reason, "at": tools.now().isoformat()}
    posts = [NewPost(PostKind.PIPELINE, {"what": "paused", "detail": reason, "by": OURS}, to_channel=True)]
    tools.store.set_fact(Fact.PAUSE, value, posts=posts, at=tools.now())


def begin_revert(tools: Tools, deployment: Deployment, runs: Sequence[Run]) -> None:
    """One run that undoes every fix of the deployment, newest first; found again after a kill by its id."""
    commits = [run.commit for run in reversed(runs) if run.commit]
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


def try_again(tools: Tools, runs: Sequence[Run], what: str, detail: str) -> None:
    """A new analysis with what was tried, where tries are left."""
    for run in runs:
        tonight = [each for each in same_crash(tools, run) if each.night == run.night]
        if run.signature is None or len(tonight) >= tools.realm.max_tries or any(e.retry_of == run.id for e in tonight):
            continue
        now = tools.now()
        new_id = secrets.token_hex(4)
        again = Run(
            new_id, RunKind.FIX, RunState.ANALYZING, run.night, run.signature, run.subject, now, now,
            request_id=new_id, retry_of=run.id, analysis=run.analysis,
        )  # fmt: skip
        previous = (*tools.store.get_previous(run.id), attempt_of(run, what, detail))
        tools.store.add_run(again, now, card=tools.store.get_card_of_run(run.id), previous=previous)


def same_crash(tools: Tools, run: Run) -> list[Run]:
    return [] if run.signature is None else tools.store.list_runs_of_signature(run.signature)
