"""Reading the end or the begin of a file in constant time and memory, whatever its size and content."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

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
    if path is None:
        return ""
    try:
        with open_regular(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            content = file.read(limit)
    except OSError:
        return ""
    if size > limit:
        content = content[content.find(b"\n") + 1 :]
    return decode_lines(content)


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
