"""The folders that are written: the state folder and SERVER_DIR."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bot import realm
from bot.doctor.finding import Finding, fail, ok, warn
from bot.markup import size
from bot.settings import Settings
from pipeline.adapters.archive import list_symbols
from pipeline.adapters.builder_configure import find_place
from pipeline.adapters.builder_like import CACHE
from pipeline.keeper.protocol import BUILDS

_MOST_FOLDERS = 50_000


def check_state(settings: Settings) -> Iterator[Finding]:
    folder = settings.state_dir
    yield from _check_signs(settings)
    cure = "give STATE_DIR a folder that this user may write"
    if not folder.is_dir():
        parent = nearest(folder)
        if folder.exists() or not parent.is_dir() or not os.access(parent, os.W_OK):
            yield fail("STATE_DIR", f"{folder} cannot be made", cure)
        else:
            yield ok("STATE_DIR", f"{folder} will be made")
        return
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"doctor")
    except OSError as fault:
        yield fail("STATE_DIR", f"{folder} cannot be written ({fault.strerror})", cure)
        return
    yield ok("STATE_DIR", f"{folder} can be written")
    yield from _check_privacy(folder)


def _check_signs(settings: Settings) -> Iterator[Finding]:
    """The clone, and mostly the build, lie below the state folder; so does the database."""
    for name, folder in (("STATE_DIR", settings.state_dir), ("BUILD_DIR", settings.build_dir)):
        if folder is not None and (sign := find_unbuildable(str(folder), sys.platform)) is not None:
            what = f"{folder} holds `{sign}`, which cmake takes for something else in a path: nothing can be built"
            yield fail(name, what, "choose a folder without it")
    if settings.database_url is None and "?" in str(settings.state_dir):
        what = f"{settings.state_dir} holds `?`, at which the database's address ends: it cannot be opened"
        yield fail("STATE_DIR", what, "choose a folder without it")


def find_unbuildable(path: str, platform: str) -> str | None:
    """A sign with which cmake configures no folder, whatever it builds (tried with 3.25, Ninja and Makefiles)."""
    signs = ";" if platform == "win32" else '";\\'
    return next((each for each in path if each in signs), None)


def _check_privacy(folder: Path) -> Iterator[Finding]:
    if os.name != "posix":
        return
    mode = folder.stat().st_mode
    if mode & 0o022:
        yield warn(
            "STATE_DIR",
            f"others may write to {folder}, and so decide what is started as this user",
            f"chmod go-w {folder}",
        )
    elif mode & 0o055:
        yield warn(
            "STATE_DIR",
            f"others may read in {folder}, where log lines, chat and crash reports lie",
            f"chmod go= {folder}; if an analyst of another user reads the queue, give that its own ANALYST_QUEUE_DIR "
            "first",
        )


def check_server_dir(settings: Settings) -> Iterator[Finding]:
    folder = settings.server_dir
    if os.access(folder, os.W_OK | os.X_OK):
        yield ok("SERVER_DIR", f"{folder} can be written")
    else:
        yield fail(
            "SERVER_DIR",
            f"{folder} cannot be written, so no build can be put in place",
            "run the bot as the user that the folder belongs to",
        )


def check_disk(settings: Settings) -> Iterator[Finding]:
    need = settings.min_free_disk
    for name, folder in (("STATE_DIR", settings.state_dir), ("SERVER_DIR", settings.server_dir)):
        free = shutil.disk_usage(nearest(folder)).free
        if free < need:
            yield fail(
                "disk",
                f"{size(free)} free for {name}, less than MIN_FREE_DISK ({size(need)}): nothing is built",
                "free some space, move STATE_DIR to a larger disk, or lower MIN_FREE_DISK",
            )
        else:
            yield ok("disk", f"{size(free)} free for {name}")


def check_room(settings: Settings) -> Iterator[Finding]:
    """Whether a build and the archive of builds will fit, as far as their sizes are known."""
    build = find_place(settings.state_dir, settings.build_dir)
    like = settings.build_like
    compiled = 0 if like is None or (build / CACHE).is_file() else measure(like)
    target = settings.server_dir.resolve() / realm.program_below_server(settings)
    kept = settings.state_dir / BUILDS
    missing = max(0, settings.keep_builds + 1 - sum(1 for each in kept.glob("*/manifest.json")))
    one = sum(each.stat().st_size for each in (target, *list_symbols(target)) if each.is_file())
    yield judge_room(
        Room(nearest(build), compiled, shutil.disk_usage(nearest(build)).free),
        Room(nearest(kept), missing * one, shutil.disk_usage(nearest(kept)).free),
        same_disk=nearest(build).stat().st_dev == nearest(kept).stat().st_dev,
    )


@dataclass(frozen=True)
class Room:
    place: Path
    needed: int  # bytes that will be written there
    free: int  # bytes


def judge_room(build: Room, archive: Room, *, same_disk: bool) -> Finding:
    """What is not known, or lies there already, needs nothing."""
    first = f"a build takes about {size(build.needed)}, " if build.needed else ""
    kept = f"about {size(archive.needed)}" if archive.needed else "no more than now"
    needs = f"{first}the builds that are kept {'' if first else 'take '}{kept}"
    if same_disk:
        both = Room(build.place, build.needed + archive.needed, build.free)
        short = [both] if both.needed > both.free else []
    else:
        short = [each for each in (build, archive) if each.needed > each.free]
    if not short:
        return ok("room", f"{needs}: there is room")
    return warn(
        "room",
        f"{needs}, and {size(short[0].free)} are free in {short[0].place}",
        "free some space, move BUILD_DIR or STATE_DIR to a larger disk, or lower KEEP_BUILDS",
    )


def measure(folder: Path) -> int:
    """Bytes of all files below a folder; at most so many are looked at."""
    total = 0
    for count, (parent, _, names) in enumerate(os.walk(folder)):
        if count > _MOST_FOLDERS:
            break
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(Path(parent) / name).st_size
    return total


def nearest(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    return next(each for each in (path, *path.absolute().parents) if each.exists())
