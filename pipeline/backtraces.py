"""What the thread of a crash says before anybody analysed it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pipeline import knowledge, life_logs, suspects
from pipeline.card_models import PostKind
from pipeline.crash.context import first_analysis, last_lines, pick_errors
from pipeline.model import CrashReport, Frame
from pipeline.redact import redact_all
from pipeline.store import Crash, NewPost
from pipeline.tools import Tools

SHOWN_ERRORS = 3  # of the log, above the stack
WORTH_LINES = 40  # of the log, in the thread of a crash


def backtrace_post(tools: Tools, crash: Crash, report: CrashReport) -> NewPost:
    """What the thread says of a crash before anybody analysed it."""
    log = crash.exit.log
    lines = [] if log is None else last_lines(Path(log), WORTH_LINES, crash.at, redact=tools.redact)
    located = replace(report, frames=tuple(within_source(tools, frame) for frame in report.frames))
    return NewPost(
        PostKind.BACKTRACE,
        {
            "signature": report.signature and report.signature.exact,
            "category": report.category,
            "hypothesis": tools.redact(first_analysis(located, knowledge.list_entries(tools)).summary or ""),
            "errors": pick_errors(lines)[-SHOWN_ERRORS:],
            "last_act": life_logs.find_last_act(tools, crash) or "",
            "frames": [asdict(frame) for frame in located.frames[:64]],
            "crashing_frame": report.crashing_frame,
            "assertion": report.assertion
            and tools.redact(str(report.assertion.expression or report.assertion.message)),
            "status": crash.exit.status,
            "revision": crash.exit.revision,
            "notes": [tools.redact(note) for note in report.notes],
            "log": lines,
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
