"""What can be told of a crash beside its report, before anybody analysed it: who changed the place last, what is new
since the last good build, which fixes of ours are in it, which crashes were alike, and what is known of such ones.

Hints, gathered in two seconds at most; what cannot be told is a note, and nothing here is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pipeline import knowledge, regrouping
from pipeline.crash.known import Entry, find_entry
from pipeline.crash.names import normalise
from pipeline.crash.rules import Rules
from pipeline.crash.signatures import find_interest
from pipeline.crash.similar import rate_likeness
from pipeline.errors import PipelineError
from pipeline.model import LIVE, Commit, CrashReport, Run, Signature
from pipeline.store import Crash, Fact
from pipeline.tools import Tools
from pipeline.traces import Place, Touch, Trace

TRACING = 2.0  # seconds that git may take for all of it
SIMILAR = 3  # crashes that are named


@dataclass(frozen=True)
class SimilarCrash:
    signature: Signature
    times: int
    last: datetime
    fix: Run | None  # what stands against it


@dataclass(frozen=True)
class Suspicion:
    trace: Trace
    similar: tuple[SimilarCrash, ...]
    known: Entry | None


def gather(tools: Tools, crash: Crash, report: CrashReport) -> Suspicion:
    rules = regrouping.get_rules_in_force(tools.store)
    return Suspicion(
        trace=_trace(tools, crash, report, rules),
        similar=_find_similar(tools, report.signature, rules),
        known=find_entry(report, knowledge.list_entries(tools)),
    )


# --- the source ------------------------------------------------------------------------------------------------------


def _trace(tools: Tools, crash: Crash, report: CrashReport, rules: Rules) -> Trace:
    if not tools.prepared.is_set():
        return Trace(notes=("who changed it last is not known: our clone of the source is not ready yet",))
    at = find_commit(tools, crash, report)
    if at is None:
        return Trace(notes=("who changed it last is not known: the build that crashed names no commit",))
    found = _found_build(tools)
    good = tools.store.find_last_good(report.signature, crash.exit.build or found, found)
    since = None if good is None else good.commit
    try:
        told = tools.source.trace(at.rstrip("+"), since, list_places(report, rules), TRACING)
    except PipelineError as fault:
        return Trace(notes=(f"who changed it last is not known: {fault}",))
    dirty = "it was built with changes that are in no commit, so that lines may be off"
    return replace(told, notes=(*told.notes, dirty)) if at.endswith("+") else told


def find_commit(tools: Tools, crash: Crash, report: CrashReport | None) -> str | None:
    """What the build that crashed was made of, as far as anything says so; with a `+` where it had changes beside."""
    name = crash.exit.build or _found_build(tools)
    build = None if name is None else tools.store.get_build(name)
    return (build.commit if build else None) or _read_revision(crash, report)


def _found_build(tools: Tools) -> str | None:
    name: str | None = (tools.store.get_fact(Fact.FOUND) or {}).get("build")
    return name


def _read_revision(crash: Crash, report: CrashReport | None) -> str | None:
    if crash.exit.revision or report is None or report.revision is None:
        return crash.exit.revision
    return f"{report.revision.hash}{'+' if report.revision.dirty else ''}"


def list_places(report: CrashReport, rules: Rules) -> list[Place]:
    """Of the program's own frames, innermost first; of a function that calls itself the innermost. Of one that is said
    to stand in a header of a library, which was inlined into it, the function alone."""
    interest = find_interest(report.frames, rules, report.start, report.assertion)
    frames = [report.frames[index] for index in interest.telling or interest.own]
    if not frames and report.frame is not None:
        frames = [report.frame]
    places: dict[str, Place] = {}
    for frame in frames:
        name = normalise(frame.function)
        if not (name and frame.file and frame.line):
            continue
        if rules.is_library_file(frame.file):
            places.setdefault(name, Place(name, None, None))
        elif name not in places or places[name].file is None:
            places[name] = Place(name, frame.file, frame.line)
    return list(places.values())


# --- other crashes ---------------------------------------------------------------------------------------------------


def _find_similar(tools: Tools, signature: Signature | None, rules: Rules) -> tuple[SimilarCrash, ...]:
    """The most alike first, of those that are equally so the last seen."""
    if signature is None:
        return ()
    groups = [(rate_likeness(signature, other, rules.is_plumbing), times, last, other)
              for other, times, last in tools.store.list_groups()]  # fmt: skip
    alike = sorted((each for each in groups if each[0]), key=lambda each: (each[0], each[2]), reverse=True)
    return tuple(SimilarCrash(other, times, last, _find_fix(tools, other)) for _, times, last, other in alike[:SIMILAR])


def _find_fix(tools: Tools, signature: Signature) -> Run | None:
    runs = reversed(tools.store.list_runs_of_signature(signature))
    return next((run for run in runs if run.commit is not None and run.fix_state in LIVE), None)


# --- as JSON ---------------------------------------------------------------------------------------------------------


def describe(tools: Tools, found: Suspicion) -> dict[str, Any]:
    """For a post and for a request. Nothing in it is redacted yet."""
    trace = found.trace
    return {
        "touches": [_describe_touch(tools, each) for each in trace.touches],
        "since": trace.since and {"hash": trace.since, "url": tools.source.url(trace.since)},
        "changed": trace.changed,
        "new": [_describe_commit(tools, each) for each in trace.new],
        "near": [_describe_commit(tools, each) for each in trace.near],
        "fixes": None if trace.fixes is None else [_describe_commit(tools, each) for each in trace.fixes],
        "similar": [_describe_similar(tools, each) for each in found.similar],
        "known": found.known and {"name": found.known.name, "cause": found.known.cause, "cure": found.known.cure,
                                  "see": found.known.see},
        "notes": list(trace.notes),
    }  # fmt: skip


def _describe_touch(tools: Tools, touch: Touch) -> dict[str, Any]:
    return {
        "function": touch.place.function,
        "file": touch.file,
        "line": touch.line,
        "commit": None if touch.commit is None else _describe_commit(tools, touch.commit),
        "is_new": touch.is_new,
    }


def _describe_commit(tools: Tools, commit: Commit) -> dict[str, Any]:
    return {
        "hash": commit.hash,
        "author": commit.author,
        "at": commit.committed_at.isoformat(),
        "subject": commit.subject,
        "run": commit.run,
        "url": tools.source.url(commit.hash),
    }


def _describe_similar(tools: Tools, similar: SimilarCrash) -> Mapping[str, Any]:
    fix = similar.fix
    return {
        "signature": similar.signature.exact,
        "title": similar.signature.title,
        "times": similar.times,
        "last": similar.last.isoformat(),
        "run": fix and fix.id,
        "commit": fix and fix.commit,
        "state": fix and fix.state,
        "summary": fix and fix.analysis and fix.analysis.summary,
        "url": fix and fix.commit and tools.source.url(fix.commit),
    }
