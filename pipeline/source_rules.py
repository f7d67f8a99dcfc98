"""What a compiler would read on behalf of a patch. Pure; every refusal is a sentence for an operator.

A file that is included is compiled before anybody is asked whether the build may go live, and the errors it gives are
shown: `#include "/etc/shadow"` would put it into the channel. What a fix needs lies in the repository and is named
from there. A preprocessor can put the word `asm` together from parts; nothing here finds that.
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
_SIGN = re.compile(r"#|%:|\?\?=")  # of a directive, in all its spellings
_WORD = re.compile(r"(?:include_next|include|import|embed)\b")
_UNIT = re.compile(r"^[ \t]*(?:export[ \t]+)?import[ \t]*(?=[\"<])", re.MULTILINE)  # of a header
_ASSEMBLER = re.compile(r"\b(?:asm|__asm|__asm__|_asm)\b|\bincbin\b", re.IGNORECASE)
_CONTINUED = re.compile(r"(?:\\|\?\?/)[ \t]*\r?\n")
_BLANK = re.compile(r"[ \t\v\f]*")


def find_reach(new: bytes, old: bytes) -> str | None:
    """What of the new text would be read from outside of the source, as it is written there, or ASSEMBLER; None =
    nothing that the old text has not."""
    return next(iter(_list_reaches(new) - _list_reaches(old)), None)


def _list_reaches(content: bytes) -> Counter[str]:
    text = _CONTINUED.sub("", content.decode(errors="replace"))
    starts = (*_find_directives(text), *(unit.end() for unit in _UNIT.finditer(text)))
    operands = [text[at : at + _LONGEST].partition("\n")[0].strip() for at in starts]
    return Counter([*filter(_reaches_out, operands), *(ASSEMBLER for _ in _ASSEMBLER.finditer(text))])


def _find_directives(text: str) -> Iterator[int]:
    """Where the operands begin of what reads another file. One in a string or a comment counts as well."""
    ends = [found.start() for found in re.finditer(r"\*/", text)]
    for sign in _SIGN.finditer(text):
        word = _WORD.match(text, _skip(text, sign.end(), ends))
        if word is not None:
            yield _skip(text, word.end(), ends)


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
