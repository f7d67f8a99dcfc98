"""What the demo says at a terminal."""

import asyncio
import errno
import os
import socket
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

from bot.demo import play
from bot.demo.story import Healing, conclude
from bot.demo.telling import WIDTH, Teller
from bot.markup import bare
from bot.sandbox import MessageEvent


def hear(*texts: tuple[str, str, str | None]) -> list[str]:
    """What is said of cards, each with title, description and thread, a second after the other."""
    said: list[str] = []
    seconds = iter(range(100))
    teller = Teller(said.append, lambda: float(next(seconds)))
    for title, description, thread in texts:
        message = {"thread": thread, "content": "", "embeds": [{"title": title, "description": description}]}
        teller.hear(MessageEvent("edit", cast(Any, message)))
    return said


def test_a_card_is_one_line_with_the_seconds_since_the_start() -> None:
    assert hear(("Crash in `Map::Update`", "Server back after **0.1 s**\naccess violation", None)) == [
        "   1.0 s  bot: Crash in Map::Update · Server back after 0.1 s"
    ]


def test_threads_and_repetitions_are_left_out_and_nothing_is_longer_than_a_line() -> None:
    card = ("Fixed: Map::Update", "live", None)
    assert hear(card, card, ("The patch", "```diff", "17")) == ["   1.0 s  bot: Fixed: Map::Update · live"]
    (line,) = hear(("A" * 300, "", None))
    assert len(line) <= WIDTH + len("   1.0 s  bot: ") and line.endswith("…")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("deploys at <t:0:t> at the latest", f"deploys at {time.strftime('%H:%M', time.localtime(0))} at the latest"),
        ("live since <t:0:R>", f"live since {time.strftime('%H:%M:%S', time.localtime(0))}"),
        ("live since <t:172800:R>", f"live since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(172800))}"),
        ("*asking the analyst* · **now**", "asking the analyst · now"),
        ("[`a1b2c3d`](https://host/c/a1b2c3d) on `night`", "a1b2c3d on night"),
        ("2 * 3 \\* 4", "2 * 3 * 4"),
        ("-# small", "small"),
    ],
)
def test_marks_for_discord_are_not_shown(text: str, shown: str) -> None:
    assert bare(text, now=datetime.fromtimestamp(0)) == shown


def test_a_terminal_that_is_to_be_copied_from_has_the_addresses_of_links() -> None:
    assert bare("[`a1b2c3d`](https://host/c/a1b2c3d), [compare](<https://host/x>)", links=True) == (
        "a1b2c3d (https://host/c/a1b2c3d), compare (https://host/x)"
    )


def test_the_verdict_says_where_things_lie() -> None:
    folder = Path("/tmp/realm")
    healed = Healing(healed=True, commit="5f846de42876" + "0" * 28, crash_to_restart_ms=4.2, downtime_seconds=0.1)
    words = conclude(healed, folder, 31.4)
    assert words.startswith("\nHealed in 31 s.") and "commit 5f846de42876:" in words and f"{folder} is removed" in words
    assert "within 4.2 ms" in words and "down for 0.1 s" in words
    assert str(folder / "state" / "logs" / "bot.log") in conclude(Healing(healed=False), folder, 300)


def test_a_port_that_the_page_cannot_have_is_told_before_a_realm_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for given, words in (
            ("no", "SANDBOX_PORT: is no port: give a number from 1 to 65535, or 0 for any free one"),
            ("65536", "SANDBOX_PORT: is no port: give a number from 1 to 65535, or 0 for any free one"),
            (str(taken.getsockname()[1]), f"cannot be had ({os.strerror(errno.EADDRINUSE)}): give another one, or 0"),
        ):
            monkeypatch.setenv("SANDBOX_PORT", given)
            assert asyncio.run(play.play(asyncio.Event(), once=True, as_json=True)) == 1
            said = capsys.readouterr()
            assert words in said.err and said.out == ""
    assert [*tmp_path.iterdir()] == []
