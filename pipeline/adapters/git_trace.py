"""What the history tells of the places where a crash happened, in bounded time and whatever the repository's size.

git is asked for a few lines of a few files alone and looks back for half a year: what is older than that is no
suspect. Where it takes too long, what it would have told is missing, and a note says so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TypeVar

from pipeline.adapters.git_history import list_fixes
from pipeline.adapters.git_process import GitFailed, GitTimedOut
from pipeline.adapters.git_repository import Repository
from pipeline.errors import PipelineError
from pipeline.model import Commit
from pipeline.traces import Place, Touch, Trace

PLACES = 3  # that are looked at
AROUND = 1  # lines before and behind each
NEAR = 3  # commits that touch the same files
FIXES = 20
BLAMED = 0.8  # seconds for one file; a large one with a long history takes many
_SINCE = "--since=180.days"
_BLAME = ("blame", "--porcelain", "--root", "-w", "--no-textconv")
# A list of commits to pass over that a user named for all his repositories, and this one lacks, would end the blame.
_ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

T = TypeVar("T")
Seconds = float


@dataclass
class _Budget:
    """The time that all questions together may take, and what was not told for lack of it."""

    until: float  # monotonic seconds
    notes: list[str] = field(default_factory=list)

    def ask(self, what: str, question: Callable[[Seconds], T], most: Seconds = 60.0) -> T | None:
        """None where git did not tell; `what` says what it was asked for."""
        left = min(self.until - time.monotonic(), most)
        try:
            if left <= 0:
                raise GitTimedOut("no time was left")
            return question(left)
        except GitTimedOut:
            self.notes.append(f"git took too long to tell {what}")
        except PipelineError as fault:
            self.notes.append(f"git could not tell {what}: {fault}")
        return None


def trace(repository: Repository, at: str, good: str | None, places: Sequence[Place], seconds: Seconds) -> Trace:
    """`at` = the commit that crashed, `good` = the last good build's; both full hashes of commits that are there."""
    budget = _Budget(time.monotonic() + seconds)
    files = budget.ask("which files there are", lambda left: _list_files(repository, at, left)) or []
    found = _find_places(files, places[:PLACES], budget)
    changed = None if good is None else budget.ask("what changed", lambda left: _count(repository, good, at, left))
    near = _find_near(repository, at, good, sorted({file for _, file in found}), budget)
    fixes = budget.ask("which fixes are in it", lambda left: list_fixes(repository, at, _SINCE, FIXES, left))
    blamed = [_blame_place(repository, at, good, place, file, budget) for place, file in found]
    commits = _read_commits(repository, {line.commit for each in blamed for line in each.told}, budget)
    return Trace(
        tuple(_touch(each, commits) for each in blamed if each.lines), good, changed, tuple(near),
        None if fixes is None else tuple(fixes), tuple(dict.fromkeys(budget.notes)),
    )  # fmt: skip


# --- where -----------------------------------------------------------------------------------------------------------


def _list_files(repository: Repository, at: str, seconds: Seconds) -> list[str]:
    out = repository.run("ls-tree", "-r", "-z", "--name-only", at, timeout=seconds).out
    return out.decode(errors="replace").split("\0")[:-1]


def _find_places(files: Sequence[str], places: Sequence[Place], budget: _Budget) -> list[tuple[Place, str]]:
    """Each with its file in the repository."""
    found = [(place, find_file(files, place.file)) for place in places]
    lost = [place for place, file in found if file is None]
    if files and lost:
        names = ", ".join(f"`{PurePosixPath(place.file.replace(chr(92), '/')).name}`" for place in lost)
        budget.notes.append(f"{names} is no file of this commit, or several are called so")
    return [(place, file) for place, file in found if file is not None]


def find_file(files: Iterable[str], compiled: str) -> str | None:
    """The file of a repository that a path of any machine means; MSVC writes some in small letters. None where it is
    not told clearly."""
    wanted = _parts(compiled)
    if not wanted:
        return None
    called = [(file, _parts(file)) for file in files if file.casefold().endswith(wanted[0])]
    if exact := [file for file, parts in called if parts == wanted]:
        return exact[0]
    ends = [(min(len(parts), len(wanted)), file) for file, parts in called if _is_end(parts, wanted)]
    best = [file for length, file in ends if length == max(ends)[0]]
    return best[0] if len(best) == 1 else None


def _parts(path: str) -> list[str]:
    """From the name outwards."""
    return [part for part in path.replace("\\", "/").casefold().split("/") if part not in ("", ".")][::-1]


def _is_end(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether one of two paths is the end of the other."""
    return all(mine == theirs for mine, theirs in zip(one, other, strict=False))


# --- what changed ----------------------------------------------------------------------------------------------------


def _count(repository: Repository, good: str, at: str, seconds: Seconds) -> int:
    return int(repository.run("rev-list", "--count", f"{good}..{at}", "--", timeout=seconds).text)


def _find_near(
    repository: Repository, at: str, good: str | None, files: Sequence[str], budget: _Budget
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
    place: Place
    file: str
    lines: Sequence[_Line]
    is_new: bool | None

    @property
    def told(self) -> list[_Line]:
        return [line for line in self.lines if not line.is_old]


def _blame_place(
    repository: Repository, at: str, good: str | None, place: Place, file: str, budget: _Budget
) -> _Blamed:
    """What is new since the good build is told soonest, and all there is to know of a suspect; else who was last."""
    lines: list[_Line] = []
    if good is not None:
        lines = _blame(repository, (f"{good}..{at}",), place, file, budget)
        if any(not line.is_old for line in lines):
            return _Blamed(place, file, lines, True)
    last = _blame(repository, (_SINCE, at), place, file, budget)
    return _Blamed(place, file, last or lines, False if lines else None)


def _blame(repository: Repository, history: Sequence[str], place: Place, file: str, budget: _Budget) -> list[_Line]:
    first = max(1, place.line - AROUND)

    def ask(left: Seconds, last: int | str = place.line + AROUND) -> list[_Line]:
        told = repository.run(*_BLAME, f"-L{first},{last}", *history, "--", file, timeout=left, env=_ALONE)
        return _read_blame(told.out)

    def ask_twice(left: Seconds) -> list[_Line]:
        try:
            return ask(left)
        except GitFailed:
            return ask(left, "+1")  # the line behind may be none of the file's

    return budget.ask(f"who changed `{file}` last", ask_twice, BLAMED) or []


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


def _read_commits(repository: Repository, hashes: Iterable[str], budget: _Budget) -> dict[str, Commit]:
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

    def distance(line: _Line) -> int:
        return abs(line.number - blamed.place.line)

    known = [line for line in blamed.told if line.commit in commits]
    if not known:
        return Touch(blamed.place, blamed.file, min(blamed.lines, key=distance).number, None, blamed.is_new)
    last = max(known, key=lambda line: (commits[line.commit].committed_at, -distance(line)))
    return Touch(blamed.place, blamed.file, last.number, commits[last.commit], blamed.is_new)
