"""How fast the keeper restarts a crashed server, beside a bare shell loop in the same run, and what it costs idle.

    python tests/bench/keeper_restart.py [--crashes 50] [--idle 20] [--json FILE]

Measured from outside: a pidfd that this program opens itself tells when the old process is gone, a named pipe that
the new one writes its number to tells when it runs. The start of the trivial server (`sh`) is in both rows alike.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from keeper_world import KeeperWorld

from pipeline.keeper.protocol import ReadyRule, RestartLimits

if sys.platform == "win32":
    raise SystemExit("pidfds, named pipes and SIGKILL are POSIX")

SERVER = """#!/bin/sh
echo $$ > births
echo '(worldserver-daemon) ready...'
exec sleep 100000
"""
SHELL_LOOP = ["/bin/sh", "-c", "while :; do ./worldserver; done"]
TIMEOUT = 20.0  # seconds for one restart
PAUSE = 0.1  # seconds between two crashes, in which the keeper writes down what happened


class Births:
    """A named pipe in the server's folder: each new server writes its process number to it."""

    def __init__(self, folder: Path) -> None:
        (folder / "worldserver").write_text(SERVER)
        (folder / "worldserver").chmod(0o755)
        os.mkfifo(folder / "births")
        self._pipe = os.open(folder / "births", os.O_RDWR | os.O_NONBLOCK)  # held open: no writer ever waits

    def wait(self) -> int:
        """The number of the server that has just been born."""
        if not select.select([self._pipe], [], [], TIMEOUT)[0]:
            raise TimeoutError("no new server")
        return int(os.read(self._pipe, 64).split()[0])

    def crash(self, pid: int) -> tuple[float, int]:
        """Milliseconds from the end of this server to the birth of the next one, and its number."""
        gone = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        if not select.select([gone], [], [], TIMEOUT)[0]:
            raise TimeoutError("it does not die")
        ended = time.monotonic_ns()
        born = self.wait()
        os.close(gone)
        return (time.monotonic_ns() - ended) / 1e6, born


def main() -> int:
    """Prints a table and one line of JSON."""
    arguments = _parse()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        keeper, idle = measure_keeper(Path(folder), arguments.crashes, arguments.idle)
    with tempfile.TemporaryDirectory() as folder:
        shell = measure_shell(Path(folder), arguments.crashes)
    rows = {"keeper": summarise(keeper), "shell_loop": summarise(shell)}
    ratio = {each: round(rows["keeper"][each] / rows["shell_loop"][each], 2) for each in ("median_ms", "p95_ms")}
    result = {**rows, "ratio": ratio, "idle": idle, "load": load, "crashes": arguments.crashes}
    print(format_table(result))
    print(json.dumps(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crashes", type=int, default=50)
    parser.add_argument("--idle", type=float, default=20.0, help="seconds")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def measure_keeper(folder: Path, crashes: int, idle: float) -> tuple[list[float], dict[str, float]]:
    """Milliseconds of each restart, and what the keeper costs while nothing happens."""
    world = KeeperWorld(folder)
    births = Births(world.server)
    limits = RestartLimits(soak=0.0, deaths_in_a_row=10_000, deaths_per_hour=10_000)
    world.ask(limits=limits, ready=ReadyRule(port=0))
    keeper = world.start_keeper()
    pid = births.wait()
    try:
        world.wait_until_ready(pid=pid)
        times, pid = crash_again_and_again(births, pid, crashes, lambda pid: world.wait_until_ready(pid=pid))
        return times, measure_idle(keeper.pid, idle)
    finally:
        world.close()
        os.kill(pid, signal.SIGKILL)


def measure_shell(folder: Path, crashes: int) -> list[float]:
    """The same server under `while :; do ./worldserver; done`."""
    births = Births(folder)
    loop = subprocess.Popen(SHELL_LOOP, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pid = births.wait()
    try:
        times, pid = crash_again_and_again(births, pid, crashes, lambda _: None)
        return times
    finally:
        loop.kill()
        loop.wait(TIMEOUT)
        os.kill(pid, signal.SIGKILL)


def crash_again_and_again(
    births: Births, pid: int, crashes: int, settle: Callable[[int], object]
) -> tuple[list[float], int]:
    """The times, and the number of the server that lives at the end."""
    times = []
    for _ in range(crashes):
        took, pid = births.crash(pid)
        times.append(took)
        settle(pid)
        time.sleep(PAUSE)
    return times, pid


def measure_idle(pid: int, seconds: float) -> dict[str, float]:
    """Percent of one core and MB of resident memory."""
    process = psutil.Process(pid)
    time.sleep(1.0)
    before, began = process.cpu_times(), time.monotonic()
    time.sleep(seconds)
    after, took = process.cpu_times(), time.monotonic() - began
    spent = after.user + after.system - before.user - before.system
    return {"cpu_percent": round(100 * spent / took, 3), "rss_mb": round(process.memory_info().rss / 1e6, 1)}


def summarise(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "median_ms": round(statistics.median(ordered), 2),
        "p95_ms": round(ordered[max(0, round(len(ordered) * 0.95) - 1)], 2),
        "worst_ms": round(ordered[-1], 2),
    }


def format_table(result: dict[str, Any]) -> str:
    lines = [f"crash -> new process, {result['crashes']} times (load {result['load']:.1f})"]
    for name in ("keeper", "shell_loop", "ratio"):
        row = result[name]
        worst = f"  worst {row['worst_ms']:7.2f}" if "worst_ms" in row else ""
        lines.append(f"  {name:<11} median {row['median_ms']:7.2f}  p95 {row['p95_ms']:7.2f}{worst}")
    idle = result["idle"]
    lines.append(f"  idle        {idle['cpu_percent']:.3f} % of a core, {idle['rss_mb']:.1f} MB")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
