"""What lay in the queue and the crash folders before the first start: known, never analysed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pipeline.crash_reports import list_reports
from pipeline.intake import id_of, note_stuck, readable
from pipeline.keeper.protocol import Exit, ExitVerdict
from pipeline.model import CrashReport
from pipeline.ports import Answer, ExitEvidence
from pipeline.store import Fact
from pipeline.tools import Tools

IMPORTED_AT_ONCE = 50  # old reports in one transaction


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
