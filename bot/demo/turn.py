"""Whose turn it is to answer in a demo: the example analyst's after a while, or the visitor's alone.

As a program it is the demo's ANALYST_COMMAND: `python -m bot.demo.turn FOLDER REQUEST RESPONSE WORKTREE` waits for its
turn, then it is the example analyst. Where the visitor answers first, the bot ends it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from bot.demo.analyst import __main__ as example
from pipeline.keeper.protocol import replace_file

PATIENCE = 20.0  # seconds in which the visitor may be faster
LOOK = 0.2  # seconds between two looks
NOTE = "turn"  # in the demo's folder


class Turn(StrEnum):
    EXAMPLE = "example"
    """The example analyst answers, unless the visitor is faster."""
    VISITOR = "visitor"
    """Requests wait for the visitor."""


def read_turn(folder: Path) -> Turn:
    """The example analyst's where nothing else was said."""
    try:
        return Turn((folder / NOTE).read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        return Turn.EXAMPLE


def give_turn(folder: Path, turn: Turn) -> None:
    replace_file(folder / NOTE, turn)


def wait(folder: Path, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
    """Until it is the example analyst's turn; for ever as long as it is the visitor's."""
    due = now() + PATIENCE
    while now() < due or read_turn(folder) is Turn.VISITOR:
        sleep(LOOK)


def main(arguments: list[str]) -> int:
    folder, *rest = arguments
    wait(Path(folder))
    return example.main(rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
