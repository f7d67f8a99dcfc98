"""What lies in the queue and the crash folders and is of no crash that we saw: known, never analysed."""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipeline.adapters.crash_reader import REPORTS
from pipeline.crash_reports import LATE, list_reports
from pipeline.intake import id_of, note_stuck, readable
from pipeline.keeper.protocol import Exit, ExitVerdict
from pipeline.model import CrashReport
from pipeline.ports import Answer, ExitEvidence
from pipeline.store import Fact
from pipeline.tools import Tools

IMPORTED_AT_ONCE = 50  # old reports in one transaction
Old = tuple[tuple[Path, ...], float]  # text and dump of one crash together, and when the first of them was written


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
    if import_reports(tools, [each for each in list_old_reports(tools) if each[1] < began], is_stopping):
        tools.store.set_fact(Fact.IMPORTED, {**imported, "reports": True})


class Strays:
    """Reports that somebody puts into the crash folders while we run: older than the life of the server that lives, and
    read with no crash of one before. What may still be the report of a crash is left to that crash."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._seen: object = None  # what was there when all of it was in

    def take_in(self, is_stopping: Callable[[], bool] = lambda: False) -> int:
        """How many were new. To be called now and then; costs nothing where no folder has changed."""
        until = _began(self._tools)
        look = (until, [_changed(folder) for folder in self._tools.realm.crash_dirs])
        if until is None or look == self._seen or not (self._tools.store.get_fact(Fact.IMPORTED) or {}).get("reports"):
            return 0
        reports = [each for each in list_reports(self._tools) if each[1] < until]
        read = list_read(reports, self._tools.store.list_lives())
        found = [each for each in group_reports(reports) if read.isdisjoint(each[0])]
        known = self._tools.store.list_imported([name_of(paths) for paths, _ in found])
        new = [each for each in found if name_of(each[0]) not in known]
        if import_reports(self._tools, new, is_stopping):
            self._seen = look
        return len(new)


def _began(tools: Tools) -> float | None:
    """The life of the server that lives, in seconds since the epoch; None where that is not known."""
    observed = tools.keeper.observed()
    return None if observed is None or observed.pid is None else observed.started


def _changed(folder: Path) -> int | None:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return None


def list_read(reports: Sequence[tuple[Path, float]], lives: Sequence[tuple[float, float]]) -> set[Path]:
    """Which of these were read with the crashes that ended these lives (from, to)."""
    written = [each for _, each in reports]
    read: set[Path] = set()
    for started, at in lives:
        first, last = bisect.bisect_left(written, started), bisect.bisect_right(written, at + LATE)
        read.update(path for path, _ in reports[max(first, last - REPORTS) : last])
    return read


def import_reports(tools: Tools, old: Sequence[Old], is_stopping: Callable[[], bool]) -> bool:
    """Whether all of them are in."""
    for at in range(0, len(old), IMPORTED_AT_ONCE):
        batch = old[at : at + IMPORTED_AT_ONCE]
        read = [read_old_report(tools, *each) for each in batch if not is_stopping()]
        with tools.store.together():
            for each in read:
                tools.store.import_history(*each)
        if len(read) < len(batch):
            return False
    return True


def list_old_reports(tools: Tools) -> list[Old]:
    return group_reports(list_reports(tools))


def group_reports(reports: Sequence[tuple[Path, float]]) -> list[Old]:
    crashes: dict[Path, list[tuple[Path, float]]] = {}
    for path, written in reports:
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
    name = name_of(paths)
    end = Exit(ExitVerdict.CRASH, written, 0, None, "history", None, 0, None, 0.0, written)
    report = tools.reader.read(ExitEvidence(None, None, None, None, None, written, written, reports=paths))
    number = int(hashlib.sha256(name.encode()).hexdigest()[:7], 16)
    return name, number, datetime.fromtimestamp(written, UTC), end, report


def name_of(paths: Sequence[Path]) -> str:
    """What one crash's files are known by: its text, where there is one."""
    return readable(next((path.name for path in paths if path.suffix == ".txt"), paths[0].name))
