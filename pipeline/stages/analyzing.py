"""ANALYZING: a request is written, once a round; an answer moves the run (intake.py), not this stage."""

from __future__ import annotations

from typing import Any

from pipeline import knowledge, life_logs, suspects
from pipeline.crash.request import build_request
from pipeline.model import Run, RunState
from pipeline.points import point
from pipeline.ports import AnalystWork
from pipeline.stages import finding
from pipeline.store import Crash
from pipeline.tools import Move, Passage, Stay, Step, Tools

MOST_COMMANDS = 2  # times ANALYST_COMMAND is begun for one request
NOT_JUDGED = "the deployment it crashed in is still being judged"


def analyze(tools: Tools, run: Run, passage: Passage) -> Step:
    step = go_on(tools, run, passage)
    return Stay("") if run.reason == NOT_JUDGED and step == Stay() else step  # it waits for that no more


def go_on(tools: Tools, run: Run, passage: Passage) -> Step:
    crash = tools.store.get_crash_of_run(run.id)
    wait = why_not_yet(tools, run, crash)
    if wait is not None:
        return wait
    if tools.store.was_asked(run):
        return command(tools, run, passage)
    if tools.store.count_requests(run.night) >= tools.realm.analyst_nightly_limit:
        limit = tools.realm.analyst_nightly_limit
        return Move(RunState.PROPOSED, f"ANALYST_NIGHTLY_LIMIT of {limit} is used up: nobody was asked")
    return ask(tools, run, crash, passage)


def why_not_yet(tools: Tools, run: Run, crash: Crash | None) -> Stay | None:
    """A pause, or a deployment that this crash belongs to and that is not judged yet."""
    if may_not_ask(tools, run):
        return Stay()  # the card says so by itself, and no longer when it goes on
    active = tools.store.get_active_deployment()
    if active is not None and crash is not None and crash.exit.build == active.build:
        return Stay(NOT_JUDGED)
    return None


def may_not_ask(tools: Tools, run: Run) -> bool:
    """For the pause. Who asks again himself is answered."""
    return run.asked_by is None and tools.store.get_pause() is not None


def ask(tools: Tools, run: Run, crash: Crash | None, passage: Passage) -> Step:
    request = compose_request(tools, run, crash, finding.base_of_answers(tools, crash))
    if may_not_ask(tools, run):  # it takes a while, and somebody may have paused meanwhile
        return Stay()
    tools.analyst.ask(run.request_id or run.id, request)
    point("request.written")
    tools.store.note_asked(run, tools.now())
    point("request.noted")
    return command(tools, run, passage)


def command(tools: Tools, run: Run, passage: Passage) -> Step:
    """ANALYST_COMMAND, where there is one: once a round, and once more where the bot was ended in the midst of it."""
    if not tools.analyst.has_command:
        return Stay()
    if not tools.prepared.is_set():
        return Stay()
    base = finding.base_of_answers(tools, tools.store.get_crash_of_run(run.id))
    if base is None:
        return Stay("ANALYST_COMMAND needs the crashed commit, which is not known: SERVER_COMMIT can name it")
    with tools.wishing, tools.store.together():  # somebody may have paused since it was looked at
        if may_not_ask(tools, run):
            return Stay()
        run = tools.store.begin_attempt(run, tools.now())
    if run.attempts > MOST_COMMANDS:
        tools.store.note_commanded(run)
        return Stay("the analyst's command was interrupted too often; the request waits in the queue")
    request_id = run.request_id or run.id
    work = AnalystWork(
        request_id, tools.analyst.request_path(request_id), base, tools.record_child(), passage.cancelled
    )
    point("analyst.begun")
    failed = tools.analyst.run_command(work)
    point("analyst.ended")
    if passage.cancelled.is_set():  # the run has gone on without it, or the bot ends and begins it anew when it starts
        return Stay()
    tools.store.note_commanded(run)
    if failed is not None:
        return Stay(f"the analyst gave no answer: {tools.redact(failed.reason)}")
    return Stay(seconds=0)  # its answer lies in the queue


def compose_request(tools: Tools, run: Run, crash: Crash | None, base: str | None) -> dict[str, object]:
    """A new try has no crash of its own: it is told the last one of what it works on."""
    signature = run.signature
    if crash is None and signature is not None:
        crash = tools.store.find_last_crash(signature)
    found = None
    if crash is not None and crash.report is not None and not crash.report.environment:
        found = suspects.describe(tools, suspects.gather(tools, crash, crash.report))
    return build_request(
        request_id=run.request_id or run.id,
        at=tools.now(),
        crash_id=f"{run.id}",
        report=None if crash is None else crash.report,
        signature=signature,
        occurrences=tools.store.count_crashes(signature) if signature else 0,
        logs=life_logs.list_logs(tools, crash),
        crashed_at=None if crash is None else crash.at,
        source_dir=tools.source.work_tree(),
        built_in=(tools.realm.source_dir,),
        base_commit=base,
        similar=[*similar_fixes(tools, run), *(found["similar"] if found else ())],
        suspects=found and {name: each for name, each in found.items() if name not in ("similar", "known")},
        previous_attempts=tools.store.get_previous(run.id),
        redact=tools.redact,
        entries=knowledge.list_entries(tools),
    )


def similar_fixes(tools: Tools, run: Run) -> list[dict[str, Any]]:
    """What was done about crashes of the same family before."""
    earlier = [] if run.signature is None else tools.store.list_runs_of_signature(run.signature)
    return [
        {"run": each.id, "commit": each.commit, "state": each.state, "summary": each.analysis and each.analysis.summary}
        for each in earlier
        if each.id != run.id and each.commit
    ]
