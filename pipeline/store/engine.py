"""The engine, with the settings each database needs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

from pipeline.store.kept_file import KeptFile
from pipeline.store.outage import DatabaseAway, tell_outage
from pipeline.store.patience import PATIENCE, get_left

_WAITS = "busy timeout"  # in a connection's `info`: how long it waits for a lock, in milliseconds


def open_engine(url: str, patience: float = PATIENCE, *, reading: bool = False) -> Engine:
    """An engine with the settings each database needs; creates nothing. One for `reading` alone takes no lock: a bot
    that stands still in the midst of a write keeps nobody from looking."""
    try:
        engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"), connect_args=_limit_connecting(url))
    except ImportError as fault:
        return _stand_in(fault.name or str(fault).partition("\n")[0])
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, patience, "BEGIN" if reading else "BEGIN IMMEDIATE")
    event.listen(engine, "handle_error", tell_outage)
    return engine


def _limit_connecting(url: str) -> dict[str, Any]:
    """A server that takes the connection and says nothing would be waited for as long as TCP does. In whole seconds, of
    which libpq takes two at least; what the address itself says goes before."""
    limited = url.startswith("sqlite") or "connect_timeout" in url
    return {} if limited else {"connect_timeout": math.ceil(PATIENCE)}


def _stand_in(driver: str) -> Engine:
    """An engine that never connects: a driver that is not installed is a fault of the database, said like the others,
    and keeps no server down."""
    engine = create_engine("sqlite://")

    def refuse(*_: object) -> None:
        cure = "pip install 'spirit-healer[postgres]', and start the bot again"
        raise DatabaseAway(f"DATABASE_URL needs {driver}, which is not installed", cure)

    event.listen(engine, "do_connect", refuse)
    return engine


def _prepare_sqlite(engine: Engine, patience: float, beginning: str) -> None:
    database = engine.url.database
    file = KeptFile(Path(database)) if database and database != ":memory:" else None

    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # pysqlite's own BEGIN comes too late: SQLAlchemy's documentation, "pysqlite"
        cursor = connection.cursor()
        waits = record.info[_WAITS] = round(min(patience, get_left()) * 1000)
        for pragma in (f"busy_timeout={waits}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        if file is not None:
            file.note_opened(record)

    def begin(connection: Connection) -> None:
        waits = round(min(patience, get_left()) * 1000)
        if connection.info.get(_WAITS) != waits:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={waits}")
            connection.info[_WAITS] = waits
        connection.exec_driver_sql(beginning)
        if file is not None:
            file.check(connection)

    if file is not None:
        event.listen(engine, "do_connect", file.refuse_to_make_anew)
    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", begin)
