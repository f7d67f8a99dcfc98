"""A change of the rules over a real database, SQLite and PostgreSQL: shown, accepted in one transaction, followed."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from migrating import DATABASES
from sqlalchemy import Engine

from bot.__main__ import main
from bot.lock import InstanceLock
from pipeline import migrate, regrouping
from pipeline import tables as t
from pipeline.crash.as_json import report_from_plain, report_to_plain
from pipeline.crash.conclude import conclude
from pipeline.crash.reading import Reading, Thread
from pipeline.crash.rules import read_lists
from pipeline.crash.signatures import VERSION
from pipeline.keeper.protocol import Exit, ExitVerdict
from pipeline.model import Frame, ReportKind, Run, RunKind, RunState, Signature
from pipeline.store import Codec, Fact, Store, open_engine

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
END = Exit(ExitVerdict.CRASH, NOON.timestamp(), 1, -11, "b" * 40, None, 0, None, 9.0, NOON.timestamp() - 9)
A, B = ("Log::Write", "Unit::Die", "Map::Update", "main"), ("Unit::Die", "Map::Update", "main")
OVER_LOGS = "access violation | Log::Write | Unit::Die | Map::Update"
PLAIN = "access violation | Unit::Die | Map::Update | main"


class Stored:
    """A realm's database with crashes in it, and the folder that its owner's lists lie in."""

    def __init__(self, engine: Engine, state: Path) -> None:
        self.engine = engine
        self.state = state
        self.frames = state / regrouping.FOLDER
        self.frames.mkdir(parents=True)
        codec = Codec(report_to_plain, report_from_plain)
        self.store = Store(engine, codec, lambda at: at.date())

    def crash(self, functions: tuple[str, ...], day: int = 22, run: str | None = None, judged: str = "counted") -> int:
        """`run` = the run it begins; its signature is that of the rules in force."""
        at = NOON.replace(day=day)
        thread = Thread(tuple(Frame(each, "/src/A.cpp", 3) for each in functions))
        rules = regrouping.get_rules_in_force(self.store)
        report = conclude(Reading(ReportKind.CORE, "access violation", crashed=thread), rules)
        with self.engine.begin() as c:
            number = c.execute(sa.select(sa.func.count()).select_from(t.crashes)).scalar_one()
            plain = {"keeper": "k", "number": number, "at": at, "night": at.date(), "exit": dataclasses.asdict(END)}
            crash = c.execute(sa.insert(t.crashes).values(**plain).returning(t.crashes.c.id)).scalar_one()
        found = next(each for each in self.store.list_unjudged_crashes() if each.id == crash)
        signature = report.signature
        assert signature is not None
        new = run and Run(run, RunKind.FIX, RunState.ANALYZING, at.date(), signature, signature.title, at, at)
        self.store.judge_crash(found, report, "run" if run else judged, at, new_run=new or None)
        return int(crash)

    def ignore(self, rule: str) -> None:
        (self.frames / "irrelevant.txt").write_text(f"{rule}\n", encoding="utf-8")

    def accept(self) -> int:
        """How many crashes got another signature."""
        found = regrouping.accept(self.store, read_lists(self.frames))
        return found.crashes - found.unchanged

    def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        with self.engine.begin() as c:
            return [dict(each) for each in c.execute(sa.select(table).order_by(table.c.id)).mappings()]

    def cards(self) -> dict[tuple[date, str], int]:
        """Night and key of each card: how many crashes it has."""
        crashes = [each["card"] for each in self.rows(t.crashes)]
        return {(each["night"], each["key"]): crashes.count(each["id"]) for each in self.rows(t.cards)}


@pytest.fixture(params=DATABASES)
def stored(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stored]:
    state = tmp_path / "state"
    state.mkdir()
    url = f"sqlite:///{state / 'spirit-healer.sqlite'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("cluster").make_database()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIR", str(state))
    monkeypatch.setenv("DATABASE_URL", url)
    engine = open_engine(url)
    migrate.bring_to_head(engine, state / "copies")
    yield Stored(engine, state)
    engine.dispose()


def ask(*words: str) -> tuple[int, str]:
    answer = CliRunner().invoke(main, ["signatures", "replay", *words])
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exc_info
    return answer.exit_code, answer.output


def test_what_would_merge_is_shown_and_nothing_changes(stored: Stored) -> None:
    for functions in (A, B, B):
        stored.crash(functions)
    stored.ignore("Log::.*")
    before = [stored.rows(each) for each in (t.crashes, t.cards)]
    assert ask() == (
        0,
        f"3 stored crashes, 2 with the key they have.\nmerge into {PLAIN}\n    1 x {OVER_LOGS}\n    2 x {PLAIN}\n"
        "Nothing was changed. `--accept` puts this in force.\n",
    )
    assert [stored.rows(each) for each in (t.crashes, t.cards)] == before
    assert stored.store.get_fact(Fact.RULES) is None


def test_what_is_accepted_is_followed_by_crashes_runs_and_cards(stored: Stored) -> None:
    stored.crash(A, run="aaaaaaaa")
    stored.crash(B)
    stored.ignore("Log::.*")
    code, words = ask("--accept")
    assert (code, words) == (
        0,
        f"2 stored crashes, 1 with the key they have.\nmerge into {PLAIN}\n    1 x {OVER_LOGS}\n    1 x {PLAIN}\n"
        "In force: what is stored is signed by these rules.\n",
    )
    assert {each["exact"] for each in (*stored.rows(t.crashes), *stored.rows(t.runs))} == {PLAIN}
    assert {each["report"]["signature"]["exact"] for each in stored.rows(t.crashes)} == {PLAIN}
    assert [each["report"]["crashing_frame"] for each in stored.rows(t.crashes)] == [1, 0]
    assert [each.id for each in stored.store.list_runs_of_signature(sign(PLAIN))] == ["aaaaaaaa"]
    card = next(each["id"] for each in stored.rows(t.cards) if each["run"] == "aaaaaaaa")
    stored.crash(A)
    assert stored.rows(t.crashes)[-1]["card"] == card, "the next one goes to the card that is worked on"
    assert ask()[1] == "3 stored crashes, 3 with the key they have.\n"


def sign(exact: str) -> Signature:
    return Signature(" | ".join(exact.split(" | ")[:2]), exact, VERSION)


def test_a_group_that_splits_keeps_its_card_and_the_next_crash_of_the_other_begins_one(stored: Stored) -> None:
    stored.ignore("Log::.*")
    stored.accept()
    stored.crash(A, run="aaaaaaaa")
    stored.crash(B)
    (stored.frames / "irrelevant.txt").write_text("", encoding="utf-8")
    assert ask("--json") == (
        0,
        json.dumps(
            {
                "crashes": 2, "unchanged": 1, "merged": [],
                "split": [{"group": PLAIN, "into": [[OVER_LOGS, 1], [PLAIN, 1]]}], "renamed": [], "accepted": False,
            }
        )
        + "\n",
    )  # fmt: skip
    assert stored.accept() == 1
    assert [each["exact"] for each in stored.rows(t.crashes)] == [OVER_LOGS, PLAIN]
    assert stored.rows(t.runs)[0]["exact"] == OVER_LOGS, "a run follows the crash that began it"
    assert stored.cards() == {(NOON.date(), f"{VERSION}:{PLAIN}"): 2}
    stored.crash(A)
    assert stored.cards() == {(NOON.date(), f"{VERSION}:{PLAIN}"): 2, (NOON.date(), f"{VERSION}:{OVER_LOGS}"): 1}


def test_cards_of_each_night_follow_by_themselves(stored: Stored) -> None:
    for day in (20, 21):
        stored.crash(A, day)
    stored.crash(B, 21)
    stored.ignore("Log::.*")
    stored.accept()
    first, second = date(2026, 11, 20), date(2026, 11, 21)
    loser = next(each["id"] for each in stored.rows(t.cards) if "#" in each["key"])
    key = f"{VERSION}:{PLAIN}"
    assert stored.cards() == {(first, key): 1, (second, key): 1, (second, f"{key} #{loser}"): 1}


def test_a_card_takes_the_key_that_another_one_gives_up(stored: Stored) -> None:
    """One rule drops the innermost function of one stack, and no longer that of another one."""
    stored.ignore("V::v")
    stored.accept()
    stored.crash(("X::a", "Y::b", "Z::c", "main"))
    stored.crash(("V::v", "Y::b", "Z::c", "main"))
    assert [each["key"] for each in stored.rows(t.cards)] == [
        f"{VERSION}:access violation | X::a | Y::b | Z::c",
        f"{VERSION}:access violation | Y::b | Z::c | main",
    ]
    stored.ignore("X::a")
    assert stored.accept() == 2
    assert [each["key"] for each in stored.rows(t.cards)] == [
        f"{VERSION}:access violation | Y::b | Z::c | main",
        f"{VERSION}:access violation | V::v | Y::b | Z::c",
    ]


def test_a_fault_in_the_midst_changes_nothing(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    stored.crash(A, run="aaaaaaaa")
    stored.crash(B)
    stored.ignore("Log::.*")
    before = [stored.rows(each) for each in (t.crashes, t.runs, t.cards)]

    def break_off(*_: object) -> None:
        raise RuntimeError("the machine is switched off")

    monkeypatch.setattr("pipeline.store.signatures.put_fact", break_off)
    with pytest.raises(RuntimeError):
        stored.accept()
    assert [stored.rows(each) for each in (t.crashes, t.runs, t.cards)] == before


def test_more_reports_than_are_held_at_a_time_are_all_signed(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.store.signatures.BATCH", 2)
    for _ in range(5):
        stored.crash(A)
    stored.ignore("Log::.*")
    assert ask()[1].splitlines()[0] == "5 stored crashes, 0 with the key they have."
    assert stored.accept() == 5


def test_while_a_bot_runs_nothing_is_accepted(stored: Stored) -> None:
    stored.crash(A)
    stored.ignore("Log::.*")
    lock = InstanceLock(stored.state)
    lock.acquire()
    try:
        code, words = ask("--accept")
        assert (code, words.endswith("Stop it first: the server goes on, and nothing was changed\n")) == (1, True)
        assert ask()[0] == 0, "looking is free"
    finally:
        lock.release()
    assert stored.rows(t.crashes)[0]["exact"] == OVER_LOGS


def test_a_copy_of_a_file_database_is_made_first(stored: Stored) -> None:
    stored.crash(A)
    copies = list((stored.state / "copies").glob("*.sqlite"))
    assert ask("--accept")[0] == 0
    made = len(list((stored.state / "copies").glob("*.sqlite"))) - len(copies)
    assert made == (1 if stored.engine.dialect.name == "sqlite" else 0)


# --- at the bot's start ----------------------------------------------------------------------------------------------


def settle(stored: Stored) -> str | None:
    return regrouping.settle(stored.store, stored.state)


def age(stored: Stored) -> None:
    """All of it was made by a version of before."""
    with stored.engine.begin() as c:
        for table in (t.crashes, t.runs):
            c.execute(sa.update(table).where(table.c.exact.is_not(None)).values(version=VERSION - 1))
        for row in c.execute(sa.select(t.cards.c.id, t.cards.c.key)).all():
            key = row.key.replace(f"{VERSION}:", f"{VERSION - 1}:", 1)
            c.execute(sa.update(t.cards).where(t.cards.c.id == row.id).values(key=key))


def test_a_new_version_that_leaves_every_group_a_group_is_followed_at_the_start(stored: Stored) -> None:
    for functions in (A, B):
        stored.crash(functions)
    age(stored)
    assert settle(stored) is None
    assert {each["version"] for each in stored.rows(t.crashes)} == {VERSION}
    assert {key for _, key in stored.cards()} == {f"{VERSION}:{OVER_LOGS}", f"{VERSION}:{PLAIN}"}
    assert stored.store.get_fact(Fact.RULES) == {"version": VERSION, "lists": []}


def test_a_new_version_that_would_merge_waits_for_a_person(stored: Stored) -> None:
    stored.crash(B)
    crash = stored.crash(A)
    with stored.engine.begin() as c:  # as a version of before had spelled it
        other = sign("access violation | Unit::Vanish | main")
        values = {"family": other.family, "exact": other.exact}
        c.execute(sa.update(t.crashes).where(t.crashes.c.id == crash).values(**values))
    stored.crash(A)
    age(stored)
    words = settle(stored)
    assert words == (
        "this version groups crashes by new rules, which would merge or split 1 group: until that is accepted, "
        "crashes of before count as others; `spirit-healer signatures replay` shows what would change, `--accept` puts "
        "it in force"
    )
    assert {each["version"] for each in stored.rows(t.crashes)} == {VERSION - 1}
    stored.accept()
    assert settle(stored) is None


def test_lists_of_the_owner_are_in_force_once_they_are_accepted(stored: Stored) -> None:
    for functions in (A, B):
        stored.crash(functions)
    stored.ignore("Log::.*")
    assert settle(stored) == (
        "your lists of frames would merge or split 1 group and are not in force yet; `spirit-healer signatures replay` "
        "shows what would change, `--accept` puts it in force"
    )
    stored.crash(A)
    assert stored.rows(t.crashes)[-1]["exact"] == OVER_LOGS
    stored.accept()
    stored.crash(A)
    assert stored.rows(t.crashes)[-1]["exact"] == PLAIN
    assert settle(stored) is None


def test_lists_that_cannot_be_used_leave_those_in_force_that_were_accepted(stored: Stored) -> None:
    stored.ignore("Log::.*")
    assert settle(stored) is None, "there is nothing yet that they could merge"
    for rule in ("Log::(", "(?i)x", "(?P<x>a)\n(?P<x>b)"):
        stored.ignore(rule)
        words = settle(stored) or ""
        assert words.startswith("your lists of frames cannot be used, those accepted before stay in force: "), rule
    stored.crash(A)
    assert stored.rows(t.crashes)[-1]["exact"] == PLAIN


def test_without_a_database_there_is_nothing_to_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    words = f"Nothing to replay: there is no database yet in {tmp_path / 'state'}. `spirit-healer run` makes it.\n"
    assert ask() == ask("--accept") == (0, words)
    assert ask("--json") == (0, "null\n")
    assert not (tmp_path / "state").exists()
