"""What the keeper does once it is decided: start, stop, hold, release, adopt. Files of builds are `placing`'s."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from pipeline.keeper import adoption, decision, lives, locks
from pipeline.keeper.adoption import Adopt, Finding, KeepOff, Nobody
from pipeline.keeper.book import Book
from pipeline.keeper.burial import bury, draw, draw_failed_spawn, hold
from pipeline.keeper.decision import Action
from pipeline.keeper.journal import list_recent
from pipeline.keeper.launch import Launcher
from pipeline.keeper.limits import Counts
from pipeline.keeper.locks import Lock
from pipeline.keeper.memory import Life
from pipeline.keeper.placing import Placing
from pipeline.keeper.process import Ended, is_alive
from pipeline.keeper.protocol import Desired, EventKind, Exit, ExitVerdict, Hold
from pipeline.keeper.satisfaction import asks_for_start, keep_refused
from pipeline.keeper.server import Server, is_child
from pipeline.keeper.tending import Tending
from pipeline.keeper.worker import Worker
from pipeline.points import point

_LEFTOVERS = 1.0  # seconds for what a dead server left to let go of its lock
_LOCK_STEP = 0.01  # seconds
_SURE = 1.0  # seconds for which it holds that nobody else started the server; who was stopped meanwhile looks again
_AT_ONCE = (ExitVerdict.CRASH, ExitVerdict.RESTART)


class Actions:
    """Each method does one thing and leaves the world in a state that `decide` understands."""

    def __init__(
        self, book: Book, tending: Tending, launcher: Launcher, placing: Placing, worker: Worker, lock: Lock | None
    ) -> None:
        self._book = book
        self._tending = tending
        self._launcher = launcher
        self._placing = placing
        self._worker = worker
        self.server_lock = lock  # None while a server that an earlier keeper started holds it
        self._at_once = False  # the server died a moment ago: nothing may stand before its restart
        self._sure_since = 0.0  # monotonic: when it was certain that no server of this folder lives
        self._ended: list[str] = []  # lives whose leftovers are still to be ended
        self._reason = "keeper started"
        self._left: list[Path] = []  # what the dead server left, until it is synced
        self._launched = False
        self.looked_at = 0.0  # when a living server was last looked for, seconds since the epoch

    def begin(self) -> None:
        """What the keeper before us left: a living server, or one whose end nobody has told."""
        if self._book.life and adoption.is_elsewhere(self._book, self._book.life):
            self._book.remember(life=None)
        remembered = self._book.life
        living = self._find_living(remembered)
        if remembered and (living is None or living.id != remembered.id):
            self._bury_unseen(remembered)
        if living:
            self._adopt(living)
        elif self.server_lock:
            if lost := adoption.find_lost_life(self._book):
                self._bury_unseen(lost)
            self._placing.mend()

    def _find_living(self, remembered: Life | None) -> Life | None:
        if remembered and (adoption.lives_on(remembered) or is_child(remembered.pid)):
            return remembered
        return None if self.server_lock else adoption.wait_for_marked(self._book, lambda: bool(self._try_lock()))

    def _bury_unseen(self, life: Life) -> None:
        book = self._book
        told = adoption.find_told_exit(list_recent(book.folders.events), life)
        book.remember(life=life)
        logs = lives.list_logs(book.wish.ready.logs if book.wish else (), book.folders.server)
        exit_ = told or bury(book, life, Ended(None), adoption.estimate_lived(life, logs))
        draw(book, life, exit_, self._placing.staged)
        self._note_ended(life, exit_)

    def _note_ended(self, life: Life, exit_: Exit) -> None:
        if not adoption.has_gone_away(exit_):
            self._ended.append(life.id)

    def _adopt(self, life: Life) -> None:
        server = Server.attach(life.pid, self._book.folders.server, marked=life.marked)
        if server.adopted and not adoption.lives_on(life):  # it ended while it was looked at
            server.close()
            self._bury_unseen(life)
            return
        life = replace(life, adopted=server.adopted)
        self._book.remember(life=life, next_start=None)
        if self._book.memory.held:
            self._release("a living server was found")
        if server.adopted:
            self._book.tell(EventKind.ADOPTED, pid=life.pid, build=life.shown_build, ours=life.marked)
        self._tending.take_charge(server, life)

    def bury_the_dead(self) -> bool:
        """If the server has ended. True then."""
        looked = time.monotonic()
        life, ended = self._book.life, self._tending.poll()
        if life is None or ended is None:
            return False
        point("exit.seen")
        lived = self._tending.age
        self._tending.let_go()
        if heir := adoption.find_heir(self._book, life, ended):
            self._adopt(heir)
            return True
        self._sure_since = looked
        # Whoever was stopped for a while may find another server there, whose logs those are by now.
        late = time.monotonic() - looked > _SURE and not isinstance(self._look_around(), Nobody)
        exit_ = bury(self._book, life, ended, lived, has_logs=not late)
        draw(self._book, life, exit_, self._placing.staged)
        self._note_ended(life, exit_)
        self._at_once = exit_.verdict in _AT_ONCE
        self._reason = f"after {exit_.verdict.value}"
        self._left = [Path(each) for each in (exit_.output, exit_.log, exit_.core) if each]
        return True

    def act(self, action: Action) -> bool:
        """Does it. False when there is nothing to decide before the next wake-up."""
        self._book.swapping = isinstance(action, decision.Prepare | decision.Swap)
        match action:
            case decision.Rest() | decision.Watch() | decision.Prepare() | decision.Leave():
                return False
            case decision.Stop(why, text):
                self._tending.stop(why, text)
            case decision.Stage(manifest):
                self._placing.stage(manifest)
            case decision.Relabel(manifest, deployment):
                self._placing.relabel(manifest, deployment)
            case decision.Swap(manifest, deployment):
                self._placing.swap(manifest, deployment)
            case decision.Release(why):
                self._release(why)
            case decision.HoldDown(why, detail):
                hold(self._book, why, detail)
            case decision.LookAround():
                self._look_while_held()
            case decision.Start():
                self._start()
            case _:
                assert_never(action)
        return True

    def _release(self, why: str) -> None:
        refused = tuple(each for each in self._book.memory.refused if each.deployment)
        self._book.remember(held=None, counts=Counts(), next_start=None, refused=refused)
        self._book.tell(EventKind.RELEASED, why=why)
        self._reason = why

    def _start(self) -> None:
        point("start.prepared")
        if not self._at_once and self._find_other():
            return
        lock = self._get_lock()
        if lock is None:
            return
        if not self._placing.mend():
            hold(self._book, Hold.SWAP, f"the files fit neither build; {self._book.folders.swap} names them")
            return
        self._tell_fall()
        if time.monotonic() - self._sure_since < _SURE or not self._find_other():
            self._spawn(lock)

    def _spawn(self, lock: Lock) -> None:
        book = self._book
        if book.wish and not self._at_once:
            lives.move_stale_logs(book.wish.ready.logs, book.folders.server, book.folders.lives)
        ends = self._tending.mark_log_ends()
        try:
            server = self._launcher.launch(lock.handle, self._reason)
        except OSError as fault:
            draw_failed_spawn(book, fault, self._placing.staged)
            return
        if book.life:
            self._tending.take_charge(server, book.life, ends)
        self._launched = True

    def _tell_fall(self) -> None:
        """A fallback is told when it is about to run, not when it was meant."""
        fall, placed = self._book.memory.fall, self._book.memory.placed
        if fall is None or fall.told:
            return
        if placed is None or placed.manifest.build == fall.bad:
            self._book.remember(fall=None)  # it could not be had: the same build is started again
            return
        self._book.remember(fall=replace(fall, told=True))
        told = {"build": placed.shown_build, "bad": fall.bad, "deployment": fall.deployment, "why": fall.why}
        self._book.tell(EventKind.FELL_BACK, **told)

    def _find_other(self) -> bool:
        """Looks for a living server of this folder. True when there is one, adopted or kept off."""
        finding = self._look_around()
        match finding:
            case Adopt(life):
                self._adopt(life)
            case KeepOff():
                self._keep_off(finding)
            case Nobody():
                self._sure_since = time.monotonic()
                return False
            case _:
                assert_never(finding)
        return True

    def _look_around(self) -> Finding:
        wish, executable = self._book.wish, self._launcher.executable
        if wish is None or executable is None:
            return Nobody()
        return adoption.look_around(self._book, executable, wish.command)

    def _keep_off(self, finding: KeepOff) -> None:
        supervisor = finding.supervisor
        detail = f"process {finding.pid} runs this server, looked after by {supervisor.name}"
        self._book.tell(EventKind.FOREIGN, detail=detail, pid=finding.pid, supervisor=supervisor.name)
        hold(self._book, Hold.FOREIGN, detail, supervisor.who)
        self.looked_at = time.time()

    def _look_while_held(self) -> None:
        """A server that lives ends the hold; one against another supervisor ends when that is gone."""
        self.looked_at = time.time()
        held = self._book.memory.held
        if held and held.supervisor and is_alive(held.supervisor):
            return
        finding = self._look_around()
        if isinstance(finding, Adopt):
            self._adopt(finding.life)
        elif held and held.why is Hold.FOREIGN and isinstance(finding, Nobody) and self._try_lock():
            self._release("the other supervisor is gone")

    def _try_lock(self) -> Lock | None:
        path, held = self._book.folders.server_lock, self.server_lock
        if held is None or not held.is_of(path):
            self.server_lock = locks.acquire(path)
        return self.server_lock

    def _get_lock(self) -> Lock | None:
        """server.lock; None when a living server has it, which is then adopted, or held for."""
        if self._try_lock():
            return self.server_lock
        if life := adoption.find_marked(self._book):
            self._adopt(life)
            return None
        deadline = time.monotonic() + _LEFTOVERS
        while time.monotonic() < deadline:  # what a dead server left has just been ended
            if self._try_lock():
                return self.server_lock
            time.sleep(_LOCK_STEP)
        detail = f"{self._book.folders.server_lock} is held by {locks.name_holder(self._book.folders.server_lock)}"
        self._book.tell(EventKind.FOREIGN, detail=detail)
        hold(self._book, Hold.FOREIGN, detail)
        return None

    def accept(self, wish: Desired) -> None:
        """A wish that was read. One that was obeyed before, by the keeper before us, lifts nothing again."""
        book, old = self._book, self._book.wish
        book.wish = wish
        if wish.generation != book.memory.accepted:
            self._accept_new(wish, old)
        if old is None or old.ready != wish.ready:
            self._tending.follow_new_rule()
        self._placing.follow(wish)
        self._launcher.prepare()

    def _accept_new(self, wish: Desired, old: Desired | None) -> None:
        memory = self._book.memory
        self._book.remember(accepted=wish.generation, refused=keep_refused(wish, memory.refused))
        if asks_for_start(wish, old):
            self._book.remember(next_start=None)
            self._reason = f"{wish.by}: {wish.reason}"
        if wish.lift_hold and memory.held is None:
            self._book.remember(counts=Counts())

    def settle(self) -> None:
        """Nothing is urgent any more: what was done is saved, and the next start prepared."""
        self._at_once = False
        self._launcher.prepare()
        self._placing.close_if_saved(self._book.save())
        if self._left:
            left, self._left = self._left, []
            self._worker.add(lambda: lives.keep_safe(left))
        if self._launched:
            self._launched = False
            point("start.noted")
            self._placing.check_executable()
            self._worker.add(self._prune)
        if self._ended:
            ended, self._ended = tuple(self._ended), []
            self._worker.add(lambda: adoption.end_leftovers(self._book.folder_id, ended))

    def _prune(self) -> None:
        folders, wish = self._book.folders, self._book.wish
        if wish:
            lives.prune(folders.lives, folders.server, wish.keep_cores, wish.ready.logs)
