"""The end of one life: what is left of it is moved aside, judged, told, and what follows is drawn from it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import assert_never

from pipeline.keeper import lives
from pipeline.keeper.book import Book, text_of
from pipeline.keeper.boot import is_same_boot
from pipeline.keeper.limits import is_good_life
from pipeline.keeper.memory import Fall, Held, Life, Memory, Refused, StopWhy, Trial, Who
from pipeline.keeper.process import Ended
from pipeline.keeper.protocol import Desired, EventKind, Exit, ExitVerdict, Hold, ReadyRule, RestartLimits
from pipeline.keeper.satisfaction import Staged, find_fallback, find_trial, is_overtaken
from pipeline.keeper.verdict import Circumstances, Consequence, Down, End, FallBack, Restart, judge, weigh
from pipeline.points import point


def bury(book: Book, life: Life, ended: Ended, lived: float, *, has_logs: bool = True) -> Exit:
    """Moves log and core aside and writes the EXITED event. `lived` in seconds; `has_logs` = the logs are still its."""
    folders = book.folders
    rule = book.wish.ready if book.wish else ReadyRule()
    if life.output:
        lives.bound_output(Path(life.output))
    log = lives.move_logs(rule.logs if has_logs else (), folders.server, folders.lives, life.started)
    core = _take_core(book, life, ended)
    point("exit.moved")
    end = observe_end(book, life, ended, log, core)
    exit_ = _write_down(book, life, end, lived, log, core)
    book.tell(EventKind.EXITED, **asdict(exit_))
    point("exit.told")
    return exit_


def _take_core(book: Book, life: Life, ended: Ended) -> Path | None:
    if not ended.below and (ended.dumped is False or (ended.status is not None and ended.status >= 0)):
        return None
    found = (lives.take_core(each, life.started, book.folders.server, book.folders.lives) for each in
             (*ended.below, life.pid))  # fmt: skip
    return next((each for each in found if each), None)


def observe_end(book: Book, life: Life, ended: Ended, log: Path | None, core: Path | None) -> End:
    """What is seen of an end, ready to be judged."""
    output = Path(life.output) if life.output else None
    # Where there is a core a shell's good word is its own: its last command was not the server.
    status = None if core and ended.below and (ended.status or 0) >= 0 else ended.status
    halted = status is None and lives.was_halted(log, output)
    return End(
        status=status,
        ready=life.ready_at is not None,
        asked=life.stopping is not None or _is_overtaken_in_order(book, life, status, halted),
        hung=life.stopping is not None and life.stopping.hung,
        same_boot=is_same_boot(life.boot, book.boot),
        halted=halted,
        core=core is not None,
        suspected=is_suspected(book.memory, life),
    )


def _is_overtaken_in_order(book: Book, life: Life, status: int | None, halted: bool) -> bool:
    """It ended by itself and in order while the wish had moved on: the start to come satisfies it."""
    in_order = status in (0, 2) or (status is None and halted)
    return in_order and book.wish is not None and is_overtaken(book.wish, life, book.memory.refused)


def is_suspected(memory: Memory, life: Life) -> bool:
    """This life replaced a build that died before ready. If it does too, neither build is to blame."""
    fall = memory.fall
    return fall is not None and fall.told and fall.before_ready and fall.bad != life.build


def _write_down(book: Book, life: Life, end: End, lived: float, log: Path | None, core: Path | None) -> Exit:
    return Exit(
        verdict=judge(end),
        at=time.time(),
        pid=life.pid,
        status=end.status,
        build=life.shown_build,
        revision=life.revision,
        generation=life.generation,
        ready_after=None if life.ready_at is None else max(0.0, life.ready_at - life.started),
        lived=lived,
        started=life.started,
        output=life.output,
        log=text_of(log),
        core=text_of(core),
        asked=_say_asked(life, end),
        deployment=find_life_trial(book.wish, life),
    )


def _say_asked(life: Life, end: End) -> str | None:
    if life.stopping:
        return life.stopping.text
    return "ended by itself after a newer wish" if end.asked else None


def find_life_trial(wish: Desired | None, life: Life) -> str | None:
    """The deployment on probation that this life is judged for; an executable put there by hand is not."""
    return find_trial(wish, life.build) if wish and not life.own else None


def draw(book: Book, life: Life, exit_: Exit, staged: Mapping[str, Staged]) -> None:
    """Writes what follows from an end into the memory: counts, back-off, a hold, a fallback."""
    trial = book.memory.trial
    case = _gather(book, life, exit_.ready_after, exit_.lived, staged)
    counts, consequence = weigh(exit_.verdict, book.memory.counts, case, exit_.at)
    if exit_.deployment and exit_.verdict is ExitVerdict.CRASH and case.ready:
        trial = Trial(exit_.deployment, case.trial_deaths + 1)
    book.remember(life=None, last_exit=exit_, counts=counts, trial=trial)
    _apply(book, life, exit_.at, consequence)


def draw_failed_spawn(book: Book, error: OSError, staged: Mapping[str, Staged]) -> None:
    """A program that cannot be run is weighed like one that ended before it was ready, for want of its surroundings."""
    placed, wish, now = book.memory.placed, book.wish, time.time()
    build = placed.manifest.build if placed else None
    life = Life("", now, book.boot, wish.generation if wish else 0, build=build, own=placed.own if placed else None)
    book.tell(EventKind.SPAWN_FAILED, error=str(error), build=life.shown_build, generation=life.generation)
    case = _gather(book, life, None, 0.0, staged)
    counts, consequence = weigh(ExitVerdict.STARTUP_ERROR, book.memory.counts, case, now)
    book.remember(counts=counts)
    _apply(book, life, now, consequence)


def _gather(
    book: Book, life: Life, ready_after: float | None, lived: float, staged: Mapping[str, Staged]
) -> Circumstances:
    wish = book.wish
    limits = wish.limits if wish else RestartLimits()
    trial = find_life_trial(wish, life)
    return Circumstances(
        limits=limits,
        ready=ready_after is not None,
        good_life=is_good_life(ready_after, lived, limits, wish.ready.timeout if wish else 0.0),
        not_ready_in_time=life.stopping is not None and life.stopping.why is StopWhy.NOT_READY,
        on_probation=trial is not None,
        trial_deaths=_count_trial_deaths(book.memory.trial, trial),
        has_fallback=wish is not None and find_fallback(wish, life.build, staged) is not None,
    )


def _count_trial_deaths(trial: Trial | None, deployment: str | None) -> int:
    return trial.deaths if trial and trial.deployment == deployment else 0


def _apply(book: Book, life: Life, now: float, consequence: Consequence) -> None:
    match consequence:
        case Restart(delay):
            book.remember(next_start=now + delay if delay else None)
        case Down(why, detail):
            hold(book, why, detail)
        case FallBack(why, before_ready):
            refused = Refused(life.build or "", find_trial(book.wish, life.build) if book.wish else None)
            fall = Fall(life.build, why, before_ready, deployment=refused.deployment)
            book.remember(refused=(*book.memory.refused, refused), fall=fall, next_start=None)
        case _:
            assert_never(consequence)


def hold(book: Book, why: Hold, detail: str, supervisor: Who | None = None) -> None:
    """The server stays down, and that is told."""
    wish = book.wish
    held = Held(why, detail, book.boot, wish.generation if wish else 0, supervisor=supervisor)
    if wish:
        held = replace(held, restart=wish.restart, build=wish.build.build if wish.build else None)
    book.remember(held=held, next_start=None)
    book.tell(EventKind.HELD, why=why.value, detail=detail)
