"""A start: everything it needs is prepared beforehand, so that after a crash only rename, fork and exec are left."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import points
from pipeline.keeper.book import Book, text_of
from pipeline.keeper.checksums import identify_file
from pipeline.keeper.lives import Outputs
from pipeline.keeper.memory import Identity, Life
from pipeline.keeper.process import Order, find_executable, identify
from pipeline.keeper.protocol import SERVER_MARK, Desired, EventKind, to_json
from pipeline.keeper.satisfaction import digest_spec
from pipeline.keeper.server import Server, Spawner
from pipeline.points import point

GENERATION = "SPIRIT_HEALER_GENERATION"
BUILD = "SPIRIT_HEALER_BUILD"
LIFE = "SPIRIT_HEALER_LIFE"  # the whole Life, for a keeper that finds the process and no note of it
EXEC = "SPIRIT_HEALER_EXEC"  # locks that came through the keeper's own exec
_OURS = frozenset({SERVER_MARK, GENERATION, BUILD, LIFE, EXEC, points.VARIABLE, points.SEEN})


@dataclass(frozen=True)
class Prepared:
    """Argv, environment and executable for one wish."""

    wish: Desired
    argv: tuple[str, ...]
    executable: Path | None  # None = not found: the start will fail, and say so
    environment: Mapping[str, str]
    spec: str


def make_environment(own: Mapping[str, str], wish: Desired) -> dict[str, str]:
    """Ours without what is withheld and without what is between keepers, plus SERVER_ENV."""
    withheld = {*wish.withhold, *_OURS}
    return {name: value for name, value in own.items() if name not in withheld} | dict(wish.environment)


class Launcher:
    """Starts servers."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._spawner = Spawner()
        self._prepared: Prepared | None = None
        self._outputs = Outputs(book.folders.lives)
        self._count = 0

    def prepare(self) -> None:
        """For the wish in force. Cheap when nothing changed. A program that was not there is looked for again: it may
        have been away in the midst of a swap."""
        wish = self._book.wish
        if wish is None:
            return
        known = self._prepared
        if known is None or known.wish is not wish or known.executable is None:
            self._prepared = _prepare(wish, self._book.folders.server)
        self._outputs.prepare()

    @property
    def executable(self) -> Path | None:
        self.prepare()
        return self._prepared.executable if self._prepared else None

    def identify_executable(self) -> Identity | None:
        """The program as it lies there now."""
        return identify_file(self.executable) if self.executable else None

    def launch(self, lock: int, reason: str) -> Server:
        """Starts the server and writes its event. Raises OSError when it cannot be run."""
        self.prepare()
        prepared = self._prepared
        if prepared is None:
            raise LookupError("nothing is wished")
        started = time.time()
        output, path = self._outputs.take(started)
        life = self._make_life(prepared, started, path)
        try:
            point("start.spawn.before")
            server = self._spawner.spawn(self._make_order(prepared, life, output, lock))
        finally:
            os.close(output)
        point("start.spawn.after")
        self._note(server, life, reason)
        return server

    def _make_life(self, prepared: Prepared, started: float, output: Path | None) -> Life:
        self._count += 1
        placed = self._book.memory.placed
        return Life(
            id=f"{self._book.folder_id}.{self._book.keeper}-{self._count}",
            started=started,
            boot=self._book.boot,
            generation=prepared.wish.generation,
            build=placed.manifest.build if placed else None,
            own=placed.own if placed else None,
            deployment=placed.deployment if placed else None,
            spec=prepared.spec,
            restart=prepared.wish.restart,
            output=text_of(output),
        )

    def _make_order(self, prepared: Prepared, life: Life, output: int, lock: int) -> Order:
        mark = {SERVER_MARK: life.id, GENERATION: str(life.generation), LIFE: to_json(life)}
        if life.shown_build:
            mark[BUILD] = life.shown_build
        return Order(prepared.argv, self._book.folders.server, {**prepared.environment, **mark}, output, lock)

    def _note(self, server: Server, life: Life, reason: str) -> None:
        who = identify(server.pid)
        life = replace(life, pid=server.pid, create_time=who.create_time if who else life.started)
        self._book.remember(life=life, next_start=None)
        self._book.tell(
            EventKind.SPAWNED,
            pid=life.pid,
            create_time=life.create_time,
            build=life.shown_build,
            generation=life.generation,
            reason=reason,
            started=life.started,
            output=life.output,
            deployment=life.deployment,
        )
        point("start.told")


def _prepare(wish: Desired, folder: Path) -> Prepared:
    environment = make_environment(os.environ, wish)
    executable = find_executable(wish.command[0], folder, environment)
    argv = (str(executable) if executable else wish.command[0], *wish.command[1:])
    return Prepared(wish, argv, executable, environment, digest_spec(wish))
