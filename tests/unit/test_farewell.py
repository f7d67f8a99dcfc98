"""What is said at the end of `spirit-healer run`."""

from __future__ import annotations

import pytest

from bot.farewell import say_what_goes_on
from pipeline.keeper.protocol import Observed, ServerState

UP = Observed("k", 4710, "boot", 1.0, ServerState.READY, 3, pid=4711)
DOWN = Observed("k", 4710, "boot", 1.0, ServerState.HELD, 3)


@pytest.mark.parametrize(
    ("observed", "platform", "said"),
    [
        (
            UP,
            "linux",
            "The bot has ended. The server (process 4711) and its keeper (process 4710) go on. To end them too: "
            "`kill 4710`, and the keeper ends the server in order first.",
        ),
        (
            UP,
            "win32",
            "The bot has ended. The server (process 4711) and its keeper (process 4710) go on. To end them too: "
            "the last part of docs/running.md.",
        ),
        (DOWN, "linux", "The bot has ended. The keeper (process 4710) goes on. To end it too: `kill 4710`."),
        (None, "linux", "The bot has ended. No keeper runs: nothing restarts the server until `spirit-healer run`."),
    ],
)
def test_who_ends_the_bot_reads_what_goes_on_and_how_to_end_that(
    observed: Observed | None, platform: str, said: str
) -> None:
    assert say_what_goes_on(observed, platform) == said
