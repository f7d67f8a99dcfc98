"""The log keeps no secret, tracebacks included, and no console's code page ends it."""

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot import log
from pipeline.redact import Redactor

SECONDS = 30
SECRET = "hunter2-and-more"
hide = Redactor([SECRET])


@pytest.fixture(autouse=True)
def root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for each in list(root.handlers):
        if each not in handlers:
            root.removeHandler(each)
            each.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def read_log(folder: Path) -> str:
    return (folder / "bot.log").read_text(encoding="utf-8")


def test_a_secret_in_a_message_or_its_arguments_is_not_written(tmp_path: Path) -> None:
    log.set_up(tmp_path, hide, console=False)
    logging.getLogger("bot").warning("the token %s, and %s", SECRET, {"password": SECRET})
    assert SECRET not in read_log(tmp_path)
    assert "the token ***" in read_log(tmp_path)


def test_a_secret_in_a_traceback_is_not_written(tmp_path: Path) -> None:
    log.set_up(tmp_path, hide, console=False)
    try:
        raise ConnectionError(f"cannot log in with {SECRET}")
    except ConnectionError:
        logging.getLogger("bot").exception("no login", stack_info=True)
    written = read_log(tmp_path)
    assert "ConnectionError: cannot log in with ***" in written and "Traceback" in written
    assert SECRET not in written


def test_a_secret_does_not_reach_the_console_either(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up(tmp_path, hide)
    logging.getLogger("bot").error("the token %s", SECRET)
    assert "the token ***" in capsys.readouterr().err


def test_the_log_is_utf_8_and_writes_what_has_no_form_in_it(tmp_path: Path) -> None:
    log.set_up(tmp_path, hide, console=False)
    logging.getLogger("bot").info("Ünïcödé → %s", "\udcff")
    assert "Ünïcödé → ?" in read_log(tmp_path)


if sys.platform != "win32":  # modes are POSIX's

    def test_the_state_folder_that_the_log_makes_is_for_nobody_else(tmp_path: Path) -> None:
        log.set_up(tmp_path / "state" / "logs", hide, console=False)
        made = (tmp_path / "state", tmp_path / "state" / "logs")
        assert [each.stat().st_mode & 0o777 for each in made] == [0o700, 0o700]


def test_a_second_set_up_does_not_double_the_lines(tmp_path: Path) -> None:
    log.set_up(tmp_path / "first", hide, console=False)
    log.set_up(tmp_path, hide, console=False)
    logging.getLogger("bot").info("once")
    assert read_log(tmp_path).count("once") == 1
    assert "once" not in read_log(tmp_path / "first")


def test_what_others_say_in_detail_is_left_out(tmp_path: Path) -> None:
    log.set_up(tmp_path, hide, console=False)
    logging.getLogger("discord.gateway").info("heartbeat")
    logging.getLogger("bot").info("work")
    assert "heartbeat" not in read_log(tmp_path) and "work" in read_log(tmp_path)


SPEAK = """
import logging, sys
from pathlib import Path
from bot import log

log.forgive_code_pages()
log.set_up(Path(sys.argv[1]), str)
logging.getLogger("bot").error("healed \\N{ADHESIVE BANDAGE} \\u2192 done")
print("healed \\N{ADHESIVE BANDAGE} \\u2192 done")
"""


@pytest.mark.parametrize("code_page", ["cp1252", "cp850", "ascii"])
def test_a_console_of_an_old_code_page_never_ends_the_bot(tmp_path: Path, code_page: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPEAK, str(tmp_path)],
        env={**os.environ, "PYTHONIOENCODING": code_page, "PYTHONUTF8": "0"},
        capture_output=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode(code_page).strip() == "healed ? ? done"
    assert b"Logging error" not in done.stderr
    assert "\N{ADHESIVE BANDAGE} → done" in read_log(tmp_path)


def test_streams_that_are_no_console_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    log.forgive_code_pages()
    print("→")
    assert stream.getvalue() == "→\n"


def test_that_there_is_no_voice_is_not_said_at_each_start(tmp_path: Path) -> None:
    log.set_up(tmp_path, hide, console=False)
    logging.getLogger("discord.client").warning("%s is not installed, voice will NOT be supported", "PyNaCl")
    logging.getLogger("discord.client").warning("something else")
    assert "voice" not in read_log(tmp_path)
    assert "something else" in read_log(tmp_path)


class FileOfADisk(log.LogFile):
    """A log whose time is ours."""

    def __init__(self, path: Path) -> None:
        self.now = 0.0
        super().__init__(path, clock=lambda: self.now)
        self.begin()


def speak(file: log.LogFile, *lines: str) -> None:
    for line in lines:
        file.handle(logging.makeLogRecord({"msg": line, "levelname": "INFO", "name": "bot"}))


def test_a_disk_that_is_full_at_the_start_is_said_once_and_the_file_is_begun_when_it_has_room(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("no folder can be made here")
    file = FileOfADisk(tmp_path / "logs" / "bot.log")
    assert file.fault is not None
    speak(file, "one", "two")
    (tmp_path / "logs").unlink()
    speak(file, "three")
    assert not (tmp_path / "logs").exists(), "it is not tried with each line"
    file.now += log.AGAIN
    speak(file, "four", "five")
    assert file.fault is None
    assert read_log(tmp_path / "logs") == "(3 lines before this one could not be written) four\nfive\n"
    said = capsys.readouterr().err
    assert said.count("cannot be written") == 1
    assert "Traceback" not in said
    file.close()


if sys.platform != "win32":

    def test_a_disk_that_is_full_for_a_while_costs_lines_and_no_traceback(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "bot.log"
        path.symlink_to("/dev/full")
        file = FileOfADisk(path)
        speak(file, "one", "two")
        assert file.fault is not None
        file.now += log.AGAIN
        speak(file, "three")
        path.unlink()
        file.now += log.AGAIN
        speak(file, "four")
        assert path.read_text() == "(3 lines before this one could not be written) four\n"
        said = capsys.readouterr().err
        assert said.count("cannot be written") == 1
        assert "Traceback" not in said
        speak(file, "five")
        assert path.read_text().endswith("\nfive\n"), "nothing is said to be lost twice"
        file.close()

    def test_a_bot_that_has_nothing_to_log_finds_out_that_there_is_room_again(tmp_path: Path) -> None:
        path = tmp_path / "bot.log"
        path.symlink_to("/dev/full")
        file = FileOfADisk(path)
        speak(file, "one")
        file.try_again()
        file.now += log.AGAIN
        file.try_again()
        assert file.fault is not None, "there is no room yet"
        path.unlink()
        file.now += log.AGAIN
        file.try_again()
        assert file.fault is None
        assert path.read_text() == f"(1 lines before this one could not be written) {log.BACK}\n"
        file.try_again()
        assert path.read_text().count("\n") == 1
        file.close()


class FullConsole(io.StringIO):
    """Keeps what it could not write, as a file on a full disk does until there is room."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_console_that_is_a_file_on_the_full_disk_gets_no_traceback_per_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = FullConsole()
    monkeypatch.setattr(sys, "stderr", console)
    log.set_up(tmp_path, hide)
    logging.getLogger("bot").info("one")
    assert "one" in console.getvalue()
    assert "Traceback" not in console.getvalue()


def test_a_bug_in_a_line_is_still_said_with_its_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up(tmp_path, hide, console=False)
    logging.getLogger("bot").info("%d lines", "many")
    assert "TypeError" in capsys.readouterr().err
    assert log.find_fault() is None
