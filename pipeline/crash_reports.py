"""What one crash left: found in the crash folders and read with the exit of the process. Blocking."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pipeline.crash.signatures import NAMELESS
from pipeline.model import CrashReport, ReportKind, Signature
from pipeline.ports import ExitEvidence
from pipeline.store import Crash, Fact
from pipeline.tools import Tools

LATE = 60.0  # seconds after an end in which a report of it may still be written
NOTES = "analysis.txt"  # ends the name of what people's debuggers write beside a report


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
            pid=end.pid or None,
        )
    )
    return report if report.signature is not None else nameless_report(crash, report.notes)


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
    return tuple(path for path, written in list_reports(tools) if started <= written <= at + LATE)


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


def nameless_report(crash: Crash, notes: tuple[str, ...]) -> CrashReport:
    """A crash of which nothing is known is its own: never one bucket for all of them."""
    name = f"unknown | crash {crash.id}"
    return CrashReport(
        kind=ReportKind.UNKNOWN, category="unknown", signature=Signature(name, name, NAMELESS), notes=notes
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
