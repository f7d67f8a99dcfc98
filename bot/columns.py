"""Marks on a line of time that would hide each other: they stand above each other, in columns beside each other. All
measures are pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

HEAD = 9  # radius of a mark
STACK = 4  # marks drawn above each other before a number says how many
NUMBER = 60  # the room of a number of three digits

T = TypeVar("T")


@dataclass(frozen=True)
class Column(Generic[T]):
    x: float  # its middle
    marks: tuple[T, ...]  # from the bottom up


@dataclass(frozen=True)
class Count:
    """The marks of one column that is too high, or of neighbours that all are."""

    first: float  # the middle of the leftmost
    last: float  # and of the rightmost
    number: int


def stack(marks: Iterable[tuple[float, T]]) -> list[Column[T]]:
    """Each mark at its place, or above those that it would hide; from left to right, and no column hides another."""
    near: defaultdict[int, list[tuple[float, T]]] = defaultdict(list)
    for x, mark in marks:
        near[round(x / (2 * HEAD))].append((x, mark))
    columns: list[Column[T]] = []
    for _, found in sorted(near.items()):
        middle = sum(x for x, _ in found) / len(found)
        beside = columns[-1].x + 2 * HEAD if columns else middle
        columns.append(Column(max(middle, beside), tuple(mark for _, mark in found)))
    return columns


def list_counts(columns: Iterable[Column[T]]) -> list[Count]:
    """Of what is too high to be drawn whole; numbers that would run together are one."""
    groups: list[list[Column[T]]] = []
    for each in columns:
        if len(each.marks) <= STACK:
            continue
        if groups and each.x - groups[-1][-1].x < NUMBER:
            groups[-1].append(each)
        else:
            groups.append([each])
    return [_count(group) for group in groups]


def _count(group: Sequence[Column[T]]) -> Count:
    return Count(group[0].x, group[-1].x, sum(len(each.marks) for each in group))
