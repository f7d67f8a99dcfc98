"""Which crashes look like one: the same function died in another way, or the same way was taken into it."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.crash.classes import ASSERTION
from pipeline.model import Signature

SAME_PLACE = 10  # more than any number of functions that two crashes may share
_SHARED = 2  # functions that two crashes share at least, where they died in different ones


def rate_likeness(one: Signature, other: Signature, is_plumbing: Callable[[str], bool]) -> int:
    """0 = not alike, and for the same crash; higher = more alike. What `is_plumbing` says of a function counts
    nothing: most crashes of a server have its main loop in common."""
    if one.version != other.version or one.exact == other.exact:
        return 0
    mine, theirs = _functions(one), _functions(other)
    shared = len({each for each in mine if not is_plumbing(each)} & set(theirs))
    if mine and theirs and mine[0] == theirs[0] and not is_plumbing(mine[0]):
        return SAME_PLACE + shared
    return shared if shared >= _SHARED else 0


def _functions(signature: Signature) -> list[str]:
    """Innermost first; an assertion names one, and its expression."""
    word, *parts = signature.exact.split(" | ")
    return parts[:1] if word == ASSERTION else parts
