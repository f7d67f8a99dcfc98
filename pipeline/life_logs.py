"""The logs of the life that ended: what lies at their usual places is the next one's by now."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.crash.context import is_bot_log, last_lines
from pipeline.store import Crash
from pipeline.tools import Tools

CLOCKS = 1.0  # seconds a file's time may be off
_STAMP = re.compile(r"(?<=-)\d{8}T\d{6}\.\d{3}Z")  # of a life, in the names of its files (KEEPER.md)


def find_last_act(tools: Tools, crash: Crash) -> str | None:
    """The last line that the bots' own log has of that life."""
    bots = [log for log in list_logs(tools, crash) if is_bot_log(log)]
    return next((line for log in bots for line in last_lines(log, 1, crash.at, redact=tools.redact)), None)


def list_logs(tools: Tools, crash: Crash | None) -> tuple[str, ...]:
    """The log of the life that ended, where there is none what it printed; and those of its bots."""
    own = None if crash is None else crash.exit.log or crash.exit.output
    if crash is None or own is None:
        return ()
    bots = [path for path in tools.realm.server_logs if is_bot_log(path)]
    return (own, *(str(log) for path in bots for log in _list_of_life(path, Path(own), crash) if str(log) != own))


def _list_of_life(path: Path, own: Path, crash: Crash) -> list[Path]:
    """What one life wrote to a log, `own` being another file of that life: moved aside under the same stamp, or named
    by time by the server. What lies at `path` itself is the next life's by now."""
    stamp = _STAMP.search(own.name)
    aside = [folder / f"log-{stamp[0]}-{path.name}" for folder in (own.parent, path.parent)] if stamp else []
    moved = [each for each in aside if each.is_file()]
    return moved or sorted(each for each in path.parent.glob(path.name) if _was_last_written_by(each, crash))[-1:]


def _was_last_written_by(log: Path, crash: Crash) -> bool:
    try:
        return crash.exit.started <= log.stat().st_mtime <= crash.exit.at + CLOCKS
    except OSError:
        return False
