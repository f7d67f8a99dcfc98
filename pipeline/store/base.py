"""What every part of the store has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from sqlalchemy import Engine

from pipeline.store.rows import (
    Codec,
)


class Base:
    """The engine, the form of stored reports, and the night an instant belongs to."""

    def __init__(self, engine: Engine, codec: Codec, night_of: Callable[[datetime], date]) -> None:
        self.engine = engine
        self._codec = codec
        self.night_of = night_of
