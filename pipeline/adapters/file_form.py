"""The form of a source file (encoding, BOM, line ends, final newline) and how it is kept when its text changes. Pure.

Text here is str with `\\n` line ends and no BOM; bytes are as git stores them. Lines that a change does not touch keep
their bytes, whatever mixture they are.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import Refused

BOM = b"\xef\xbb\xbf"
_MOST_CELLS = 4_000_000  # of a comparison line by line; a change beyond it is a rewrite


@dataclass(frozen=True)
class FileForm:
    encoding: str  # "utf-8", "cp1252", or "latin-1", which takes any byte
    bom: bool
    newline: str  # the more frequent one, "\n" or "\r\n"
    closed: bool  # whether the last line ends in a newline

    @classmethod
    def of(cls, content: bytes) -> FileForm:
        body = content.removeprefix(BOM)
        windows = body.count(b"\r\n")
        newline = "\r\n" if windows * 2 > body.count(b"\n") else "\n"
        return cls(_encoding_of(body), content.startswith(BOM), newline, not body or body.endswith(b"\n"))


def read_text(content: bytes) -> str:
    """The text of a file; `fit(content, read_text(content)) == content` for any bytes."""
    body = content.removeprefix(BOM)
    return body.decode(_encoding_of(body)).replace("\r\n", "\n")


def fit(old: bytes, text: str, *, keep_end: bool) -> bytes:
    """New text as content of a file that had `old`: in its encoding, with its BOM and its line ends.

    keep_end: the last line ends as the old one did, whatever the text says. Raises Refused for a text that the file's
    encoding cannot hold.
    """
    form = FileForm.of(old)
    if keep_end and old.removeprefix(BOM):
        text = text if text.endswith("\n") == form.closed else (text + "\n" if form.closed else text.removesuffix("\n"))
    before = _split(old.removeprefix(BOM))
    known = [_decode(content, form.encoding, text) for content, _ in before]
    wanted = text.split("\n")
    lines = [
        before[same] if same is not None else (encode(line, form.encoding), form.newline.encode())
        for line, same in zip(wanted, _pair(known, wanted), strict=True)
    ]
    return (BOM if form.bom else b"") + _join(lines)


def plain_text(text: str) -> str:
    """What somebody else sent, as text: without a BOM, with `\\n` line ends."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def encode(text: str, encoding: str) -> bytes:
    """Raises Refused where the encoding lacks a character."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as fault:
        letter = fault.object[fault.start]
        if "\ud800" <= letter <= "\udfff":
            raise Refused(f"it holds half a character (U+{ord(letter):04X}): it is not valid Unicode") from fault
        raise Refused(f"the file is in {encoding}, which has no `{letter}` (U+{ord(letter):04X})") from fault


def _encoding_of(body: bytes) -> str:
    for encoding in ("utf-8", "cp1252"):
        try:
            body.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


def _decode(line: bytes, encoding: str, text: str) -> str:
    """A line as the author of `text` saw it: who read an old encoding as UTF-8 saw U+FFFD in its place."""
    if encoding != "utf-8" and "\ufffd" in text:
        return line.decode("utf-8", "replace")
    return line.decode(encoding)


def _split(body: bytes) -> list[tuple[bytes, bytes]]:
    """(line, its end) of each line; the last one's end is empty."""
    *lines, last = body.split(b"\n")
    ended = [(line[:-1], b"\r\n") if line.endswith(b"\r") else (line, b"\n") for line in lines]
    return [*ended, (last, b"")]


def _join(lines: list[tuple[bytes, bytes]]) -> bytes:
    """The last line has no end, every other one needs one."""
    newline = next((end for _, end in lines[:-1] if end), b"\n")
    return b"".join(line + (end or newline) for line, end in lines[:-1]) + lines[-1][0]


def _pair(known: list[str], wanted: list[str]) -> Iterator[int | None]:
    """For each wanted line the index of the old line it is, or None."""
    head = _count_equal(known, wanted)
    tail = _count_equal(known[head:][::-1], wanted[head:][::-1])
    yield from range(head)
    yield from _pair_middle(known[head : len(known) - tail], wanted[head : len(wanted) - tail], head)
    yield from range(len(known) - tail, len(known))


def _pair_middle(known: list[str], wanted: list[str], offset: int) -> list[int | None]:
    pairs: list[int | None] = [None] * len(wanted)
    if len(known) * len(wanted) <= _MOST_CELLS:
        for match in difflib.SequenceMatcher(None, known, wanted, autojunk=False).get_matching_blocks():
            for step in range(match.size):
                pairs[match.b + step] = offset + match.a + step
    return pairs


def _count_equal(one: list[str], other: list[str]) -> int:
    return next(
        (at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other))
    )
