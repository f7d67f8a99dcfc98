"""Every state that a power loss may leave the disk in, at any moment of a night of keeper, archive and wish.

    python tests/soak/power.py [--every 1] [--start-every 50] [--clone-every 10]

Records the night, then lets the readers and the keeper's beginning loose on each state, and on each fiftieth the whole
keeper with its server; the same with the database, and with each tenth state of our clone. Prints each invariant that
broke and the state it broke on; ends with 1 if any did.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import power_clone
import power_database
from power import Loss, list_losses
from power_night import Aftermath, record_night, start_again


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--start-every", type=int, default=50)
    parser.add_argument("--clone-every", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parts = (play_night(Path(folder), asked), play_database(Path(folder)), play_clone(Path(folder), asked))
        states = broken = 0
        for loss, faults in (each for part in parts for each in part):
            states += 1
            broken += bool(faults)
            for fault in faults:
                print(f"{loss.name}: {fault}", flush=True)
    print(f"{states} states, {broken} on which something broke")
    return int(broken > 0)


Played = Iterator[tuple[Loss, list[str]]]


def play_night(folder: Path, asked: argparse.Namespace) -> Played:
    book = folder / "book"
    book.mkdir()
    with record_night(folder) as night:
        losses = list(list_losses(night.steps))
        print(f"the night: {len(night.steps)} looks at the disk, {len(losses)} states it may be left in", flush=True)
        for number, (step, loss) in enumerate(losses):
            faults = [] if number % asked.every else Aftermath(night, step, book).list_faults(loss)
            yield loss, faults + ([] if number % asked.start_every else start_again(night, loss))


def play_database(folder: Path) -> Played:
    root = folder / "database"
    steps, said = power_database.record(root)
    losses = list(list_losses(steps))
    print(f"the database: {len(steps)} looks at the disk, {len(losses)} states it may be left in", flush=True)
    for step, loss in losses:
        loss.write_to(root)
        yield loss, power_database.list_faults(root, [words for look, words in said if look <= step])


def play_clone(folder: Path, asked: argparse.Namespace) -> Played:
    work = power_clone.record(folder / "clone")
    losses = list(list_losses(work.steps))
    print(f"the clone: {len(work.steps)} looks at the disk, {len(losses)} states it may be left in", flush=True)
    for step, loss in losses[:: asked.clone_every]:
        yield loss, power_clone.list_faults(work, step, loss)


if __name__ == "__main__":
    sys.exit(main())
