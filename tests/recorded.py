"""The labelled crashes that `tests/record_crashes.py` recorded, read as a realm reads its own, and how they group."""

import json
import lzma
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from bot.demo.bugs import BUGS
from pipeline.crash.asan import read_sanitizer
from pipeline.crash.conclude import conclude, sign_again
from pipeline.crash.gdb_json import read_gdb_json
from pipeline.crash.gdb_text import read_gdb
from pipeline.crash.names import bare_name, normalise
from pipeline.crash.read import combine
from pipeline.crash.renames import is_renamed, pair_names
from pipeline.crash.rules import get_rules
from pipeline.crash.similar import rate_likeness
from pipeline.crash.stderr_text import read_text
from pipeline.model import CrashReport

RECORDED = Path(__file__).parent / "data" / "crashes" / "recorded.json.xz"


def load() -> list[dict[str, Any]]:
    """As `record_crashes.crash` made them."""
    found: list[dict[str, Any]] = json.loads(lzma.decompress(RECORDED.read_bytes()))
    return found


REALM = {bug.name for bug in BUGS}


@dataclass(frozen=True)
class Sample:
    """One reading of one recorded crash."""

    bug: str
    way: str
    moved: bool
    report: CrashReport
    text: str
    log: bool = False  # gdb's words alone, without the server's

    @property
    def family(self) -> str:
        return self.report.signature.family if self.report.signature else "none"

    @property
    def exact(self) -> str:
        return self.report.signature.exact if self.report.signature else "none"

    @property
    def top(self) -> str:
        return (self.report.frames[0].function or "?") if self.report.frames else "none"


@dataclass(frozen=True)
class Figures:
    precision: float
    recall: float
    groups: int


def read_samples() -> list[Sample]:
    return [sample for each in load() for sample in _read(each)]


def _read(crash: dict[str, Any]) -> Iterable[Sample]:
    way = f"{crash['compiler']} -{crash['level']}{' asan' if crash['sanitized'] else ''}"
    yield Sample(crash["bug"], way, crash["moved"], read_whole(crash), crash["output"])
    if crash["printed"]:
        printed = conclude(read_gdb(crash["printed"]))
        yield Sample(crash["bug"], f"{way} gdb log", crash["moved"], printed, crash["printed"], log=True)


def read_whole(crash: dict[str, Any]) -> CrashReport:
    """Output, status and core together."""
    output = crash["output"]
    pieces = [read_sanitizer(output), read_text(output), crash["core"] and read_gdb_json(crash["core"])]
    return combine([each for each in pieces if each], status=crash["status"], lines=output.splitlines())


def measure(samples: list[Sample], key: Callable[[Sample], str]) -> Figures:
    """Over all pairs of samples."""
    together = Counter((each.bug, key(each)) for each in samples)
    right = sum(count * (count - 1) // 2 for count in together.values())
    told = _pairs(Counter(key(each) for each in samples))
    same = _pairs(Counter(each.bug for each in samples))
    return Figures(right / told if told else 1.0, right / same if same else 1.0, len({key(each) for each in samples}))


def _pairs(counts: Counter[str]) -> int:
    return sum(count * (count - 1) // 2 for count in counts.values())


def list_wrong(samples: list[Sample], key: Callable[[Sample], str]) -> list[str]:
    """Every wrong pair, by the keys that it has: how many, and who is in it."""
    by_bug, by_key = defaultdict(list), defaultdict(set)
    for each in samples:
        by_bug[each.bug].append(each)
        by_key[key(each)].add(each.bug)
    lines = [f"one key for {', '.join(sorted(bugs))}: {name}" for name, bugs in by_key.items() if len(bugs) > 1]
    for bug, mine in sorted(by_bug.items()):
        ways = defaultdict(list)
        for each in mine:
            ways[key(each)].append(each)
        for (one, left), (other, right) in combinations(ways.items(), 2):
            reason = explain(one, left, other, right) or UNEXPLAINED
            names = f"\n      {one}: {_name_ways(left)}\n      {other}: {_name_ways(right)}"
            lines.append(f"{bug}: {len(left) * len(right)} pairs told apart: {reason}{names}")
    return lines


def _name_ways(samples: list[Sample]) -> str:
    return ", ".join(f"{each.way}{' moved' if each.moved else ''}" for each in samples)


# --- as a realm counts them -------------------------------------------------------------------------------------------


def count_in_order(samples: list[Sample], shipped: Collection[str], moved: Collection[str]) -> list[Sample]:
    """With the key that each is counted to, where those of the shipped source came before those of the moved one, as
    `pipeline.renamed_crashes` decides it. `shipped`, `moved` = the words of both sources."""
    first: dict[str, Sample] = {}
    counted = []
    for each in sorted(samples, key=lambda sample: sample.moved):
        report = each.report if each.exact in first else _name_as_known(each, first, shipped, moved)
        counted.append(replace(each, report=report))
        first.setdefault(counted[-1].exact, counted[-1])
    return counted


def _name_as_known(
    sample: Sample, first: dict[str, Sample], shipped: Collection[str], moved: Collection[str]
) -> CrashReport:
    for known in reversed(first.values()):
        mine, theirs = sample.report.signature, known.report.signature
        pairs = pair_names(theirs, mine) if mine and theirs and known.moved is not sample.moved else ()
        if is_renamed(pairs, shipped, moved):
            return sign_again(replace(sample.report, renames=pairs), get_rules())
    return sample.report


# --- a caller that was renamed ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Alike:
    """A crash whose exact key holds a renamed caller, and the bug of the known crash that is named to people first."""

    bug: str
    key: str
    named: str | None


def list_renamed(samples: list[Sample]) -> list[Alike]:
    """Beside what crashed before the renaming, of all bugs."""
    before = [each for each in samples if not each.moved]
    known = {each.exact for each in before}
    renamed = [each for each in samples if each.moved and each.exact not in known and _names_renamed(each.exact)]
    return [Alike(each.bug, each.exact, _find_alike(each, before)) for each in renamed]


def _names_renamed(key: str) -> bool:
    return any(_RENAMED.search(name) for name in _functions(key))


def _find_alike(sample: Sample, before: list[Sample]) -> str | None:
    """As `pipeline.suspects` finds it."""
    mine, rules = sample.report.signature, get_rules()
    others = [(each.bug, each.report.signature) for each in before if each.report.signature is not None]
    rated = [(rate_likeness(mine, other, rules.is_plumbing), bug) for bug, other in others] if mine else []
    most = max((likeness for likeness, _ in rated), default=0)
    first = {bug for likeness, bug in rated if likeness == most > 0}
    return first.pop() if len(first) == 1 else None


# --- why -------------------------------------------------------------------------------------------------------------

UNEXPLAINED = "nobody knows why"
_RENAMED = re.compile(r"(?:^|(?<=::))Now(?=[A-Z])")  # `record_crashes.py` puts it before a caller's name


def explain(one: str, left: list[Sample], other: str, right: list[Sample]) -> str | None:
    """Why two keys of one bug differ, as far as what was recorded shows it; None where it does not."""
    return _explain(one, left, other, right) or _explain(other, right, one, left)


def _explain(one: str, left: list[Sample], other: str, right: list[Sample]) -> str | None:
    """Of the ways on the left."""
    mine, theirs = _functions(one), _functions(other)
    if (
        all(each.log and "-O2" in each.way for each in left)
        and one.startswith("assertion |")
        and mine[:1] == theirs[:1]
    ):
        return "gdb's log alone does not say what an optimised assertion was called with"
    if all(each.moved for each in left) and [_name_before(name) for name in mine] == theirs:
        return "a caller was renamed, which is another path by the meaning of this key"
    if all("g++" in each.way and "asan" in each.way for each in left) and _is_part(mine, right, bare_name):
        return "GCC's libsanitizer names what is in an anonymous namespace without its class, and a lambda not at all"
    if all("-O2" in each.way for each in left) and _is_part(mine, right, bare_name):
        return "the optimiser left a function out of the stack"
    return None


def _name_before(name: str) -> str:
    """Of a function, before it was renamed."""
    return _RENAMED.sub("", name)


def _functions(key: str) -> list[str]:
    return key.split(" | ")[1:]


def _is_part(names: list[str], samples: list[Sample], spell: Callable[[str], str]) -> bool:
    """Whether each of these stacks has the functions in this order, perhaps with others between them."""
    return all(_is_within([spell(name) for name in names], _spell_stack(each, spell)) for each in samples)


def _spell_stack(sample: Sample, spell: Callable[[str], str]) -> list[str]:
    return [_name_before(spell(name)) for frame in sample.report.frames if (name := normalise(frame.function))]


def _is_within(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(any(_name_before(each) == name for name in rest) for each in part)


KEYS: dict[str, Callable[[Sample], str]] = {
    "family": lambda sample: sample.family,
    "exact": lambda sample: sample.exact,
    "top frame alone": lambda sample: sample.top,
    "raw text": lambda sample: sample.text,
}
