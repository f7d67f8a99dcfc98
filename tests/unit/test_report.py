"""`spirit-healer status` on a terminal: with and without a database, with and without a bot."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from world import World

from bot.__main__ import main
from bot.lock import InstanceLock


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "state"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIR", str(found))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return found


def ask() -> tuple[int, str]:
    answer = CliRunner().invoke(main, ["status"])
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exc_info
    return answer.exit_code, answer.output


def test_without_a_database_it_says_so_and_makes_nothing(state: Path) -> None:
    assert ask() == (0, "Nothing to tell: there is no database yet. `spirit-healer run` makes it.\n")
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
    assert "No bot runs" in ask()[1]
    lock = InstanceLock(state)
    lock.acquire()
    try:
        assert "No bot runs" not in ask()[1]
    finally:
        lock.release()
