"""The bot's end of the keeper's files, and the keeper's start (KEEPER.md, "Who starts it")."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import psutil

from pipeline.adapters.event_log import EventLog
from pipeline.adapters.halted import find_halt, goes_on, lives
from pipeline.adapters.keeper_process import is_locked, keeper_environment, start_keeper
from pipeline.errors import TransientError
from pipeline.keeper.foreign import list_marked, make_folder_id
from pipeline.keeper.protocol import (
    DESIRED,
    EVENTS,
    KEEPER_LOCK,
    KEEPER_NOTE,
    LOCK_FOLDER,
    OBSERVED,
    Desired,
    Event,
    EventKind,
    KeeperNote,
    Observed,
    ProtocolError,
    from_json,
    replace_file,
    to_json,
)
from pipeline.obstacles import CURE
from pipeline.ports import Halt, Halted, Keeper
from pipeline.status_models import Left, Stale

_OTHERS_LOOKS = 5  # of the bot's, each some seconds apart, until it starts a keeper in a service manager's stead
_STARTS = 3  # tries of one `ensure`: two bots' keepers may meet at the lock
_PATIENCE = 15.0  # seconds until a started keeper must hold its lock
_LOOK = 0.005  # seconds between two looks meanwhile
_SETTLING = 0.3  # seconds within which a keeper at work reports what it saw
_BUSY_TRIES = 40  # on Windows a file that somebody reads at this moment cannot be replaced

T = TypeVar("T")

_log = logging.getLogger(__name__)


class FileKeeper(Keeper):
    """`ports.Keeper` over the files in STATE_DIR and the lock in SERVER_DIR."""

    def __init__(
        self,
        state_dir: Path,
        server_dir: Path,
        *,
        withhold: Iterable[str] = (),  # names of our settings and of ANALYST_ENV: no keeper, and no core, has them
        python: str = sys.executable,
        environ: Mapping[str, str] | None = None,  # None = ours
    ) -> None:
        self._state_dir = state_dir.absolute()
        self._server_dir = server_dir.absolute()
        self._withhold = tuple(withhold)
        self._python = python
        self._environ = os.environ if environ is None else environ
        self._events = EventLog(state_dir / EVENTS)
        self._child: subprocess.Popen[bytes] | None = None  # the keeper that we started, to be reaped
        self._left_to_others = 0  # looks for which a keeper that died is somebody else's to start again

    @property
    def log(self) -> Path:
        """Where a keeper that we started writes."""
        return self._state_dir / "logs" / "keeper.log"

    def ensure(self) -> bool:
        """Raises TransientError where none can be started. One that a service manager had started, and that died while
        we looked on, is left to it for some looks: what it starts then is the server's parent, and ends it in order."""
        if self.alive():
            self._left_to_others = _OTHERS_LOOKS
            return False
        if self._left_to_others and self._was_in_foreground():
            self._left_to_others -= 1
            return False
        if (words := self.find_elsewhere()) is not None:
            raise TransientError(words)
        for _ in range(_STARTS):
            child = self._start()
            status = self._await_lock(child)
            if status is None:
                return True
            if self.alive():
                return False  # somebody else's was faster
        raise TransientError(f"the keeper ended at once with {status}: {self._last_words()}")

    def _was_in_foreground(self) -> bool:
        note = self._read(KeeperNote, self._server_dir / LOCK_FOLDER / KEEPER_NOTE)
        return note is not None and note.foreground

    def desired(self) -> Desired | None:
        """Where the file is lost or spoilt, what the keeper remembers of it: generations must not begin again."""
        own, remembered = self._state_dir / DESIRED, self._server_dir / LOCK_FOLDER / DESIRED
        return self._read(Desired, own) or self._read(Desired, remembered)

    def wish(self, desired: Desired) -> None:
        """Raises OSError where it cannot be written."""
        self._state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        _insist(lambda: replace_file(self._state_dir / DESIRED, to_json(desired)))

    def observed(self) -> Observed | None:
        return self._read(Observed, self._state_dir / OBSERVED)

    def alive(self) -> bool:
        if self._child is not None:
            self._child.poll()
        locked = is_locked(self._server_dir / LOCK_FOLDER / KEEPER_LOCK)
        if locked is None:
            observed = self.observed()
            return observed is not None and psutil.pid_exists(observed.keeper_pid)
        return locked or self._takes_again()

    def _takes_again(self) -> bool:
        """Whether our keeper lives and only its lock in SERVER_DIR was removed: it makes a new one within a second."""
        return bool(is_locked(self._state_dir / KEEPER_LOCK)) and self._find_other_folder(self.observed()) is None

    def is_current(self, observed: Observed) -> bool:
        if not self.alive() or self._find_halted_keeper() is not None:
            return False
        note = self._read_note()
        if note is not None and note.pid != observed.keeper_pid:  # a keeper that has not looked yet
            return False
        return observed.pid is None or goes_on(observed.pid, observed.create_time or 0.0)

    def find_halt(self) -> Halt | None:
        if not self.alive() and (words := self.find_elsewhere()) is not None:
            return Halt(Halted.KEEPER, words)
        return self._find_halted_keeper() or self._find_halted_server()

    def find_stale(self) -> Stale | None:
        deadline = time.monotonic() + _SETTLING
        while (stale := self._look_for_stale()) is not None and time.monotonic() < deadline:
            time.sleep(_LOOK)
        return stale

    def _look_for_stale(self) -> Stale | None:
        seen, note = self.observed(), self._read_note()
        if seen is None or self.find_halt() is not None or not self.alive() or self.is_current(seen):
            return None
        runs = seen.pid is not None and lives(seen.pid, seen.create_time or 0.0)
        server = seen.pid if runs else self._find_server()
        return Stale(seen.at, note.pid if note else seen.keeper_pid, None if runs else seen.pid, server)

    def _find_server(self) -> int | None:
        """By our mark. What a server starts has it too, and is younger."""
        found = [each.who for each in list_marked(make_folder_id(self._server_dir.resolve()))]
        return min(found, key=lambda who: who.create_time).pid if found else None

    def find_left(self) -> Left | None:
        seen = self.observed()
        if seen is None or self.alive():
            return None
        runs = seen.pid is not None and lives(seen.pid, seen.create_time or 0.0)
        last = next(reversed(EventLog(self._state_dir / EVENTS).read(None)), None)
        told = last is not None and last.kind == EventKind.KEEPER_STOPPED
        return Left(told and not runs, last.at if last else seen.at, seen.pid if runs else None)

    def find_elsewhere(self) -> str | None:
        """Who of this state folder works in another SERVER_DIR, and what to do; None = nobody does."""
        seen = self.observed()
        folder = self._find_other_folder(seen)
        if seen is None or folder is None:
            return None
        back = f"SERVER_DIR is {self._server_dir}. Set it back to {folder}"
        if self._is_kept(folder):
            return (
                f"the keeper of this state folder (process {seen.keeper_pid}) looks after the server in {folder}, but "
                f"{back}, or end process {seen.keeper_pid} first: it stops its server in order and ends"
            )
        if seen.pid is None or not lives(seen.pid, seen.create_time or 0.0) or _runs_in(seen.pid, self._server_dir):
            return None
        return (
            f"the server in {folder} (process {seen.pid}) still runs and no keeper looks after it, but {back}, where "
            f"it is looked after again, or end process {seen.pid} first"
        )

    def _find_other_folder(self, seen: Observed | None) -> Path | None:
        """Where the last keeper of our state folder worked; None = in ours. Earlier versions said it in the wish only,
        which is not written while they live."""
        if seen is None:
            return None
        wished = None if seen.server_dir else self._read(Desired, self._state_dir / DESIRED)
        named = seen.server_dir or (wished.server_dir if wished else "")
        folder = Path(named).resolve() if named else None
        return None if folder is None or folder == self._server_dir.resolve() else folder

    def _is_kept(self, folder: Path) -> bool:
        """Whether a keeper of our state folder looks after another folder; the lock there alone could be of another
        state folder's."""
        if is_locked(self._state_dir / KEEPER_LOCK):
            return True
        note = self._read_note(folder)
        ours = note is None or Path(note.state_dir) == self._state_dir.resolve()
        return ours and bool(is_locked(folder / LOCK_FOLDER / KEEPER_LOCK))

    def _find_halted_keeper(self) -> Halt | None:
        """Only one that has said who it is."""
        note = self._read_note()
        if note is None:
            return None
        if (cure := find_halt(note.pid, note.create_time)) is not None:
            text = f"the keeper (process {note.pid}) is stopped: what dies now stays dead. {cure}"
        elif Path(note.state_dir) != self._state_dir.resolve():
            text = (
                f"the keeper of SERVER_DIR (process {note.pid}) works for another bot, whose STATE_DIR is "
                f"{note.state_dir}: this one sees and changes nothing of the server. End that bot and its keeper, or "
                "this bot"
            )
        else:
            return None
        return Halt(Halted.KEEPER, text)

    def _find_halted_server(self) -> Halt | None:
        seen = self.observed()
        if seen is None or seen.pid is None or seen.create_time is None:
            return None
        cure = find_halt(seen.pid, seen.create_time)
        text = f"the server (process {seen.pid}) is stopped: nobody can play on it. {cure}"
        return Halt(Halted.SERVER, text) if cure else None

    def _read_note(self, folder: Path | None = None) -> KeeperNote | None:
        """Of the keeper that lives; in our SERVER_DIR where no other is named."""
        note = self._read(KeeperNote, (folder or self._server_dir) / LOCK_FOLDER / KEEPER_NOTE)
        return note if note is not None and lives(note.pid, note.create_time) else None

    def events(self, after: tuple[str, int] | None) -> list[Event]:
        return self._events.read(after)

    def _start(self) -> subprocess.Popen[bytes]:
        env = keeper_environment(self._environ, self._withhold, sys.platform)
        try:
            self._child = start_keeper(self._python, self._state_dir, self._server_dir, env, self.log)
        except OSError as fault:
            gone = not Path(self._python).exists()
            cure = f"{CURE}install Spirit Healer again where it was, then start it anew" if gone else ""
            raise TransientError(f"{fault}{cure}") from fault
        return self._child

    def _await_lock(self, child: subprocess.Popen[bytes]) -> int | None:
        """None once the lock is held, the exit code if the keeper ended instead."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if child.poll() is not None:
                return child.returncode
            if self.alive():
                return None
            time.sleep(_LOOK)
        raise TransientError(f"the keeper does not take its lock: see {self.log}")

    def _read(self, shape: type[T], path: Path) -> T | None:
        try:
            return from_json(shape, _insist(path.read_bytes))
        except FileNotFoundError:
            return None
        except (OSError, ProtocolError) as fault:
            _log.warning("%s cannot be read: %s", path.name, fault)
            return None

    def _last_words(self) -> str:
        try:
            lines = self.log.read_bytes()[-4000:].decode("utf-8", "replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else "it said nothing"


def _runs_in(pid: int, folder: Path) -> bool:
    """Whether a process works there: a folder that was moved takes its server along."""
    try:
        return Path(psutil.Process(pid).cwd()) == folder.resolve()
    except (OSError, psutil.Error):
        return False


def _insist(act: Callable[[], T]) -> T:
    """On Windows a file cannot be opened in the instant of its exchange, nor exchanged while it is open."""
    for _ in range(_BUSY_TRIES if sys.platform == "win32" else 0):
        try:
            return act()
        except PermissionError:
            time.sleep(_LOOK)
    return act()
