"""Who answers: the queue, and ANALYST_COMMAND where there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from bot.doctor.finding import Finding, fail, ok, warn
from bot.settings import Settings
from pipeline.adapters import toolchain


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
    if missing := [name for name in settings.analyst_env if name not in os.environ]:
        yield warn(
            "ANALYST_ENV", f"{', '.join(missing)} not set in the environment of the bot", "set it there, not in .env"
        )


def name_ways(command: Sequence[str]) -> str:
    """How it gets to know the request: always by its standard input, and by the files that it is named."""
    named = [mark for mark in ("{prompt}", "{request}") if any(mark in word for word in command)]
    return " and ".join(["on its standard input", *(f"as {mark}" for mark in named)])
