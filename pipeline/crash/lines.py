"""Reading the end or the begin of a file in constant time and memory, whatever its size and content."""

from __future__ import annotations

import os
from pathlib import Path


def read_tail(path: Path | None, limit: int) -> str:
    """The last `limit` bytes as text, begun at a whole line; "" where the file is gone or cannot be read."""
    if path is None:
        return ""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            content = file.read(limit)
    except OSError:
        return ""
    if size > limit:
        content = content[content.find(b"\n") + 1 :]
    return decode(content)


def read_head(path: Path, limit: int) -> bytes:
    """The first `limit` bytes. Raises OSError."""
    with path.open("rb") as file:
        return file.read(limit)


def decode(content: bytes) -> str:
    """UTF-8 where it is that, else the code page that Windows reports most often come in."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")
