"""`spirit-healer status` on a terminal: with and without a database, with and without a bot."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from edge_fakes import NAME, NOW, make_status
from world import GOOD, World

from bot import report
from bot.__main__ import main
from bot.lock import InstanceLock
from bot.settings import NAMES
from pipeline.keeper.protocol import Hold, ServerState
from pipeline.model import Awaits, Question, RunState
from pipeline.needs import Seen, list_machine_needs, list_server_needs
from pipeline.status_models import Left, Need, OrderLine, PauseView, RunLine, Stale, Topic


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "state"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIR", str(found))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return found


def ask(*words: str) -> tuple[int, str]:
    answer = CliRunner().invoke(main, words or ["status"])
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exc_info
    return answer.exit_code, answer.output


def say_nothing(state: Path) -> str:
    return f"Nothing to tell: there is no database yet in {state}. `spirit-healer run` makes it.\n"


@pytest.mark.parametrize("command", ["status", "summary"])
def test_without_a_database_and_without_settings_it_says_how_to_ask_of_another_realm(
    state: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.delenv("STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    monkeypatch.setenv("LOCALAPPDATA", str(state))
    assert ask(command) == (
        0,
        f"Nothing to tell: there is no database yet in {state / 'spirit-healer'}. `spirit-healer run` makes it; to ask "
        "of a realm that has one, go to the folder of its `.env` first, or set STATE_DIR.\n",
    )
    Path(".env").write_text("REALM_NAME=Nightfall\n", encoding="utf-8")
    assert ask(command) == (0, say_nothing(state / "spirit-healer"))


def test_without_a_database_it_says_so_and_makes_nothing(state: Path) -> None:
    assert ask() == (0, say_nothing(state))
    assert not state.exists()


def test_a_database_that_cannot_be_read_is_one_line_with_a_cure(state: Path) -> None:
    state.mkdir()
    (state / "spirit-healer.sqlite").write_bytes(b"this is no database" * 100)
    code, words = ask()
    assert code == 1
    assert words.count("\n") == 1
    assert "spirit-healer.sqlite: the database cannot be read: file is not a database" in words


def test_one_of_before_the_first_migration_names_the_command(state: Path) -> None:
    state.mkdir()
    (state / "spirit-healer.sqlite").touch()
    code, words = ask()
    assert code == 1
    assert "`spirit-healer migrate` brings it up to date" in words


def test_it_says_that_no_bot_runs_and_no_more_when_one_does(state: Path) -> None:
    state.mkdir()
    World(state).engine.dispose()
    (state / "world.sqlite").rename(state / "spirit-healer.sqlite")
    nobody = "Neither bot nor keeper runs: nothing restarts the server; `spirit-healer run` starts both"
    assert nobody in ask()[1].splitlines()
    lock = InstanceLock(state)
    lock.acquire()
    try:
        assert nobody not in ask()[1]
    finally:
        lock.release()


@pytest.mark.parametrize("command", ["status", "summary", "migrate"])
@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("DATABASE_URL", "foo", "DATABASE_URL: is no database that is known: begin it with postgresql+psycopg://, or"),
        ("DATABASE_URL", "mysql://a:secret@localhost/x", "DATABASE_URL: is no database that is known: begin it with "),
        ("DATABASE_URL", "postgresql+psycopg://a:secret@127.0.0.1:1/x", "DATABASE_URL: the database cannot be read: "),
        ("TIMEZONE", "Mars", "TIMEZONE: is not a time zone: write it as Europe/Berlin"),
    ],
)
def test_a_database_that_cannot_be_had_is_one_line_and_no_traceback(
    state: Path, monkeypatch: pytest.MonkeyPatch, command: str, name: str, value: str, line: str
) -> None:
    monkeypatch.setenv(name, value)
    code, words = ask(command)
    assert (code, words.count("\n")) == (1, 1)
    assert words.startswith(line)
    assert "secret" not in words


def test_migrating_what_is_no_database_is_one_line(state: Path) -> None:
    state.mkdir()
    (state / "spirit-healer.sqlite").write_bytes(b"this is no database" * 100)
    code, words = ask("migrate")
    assert (code, words.count("\n")) == (1, 1)
    assert "spirit-healer.sqlite: the database cannot be read: file is not a database" in words


def test_a_state_folder_that_is_a_file_is_one_line(state: Path) -> None:
    state.write_text("x")
    assert ask("status") == (0, say_nothing(state))
    words = f"STATE_DIR: {state} cannot be made (File exists): give it a folder that this user may write\n"
    assert ask("migrate") == (1, words)


@pytest.mark.parametrize("night", ["0001-01-01", "9999-12-31"])
def test_a_night_that_no_clock_can_tell_is_refused_in_words(state: Path, night: str) -> None:
    words = f"--night: nobody played in {night}: give the date of an evening, such as 2026-11-22\n"
    assert ask("summary", "--night", night) == (1, words)


@pytest.mark.parametrize("command", ["status", "summary", "migrate"])
def test_a_settings_file_of_another_code_page_is_one_line_for_every_command(state: Path, command: str) -> None:
    Path(".env").write_bytes("REALM_NAME=Mühle\n".encode("cp1252"))
    assert ask(command) == (1, ".env: is not written in UTF-8 (byte 12): save it as UTF-8\n")


def test_inspecting_names_a_crash_that_is_known_and_a_file_of_ones_own_that_cannot_be_used(state: Path) -> None:
    Path("stderr.txt").write_text("\n/src/Object.h:399 in WorldObject::GetMap ASSERTION FAILED:\n  m_currMap\n")
    own = state / "knowledge"
    own.mkdir(parents=True)
    (own / "a.toml").write_text(
        "[[crash]]\nname = 'ours'\nsays = 'm_currMap'\ncause = 'The ferry.'\ncure = 'Wait for it.'\n"
    )
    (own / "b.toml").write_text("[[crash]]\n")
    assert ask("inspect", "stderr.txt") == (
        0,
        "stderr.txt: assertion, assertion\n  signature: assertion | WorldObject::GetMap | m_currMap\n"
        "  assertion: m_currMap\n  known: ours: The ferry. Cure: Wait for it.\n"
        f"  > WorldObject::GetMap  /src/Object.h:399\n{own / 'b.toml'}: entry 1 has no `name`\n",
    )


@pytest.mark.parametrize("command", ["run", "doctor", "keeper"])
def test_a_command_in_a_folder_without_settings_says_where_to_go(
    state: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    hint = (
        f"There is no .env in {Path.cwd()}: go to the folder that has one, or make it there from .env.example. "
        "A demo needs none, and prints the line by which the doctor looks at its realm."
    )
    code, words = ask(command)
    assert (code, words.splitlines()[-1]) == (2, hint)
    Path(".env").write_text("REALM_NAME=Nightfall\n", encoding="utf-8")
    code, words = ask(command)
    assert code == 2 and hint not in words


def test_migrating_in_a_folder_without_settings_makes_no_database(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    monkeypatch.setenv("LOCALAPPDATA", str(state))
    code, words = ask("migrate")
    assert code == 1 and words.startswith(f"There is no .env in {Path.cwd()}: go to the folder that has one, or ")
    assert not state.exists()
    Path(".env").write_text("REALM_NAME=Nightfall\n", encoding="utf-8")
    assert ask("migrate") == (0, f"{state / 'spirit-healer' / 'spirit-healer.sqlite'} is at its newest form.\n")
    Path(".env").unlink()
    assert ask("migrate")[0] == 0, "one that is there is brought to its newest form"


if sys.platform != "win32":

    def test_inspecting_a_pipe_or_a_device_is_refused_and_hangs_nobody(state: Path) -> None:
        os.mkfifo("pipe.txt")
        assert ask("inspect", "pipe.txt") == (2, "cannot be read: pipe.txt is no regular file\n")
        assert ask("inspect", "/dev/zero") == (2, "cannot be read: /dev/zero is no regular file\n")

    @pytest.mark.parametrize("command", ["status", "migrate", "run", "doctor"])
    def test_a_settings_file_that_is_a_pipe_hangs_nobody(state: Path, command: str) -> None:
        os.mkfifo(".env")
        code, words = ask(command)
        assert code in (1, 2)
        assert words == ".env: is no regular file: put one there, or remove it\n"


@pytest.mark.parametrize("command", ["status", "migrate"])
def test_a_driver_that_is_not_installed_is_one_line_with_the_command_that_installs_it(
    state: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://a:secret@localhost/x")
    monkeypatch.setitem(sys.modules, "psycopg", None)  # as an interpreter without it sees it
    cure = "Cure: pip install 'spirit-healer[postgres]', and start the bot again"
    words = f"the database does not work: DATABASE_URL needs psycopg, which is not installed. {cure}\n"
    assert ask(command) == (1, words)


@pytest.mark.parametrize("command", ["", "claude -p {request}"])
def test_the_command_line_knows_as_the_bot_does_whether_a_command_takes_requests(
    state: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("ANALYST_COMMAND", command)
    assert report.links_of(report.locate()).has_command is bool(command)


# --- the summary -----------------------------------------------------------------------------------------------------


def test_without_a_database_the_summary_says_so_and_draws_an_empty_night(state: Path) -> None:
    code, words = ask("summary", "--night", "2026-11-22", "--chart", "night.png")
    assert (code, words) == (0, say_nothing(state))
    assert Path("night.png").read_bytes().startswith(b"\x89PNG")
    assert not state.exists()


@pytest.fixture
def healed(state: Path) -> str:
    """A night with a fix that went live; its commit."""
    state.mkdir()
    world = World(state)
    commit = asyncio.run(heal(world))
    world.engine.dispose()
    (state / "world.sqlite").rename(state / "spirit-healer.sqlite")
    return commit


async def heal(world: World) -> str:
    await world.start()
    await world.answer(await world.crash("Map::Update"), GOOD)
    await world.pass_time(minutes=3)
    return world.runs()[0].commit or ""


def test_the_summary_prints_what_the_channel_reads(healed: str) -> None:
    code, words = ask("summary", "--night", "2026-11-22")
    assert code == 0
    assert words.splitlines()[0].startswith("Night of 22 Nov: ")
    assert f"- Map::Update {healed[:7]} · live since " in words
    assert "git merge origin/overnight-20261122" in words.splitlines()
    code, words = ask("summary", "--night", "2026-11-22", "--json")
    assert json.loads(words)["fixed"][0]["commit"] == healed and words.count("\n") == 1


def test_the_hours_of_the_summary_are_those_of_the_zone_that_is_set(
    healed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(zone: str) -> int:
        monkeypatch.setenv("TIMEZONE", zone)
        found = re.search(r"live since (?:\S+ )?(\d\d):", ask("summary", "--night", "2026-11-22")[1])
        return int(found[1]) if found else -1

    assert (tell("Asia/Tokyo") - tell("UTC")) % 24 == 9


def test_a_chart_that_cannot_be_written_is_one_line(state: Path) -> None:
    code, words = ask("summary", "--chart", "no/such/folder/night.png")
    assert (code, words.count("\n")) == (1, 1)
    assert "--chart" in words and "cannot be written" in words


def test_a_night_that_is_no_date_is_a_usage_error(state: Path) -> None:
    assert ask("summary", "--night", "yesterday")[0] == 2


NEEDED = """\
Testrealm: server held
Its keeper is process 4710
No bot runs: crashes are restarted, nothing is healed; `spirit-healer run` starts it
5 things need you:
  the server is held: it died too often (5 deaths in 3 min) · /start-server starts it
  the pipeline is paused by Ann · raid · /resume lets it go on
  EventDispatcher::UnsubscribeAll waits for an approval of its patch · run 9f3c21aa · it waits · \
/approve 9f3c21aa or /reject 9f3c21aa <reason>
  Loot::Roll given up: needs a person · run 66bb66bb · no try left · /retry 66bb66bb tries it again
  overnight-20241122 does not reach the remote · no route · it goes there by itself once the remote takes it
Tonight: 2 crashes and 1 restart
Branch overnight-20241122 at a1b2c3d4e5f6
Run 77aa77aa: Map::Update: building"""


UNNEEDED = """\
Testrealm: server held
Its keeper is process 4710
No bot runs: crashes are restarted, nothing is healed; `spirit-healer run` starts it
Held: it died too often (5 deaths in 3 min)
Down: it crashed: `Map::Update`
The pipeline is paused by Ann: raid
Not all of it is on the remote yet: the push is tried again
Tonight: 2 crashes and 1 restart
Branch overnight-20241122 at a1b2c3d4e5f6
Run 9f3c21aa: EventDispatcher::UnsubscribeAll: waits for an approval of its patch (it waits)
Run 77aa77aa: Map::Update: building
Run 66bb66bb: Loot::Roll: given up: needs a person (no try left)"""


def test_the_command_line_says_what_is_needed_and_nothing_of_it_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    view = make_status(
        server=ServerState.HELD, hold=Hold.BREAKER, hold_detail="5 deaths in 3 min", pid=None, restarts_tonight=1,
        trouble="it crashed: `Map::Update`", paused=PauseView("Ann", "raid", NOW), push_owed=True,
        runs=(
            RunLine("9f3c21aa", NAME, RunState.AWAITING_APPROVAL, "it waits", Question.PATCH, None),
            RunLine("77aa77aa", "Map::Update", RunState.BUILDING, None, None, None),
        ),
        failed=(RunLine("66bb66bb", "Loot::Roll", RunState.FAILED, "no try left", None, None),),
        needs=(
            Need(Topic.SERVER, "breaker", "5 deaths in 3 min"),
            Need(Topic.PAUSE, "Ann", "raid"),
            Need(Topic.APPROVAL, NAME, "it waits", "9f3c21aa", None, "AWAITING_APPROVAL", "patch"),
            Need(Topic.LOOK, "Loot::Roll", "no try left", "66bb66bb", None, "FAILED"),
            Need(Topic.PUSH, "overnight-20241122", "no route"),
        ),
    )  # fmt: skip
    assert report.as_text(view) == NEEDED
    assert report.as_text(replace(view, needs=())) == UNNEEDED
    full = report.as_text(replace(view, needs=tuple(list_machine_needs((), 3 << 20)))).splitlines()
    assert full[full.index("1 thing needs you:") + 1] == (
        "  only 3.0 MiB are free on the disk of STATE_DIR, where all is noted: make room there"
    )


def test_the_command_line_names_the_folder_where_a_request_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    asked = RunLine("9f3c21aa", NAME, RunState.ANALYZING, None, None, None, in_queue=True)
    words = "1 request waits for an answer, in requests of {}; docs/analysts.md says how to answer"
    view = make_status(runs=(asked,))
    assert report.as_text(view).splitlines()[-1] == words.format(tmp_path / "queue")
    monkeypatch.setenv("ANALYST_QUEUE_DIR", str(tmp_path / "mine"))
    assert report.as_text(view).splitlines()[-1] == words.format(tmp_path / "mine")


def test_the_command_line_names_the_processes_that_a_person_may_want_to_end() -> None:
    first, second, *_ = report.as_text(make_status()).splitlines()
    assert first.endswith("(process 4711, 7d14957a32df0000)")
    assert second == "Its keeper is process 4710"
    assert "keeper is" not in report.as_text(make_status(keeper_pid=None))


def test_the_command_line_tells_hours_in_the_zone_that_is_set(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMEZONE", "Asia/Tokyo")
    there = "2024-11-23 08:00:00"
    needs = (Need(Topic.SERVER, "not ready", since=NOW.timestamp()),)
    waiting = RunLine(
        "77aa77aa", "Map::Update", RunState.AWAITING_DEPLOYMENT, None, None, None, not_before=NOW, awaits=Awaits.RETRY
    )
    orders = (OrderLine("restart", "Ann", "raid", NOW),)
    lines = report.as_text(make_status(next_start=NOW, orders=orders, needs=needs, runs=(waiting,))).splitlines()
    assert [line.partition(there)[0] for line in lines if there in line] == [
        "  the server does not get ready, started ",
        "Next start at ",
        "Ordered by Ann: restart at ",
        "Run 77aa77aa: Map::Update: built, tried again ",
    ]
    stale, left = Stale(NOW.timestamp(), 4710, None, None), Left(True, NOW.timestamp(), None)
    for seen in ({"server": None, "stale": stale}, {"server": None, "left": left}, {"down_since": NOW}):
        assert report.as_text(make_status(pid=None, **seen)).splitlines()[0].endswith(there)


def test_every_moment_of_the_status_is_written_as_iso_8601(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = make_status(next_start=NOW, paused=PauseView("Ann", "raid", NOW), down_since=NOW)
    monkeypatch.setattr(report, "read_status", lambda: view)
    told = json.loads(ask("status", "--json")[1])
    moments = {told["started"], told["ready_at"], told["next_start"], told["down_since"], told["paused"]["at"]}
    assert moments == {"2024-11-22T23:00:00+00:00"}


def test_the_command_line_says_what_is_there_while_its_keeper_cannot_report() -> None:
    def say(server: int | None) -> list[str]:
        stale = Stale(NOW.timestamp(), keeper=4710, gone=4711, server=server)
        needs = tuple(list_server_needs(Seen(stale=stale)))
        view = make_status(server=None, pid=None, keeper_pid=4710, stale=stale, needs=needs)
        return [each for each in report.as_text(view).splitlines() if "server " in each]

    then = f"the keeper's last report is of {NOW.astimezone():%Y-%m-%d %H:%M:%S}, and process 4711 of then is gone"
    assert say(4720) == [f"Testrealm: server runs (process 4720), ready or not; {then}"]
    assert say(None) == [
        f"Testrealm: server is not seen to run; {then}",
        "  no server is seen to run; its keeper (process 4710) lives and has reported nothing, since "
        f"{NOW.astimezone():%Y-%m-%d %H:%M:%S} · see that it can write to the state folder",
    ]


def test_the_command_line_says_what_is_there_while_no_keeper_lives() -> None:
    def say(left: Left | None) -> str:
        view = make_status(
            server=None, pid=None, keeper_pid=None, left=left, needs=tuple(list_server_needs(Seen(left=left)))
        )
        first, bot, *others = report.as_text(view).splitlines()
        assert bot == "Neither bot nor keeper runs: nothing restarts the server; `spirit-healer run` starts both"
        return "\n".join((first, *(each for each in others if each.startswith(("1 thing", "  ")))))

    at = NOW.timestamp()
    local = f"{NOW.astimezone():%Y-%m-%d %H:%M:%S}"
    assert [say(left) for left in (Left(True, at, None), Left(False, at, 4711), Left(False, at, None), None)] == [
        f"Testrealm: server stopped in order, and its keeper with it, at {local}",
        "Testrealm: server runs by itself (process 4711)\n1 thing needs you:\n"
        "  the server runs by itself (process 4711): no keeper looks after it",
        "Testrealm: server does not run, and its keeper is gone\n1 thing needs you:\n"
        "  the server does not run, and no keeper looks after it",
        "Testrealm: server unknown: the keeper does not answer\n1 thing needs you:\n"
        "  the keeper does not answer: whether the server runs is not known",
    ]


def test_what_is_no_crash_report_is_told_so(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("dear operator\n", encoding="utf-8")
    told = CliRunner().invoke(main, ["inspect", str(letter)]).output
    assert told.splitlines()[0] == f"{letter}: is no crash report of a kind that is known"
