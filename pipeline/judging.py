"""Crashes are read and judged by their signature: counted, or a run begins.

Each function can be called again at any moment: what was judged is known by its row.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from pipeline import policy
from pipeline.backtraces import backtrace_post
from pipeline.crash_reports import nameless_report, read_crash
from pipeline.keeper.protocol import ExitVerdict
from pipeline.model import LIVE, OF_WHAT_WENT, OVER, CrashReport, Run, RunKind, RunState, Signature
from pipeline.obstacles import find_obstacle
from pipeline.points import point
from pipeline.renamed_crashes import name_as_known
from pipeline.store import Crash, Deployment, Overtaken
from pipeline.tools import Stumble, Tools, bug_topic

STUMBLES = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10))  # until a crash is tried again
UNREAD = ("reading it failed time and again; the log has why",)


def judge_crashes(tools: Tools, tell_bug: Callable[[str, Exception], None]) -> int:
    """Reads every crash that was not judged yet, groups it, and decides what becomes of it; how many.

    Each is judged by itself: one that trips over a bug of ours is told, and hinders none of the others.
    """
    waiting = [each for each in tools.store.list_unjudged_crashes() if is_due(tools, each)]
    return sum(judge_alone(tools, crash, tell_bug) for crash in waiting)


def is_due(tools: Tools, crash: Crash) -> bool:
    stumble = tools.stumbles.get(crash.id)
    return stumble is None or tools.now() >= stumble.again


def judge_alone(tools: Tools, crash: Crash, tell_bug: Callable[[str, Exception], None]) -> bool:
    """Whether it was judged. What the machine puts in the way holds all of them up, and is raised."""
    name = f"crash {crash.id}"
    try:
        report = read_crash(tools, crash) if is_worth_reading(tools, crash) else nameless_report(crash, UNREAD)
        report = name_as_known(tools, crash, report)
        point("crash.read")
        judge_crash(tools, crash, report)
        point("crash.judged")
    except Overtaken:
        return False
    except Exception as fault:
        if find_obstacle(fault) is not None:
            raise
        note_stumble(tools, crash)
        tell_bug(name, fault)
        return False
    tools.stumbles.pop(crash.id, None)
    tools.degraded.pop(bug_topic(name), None)
    return True


def is_worth_reading(tools: Tools, crash: Crash) -> bool:
    """After so many tries it becomes a crash of its own, of which nothing is known."""
    stumble = tools.stumbles.get(crash.id)
    return stumble is None or stumble.tries < len(STUMBLES)


def note_stumble(tools: Tools, crash: Crash) -> None:
    before = tools.stumbles.get(crash.id)
    tries = before.tries + 1 if before else 1
    tools.stumbles[crash.id] = Stumble(tries, tools.now() + STUMBLES[min(tries, len(STUMBLES)) - 1])


def judge_crash(tools: Tools, crash: Crash, report: CrashReport) -> None:
    """Being worked on, tries used up, its fix is not in the crashing binary, or it is of a build that is taken back for
    it: counted, no more; else a run."""
    signature = report.signature
    if signature is None:
        raise ValueError("a crash has a signature by now")
    runs = tools.store.list_runs_of_signature(signature)
    judged, recurred = decide(tools, crash, report, runs)
    now = tools.now()
    if judged != "run":
        newest = runs[-1].id if runs else None
        known = bool(tools.store.count_crashes(signature))
        posts = [] if known else [backtrace_post(tools, crash, report)]
        tools.store.judge_crash(crash, report, judged, now, run=newest, recurred=recurred, posts=posts)
        return
    reverts = tools.store.list_reverts()
    previous = [each for run in runs for each in (*tools.store.get_previous(run.id), *attempt_of(run, reverts))]
    run = new_run(crash, signature, now)
    posts = [backtrace_post(tools, crash, report)]
    with tools.beginning, tools.store.together():  # somebody may have asked again since it was looked at
        if any(is_work(tools, each) for each in tools.store.list_runs_of_signature(signature)):
            raise Overtaken(f"crash {crash.id} is being worked on by now")
        tools.store.judge_crash(
            crash, report, "run", now, new_run=run, previous=previous, recurred=recurred, posts=posts
        )


def decide(tools: Tools, crash: Crash, report: CrashReport, runs: Sequence[Run]) -> tuple[str, str | None]:
    """(what becomes of it, the fix that it shows to be none)."""
    if report.environment:
        return "environment", None
    if crash.exit.verdict is ExitVerdict.WITH_MACHINE:
        return "with the machine", None
    if any(is_work(tools, run) for run in runs):
        return "being worked on", None
    if is_of_what_is_taken_back(tools, crash, report):
        return OF_WHAT_WENT, None
    fix = next((run for run in reversed(runs) if run.fix_state in LIVE), None)
    at = find_binary(tools, crash) if fix is not None else None
    recurred = fix is not None and at is not None and tools.source.holds_fix(at, fix.commit or "", fix.id)
    if fix is not None and not recurred and not was_taken_out(tools, at, fix):
        return "its fix is not in this binary", None
    tonight = [run for run in runs if run.night == crash.night and run.kind is RunKind.FIX]
    judged = "tries used up" if len(tonight) >= tools.realm.max_tries else "run"
    return judged, fix.id if fix and recurred else None


def is_of_what_is_taken_back(tools: Tools, crash: Crash, report: CrashReport) -> bool:
    """Nothing but a build that is, or will be, rolled back for it ever crashed so: what that was to fix is asked about
    again, and is told of this."""
    build, signature = crash.exit.build, report.signature
    if build is None or signature is None or tools.store.signature_is_known(signature, build):
        return False
    return tools.store.is_bad(build) or any(fails(tools, each, crash) for each in tools.store.get_lane() if each)


def fails(tools: Tools, deployment: Deployment, crash: Crash) -> bool:
    """Whether it will be rolled back for this, or for what came before: its first crash decides its verdict."""
    if deployment.build != crash.exit.build:
        return False
    first = tools.store.list_crashes_of_deployment(deployment.id)[:1]
    return not first or first[0].id == crash.id or first[0].judged == OF_WHAT_WENT


def is_work(tools: Tools, run: Run) -> bool:
    """Whether it may end the crash: who takes a fix back does not; who takes that back brings the fix in again."""
    return run.state not in OVER and (run.kind is RunKind.FIX or tools.store.puts_back(run))


def find_binary(tools: Tools, crash: Crash) -> str | None:
    """The commit of the crashing binary; None = nobody knows it, or it is not in the repository."""
    if not tools.prepared.is_set():
        raise Overtaken("our clone is not ready yet; this crash is judged when it is")
    build = tools.store.get_build(crash.exit.build) if crash.exit.build else None
    revision = (build.commit if build else None) or (crash.exit.revision or "").rstrip("+")
    return tools.source.resolve(revision) if revision else None


def was_taken_out(tools: Tools, at: str | None, fix: Run) -> bool:
    """Also while its revert is still watched: who took it back knows that the crash is there again."""
    return at is not None and tools.source.took_out_fix(at, fix.commit or "", fix.id)


def new_run(crash: Crash, signature: Signature, now: datetime) -> Run:
    run = secrets.token_hex(4)
    return Run(run, RunKind.FIX, RunState.ANALYZING, crash.night, signature, signature.title, now, now, request_id=run)


def attempt_of(run: Run, reverts: Sequence[Run]) -> list[dict[str, Any]]:
    """What an earlier run of the same crash came to."""
    if run.commit is None and run.reason is None:
        return []
    return [
        {
            "run": run.id, "kind": run.kind, "what": what_became(run, reverts), "detail": run.reason,
            "commit": run.commit, "verdict": run.verdict,
        }
    ]  # fmt: skip


def what_became(run: Run, reverts: Sequence[Run]) -> str:
    revert = policy.find_revert(run.commit, reverts) if run.commit else None
    ordered = revert is not None and revert.asked_by is not None
    return "reverted by an operator" if ordered and run.state is not RunState.ROLLED_BACK else run.state
