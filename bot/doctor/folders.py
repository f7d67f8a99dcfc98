"""The folders that are written: the state folder and SERVER_DIR."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bot.doctor.finding import Finding, fail, ok, warn
from bot.settings import Settings


def check_state(settings: Settings) -> Iterator[Finding]:
    folder = settings.state_dir
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


def _check_privacy(folder: Path) -> Iterator[Finding]:
    if os.name == "posix" and folder.stat().st_mode & 0o022:
        yield warn(
            "STATE_DIR",
            f"others may write to {folder}, and so decide what is started as this user",
            f"chmod go-w {folder}",
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


def nearest(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    return next(each for each in (path, *path.absolute().parents) if each.exists())


def size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"
