"""A night of many crashes of few bugs, as recorded of different builds: one card and one request for each bug."""

import os
import random
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from recorded import load, read_whole
from world import World

from pipeline import card_views, crash_reports, history
from pipeline import tables as t
from pipeline.adapters.crash_reader import CrashFileReader
from pipeline.keeper.protocol import ExitVerdict
from pipeline.model import CrashReport
from pipeline.ports import ExitEvidence

CRASHES = 200
BUGS = ("dispatcher", "aura", "assert", "bih", "freeze", "recursion", "doublefree", "late", "lambda", "exception",
        "divide", "assert-totem")  # fmt: skip


class RecordedReader:
    """A crash is the recorded one whose number its `output` is."""

    def __init__(self) -> None:
        self.crashes = load()

    def read(self, evidence: ExitEvidence) -> CrashReport:
        return read_whole(self.crashes[int(str(evidence.output))])


async def test_a_night_of_200_crashes_of_12_bugs_has_12_cards_and_12_requests(tmp_path: Path) -> None:
    chance = random.Random(1)
    reader = RecordedReader()
    world = await World(tmp_path, real_reader=reader).start()
    mine = [number for number, each in enumerate(reader.crashes) if each["bug"] in BUGS and not each["moved"]]
    played = chance.choices(mine, k=CRASHES)
    assert {reader.crashes[number]["bug"] for number in played} == set(BUGS)
    for number in played:
        world.keeper.crash(str(number))
        world.clock.time += timedelta(minutes=3)
        await world.settle()
    with world.engine.begin() as c:
        ids = list(c.execute(sa.select(t.cards.c.id)).scalars())
    cards = [card_views.card_view(world.tools, card) for card in ids]
    assert len(cards) == len(world.analyst.requests) == len(world.runs()) == len(BUGS)
    assert world.store.count_tonight(world.tools.night()) == sum(card.occurrences for card in cards) == CRASHES
    expected = Counter(reader.crashes[number]["bug"] for number in played)
    assert sorted(card.occurrences for card in cards) == sorted(expected.values())


# --- reports that lay there before the first start -------------------------------------------------------------------

REPORT = """\
Exception code: C0000005 ACCESS_VIOLATION
Fault address:  00007FF6AA000000 01:0000000000101000 C:\\Srv\\worldserver.exe

Call stack:
Address   Frame     Function      SourceFile
00007FF6AA000000  0000004A1C213310  Bot{number}::Update+1F  C:\\src\\Bot.cpp line 12

========================
"""


def drop(folder: Path, name: str, number: int = 0, at: datetime | None = None) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(REPORT.format(number=number), encoding="utf-8")
    if at is not None:
        os.utime(folder / name, (at.timestamp(),) * 2)


def import_from(folder: Path, tmp_path: Path) -> World:
    world = World(tmp_path, {"crash_dirs": (folder,)}, real_reader=CrashFileReader())
    world.clock.time += timedelta(days=3650)  # later than the files of the test
    history.import_history(world.tools)
    history.import_old_reports(world.tools)
    return world


def read_rows(world: World) -> list[str | None]:
    with world.engine.begin() as c:
        return list(c.execute(sa.select(t.crashes.c.exact).order_by(t.crashes.c.exact)).scalars())


def test_reports_whose_names_share_a_number_are_both_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten thousand names two share 28 bits of a hash about once in six imports."""

    class OneNumber:
        def __init__(self, _: bytes) -> None: ...

        def hexdigest(self) -> str:
            return "0" * 64

    for number in range(130):
        drop(tmp_path / "Crashes", f"{number}.txt", number)
    monkeypatch.setattr("pipeline.history.hashlib.sha256", OneNumber)
    world = import_from(tmp_path / "Crashes", tmp_path)
    assert len(set(read_rows(world))) == 130


def test_a_kill_in_the_midst_of_the_import_leaves_each_report_in_once(tmp_path: Path) -> None:
    for number in range(120):
        drop(tmp_path / "Crashes", f"{number}.txt", number)
    world = World(tmp_path, {"crash_dirs": (tmp_path / "Crashes",)}, real_reader=CrashFileReader())
    world.clock.time += timedelta(days=3650)
    history.import_history(world.tools)
    for paths, written in history.list_old_reports(world.tools)[:70]:
        world.store.import_history(*history.read_old_report(world.tools, paths, written))
    history.import_old_reports(world.tools)
    assert len(read_rows(world)) == len(set(read_rows(world))) == 120


def test_text_and_dump_of_one_crash_are_one_and_what_a_debugger_wrote_beside_them_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "Crashes"
    name = "0123456789ab_worldserver.exe_[2025_10_31_11_3_20]"
    drop(folder, f"{name}.txt")
    drop(folder, f"{name}.cdb_analysis.txt", 7)
    (folder / f"{name}.dmp").write_bytes(b"MDMP")
    world = import_from(folder, tmp_path)
    assert read_rows(world) == ["access violation | Bot0::Update"]
    assert {path.name for path in crash_reports.new_reports(world.tools, 0.0, 1e12)} == {f"{name}.txt", f"{name}.dmp"}


def test_the_import_ends_with_the_bot_and_the_next_start_goes_on_with_it(tmp_path: Path) -> None:
    for number in range(120):
        drop(tmp_path / "Crashes", f"{number}.txt", number)
    world = World(tmp_path, {"crash_dirs": (tmp_path / "Crashes",)}, real_reader=CrashFileReader())
    world.clock.time += timedelta(days=3650)
    history.import_history(world.tools)
    looks = iter([False] * 70)
    history.import_old_reports(world.tools, lambda: next(looks, True))
    assert len(read_rows(world)) == 70
    history.import_old_reports(world.tools)
    assert len(read_rows(world)) == len(set(read_rows(world))) == 120


# --- reports that somebody puts beside them while we run --------------------------------------------------------------


async def make_open_world(folder: Path) -> World:
    """Its server has lived for ten seconds, and nothing lay in the crash folder before."""
    world = World(folder, {"crash_dirs": (folder / "Crashes",)}, real_reader=CrashFileReader())
    (folder / "Crashes").mkdir()
    history.import_history(world.tools)
    history.import_old_reports(world.tools)
    return await world.start()


async def test_reports_that_are_put_there_while_we_run_are_in_once_each_and_nobody_is_asked(tmp_path: Path) -> None:
    world = await make_open_world(tmp_path)
    long_ago = world.clock.now() - timedelta(days=9)
    strays = history.Strays(world.tools)
    assert strays.take_in() == 0
    for number in range(120):
        drop(tmp_path / "Crashes", f"{number}.txt", number, long_ago)
    assert [strays.take_in(), strays.take_in(), history.Strays(world.tools).take_in()] == [120, 0, 0]
    drop(tmp_path / "Crashes", "one more.txt", 120, long_ago)
    assert strays.take_in() == 1
    await world.settle()
    assert len(read_rows(world)) == len(set(read_rows(world))) == 121
    assert (world.runs(), world.posts(), world.analyst.requests) == ([], [], {})


async def test_what_may_be_the_report_of_a_crash_is_left_to_it(tmp_path: Path) -> None:
    world = await make_open_world(tmp_path)
    strays = history.Strays(world.tools)
    drop(tmp_path / "Crashes", "of this life.txt", 1, world.clock.now())
    assert strays.take_in() == 0, "its server may be about to end"
    await world.die("whatever it said")
    assert read_rows(world) == ["access violation | Bot1::Update"]
    world.clock.time += timedelta(hours=1)
    drop(tmp_path / "Crashes", "of an hour.txt", 2, world.clock.now() - timedelta(minutes=30))
    await world.die("whatever it said")
    assert [strays.take_in(), strays.take_in()] == [0, 0], "each was read with the crash that it is of"


async def test_of_many_that_fit_one_crash_those_that_were_not_read_with_it_are_taken_in(tmp_path: Path) -> None:
    world = await make_open_world(tmp_path)
    await world.pass_time(hours=1)
    for number in range(20):
        drop(tmp_path / "Crashes", f"{number:02}.txt", number, world.clock.now() - timedelta(minutes=20 - number))
    await world.die("whatever it said")
    strays = history.Strays(world.tools)
    assert [strays.take_in(), strays.take_in()] == [12, 0]
    assert read_rows(world)[-1] == "access violation | Bot9::Update" and len(set(read_rows(world))) == 13


async def test_what_is_of_no_crash_of_a_life_is_taken_in_once_that_life_is_over(tmp_path: Path) -> None:
    world = await make_open_world(tmp_path)
    strays = history.Strays(world.tools)
    await world.pass_time(hours=1)
    drop(tmp_path / "Crashes", "copied.txt", 1, world.clock.now())
    assert strays.take_in() == 0
    await world.pass_time(hours=1)
    world.keeper.end(ExitVerdict.ASKED)
    assert strays.take_in() == 0, "nobody knows what comes next"
    world.keeper.start(None, None)
    assert strays.take_in() == 1


async def test_taking_in_ends_with_the_bot_and_goes_on_with_the_next(tmp_path: Path) -> None:
    world = await make_open_world(tmp_path)
    for number in range(120):
        drop(tmp_path / "Crashes", f"{number}.txt", number, world.clock.now() - timedelta(days=9))
    looks = iter([False] * 70)
    history.Strays(world.tools).take_in(lambda: next(looks, True))
    assert len(read_rows(world)) == 70
    history.Strays(world.tools).take_in()
    assert len(read_rows(world)) == len(set(read_rows(world))) == 120
