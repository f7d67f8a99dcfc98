"""What nobody expects, to every reader of what others wrote, for as long as asked, other inputs each time.

    python tests/soak/fuzz.py [--minutes 10] [--only report]

Prints each round's reader, how many inputs it had in all, and the smallest input that broke it. Ends with 1 if any did.
"""

import argparse
import logging
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from fuzzing import TARGETS, guarded
from hypothesis import HealthCheck, given, settings

ROUND = settings(max_examples=500, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", default="", help="readers whose name begins so")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    names = [name for name in TARGETS if name.startswith(asked.only)]
    inputs: Counter[str] = Counter()
    broken: set[str] = set()
    end = time.monotonic() + asked.minutes * 60
    while time.monotonic() < end:
        for name in names:
            if not play(name, inputs):
                broken.add(name)
            print(f"{name}: {inputs[name]} inputs", flush=True)
    print(f"{inputs.total()} inputs; broken: {', '.join(sorted(broken)) or 'none'}")
    return int(bool(broken))


def play(name: str, inputs: Counter[str]) -> bool:
    """One round of one reader; whether nothing broke."""
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:

        @ROUND
        @given(value=target.inputs)
        def check(value: Any) -> None:
            inputs[name] += 1
            with guarded():
                target.check(Path(folder), value)

        try:
            check()
        except BaseException as fault:
            if isinstance(fault, KeyboardInterrupt):
                raise
            traceback.print_exc()
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
