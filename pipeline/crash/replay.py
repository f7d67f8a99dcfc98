"""What a change of the rules does to the groups that are stored: which would merge, split, or only be spelled anew.

A key is followed by its spelling alone: the same spelling under two versions of the rules is one group.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.model import Signature

Counts = tuple[tuple[str, int], ...]  # `exact` of a signature, how many crashes


@dataclass(frozen=True)
class Merge:
    into: str
    groups: Counts


@dataclass(frozen=True)
class Split:
    group: str
    into: Counts


@dataclass(frozen=True)
class Renaming:
    before: str
    after: str
    crashes: int


@dataclass(frozen=True)
class Comparison:
    """Of all stored crashes. A group that is split and merged at once is in both."""

    crashes: int
    unchanged: int  # crashes whose key stays as it is
    merged: tuple[Merge, ...] = ()
    split: tuple[Split, ...] = ()
    renamed: tuple[Renaming, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether every group stays a group: nothing in it is for a person to judge."""
        return not self.merged and not self.split


def compare(pairs: Iterable[tuple[Signature, Signature]]) -> Comparison:
    """`pairs` = of each crash, the signature it has and the one it would have."""
    moves = Counter((before.exact, after.exact) for before, after in pairs)
    into: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    out_of: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for (before, after), crashes in sorted(moves.items()):
        out_of[before].append((after, crashes))
        into[after].append((before, crashes))
    return Comparison(
        crashes=moves.total(),
        unchanged=sum(crashes for (before, after), crashes in moves.items() if before == after),
        merged=tuple(Merge(after, tuple(groups)) for after, groups in into.items() if len(groups) > 1),
        split=tuple(Split(before, tuple(groups)) for before, groups in out_of.items() if len(groups) > 1),
        renamed=tuple(
            Renaming(before, after, crashes)
            for (before, after), crashes in sorted(moves.items())
            if before != after and len(into[after]) == len(out_of[before]) == 1
        ),
    )
