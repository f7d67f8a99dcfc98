"""kill -9 everywhere: each fault point of a night on real parts, for the bot, for its keeper, for both.

    python tests/soak/kills.py [--seed 1] [--faults 8] [--nights 0] [--only swap] [--share 1/2] [--held FILE]
    python tests/soak/kills.py --random 200 [--seed 1] [--mean 6] [--first 1]

Points are found by playing one night undisturbed, which has to come to all that the code has. Then the faults, some to
a night, in an order that the seed gives.
`--share 1/2` and `--share 2/2` are two halves of the points, for two of them side by side; `--held` is a file that
keeps which faults were held, so that a round that was ended goes on where it was, and several write into one.
With `--random N` there are no points: N kills at moments that nobody chose, in nights of two minutes in which the dice
say what else happens. Prints a line for each night, and each invariant that broke; ends with 1 if anything broke.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from chance import SETTINGS, Chance, Killer, Pace
from full_night import SETTINGS as FULL
from full_night import FullNight, list_missed
from killing import Fault, MortalRealm, Victim, killing
from living_ground import Ground, borrow_ground
from living_realm import living_as, warm_up

NIGHT = 120.0  # seconds of a night by chance, before it comes to rest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=8, help="in one night")
    parser.add_argument("--nights", type=int, default=0, help="at most; 0 = until each fault was made")
    parser.add_argument("--only", default="", help="points whose name begins so")
    parser.add_argument("--share", default="1/1", help="which part of the points, and of how many")
    parser.add_argument("--held", type=Path, help="a file of faults that were held: they are left out, new ones noted")
    parser.add_argument("--random", type=int, default=0, help="so many kills at random moments instead")
    parser.add_argument("--mean", type=float, default=6.0, help="seconds between two of them")
    parser.add_argument("--first", type=int, default=1, help="the night to begin with: each has a seed of its own")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended all the same
    with borrow_ground() as ground, tempfile.TemporaryDirectory() as folder:
        warm_up(ground)
        return play_by_chance(ground, asked) if asked.random else play_all(ground, Path(folder), asked)


def play_all(ground: Ground, folder: Path, asked: argparse.Namespace) -> int:
    reached = find_points(ground, folder / "undisturbed")
    never = list_missed(reached)
    points = [point for point in sorted(reached) if point.startswith(asked.only) and is_in(point, asked.share)]
    held = read_held(asked.held)
    every = [Fault(point, victim) for point in points for victim in Victim]
    wanted = [fault for fault in every if str(fault) not in held]
    print(f"{len(reached)} points, {len(every)} faults, {len(wanted)} to make, seed {asked.seed}", flush=True)
    random.Random(asked.seed).shuffle(wanted)
    fired: list[Fault] = []
    broken = 0
    for number, faults in enumerate(share_out(wanted, asked.faults), 1):
        if asked.nights and number > asked.nights:
            break
        broken += not play(ground, folder / str(number), faults, fired, asked.held)
    missed = [str(fault) for fault in wanted if fault not in fired]
    print(f"{len(fired)} kills, {broken} nights with something broken; not come to: {', '.join(missed) or 'none'}")
    print(f"points of the code that no night comes to: {', '.join(never) or 'none'}")
    return int(broken > 0 or bool(never))


def find_points(ground: Ground, folder: Path) -> set[str]:
    with killing(ground, folder, [], FullNight, **FULL) as night:
        night.play()
        return night.realm.reached


def is_in(point: str, share: str) -> bool:
    """The same whatever else was reached: `share` is "1/2"."""
    part, parts = map(int, share.split("/"))
    return crc32(point.encode()) % parts == part - 1


def read_held(path: Path | None) -> set[str]:
    return set(path.read_text(encoding="utf-8").split()) if path is not None and path.exists() else set()


def note_held(path: Path, faults: list[Fault]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{fault}\n" for fault in faults)


def share_out(faults: list[Fault], most: int) -> Iterator[list[Fault]]:
    """Nights in which each point has one fault."""
    left = list(faults)
    while left:
        night: dict[str, Fault] = {}
        for fault in left:
            if len(night) < most:
                night.setdefault(fault.point, fault)
        left = [fault for fault in left if fault not in night.values()]
        yield list(night.values())


def play(ground: Ground, folder: Path, faults: list[Fault], fired: list[Fault], held: Path | None) -> bool:
    began = time.monotonic()
    fault = None
    try:
        with killing(ground, folder, faults, FullNight, **FULL) as night:
            kept = night.realm
            night.play()
    except Exception as error:
        fault = error
    fired += kept.fired
    names = " ".join(f"{'' if each in kept.fired else '-'}{each}" for each in faults)
    print(write_outcome(fault, began), names, flush=True)
    if fault is not None:
        traceback.print_exception(fault)
    elif held is not None:
        note_held(held, kept.fired)
    return fault is None


def write_outcome(fault: Exception | None, began: float) -> str:
    return f"{'ok    ' if fault is None else 'BROKEN'} {time.monotonic() - began:4.0f} s "


# --- at random ------------------------------------------------------------------------------------------------------


def play_by_chance(ground: Ground, asked: argparse.Namespace) -> int:
    kills = broken = nights = 0
    while kills < asked.random:
        made, whole = play_one_by_chance(ground, f"{asked.seed}.{asked.first + nights}", asked.mean)
        nights += 1
        kills += made
        broken += not whole
    print(f"{kills} kills at random moments of {nights} nights, {broken} nights with something broken")
    return int(broken > 0)


def play_one_by_chance(ground: Ground, seed: str, mean: float) -> tuple[int, bool]:
    """Kills that were made, and whether everything held."""
    began = time.monotonic()
    told: list[str] = []
    fault = None
    killer: Killer | None = None
    try:
        with living_as(MortalRealm, ground, None, **SETTINGS) as realm:
            realm.start_bot()
            night = Chance(realm, random.Random(f"{seed} night"), Pace())
            with Killer(realm, random.Random(f"{seed} kills"), mean) as killer:
                night.play(NIGHT)
            told = [killer.describe(), night.describe()]
            night.rest()
    except Exception as error:
        fault = error
    print(
        f"{'ok    ' if fault is None else 'BROKEN'} {time.monotonic() - began:4.0f} s  seed {seed}: {'; '.join(told)}"
    )
    if fault is not None:
        traceback.print_exception(fault)
    sys.stdout.flush()
    return 0 if killer is None else killer.kills.total(), fault is None


if __name__ == "__main__":
    sys.exit(main())
