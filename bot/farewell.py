"""What goes on when the bot has ended, and how to end that too: for whoever has stopped it at a terminal."""

from __future__ import annotations

import sys

from pipeline.keeper.protocol import Observed


def say_what_goes_on(observed: Observed | None, platform: str = sys.platform) -> str:
    """`observed` of the keeper that lives; None = there is none."""
    if observed is None:
        return "The bot has ended. No keeper runs: nothing restarts the server until `spirit-healer run`."
    keeper, end = f"keeper (process {observed.keeper_pid})", f"`kill {observed.keeper_pid}`"
    if platform == "win32":  # where no signal reaches it
        end = "the last part of docs/running.md"
    if observed.pid is None:
        return f"The bot has ended. The {keeper} goes on. To end it too: {end}."
    order = "" if platform == "win32" else ", and the keeper ends the server in order first"
    return (
        f"The bot has ended. The server (process {observed.pid}) and its {keeper} go on. To end them too: {end}{order}."
    )
