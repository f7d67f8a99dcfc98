"""Who answers: the queue, and ANALYST_COMMAND where there is one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from bot.doctor.finding import Finding, fail, ok, warn
from bot.settings import Settings
from pipeline.adapters import toolchain

MARKS = ("{prompt}", "{request}", "{response}", "{worktree}")
_PLACE = re.compile(r"\{[A-Za-z_]+\}")


def check_analyst(settings: Settings) -> Iterator[Finding]:
    command = settings.analyst_command
    if not command:
        yield ok("ANALYST_COMMAND", f"none: requests wait in {settings.queue_dir} for whoever answers them")
        return
    program = toolchain.find_tool(command[0])
    if program is None:
        yield fail("ANALYST_COMMAND", f"{command[0]} was not found", "give its full path, or put its folder on PATH")
    else:
        yield ok("ANALYST_COMMAND", f"{program}, which is given what it is asked {name_ways(command)}")
    if unknown := list_unknown(command):
        yield warn(
            "ANALYST_COMMAND",
            f"{', '.join(unknown)}: stands for nothing, and is given to the program as it is written",
            f"write {', '.join(MARKS[:-1])} or {MARKS[-1]}, or leave it where the program knows it",
        )
    if missing := [name for name in settings.analyst_env if name not in os.environ]:
        yield warn(
            "ANALYST_ENV", f"{', '.join(missing)} not set in the environment of the bot", "set it there, not in .env"
        )


def list_unknown(command: Sequence[str]) -> list[str]:
    """What looks like a place for something of ours; other braces, as of JSON, are the program's own."""
    return sorted({mark for word in command for mark in _PLACE.findall(word)} - set(MARKS))


def name_ways(command: Sequence[str]) -> str:
    """How it gets to know the request: always by its standard input, and by the files that it is named."""
    named = [mark for mark in ("{prompt}", "{request}") if any(mark in word for word in command)]
    return " and ".join(["on its standard input", *(f"as {mark}" for mark in named)])
