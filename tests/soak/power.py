"""Every state that a power loss may leave the disk in, at any moment of a night of keeper, archive and wish.

    python tests/soak/power.py [--every 1] [--start-every 50]

Records the night, then lets the readers and the keeper's beginning loose on each state, and on each fiftieth the whole
keeper with its server. Prints each invariant that broke and the state it broke on; ends with 1 if any did.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from power import list_losses
from power_night import Aftermath, record_night, start_again


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--start-every", type=int, default=50)
    asked = parser.parse_args()
    broken = 0
    with tempfile.TemporaryDirectory() as folder, record_night(Path(folder)) as night:
        book = Path(folder) / "book"
        book.mkdir()
        losses = list(list_losses(night.steps))
        print(f"{len(night.steps)} looks at the disk, {len(losses)} states it may be left in", flush=True)
        for number, (step, loss) in enumerate(losses):
            faults = [] if number % asked.every else Aftermath(night, step, book).list_faults(loss)
            faults += [] if number % asked.start_every else start_again(night, loss)
            broken += bool(faults)
            for fault in faults:
                print(f"{loss.name}: {fault}", flush=True)
    print(f"{len(losses)} states, {broken} on which something broke")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
