"""What the machine may put in the way, known by its words, and how a person mends it. Nothing here is anybody's bug."""

from __future__ import annotations

import errno

from pipeline.errors import Obstructed

# What the words hold, in any letters -> how to mend it.
_CURES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        (
            "no space left", "errno 28", "disk quota", "winerror 112", "not enough space", "disk is full",
            "file too large", "out of diskspace",
        ),
        "make room in {place}",
    ),
    (("read-only file system", "readonly database"), "make {place} writable again"),
    (
        ("text file busy", "being used by another process", "winerror 32", "device or resource busy"),
        "end the program that holds the file open",
    ),
    (("input/output error", "disk i/o error"), "look at the disk that holds {place}"),
    (("permission denied", "access is denied", "not permitted"), "let our user write to {place}"),
)  # fmt: skip
_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE)


def find_cure(words: str, place: str) -> str | None:
    """How to mend what the machine says it cannot do; None for words that are not the machine's."""
    lower = words.lower()
    return next((cure.format(place=place) for signs, cure in _CURES if any(sign in lower for sign in signs)), None)


def find_obstacle(fault: BaseException, place: str = "the state folder") -> str | None:
    """What to say of an error that is the machine's; None for a bug or a verdict of ours."""
    if isinstance(fault, Obstructed):
        return str(fault)
    if isinstance(fault, OSError) and fault.errno in _NUMBERS:
        cure = find_cure(str(fault), place)
        return f"{fault}" + (f". Cure: {cure}" if cure else "")
    return None
