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
    (
        ("cannot allocate memory", "paging file is too small", "not enough memory"),
        "free some of this machine's memory",
    ),
    (("permission denied", "access is denied", "not permitted"), "let our user write to {place}"),
)  # fmt: skip
CURE = ". Cure: "  # what follows it only a person can do; whatever says nothing of the kind mends itself, or is told
ROOM = "room"  # the cause of all that a full disk hinders, whoever says it
_FAILS = {
    errno.ENOSPC: "written", errno.EDQUOT: "written", errno.EROFS: "written", errno.EFBIG: "written",
    errno.EIO: "read or written",
}  # fmt: skip
_NUMBERS = (*_FAILS, errno.EMFILE, errno.ENFILE)


def find_cure(words: str, place: str) -> str | None:
    """How to mend what the machine says it cannot do; None for words that are not the machine's."""
    lower = words.lower()
    return next((cure.format(place=place) for signs, cure in _CURES if any(sign in lower for sign in signs)), None)


def find_obstacle(fault: BaseException, place: str = "the state folder") -> str | None:
    """What to say of an error that is the machine's; None for a bug or a verdict of ours."""
    if isinstance(fault, Obstructed):
        return str(fault)
    if isinstance(fault, OSError) and fault.errno in _NUMBERS:
        return add_cure(_name_place(fault, place), place)
    return None


def _name_place(fault: OSError, place: str) -> str:
    """Of a file that was open already the machine tells no name."""
    fails = _FAILS.get(fault.errno or 0) if fault.filename is None else None
    return f"{place} cannot be {fails}: {fault}" if fails else str(fault)


def add_cure(words: str, place: str = "the state folder") -> str:
    """What does not work, with how to mend it where the machine stands in the way and nobody has said so yet."""
    cure = None if CURE in words else find_cure(words, place)
    return f"{words}{CURE}{cure}" if cure else words


def find_cause(words: str) -> str | None:
    """What a person has to mend, the same for all that it hinders; None for what nobody is needed for."""
    _, said, cure = words.partition(CURE)
    signs, _ = _CURES[0]
    return None if not said else ROOM if any(sign in words.lower() for sign in signs) else cure
