"""A real night, as long as asked: the sample realm crashes at random, and what bot and keeper take is written down.

    python tests/soak/night.py [--hours 1] [--seed 1] [--every 5] [--kills 0] [--crash 150]

Everything is real: server, keeper, bot, git, compiles. The channel is a process of its own, as it remembers whatever
was said: what is measured of the bot is the bot's alone. `--kills N` kills bot, keeper or both N times an
hour. A line every so many minutes; at the end a table of first, last, least, median and most, how much each grows in an
hour, what happened, and each invariant of `tests/checker.py`. Ends with 1 if one is broken or an order went unanswered.
"""

import argparse
import random
import secrets
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from chance import SETTINGS, Chance, Pace
from channel_apart import Place, serving_channel
from checker import INVARIANTS
from gauges import Gauges
from killing import MortalRealm, Victim
from living_channel import Channel
from living_ground import borrow_ground
from living_realm import living_as, warm_up

READING = 15.0  # seconds between two readings
ASKING = 60.0  # seconds between two questions to the channel


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=5.0, help="minutes between two lines")
    parser.add_argument("--kills", type=float, default=0.0, help="an hour")
    parser.add_argument("--crash", type=float, default=150.0, help="mean seconds between two; 20 an hour are held")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended all the same
    with borrow_ground() as ground, serving_channel(token := secrets.token_hex(8)) as place:
        warm_up(ground)

        def make(*arguments: Any) -> ApartRealm:
            realm = ApartRealm(*arguments)
            realm.speak_at(place, token)
            return realm

        with living_as(make, ground, None, **SETTINGS) as realm:
            return play(realm, asked)


class ApartRealm(MortalRealm):
    """Its channel outlives its bot."""

    def speak_at(self, place: Place, token: str) -> None:
        self.token, self.command = token, place.command
        self._settings |= place.settings
        self._there = Channel(place.url, token)

    @property
    def channel(self) -> Channel:
        return self._there


def play(realm: MortalRealm, asked: argparse.Namespace) -> int:
    realm.start()
    dice = random.Random(asked.seed)
    pace = Pace(crash=asked.crash, order=60, visit=400, outage=400, answer=10, reaction=20)
    night, gauges = Chance(realm, dice, pace), Gauges(realm)
    kills: list[Victim] = []

    def kill() -> None:
        kills.append(dice.choice(list(Victim)))
        realm.strike(kills[-1])

    def say() -> None:
        print(f"{(time.monotonic() - gauges.began) / 60:5.1f} min  {gauges.write_line()}", flush=True)

    acts = [Regularly(READING, gauges.read), Regularly(ASKING, lambda: ask(realm, gauges)),
            Regularly(asked.every * 60, say)]  # fmt: skip
    if asked.kills:
        acts.append(Regularly(3600 / asked.kills, kill))
    night.play(asked.hours * 3600, acts)
    night.rest()
    gauges.read()
    return tell(realm, night, gauges, kills)


class Regularly:
    def __init__(self, every: float, act: Callable[[], None]) -> None:
        self._every, self._act = every, act
        self._due = time.monotonic() + every

    def __call__(self) -> None:
        if time.monotonic() >= self._due:
            self._act()
            self._due = time.monotonic() + self._every


def ask(realm: MortalRealm, gauges: Gauges) -> None:
    """How long the channel takes for an answer that needs the whole bot: gateway, loop, database, message."""
    began = time.monotonic()
    try:
        realm.channel.slash("status", user="guest")
    except (OSError, AssertionError):
        return  # its bot was killed; one that lives is asked by `Chance`, too, which counts
    gauges.note("status ms", (time.monotonic() - began) * 1000)


def tell(realm: MortalRealm, night: Chance, gauges: Gauges, kills: list[Victim]) -> int:
    print(*gauges.write_table(), sep="\n")
    print(write_restarts(gauges.list_restarts()))
    print(f"{len(kills)} kills; {night.describe()}")
    print(f"unanswered by a bot that lived: {len(night.unanswered)}", *night.unanswered, sep="\n  ")
    for row in realm.rows("select * from runs order by created_at"):
        print(*(row[name] or "-" for name in ("id", "kind", "state", "subject", "verdict", "reason")), sep="  ")
    return int(bool(judge(realm) or night.unanswered))


def write_restarts(spans: list[float]) -> str:
    """`spans` in milliseconds."""
    if len(spans) < 2:
        return f"{len(spans)} restarts at once"
    steps = quantiles(spans, n=20)
    return f"{len(spans)} restarts at once, ms: median {steps[9]:.1f}, p95 {steps[18]:.1f}, most {max(spans):.1f}"


def judge(realm: MortalRealm) -> list[str]:
    """Each invariant by its name, and what breaks it."""
    history = realm.gather_history()
    faults = {each.__name__: list(each(history)) for each in INVARIANTS}
    for name, found in faults.items():
        print(f"{'BROKEN' if found else 'held  '} {name.replace('_', ' ')}", *found, sep="\n         ")
    counts = [f"{len(history.rows(table))} {table}" for table in ("crashes", "runs", "deployments", "branches")]
    print(*counts, f"{len(history.messages)} messages", f"{len(history.pushes)} pushes", sep=", ")
    return [fault for found in faults.values() for fault in found]


if __name__ == "__main__":
    sys.exit(main())
