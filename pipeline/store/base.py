"""What every part of the store has."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime

from sqlalchemy import Connection, Engine

from pipeline.store.outage import tell_held
from pipeline.store.patience import LEAST, Patience, one_patience
from pipeline.store.rows import Codec


class Base:
    """The engine, the form of stored reports, and the night an instant belongs to."""

    def __init__(self, engine: Engine, codec: Codec, night_of: Callable[[datetime], date]) -> None:
        self.engine = engine
        self._codec = codec
        self.night_of = night_of
        self._shared = threading.local()
        self._turn = threading.Lock() if engine.dialect.name == "sqlite" else None

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction, or the one that this thread is `together` in."""
        shared: Connection | None = getattr(self._shared, "connection", None)
        if shared is not None:
            yield shared
            return
        with ExitStack() as stack:
            with one_patience() as patience:
                stack.enter_context(self._take_turn(patience))
                with patience.spend():
                    connection = stack.enter_context(self.engine.begin())
            yield connection

    @contextmanager
    def _take_turn(self, patience: Patience) -> Iterator[None]:
        """SQLite lets one in at a time, and whoever waits for it sleeps longer with each look. Where it is one of our
        own threads, it is told. Raises DatabaseAway: whoever has the turn for so long waits for SQLite itself, or has
        its lock."""
        if self._turn is None:
            yield
            return
        with patience.spend():
            taken = self._turn.acquire(timeout=max(patience.left, LEAST))
        if not taken:
            raise tell_held()
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def together(self) -> Iterator[None]:
        """All of what this thread writes inside is kept, or nothing of it: what a person orders in one word. Nothing
        that takes time, and nothing outside the database, belongs inside."""
        with self.begin() as connection:
            before = getattr(self._shared, "connection", None)
            self._shared.connection = connection
            try:
                yield
            finally:
                self._shared.connection = before
