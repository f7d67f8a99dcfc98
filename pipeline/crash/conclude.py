"""From what was read to what is said: the thread that matters, the frame of interest, the category, the signature."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pipeline.crash.classes import (
    ABORT,
    ASSERTION,
    ENVIRONMENT,
    FREEZE,
    HOW,
    PURE_VIRTUAL,
    UNCAUGHT_EXCEPTION,
    UNREADABLE,
)
from pipeline.crash.names import normalise
from pipeline.crash.reading import Reading, Thread
from pipeline.crash.renames import restore_names
from pipeline.crash.rules import Rules, get_rules
from pipeline.crash.signatures import (
    NAMELESS,
    VERSION,
    Interest,
    count_sentinels,
    find_interest,
    name_frame,
    sign_assertion,
    sign_stack,
    sign_text,
)
from pipeline.model import Assertion, CrashReport, Frame, Signature

_ABORTING = ("abort", "raise", "pthread_kill", "gsignal", "kill", "terminate", "assert")


def conclude(reading: Reading, rules: Rules | None = None) -> CrashReport:
    """The report of one crash. Never raises on any content."""
    rules = rules or get_rules()
    if reading.asked:
        return _report(reading, CrashReport(reading.kind))
    if _is_hang(reading):
        reading = replace(reading, word=FREEZE, notes=(*reading.notes, "aborted from outside: the stacks of a hang"))
    reading = _explain(reading, rules)
    thread, notes = _choose_thread(reading, rules)
    reading = replace(reading, notes=(*reading.notes, *notes))
    return _report(reading, _judge(reading, thread, rules))


def _report(reading: Reading, judged: CrashReport) -> CrashReport:
    """The judgement with what is merely passed on."""
    return replace(
        judged,
        kind=reading.kind,
        exception=reading.exception,
        assertion=reading.assertion,
        revision=reading.revision,
        crashed_at=reading.crashed_at,
        notes=tuple(dict.fromkeys((*judged.notes, *reading.notes))),
    )


@dataclass(frozen=True)
class _Stack:
    frames: tuple[Frame, ...]
    interest: Interest
    start: int = 0


def _judge(reading: Reading, thread: Thread | None, rules: Rules) -> CrashReport:
    stack = _look_at(reading, thread, rules)
    if reading.cause is not None:
        category: str | None = ENVIRONMENT
        cure: str | None = reading.cause.cure
        signature: Signature | None = sign_text(ENVIRONMENT, reading.cause.what)
    else:
        category, cure = None if reading.word == UNREADABLE else reading.word, None
        signature = _sign(reading.word, reading.assertion, stack, reading.detail) if reading.word else None
    return CrashReport(
        reading.kind,
        category=category,
        frames=stack.frames,
        crashing_frame=stack.interest.frame,
        start=stack.start,
        signature=signature,
        environment=reading.cause is not None,
        cure=cure,
        notes=_doubts(stack),
    )


def _look_at(reading: Reading, thread: Thread | None, rules: Rules) -> _Stack:
    if thread is not None and thread.frames:
        assertion = reading.assertion if reading.word == ASSERTION else None
        interest = find_interest(thread.frames, rules, thread.start, assertion)
        return _Stack(thread.frames, interest, thread.start)
    if reading.place is not None and reading.word != FREEZE:
        return _Stack((reading.place,), find_interest((reading.place,), rules))
    return _Stack((), Interest((), (), None))


def _sign(word: str, assertion: Assertion | None, stack: _Stack, detail: str | None) -> Signature:
    if assertion is not None and word == ASSERTION:
        interest = stack.interest.frame
        return sign_assertion(assertion, None if interest is None else name_frame(stack.frames[interest]))
    return sign_stack(word, stack.frames, stack.interest, detail)


def sign_again(report: CrashReport, rules: Rules) -> CrashReport:
    """The report with the signature that other rules give it: the same work on the same frames. What has no rule in
    it (a crash of which nothing is known) stays what it is; which thread was chosen is not asked again."""
    before = report.signature
    if before is None or before.version == NAMELESS:
        return report
    word, _, detail = before.exact.partition(" | ")
    assertion = report.assertion if word == ASSERTION else None
    if report.environment or not (report.frames or assertion):
        return replace(report, signature=replace(before, version=VERSION))
    frames = restore_names(report.frames, report.renames)
    interest = find_interest(frames, rules, report.start, assertion)
    signature = _sign(word, assertion, _Stack(frames, interest), detail)
    return replace(report, crashing_frame=interest.frame, signature=signature)


def _doubts(stack: _Stack) -> tuple[str, ...]:
    if not stack.frames:
        return ("no stack: told apart only by what the text or the exit says",)
    doubts = []
    if stack.interest.frame is None:
        doubts.append("no frame of the program's own: the innermost frame with a name stands for the crash")
    elif stack.frames[stack.interest.frame].function is None:
        doubts.append(_missing_symbols(stack.frames[stack.interest.frame]))
    return tuple(doubts)


def _missing_symbols(frame: Frame) -> str:
    module = frame.module or "the executable"
    cure = "its .pdb beside it" if module.lower().endswith((".exe", ".dll")) else "a build with -g (RelWithDebInfo)"
    return f"no symbols for {module}: grouped by module and offset; {cure} gives names"


def _choose_thread(reading: Reading, rules: Rules) -> tuple[Thread | None, tuple[str, ...]]:
    """A freeze is aborted by a watchdog: the stack that counts is the world thread's."""
    if reading.word != FREEZE:
        return reading.crashed, ()
    threads = [each for each in (reading.crashed, *reading.others) if each is not None]
    world = find_world_thread(threads, rules)
    if world is not None:
        return world, (f"freeze: the stack is the world thread's{f' ({world.name})' if world.name else ''}",)
    return None, ("freeze without the world thread's stack: all of these count as one",)


def find_world_thread(threads: list[Thread], rules: Rules) -> Thread | None:
    """The thread that runs the world; where it waits for a map worker, that worker."""
    marked = [each for mark in rules.world for each in threads if _holds(each, mark)]
    busy = [each for each in marked if not _waits(each, rules)]
    return next(iter(busy or marked), None)


def _holds(thread: Thread, mark: re.Pattern[str]) -> bool:
    return any((name := normalise(frame.function)) and mark.fullmatch(name) for frame in thread.frames)


def _waits(thread: Thread, rules: Rules) -> bool:
    own = next((frame for frame in thread.frames if rules.is_own(frame)), None)
    return own is not None and rules.waiting.fullmatch(normalise(own.function) or "") is not None


# The machinery of dying that stands above the program's own frames says why, where no text does. The first decides.
_REASONS = (
    (PURE_VIRTUAL, frozenset({"__cxa_pure_virtual", "_purecall"})),
    (ASSERTION, frozenset({"Trinity::Assert", "Acore::Assert", "__assert_fail", "_wassert"})),
    (UNCAUGHT_EXCEPTION, frozenset({"std::terminate", "__clang_call_terminate", "_CxxThrowException", "__cxa_throw"})),
    (ABORT, frozenset({"Trinity::Abort", "Trinity::Fatal", "Trinity::Error", "Acore::Abort", "Acore::Fatal"})),
)


def _explain(reading: Reading, rules: Rules) -> Reading:
    """A bare signal whose stack shows what raised it."""
    if reading.word not in HOW or reading.assertion is not None or reading.crashed is None:
        return reading
    frames = reading.crashed.frames
    names = {name for frame in frames[: count_sentinels(frames, rules)] if (name := normalise(frame.function))}
    word = next((word for word, marks in _REASONS if names & marks), None)
    if word == UNCAUGHT_EXCEPTION:  # which one, the stack does not tell; the signal it ended with is none
        return replace(reading, word=word, exception=None)
    return replace(reading, word=word) if word else reading


def _is_hang(reading: Reading) -> bool:
    """SIGABRT that the program did not raise by itself: somebody wanted the stacks of a hang."""
    if reading.word != ABORT or reading.place is not None or reading.crashed is None:
        return False
    names = [name.lower() for frame in reading.crashed.frames if (name := normalise(frame.function))]
    inner = [name for name in names[:40] if "aborthandler" not in name]
    return len(inner) >= 2 and not any(part in name for name in inner for part in _ABORTING)
