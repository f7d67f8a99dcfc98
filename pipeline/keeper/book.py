"""The keeper's book: what it remembers, what it tells, and how both are kept. No decision is made here."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pipeline.keeper import boot
from pipeline.keeper.folders import Folders, read_json, write_json
from pipeline.keeper.foreign import make_folder_id
from pipeline.keeper.journal import Journal
from pipeline.keeper.memory import Life, Memory
from pipeline.keeper.protocol import Desired, EventKind, Observed, ServerState
from pipeline.keeper.satisfaction import is_reached

MOST_FAULTS = 1 << 20  # bytes; then the file of faults is begun anew and the old one kept beside it
_RETRY = 5.0  # seconds between two tries to write what could not be written


class Book:
    """Values in, files out. What cannot be written is kept and tried again."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self.keeper = os.urandom(6).hex()
        self.boot = boot.read_boot_id()
        self.folder_id = make_folder_id(folders.server)
        self.journal = Journal(folders.events, self.keeper)
        self.memory = read_json(Memory, folders.memory) or Memory()
        self.wish: Desired | None = None
        self.swapping = False  # files are being staged or exchanged and nothing runs
        self._saved: tuple[Memory, Observed] | None = None
        self._next_try = 0.0

    @property
    def life(self) -> Life | None:
        return self.memory.life

    def remember(self, **changes: Any) -> None:
        """Replaces fields of the memory."""
        self.memory = replace(self.memory, **changes)

    def change_life(self, **changes: Any) -> Life:
        """Replaces fields of the life that is there."""
        if self.memory.life is None:
            raise LookupError("no server lives")
        life = replace(self.memory.life, **changes)
        self.remember(life=life)
        return life

    def tell(self, kind: EventKind, **data: Any) -> None:
        """Writes an event, unsynced."""
        self.journal.write(kind, time.time(), data)

    def save(self) -> bool:
        """Memory, observed.json and events to disk, if anything changed. False when it did not succeed."""
        self._note_reached()
        view = replace(self.compose(), at=0.0)
        done = self._saved == (self.memory, view)
        if (done and not self.journal.owes) or not self._may_try():
            return done
        self.journal.sync()  # first: an end that the memory has left behind must be told
        done = done or self._write(view)
        self._next_try = 0.0 if done and not self.journal.owes else time.monotonic() + _RETRY
        return done

    def _write(self, view: Observed) -> bool:
        done = write_json(self.folders.memory, self.memory)
        done = write_json(self.folders.observed, replace(view, at=time.time())) and done
        self._saved = (self.memory, view) if done else None
        return done

    @property
    def is_hindered(self) -> bool:
        """Whether something could not be written, here or in SERVER_DIR: there nobody else can write either."""
        return self._next_try > 0.0

    def _may_try(self) -> bool:
        return time.monotonic() >= self._next_try

    def _note_reached(self) -> None:
        wish = self.wish
        if wish and wish.generation != self.memory.reached and is_reached(wish, self.life, self.memory.refused):
            self.remember(reached=wish.generation)

    def get_state(self, now: float) -> ServerState:
        """The one state that holds."""
        memory = self.memory
        if memory.life:
            if memory.life.stopping:
                return ServerState.STOPPING
            return ServerState.READY if memory.life.ready_at else ServerState.STARTING
        if self.swapping:
            return ServerState.SWAPPING
        if memory.held:
            return ServerState.HELD
        waits = memory.next_start is not None and memory.next_start > now
        return ServerState.BACKOFF if waits else ServerState.ABSENT

    def compose(self) -> Observed:
        """observed.json as it should be now."""
        memory, now = self.memory, time.time()
        state = self.get_state(now)
        return Observed(
            keeper=self.keeper,
            keeper_pid=os.getpid(),
            boot=self.boot,
            at=now,
            state=state,
            generation=memory.reached,
            server_dir=str(self.folders.server),
            hold=memory.held.why if memory.held else None,
            hold_detail=memory.held.detail if memory.held else "",
            next_start=memory.next_start if state is ServerState.BACKOFF else None,
            last_exit=memory.last_exit,
            learned_start=max(memory.learned, default=None),
            **self._compose_placed(),
            **(_compose_life(memory.life) if memory.life else {}),
        )

    def _compose_placed(self) -> dict[str, Any]:
        life, placed = self.memory.life, self.memory.placed
        if life:
            return {"build": life.shown_build, "deployment": life.deployment}
        if placed:
            return {"build": placed.shown_build, "deployment": placed.deployment}
        return {}

    def note_fault(self, text: str) -> None:
        """A bug of ours: kept for people, and survived. One that comes back each second fills no disk."""
        faults = self.folders.faults
        try:
            if faults.exists() and faults.stat().st_size > MOST_FAULTS:
                faults.replace(faults.with_name(f"{faults.name}.1"))
            with faults.open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n")
        except OSError:
            return


def _compose_life(life: Life) -> dict[str, Any]:
    names = ("pid", "create_time", "started", "ready_at", "revision", "revision_line", "output", "adopted")
    plain = asdict(life)
    return {name: plain[name] for name in names}


def text_of(path: Path | None) -> str | None:
    """A path as it stands in the protocol."""
    return None if path is None else str(path)
