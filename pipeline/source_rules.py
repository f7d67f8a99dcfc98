"""What a compiler would read on behalf of a patch. Pure; every refusal is a sentence for an operator.

A file that is included is compiled before anybody is asked whether the build may go live, and the errors it gives are
shown: `#include "/etc/shadow"` would put it into the channel, and so would `#line 1 "/etc/shadow"`, as GCC shows the
line that it believes to be wrong. What a fix needs lies in the repository and is named from there. Each way in was
tried with GCC and Clang. A preprocessor can put the word `asm` and an assembler's `.include` together from parts that
are macros themselves; nothing here finds that.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PureWindowsPath

ASSEMBLER = "an assembler statement"
_MOST_COMMENTS = 8  # between the parts of a directive; nobody writes more, and none is skipped without end
_LONGEST = 5000  # characters of an operand: no system takes a longer path
_BEFORE = 200  # characters in front of a sign that are looked at
_SIGN = re.compile(r"#|%:|\?\?=")  # of a directive, in all its spellings
_WORD = re.compile(r"(?:include_next|include|import|embed|line)\b")
_NUMBER = re.compile(r"\d[\w']*")  # `# 1 "file"` is `#line 1 "file"`
_NAMED = re.compile(r"[\w\"]")  # begins a string, or a macro that may be one
_ASKS = re.compile(r"\b__has_(?:include_next|include|embed)\b")
_UNIT = re.compile(r"\bimport\b")  # of a header
# Orders to MSVC and its linker, which may stand in `#pragma`, `_Pragma` and `__pragma`.
_ORDER = re.compile(r"\binclude_alias\b|\bcomment[^\S\n]*\([^\S\n]*(?:lib|linker)\b")
_CONTINUED = re.compile(r"(?:\\|\?\?/)[^\S\r\n]*(?:\r\n?|\n)")
_BLANK = re.compile(r"(?:[^\S\n]|\u180e)*")  # what Clang takes for one, too
# The word, or its two parts where a macro may join them.
_ASSEMBLER = re.compile(
    r"\b(?:asm|__asm|__asm__|_asm)\b|\bincbin\b"
    r"|\b_*(?:a\s*(?:,|##)\s*sm|as\s*(?:,|##)\s*m)_*\b|\b__?\s*(?:,|##)\s*_?asm_*\b",
    re.IGNORECASE,
)
_JOINED = re.compile(r'\)?"\s*(?:u8|[uUL])?R?"\(?')  # strings that stand beside each other are one
_ESCAPED = re.compile(r"\\(?:(?P<code>x[0-9a-fA-F]{2}|[0-7]{2,3})|.)")
_TOLD = re.compile(r"(?<![\w.)\]])\.(?:include|incbin|macro|irpc?|altmacro)\b", re.IGNORECASE)  # to an assembler


def find_reach(new: bytes, old: bytes) -> str | None:
    """What of the new text would be read from outside of the source, as it is written there, or ASSEMBLER; None =
    nothing that the old text has not."""
    return next(iter(_list_reaches(new) - _list_reaches(old)), None)


def _list_reaches(content: bytes) -> Counter[str]:
    text = _CONTINUED.sub("", content.decode(errors="replace"))
    operands = [text[at : at + _LONGEST].partition("\n")[0].strip() for at in _find_operands(text)]
    orders = [found[0] for found in _ORDER.finditer(text)]
    strings = _ESCAPED.sub(_spell_escape, _JOINED.sub("", text))
    assembler = [*_ASSEMBLER.finditer(text), *_TOLD.finditer(strings)]
    return Counter([*filter(_reaches_out, operands), *orders, *(ASSEMBLER for _ in assembler)])


def _spell_escape(found: re.Match[str]) -> str:
    """A letter by its number; of the others it counts alone that they are no letters."""
    if found["code"] is None:
        return " "
    return chr(int(found["code"][1:], 16) if found["code"][0] == "x" else int(found["code"], 8))


def _find_operands(text: str) -> Iterator[int]:
    """Where that begins which names another file. One in a string or a comment counts as well."""
    ends = [found.start() for found in re.finditer(r"\*/", text)]
    yield from _find_directives(text, ends)
    for asked in _ASKS.finditer(text):
        at = _skip(text, asked.end(), ends)
        if text.startswith("(", at):
            yield _skip(text, at + 1, ends)
    for unit in _UNIT.finditer(text):
        at = _skip(text, unit.end(), ends)
        if text.startswith(('"', "<"), at):
            yield at


def _find_directives(text: str, ends: Sequence[int]) -> Iterator[int]:
    for sign in _SIGN.finditer(text):
        at = _skip(text, sign.end(), ends)
        word = _WORD.match(text, at)
        if word is not None:
            at = word.end() if word[0] != "line" else at
            yield _skip(text, at, ends)
        elif text.startswith("/*", at):
            yield at  # more comments than are skipped
        elif _names_file(text, at, ends) and _begins_line(text, sign.start()):
            yield at


def _names_file(text: str, at: int, ends: Sequence[int]) -> bool:
    number = _NUMBER.match(text, at)
    return number is not None and _NAMED.match(text, _skip(text, number.end(), ends)) is not None


def _begins_line(text: str, at: int) -> bool:
    """Whether nothing but blanks and comments may stand before: `see #4711` is no directive."""
    before = re.split(r"[\r\n]", text[max(0, at - _BEFORE) : at])[-1].rstrip()
    return not before or before.endswith("*/")


def _skip(text: str, at: int, ends: Sequence[int]) -> int:
    """Behind blanks and comments; `ends`: where comments may end."""
    for _ in range(_MOST_COMMENTS):
        blank = _BLANK.match(text, at)
        at = blank.end() if blank else at
        if not text.startswith("/*", at):
            break
        end = bisect_left(ends, at + 2)
        at = ends[end] + 2 if end < len(ends) else len(text)
    return at


def _reaches_out(operand: str) -> bool:
    """Absolute, upwards, or not told before the preprocessor has run."""
    close = {'"': '"', "<": ">"}.get(operand[:1])
    if close is None:
        return True
    path = PureWindowsPath(operand[1:].partition(close)[0].strip())
    return bool(path.root or path.drive) or ".." in path.parts
