"""What the bot and the keeper cost while nothing happens: processor and memory, beside an idle Python process.

Run it as `python tests/bench/idle.py [--seconds 30]`.
Goals: bot under 1 % of a core and 150 MB, keeper under 0.1 % and 25 MB.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import psutil

from bot.demo import play, story
from bot.demo.world import make_world
from pipeline.store import Fact


def cost(process: psutil.Process, seconds: float) -> tuple[float, float]:
    """Per cent of a core, and MB of memory."""
    before = process.cpu_times()
    time.sleep(seconds)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return 100 * used / seconds, process.memory_info().rss / 1e6


def idle_python() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


async def measure(seconds: float) -> dict[str, dict[str, float]]:
    """The bot is this very process: what the bench itself holds is in its figure too."""
    with tempfile.TemporaryDirectory() as folder:
        world = await asyncio.to_thread(make_world, Path(folder))
        async with play.bot_in(world, play.Door(), timedelta(seconds=3), lambda event: None) as app:
            await story.wait_until_up(app, 120)
            await story.until(lambda: app.tools.store.get_fact(Fact.WARM), "the warm build", 300)
            await asyncio.sleep(5)
            observed = app.tools.keeper.observed()
            assert observed is not None
            bare = await asyncio.to_thread(idle_python)
            watched = {
                "bot": psutil.Process(),
                "keeper": psutil.Process(observed.keeper_pid),
                "bare python": psutil.Process(bare.pid),
            }
            figures = await asyncio.gather(*(asyncio.to_thread(cost, each, seconds) for each in watched.values()))
            bare.kill()
            bare.wait(10)
    pairs = zip(watched, figures, strict=True)
    return {name: {"cpu_percent": round(cpu, 3), "rss_mb": round(rss, 1)} for name, (cpu, rss) in pairs}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=30)
    figures = asyncio.run(measure(options.parse_args().seconds))
    for name, each in figures.items():
        print(f"{name:12} {each['cpu_percent']:7.3f} % of a core   {each['rss_mb']:7.1f} MB")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
