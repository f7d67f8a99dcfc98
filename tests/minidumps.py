"""Minidumps and Windows executables made byte by byte, as far as a header goes."""

import struct
from collections.abc import Sequence

EXE = r"C:\Srv\worldserver.exe"
BASE, SIZE, STAMP = 0x140000000, 0x500000, 0x6B02C72A


def image(stamp: int = STAMP, size: int = SIZE) -> bytes:
    """The begin of an executable, up to SizeOfImage."""
    header = 0x80
    dos = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", header)
    optional = struct.pack("<H", 0x20B).ljust(56, b"\0") + struct.pack("<I", size)
    return dos.ljust(header, b"\0") + b"PE\0\0" + struct.pack("<HHI", 0x8664, 3, stamp).ljust(20, b"\0") + optional


def minidump(
    code: int = 0xC0000005,
    address: int = BASE + 0x100A,
    modules: Sequence[tuple[str, int, int, int]] = ((EXE, BASE, SIZE, STAMP),),
    threads: Sequence[int] = (4711, 4712),
    comments: Sequence[tuple[int, bytes]] = (),
    moment: int = 1_761_905_000,
) -> bytes:
    """`modules` = name, base, SizeOfImage, TimeDateStamp; `comments` = kind of the stream, its bytes. Streams of kinds
    that nobody knows stand among the others."""
    streams: list[tuple[int, bytes]] = [(0x19000902, b"of a kind of its own"), (7, b"\0" * 56)]
    streams += [(3, struct.pack("<I", len(threads)) + b"".join(struct.pack("<I44x", each) for each in threads))]
    streams += [(6, struct.pack("<IIIIQQ", threads[0] if threads else 0, 0, code, 0, 0, address).ljust(168, b"\0"))]
    streams += comments
    at = 32 + 12 * (len(streams) + 1)
    directory, content = b"", b""
    for kind, data in streams:
        directory += struct.pack("<III", kind, len(data), at + len(content))
        content += data
    names = at + len(content) + 4 + 108 * len(modules)
    table, texts = struct.pack("<I", len(modules)), b""
    for name, base, size, stamp in modules:
        table += struct.pack("<QIIII", base, size, 0, stamp, names + len(texts)).ljust(108, b"\0")
        spelled = name.encode("utf-16-le")
        texts += struct.pack("<I", len(spelled)) + spelled + b"\0\0"
    directory += struct.pack("<III", 4, len(table), at + len(content))
    return (
        struct.pack("<4sIIIIIQ", b"MDMP", 0xA793, len(streams) + 1, 32, 0, moment, 0)
        + directory
        + content
        + table
        + texts
    )
