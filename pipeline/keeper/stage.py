"""Staging: a build's files, verified, on SERVER_DIR's own filesystem, so that placing them costs renames only.

Runs on the background thread, while the server plays.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.keeper.checksums import Checksums, copy_with_sum, identify_file
from pipeline.keeper.folders import Folders
from pipeline.keeper.protocol import LOCK_FOLDER, BuildFile, Manifest, sync_folder
from pipeline.points import point

_BUILD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")


class StageError(Exception):
    """A build cannot be staged: the message says which file and why."""


@dataclass(frozen=True)
class StageOutcome:
    build: str
    in_place: bool = False  # SERVER_DIR's files are this build's already
    error: str | None = None


def stage(manifest: Manifest, folders: Folders, sums: Checksums) -> StageOutcome:
    """Stages what is not in place yet. Never raises: what goes wrong is in the outcome."""
    try:
        check_manifest(manifest)
        if is_in_place(manifest, folders, sums):
            return StageOutcome(manifest.build, in_place=True)
        for file in manifest.files:
            if not sums.matches(folders.server / file.path, file.sha256, file.size):
                _stage_file(manifest.build, file, folders, sums)
    except (OSError, StageError) as fault:
        return StageOutcome(manifest.build, error=str(fault))
    return StageOutcome(manifest.build)


def is_in_place(manifest: Manifest, folders: Folders, sums: Checksums) -> bool:
    """Whether every file of the build lies in SERVER_DIR. Raises OSError where one cannot be read."""
    return all(sums.matches(folders.server / file.path, file.sha256, file.size) for file in manifest.files)


def check_manifest(manifest: Manifest) -> None:
    """Raises StageError for a name that leads out of the folders, or an empty build."""
    if not _BUILD_NAME.fullmatch(manifest.build):
        raise StageError(f"the build has no usable name: {manifest.build!r}")
    if not manifest.files:
        raise StageError(f"build {manifest.build} names no file")
    for file in manifest.files:
        for name in (file.path, file.source):
            if not _is_below(name):
                raise StageError(f"{name!r} leads out of its folder")


def _is_below(name: str) -> bool:
    path = PurePosixPath(name)
    plain = bool(name) and "\\" not in name and ":" not in name and "\0" not in name
    inside = not path.is_absolute() and ".." not in path.parts and bool(path.parts)
    return plain and inside and path.parts[0].lower() != LOCK_FOLDER


def get_staged(build: str, path: str, folders: Folders) -> Path:
    """Where a file of a build is staged."""
    return folders.staged / build / path


def _stage_file(build: str, file: BuildFile, folders: Folders, sums: Checksums) -> None:
    target = get_staged(build, file.path, folders)
    if sums.matches(target, file.sha256, file.size):
        return
    faults = []
    for source in _list_sources(build, file, folders):
        if not source.is_file():
            faults.append(f"{source} is missing")
            continue
        if _copy(source, target, file, sums):
            return
        faults.append(f"{source} is not what the manifest says")
    raise StageError("; ".join(faults))


def _list_sources(build: str, file: BuildFile, folders: Folders) -> Iterator[Path]:
    yield folders.builds / build / "files" / file.source
    yield folders.previous / build / file.path  # taken out by an earlier swap


def _copy(source: Path, target: Path, file: BuildFile, sums: Checksums) -> bool:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    try:
        if copy_with_sum(source, temporary, 0o755 if file.executable else 0o644) != file.sha256:
            return False
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)
    sums.note(target, identify_file(target), file.sha256)
    point("stage.copied")
    return True


def tidy(folders: Folders, staged: Collection[str], previous: Collection[str], sums: Checksums) -> None:
    """Removes the staged and the replaced files of all other builds, and what is remembered of them."""
    for folder, kept in ((folders.staged, staged), (folders.previous, previous)):
        for each in list(folder.iterdir()) if folder.is_dir() else []:
            if each.name not in kept:
                _remove_tree(each)
    sums.forget_gone()


def _remove_tree(folder: Path) -> None:
    """As shutil.rmtree, which costs the keeper half a megabyte; what cannot be removed stays."""
    for path, folders, files in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            for name in files:
                os.unlink(os.path.join(path, name))  # noqa: PTH108, PTH118 (os.walk gives texts)
            for name in folders:
                os.rmdir(os.path.join(path, name))  # noqa: PTH106, PTH118 (as above)
    with contextlib.suppress(OSError):
        folder.rmdir()
