"""The log: UTF-8 files in the state folder and the console; every line is redacted, tracebacks included.

A disk that is full or read-only costs lines of the file, nothing else: the console has them, and the file is tried
again.
"""

from __future__ import annotations

import contextlib
import io
import logging
import logging.handlers
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

FORM = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
MOST_BYTES = 10 << 20
FILES = 5
BACK = "the log file can be written again"
AGAIN = 5.0  # seconds between two tries of a file that cannot be written


class RedactedFormatter(logging.Formatter):
    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__(FORM)
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


class LogFile(logging.handlers.RotatingFileHandler):
    """While it cannot be written its lines are counted, and the outage is said once."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.fault: str | None = None  # why it cannot be written now
        self._clock = clock
        self._again = 0.0  # by the clock
        self._lost = 0  # lines
        self._told = False  # this outage was said
        super().__init__(path, maxBytes=MOST_BYTES, backupCount=FILES, encoding="utf-8", errors="replace", delay=True)

    def _open(self) -> io.TextIOWrapper:
        folder = Path(self.baseFilename).parent
        for each in (folder.parent, folder):  # the log is what first writes in the state folder; `parents` has no mode
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
        return super()._open()

    def begin(self) -> None:
        """Opens the file now, so that whatever is wrong with it is known before the first line."""
        try:
            self.stream = self._open()
        except OSError as fault:
            self._note(fault)

    def emit(self, record: logging.LogRecord) -> None:
        if self.fault is not None:
            self._lost += 1
            if self._clock() < self._again:
                return
            record = _tell_loss(record, self._lost)
            self.fault = None
        super().emit(record)
        if self.fault is None:
            self._lost, self._told = 0, False

    def try_again(self) -> None:
        """A bot that has nothing to log would never find out that its file can be written again."""
        if self.fault is None or self._clock() < self._again:
            return
        lost = self._lost
        self.handle(logging.LogRecord(__name__, logging.INFO, __file__, 0, BACK, None, None))
        if self.fault is not None:
            self._lost = lost  # it was no line of anybody's

    def handleError(self, record: logging.LogRecord) -> None:
        fault = sys.exc_info()[1]
        if not isinstance(fault, OSError):
            super().handleError(record)  # a bug of ours: said with its traceback
            return
        self._lost = max(self._lost, 1)
        self._note(fault)

    def _note(self, fault: OSError) -> None:
        if not self._told:
            _say(f"the log file {self.baseFilename} cannot be written: {fault}")
        self._told = True
        self.fault, self._again = str(fault), self._clock() + AGAIN
        self._drop()

    def _drop(self) -> None:
        """The stream keeps what it could not write and would fail of it again; a new one begins behind it."""
        stream, self.stream = self.stream, None
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.close()


class LogConsole(logging.StreamHandler[TextIO]):
    """Standard error. It may be a file on the very disk that is full, or a pipe nobody reads any more."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def _tell_loss(record: logging.LogRecord, lost: int) -> logging.LogRecord:
    """The first line that may get through again says how many before it did not."""
    told = logging.makeLogRecord(record.__dict__)
    if lost > 1:
        told.msg, told.args = f"({lost - 1} lines before this one could not be written) {record.getMessage()}", None
    return told


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{text}\n")


def find_fault() -> str | None:
    """Why the log file of this process cannot be written now."""
    files = [each for each in logging.getLogger().handlers if isinstance(each, LogFile)]
    for file in files:
        file.try_again()
    return next((each.fault for each in files if each.fault is not None), None)


def set_up(folder: Path, redact: Callable[[str], str], *, console: bool = True) -> None:
    """Sends the log of the process to `folder`/bot.log and, where wanted, to standard error. Never raises OSError."""
    file = LogFile(folder / "bot.log")
    file.begin()
    handlers: list[logging.Handler] = [file]
    if console:
        handlers.append(LogConsole(sys.stderr))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    for handler in handlers:
        handler.setFormatter(RedactedFormatter(redact))
        root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("discord.client").addFilter(is_no_voice)
    for chatty in ("discord.gateway", "discord.client", "discord.http", "alembic", "aiohttp.access", "watchfiles"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def is_no_voice(record: logging.LogRecord) -> bool:
    """Whether a line is of any use here: at each start discord.py names the libraries that voice would need."""
    return "voice will NOT be supported" not in record.getMessage()


def forgive_code_pages() -> None:
    """No output ever fails on a console's code page: what it cannot show is replaced."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(ValueError, OSError):
                stream.reconfigure(errors="replace")
