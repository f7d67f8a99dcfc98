"""The channel as a process of its own, as Discord is: what the bot takes is then the bot's alone.

    with serving_channel("page-token") as place:  # its address, and the settings of a bot that speaks there
        ...

Run as a program it is either side of that: `channel_apart.py channel` reads the page's token from its standard input
and prints where it is; `channel_apart.py PORT run` is `spirit-healer run` whose Discord is that port.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

from bot.sandbox import Sandbox, redirect_discord

PATIENCE = 10.0  # seconds


@dataclass(frozen=True)
class Place:
    port: int
    url: str
    settings: dict[str, str]
    # DISCORD_* of a bot that speaks there

    @property
    def command(self) -> list[str]:
        """What starts such a bot."""
        return [sys.executable, __file__, str(self.port), "run"]


@contextmanager
def serving_channel(page_token: str) -> Iterator[Place]:
    """It ends with its standard input, be it by our death."""
    command = [sys.executable, __file__, "channel"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{page_token}\n")
        process.stdin.flush()
        yield Place(**json.loads(process.stdout.readline()))
        process.stdin.close()
        process.wait(PATIENCE)


async def serve_channel() -> None:
    token = sys.stdin.readline().strip()
    async with await Sandbox.start(page_token=token) as sandbox:
        settings = {
            "DISCORD_TOKEN": sandbox.token, "DISCORD_GUILD_ID": sandbox.guild_id,
            "DISCORD_CHANNEL_ID": sandbox.channel_id, "DISCORD_OPERATOR_ROLE_IDS": sandbox.operator_role_id,
        }  # fmt: skip
        print(json.dumps({"port": sandbox.port, "url": sandbox.url, "settings": settings}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


def run_bot(port: int) -> None:
    redirect_discord(port)
    from bot.__main__ import main

    main(["run"])


if __name__ == "__main__":
    if sys.argv[1] == "channel":
        asyncio.run(serve_channel())
    else:
        run_bot(int(sys.argv[1]))
