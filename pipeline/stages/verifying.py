"""VERIFYING: the watched time after a start, and its verdict."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.keeper.protocol import Observed, ServerState
from pipeline.model import RunKind, Verdict
from pipeline.store import Crash, Deployment
from pipeline.tools import Tools


@dataclass(frozen=True)
class Judgement:
    verdict: Verdict
    reason: str


def judge(tools: Tools, deployment: Deployment, observed: Observed) -> Judgement | None:
    """None = not decided yet."""
    wrong = wrong_revision(tools, deployment, observed)
    if wrong is not None:
        return wrong
    crashes = tools.store.list_crashes_of_deployment(deployment.id)
    if any(crash.judged is None for crash in crashes):
        return None
    found = judge_crash(tools, deployment, crashes[0]) if crashes else None
    if found is not None and found.verdict is Verdict.UNHEALTHY:
        return found
    if not is_up(tools, deployment, observed):
        return None
    return found or judge_soak(tools, observed)


def is_up(tools: Tools, deployment: Deployment, observed: Observed) -> bool:
    """Nothing but a worse build is judged while it is down: the keeper replaces one that does not come back, as long as
    it is watched. Nor while an end is still to be heard of: what the events end with is another life then."""
    up = observed.state is ServerState.READY and observed.build == deployment.build
    return up and tools.store.find_living() == observed.pid


def judge_soak(tools: Tools, observed: Observed) -> Judgement | None:
    """It is time in one piece: an operator's stop or restart begins it again."""
    soaked = datetime.fromtimestamp(observed.ready_at or observed.at, UTC) + tools.realm.soak
    return Judgement(Verdict.HEALTHY, "") if tools.is_past("soak", soaked, tools.realm.soak) else None


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
