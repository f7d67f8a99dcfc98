"""Reading the end or the begin of a file in constant time and memory, whatever its size and content."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pipeline.redact import strike_part

_PLAIN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path) -> BinaryIO:
    """Opens what is a regular file, and waits for nothing: a pipe would keep its reader for ever. Raises OSError."""
    file = os.fdopen(os.open(path, _PLAIN), "rb")
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise OSError(f"{path} is no regular file")


def read_tail(path: Path | None, limit: int) -> str:
    """The last `limit` bytes as text, begun at a whole line; "" where the file is gone or cannot be read."""
    content, whole = _read_end(path, limit)
    return decode_lines(content if whole else content[content.find(b"\n") + 1 :])


def read_struck_lines(path: Path, limit: int, redact: Callable[[str], str], longest: int) -> list[str]:
    """The lines of the last `limit` bytes as they may be shown: struck out, and only then cut to `longest` characters.
    [] where the file is gone or cannot be read."""
    content, whole = _read_end(path, limit)
    text = strike_part(decode_lines(content), redact, begins=whole)
    return [line.rstrip()[:longest] for line in text.splitlines()]


def _read_end(path: Path | None, limit: int) -> tuple[bytes, bool]:
    """The last `limit` bytes, and whether that is all there is; nothing where it cannot be read."""
    if path is None:
        return b"", True
    try:
        with open_regular(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            return file.read(limit), size <= limit
    except OSError:
        return b"", True


def read_head(path: Path, limit: int) -> bytes:
    """The first `limit` bytes. Raises OSError."""
    with open_regular(path) as file:
        return file.read(limit)


def decode_lines(content: bytes) -> str:
    """Each line by itself: what a player wrote into one does not spoil the others."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(map(decode, content.splitlines(keepends=True)))


def decode(content: bytes) -> str:
    """UTF-8 where it is that, else the code page that Windows reports most often come in."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")
