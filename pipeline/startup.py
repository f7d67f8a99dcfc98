"""A server that does not come up for want of its surroundings: told once for each cause until it is ready again.

The keeper tries for ever, each minute at the latest (KEEPER.md), and tells of every try; people are told of the first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.card_models import PostKind
from pipeline.keeper.protocol import Event, EventKind, ExitVerdict
from pipeline.ports import ExitEvidence
from pipeline.store import NewPost, Store
from pipeline.tools import Tools

ERROR = "start-up error"  # `what` of the post that tells of a cause
BACK = "back"  # and of the one that says it is over
_CLASS = "environment | "  # what the signature of a known fault begins with, see crash/environment.py
_UNKNOWN = "ended with"  # and the rest of one that is not known
IN_USE = "is in use"
SOME_PORT = f"a port {IN_USE}"
_PORT = re.compile(r"(?<![\d.])(?:[\d.]+:|port[ =:]+)(\d{2,5})\b", re.IGNORECASE)
_PATH = re.compile(r"'(?:[A-Za-z]:)?[^']*[/\\]([^'/\\]+)'")


@dataclass(frozen=True)
class Trouble:
    """Why the server does not start."""

    cause: str  # "port 8085 is in use"
    detail: str  # who or what is at fault, and the cure


def posts_about(tools: Tools, event: Event) -> list[NewPost]:
    """What the channel reads of a start that failed, or that went well after such."""
    if event.kind == EventKind.READY:
        return _tell_of_end(tools, datetime.fromtimestamp(event.at, UTC))
    trouble = _find_trouble(tools, event)
    if trouble is None or _is_told(trouble, [each.cause for _, each in _list_present(tools.store)]):
        return []
    data = {"what": ERROR, "cause": trouble.cause, "detail": trouble.detail}
    return [NewPost(PostKind.SERVER, data, to_channel=True)]


def find_present(store: Store) -> tuple[datetime, Trouble] | None:
    """Why it does not start just now and since when, as it was told last; None once it was ready again."""
    told = _list_present(store)
    return told[-1] if told else None


def _is_told(trouble: Trouble, present: list[str]) -> bool:
    """A port whose holder is gone by now is the one that was named before."""
    unnamed = trouble.cause == SOME_PORT and any(each.endswith(IN_USE) for each in present)
    return unnamed or trouble.cause in present


def _list_present(store: Store) -> list[tuple[datetime, Trouble]]:
    """Every cause of the present spell, in the order in which they were told."""
    told = store.list_told(ERROR, after=BACK)
    return [(at, Trouble(str(data.get("cause")), str(data.get("detail") or ""))) for at, data in told]


def _tell_of_end(tools: Tools, ready: datetime) -> list[NewPost]:
    told = _list_present(tools.store)
    if not told:
        return []
    began, first = told[0]
    seconds = max((ready - began).total_seconds(), 0.0)
    data = {"what": BACK, "cause": first.cause, "seconds": seconds}
    return [NewPost(PostKind.SERVER, data, to_channel=True)]


def _find_trouble(tools: Tools, event: Event) -> Trouble | None:
    """None for what is no such end; a build on probation has words of its own."""
    if event.kind == EventKind.SPAWN_FAILED:
        error = _PATH.sub(r"`\1`", tools.redact(str(event.data.get("error") or "")))
        return Trouble("its program cannot be run", f"{error}. Look at SERVER_COMMAND, and whether that may be run")
    if event.kind != EventKind.EXITED or event.data.get("verdict") != ExitVerdict.STARTUP_ERROR:
        return None
    return None if event.data.get("deployment") else _read(tools, event.data)


def _read(tools: Tools, end: Any) -> Trouble | None:
    """What the life that ended has written; None where that is gone by now."""
    output, log = (_file(end.get(name)) for name in ("output", "log"))
    if output is None and log is None:
        return None
    started, at = float(end.get("started") or 0.0), float(end.get("at") or 0.0)
    report = tools.reader.read(ExitEvidence(end.get("status"), output, log, None, None, started, at))
    known = report.signature.exact if report.signature else ""
    if not known.startswith(_CLASS):
        return Trouble("it dies before it is ready", "With this build and with the one before")
    what, cure = known.removeprefix(_CLASS), tools.redact(report.cure or "")
    if what == "port in use":
        return _name_port(tools, cure)
    return Trouble("it gives up by itself" if what.startswith(_UNKNOWN) else what, cure)


def _name_port(tools: Tools, cure: str) -> Trouble:
    """Which port, and who has it: the one that the server named, else the world's if somebody has that."""
    said = _PORT.search(cure)
    port = int(said[1]) if said else tools.realm.ready.port
    holder, observed = tools.players.find_listener(port), tools.keeper.observed()
    if holder is None or (observed is not None and holder.pid == observed.pid):  # the next try may have it by now
        return Trouble(f"port {port} {IN_USE}" if said else SOME_PORT, cure)
    return Trouble(f"port {port} {IN_USE}", f"Process {holder.pid} `{holder.name}` holds it. {cure}")


def _file(path: object) -> Path | None:
    found = Path(path) if isinstance(path, str) else None
    return found if found is not None and found.is_file() else None
