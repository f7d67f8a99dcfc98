"""VERIFYING: the watched time after a start, and its verdict."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pipeline.keeper.protocol import EventKind, Observed, ServerState
from pipeline.model import RunKind, Verdict
from pipeline.store import Crash, Deployment
from pipeline.tools import Tools


@dataclass(frozen=True)
class Judgement:
    verdict: Verdict
    reason: str


def judge(tools: Tools, deployment: Deployment, observed: Observed) -> Judgement | None:
    """None = not decided yet."""
    if deployment.ready_at is None:
        return None
    wrong = wrong_revision(tools, deployment, observed)
    if wrong is not None:
        return wrong
    crashes = tools.store.list_crashes_of_build(deployment.build, deployment.wished_at or deployment.created_at)
    if any(crash.judged is None for crash in crashes):
        return None
    if crashes:
        return judge_crash(tools, deployment, crashes[0])
    soaked = watched_since(deployment.ready_at, observed) + tools.realm.soak
    if not tools.is_past("soak", soaked, tools.realm.soak):
        return None
    if observed.state is not ServerState.READY or observed.build != deployment.build:
        return None
    if died_unheard(tools, deployment, observed):
        return None
    return Judgement(Verdict.HEALTHY, "")


def watched_since(ready_at: datetime, observed: Observed) -> datetime:
    """The soak is time in one piece: an operator's stop or restart begins it again."""
    return max(ready_at, datetime.fromtimestamp(observed.ready_at or 0.0, ready_at.tzinfo))


def died_unheard(tools: Tools, deployment: Deployment, observed: Observed) -> bool:
    """What runs is another life than the one that was deployed, and the end of that one has not been taken in yet."""
    if deployment.ready_at is None or observed.ready_at is None:
        return False
    if observed.ready_at - deployment.ready_at.timestamp() < 0.01:  # the same instant, as two files keep it
        return False
    since = tools.store.list_events(deployment.ready_at)
    return not any(kind == EventKind.EXITED and at > deployment.ready_at for at, kind, _ in since)


def wrong_revision(tools: Tools, deployment: Deployment, observed: Observed) -> Judgement | None:
    """What runs must print what was built, where it prints anything."""
    manifest = tools.builder.manifest(deployment.build)
    expected = None if manifest is None else manifest.revision
    seen = observed.revision if observed.build == deployment.build else None
    if not expected or not seen or seen.startswith(expected[:7]) or expected.startswith(seen[:7]):
        return None
    return Judgement(Verdict.UNHEALTHY, f"the server says it runs {seen}, not {expected}")


def judge_crash(tools: Tools, deployment: Deployment, crash: Crash) -> Judgement:
    signature, report = crash.signature, crash.report
    where = f"`{signature.title}`" if signature else "an unknown place"
    after = "" if crash.exit.ready_after is None else f" {crash.exit.lived - crash.exit.ready_after:.0f} s after ready"
    own = [run.signature for run in tools.store.list_runs_of(deployment.id) if run.kind is RunKind.FIX]
    if signature is not None and any(each and each.exact == signature.exact for each in own):
        return Judgement(Verdict.NOT_CURED, f"it crashed again in {where}{after}")
    if report is not None and report.environment:
        return Judgement(Verdict.INCONCLUSIVE, f"the server went down for its environment: {report.cure or where}")
    if signature is not None and tools.store.signature_is_known(signature, deployment.build):
        return Judgement(Verdict.INCONCLUSIVE, f"a known crash came in between: {where}")
    return Judgement(Verdict.UNHEALTHY, f"the new server died{after} in {where}")
