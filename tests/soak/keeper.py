"""One keeper over as many deaths and deployments as many nights have, in minutes: what it holds does not grow.

    PYTHONPATH=.:tests python tests/soak/keeper.py [--deaths 2000] [--every 200]

A server that dies as soon as it is ready, and another build each 25 deaths. Prints memory, descriptors and threads.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
from pathlib import Path

import psutil
from keeper_world import KeeperWorld, open_world

from pipeline.keeper.protocol import RestartLimits

DEPLOYMENT = 25  # deaths between two
ENDLESS = RestartLimits(base=0.01, cap=0.01, deaths_in_a_row=10**9, deaths_per_hour=10**9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deaths", type=int, default=2000)
    parser.add_argument("--every", type=int, default=200, help="deaths between two lines")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_world(Path(folder)) as world:
        world.begin(limits=ENDLESS)
        keeper = psutil.Process(world.keepers[-1].pid)
        for death in range(1, asked.deaths + 1):
            die(world)
            if death % DEPLOYMENT == 0:
                deploy(world, death)
            if death % asked.every == 0:
                print(f"{death:6} deaths {describe(keeper)}", flush=True)


def die(world: KeeperWorld) -> None:
    """And the next one is ready."""
    born = world.list_pids()
    os.kill(born[-1], signal.SIGSEGV)
    world.wait_for_births(len(born) + 1)
    world.wait_until_ready(pid=world.list_pids()[-1])


def deploy(world: KeeperWorld, number: int) -> None:
    before = world.wish.build
    build = world.make_build(f"b{number}")
    world.ask(build=build, fallback=before, probation=f"d{number}", lift_hold=True)
    world.wait_until_ready(build=build.build)
    world.ask(probation=None)


def describe(keeper: psutil.Process) -> str:
    mib = keeper.memory_full_info().uss / (1 << 20)
    return f"{mib:5.1f} MiB (USS), {keeper.num_fds()} descriptors, {keeper.num_threads()} threads"


if __name__ == "__main__":
    main()
