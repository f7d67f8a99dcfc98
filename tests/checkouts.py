"""A user's checkout with a bare remote, made with real git, and what proves that it was not touched."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

CLEAN = {
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "User", "GIT_AUTHOR_EMAIL": "user@example.org",
    "GIT_COMMITTER_NAME": "User", "GIT_COMMITTER_EMAIL": "user@example.org",
}  # fmt: skip

MAP_CPP = """\
#include "Map.h"

Map::~Map()
{
    for (auto* unit : _units)
        unit->Leave();
    delete _grid;
}

void Map::Update(uint32 diff)
{
    for (auto* unit : _units)
        unit->Update(diff);
}
"""


def git(folder: Path, *arguments: str, stdin: bytes | None = None) -> str:
    """The plain git of a user, with no configuration of this machine."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env={**os.environ, **CLEAN}, input=stdin, capture_output=True, timeout=60
    )
    assert done.returncode == 0, f"git {arguments} in {folder}: {done.stderr.decode()}"
    return done.stdout.decode().strip()


def snapshot(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Path -> (content or link target as sha256, mode, time of change in ns) of everything below."""
    found = {}
    for parent, names, files in os.walk(folder):
        for name in (*names, *files):
            path = Path(parent) / name
            status = path.lstat()
            if path.is_symlink():
                content = os.fsencode(path.readlink())
            else:
                content = path.read_bytes() if path.is_file() else b""
            changed = 0 if path.is_dir() and not path.is_symlink() else status.st_mtime_ns
            found[path.relative_to(folder).as_posix()] = (hashlib.sha256(content).hexdigest(), status.st_mode, changed)
    return found


def contents(folder: Path) -> dict[str, str]:
    """As `snapshot`, without the times and without git's scratch objects: what a person would call the same."""
    return {path: digest for path, (digest, _, _) in snapshot(folder).items()}


@dataclass
class Checkout:
    """`folder` is the user's, `remote` the bare repository that its `origin` names."""

    folder: Path
    remote: Path

    def commit(self, files: dict[str, str | bytes], message: str = "change") -> str:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        git(self.folder, "add", "--force", "--", *files)
        git(self.folder, "commit", "-q", "-m", message)
        return git(self.folder, "rev-parse", "HEAD")

    def head(self) -> str:
        return git(self.folder, "rev-parse", "HEAD")

    def remote_head(self, branch: str) -> str | None:
        out = git(self.remote, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        return out or None


def make_checkout(folder: Path, files: dict[str, str | bytes] | None = None) -> Checkout:
    remote, user = folder / "remote.git", folder / "user"
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "--bare", "-b", "master", str(remote))
    git(folder, "init", "-q", "-b", "master", str(user))
    git(user, "config", "core.autocrlf", "false")
    git(user, "remote", "add", "origin", "../remote.git")
    made = Checkout(user, remote)
    made.commit(files or {"src/game/Map.cpp": MAP_CPP, "CMakeLists.txt": "project(x)\n", "sql/a.sql": "--\n"}, "start")
    git(user, "push", "-q", "origin", "master")
    return made
