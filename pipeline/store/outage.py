"""What a database refuses for its own sake is no bug of ours: it becomes `DatabaseAway`, in words and with a cure."""

from __future__ import annotations

from typing import Any

from pipeline.errors import Obstructed

_ANEW = (
    "stop the bot, put a copy back from `copies` beside it, or move it away to begin a new one, and start the bot again"
)
# What SQLite's words hold -> how to mend it; in the order in which they are looked for.
_CURES = (
    (("is locked",), "end the program that holds it; it is waited for"),
    (("readonly database",), "make the file and its folder writable again"),
    (("disk is full",), "make room on the disk that holds it"),
    (("disk i/o error",), "see that the disk that holds it is sound and has room"),
    (("unable to open",), "see that its folder is there and that we may write to it"),
    (("malformed", "not a database"), _ANEW),
    (("removed",), "put it back, or start the bot again to begin a new one"),
)
_SERVER = "see that PostgreSQL runs, and that it takes our login and our writes"


class DatabaseAway(Obstructed):
    """The database does not do its work now; `reason` is what it said, without our cure."""

    def __init__(self, reason: str, cure: str | None = None) -> None:
        super().__init__(f"the database does not work: {reason}" + (f". Cure: {cure}" if cure else ""))
        self.reason = reason


def tell_outage(context: Any) -> None:
    """Raises DatabaseAway in place of an error that is the database's own."""
    fault = context.original_exception
    reason = " ".join(str(fault).split()) or type(fault).__name__
    cure = _find_cure(context.dialect.name, fault, reason)
    if "readonly" in reason:
        context.is_disconnect = True  # opened while it could not be written, a connection never writes again
    if cure is not None:
        raise DatabaseAway(reason, cure) from fault


def tell_held() -> DatabaseAway:
    """As SQLite says it, of a lock that was waited for in vain."""
    reason = "database is locked"
    return DatabaseAway(reason, _find_cure("sqlite", TimeoutError(), reason))


def _find_cure(dialect: str, fault: BaseException, reason: str) -> str | None:
    if dialect == "sqlite":
        lower = reason.lower()
        return next((cure for signs, cure in _CURES if any(sign in lower for sign in signs)), None)
    return _SERVER if _is_outage(fault) else None


def _is_outage(fault: BaseException) -> bool:
    """By the names of the DBAPI (PEP 249), so that no driver has to be imported."""
    names = {each.__name__ for each in type(fault).__mro__}
    return bool(names & {"OperationalError", "InterfaceError", "ReadOnlySqlTransaction"})
