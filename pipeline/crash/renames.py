"""A known crash whose callers were renamed since: the same one, though its stack is spelled otherwise.

Whether a name is another function or the same one under another name is in no report; the source tells. Where the keys
of two crashes of one family differ in some names alone, and each name is in the source of its own crash and nowhere in
that of the other one's, the functions were renamed. A name that is still there, or was there before, is another
function, and the crash another one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from pipeline.crash.names import normalise
from pipeline.model import Frame, Rename, Signature

_WORD = re.compile(r"~?([A-Za-z_]\w*)")


def pair_names(known: Signature, new: Signature) -> tuple[Rename, ...]:
    """What must have been renamed for both to be one crash; () where no renaming can make them so."""
    if known.version != new.version or known.family != new.family:
        return ()
    before, now = known.exact.split(" | "), new.exact.split(" | ")
    if len(before) != len(now):
        return ()
    pairs = tuple(dict.fromkeys(Rename(*pair) for pair in zip(before, now, strict=True) if pair[0] != pair[1]))
    return pairs if all(map(list_words, pairs)) else ()


def list_words(rename: Rename) -> list[tuple[str, str]]:
    """The words in which the two names differ, before and now; [] where more than words is different."""
    before, now = rename.before.split("::"), rename.now.split("::")
    if len(before) != len(now):
        return []
    found = [(_WORD.fullmatch(one), _WORD.fullmatch(other)) for one, other in zip(before, now, strict=True)
             if one != other]  # fmt: skip
    return [(one[1], other[1]) for one, other in found if one and other] if all(map(all, found)) else []


def is_renamed(renames: Sequence[Rename], then: Collection[str], now: Collection[str]) -> bool:
    """`then`, `now` = which of all these words stand in the source of the known crash, and of the new one."""
    words = [pair for each in renames for pair in list_words(each)]
    return bool(words) and all(
        (old in then, new in then, old in now, new in now) == (True, False, False, True) for old, new in words
    )


def restore_names(frames: Sequence[Frame], renames: Sequence[Rename]) -> tuple[Frame, ...]:
    """The stack as it was spelled when the crash became known."""
    before = {each.now: each.before for each in renames}
    return tuple(
        replace(frame, function=before[name]) if (name := normalise(frame.function)) in before else frame
        for frame in frames
    )
