"""What a child may write while it runs: looked at ten times a second, so that no program fills the disk."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from pipeline.adapters.children import Flood

KEEP_DISK = 256 << 20  # bytes that have to stay free while a child works


class TooMuch(Flood):
    """It printed or wrote more than it may."""


class Limits:
    """For `Child.wait`. Raises TooMuch where `output` has more than `most` bytes, or the disk of `folder` fills up
    (None = it writes nothing else)."""

    def __init__(self, output: Path, most: int, folder: Path | None = None) -> None:
        self._output = output
        self._most = most
        self._folder = folder

    def __call__(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self._output.stat().st_size > self._most:
                raise TooMuch(f"it wrote more than {self._most >> 20} MB")
            if self._folder is not None and shutil.disk_usage(self._folder).free < KEEP_DISK:
                raise TooMuch(f"less than {KEEP_DISK >> 20} MB of disk are free")
