"""What a Linux core says by itself, without a debugger: the signal, the program it is of, and that program's build id.

Sources: elf(5), core(5), the kernel's fs/binfmt_elf.c. 64-bit little-endian, which is what a worldserver runs on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.crash.binary import Layout
from pipeline.crash.classes import name_signal
from pipeline.crash.lines import open_regular

_IDENT = b"\x7fELF\x02\x01"
_SEGMENT = "<IIQQQQQ8x"  # Elf64_Phdr
_PT_LOAD, _PT_NOTE, _PT_PHDR = 1, 4, 6
_NT_PRSTATUS, _NT_AUXV, _NT_FILE, _NT_BUILD_ID = 1, 6, 0x46494C45, 3
_AT_PHDR, _AT_PHNUM = 3, 5
_CORE = 4  # e_type
_HEADERS = 70_000  # of one file that are read at most
_NOTES = 16 << 20  # bytes of notes that are read
_FEW = 64 << 10  # bytes of a program's own notes
_MAPPINGS = 20_000


@dataclass(frozen=True)
class Core:
    """Each may be unknown."""

    signal: str | None = None
    program: Path | None = None  # where the machine that crashed has it
    build_id: str | None = None


@dataclass(frozen=True)
class _Segment:
    kind: int
    offset: int
    address: int
    in_file: int

    @classmethod
    def read(cls, fields: tuple[int, ...]) -> _Segment:
        """From a program header, unpacked by _SEGMENT."""
        kind, _, offset, address, _, in_file, _ = fields
        return cls(kind, offset, address, in_file)


def read_core_file(path: Path) -> Core:
    """Never raises on any content. Raises OSError."""
    with open_regular(path) as file:
        content = Layout(file)
        try:
            return _read_core(content)
        except (struct.error, ValueError, OverflowError):
            return Core()


def read_build_id(executable: Path) -> str | None:
    """Of a program on disk; None where its linker gave it none, or it is no such file. Raises OSError."""
    with open_regular(executable) as file:
        content = Layout(file)
        try:
            segments = [each for each in _list_segments(content) if each.kind == _PT_NOTE]
            notes = (content.bytes_at(each.offset, min(each.in_file, _FEW)) for each in segments)
            return _find_build_id(notes)
        except (struct.error, ValueError, OverflowError):
            return None


def _read_core(content: Layout) -> Core:
    segments = list(_list_segments(content))
    notes = [
        note
        for each in segments
        if each.kind == _PT_NOTE
        for note in _list_notes(content.bytes_at(each.offset, min(each.in_file, _NOTES)))
    ]
    first = {kind: data for kind, _, data in reversed(notes)}
    headers = _read_auxiliary(first.get(_NT_AUXV, b""))
    return Core(
        _read_signal(first.get(_NT_PRSTATUS, b"")),
        _find_program(first.get(_NT_FILE, b""), headers.get(_AT_PHDR, 0)),
        _find_build_id_in_memory(content, segments, headers),
    )


def _list_segments(content: Layout) -> Iterator[_Segment]:
    if content.bytes_at(0, len(_IDENT)) != _IDENT:
        return
    (start, sections) = content.unpack("<QQ", 32)
    size, count = content.unpack("<HH", 54)
    if count == 0xFFFF and sections:  # more mappings than fit: the first section's header has their number
        (count,) = content.unpack("<I", sections + 44)
    for index in range(min(count, _HEADERS)):
        yield _Segment.read(content.unpack(_SEGMENT, start + index * size))


def _list_notes(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(kind, owner, content)."""
    at = 0
    while at + 12 <= len(data):
        owner, size, kind = struct.unpack_from("<III", data, at)
        begin = at + 12 + (owner + 3 & ~3)
        yield kind, data[at + 12 : at + 12 + owner].rstrip(b"\0"), data[begin : begin + size]
        at = begin + (size + 3 & ~3)


def _read_signal(status: bytes) -> str | None:
    number = struct.unpack_from("<i", status)[0] if len(status) >= 4 else 0
    return name_signal(number) if number > 0 else None


def _read_auxiliary(data: bytes) -> dict[int, int]:
    return dict(struct.iter_unpack("<QQ", data[: len(data) & ~15]))


def _find_program(mappings: bytes, address: int) -> Path | None:
    """The file that is mapped where the program's own headers are."""
    if len(mappings) < 16:
        return None
    (count, _) = struct.unpack_from("<QQ", mappings)
    count = min(count, _MAPPINGS)
    names = mappings[16 + count * 24 :].split(b"\0")
    for index in range(count):
        start, end, _ = struct.unpack_from("<QQQ", mappings, 16 + index * 24)
        if start <= address < end and index < len(names) and names[index]:
            return Path(names[index].decode("utf-8", errors="surrogateescape"))
    return None


def _find_build_id_in_memory(content: Layout, segments: list[_Segment], headers: dict[int, int]) -> str | None:
    """The kernel leaves the first page of each mapped program in the core, where its build id is."""
    at, count = headers.get(_AT_PHDR, 0), min(headers.get(_AT_PHNUM, 0), 64)

    def read(address: int, size: int) -> bytes:
        for each in segments:
            if each.kind == _PT_LOAD and each.address <= address < each.address + each.in_file:
                begin = address - each.address
                return content.bytes_at(each.offset + begin, min(size, each.in_file - begin))
        return b""

    size = struct.calcsize(_SEGMENT)
    table = read(at, count * size)
    own = [_Segment.read(each) for each in struct.iter_unpack(_SEGMENT, table[: len(table) // size * size])]
    bias = next((at - each.address for each in own if each.kind == _PT_PHDR), 0)
    return _find_build_id(read(bias + each.address, min(each.in_file, _FEW)) for each in own if each.kind == _PT_NOTE)


def _find_build_id(blocks: Iterator[bytes]) -> str | None:
    notes = (note for block in blocks for note in _list_notes(block))
    return next((data.hex() for kind, owner, data in notes if kind == _NT_BUILD_ID and owner == b"GNU"), None)
