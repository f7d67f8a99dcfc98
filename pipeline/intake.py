"""What comes in: the keeper's events, crashes to be read and judged, responses of analysts.

Each function can be called again at any moment: what was taken in is known by its row, not by having been told.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import stat
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline import knowledge, life_logs, startup, suspects
from pipeline.card_models import PostKind
from pipeline.crash.context import first_analysis, last_lines, pick_errors
from pipeline.crash.signatures import NAMELESS
from pipeline.keeper.protocol import Event, EventKind, Exit, ExitVerdict
from pipeline.model import OVER, Analysis, CrashReport, FixState, Frame, ReportKind, Run, RunKind, RunState, Signature
from pipeline.obstacles import find_obstacle
from pipeline.points import point
from pipeline.ports import Answer, ExitEvidence
from pipeline.redact import redact_all
from pipeline.store import Crash, Fact, NewPost, Overtaken, Refusal
from pipeline.tools import Stumble, Tools, bug_topic

log = logging.getLogger(__name__)

SAID = ("pid", "build", "verdict", "status", "why", "detail", "error", "reason", "seconds", "revision")  # in our log
TOLD_AGAIN = timedelta(days=1)  # a fault of a swap that comes back
STUMBLES = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10))  # until a crash is tried again
UNREAD = ("reading it failed time and again; the log has why",)
SHOWN_ERRORS = 3  # of the log, above the stack
IMPORTED_AT_ONCE = 50  # old reports in one transaction
NOTES = "analysis.txt"  # ends the name of what people's debuggers write beside a report
WORTH_LINES = 40  # of the log, in the thread of a crash


# --- events ----------------------------------------------------------------------------------------------------------


def import_events(tools: Tools) -> int:
    """Takes in every new event of the keeper, once; how many."""
    taken = 0
    for each in tools.keeper.events(tools.store.last_event()):
        at = datetime.fromtimestamp(each.at, UTC)
        log.info("keeper: %s %s", each.kind, {name: each.data.get(name) for name in SAID if each.data.get(name)})
        point("event.seen")
        posts = [] if was_told(tools, each, at) else posts_about(each)
        taken += tools.store.import_event(each, at, [*posts, *startup.posts_about(tools, each)])
    return taken


def was_told(tools: Tools, event: Event, at: datetime) -> bool:
    """A build that cannot be put in place is tried again and again, and told once. One that is taken out again while
    it is being deployed has its card, and the words of the pause that follows."""
    if event.kind == EventKind.FELL_BACK:
        under_way = tools.store.get_lane()
        return any(each is not None and each.build == event.data.get("bad") for each in under_way)
    if event.kind != EventKind.SWAP_FAILED:
        return False
    same = [event.data.get(name) for name in ("build", "error")]
    earlier = tools.store.list_events(at - TOLD_AGAIN)
    return any(kind == event.kind and [data.get("build"), data.get("error")] == same for _, kind, data in earlier)


def posts_about(event: Event) -> list[NewPost]:
    """What the channel reads of an event; crashes have their card instead."""
    what = _what_happened(event)
    if what is None:
        return []
    detail = str(event.data.get("detail") or event.data.get("error") or event.data.get("why") or "")
    runs = None if event.kind == EventKind.OWN_BUILD else event.data.get("build")  # there it is the one that is gone
    data = {"what": what, "detail": detail, "build": runs, "by": event.data.get("by")}
    return [NewPost(PostKind.SERVER, data, to_channel=True, offers=event.kind is EventKind.HELD)]


def _what_happened(event: Event) -> str | None:
    match event.kind:
        case EventKind.HELD:
            return f"held: {event.data.get('why')}"  # a newer keeper may have reasons of its own
        case EventKind.RELEASED:
            return "released"
        case EventKind.FELL_BACK:
            return "fell back"
        case EventKind.SWAP_FAILED:
            return "swap failed"
        case EventKind.FOREIGN:
            return "foreign"
        case EventKind.OWN_BUILD:
            return "own build"
        case EventKind.READY_TIMEOUT if not event.data.get("trial"):  # a trial's deployment has its own words
            return "not ready"
        case _:
            return None


# --- crashes ---------------------------------------------------------------------------------------------------------


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
        report = read_crash(tools, crash) if is_worth_reading(tools, crash) else _nameless(crash, UNREAD)
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


def read_crash(tools: Tools, crash: Crash) -> CrashReport:
    end = crash.exit
    report = tools.reader.read(
        ExitEvidence(
            status=end.status,
            output=_path(end.output),
            log=_path(end.log),
            core=_path(end.core),
            executable=executable_of(tools, end.build or (tools.store.get_fact(Fact.FOUND) or {}).get("build")),
            started=end.started,
            at=end.at,
            reports=new_reports(tools, end.started, end.at),
        )
    )
    return report if report.signature is not None else _nameless(crash, report.notes)


def executable_of(tools: Tools, build: str | None) -> Path | None:
    """The archived executable of a build, else what lies in SERVER_DIR."""
    manifest = None if build is None else tools.builder.manifest(build)
    program = tools.realm.server_command[0]
    if manifest is not None:
        for file in manifest.files:
            if Path(file.path).name == Path(program).name:
                return tools.realm.state_dir / "builds" / manifest.build / "files" / file.source
    lies = tools.realm.server_dir / program
    return lies if lies.is_file() else None


def new_reports(tools: Tools, started: float, at: float) -> tuple[Path, ...]:
    """Reports that this life of the server wrote, oldest first."""
    return tuple(path for path, written in list_reports(tools) if started <= written <= at + 60)


def list_reports(tools: Tools) -> list[tuple[Path, float]]:
    """Texts and dumps in the crash folders and when they were written, oldest first. Regular files alone: a link may
    lead nowhere, a pipe keeps whoever reads it for ever, and a folder is no crash."""
    found = []
    for folder in tools.realm.crash_dirs:
        try:
            entries = sorted(folder.iterdir())
        except OSError:  # not there yet, or not ours to read
            continue
        for path in entries:
            status = _status(path) if _is_report(path.name.lower()) else None
            if status is not None and stat.S_ISREG(status.st_mode):
                found.append((path, status.st_mtime))
    return sorted(found, key=lambda each: each[1])


def _is_report(name: str) -> bool:
    return name.endswith((".txt", ".dmp")) and not name.endswith(NOTES)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None


def _nameless(crash: Crash, notes: tuple[str, ...]) -> CrashReport:
    """A crash of which nothing is known is its own: never one bucket for all of them."""
    name = f"unknown | crash {crash.id}"
    return CrashReport(
        kind=ReportKind.UNKNOWN, category="unknown", signature=Signature(name, name, NAMELESS), notes=notes
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def judge_crash(tools: Tools, crash: Crash, report: CrashReport) -> None:
    """Being worked on, tries used up, or its fix is not in the crashing binary: counted, no more; else a run."""
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
    previous = [each for run in runs for each in (*tools.store.get_previous(run.id), *attempt_of(run))]
    run = new_run(crash, signature, now)
    posts = [backtrace_post(tools, crash, report)]
    tools.store.judge_crash(crash, report, "run", now, new_run=run, previous=previous, recurred=recurred, posts=posts)


def decide(tools: Tools, crash: Crash, report: CrashReport, runs: Sequence[Run]) -> tuple[str, str | None]:
    """(what becomes of it, the fix that it shows to be none)."""
    if report.environment:
        return "environment", None
    if crash.exit.verdict is ExitVerdict.WITH_MACHINE:
        return "with the machine", None
    if any(run.state not in OVER for run in runs):
        return "being worked on", None
    fix = next((run for run in reversed(runs) if run.fix_state in (FixState.WATCHING, FixState.VERIFIED)), None)
    if fix is not None and not contains_fix(tools, crash, fix):
        return "its fix is not in this binary", None
    tonight = [run for run in runs if run.night == crash.night and run.kind is RunKind.FIX]
    if len(tonight) >= tools.realm.max_tries:
        return "tries used up", fix.id if fix else None
    return "run", fix.id if fix else None


def contains_fix(tools: Tools, crash: Crash, fix: Run) -> bool:
    """A recurrence counts only if the crashing binary has the fix, and no revert of it."""
    if fix.commit is None:
        return False
    if not tools.prepared.is_set():
        raise Overtaken("our clone is not ready yet; this crash is judged when it is")
    build = tools.store.get_build(crash.exit.build) if crash.exit.build else None
    revision = (build.commit if build else None) or (crash.exit.revision or "").rstrip("+")
    commit = tools.source.resolve(revision) if revision else None
    return commit is not None and tools.source.holds_fix(commit, fix.commit, fix.id)


def new_run(crash: Crash, signature: Signature, now: datetime) -> Run:
    run = secrets.token_hex(4)
    return Run(run, RunKind.FIX, RunState.ANALYZING, crash.night, signature, signature.title, now, now, request_id=run)


def attempt_of(run: Run) -> list[dict[str, Any]]:
    """What an earlier run of the same crash came to."""
    if run.commit is None and run.reason is None:
        return []
    what = "reverted by an operator" if run.fix_state is FixState.REVERTED else run.state
    return [
        {
            "run": run.id, "kind": run.kind, "what": what, "detail": run.reason, "commit": run.commit,
            "verdict": run.verdict,
        }
    ]  # fmt: skip


def backtrace_post(tools: Tools, crash: Crash, report: CrashReport) -> NewPost:
    """What the thread says of a crash before anybody analysed it."""
    log = _path(crash.exit.log)
    lines = [] if log is None else last_lines(log, WORTH_LINES, crash.at)
    located = replace(report, frames=tuple(within_source(tools, frame) for frame in report.frames))
    return NewPost(
        PostKind.BACKTRACE,
        {
            "signature": report.signature and report.signature.exact,
            "category": report.category,
            "hypothesis": tools.redact(first_analysis(located, knowledge.list_entries(tools)).summary or ""),
            "errors": [tools.redact(line) for line in pick_errors(lines)[-SHOWN_ERRORS:]],
            "last_act": tools.redact(life_logs.find_last_act(tools, crash) or ""),
            "frames": [asdict(frame) for frame in located.frames[:64]],
            "crashing_frame": report.crashing_frame,
            "assertion": report.assertion
            and tools.redact(str(report.assertion.expression or report.assertion.message)),
            "status": crash.exit.status,
            "revision": crash.exit.revision,
            "notes": [tools.redact(note) for note in report.notes],
            "log": [tools.redact(line) for line in lines],
            "core": crash.exit.core,
            "suspects": None if report.environment else suspects_of(tools, crash, report),
        },
    )


def suspects_of(tools: Tools, crash: Crash, report: CrashReport) -> Any:
    return redact_all(suspects.describe(tools, suspects.gather(tools, crash, report)), tools.redact)


def within_source(tools: Tools, frame: Frame) -> Frame:
    """The file as a path in the repository, where it lies in our clone or in the user's checkout."""
    for folder in (tools.source.work_tree(), tools.realm.source_dir):
        if frame.file is not None and Path(frame.file).is_relative_to(folder):
            return replace(frame, file=Path(frame.file).relative_to(folder).as_posix())
    return frame


# --- history ---------------------------------------------------------------------------------------------------------


def import_history(tools: Tools) -> None:
    """What lay in the queue before the first start: known, never analysed. Once, before anything is taken in."""
    if tools.store.get_fact(Fact.IMPORTED) is not None:
        return
    began = tools.now()
    seen: set[Path] = set()  # what cannot be moved comes again
    while answers := [each for each in tools.analyst.answers() if each.path not in seen]:
        for answer in answers:
            seen.add(answer.path)
            import_answer(tools, answer, began)
    note_stuck(tools)
    tools.store.set_fact(Fact.IMPORTED, {"at": began.isoformat(), "reports": False})


def import_old_reports(tools: Tools, is_stopping: Callable[[], bool] = lambda: False) -> None:
    """The same of the crash folders. Thousands of reports take minutes, in which nothing waits for this, nor does the
    end of the bot: the next start goes on with it."""
    imported = tools.store.get_fact(Fact.IMPORTED)
    if imported is None or imported["reports"]:
        return
    began = datetime.fromisoformat(imported["at"]).timestamp()
    old = [each for each in list_old_reports(tools) if each[1] < began]
    for at in range(0, len(old), IMPORTED_AT_ONCE):
        batch = old[at : at + IMPORTED_AT_ONCE]
        read = [read_old_report(tools, *each) for each in batch if not is_stopping()]
        with tools.store.together():
            for each in read:
                tools.store.import_history(*each)
        if len(read) < len(batch):
            return
    tools.store.set_fact(Fact.IMPORTED, {**imported, "reports": True})


def list_old_reports(tools: Tools) -> list[tuple[tuple[Path, ...], float]]:
    """Text and dump of one crash together, and when the first of them was written."""
    crashes: dict[Path, list[tuple[Path, float]]] = {}
    for path, written in list_reports(tools):
        crashes.setdefault(path.with_suffix(""), []).append((path, written))
    return [(tuple(path for path, _ in each), each[0][1]) for each in crashes.values()]


def import_answer(tools: Tools, answer: Answer, at: datetime) -> None:
    request_id = id_of(answer)
    if tools.store.find_answer(request_id, answer.digest) is None:
        tools.store.note_answer(request_id, answer.digest, "history", at)
    tools.analyst.file_away(answer, used=False)


def read_old_report(
    tools: Tools, paths: tuple[Path, ...], written: float
) -> tuple[str, int, datetime, Exit, CrashReport]:
    """What `import_history` takes."""
    name = next((path.name for path in paths if path.suffix == ".txt"), paths[0].name)
    end = Exit(ExitVerdict.CRASH, written, 0, None, "history", None, 0, None, 0.0, written)
    report = tools.reader.read(ExitEvidence(None, None, None, None, None, written, written, reports=paths))
    number = int(hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:7], 16)
    return readable(name), number, datetime.fromtimestamp(written, UTC), end, report


# --- answers ---------------------------------------------------------------------------------------------------------


def take_answers(tools: Tools) -> int:
    """Stores every complete response in its run's row, then moves its file; how many moved a run."""
    answers = tools.analyst.answers()
    outcomes = [take_answer(tools, answer) for answer in answers]
    tools.store.note_refusals([each for each in outcomes if isinstance(each, Refusal)], tools.now())
    for answer, outcome in zip(answers, outcomes, strict=True):
        point("answer.stored")
        tools.analyst.file_away(answer, outcome is True)
        point("answer.moved")
    note_stuck(tools)
    return sum(outcome is True for outcome in outcomes)


def note_stuck(tools: Tools) -> None:
    stuck = tools.analyst.stuck
    if stuck is None:
        tools.degraded.pop("responses", None)
    else:
        tools.degraded["responses"] = stuck


def id_of(answer: Answer) -> str:
    """The id of its request; one without is known by its name, which may hold anything."""
    return answer.request_id or readable(answer.path.stem)


def readable(name: str) -> str:
    """A file's name as text: on Linux it may be no text at all."""
    return name.encode("utf-8", "replace").decode("utf-8")


def take_answer(tools: Tools, answer: Answer) -> bool | Refusal:
    """Whether the response was used (now, or already by an earlier passage that was killed before the move); why it
    cannot be, where that is yet to be noted."""
    request_id = id_of(answer)
    before = tools.store.find_answer(request_id, answer.digest)
    if before is not None:
        return before in tuple(RunState)
    run = tools.store.get_run_by_request(request_id)
    fault = why_unusable(answer, run)
    if fault is not None or run is None or answer.response is None:
        reason = tools.redact(fault or "unusable")
        return Refusal(request_id, answer.digest, tools.redact(readable(answer.path.name)), reason)
    return use(tools, answer, run)


def why_unusable(answer: Answer, run: Run | None) -> str | None:
    if answer.response is None:
        return answer.fault or "it cannot be read"
    if run is None:
        return "nobody asked for this: no request of ours has this id"
    if run.state not in (RunState.ANALYZING, RunState.PROPOSED):
        return f"it is too late: run {run.id} is {run.state}"
    return None


# What an analyst answered with, as a run's steps tell it.
SHAPES = {
    "A": "answered with whole files", "B": "answered with a replacement", "C": "answered in words",
    "ours": "answered with a change", "worktree": "answered by changing the source",
}  # fmt: skip


def use(tools: Tools, answer: Answer, run: Run) -> bool:
    response = answer.response
    if response is None:
        return False
    to = RunState.READY if response.patch is not None else RunState.PROPOSED
    prose = response.prose and tools.redact(response.prose)
    analysis = without_secrets(tools, response.analysis)
    reason = None if response.patch is not None else "the answer is in words, with no change: a person has to look"
    data = {"analysis": asdict(analysis), "prose": prose, "attempt": run.returns + 1}
    tools.store.take_answer(
        run, to, answer.digest, tools.now(), note=SHAPES[response.shape],
        posts=[NewPost(PostKind.ANALYSIS, data)], analysis=analysis, patch=response.patch, prose=prose,
        reason=reason,
    )  # fmt: skip
    return True


def without_secrets(tools: Tools, analysis: Analysis) -> Analysis:
    """Its texts end up in commit messages and in later requests, too."""
    texts = {name: each for name, each in asdict(analysis).items() if isinstance(each, str)}
    clean: dict[str, Any] = {name: tools.redact(each) for name, each in texts.items()}
    return replace(analysis, **clean)
