"""The log: UTF-8 files in the state folder and the console; every line is redacted, tracebacks included."""

from __future__ import annotations

import contextlib
import io
import logging
import logging.handlers
import sys
from collections.abc import Callable
from pathlib import Path

FORM = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
MOST_BYTES = 10 << 20
FILES = 5


class RedactedFormatter(logging.Formatter):
    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__(FORM)
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


def set_up(folder: Path, redact: Callable[[str], str], *, console: bool = True) -> None:
    """Sends the log of the process to `folder`/bot.log and, where wanted, to standard error."""
    folder.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [
        logging.handlers.RotatingFileHandler(
            folder / "bot.log", maxBytes=MOST_BYTES, backupCount=FILES, encoding="utf-8", errors="replace"
        )
    ]
    if console:
        handlers.append(logging.StreamHandler(sys.stderr))
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
