"""The little of a Windows minidump that needs no debugger: exception, time, and the module and offset it happened in.

Layout: MINIDUMP_HEADER and the streams 4 (modules), 6 (exception), 10 (comment) of minidumpapiset.h; others are passed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pipeline.crash.classes import classify_windows
from pipeline.crash.lines import open_regular
from pipeline.crash.reading import Reading, Thread
from pipeline.crash.signatures import name_frame
from pipeline.model import ExceptionInfo, Frame, ReportKind

_HEADER = struct.Struct("<4sIIIIIQ")
_DIRECTORY = struct.Struct("<III")
_EXCEPTION = struct.Struct("<IIIIQQ")
_MODULE_SIZE = 108
_STREAMS, _MODULES = 1000, 4096
_MODULES_STREAM, _EXCEPTION_STREAM, _COMMENT_STREAM = 4, 6, 10


def read_minidump(path: Path) -> Reading:
    """Never raises on any content; what cannot be read stays unknown and is noted. Raises OSError."""
    with open_regular(path) as file:
        content = file.read(64 << 20)
    try:
        return _read(content)
    except (struct.error, ValueError, IndexError, UnicodeDecodeError) as fault:
        return Reading(ReportKind.MINIDUMP, notes=(f"the minidump is damaged: {fault}",))


def _read(content: bytes) -> Reading:
    _, _, count, directory, _, stamp, _ = _HEADER.unpack_from(content, 0)
    streams = dict(_streams(content, min(count, _STREAMS), directory))
    word, exception, address = None, None, 0
    if at := streams.get(_EXCEPTION_STREAM):
        _, _, code, _, _, address = _EXCEPTION.unpack_from(content, at[1])
        exception, word = classify_windows(code)
        exception = ExceptionInfo(exception.code, exception.name)
    frame = _locate(content, streams.get(_MODULES_STREAM), address)
    return Reading(
        ReportKind.MINIDUMP,
        word,
        exception,
        detail=name_frame(frame) if frame else None,
        crashed=Thread((frame,)) if frame else None,
        crashed_at=datetime.fromtimestamp(stamp, UTC) if stamp else None,
        notes=("only the header of the minidump was read: module and offset, no stack", *_comment(content, streams)),
    )


def _streams(content: bytes, count: int, directory: int) -> Iterator[tuple[int, tuple[int, int]]]:
    for index in range(count):
        kind, size, at = _DIRECTORY.unpack_from(content, directory + index * _DIRECTORY.size)
        yield kind, (size, at)


def _locate(content: bytes, stream: tuple[int, int] | None, address: int) -> Frame | None:
    if stream is None or not address:
        return None
    (count,) = struct.unpack_from("<I", content, stream[1])
    for index in range(min(count, _MODULES)):
        base, size, _, _, name = struct.unpack_from("<QIIII", content, stream[1] + 4 + index * _MODULE_SIZE)
        if base <= address < base + size:
            return Frame(module=_string(content, name), offset=f"{address - base:x}")
    return Frame(offset=f"{address:x}")


def _string(content: bytes, at: int) -> str:
    (length,) = struct.unpack_from("<I", content, at)
    return content[at + 4 : at + 4 + min(length, 2048)].decode("utf-16-le", errors="replace")


def _comment(content: bytes, streams: dict[int, tuple[int, int]]) -> tuple[str, ...]:
    if _COMMENT_STREAM not in streams:
        return ()
    size, at = streams[_COMMENT_STREAM]
    text = content[at : at + min(size, 4096)].split(b"\0")[0].decode("utf-8", errors="replace").strip()
    return (f"comment in the dump: {text[:500]}",) if text else ()
