"""How long a text keeps other threads waiting while its secrets are struck out, and what that costs.

    python tests/bench/redaction.py [--size 8]

Texts of so many MiB: the log of a build, and lines without an end that look like a secret at every character. Goal: the
longest pause of another thread is a few hundredths of the whole; one pause as long as the whole is what blocks prevent.
Costs are quoted as ratios to a text in which no rule finds a hint.
"""

import argparse
import sys
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2])]

from pipeline.redact import Redactor

HINTS = "\n key @ . : ; nfo :// eyJ asic -----END -----BEGIN uthorization ebhooks/ sk-"
COMPILED = (
    "[{}/1803] /usr/bin/c++ -DBUILD='x' -I/home/wow/source/src/game -std=c++20 -o game.dir/x_{}_key.cpp.o -c x.cpp\n"
)
PARTS = (
    "x", "a_", "a.", "a@", "a.a@a.a", "a;1;b;", "://a:", "eyJ-", "eyJa.", "token_", "nfo=;", "2001:0:", "1.1.1.1 ",
    "sk-a-", "-----BEGIN PRIVATE KEY-----a-", "authorization:", "password=" + "a" * 990 + "(",
)  # fmt: skip


class Pulse(threading.Thread):
    """Another thread, and the longest time between two of its looks at the clock."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.longest = 0.0  # seconds
        self._over = threading.Event()

    def run(self) -> None:
        last = time.monotonic()
        while not self._over.wait(0.002):
            now = time.monotonic()
            self.longest = max(self.longest, now - last)
            last = now

    def end(self) -> float:
        self._over.set()
        self.join()
        return self.longest


def measure(redact: Redactor, text: str) -> tuple[float, float, float]:
    """Seconds of the processor, of the clock, and of the longest pause."""
    pulse = Pulse()
    pulse.start()
    worked, began = time.thread_time(), time.monotonic()
    redact(text)
    worked, took = time.thread_time() - worked, time.monotonic() - began
    return worked, took, pulse.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=8, help="MiB of each text")
    size = int(parser.parse_args().size * (1 << 20))
    redact = Redactor(["hunter2hunter2"])
    log = "".join(COMPILED.format(number, number) for number in range(size // len(COMPILED)))
    plain = measure(redact, "x" * size)[0]
    print(f"{'text':32} {'cost / plain':>12} {'pause / whole':>14} {'pause':>8}")
    for name, text in (("log of a build", log), *((part, part * (size // len(part)) + HINTS) for part in PARTS)):
        worked, took, pause = measure(redact, text)
        print(f"{name[:32]:32} {worked / plain:12.0f} {pause / took:14.3f} {pause * 1000:5.0f} ms", flush=True)


if __name__ == "__main__":
    main()
