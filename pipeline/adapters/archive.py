"""The builds that are kept: `builds/<commit>/` with `files/`, `sql/` and, written last, `manifest.json`.

A build is made under another name and published by one rename, so that half of one is never seen; it is removed the
same way round. The keeper reads this folder, only the bot writes it.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.keeper.protocol import (
    BUILDS,
    BuildFile,
    Manifest,
    ProtocolError,
    from_json,
    replace_file,
    sync_folder,
    to_json,
)

MANIFEST = "manifest.json"
FILES = "files"
SQL = "sql"
SYMBOLS = (".pdb", ".debug", ".dwp")  # symbols beside an executable: instead of its suffix (.pdb) or behind it
_CHUNK = 1 << 20  # bytes
_RENAME_TRIES = 25  # on Windows a scanner may hold a new file for some seconds
_RENAME_PAUSE = 0.2  # seconds
_NAME = re.compile(r"[A-Za-z0-9][\w-]*")


@dataclass(frozen=True)
class Product:
    """A file that a build made, and where it goes."""

    path: str  # below SERVER_DIR, with forward slashes
    source: Path
    executable: bool = False


def list_programs(state_dir: Path, name: str) -> list[Path]:
    """Executables of this name in every build that is kept and whole, newest build first."""
    return Archive(state_dir).list_programs(name)


class Archive:
    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / BUILDS

    def manifest(self, build: str) -> Manifest | None:
        """A build whose files are all there, with their sizes."""
        if not _NAME.fullmatch(build):
            return None
        place = self.folder / build
        try:
            manifest = from_json(Manifest, (place / MANIFEST).read_bytes())
            whole = all((place / FILES / each.source).stat().st_size == each.size for each in manifest.files)
        except (OSError, ProtocolError):
            return None
        return manifest if whole and manifest.files and manifest.build == build else None

    def verified(self, build: str) -> Manifest | None:
        """The same, with the checksums read again."""
        manifest = self.manifest(build)
        if manifest is None:
            return None
        files = self.folder / build / FILES
        return manifest if all(digest(files / each.source) == each.sha256 for each in manifest.files) else None

    def list_programs(self, name: str) -> list[Path]:
        """As the manifests have them: a build that is removed meanwhile is none."""
        kept = (manifest for build in self._newest_first() if (manifest := self.manifest(build)) is not None)
        called = ((each, file.source) for each in kept for file in each.files if _is_called(file, name))
        return [self.folder / manifest.build / FILES / source for manifest, source in called]

    def add(self, build: str, products: Sequence[Product], revision: str | None, sql: Path | None) -> Manifest:
        """Copies, syncs and publishes; what lay there under that name before is replaced. Raises OSError."""
        draft = self.folder / f".new-{build}-{secrets.token_hex(4)}"
        try:
            draft.mkdir(parents=True)
            sync_folder(self.folder.parent)  # the folder of all builds may be new
            files = tuple(_keep(each, draft / FILES) for each in products)
            if sql is not None and sql.is_dir():
                _copy_sql(sql, draft / SQL, self._newest_sql())
            manifest = Manifest(build, files, revision)
            replace_file(draft / MANIFEST, to_json(manifest))
            self._publish(draft, self.folder / build)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        return manifest

    def prune(self, keep: int, protected: Iterable[str]) -> list[str]:
        """Removes the oldest beyond `keep`, never a protected one. A build that is in use on Windows stays."""
        spared = set(protected)
        old = [name for name in self._newest_first()[max(keep, 0) :] if name not in spared]
        return [name for name in old if self._remove(self.folder / name)]

    def sweep(self) -> None:
        """Removes what a killed bot left half made or half removed."""
        for each in self._entries():
            if each.name.startswith("."):
                shutil.rmtree(each, ignore_errors=True)

    def _publish(self, draft: Path, place: Path) -> None:
        if place.exists():
            self._remove(place)
        _rename(draft, place)
        sync_folder(self.folder)

    def _remove(self, place: Path) -> bool:
        gone = place.with_name(f".gone-{place.name}-{secrets.token_hex(4)}")
        try:
            _rename(place, gone)
        except OSError:
            return False
        shutil.rmtree(gone, ignore_errors=True)
        return True

    def _newest_first(self) -> list[str]:
        dated = [(when, each.name) for each in self._entries() if (when := _written(each)) is not None]
        return [name for _, name in sorted(dated, reverse=True) if not name.startswith(".")]

    def _newest_sql(self) -> Path | None:
        return next((place for name in self._newest_first() if (place := self.folder / name / SQL).is_dir()), None)

    def _entries(self) -> list[Path]:
        return list(self.folder.iterdir()) if self.folder.is_dir() else []


def _is_called(file: BuildFile, name: str) -> bool:
    return PurePosixPath(file.path).name.lower() == name.lower()


def list_symbols(executable: Path) -> list[Path]:
    """Separate symbols beside an executable: `worldserver.pdb`, `worldserver.debug`."""
    names = {executable.with_suffix(suffix).name for suffix in SYMBOLS}
    names |= {executable.name + suffix for suffix in SYMBOLS}
    return sorted(path for name in names if (path := executable.with_name(name)).is_file())


def digest(path: Path) -> str:
    """SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _keep(product: Product, files: Path) -> BuildFile:
    path = PurePosixPath(product.path)
    if path.is_absolute() or ".." in path.parts:
        raise OSError(f"{product.path} does not lie below SERVER_DIR")
    target = files / path
    target.parent.mkdir(parents=True, exist_ok=True)
    checksum, size = _copy(product.source, target, 0o755 if product.executable else None)
    _sync_up_to(target.parent, files.parent)
    return BuildFile(str(path), str(path), checksum, size, product.executable)


def _copy(source: Path, target: Path, mode: int | None = None) -> tuple[str, int]:
    """Copies and syncs in constant memory; the checksum and the size of what was written. `mode` None = the usual."""
    checksum, size = hashlib.sha256(), 0
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(_CHUNK):
            checksum.update(chunk)
            size += len(chunk)
            writer.write(chunk)
        writer.flush()
        if mode is not None:
            target.chmod(mode)
        os.fsync(writer.fileno())
    return checksum.hexdigest(), size


def _sync_up_to(folder: Path, top: Path) -> None:
    while folder.is_relative_to(top):
        sync_folder(folder)
        folder = folder.parent


def _copy_sql(source: Path, target: Path, before: Path | None) -> None:
    """Regular files only. TrinityCore's are thousands and the same each night: those are links to the last build's."""
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(each for each in folders if each != ".git")
        here = Path(folder)
        there = target / here.relative_to(source)
        there.mkdir(parents=True)
        for name in sorted(names):
            if not (here / name).is_symlink() and (here / name).is_file():
                twin = None if before is None else before / here.relative_to(source) / name
                _link_or_copy(here / name, there / name, twin)
        sync_folder(there)


def _link_or_copy(source: Path, target: Path, twin: Path | None) -> None:
    if twin is not None and _same(source, twin):
        try:
            os.link(twin, target)
            return
        except OSError:
            target.unlink(missing_ok=True)
    _copy(source, target)
    shutil.copystat(source, target)


def _same(source: Path, twin: Path) -> bool:
    try:
        one, other = source.stat(), twin.stat()
    except OSError:
        return False
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def _written(place: Path) -> int | None:
    try:
        return (place / MANIFEST).stat().st_mtime_ns
    except OSError:
        return None


def _rename(source: Path, target: Path) -> None:
    for left in reversed(range(_RENAME_TRIES)):
        try:
            source.rename(target)
            return
        except PermissionError:
            if sys.platform != "win32" or not left:
                raise
            time.sleep(_RENAME_PAUSE)
