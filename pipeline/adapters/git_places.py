"""Which file of a repository a frame of a crash means, and which lines of it: by the path that it was compiled from, or
by the function's name where a frame has no file of its own."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.adapters.git_budget import Budget, Seconds
from pipeline.adapters.git_process import GitTimedOut
from pipeline.adapters.git_repository import Repository
from pipeline.traces import Place

AROUND = 1  # lines before and behind each
SEARCHED = 0.8  # seconds for one function's definition
SOURCES = ("*.cpp", "*.cc", "*.cxx", "*.h", "*.hpp", "*.hxx", "*.inl")
PATTERNS = {"GIT_LITERAL_PATHSPECS": "0"}  # these are ours
_MOST_FILES = 4  # that name a function
_LONGEST_HEAD = 20  # lines of a definition before its body
_NO_DEFINITION = re.compile(r"[(=;]|//|\breturn\b")  # in front of the name: it is called there, or spoken of


@dataclass(frozen=True)
class Spot:
    """A place with its file in the repository, and the lines of it that are asked about; 0 = it is not told which."""

    place: Place
    file: str
    line: int = 0
    first: int = 0
    last: int = 0


def list_files(repository: Repository, at: str, seconds: Seconds) -> list[str]:
    out = repository.run("ls-tree", "-r", "-z", "--name-only", at, timeout=seconds).out
    return out.decode(errors="replace").split("\0")[:-1]


def find_spots(
    repository: Repository, at: str, files: Sequence[str], places: Sequence[Place], budget: Budget
) -> list[Spot]:
    if not files:
        return []
    spots = [_find_spot(repository, at, files, place, budget) for place in places]
    lost = [place.file for place, spot in zip(places, spots, strict=True) if spot is None and place.file]
    if lost:
        names = ", ".join(f"`{PurePosixPath(file.replace(chr(92), '/')).name}`" for file in lost)
        budget.notes.append(f"{names} is no file of this commit, or several are called so")
    return [spot for spot in spots if spot is not None]


def _find_spot(repository: Repository, at: str, files: Sequence[str], place: Place, budget: Budget) -> Spot | None:
    if place.file is None or place.line is None:
        return _find_definition(repository, at, place, budget)
    file = find_file(files, place.file)
    first, last = max(1, place.line - AROUND), place.line + AROUND
    return None if file is None else Spot(place, file, place.line, first, last)


def list_known_files(files: Sequence[str], places: Sequence[Place]) -> list[str]:
    found = (find_file(files, place.file) for place in places if place.file is not None)
    return [file for file in found if file is not None]


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


def find_words(repository: Repository, at: str, words: Sequence[str], seconds: Seconds) -> set[str]:
    """Those of these identifiers that stand in a source file of a commit, comments included. Raises GitTimedOut."""
    until = time.monotonic() + seconds
    grep = ("grep", "--quiet", "-I", "--fixed-strings", "--word-regexp", "-e")
    found = set()
    for word in words:
        left = until - time.monotonic()
        if left <= 0:
            raise GitTimedOut(f"it is not known where `{word}` stands: no time was left")
        answer = repository.run(*grep, word, at, "--", *SOURCES, accept=(0, 1), timeout=left, env=PATTERNS)
        found |= {word} if answer.status == 0 else set()
    return found


# --- where a function is defined, of which no line is known ----------------------------------------------------------


def _find_definition(repository: Repository, at: str, place: Place, budget: Budget) -> Spot | None:
    """The whole of the function; its file alone where it has several bodies there."""
    spots = budget.ask(
        f"where `{place.function}` is defined", lambda left: _list_definitions(repository, at, place, left), SEARCHED
    )
    if spots is None:
        return None
    if len({spot.file for spot in spots}) != 1:
        budget.notes.append(f"`{place.function}` is defined in no file of this commit, or in several")
        return None
    return spots[0] if len(spots) == 1 else Spot(place, spots[0].file)


def _list_definitions(repository: Repository, at: str, place: Place, seconds: Seconds) -> list[Spot]:
    head = "::".join(place.function.split("::")[-2:]) + "("
    grep = ("grep", "-l", "-z", "-I", "--fixed-strings", "-e", head, at, "--", *SOURCES)
    until = time.monotonic() + seconds
    names = (
        repository.run(*grep, accept=(0, 1), timeout=seconds, env=PATTERNS)
        .out.decode(errors="replace")
        .split("\0")[:-1]
    )
    spots = []
    for file in [name.removeprefix(f"{at}:") for name in names][:_MOST_FILES]:
        text = repository.run("show", f"{at}:{file}", timeout=max(0.01, until - time.monotonic())).out
        bodies = list_bodies(text.decode(errors="replace").splitlines(), head)
        spots += [Spot(place, file, first, first, last) for first, last in bodies]
    return spots


def list_bodies(lines: Sequence[str], head: str) -> list[tuple[int, int]]:
    """First and last line (from 1) of each function whose definition has `head` in its first line: its bracket opens
    before anything is over, and closes where the line began."""
    found = []
    for number, line in enumerate(lines):
        before, is_there, _ = line.partition(head)
        if is_there and not _NO_DEFINITION.search(before) and _opens_body(lines[number : number + _LONGEST_HEAD]):
            end = before[: len(before) - len(before.lstrip())] + "}"
            rest = range(number, len(lines))
            found.append((number + 1, next((each + 1 for each in rest if lines[each].rstrip() == end), number + 1)))
    return found


def _opens_body(lines: Sequence[str]) -> bool:
    ends = re.search(r"[{;]", "\n".join(lines))
    return ends is not None and ends[0] == "{"
