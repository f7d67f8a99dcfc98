"""Every hostile response, and every place out of reach in every shape, through the queue and through ANALYST_COMMAND.

    python tests/soak/hostile.py [--only diff-git]

After each, checkout, remote, clone, state folder and what lies beside them are byte for byte what they were. Prints
what is otherwise, and how many were played each way; ends with 1 if anything was.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from hostile_responses import CASES, EVERY_SHAPE, Case
from hostile_world import HostileWorld


async def play(folder: Path, cases: dict[str, Case], *, command: bool) -> int:
    """How many of them broke something."""
    world = await HostileWorld(folder, command=command).start()
    give = world.command_raw if command else world.put_raw
    broken = 0
    for name, case in cases.items():
        try:
            (outcome,) = await give({name: case.raw})
            case.expect(outcome)
        except AssertionError as fault:
            broken += 1
            print(f"{name} {'of the command' if command else 'in the queue'}: {fault}", flush=True)
    world.world.engine.dispose()
    return broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose name begins so")
    asked = parser.parse_args()
    cases = {name: case for name, case in (CASES | EVERY_SHAPE).items() if name.startswith(asked.only)}
    written = {name: case for name, case in cases.items() if name != "nothing"}  # an empty file of a command is none
    broken = 0
    for played, command in ((cases, False), (written, True)):
        with tempfile.TemporaryDirectory() as folder:
            broken += asyncio.run(play(Path(folder), played, command=command))
    print(f"{len(cases)} in the queue, {len(written)} of the command, {broken} that broke something")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
