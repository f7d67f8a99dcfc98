"""The end of a log, in bounded time and memory whatever the file's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.adapters.build_log import LOGS, find_newest_log
from pipeline.crash.lines import read_struck_lines
from pipeline.model import Impossible
from pipeline.read_models import LogView
from pipeline.tools import Tools

SERVER, BUILD, BOT = "server", "build", "bot"
BOT_LOG = "bot.log"  # in the folder of logs; bot/log.py writes it
MOST_LINES = 1000
MOST_BYTES = 1 << 20  # of a log's end that are looked at
LONGEST_LINE = 1000  # characters


def read_log(tools: Tools, source: str, lines: int) -> LogView | Impossible:
    """The last lines of one of our logs; the newest file of several."""
    path = next(find_paths(tools, source), None)
    if path is None:
        return Impossible(f"There is no log of the {source} yet.")
    return read_end(source, path, max(1, min(lines, MOST_LINES)), tools.redact)


def read_end(source: str, path: Path, count: int, redact: Callable[[str], str]) -> LogView:
    lines = read_struck_lines(path, MOST_BYTES, redact, LONGEST_LINE)
    return LogView(source, path.name, size_of(path), tuple(lines[-count:]))


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def find_paths(tools: Tools, source: str) -> Iterator[Path]:
    """Where it may be, the likeliest first; only files that are there."""
    folder = tools.realm.state_dir / LOGS
    if source == SERVER:
        observed = tools.keeper.observed()
        output = Path(observed.output) if observed is not None and observed.output else None
        candidates = [*tools.realm.server_logs, *([output] if output is not None else [])]
    elif source == BUILD:
        newest = find_newest_log(tools.realm.state_dir)
        candidates = [newest] if newest is not None else []
    else:
        candidates = [folder / BOT_LOG]
    return (path for path in candidates if path.is_file() and size_of(path))
