"""The bot's database under the recorder: what was committed is there after a power loss, and the copy is whole."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from power import Recorder, Step

ROOT = Path(__file__).parents[1]
BOT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from pipeline import migrate
from pipeline.crash.as_json import report_from_plain, report_to_plain
from pipeline.keeper.protocol import Event
from pipeline.store import Codec, Store, open_engine
engine = open_engine(f"sqlite:///{Path(sys.argv[1]) / 'realm.sqlite'}")
migrate.upgrade(engine, "0001")
print("made", flush=True), sys.stdin.readline()
print(migrate.bring_to_head(engine, Path(sys.argv[1]) / "copies"), flush=True), sys.stdin.readline()
now = datetime(2026, 1, 31, tzinfo=UTC)
store = Store(engine, Codec(report_to_plain, report_from_plain), lambda at: at.date())
for number in range(1, 9):
    store.import_event(Event("k", number, now.timestamp(), "ready", {"detail": "x" * 3000}), now, [])
    print(number, flush=True), sys.stdin.readline()
"""


def record(root: Path) -> tuple[list[Step], list[tuple[int, str]]]:
    """The looks at the disk, and (look, what the bot had said by then)."""
    root.mkdir()
    said: list[tuple[int, str]] = []
    with Recorder(root) as recorder:
        bot = subprocess.Popen(
            [sys.executable, "-c", BOT, str(root)], cwd=ROOT, env={**os.environ, **recorder.environment},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert bot.stdin is not None and bot.stdout is not None
        with bot.stdin, bot.stdout:
            for line in bot.stdout:
                said.append((len(recorder.steps), line.strip()))
                bot.stdin.write("go on\n")
                bot.stdin.flush()
        assert bot.wait(60) == 0
    return recorder.steps, said


def list_faults(root: Path, said: list[str]) -> list[str]:
    """What is broken of a database whose bot had said this much."""
    numbers = [int(each) for each in said if each.isdigit()]
    faults = _check(root / "realm.sqlite", max(numbers, default=0)) if said else []
    copies = [each for each in said if each.endswith(".sqlite")]
    return faults + [fault for each in copies for fault in _check(root / Path(each).relative_to(root), 0)]


def _check(file: Path, committed: int) -> list[str]:
    if not file.exists():
        return [f"{file.name} is gone"]
    with closing(sqlite3.connect(file)) as database:
        try:
            verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
            rows = [number for (number,) in database.execute("SELECT number FROM events ORDER BY number")]
        except sqlite3.DatabaseError as fault:
            return [f"{file.name}: {fault}"]
    faults = [] if verdict == "ok" else [f"{file.name}: {verdict}"]
    if rows not in (list(range(1, committed + 1)), list(range(1, committed + 2))):
        faults.append(f"{committed} events were committed, there are {rows}")
    return faults
