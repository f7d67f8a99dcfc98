"""The labelled crashes that `tests/record_crashes.py` recorded, read as a realm reads its own, and how they group."""

import json
import lzma
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from bot.demo.bugs import BUGS
from pipeline.crash.asan import read_sanitizer
from pipeline.crash.conclude import conclude
from pipeline.crash.gdb_json import read_gdb_json
from pipeline.crash.gdb_text import read_gdb
from pipeline.crash.read import combine
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
            ways[key(each)].append(f"{each.way}{' moved' if each.moved else ''}")
        for (one, left), (other, right) in combinations(ways.items(), 2):
            names = f"\n      {one}: {', '.join(left)}\n      {other}: {', '.join(right)}"
            lines.append(f"{bug}: {len(left) * len(right)} pairs told apart{names}")
    return lines


KEYS: dict[str, Callable[[Sample], str]] = {
    "family": lambda sample: sample.family,
    "exact": lambda sample: sample.exact,
    "top frame alone": lambda sample: sample.top,
    "raw text": lambda sample: sample.text,
}
