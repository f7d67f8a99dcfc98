"""Structures of a file by their place, never more of it in memory than is asked for."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO


class Layout:
    """A binary file that is open for reading. Whatever is not there raises struct.error."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def bytes_at(self, at: int, size: int) -> bytes:
        """At most `size` of them: fewer at the end of the file."""
        if at < 0 or at >= 1 << 62:
            raise struct.error(f"nothing can lie at {at:#x}")
        self._file.seek(at)
        return self._file.read(max(0, size))

    def unpack(self, form: str, at: int) -> tuple[Any, ...]:
        return struct.unpack(form, self.bytes_at(at, struct.calcsize(form)))
