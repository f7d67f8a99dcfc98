"""SQL that one world has had compiled, for the next ones: each has an engine of its own, which begins with none.

A realm's bot lives for months on one engine; a world lives for half a second, and half of that went into compiling the
same hundred statements. Which values go with them is no part of what is kept.
"""

from collections.abc import Hashable
from typing import Any

from sqlalchemy import Compiled, Engine
from sqlalchemy.engine.interfaces import Dialect


class _Statements(dict[Any, Compiled]):
    """By form and kind of database, where SQLAlchemy names the engine's own dialect, which ends with it."""

    def get(self, key: tuple[Dialect, *tuple[Hashable, ...]], default: Any = None) -> Any:
        return super().get(_of_any_engine(key), default)

    def __setitem__(self, key: tuple[Dialect, *tuple[Hashable, ...]], compiled: Compiled) -> None:
        super().__setitem__(_of_any_engine(key), compiled)


def _of_any_engine(key: tuple[Dialect, *tuple[Hashable, ...]]) -> tuple[Hashable, ...]:
    dialect, *form = key
    return (dialect.name, dialect.driver, dialect.paramstyle, *form)


_STATEMENTS = _Statements()


def share_statements(engine: Engine) -> Engine:
    """The engine, which takes what others of its kind have had compiled in this process, and gives what it has."""
    engine.update_execution_options(compiled_cache=_STATEMENTS)
    return engine
