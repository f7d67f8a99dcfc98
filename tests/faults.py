"""Faults that must not come back, what happens instead, and which tests say so: the page `docs/faults.md`.

    PYTHONPATH=.:tests python tests/faults.py        writes the page anew

What is said of a fault stands here; which tests it has is read from their names (`test_fault_a1_…`, `test_hostile_…`,
`test_world_git_hooks_…`), and which points there are to be killed at from the code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from hostile_responses import BROKEN, DEEDS, PLAIN, REACHING, REFUSED, WRONG
from point_names import list_points
from world_faults import PROGRAMS, WORLD, find_row

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "faults.md"
_IDS = re.compile(r"test_fault_((?:[ab]\d+_)+)")

# id -> (the fault, what happens instead)
FAULTS = {
    "a1": ("A restart on the same day overwrote the night branch", "The branch is continued; nothing is force-pushed"),
    "a2": ("A failed build wiped uncommitted work", "The user's checkout is never written; our clone is made exact"),
    "a3": ("Uncommitted files, secrets among them, were pushed", "Nothing of the user's is ever committed"),
    "a4": ("An answer without code counted as a fix", "Before and after must match one place; prose is a proposal"),
    "a5": ("Success was reported with push, folder or server gone", "Each stage reports what was observed"),
    "a6": ("A failing answer was tried again for ever", "Attempts are bounded, then it fails and is told once"),
    "a7": ("What the compiler said was lost", "Diagnostics are read, posted and given back to the analyst"),
    "a8": ("An answer wrote outside of the source", "It is refused and nothing is written"),
    "a9": ("A live lock was deleted, a dead one blocked", "Locks are the kernel's; only our own git's leftovers go"),
    "a10": ("Signals were ignored, a killed stage was lost", "It ends in order; after kill -9 it goes on anywhere"),
    "a11": ("A fix was deployed without a commit", "A fix is a commit, or it does not exist"),
    "a12": ("Compilers outlived their build", "The whole tree is ended, also after our own death"),
    "a13": ("A new server that died at its start stayed down", "The last good build is put back at once"),
    "a14": ("Every worldserver of the machine was killed", "Only ours: asked, told, then ended"),
    "a15": ("Five fixes made five restarts", "What waits is deployed together"),
    "a16": ("The chain from crash to fix had gaps", "A crash comes in, a fix goes live, without a hand"),
    "a17": ("Unreadable crashes were one, drift made new ones", "Signatures; an unreadable report is its own"),
    "a18": ("A fragment replaced a file, answers undid each other", "A known base or one match, else refused"),
    "b1": ("Thousands of restarts and messages", "A breaker holds the server; one card counts"),
    "b2": ("The restart waited for a message", "Neither bot nor Discord is on the way of a restart"),
    "b3": ("A wanted exit counted as a crash", "0 = shutdown, 2 = restart, 1 before ready = start-up error"),
    "b4": ("A stop hung for ever", "It is asked, its stacks are taken, it is ended"),
    "b5": ("Players were thrown out without a word", "Notice, player limit, quiet hours, latest time, Cancel"),
    "b6": ("Restarts by hand went untold", "Each is told with its actor and its time"),
    "b7": ("Answers came too late for Discord", "It has its answer first; nothing blocks the loop"),
    "b8": ("A text over the limit was dropped", "Its middle is cut, the whole is attached, secrets are gone"),
    "b9": ("Relayed text mentioned everyone", "Mentions are off, and hushed in the text"),
    "b10": ("Messages were lost or doubled over an outage", "Each is delivered once, however the outage fell"),
    "b11": ("Online, but deaf for hours", "A silent gateway is asked, and renewed if it does not answer"),
    "b12": ("Anyone could stop the server", "Default deny, with the reason"),
    "b13": ("A crash of the old binary reopened a fix", "It counts only where the crashing binary has the fix"),
    "b14": ("Two supervisors started two servers", "Another one is noticed: we hold and say so"),
    "b15": ("A taken port or full memory looked like a bug", "It is the environment: the cure is named, nobody asked"),
    "b16": ("All hangs looked alike", "The signature is the world thread's"),
    "b17": ("A server died soon after it was ready", "It is watched before it counts as healthy"),
    "b18": ("Old builds filled the disk", "They are pruned, never the last good one"),
}

# what they are -> cases; what becomes of each
HOSTILE: dict[str, tuple[Collection[str], str]] = {
    "files that are no response": (BROKEN, "rejected with the reason, the request stays open"),
    "the wrong types, the wrong request": (WRONG, "rejected with the reason, the request stays open"),
    "changes that may not be made": (REFUSED, "refused with the reason, or rejected before that"),
    "places out of reach": (REACHING, "refused with the reason, or rejected before that"),
    "only text": (PLAIN, "plain data that does nothing; secrets are struck out"),
    "what only a program can do": (DEEDS, "the scratch clone is all it changes; whatever it started is ended"),
}

# where -> (part of the path of its files, how it is played)
POINTS = {
    "runner, stages, orders, intake": ("/pipeline/", "the bot dies at each, first and last passage"),
    "the adapters": ("/adapters/", "kill -9 of bot, keeper, both"),
    "the keeper": ("/keeper/", "kill -9 of bot, keeper, both"),
    "Discord's edge and the start": ("/bot/", "kill -9 of bot, keeper, both"),
}
KILLS = ("unit/test_killed_nights.py", "acceptance/test_killed_anywhere.py", "acceptance/test_kills.py")

# heading -> (how its tests' names begin, what they show)
KINDS = {
    "Power loss": (
        "test_power_",
        "Files cut at their last sync: what was told is still there, the rest is done again.",
    ),
    "Long nights": ("test_long_night_", "Nights of many crashes in a fake world: counts are exact, nothing grows."),
    "Secrets": ("test_secret_", "Planted secrets are searched for in everything that leaves the process."),
    "Readers that are fuzzed": ("test_fuzz_", "No unhandled exception, no hang, no heap of memory, whatever is read."),
    "Upgrades": ("test_upgrade_", "A new bot with the keeper and the database of before."),
}


def list_tests() -> Iterator[tuple[str, str]]:
    """(file below tests/, name) of every test function."""
    for path in sorted((ROOT / "tests").glob("*/test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield path.relative_to(ROOT / "tests").as_posix(), node.name


def list_ids(name: str) -> list[str]:
    """The faults that a test is named for."""
    found = _IDS.match(name)
    return found[1].strip("_").split("_") if found else []


def write_page() -> str:
    tests = list(list_tests())
    parts = (
        _write_faults(tests),
        _write_hostile(tests),
        _write_points(tests),
        _write_world(tests),
        _write_kinds(tests),
    )
    return "\n".join(line for part in parts for line in part) + "\n"


def _write_faults(tests: list[tuple[str, str]]) -> Iterator[str]:
    yield "# Faults that must not come back"
    yield ""
    yield "Written by `tests/faults.py` from the names of the tests; `tests/unit/test_faults_page.py` fails when it is"
    yield "stale."
    yield ""
    yield "| | the fault | what happens | tests |"
    yield "|---|---|---|---|"
    for number, (fault, instead) in FAULTS.items():
        names = "<br>".join(_link(file, name) for file, name in tests if number in list_ids(name))
        yield f"| {number} | {fault} | {instead} | {names} |"


def _write_hostile(tests: list[tuple[str, str]]) -> Iterator[str]:
    yield ""
    yield "## Hostile or broken responses"
    yield ""
    yield "Through the queue and through ANALYST_COMMAND; `tests/soak/hostile.py` plays every place in every shape both"
    yield "ways, the tests a sample of them. After each, checkout, remote, our clone, state folder and"
    yield "what lies beside them are byte for byte what they were, but for the filed response and the row of its run."
    yield ""
    yield "| what | cases | what happens |"
    yield "|---|---|---|"
    for what, (cases, instead) in HOSTILE.items():
        yield f"| {what} ({len(cases)}) | {', '.join(cases)} | {instead} |"
    yield ""
    yield "All tests of this kind:"
    yield ""
    yield from (f"- {_link(file, name)}" for file, name in tests if name.startswith("test_hostile_"))


def _write_points(tests: list[tuple[str, str]]) -> Iterator[str]:
    yield ""
    yield "## Killed anywhere"
    yield ""
    points = len(list_points())
    yield "Fault points are found in the code; a test fails if one of them is never reached. `tests/soak/kills.py`"
    yield f"plays all {points}, each with bot, keeper and both killed ({3 * points} kills); the tests play a sample."
    yield ""
    yield "| where | points | how |"
    yield "|---|---|---|"
    counts = _count_points()
    yield from (f"| {where} | {counts[where]} | {how} |" for where, (_, how) in POINTS.items())
    yield ""
    yield from (f"- {_link(file, name)}" for file, name in tests if file in KILLS)


def _count_points() -> dict[str, int]:
    """A point counts where its path is named most exactly."""
    special = {name for part in ("/adapters/", "/keeper/") for name in list_points(part)}
    found = {where: set(list_points(below)) for where, (below, _) in POINTS.items()}
    return {
        where: len(names - special if POINTS[where][0] == "/pipeline/" else names) for where, names in found.items()
    }


def _write_world(tests: list[tuple[str, str]]) -> Iterator[str]:
    yield ""
    yield "## The world misbehaves"
    yield ""
    yield "After each: nothing lost, nothing doubled, the server up or the hold told, and it goes on by itself once the"
    yield "fault is gone."
    for part, rows in WORLD.items():
        yield ""
        yield f"| {part} | what happens | tests |"
        yield "|---|---|---|"
        for row, (fault, happens) in rows.items():
            yield f"| {fault} | {happens} | {'<br>'.join(list_proofs(row, tests))} |"


def list_proofs(row: str, tests: list[tuple[str, str]]) -> list[str]:
    """Links to what plays a fault of the world."""
    program = PROGRAMS.get(row)
    found = [] if program is None else [f"[`tests/{program}`](../tests/{program})"]
    return found + [_link(file, name) for file, name in tests if find_row(name) == row]


def _write_kinds(tests: list[tuple[str, str]]) -> Iterator[str]:
    for heading, (prefix, shows) in KINDS.items():
        yield from ("", f"## {heading}", "", shows, "")
        yield from (f"- {_link(file, name, prefix)}" for file, name in tests if name.startswith(prefix))


def _link(file: str, name: str, prefix: str = "test_hostile_") -> str:
    words = _IDS.sub("", name).removeprefix(prefix)
    row = find_row(name)
    if row is not None:
        words = words.partition(f"world_{row}")[2]
    words = words.removeprefix("test_").strip("_").replace("_", " ")
    return f"[{words}](../tests/{file})"


if __name__ == "__main__":
    PAGE.write_text(write_page(), encoding="utf-8", newline="\n")
