"""A user's checkout with a bare remote, made with real git, and what proves that it was not touched."""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline import policy
from pipeline.adapters.commit_messages import commit_message
from pipeline.adapters.git import GitSource
from pipeline.model import Commit, Patch
from pipeline.ports import PatchLimits

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


USUAL: dict[str, str | bytes] = {"src/game/Map.cpp": MAP_CPP, "CMakeLists.txt": "project(x)\n", "sql/a.sql": "--\n"}


def git(folder: Path, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
    """The plain git of a user, with no configuration of this machine."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment = {**inherited, **CLEAN, **(env or {})}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, input=stdin, capture_output=True, timeout=60
    )
    assert done.returncode == 0, f"git {arguments} in {folder}: {done.stderr.decode()}"
    return done.stdout.decode().strip()


Picture = dict[str, tuple[str, int, int]]


def snapshot(folder: Path, times: bool = True) -> Picture:
    """Path -> (content or link target as sha256, mode, time of change in ns or 0) of everything below."""
    return dict(_picture(folder, "", times))


def _picture(folder: str | Path, above: str, times: bool) -> Iterator[tuple[str, tuple[str, int, int]]]:
    """In plain strings and one look at each folder: it is taken twice for each of a thousand hostile cases."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return  # one that nobody may look into
    for each in entries:
        path, is_file, status = above + each.name, each.is_file(), each.stat(follow_symlinks=False)
        content = b""
        if each.is_symlink():
            content = os.fsencode(Path(each).readlink())
        elif is_file:
            content = Path(each).read_bytes()
        changed = status.st_mtime_ns if times and is_file else 0
        yield path, (hashlib.sha256(content).hexdigest(), status.st_mode, changed)
        if each.is_dir(follow_symlinks=False):
            yield from _picture(each.path, f"{path}/", times)


@dataclass
class Checkout:
    """`folder` is the user's, `remote` the bare repository that its `origin` names."""

    folder: Path
    remote: Path

    def commit(
        self,
        files: dict[str, str | bytes],
        message: str = "change",
        *,
        author: str = "User",
        at: datetime | None = None,
    ) -> str:
        """`at` = when, None = now."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        git(self.folder, "add", "--force", "--", *files)
        env = {"GIT_AUTHOR_NAME": author}
        if at is not None:
            env |= {"GIT_AUTHOR_DATE": at.isoformat(), "GIT_COMMITTER_DATE": at.isoformat()}
        git(self.folder, "commit", "-q", "-m", message, env=env)
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
    made.commit(files or USUAL, "start")
    git(user, "push", "-q", "origin", "master")
    return made


NIGHT = "overnight-20260131"


@dataclass
class Bed:
    """A GitSource on a fresh checkout, with its night branch begun."""

    checkout: Checkout
    state: Path
    source: GitSource
    base: str

    @property
    def clone(self) -> Path:
        return self.state / "source"

    def picture(self) -> tuple[Picture, Picture, list[str]]:
        """All there is: the user's with its times, ours without (git touches objects it looks at), and the folder."""
        beside = [path.name for path in sorted(self.state.parent.iterdir())]
        return snapshot(self.checkout.folder), snapshot(self.state, times=False), beside

    def reset(self) -> Bed:
        """As it was when the night began."""
        self.source.restore(NIGHT, self.base)
        return self

    def in_clone(self, *arguments: str) -> str:
        return git(self.clone, *arguments)

    def read(self, path: str, at: str = "HEAD") -> bytes:
        """A file as it was committed."""
        done = subprocess.run(["git", "show", f"{at}:{path}"], cwd=self.clone, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def apply(self, patch: Patch, run: str = "r1", limits: PatchLimits | None = None) -> Commit:
        message = commit_message(kind="fix", summary="a cure", run=run)
        return self.source.apply(patch, message, limits or PatchLimits(), self.base)


def make_bed(folder: Path, files: dict[str, str | bytes] | None = None, **settings: Any) -> Bed:
    """With other files than the usual ones it is built step by step, else copied from one that was."""
    if files is None:
        return _copy_bed(_template(), folder, **settings)
    return lay_bed(folder, make_checkout(folder, files), **settings)


def lay_bed(folder: Path, checkout: Checkout, **settings: Any) -> Bed:
    """On a checkout that is there."""
    source = make_source(folder, checkout, **settings)
    source.prepare()
    base = source.base_head()
    source.begin(NIGHT, base)
    source.restore(NIGHT, base)
    return Bed(checkout, folder / "state", source, base)


@functools.cache
def _template() -> Bed:
    kept = tempfile.TemporaryDirectory(prefix="spirit-healer-test-")
    atexit.register(kept.cleanup)
    folder = Path(kept.name).resolve()
    return make_bed(folder, USUAL)


def _copy_bed(template: Bed, folder: Path, **settings: Any) -> Bed:
    shutil.copytree(template.state.parent, folder, symlinks=True, dirs_exist_ok=True)
    config = folder / "state" / "source" / ".git" / "config"
    config.write_text(config.read_text().replace(str(template.state.parent), str(folder.resolve())))
    checkout = Checkout(folder / "user", folder / "remote.git")
    bed = Bed(checkout, folder / "state", make_source(folder, checkout, **settings), template.base)
    return bed.reset()


def make_source(folder: Path, checkout: Checkout, **settings: Any) -> GitSource:
    plain: dict[str, Any] = {"review": policy, "push_backoff": 0.0}
    return GitSource(folder / "state", checkout.folder, **{**plain, **settings})
