"""Which folder may lie where: what the bot writes and wipes in one of them must hold no other one.

Only folders that are written are looked at; how SOURCE_DIR, SERVER_DIR and BUILD_LIKE lie to each other is their
owner's affair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from pipeline.keeper.protocol import LOCK_FOLDER

# Folders in the state folder that the bot or the keeper makes, fills and wipes.
OURS = (
    "source", "source.new", "source.broken", "builds", "logs", "copies", "frames", "knowledge", "scratch", "server",
    "sandbox", "toolchain",
)  # fmt: skip
BUILD, QUEUE = "build", "queue"  # in the state folder, where no setting names another place
_USERS = ("SOURCE_DIR", "SERVER_DIR", "BUILD_LIKE")


@dataclass(frozen=True)
class Part:
    """A folder that is written by whoever owns it, or that nobody but its owner may write."""

    label: str
    folder: Path  # resolved


@dataclass(frozen=True)
class Place:
    """One setting's folder, and which parts of it bear nothing else."""

    setting: str
    folder: Path  # resolved
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Chosen:
    """The folders as the settings name them; None = the one in the state folder."""

    source: Path
    server: Path
    like: Path | None
    state: Path
    queue: Path | None
    build: Path | None
    artifacts: Sequence[str | None] = ()  # folders in SERVER_DIR that builds are put in


def list_overlaps(chosen: Chosen) -> list[str]:
    """One line for each pair of folders that cannot lie as they do: the setting to change, the fault, the cure."""
    pairs = combinations(_list_places(chosen), 2)
    return [f"{moved.setting}: {fault}: {_cure(moved)}" for fixed, moved in pairs if (fault := _clash(fixed, moved))]


def _list_places(chosen: Chosen) -> Iterator[Place]:
    """In the order in which they stay where they are: of two that clash the later one is to be moved."""
    yield _whole("SOURCE_DIR", chosen.source)
    yield _place("SERVER_DIR", chosen.server, (LOCK_FOLDER, *_list_targets(chosen)))
    if chosen.like is not None:
        yield _whole("BUILD_LIKE", chosen.like)
    implied = [name for name, given in ((BUILD, chosen.build), (QUEUE, chosen.queue)) if given is None]
    yield _place("STATE_DIR", chosen.state, (*OURS, *implied))
    if chosen.queue is not None:
        yield _whole("ANALYST_QUEUE_DIR", chosen.queue)
    if chosen.build is not None:
        yield _whole("BUILD_DIR", chosen.build)


def _list_targets(chosen: Chosen) -> list[str]:
    return [each for each in chosen.artifacts if each and (chosen.server / each).resolve() != chosen.server.resolve()]


def _whole(setting: str, folder: Path) -> Place:
    return Place(setting, folder.resolve(), (Part(setting, folder.resolve()),))


def _place(setting: str, folder: Path, names: Sequence[str]) -> Place:
    parts = tuple(Part(f"{setting}/{name}", (folder / name).resolve()) for name in names)
    return Place(setting, folder.resolve(), parts)


def _clash(fixed: Place, moved: Place) -> str | None:
    if fixed.setting in _USERS and moved.setting in _USERS:
        return None
    if fixed.folder == moved.folder:
        return f"is {fixed.setting}{_why(fixed)}"
    for part in fixed.parts:
        if moved.folder.is_relative_to(part.folder):
            return f"{'is' if moved.folder == part.folder else 'lies inside'} {part.label}{_why(fixed)}"
    for part in moved.parts:
        if fixed.folder.is_relative_to(part.folder):
            return f"contains {fixed.setting}" + (
                "" if part.label == moved.setting else f" in {part.label}, which is ours"
            )
    met = next(((one, other) for one in fixed.parts for other in moved.parts if _overlap(one, other)), None)
    return f"{met[1].label} and {met[0].label} lie in each other" if met else None


def _overlap(one: Part, other: Part) -> bool:
    return one.folder.is_relative_to(other.folder) or other.folder.is_relative_to(one.folder)


def _why(fixed: Place) -> str:
    return {"SOURCE_DIR": ", which is never written", "BUILD_LIKE": ", which is only read"}.get(fixed.setting, "")


def _cure(moved: Place) -> str:
    if moved.setting == "STATE_DIR":
        return "choose another folder"
    return "choose a folder in which nothing else is, or leave it out"
