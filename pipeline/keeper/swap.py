"""Swapping a build: renames between SERVER_DIR and the keeper's folder in it, finished or undone whatever is killed.

`swap.json` names every file with its checksum before and after, and is synced before the first rename. It goes only
when the keeper's memory knows the new build. As long as it is there, nothing is started before `recover` was asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.keeper.checksums import Checksums
from pipeline.keeper.folders import Folders
from pipeline.keeper.memory import Placed
from pipeline.keeper.protocol import Manifest, replace_file, sync_folder, to_json
from pipeline.keeper.stage import get_staged
from pipeline.points import point

UNKNOWN = "unknown"  # folder of what lay there before us


class NotStaged(Exception):
    """A file is not staged (any more): stage the build again."""


class Rolled(StrEnum):
    """How a swap that was interrupted or failed came to its end."""

    FORWARD = "forward"
    BACK = "back"
    STUCK = "stuck"  # the files fit neither build


@dataclass(frozen=True)
class Move:
    """One file to be exchanged."""

    path: str  # below SERVER_DIR
    old: str | None  # sha256 before, None = there was no file
    new: str  # sha256 after


@dataclass(frozen=True)
class Plan:
    """`swap.json`."""

    manifest: Manifest
    deployment: str | None
    previous: Placed | None  # what lay there
    kept: str  # folder below `previous/` that takes the replaced files
    moves: tuple[Move, ...]


def make_plan(
    manifest: Manifest, deployment: str | None, placed: Placed | None, folders: Folders, sums: Checksums
) -> Plan:
    """What has to be exchanged. Raises NotStaged; OSError where a file cannot be read."""
    moves = []
    for file in manifest.files:
        if sums.matches(folders.server / file.path, file.sha256, file.size):
            continue
        if not sums.matches(get_staged(manifest.build, file.path, folders), file.sha256, file.size):
            raise NotStaged(file.path)
        moves.append(Move(file.path, sums.read(folders.server / file.path), file.sha256))
    return Plan(manifest, deployment, placed, name_kept(placed), tuple(moves))


def name_kept(placed: Placed | None) -> str:
    """The folder below `previous/` for what lies there now."""
    if placed is None:
        return UNKNOWN
    return f"{placed.manifest.build}-own" if placed.own else placed.manifest.build


def begin(plan: Plan, folders: Folders) -> None:
    """Notes the plan, synced. Raises OSError."""
    replace_file(folders.swap, to_json(plan))
    point("swap.noted")


def run(plan: Plan, folders: Folders, sums: Checksums) -> None:
    """All renames. Raises OSError in the middle of it."""
    for number, (source, target) in enumerate(list_steps(plan, folders)):
        point(f"swap.step.{number}")
        _rename(source, target, sums)
    _sync(plan, folders)
    point("swap.moved")


def list_steps(plan: Plan, folders: Folders) -> list[tuple[Path, Path]]:
    """The renames from the old build to the new one, in order."""
    steps = []
    for move in plan.moves:
        if move.old is not None:
            steps.append((folders.server / move.path, _get_kept(plan, move, folders)))
        steps.append((_get_new(plan, move, folders), folders.server / move.path))
    return steps


def close(folders: Folders) -> None:
    """The swap is over and remembered. Raises OSError."""
    folders.swap.unlink(missing_ok=True)
    sync_folder(folders.own)


def recover(plan: Plan, folders: Folders, sums: Checksums) -> Rolled:
    """Brings every file to one build: forward if every new file is there, else back. Looks at contents only."""
    for rolled, step in ((Rolled.FORWARD, roll_forward), (Rolled.BACK, roll_back)):
        try:
            if step(plan, folders, sums):
                _sync(plan, folders)
                return rolled
        except OSError:
            continue
    return Rolled.STUCK


def roll_forward(plan: Plan, folders: Folders, sums: Checksums) -> bool:
    """False, and nothing done, where a new file is missing. Raises OSError."""
    open_moves = [each for each in plan.moves if sums.read(folders.server / each.path) != each.new]
    if any(sums.read(_get_new(plan, each, folders)) != each.new for each in open_moves):
        return False
    for move in open_moves:
        here, kept = folders.server / move.path, _get_kept(plan, move, folders)
        # What an earlier swap kept under the same name may lie there: the contents decide.
        if here.exists() and (sums.read(here) == move.old or not kept.exists()):
            _rename(here, kept, sums)
        _rename(_get_new(plan, move, folders), here, sums)
    return True


def roll_back(plan: Plan, folders: Folders, sums: Checksums) -> bool:
    """False, and nothing done, where an old file is missing. Raises OSError."""
    open_moves = [each for each in plan.moves if sums.read(folders.server / each.path) != each.old]
    if any(each.old and sums.read(_get_kept(plan, each, folders)) != each.old for each in open_moves):
        return False
    for move in open_moves:
        here = folders.server / move.path
        if here.exists():
            _rename(here, _get_new(plan, move, folders), sums)
        if move.old:
            _rename(_get_kept(plan, move, folders), here, sums)
    return True


def _get_kept(plan: Plan, move: Move, folders: Folders) -> Path:
    return folders.previous / plan.kept / move.path


def _get_new(plan: Plan, move: Move, folders: Folders) -> Path:
    return get_staged(plan.manifest.build, move.path, folders)


def _rename(source: Path, target: Path, sums: Checksums) -> None:
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    os.replace(source, target)  # noqa: PTH105 (Path.replace would hide that this must be one atomic call)
    sums.follow(source, target)


def _sync(plan: Plan, folders: Folders) -> None:
    for folder in _list_folders(plan, folders):
        if folder.is_dir():
            sync_folder(folder)


def _list_folders(plan: Plan, folders: Folders) -> Iterable[Path]:
    """Those of the files, and all above them up to SERVER_DIR: a new one's own name has to outlive the machine, too."""
    inner = {above for pair in list_steps(plan, folders) for each in pair for above in each.parents}
    return sorted(each for each in inner if each.is_relative_to(folders.server))
