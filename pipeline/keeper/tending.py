"""Looking after one living server: is it ready, is it late, does its stop get on."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pipeline.keeper.book import Book
from pipeline.keeper.burial import find_life_trial
from pipeline.keeper.ladder import StopView, climb
from pipeline.keeper.lives import bound_output, list_logs
from pipeline.keeper.memory import Life, Rung, Stopping, StopWhy
from pipeline.keeper.process import Ended
from pipeline.keeper.protocol import EventKind, ReadyRule
from pipeline.keeper.ready import ReadyWatch, Tail, is_late, measure_progress
from pipeline.keeper.satisfaction import Staged, find_fallback
from pipeline.keeper.server import Server
from pipeline.keeper.wake import Wake
from pipeline.keeper.wrapping import name_processes
from pipeline.points import point

_LEARNED = 5  # starts remembered
_BOUND_EVERY = 0.5  # seconds between two looks at the length of the output


class Tending:
    """Of one server at a time."""

    def __init__(self, book: Book, wake: Wake) -> None:
        self._book = book
        self._wake = wake
        self.server: Server | None = None
        self._watch: ReadyWatch | None = None
        self._ruled_anew = False  # its ready rule came after its start: how long it takes is not seen any more
        self._born = 0.0  # monotonic; for an adopted one computed from its age
        self._on_rung_since = 0.0  # monotonic
        self._progress: object = None
        self._progress_at = 0.0  # monotonic
        self._next_bound = 0.0  # monotonic
        self._floods = False  # its output had to be cut: that it grows says nothing of the server's progress

    def mark_log_ends(self) -> list[Tail]:
        """Before a start: what the logs hold now is an earlier life's."""
        return [Tail(path, from_end=True) for path in list_logs(self._rule.logs, self._book.folders.server)]

    def take_charge(self, server: Server, life: Life, ends: Iterable[Tail] = ()) -> None:
        """From now on this is the server; its log begins where the marked ends are."""
        self.server, self._floods, self._ruled_anew = server, False, False
        self._born = time.monotonic() - max(0.0, time.time() - life.started)
        self._note_progress()
        self._watch = self._make_watch(life)
        self._watch.begin_at(ends)
        if life.stopping:  # the keeper before us may have died before its signal was sent
            self._step(life.stopping.rung)

    def _make_watch(self, life: Life) -> ReadyWatch:
        output = Path(life.output) if life.output else None
        return ReadyWatch(self._rule, self._book.folders.server, output, life.started)

    def follow_new_rule(self) -> None:
        """A wish with another ready rule: a start under way is measured by it, from the beginning of its logs."""
        if self._book.life and self._book.life.ready_at is None:
            self._watch, self._ruled_anew = self._make_watch(self._book.life), True

    @property
    def _rule(self) -> ReadyRule:
        return self._book.wish.ready if self._book.wish else ReadyRule()

    @property
    def age(self) -> float:
        """Seconds since the server was spawned."""
        return time.monotonic() - self._born

    @property
    def age_of_phase(self) -> float:
        """Seconds since the start, or since the last step of the stop."""
        return min(self.age, time.monotonic() - self._on_rung_since)

    def poll(self) -> Ended | None:
        """How it ended, None while it lives or nobody is there."""
        return self.server.poll() if self.server else None

    def let_go(self) -> None:
        """It has ended."""
        if self.server:
            self._wake.forget()
            self.server.close()
        self.server = self._watch = None

    def look(self, staged: dict[str, Staged]) -> bool:
        """One look at a start or a stop. True when something changed."""
        life = self._book.life
        if life is None or self.server is None:
            return False
        self._bound_output(life)
        if life.stopping:
            return self._look_at_stop(self.server, life.stopping)
        if life.ready_at is None:
            return self._look_at_start(life, staged)
        return False

    def _bound_output(self, life: Life) -> None:
        """A server that floods its output must not fill the disk."""
        if life.output and time.monotonic() >= self._next_bound:
            self._next_bound = time.monotonic() + _BOUND_EVERY
            self._floods = bound_output(Path(life.output)) or self._floods

    def _look_at_start(self, life: Life, staged: dict[str, Staged]) -> bool:
        now = time.time()
        if self._watch and self._book.is_hindered:
            self._watch.note_loss()
        if self._watch and self._watch.look(now, life.pid):
            point("ready.seen")
            self._note_ready(life, now, self._watch)
            return True
        if life.timed_out or not is_late(self._rule, self._get_learned(), self.age, self._measure_quiet()):
            return False
        self._note_late(staged)
        return True

    def _get_learned(self) -> float | None:
        return max(self._book.memory.learned, default=None)

    def _note_ready(self, life: Life, now: float, watch: ReadyWatch) -> None:
        book, found = self._book, watch.revision
        life = book.change_life(
            ready_at=now,
            revision=found.hash if found else None,
            revision_line=found.line if found else None,
        )
        if not life.adopted and not self._ruled_anew:
            book.remember(learned=(*book.memory.learned, self.age)[-_LEARNED:])
        fall = book.memory.fall
        if fall and fall.bad != life.build:
            book.remember(fall=None)  # proven
        book.tell(
            EventKind.READY,
            pid=life.pid,
            seconds=self.age,
            build=life.shown_build,
            revision=life.revision,
            generation=book.wish.generation if book.wish else life.generation,
            deployment=life.deployment,
        )

    def _note_late(self, staged: dict[str, Staged]) -> None:
        life = self._book.change_life(timed_out=True)
        wish = self._book.wish
        trial = find_life_trial(wish, life) is not None
        self._book.tell(
            EventKind.READY_TIMEOUT,
            pid=life.pid,
            seconds=self.age,
            build=life.shown_build,
            trial=trial,
            detail=self._watch.explain(life.pid) if self._watch else "",
        )
        # Without probation it is only told: a wrong pattern must not end a server that people play on.
        if wish and trial and find_fallback(wish, life.build, staged):
            self.stop(StopWhy.NOT_READY, f"not ready after {self.age:.0f} s")

    def stop(self, why: StopWhy, text: str) -> None:
        """Begins the stop. Noted before the signal, so that its end is never taken for a crash."""
        self._book.change_life(stopping=Stopping(why, text))
        self._tell_rung(Rung.SIGNAL)
        self._book.save()
        point("stop.noted")
        self._step(Rung.SIGNAL)
        point("stop.signalled")

    def _look_at_stop(self, server: Server, stopping: Stopping) -> bool:
        view = StopView(
            why=stopping.why,
            rung=stopping.rung,
            since=time.monotonic() - self._on_rung_since,
            quiet=min(self._measure_quiet(), time.monotonic() - self._on_rung_since),
            timeout=self._book.wish.stop_timeout if self._book.wish else 600.0,
            dumping=stopping.rung is Rung.STACKS and server.is_dumping(),
            stacks=server.leaves_stacks,
        )
        rung = climb(view)
        if rung is None:
            server.follow_stop()
            return False
        self._climb_to(rung, stopping)
        return True

    def _climb_to(self, rung: Rung, stopping: Stopping) -> None:
        if rung is not stopping.rung:
            self._book.change_life(stopping=replace(stopping, rung=rung, hung=True))
            self._tell_rung(rung)
            self._book.save()
            point(f"stop.{rung.value}")
        self._step(rung)

    def _tell_rung(self, rung: Rung) -> None:
        life = self._book.life
        if life and life.stopping:
            wrapped = name_processes(self.server.list_wrapped()) if self.server else []
            self._book.tell(
                EventKind.STOPPING, pid=life.pid, why=life.stopping.text, rung=rung.value,
                **({"wrapped": wrapped} if wrapped else {}),
            )  # fmt: skip

    def _step(self, rung: Rung) -> None:
        self._on_rung_since = time.monotonic()
        self._note_progress()
        if self.server is None:
            return
        match rung:
            case Rung.SIGNAL:
                self.server.ask_to_stop()
            case Rung.STACKS:
                self.server.take_stacks()
            case Rung.KILL:
                self.server.end_tree()

    def _measure_quiet(self) -> float:
        """Seconds since log or output last grew."""
        if self._measure() != self._progress:
            self._note_progress()
        return time.monotonic() - self._progress_at

    def _note_progress(self) -> None:
        self._progress, self._progress_at = self._measure(), time.monotonic()

    def _measure(self) -> object:
        life = self._book.life
        output = Path(life.output) if life and life.output and not self._floods else None
        return measure_progress(self._rule, self._book.folders.server, output)
