"""BUILDING: compiles the run's commit. What does not compile goes back to the analyst with its diagnostics."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pipeline import policy
from pipeline.card_models import PostKind
from pipeline.errors import DefiniteError, TransientError, Unconfigured
from pipeline.model import BuildResult, Progress, Run, RunKind, RunState
from pipeline.points import point
from pipeline.stages import ready
from pipeline.stages.patching import next_round
from pipeline.store import NewPost
from pipeline.tools import OBSTACLE, Move, Passage, Step, Tools

PROGRESS_EVERY = 1.0  # seconds between two notes of progress


def build(tools: Tools, run: Run, passage: Passage) -> Step:
    if run.commit is None or run.branch is None or run.base is None:
        return Move(RunState.READY, "the commit is not known any more")
    if tools.source.resolve(run.commit) is None:
        return Move(RunState.READY, "the commit is gone with our clone: it is made again", changes={"commit": None})
    tools.source.restore(run.branch, run.commit)
    tools.store.note_build_started(run.commit, run.commit, tools.source.commit(run.commit).tree, tools.now())
    point("build.noted")
    try:
        result = tools.builder.build(
            tools.source.work_tree(),
            run.commit,
            on_started=tools.record_child(),
            on_progress=_Reporter(tools, run),
            cancelled=passage.cancelled,
        )
    except Unconfigured as fault:
        if run.kind is not RunKind.UPDATE:
            raise  # it waits: no fix touches what cmake reads
        tools.source.restore(run.branch, run.base)
        raise DefiniteError(str(fault)) from fault  # what was merged may
    point("build.archived")
    tools.store.note_build(result)
    point("build.told")
    if result.manifest is not None:
        note = f"built in {result.seconds:.0f} s" if result.seconds else "it had been built"
        return Move(RunState.PUBLISHING, note, changes={"reason": None})
    tools.source.restore(run.branch, run.base)
    point("build.failed")
    if not result.diagnostics and run.kind is RunKind.REVERT and run.asked_by is None:
        raise TransientError(result.reason or "the build failed")  # all that was built on it waits for this
    return after_failure(tools, run, result)


def after_failure(tools: Tools, run: Run, result: BuildResult) -> Move:
    errors = [tools.redact(str(each)) for each in result.diagnostics]
    reason = errors[0] if errors else tools.redact(result.reason or "the build failed")
    data = {"diagnostics": errors, "log": str(result.log), "reason": reason, "attempt": run.returns + 1}
    posts = [NewPost(PostKind.BUILD_FAILED, data)]
    if errors and run.kind is RunKind.FIX:
        remember(tools, run, errors)
        if run.returns < policy.MOST_RETURNS:
            return Move(RunState.ANALYZING, reason, posts, next_round(run, reason))
    if errors and run.kind is RunKind.REVERT and run.asked_by is None:
        reason = ready.end_branch(tools, reason)
    gone = {"reason": reason, "commit": None} if errors else {"reason": reason}
    return Move(RunState.FAILED, reason, posts, gone)


def remember(tools: Tools, run: Run, errors: Sequence[str]) -> None:
    """For whoever is asked next, by itself or by a person's `/retry`, and for the card."""
    attempt = {
        "what": "did not compile", "diagnostics": list(errors), "commit": run.commit,
        "patch": run.patch and run.patch.to_plain(),
    }  # fmt: skip
    tools.store.add_previous(run.id, attempt)


class _Reporter:
    """Notes progress at most once a second: each note is a write. What the build waited for is over with the first."""

    def __init__(self, tools: Tools, run: Run) -> None:
        self._tools = tools
        self._run = run
        self._last = 0.0

    def __call__(self, progress: Progress, seconds_left: float | None) -> None:
        now = time.monotonic()
        if now - self._last < PROGRESS_EVERY:
            return
        self._last = now
        self._tools.degraded.pop(OBSTACLE, None)
        self._tools.store.note_progress(self._run.id, progress.done, progress.total, seconds_left, self._tools.now())
