"""The source that a rule may look into: every C++ file below `src`, read when it is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from bot.demo.analyst.code import Class, File, Function

SUFFIXES = frozenset({".cpp", ".cc", ".cxx", ".h", ".hpp"})
MOST_BYTES = 4 << 20  # of a file; what is larger was generated


class SourceTree:
    """A scratch clone. Nothing in it is run, and no link in it is followed."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._files: dict[str, File | None] = {}

    def find_file(self, path: str) -> File | None:
        """A source file of the repository; None for anything else."""
        if path not in self._files:
            self._files[path] = self._read(path)
        return self._files[path]

    def _read(self, path: str) -> File | None:
        place = self._root / path
        if Path(path).is_absolute() or place.suffix not in SUFFIXES or not place.is_file():
            return None
        if place.resolve() != place or place.stat().st_size > MOST_BYTES:
            return None
        with place.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            return File(path, file.read())

    @cached_property
    def _paths(self) -> list[str]:
        files = (path for path in sorted(self._root.glob("src/**/*")) if path.suffix in SUFFIXES)
        return [path.relative_to(self._root).as_posix() for path in files]

    def list_with(self, word: str) -> Iterator[File]:
        """The files in whose code a word stands."""
        pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        for path in self._paths:
            file = self.find_file(path)
            if file is not None and word in file.text and pattern.search(file.code):
                yield file

    def list_functions(self, name: str) -> list[Function]:
        """Definitions of that name, in any class or in none."""
        return [each for file in self.list_with(name) for each in file.functions if each.name == name]

    def list_functions_of(self, owner: str) -> list[Function]:
        return [each for file in self.list_with(owner) for each in file.functions if each.owner == owner]

    def find_class(self, name: str) -> Class | None:
        return next((each for file in self.list_with(name) for each in file.classes if each.name == name), None)
