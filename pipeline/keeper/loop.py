"""The keeper's loop: observe, decide, act, until nothing is left to do; then sleep. Level-triggered throughout."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable

from pipeline.keeper import decision
from pipeline.keeper.actions import Actions
from pipeline.keeper.book import Book
from pipeline.keeper.decision import Action, Situation, decide
from pipeline.keeper.folders import Folders
from pipeline.keeper.launch import Launcher
from pipeline.keeper.placing import ExecutableSum, Placing
from pipeline.keeper.protocol import PROTOCOL, EventKind
from pipeline.keeper.renewal import Locks, allow_signals, renew
from pipeline.keeper.stage import StageOutcome
from pipeline.keeper.tending import Tending
from pipeline.keeper.tenure import Tenure
from pipeline.keeper.wake import Wake
from pipeline.keeper.wishes import Unreadable, WishFile
from pipeline.keeper.worker import Worker

_ASKING = 0.1  # seconds: how soon a new wish is noticed where the folder has to be asked
_TOLD = 1.0  # seconds between two looks where the folder tells by itself
_BUSY = 0.02  # seconds between two looks at a server that starts or stops
_LONG = 30.0  # seconds after which they are looked at as seldom as an idle one
_LOOK_AGAIN = 5.0  # seconds after which everything is decided anew, even if nothing was seen to change
_AFTER_FAULT = 1.0  # seconds
_MOST_STEPS = 50  # decisions in one go; more would be a quarrel between two rules
_LEAVE_SIGNALS = ("SIGTERM", "SIGINT", "SIGBREAK")
_RENEW_SIGNAL = "SIGHUP"
EXIT_OTHER_KEEPER = 3


class Keeper:
    """One life of the keeper."""

    def __init__(self, folders: Folders, locks: Locks, *, foreground: bool = False) -> None:
        """`foreground`: whoever started it starts it again, and not the bot."""
        self._book = Book(folders)
        self._wake = Wake()
        self._wishes = WishFile(folders)
        self._tending = Tending(self._book, self._wake)
        launcher, worker = Launcher(self._book), Worker(self._wake)
        self._worker = worker
        self._placing = Placing(self._book, launcher, worker)
        self._actions = Actions(self._book, self._tending, launcher, self._placing, worker, locks.server)
        self._tenure = Tenure(folders, locks.keeper, locks.state, foreground=foreground)
        self._signals: dict[str, bool] = {}
        self._due = 0.0  # when to decide even if nothing changes, monotonic seconds: a clock can be set
        self._left = False
        self._code = 0

    def run(self) -> int:
        """Until a signal ends it: 0, or another keeper has its folder: 3."""
        self._wake.listen_to_signals((*_LEAVE_SIGNALS, _RENEW_SIGNAL), self._signals)
        self._wake.listen_to_folder(self._book.folders.state)
        allow_signals()
        gc.freeze()  # what was imported stays: no collection of it may stand before a restart
        self._guard(self._begin)
        while not self._left:
            self._guard(self._tick)
            if not self._left:
                self._wake.sleep(self._choose_sleep(), self._tending.server)
        return self._code

    def _guard(self, step: Callable[[], None]) -> None:
        """A bug of ours is written down, and the server stays looked after."""
        try:
            step()
        except Exception:
            self._book.note_fault(traceback.format_exc())
            time.sleep(_AFTER_FAULT)

    def _begin(self) -> None:
        server = str(self._book.folders.server)
        self._book.tell(EventKind.KEEPER_STARTED, protocol=PROTOCOL, boot=self._book.boot, server_dir=server)
        self._read_wish()
        if self._book.wish is None and (copy := self._wishes.read_copy()):
            self._actions.accept(copy)
        self._actions.begin()

    def _tick(self) -> None:
        if self._withdraws():
            return
        changed = self._observe()
        if not changed and time.monotonic() < self._due and not self._signals:
            return
        if self._decide_all():
            return
        self._actions.settle()
        if self._signals.pop(_RENEW_SIGNAL, False):
            self._renew()

    def _decide_all(self) -> bool:
        """Until nothing is left to do. True when the keeper has left."""
        for _ in range(_MOST_STEPS):
            if self._withdraws():  # it may have been stopped anywhere, for hours
                return True
            action = decide(self._view())
            self._due = _find_due(action)
            if isinstance(action, decision.Leave):
                self._leave()
                return True
            if not self._actions.act(action):
                break
            self._observe()
        return False

    def _observe(self) -> bool:
        """True when something changed."""
        changed = [self._read_wish(), self._take_results(), self._actions.bury_the_dead()]
        return any((*changed, self._tending.look(self._placing.staged)))

    def _read_wish(self) -> bool:
        found = self._wishes.read_if_changed()
        if found is None or found == self._book.wish:
            return False
        if isinstance(found, Unreadable):
            self._book.tell(EventKind.WISH_UNREADABLE, error=found.error)
        else:
            self._wishes.keep(found)
            self._actions.accept(found)
        return True

    def _take_results(self) -> bool:
        results = self._worker.take()
        for each in results:
            if isinstance(each, StageOutcome):
                self._placing.note_staged(each)
            elif isinstance(each, ExecutableSum):
                self._placing.note_executable(each)
            elif isinstance(each, Exception):
                self._book.note_fault("".join(traceback.format_exception(each)))
        return bool(results)

    def _view(self) -> Situation:
        memory, now = self._book.memory, time.time()
        return Situation(
            now=now,
            boot=self._book.boot,
            wish=self._book.wish,
            leaving=next((name for name in _LEAVE_SIGNALS if self._signals.get(name)), None),
            life=memory.life,
            placed=memory.placed.manifest.build if memory.placed else None,
            held=memory.held,
            next_start=self._bound_next_start(now),
            looked_at=self._actions.looked_at,
            refused=memory.refused,
            staged=self._placing.staged,
        )

    def _bound_next_start(self, now: float) -> float | None:
        """A clock that was set back must not stretch a back-off: the earlier instant is remembered in its place."""
        at, latest = self._book.memory.next_start, now + (self._book.wish.limits.cap if self._book.wish else 0.0)
        if at is not None and at > latest:
            self._book.remember(next_start=latest)
        return self._book.memory.next_start

    def _choose_sleep(self) -> float:
        life = self._book.life
        moving = life is not None and (life.stopping is not None or life.ready_at is None)
        if moving:
            longest = _BUSY if self._tending.age_of_phase < _LONG else _ASKING
        else:
            longest = _TOLD if self._wake.hears else _ASKING
        return max(0.0, min(longest, self._due - time.monotonic()))

    def _renew(self) -> None:
        try:
            renew(self._tenure.lock, self._actions.server_lock, self._tenure.state_lock)
        except OSError as fault:
            self._book.note_fault(f"cannot replace itself: {fault}")

    def _leave(self) -> None:
        why = next(name for name in _LEAVE_SIGNALS if self._signals.get(name))
        self._book.tell(EventKind.KEEPER_STOPPED, why=why)
        self._actions.settle()
        self._left = True

    def _withdraws(self) -> bool:
        """Where another keeper has come: the server is its by now, and nothing of it is touched."""
        if self._tenure.hold():
            return False
        self._book.tell(EventKind.KEEPER_STOPPED, why="another keeper looks after the server now")
        self._left, self._code = True, EXIT_OTHER_KEEPER
        return True


def _find_due(action: Action) -> float:
    wait = _LOOK_AGAIN
    if isinstance(action, decision.Rest) and action.until:
        wait = min(wait, max(0.0, action.until - time.time()))
    return time.monotonic() + wait
