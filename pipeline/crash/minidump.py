"""The little of a Windows minidump that needs no debugger: exception, modules, comments, time.

Layout: MINIDUMP_HEADER and the streams 4 (modules), 6 (exception), 10 and 11 (comments) of
minidumpapiset.h; others are passed, also those that nobody has described yet. The stack takes a debugger and the very
executable that crashed (`adapters/lldb.py`): one that was built anew gives a wrong stack without a word, so that it is
known by its TimeDateStamp and SizeOfImage.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pipeline.crash.binary import Layout
from pipeline.crash.classes import TRINITY_CODE, classify_windows
from pipeline.crash.lines import open_regular
from pipeline.crash.reading import Reading, Thread
from pipeline.crash.rules import module_name
from pipeline.crash.signatures import name_frame
from pipeline.crash.stderr_text import read_text
from pipeline.model import Frame, ReportKind

_HEADER, _DIRECTORY, _EXCEPTION, _MODULE = "<4sIIIIIQ", "<III", "<IIIIQQ", "<QIIII"
_MODULE_SIZE = 108
_STREAMS, _MODULES = 1000, 4096  # that are read at most
_MODULES_STREAM, _EXCEPTION_STREAM = 4, 6
_COMMENTS = {10: "utf-8", 11: "utf-16-le"}
_COMMENT_SIZE, _COMMENT_SHOWN = 4096, 500
_NAME_SIZE = 2048
_PE = b"PE\0\0"
DAMAGED = (struct.error, ValueError, OverflowError)  # what a damaged one raises


@dataclass(frozen=True)
class Identity:
    """What a linker stamps into an executable: equal = the same build."""

    stamp: int  # TimeDateStamp
    size: int  # SizeOfImage

    def __str__(self) -> str:
        return f"{self.stamp:08x}, {self.size:x} bytes"


@dataclass(frozen=True)
class Module:
    name: str  # path, as the crashed machine has it
    base: int
    identity: Identity

    def holds(self, address: int) -> bool:
        return self.base <= address < self.base + self.identity.size


@dataclass(frozen=True)
class Minidump:
    moment: datetime | None
    code: int | None  # of the exception
    address: int  # where it happened, 0 = not known
    thread: int | None  # that died
    modules: tuple[Module, ...]
    comments: tuple[str, ...]

    def find_module(self, address: int) -> Module | None:
        return next((module for module in self.modules if module.holds(address)), None)

    def find_program(self) -> Module | None:
        """The executable: the first module, as the loader has it."""
        return next(iter(self.modules), None)


def read_minidump(path: Path) -> Reading:
    """Never raises on any content; what cannot be read stays unknown and is noted. Raises OSError."""
    try:
        return describe_minidump(parse_minidump(path))
    except DAMAGED as fault:
        return describe_damage(fault)


def parse_minidump(path: Path) -> Minidump:
    """Raises OSError, and one of DAMAGED."""
    with open_regular(path) as file:
        content = Layout(file)
        _, _, count, directory, _, stamp, _ = content.unpack(_HEADER, 0)
        streams = dict(_list_streams(content, min(count, _STREAMS), directory))
        code, address, thread = _read_exception(content, streams.get(_EXCEPTION_STREAM))
        return Minidump(
            datetime.fromtimestamp(stamp, UTC) if stamp else None,
            code,
            address,
            thread,
            tuple(_list_modules(content, streams.get(_MODULES_STREAM))),
            tuple(text for kind in _COMMENTS if (text := _read_comment(content, kind, streams.get(kind)))),
        )


_Stream = tuple[int, int] | None  # size, place


def _list_streams(content: Layout, count: int, directory: int) -> Iterator[tuple[int, tuple[int, int]]]:
    for index in range(count):
        kind, size, at = content.unpack(_DIRECTORY, directory + index * struct.calcsize(_DIRECTORY))
        yield kind, (size, at)


def _read_exception(content: Layout, stream: _Stream) -> tuple[int | None, int, int | None]:
    if stream is None:
        return None, 0, None
    thread, _, code, _, _, address = content.unpack(_EXCEPTION, stream[1])
    return code, address, thread


def _list_modules(content: Layout, stream: _Stream) -> Iterator[Module]:
    if stream is not None:
        (count,) = content.unpack("<I", stream[1])
        for index in range(min(count, _MODULES)):
            base, size, _, stamp, name = content.unpack(_MODULE, stream[1] + 4 + index * _MODULE_SIZE)
            yield Module(_read_string(content, name), base, Identity(stamp, size))


def _read_string(content: Layout, at: int) -> str:
    (length,) = content.unpack("<I", at)
    return content.bytes_at(at + 4, min(length, _NAME_SIZE)).decode("utf-16-le", errors="replace")


def _read_comment(content: Layout, kind: int, stream: _Stream) -> str:
    if stream is None:
        return ""
    text = content.bytes_at(stream[1], min(stream[0], _COMMENT_SIZE)).decode(_COMMENTS[kind], errors="replace")
    return text.partition("\0")[0].strip()[:_COMMENT_SHOWN]


def describe_minidump(dump: Minidump) -> Reading:
    """What it says by itself."""
    exception, word = classify_windows(dump.code) if dump.code is not None else (None, None)
    frame = locate(dump, dump.address) if dump.address else None
    bare = Reading(
        ReportKind.MINIDUMP,
        word,
        exception,
        detail=name_frame(frame) if frame else None,
        crashed=Thread((frame,), str(dump.thread or "")) if frame else None,
        crashed_at=dump.moment,
        notes=tuple(f"comment in the dump: {each}" for each in dump.comments),
    )
    return _with_message(bare, dump) if dump.code == TRINITY_CODE else bare


def _with_message(reading: Reading, dump: Minidump) -> Reading:
    """TrinityCore's filter puts the text of an assertion, an abort or a freeze into the comment; the address is always
    that of the same call."""
    said = next((each for each in map(read_text, dump.comments) if each is not None), None)
    if said is None:
        return reading
    return replace(
        reading, word=said.word, assertion=said.assertion, place=said.place, detail=said.detail or reading.detail
    )


def describe_damage(fault: Exception) -> Reading:
    """What is left to say of one that raised one of DAMAGED."""
    return Reading(ReportKind.MINIDUMP, notes=(f"the minidump is damaged: {fault}",))


def locate(dump: Minidump, address: int) -> Frame:
    """Module and offset of an address."""
    module = dump.find_module(address)
    return Frame(module=module.name, offset=f"{address - module.base:x}") if module else Frame(offset=f"{address:x}")


def read_identity(executable: Path) -> Identity | None:
    """Of a Windows executable on disk; None for anything else. Raises OSError."""
    with open_regular(executable) as file:
        content = Layout(file)
        try:
            (header,) = content.unpack("<I", 0x3C)
            mark, stamp = content.unpack("<4s4xI", header)
            (size,) = content.unpack("<I", header + 24 + 56)
        except struct.error:
            return None
    return Identity(stamp, size) if mark == _PE else None


def is_called(module: Module, path: Path) -> bool:
    return module_name(module.name).lower() == path.name.lower()
