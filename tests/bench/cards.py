"""How late a card is: from a state's row in the database until the card shows it, or one that came after it.

    python tests/bench/cards.py [--bugs 3]

A real realm heals crashes one after the other, over the sandbox with Discord's own limits of rate (five edits in five
seconds). Each is answered at once, so that its states follow each other as fast as they ever do. Beside it what one
look costs, which is the grain of the figures. Goal: what is live or over within a second, everything within two.
"""

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from living_ground import borrow_ground
from living_realm import LivingRealm, living, warm_up

from bot.demo.bugs import BUGS
from bot.faces import WORDS
from pipeline.model import RunKind, RunState

FIX = WORDS[RunKind.FIX]
TITLES = {
    RunState.READY: FIX.ready, RunState.PATCHING: FIX.applying, RunState.BUILDING: FIX.building,
    RunState.PUBLISHING: FIX.publishing, RunState.AWAITING_DEPLOYMENT: FIX.built, RunState.DEPLOYING: FIX.deploying,
    RunState.VERIFYING: FIX.live, RunState.SUCCEEDED: FIX.done,
}  # fmt: skip
ORDER = list(TITLES)
BUILDING = 300.0  # seconds
MATTER = (RunState.VERIFYING, RunState.SUCCEEDED)


@dataclass
class Watch:
    """When each title was first seen on each card."""

    seen: dict[tuple[int, str], float] = field(default_factory=dict)
    looks: list[float] = field(default_factory=list)
    # seconds

    def look(self, realm: LivingRealm) -> None:
        began = time.time()
        for card in realm.channel.cards():
            self.seen.setdefault((card.number, card.title), time.time())
        self.looks.append(time.time() - began)

    def find(self, card: int, state: RunState) -> float | None:
        """When the card first showed it, or one that came after it."""
        titles = [TITLES[each].split("{}")[0] for each in ORDER[ORDER.index(state) :]]
        times = [at for (number, title), at in self.seen.items() if number == card and title.startswith(tuple(titles))]
        return min(times, default=None)


@contextmanager
def watching(realm: LivingRealm) -> Iterator[Watch]:
    watch, over = Watch(), threading.Event()

    def go_on() -> None:
        while not over.wait(0.03):
            watch.look(realm)

    worker = threading.Thread(target=go_on)
    worker.start()
    try:
        yield watch
    finally:
        over.set()
        worker.join()


def measure(bugs: int) -> tuple[dict[RunState, list[float]], list[int], Watch]:
    """Seconds of lateness by state, and how often each card was edited."""
    with borrow_ground() as ground:
        warm_up(ground)
        with living(ground) as realm:
            realm.start()
            with watching(realm) as watch:
                for number, bug in enumerate(BUGS[:bugs], 1):
                    realm.answer(bug, realm.crash(bug))
                    wait_fixed(realm, number)
                time.sleep(1.0)
            late = find_lateness(realm, watch)
            return late, [each.edits for each in realm.channel.cards()], watch


def wait_fixed(realm: LivingRealm, number: int) -> None:
    done = FIX.done.split("{}")[0]

    def look() -> bool:
        return sum(each.title.startswith(done) for each in realm.channel.cards()) == number

    realm.wait(look, f"{number} cards {done!r}", BUILDING)


def find_lateness(realm: LivingRealm, watch: Watch) -> dict[RunState, list[float]]:
    rows = realm.rows("select e.at, e.after, r.card from run_events e join runs r on r.id = e.run order by e.id")
    late: dict[RunState, list[float]] = {state: [] for state in ORDER}
    for row in rows:
        state = RunState(row["after"])
        if state in late and (shown := watch.find(row["card"], state)) is not None:
            late[state].append(shown - datetime.fromisoformat(row["at"]).replace(tzinfo=UTC).timestamp())
    return late


def describe(name: str, late: Sequence[float]) -> str:
    return f"{name:20} median {statistics.median(late):5.2f}   latest {max(late):5.2f} s   ({len(late)})"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--bugs", type=int, default=3)
    late, edits, watch = measure(options.parse_args().bugs)
    for state, each in late.items():
        print(describe(state.value, each))
    matters = [seconds for state in MATTER for seconds in late[state]]
    print(describe("live or over", matters))
    print(f"edits of each card: {edits}; one look takes {1000 * statistics.median(watch.looks):.0f} ms")
    print(json.dumps({"late": {state.value: each for state, each in late.items()}, "edits": edits}))


if __name__ == "__main__":
    main()
