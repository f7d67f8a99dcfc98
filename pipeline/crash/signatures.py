"""From a stack to a key: equal keys of one VERSION are the same crash.

    family   class | function                 assertion | function | expression
    exact    class | f1 | f2 | f3             assertion | function | expression

No addresses, offsets (but of frames without symbols), line numbers, template arguments or paths. Which frames count
is in `data/`; how names are spelled in `names.py`. Measured when this was chosen: normalising matters far
more than depth.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence

from pipeline.crash.classes import STACK_OVERFLOW, UNSEEN
from pipeline.crash.names import bare_name, normalise
from pipeline.crash.rules import Rules, module_name
from pipeline.model import Assertion, Frame, Signature

VERSION = 3  # raised with every change of a rule or of a spelling
NAMELESS = 0  # the version of a crash of which nothing is known: no rule made its key
DEPTH = 3  # own functions of the exact key
_SENTINEL_DEPTH = 60  # innermost frames in which the machinery of dying is looked for
_LONGEST_EXPRESSION = 200


@dataclasses.dataclass(frozen=True)
class Interest:
    """Which frames of a stack count: indices, innermost first."""

    own: tuple[int, ...]  # the program's own, plumbing among them
    telling: tuple[int, ...]  # without the plumbing
    fallback: int | None  # stands for the crash where nothing is the program's own

    @property
    def frame(self) -> int | None:
        """The frame of interest."""
        return next(iter(self.telling or self.own), None)


def find_interest(
    frames: Sequence[Frame], rules: Rules, start: int = 0, assertion: Assertion | None = None
) -> Interest:
    """`start` = the first frame that may count, where a report says so by itself."""
    first = max(start, count_sentinels(frames, rules))
    if assertion is not None:
        first = _find_asserting(frames, assertion, first)
    own = tuple(index for index in range(first, len(frames)) if rules.is_own(frames[index]))
    telling = tuple(index for index in own if not rules.is_prefix(frames[index]))
    named = (index for index in range(first, len(frames)) if name_frame(frames[index]))
    return Interest(own, telling, next(named, None))


def count_sentinels(frames: Sequence[Frame], rules: Rules) -> int:
    """How many of the innermost frames are the machinery of dying."""
    inner = range(min(len(frames), _SENTINEL_DEPTH) - 1, -1, -1)
    last = next((index for index in inner if rules.is_sentinel(frames[index])), None)
    return 0 if last is None or last + 1 >= len(frames) else last + 1


def _find_asserting(frames: Sequence[Frame], assertion: Assertion, otherwise: int) -> int:
    """The frame that the text names: the same bare function in the same file."""
    wanted = normalise(assertion.function)
    for index, frame in enumerate(frames[:_SENTINEL_DEPTH] if wanted else ()):
        name = normalise(frame.function)
        same_file = not frame.file or not assertion.file or module_name(frame.file) == module_name(assertion.file)
        if name and wanted and bare_name(name) == bare_name(wanted) and same_file:
            return index
    return otherwise


def name_frame(frame: Frame) -> str | None:
    """`Map::Update`, or `worldserver+6d062a` where there are no symbols; None for a frame that says nothing."""
    if name := normalise(frame.function):
        return name
    if frame.module is None:
        return None
    module = re.sub(r"\.(exe|dll)$", "", module_name(frame.module), flags=re.IGNORECASE)
    offset = (frame.offset or "").lower().removeprefix("0x").lstrip("0")
    return f"{module}+{offset}" if offset else module or None


def sign_stack(word: str, frames: Sequence[Frame], interest: Interest, detail: str | None = None) -> Signature:
    """The key of a crash that has a stack; `detail` stands in where no frame has a name."""
    word = UNSEEN.get(word, word)
    names = _find_cycle(frames, interest)[:DEPTH] if word == STACK_OVERFLOW else []
    names = names or _key_names(frames, interest)
    if not names:
        return _sign_fallback(word, frames, interest, detail)
    family = next((name for index in interest.telling if (name := name_frame(frames[index]))), names[0])
    if word == STACK_OVERFLOW:
        family = names[0]
    return Signature(f"{word} | {family}", " | ".join((word, *names)), VERSION)


def _sign_fallback(word: str, frames: Sequence[Frame], interest: Interest, detail: str | None) -> Signature:
    name = None if interest.fallback is None else name_frame(frames[interest.fallback])
    if name is None:
        return sign_text(word, detail or "no stack")
    return Signature(f"{word} | {name}", f"{word} | {name}", VERSION)


def _key_names(frames: Sequence[Frame], interest: Interest) -> list[str]:
    """The innermost own functions, recursion counted once, up to DEPTH of them that are not plumbing."""
    names: list[str] = []
    counting = set(interest.telling or interest.own)
    counted = 0
    for index in interest.own:
        name = name_frame(frames[index])
        if name is None or name in names[-1:]:
            continue
        names.append(name)
        counted += index in counting
        if counted == DEPTH:
            break
    return names


def _find_cycle(frames: Sequence[Frame], interest: Interest) -> list[str]:
    """The functions that call each other without end, begun at the first by alphabet: where in the circle the stack
    ran out is chance."""
    names = [name for index in interest.telling or interest.own if (name := name_frame(frames[index]))]
    counts = Counter(names)
    often = max(counts.values(), default=0)
    circle = list(dict.fromkeys(name for name in names if counts[name] > 1 and counts[name] * 2 >= often))
    if not circle:
        return []
    begin = circle.index(min(circle))
    return circle[begin:] + circle[:begin]


def sign_assertion(assertion: Assertion, function: str | None) -> Signature:
    """`function` = the frame of interest's, which knows its class where `__FUNCTION__` does not."""
    said = normalise(assertion.function)
    if function is None or (said and bare_name(function) != bare_name(said) and "operator" not in said):
        function = said or function
    expression = " ".join((assertion.expression or assertion.message or "?").split())[:_LONGEST_EXPRESSION]
    key = f"assertion | {function or module_name(assertion.file or '?')} | {expression}"
    return Signature(key, key, VERSION)


def sign_text(word: str, detail: str) -> Signature:
    """The key of a crash without a stack: by what its text says, numbers and paths left out."""
    short = re.sub(r"0x[0-9a-fA-F]+|\b\d{3,}\b", "N", " ".join(detail.split()))[:_LONGEST_EXPRESSION]
    key = f"{word} | {short}"
    return Signature(key, key, VERSION)
