"""One report from all that one end of the server left: its output, a core, reports in the crash folders, its status.

The order of the pieces is the order of trust in why it died (a sanitizer and the server's own words before a core, as
every assertion of TrinityCore dies by a write to address 0); the stack comes from the first piece that has one.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

from pipeline.adapters.coredumpctl import KeptCores
from pipeline.adapters.debugger import MARK, TIMEOUT, run_debugger, tell_nobody
from pipeline.adapters.gdb import find_gdb, read_core
from pipeline.adapters.lldb import find_lldb, read_stacks
from pipeline.crash.asan import read_sanitizer
from pipeline.crash.conclude import conclude
from pipeline.crash.elf import Core, read_build_id, read_core_file
from pipeline.crash.gdb_json import read_gdb_json
from pipeline.crash.lines import decode, read_head, read_tail
from pipeline.crash.minidump import (
    DAMAGED,
    Identity,
    Minidump,
    describe_damage,
    describe_minidump,
    is_called,
    parse_minidump,
    read_identity,
)
from pipeline.crash.read import combine, read_report, tell_kind
from pipeline.crash.reading import Reading
from pipeline.crash.rules import Rules, get_rules, module_name
from pipeline.crash.stderr_text import read_signal, read_text
from pipeline.crash.systemd_text import read_systemd
from pipeline.errors import Obstructed
from pipeline.model import CrashReport, ReportKind
from pipeline.ports import ExitEvidence, OnStarted

OUTPUT = 1 << 20  # bytes of the output's end that are read
HEAD = 64 << 10  # bytes of the begin of both that are read
LOG = 256 << 10  # bytes of the log's end that are read
REPORTS = 8  # files of the crash folders that are read, newest first
_LEAVES_A_CORE = frozenset((3, 4, 5, 6, 7, 8, 11, 24, 25, 31))  # numbers of Linux's signals, as signal(7) has them

_log = logging.getLogger(__name__)


Programs = Callable[[str], Iterable[Path]]  # name of a program -> where builds of it lie


def _know_none(name: str) -> Iterable[Path]:
    return ()


class CrashFileReader:
    """`ports.CrashReader`. gdb and lldb are used where they are installed; `on_started` records them, `what` marks
    them, `scratch` is where they work (None = the folder for temporary files), `rules` gives those that are in force,
    `list_programs` where archived executables of a name lie, `kept_cores` those of systemd (None = this machine's)."""

    def __init__(
        self,
        *,
        timeout: float = TIMEOUT,
        on_started: OnStarted = tell_nobody,
        what: str = MARK,
        scratch: Path | None = None,
        rules: Callable[[], Rules] = get_rules,
        list_programs: Programs = _know_none,
        kept_cores: KeptCores | None = None,
    ) -> None:
        self._run = partial(run_debugger, timeout=timeout, on_started=on_started, what=what, scratch=scratch)
        self._kept_cores = kept_cores or KeptCores(on_started=on_started, what=what, scratch=scratch)
        self._rules = rules
        self._list_programs = list_programs

    def read(self, evidence: ExitEvidence) -> CrashReport:
        """One report; never raises on any content. Raises Obstructed where what is asked meanwhile does not answer: a
        report that was made without it would stay for good."""
        try:
            return self._read(evidence)
        except Obstructed:
            raise
        except Exception as fault:  # a reader's bug must not keep a crash from being counted
            _log.exception("a crash could not be read: %s", evidence)
            report = combine([], status=evidence.status)
            return replace(report, notes=(*report.notes, f"reading it failed: {fault}"))

    def read_alone(self, path: Path) -> CrashReport:
        """What one file says by itself, with a debugger where it needs one. Raises OSError where it cannot be opened,
        nothing on any content."""
        return conclude(self._read_artefact(path, None), self._rules())

    def _read(self, evidence: ExitEvidence) -> CrashReport:
        output, log = read_tail(evidence.output, OUTPUT), read_tail(evidence.log, LOG)
        pieces = [piece for piece in self._pieces(evidence, output, log) if piece is not None]
        lines = [*log.splitlines(), *output.splitlines()]
        begin = "\n".join(_read_begin(path) for path in (evidence.log, evidence.output))
        text = f"{begin}\n{log}\n{output}"
        return combine(pieces, status=evidence.status, lines=lines, text=text, rules=self._rules())

    def _pieces(self, evidence: ExitEvidence, output: str, log: str) -> Iterator[Reading | None]:
        yield read_sanitizer(output)
        yield read_text(output)
        yield _read_freeze_in_log(log)
        yield from self._read_reports(evidence)
        if evidence.core is not None:
            with contextlib.suppress(OSError):
                yield self._read_core(evidence.core, evidence.executable)
        elif evidence.pid is not None and (evidence.status is None or -evidence.status in _LEAVES_A_CORE):
            with contextlib.suppress(OSError):
                yield self._read_kept_core(evidence.pid, evidence)

    def _read_kept_core(self, pid: int, evidence: ExitEvidence) -> Reading | None:
        """Raises OSError where there is no room for it."""
        with self._kept_cores.borrow(pid, evidence.started, evidence.at) as found:
            if isinstance(found, Path):
                return self._read_core(found, evidence.executable)
            if found is None:
                return None
            said = read_systemd(found.said) or Reading()
            return replace(said, notes=(f"there is no core to read: {found.why}", *said.notes))

    def _read_reports(self, evidence: ExitEvidence) -> list[Reading]:
        """Newest first; the text of a crash before its minidump, because the text has the names of all threads. Where
        a text gave the stack, a minidump's header is all that is read of it."""
        readings: list[Reading] = []
        newest = [(path, _is_dump(path)) for path in reversed(evidence.reports[-REPORTS:])]
        for path, is_dump in sorted(newest, key=itemgetter(1)):
            told = is_dump and any(each.crashed for each in readings if each.kind is not ReportKind.MINIDUMP)
            with contextlib.suppress(OSError):
                readings.append(read_report(path) if told else self._read_artefact(path, evidence.executable))
        return readings

    def _read_artefact(self, path: Path, executable: Path | None) -> Reading:
        kind = tell_kind(path)
        if kind is ReportKind.MINIDUMP:
            return self._read_dump(path, executable)
        return self._read_core(path, executable) if kind is ReportKind.CORE else read_report(path)

    # --- Windows ---------------------------------------------------------------------------------------------------

    def _read_dump(self, path: Path, executable: Path | None) -> Reading:
        try:
            dump = parse_minidump(path)
            reading = describe_minidump(dump)
        except DAMAGED as fault:
            return describe_damage(fault)
        program, why = self._find_image(path, dump, executable)
        stacks = program and read_stacks(program, path, dump, self._run)
        if stacks:
            return replace(reading, crashed=stacks.crashed, others=stacks.others)
        missing = "lldb is not installed" if find_lldb() is None else why or "lldb could not read it"
        note = f"only the header of the minidump was read, module and offset but no stack: {missing}"
        return replace(reading, notes=(note, *reading.notes))

    def _find_image(self, path: Path, dump: Minidump, executable: Path | None) -> tuple[Path | None, str | None]:
        """The executable that crashed, or why there is none: another build's stack would be wrong without a word."""
        module = dump.find_program()
        if module is None:
            return None, "it names no executable"
        name = module_name(module.name)
        beside = (path.parent / name, path.parent.parent / name)
        known = [executable] if executable is not None and is_called(module, executable) else []
        found = [each for each in (*known, *self._list_programs(name), *beside) if each.is_file()]
        same = next((each for each in found if _identify(each) == module.identity), None)
        if same is not None:
            return same, None
        if not found:
            return None, f"{name} of the build that crashed ({module.identity}) is not here"
        seen = ", ".join(dict.fromkeys(f"{_identify(each)}" for each in found))
        return None, f"refused, as {name} is of another build than the dump (TimeDateStamp {seen}; {module.identity})"

    # --- Linux -----------------------------------------------------------------------------------------------------

    def _read_core(self, core: Path, executable: Path | None) -> Reading:
        """Raises OSError where it cannot be opened."""
        told = read_core_file(core)
        program, why = self._find_program(told, executable)
        found: dict[str, Any] | None = None
        if why is None:
            found = read_core(program, core, self._run)
        if found is not None:
            return read_gdb_json(found)
        why = why or ("gdb is not installed" if find_gdb() is None else "gdb could not read it")
        bare = read_signal(told.signal, ReportKind.CORE) if told.signal else Reading(ReportKind.CORE)
        return replace(bare, notes=(f"there is a core, but {why}: {core.name}",))

    def _find_program(self, core: Core, executable: Path | None) -> tuple[Path | None, str | None]:
        """The executable of a core, or why it must not be read with any that is here."""
        name = core.program.name if core.program else None
        known = [each for each in (executable, core.program) if each is not None]
        found = [each for each in (*known, *(self._list_programs(name) if name else ())) if each.is_file()]
        if core.build_id is None:
            return next(iter(found), None), None
        same = next((each for each in found if _build_id(each) == core.build_id), None)
        if same is not None or not found:
            return same, None
        return None, f"refused, as {found[0].name} is of another build (build id {core.build_id[:12]} is not here)"


def _is_dump(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return tell_kind(path) is ReportKind.MINIDUMP
    return False


def _identify(path: Path) -> Identity | None:
    with contextlib.suppress(OSError):
        return read_identity(path)
    return None


def _build_id(path: Path) -> str | None:
    with contextlib.suppress(OSError):
        return read_build_id(path)
    return None


def _read_begin(path: Path | None) -> str:
    """The lines of the start-up, which name the revision."""
    if path is None:
        return ""
    try:
        return decode(read_head(path, HEAD))
    except OSError:
        return ""


def _read_freeze_in_log(log: str) -> Reading | None:
    """The freeze detector writes to the log as well, which is all there is where stderr went nowhere."""
    said = read_text("\n".join(line for line in log.splitlines()[-50:] if "World Thread hangs" in line))
    return None if said is None else replace(said, kind=ReportKind.UNKNOWN)
