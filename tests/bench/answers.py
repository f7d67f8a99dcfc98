"""How long `/status` takes until its answer is there: while nothing else happens, and under a build on every core.

    python tests/bench/answers.py [--calls 200]

The bot is a process of its own over a realm that lives; the build is a plain `cmake --build -j` of the realm, begun
anew as often as it ends, with the priority of any other process (the bot's own builds have less). Beside it the bare
page of the same process: what the way there and back costs. Goal: under 1 s at the 99th percentile.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from living_ground import borrow_ground
from living_realm import LivingRealm, living, warm_up

from pipeline.adapters.toolchain import find_tool


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", type=int, default=200)
    calls = options.parse_args().calls
    with borrow_ground() as ground:
        warm_up(ground)
        with living(ground) as realm:
            realm.start()
            figures = {"/status, idle": time_calls(realm, calls), "bare page, idle": time_pages(realm, calls)}
            with tempfile.TemporaryDirectory() as folder, building(realm, Path(folder)) as built:
                figures |= {"/status, build": time_calls(realm, calls), "bare page, build": time_pages(realm, calls)}
    for name, each in figures.items():
        print(f"{name:16}  median {each['median']:6.0f}   p95 {each['p95']:6.0f}   p99 {each['p99']:6.0f} ms")
    ratio = figures["/status, build"]["p99"] / figures["bare page, build"]["p99"]
    print(f"under the build /status takes {ratio:.1f} times the bare page at the 99th percentile; {built[0]} builds")
    print(json.dumps(figures))


def time_calls(realm: LivingRealm, calls: int) -> dict[str, float]:
    def ask() -> None:
        assert realm.channel.slash("status").title

    return summarize(ask, calls)


def time_pages(realm: LivingRealm, calls: int) -> dict[str, float]:
    return summarize(realm.channel.state, calls)


def summarize(work: Callable[[], object], times: int) -> dict[str, float]:
    """Milliseconds."""
    spans = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        spans.append(1000 * (time.perf_counter() - began))
    cuts = statistics.quantiles(spans, n=100, method="inclusive")
    return {"median": round(cuts[49], 1), "p95": round(cuts[94], 1), "p99": round(cuts[98], 1)}


@contextmanager
def building(realm: LivingRealm, folder: Path) -> Iterator[list[int]]:
    """Every core compiles until the block is left; how many builds there were."""
    cmake = str(find_tool("cmake"))
    configure = [cmake, "-S", str(realm.checkout), "-B", str(folder)]
    subprocess.run(configure, check=True, capture_output=True, timeout=120)
    jobs = str(os.cpu_count() or 2)
    over = threading.Event()
    built = [0]

    def build() -> None:
        while not over.is_set():
            command = [cmake, "--build", str(folder), "--clean-first", "-j", jobs]
            subprocess.run(command, check=True, capture_output=True, timeout=600)
            built[0] += 1

    worker = threading.Thread(target=build)
    worker.start()
    time.sleep(1.0)  # until compilers run
    try:
        yield built
    finally:
        over.set()
        worker.join()


if __name__ == "__main__":
    main()
