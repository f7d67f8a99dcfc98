"""One report from all that one end of the server left: its output, a core, reports in the crash folders, its status.

The order of the pieces is the order of trust in why it died (a sanitizer and the server's own words before a core, as
every assertion of TrinityCore dies by a write to address 0); the stack comes from the first piece that has one.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.adapters.gdb import TIMEOUT, find_gdb, read_core
from pipeline.crash.asan import read_sanitizer
from pipeline.crash.gdb_json import read_gdb_json
from pipeline.crash.lines import decode, read_head, read_tail
from pipeline.crash.read import combine, read_report
from pipeline.crash.reading import Reading
from pipeline.crash.rules import Rules, get_rules
from pipeline.crash.stderr_text import read_text
from pipeline.model import CrashReport, ReportKind
from pipeline.ports import ExitEvidence, OnStarted

OUTPUT = 1 << 20  # bytes of the output's end that are read
HEAD = 64 << 10  # bytes of the begin of both that are read
LOG = 256 << 10  # bytes of the log's end that are read
REPORTS = 8  # files of the crash folders that are read, newest first

_log = logging.getLogger(__name__)


def _forget(pid: int, create_time: float, what: str) -> None:
    """Nobody keeps a record of this child."""


class LinuxCrashReader:
    """`ports.CrashReader`. gdb is used where it is installed; `on_started` records it, `what` marks it, `scratch` is
    where it works (None = the folder for temporary files), `rules` gives those that are in force."""

    def __init__(
        self,
        *,
        timeout: float = TIMEOUT,
        on_started: OnStarted = _forget,
        what: str = "gdb",
        scratch: Path | None = None,
        rules: Callable[[], Rules] = get_rules,
    ) -> None:
        self._timeout = timeout
        self._on_started = on_started
        self._what = what
        self._scratch = scratch
        self._rules = rules

    def read(self, evidence: ExitEvidence) -> CrashReport:
        """One report; never raises on any content."""
        try:
            return self._read(evidence)
        except Exception as fault:  # a reader's bug must not keep a crash from being counted
            _log.exception("a crash could not be read: %s", evidence)
            report = combine([], status=evidence.status)
            return replace(report, notes=(*report.notes, f"reading it failed: {fault}"))

    def _read(self, evidence: ExitEvidence) -> CrashReport:
        output, log = read_tail(evidence.output, OUTPUT), read_tail(evidence.log, LOG)
        pieces = [piece for piece in self._pieces(evidence, output, log) if piece is not None]
        lines = [*log.splitlines(), *output.splitlines()]
        begin = "\n".join(_read_begin(path) for path in (evidence.log, evidence.output))
        return combine(
            pieces, status=evidence.status, lines=lines, text=f"{begin}\n{log}\n{output}", rules=self._rules()
        )

    def _pieces(self, evidence: ExitEvidence, output: str, log: str) -> Iterator[Reading | None]:
        yield read_sanitizer(output)
        yield read_text(output)
        yield _read_freeze_in_log(log)
        yield from _read_reports(evidence.reports)
        yield self._read_core(evidence)

    def _read_core(self, evidence: ExitEvidence) -> Reading | None:
        if evidence.core is None:
            return None
        found: dict[str, Any] | None = read_core(
            evidence.executable, evidence.core, self._timeout, on_started=self._on_started, what=self._what,
            scratch=self._scratch,
        )  # fmt: skip
        if found is not None:
            return read_gdb_json(found)
        why = "gdb is not installed" if find_gdb() is None else "gdb could not read it"
        return Reading(ReportKind.UNKNOWN, notes=(f"there is a core, but {why}: {evidence.core.name}",))


def _read_begin(path: Path | None) -> str:
    """The lines of the start-up, which name the revision."""
    if path is None:
        return ""
    try:
        return decode(read_head(path, HEAD))
    except OSError:
        return ""


def _read_reports(paths: tuple[Path, ...]) -> list[Reading]:
    """Newest first; the text of a crash before its minidump, because the text has the names."""
    readings = []
    for path in reversed(paths[-REPORTS:]):
        if not path.name.endswith("analysis.txt"):  # what people's debuggers write beside a report
            with contextlib.suppress(OSError):
                readings.append(read_report(path))
    return sorted(readings, key=lambda reading: reading.kind is ReportKind.MINIDUMP)


def _read_freeze_in_log(log: str) -> Reading | None:
    """The freeze detector writes to the log as well, which is all there is where stderr went nowhere."""
    said = read_text("\n".join(line for line in log.splitlines()[-50:] if "World Thread hangs" in line))
    return None if said is None else replace(said, kind=ReportKind.UNKNOWN)
