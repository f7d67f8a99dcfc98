"""What the history tells of the places where a crash happened, in bounded time and whatever the repository's size.

git is asked for a few lines of a few files alone and looks back for half a year: what is older than that is no
suspect. Where it takes too long, what it would have told is missing, and a note says so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.adapters.git_budget import Budget, Seconds
from pipeline.adapters.git_history import list_fixes
from pipeline.adapters.git_places import Spot, find_spots, list_files, list_known_files
from pipeline.adapters.git_process import GitFailed
from pipeline.adapters.git_repository import Repository
from pipeline.model import Commit
from pipeline.traces import Place, Touch, Trace

PLACES = 3  # that are looked at
FILES = 8  # places whose files are asked for what is new since the last good build
FEW = 3  # commits since then that are named whatever they touch
NEAR = 3  # commits that touch the same files
FIXES = 20
BLAMED = 0.8  # seconds for one file; a large one with a long history takes many
_SINCE = "--since=180.days"
_BLAME = ("blame", "--porcelain", "--root", "-w", "--no-textconv")
# A list of commits to pass over that a user named for all his repositories, and this one lacks, would end the blame.
_ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def trace(repository: Repository, at: str, good: str | None, places: Sequence[Place], seconds: Seconds) -> Trace:
    """`at` = the commit that crashed, `good` = the last good build's; both full hashes of commits that are there."""
    budget = Budget(time.monotonic() + seconds)
    files = budget.ask("which files there are", lambda left: list_files(repository, at, left)) or []
    found = find_spots(repository, at, files, places[:PLACES], budget)
    changed = None if good is None else budget.ask("what changed", lambda left: _count(repository, good, at, left))
    farther = [] if good is None else list_known_files(files, places[PLACES:FILES])
    near = _find_near(repository, at, good, sorted({*(spot.file for spot in found), *farther}), budget)
    new = _list_new(repository, at, good, changed, budget)
    fixes = budget.ask("which fixes are in it", lambda left: list_fixes(repository, at, _SINCE, FIXES, left))
    blamed = [_blame_place(repository, at, good, spot, budget) for spot in found if spot.first]
    commits = _read_commits(repository, {line.commit for each in blamed for line in each.told}, budget)
    return Trace(
        tuple(_touch(each, commits) for each in blamed if each.lines), good, changed, tuple(new), tuple(near),
        None if fixes is None else tuple(fixes), tuple(dict.fromkeys(budget.notes)),
    )  # fmt: skip


# --- what changed ----------------------------------------------------------------------------------------------------


def _count(repository: Repository, good: str, at: str, seconds: Seconds) -> int:
    return int(repository.run("rev-list", "--count", f"{good}..{at}", "--", timeout=seconds).text)


def _list_new(
    repository: Repository, at: str, good: str | None, changed: int | None, budget: Budget
) -> Sequence[Commit]:
    if good is None or not changed or changed > FEW:
        return ()
    return (
        budget.ask("which commits are new", lambda left: repository.list_commits(f"{good}..{at}", timeout=left), BLAMED)
        or ()
    )


def _find_near(
    repository: Repository, at: str, good: str | None, files: Sequence[str], budget: Budget
) -> Sequence[Commit]:
    if not files:
        return ()
    span, *options = [at, _SINCE] if good is None else [f"{good}..{at}"]
    most = f"--max-count={NEAR}"
    return (
        budget.ask(
            "which commits touched the same files",
            lambda left: repository.list_commits(span, most, *options, paths=files, timeout=left),
            BLAMED,
        )
        or ()
    )


# --- who -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    number: int
    commit: str
    is_old: bool  # older than what was looked at


@dataclass(frozen=True)
class _Blamed:
    spot: Spot
    lines: Sequence[_Line]
    is_new: bool | None

    @property
    def told(self) -> list[_Line]:
        return [line for line in self.lines if not line.is_old]


def _blame_place(repository: Repository, at: str, good: str | None, spot: Spot, budget: Budget) -> _Blamed:
    """What is new since the good build is told soonest, and all there is to know of a suspect; else who was last."""
    lines: list[_Line] = []
    if good is not None:
        lines = _blame(repository, (f"{good}..{at}",), spot, budget)
        if any(not line.is_old for line in lines):
            return _Blamed(spot, lines, True)
    last = _blame(repository, (_SINCE, at), spot, budget)
    return _Blamed(spot, last or lines, False if lines else None)


def _blame(repository: Repository, history: Sequence[str], spot: Spot, budget: Budget) -> list[_Line]:
    def ask(left: Seconds, last: int | str = spot.last) -> list[_Line]:
        span = f"-L{spot.first},{last}"
        return _read_blame(repository.run(*_BLAME, span, *history, "--", spot.file, timeout=left, env=_ALONE).out)

    def ask_twice(left: Seconds) -> list[_Line]:
        try:
            return ask(left)
        except GitFailed:
            return ask(left, "+1")  # the line behind may be none of the file's

    return budget.ask(f"who changed `{spot.file}` last", ask_twice, BLAMED) or []


def _read_blame(out: bytes) -> list[_Line]:
    """A block for each line: hash and numbers, what is known of the commit (once), and the line behind a tab."""
    lines: list[_Line] = []
    old: set[str] = set()
    head: list[str] = []
    for text in out.decode(errors="replace").split("\n"):
        if text.startswith("\t"):
            lines.append(_Line(int(head[2]), head[0], head[0] in old))
            head = []
        elif not head:
            head = text.split(" ")
        elif text == "boundary":
            old.add(head[0])
    return lines


def _read_commits(repository: Repository, hashes: Iterable[str], budget: Budget) -> dict[str, Commit]:
    named = sorted(hashes)
    if not named:
        return {}
    asked = budget.ask(
        "who made these commits",
        lambda left: repository.list_commits(named[0], "--no-walk", *named[1:], timeout=left),
    )
    return {commit.hash: commit for commit in asked or ()}


def _touch(blamed: _Blamed, commits: dict[str, Commit]) -> Touch:
    """By the newest of the lines' commits; of several lines of that one the nearest."""
    spot = blamed.spot

    def distance(line: _Line) -> int:
        return abs(line.number - spot.line)

    known = [line for line in blamed.told if line.commit in commits]
    if not known:
        return Touch(spot.place, spot.file, min(blamed.lines, key=distance).number, None, blamed.is_new)
    last = max(known, key=lambda line: (commits[line.commit].committed_at, -distance(line)))
    return Touch(spot.place, spot.file, last.number, commits[last.commit], blamed.is_new)
