"""How fast crash reports are read: one of 5 MB, ten thousand that lie there at the first start, and as many that are
put there at once while the bot runs.

    python tests/bench/reports.py [--reports 10000]

Goals: the 5 MB report in under 20 ms and constant memory; of the ten thousand each is in once, in constant memory.
Beside the import the bare reading of the same files, in the same run: quote the ratio. The database is a file, with the
settings that the bot has. The bot that runs is a process of its own with its keeper, its watcher and its channel, where
`/status` is asked meanwhile.
"""

import argparse
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
import tracemalloc
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import psutil
from bare_realm import Realm
from sqlalchemy import func, select

from pipeline import history, migrate
from pipeline import tables as t
from pipeline.adapters.crash_reader import CrashFileReader
from pipeline.crash.as_json import report_from_plain, report_to_plain
from pipeline.store import Codec, Fact, Store, open_engine
from pipeline.tools import Tools

HEAD = """Revision: TrinityCore rev. 0123456789ab 2025-10-31 09:00:00 +0100 (night branch) (Win64, Release, Static)
Date 31:10:2025. Time 11:3 

Exception code: C0000005 ACCESS_VIOLATION
Fault address:  00007FF6AA000000 01:0000000000101000 C:\\Srv\\worldserver.exe

"""  # noqa: W291 - the blank at the end of the date is TrinityCore's own
STACK = "\nCall stack:\nAddress   Frame     Function      SourceFile\n"
LOCAL = "\t\tLocal User Defined Type 'std::vector<int,std::allocator<int> >' name = 0x00000000_{:08x}\n"


def write_report(path: Path, crash: int, threads: int, size: int) -> None:
    """`crash` tells its functions; the locals fill it up to `size` bytes."""
    frames = "".join(
        f"{0x7FF6AA000000 + 16 * line:016X}  0000004A1C213310  Bot{(crash + line) % 97}::Update{line}+1F"
        f"  C:\\src\\modules\\Playerbot\\Bot{line}.cpp line {line}\n"
        for line in range(24)
    )
    text = HEAD + (STACK + frames) * threads + "========================\nLocal Variables And Parameters\n"
    with path.open("w", encoding="utf-8", newline="\r\n") as file:
        file.write(text)
        number = 0
        while file.tell() < size:
            file.write("".join(LOCAL.format(number + each) for each in range(200)))
            number += 200


def time_large(folder: Path) -> dict[str, float]:
    path = folder / "0123456789ab_worldserver.exe_[2025_10_31_11_3_20].txt"
    write_report(path, 1, threads=40, size=5 << 20)
    reader = CrashFileReader()
    reader.read_alone(path)  # what is compiled once is compiled
    spans = []
    for _ in range(15):
        began = time.perf_counter()
        report = reader.read_alone(path)
        spans.append(1000 * (time.perf_counter() - began))
    assert report.signature is not None
    tracemalloc.start()
    reader.read_alone(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"ms": round(statistics.median(spans), 2), "best_ms": round(min(spans), 2), "memory_kb": most // 1024}


def import_all(folder: Path, reports: int) -> dict[str, float]:
    crashes = write_many(folder / "Crashes", reports)
    engine = open_engine(f"sqlite:///{folder / 'bench.sqlite'}")
    migrate.bring_to_head(engine, folder / "copies")
    store = Store(engine, Codec(report_to_plain, report_from_plain), lambda at: at.date())
    realm = SimpleNamespace(crash_dirs=(crashes,))
    tools = cast(Tools, SimpleNamespace(store=store, realm=realm, reader=CrashFileReader()))
    store.set_fact(Fact.IMPORTED, {"at": "2100-01-01T00:00:00+00:00", "reports": False})
    bare = time_reading(crashes)
    process = psutil.Process()
    before = process.memory_info().rss
    began = time.perf_counter()
    history.import_old_reports(tools)
    seconds = time.perf_counter() - began
    grown = process.memory_info().rss - before
    with engine.begin() as c:
        known: Any = c.execute(select(func.count(), func.count(t.crashes.c.exact.distinct()))).one()
    assert known[0] == reports, f"{known[0]} of {reports} are in"
    return {
        "reports": reports, "groups": known[1], "seconds": round(seconds, 2), "per_second": round(reports / seconds),
        "bare_seconds": round(bare, 2), "ratio": round(seconds / bare, 1), "grown_mb": round(grown / 1e6, 1),
    }  # fmt: skip


def write_many(folder: Path, reports: int) -> Path:
    """Of yesterday."""
    folder.mkdir()
    yesterday = time.time() - 86400
    for number in range(reports):
        path = folder / f"0123456789ab_worldserver.exe_[2025_10_31_11_{number // 60}_{number % 60}].txt"
        write_report(path, number, 2, 0)
        os.utime(path, (yesterday, yesterday))
    return folder


def drop_while_running(folder: Path, reports: int) -> dict[str, float]:
    prepared = write_many(folder / "prepared", reports)
    bare = time_reading(prepared)
    (folder / "realm").mkdir()
    realm = Realm(folder / "realm")
    bot = psutil.Process(realm.start_bot().pid)
    try:
        realm.wait(realm.list_servers, "a server")
        realm.wait_status("Server: up")
        crashes = realm.server / "Crashes"
        crashes.mkdir()
        time.sleep(10)  # what the start makes is made
        before, began, answers = bot.memory_info().rss, time.perf_counter(), []
        for path in prepared.iterdir():
            path.rename(crashes / path.name)
        dropped, most, known = time.perf_counter() - began, before, 0
        while known < reports:
            assert time.perf_counter() - began < 1800, f"{known} of {reports} are in"
            answers.append(time_status(realm))
            most = max(most, bot.memory_info().rss)
            known = count_rows(realm.root / "state" / "spirit-healer.sqlite")
            time.sleep(0.5)
        seconds = time.perf_counter() - began
        time.sleep(15)  # another look
        assert count_rows(realm.root / "state" / "spirit-healer.sqlite") == reports
    finally:
        realm.close()
    return {
        "reports": reports, "dropped_seconds": round(dropped, 2), "seconds": round(seconds, 2),
        "per_second": round(reports / seconds), "ratio": round(seconds / bare, 1),
        "grown_mb": round((most - before) / 1e6, 1), "before_mb": round(before / 1e6, 1),
        "status_ms": round(1000 * statistics.median(answers), 1), "slowest_status_ms": round(1000 * max(answers), 1),
    }  # fmt: skip


def time_status(realm: Realm) -> float:
    began = time.perf_counter()
    realm.channel.slash("status")
    return time.perf_counter() - began


def count_rows(database: Path) -> int:
    """Of reports; a report that is in twice counts twice."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        (found,) = connection.execute("SELECT count(*) FROM crashes WHERE keeper = 'file'").fetchone()
    return int(found)


def time_reading(folder: Path) -> float:
    began = time.perf_counter()
    for path in os.scandir(folder):
        Path(path).read_bytes()
    return time.perf_counter() - began


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--reports", type=int, default=10_000)
    wanted = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        large = time_large(Path(folder))
        print(f"5 MB report: {large['ms']} ms (best {large['best_ms']}), {large['memory_kb']} kB at most; goal 20 ms")
        many = import_all(Path(folder), wanted.reports)
    print(
        f"{many['reports']} reports: all in, once each, in {many['seconds']} s ({many['per_second']} a second), "
        f"{many['ratio']} times the bare reading of the files; the process grew by {many['grown_mb']} MB"
    )
    with tempfile.TemporaryDirectory() as folder:
        beside = drop_while_running(Path(folder), wanted.reports)
    print(
        f"{beside['reports']} reports dropped while the bot runs: all in, once each, in {beside['seconds']} s "
        f"({beside['per_second']} a second), {beside['ratio']} times the bare reading; the bot grew by "
        f"{beside['grown_mb']} MB; `/status` took {beside['status_ms']} ms, {beside['slowest_status_ms']} at most"
    )
    print(json.dumps({"large": large, "many": many, "beside": beside}))


if __name__ == "__main__":
    main()
