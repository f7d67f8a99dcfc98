"""The warm build: what runs is built once before the first crash, so that the build of a fix is incremental."""

from __future__ import annotations

import logging

from pipeline.errors import Cancelled, PipelineError
from pipeline.model import CHANGE_LANE, RunState
from pipeline.stages import finding
from pipeline.store import Fact
from pipeline.tools import Passage, Tools

log = logging.getLogger(__name__)
TOPIC = "warm build"  # in `degraded`


def wanted(tools: Tools) -> str | None:
    """The commit to build, while nobody needs the build folder or has paused; None once it was tried, or a fix has
    warmed it."""
    if tools.store.get_fact(Fact.WARM) is not None or tools.store.get_fact(Fact.FOUND) is None:
        return None
    if is_unwelcome(tools) or tools.store.get_pause() is not None or tools.store.list_branch_names():
        return None
    return finding.running_commit(tools)


def is_unwelcome(tools: Tools) -> bool:
    """A change waits or is being made: its build takes over what is compiled by then."""
    return bool(tools.store.list_runs_in(RunState.READY, *CHANGE_LANE))


def stand(tools: Tools, commit: str) -> None:
    """Brings our clone to it. What an earlier try said is over: this one tells anew."""
    tools.source.stand_on(commit)
    tools.degraded.pop(TOPIC, None)


def warm(tools: Tools, passage: Passage, commit: str) -> None:
    """Builds it at low priority. That it failed is said and not repeated: a fix's build will tell more."""
    try:
        result = tools.builder.build(
            tools.source.work_tree(),
            commit,
            on_started=tools.record_child(),
            on_progress=lambda progress, left: None,
            cancelled=passage.cancelled,
            warm=True,
        )
        fault = None if result.manifest is not None else result.reason or "it does not compile"
    except Cancelled:
        return
    except PipelineError as error:
        fault = str(error)
    if fault is not None:
        tools.degraded[TOPIC] = f"what runs could not be built: {tools.redact(fault)}"
        log.warning("the warm build of %s failed: %s", commit[:12], fault)
    tools.store.set_fact(Fact.WARM, commit)
