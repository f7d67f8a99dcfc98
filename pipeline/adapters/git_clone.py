"""Our own clone: made from the checkout, kept whole, mended after a kill or a fault of the disk.

It is ours alone, so a lock in it is one that our own killed git left. A clone that cannot be used is made anew; what
it held unpushed is taken over object by object, because its references may be as broken as the rest.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.adapters.git_checkout import Checkout
from pipeline.adapters.git_process import LOCAL, GitFailed
from pipeline.adapters.git_repository import Repository
from pipeline.errors import SourceUnusable
from pipeline.keeper.protocol import sync_folder

# SOURCE_DIR is no remote of our clone, so that no name of the user's can stand for it; what it has is kept below:
CHECKOUT = "refs/spirit-healer/checkout"
CHECKOUT_HEAD = "refs/spirit-healer/checkout-head"
_CLONED_FROM = "spirit-healer-checkout"  # only while a clone is made
_TRACKED = ("refs/spirit-healer", "refs/remotes", "refs/tags")  # copies: what is lost of them is fetched again
_IN_THE_WAY = ("cannot lock ref", "unable to update local ref", "some local refs could not be updated")
_CLONING = 3600.0  # seconds
_FETCHING = 900.0
_FAN_OUT = 2  # characters of the name of a folder of objects
_CLOCKS_DIFFER = 2.0  # seconds; what a filesystem stamps a folder with
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# For whoever else runs git there: cmake asks it for the revision, and must not find the tree dirty.
_CONFIG = {
    "core.autocrlf": "false", "core.safecrlf": "false", "core.fsmonitor": "false",
    "core.longPaths": "true", "commit.gpgSign": "false", "tag.gpgSign": "false", "gc.auto": "0",
    "maintenance.auto": "false",
}  # fmt: skip

_log = logging.getLogger(__name__)


def prepare(repository: Repository, checkout: Checkout, remote: str) -> None:
    """Clones or mends, removes stale locks, copies how the remote is reached, fetches from the checkout. Idempotent.
    Raises SourceUnusable."""
    checkout.check()
    if not repository.program.end_strays():
        raise SourceUnusable(f"a git process of an earlier start still works in {repository.folder} and does not end")
    _finish_exchange(repository.folder)
    remove_locks(repository.git_dir)
    if not is_whole(repository):
        _renew(repository, checkout)
    remove_tree(repository.git_dir / "scratch")
    (repository.git_dir / "scratch").mkdir()
    _configure(repository, checkout, remote)
    fetch(repository, checkout, remote)


def fetch(repository: Repository, checkout: Checkout, remote: str) -> None:
    """Everything the checkout knows: its branches, its HEAD, its tags, and what it last saw of the remote. A reference
    of ours that is in the way of one (`feature` of `feature/x`, or a damaged one) goes."""
    specs = [
        f"+refs/heads/*:{CHECKOUT}/*",
        f"+refs/remotes/{remote}/*:refs/remotes/{remote}/*",
        "+refs/tags/*:refs/tags/*",
        f"+HEAD:{CHECKOUT_HEAD}",
    ]
    options = ("--quiet", "--no-auto-gc", "--no-tags", "--prune", "--update-shallow")
    arguments = ("fetch", *options, "--", str(checkout.folder), *specs)
    try:
        repository.run(*arguments, timeout=_FETCHING)
    except GitFailed as fault:
        if not any(sign in fault.words for sign in _IN_THE_WAY):
            raise
        _log.warning("fetched once more, without what was fetched before: %s", fault)
        _drop_tracked(repository)
        repository.run(*arguments, timeout=_FETCHING)


def _drop_tracked(repository: Repository) -> None:
    """Loose ones without git, as they may be damaged. No object goes."""
    for name in _TRACKED:
        remove_tree(repository.git_dir / name)
    names = repository.run("for-each-ref", "--format=delete %(refname)", *_TRACKED).out
    repository.run("update-ref", "--no-deref", "--stdin", stdin=names)


def is_whole(repository: Repository) -> bool:
    """Whether every branch can be read, down to the last file of what only we have."""
    if not (repository.git_dir / "config").is_file():
        return False
    try:
        refs = repository.run("for-each-ref", "--format=%(objectname)", "refs/heads")
        repository.run("symbolic-ref", "--quiet", "HEAD", accept=(0, 1))
        return not refs.words and all(_is_readable(repository, head) for head in set(refs.lines))
    except GitFailed as fault:
        _log.warning("our clone is damaged: %s", fault)
        return False


def has_stale_lock(git_dir: Path) -> bool:
    """Whether a lock is older than any git of ours may live: one that was killed left it."""
    now = time.time()
    return any(now - written > LOCAL for written in _list_lock_times(git_dir))


def _list_lock_times(git_dir: Path) -> Iterator[float]:
    for path in _walk(git_dir):
        if path.name.endswith(".lock"):
            with contextlib.suppress(OSError):
                yield path.stat().st_mtime


def remove_locks(git_dir: Path) -> list[Path]:
    """Removes the locks our own killed git left; only called while no git of ours runs."""
    locks = [path for path in _walk(git_dir) if path.name.endswith(".lock")]
    for lock in locks:
        _log.warning("removed the stale lock %s", lock)
        lock.unlink(missing_ok=True)
    return locks


def sync_names(git_dir: Path, since: float) -> None:
    """git syncs what it writes into a file and never a folder: the names of new objects and references. `since` =
    seconds since the epoch before the first of them was made."""
    objects = [each for each in (git_dir / "objects").iterdir() if len(each.name) == _FAN_OUT]
    fresh = [each for each in objects if each.stat().st_mtime >= since - _CLOCKS_DIFFER]
    for folder in (*fresh, git_dir / "objects", git_dir / "refs" / "heads", git_dir):
        sync_folder(folder)


def remove_tree(folder: Path) -> None:
    """Removes a folder of ours; git makes its objects read-only, which Windows takes seriously."""
    if sys.platform == "win32":
        for parent, _, files in os.walk(folder):
            for name in files:
                (Path(parent) / name).chmod(stat.S_IWRITE)
    shutil.rmtree(folder, ignore_errors=not folder.exists())


def _is_readable(repository: Repository, head: str) -> bool:
    """Reads every object of a head that the checkout does not have."""
    listed = repository.run(
        "rev-list", "--objects", head, "--not", "--remotes", f"--glob={CHECKOUT}", accept=(0, 1, 128)
    )
    objects = "".join(f"{line.split(' ', 1)[0]}\n" for line in listed.lines).encode()
    if listed.status or listed.words:
        return False
    read = repository.run("cat-file", "--batch", stdin=objects, accept=(0, 1, 128)) if objects else listed
    return not read.status and not read.words


def _renew(repository: Repository, checkout: Checkout) -> None:
    """A fresh clone in place of the old one, which goes only when all that it held was taken over."""
    folder, fresh, broken = repository.folder, _beside(repository.folder, "new"), _beside(repository.folder, "broken")
    remove_tree(fresh)
    make = ("clone", "--quiet", "--no-hardlinks", "--no-checkout", "--template=", "--origin", _CLONED_FROM)
    fresh.parent.mkdir(parents=True, exist_ok=True)
    repository.program.run(*make, "--", str(checkout.folder), str(fresh), cwd=fresh.parent, timeout=_CLONING)
    made = Repository(repository.program, fresh)
    made.run("remote", "remove", _CLONED_FROM)
    old = folder if folder.exists() else broken
    complete = not old.exists() or _take_over(old / ".git", made)
    if folder.exists():
        remove_tree(broken)
        folder.replace(broken)
    fresh.replace(folder)
    if complete:
        remove_tree(broken)


def _finish_exchange(folder: Path) -> None:
    """A kill between the two renames of an exchange leaves the fresh clone incomplete or nameless: begin it again."""
    remove_tree(_beside(folder, "new"))


def _take_over(old: Path, fresh: Repository) -> bool:
    """Brings the branches of a damaged clone into the fresh one, each at its newest state that can still be read.
    Whether each is at its newest state of all."""
    _copy_objects(old / "objects", fresh.git_dir / "objects")
    complete = True
    for branch, states in _list_states(old).items():
        found = next((state for state in states if _is_readable(fresh, state)), None)
        complete = complete and found == states[0]
        if found is None:
            _log.error("the branch %s of the damaged clone could not be read", branch)
        elif fresh.find_commit(f"refs/heads/{branch}") is None or branch.startswith("overnight-"):
            fresh.run("update-ref", f"refs/heads/{branch}", found)
    return complete


def _copy_objects(old: Path, new: Path) -> None:
    """Adds what the fresh clone lacks; empty files are what a power cut leaves."""
    for path in _walk(old, everything=True):
        target = new / path.relative_to(old)
        if target.suffix == ".lock" or target.parts[-2:-1] == ("info",) or "tmp_" in target.name:
            continue
        if not target.exists() and path.stat().st_size:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


def _list_states(git_dir: Path) -> dict[str, list[str]]:
    """Branch -> the hashes it stood at, newest first, from its reference and its reflog, read without git."""
    heads, logs = git_dir / "refs" / "heads", git_dir / "logs" / "refs" / "heads"
    packed = dict(_read_packed(git_dir / "packed-refs"))
    names = {path.relative_to(heads).as_posix() for path in _walk(heads, everything=True)} | set(packed)
    names |= {path.relative_to(logs).as_posix() for path in _walk(logs, everything=True)}
    states: dict[str, list[str]] = {}
    for name in sorted(names):
        now = _HASH.findall(_read(heads / name)) or ([packed[name]] if name in packed else [])
        before = [line.split(" ", 2)[1] for line in _read(logs / name).splitlines() if line.count(" ") > 1]
        found = [*now, *(each for each in reversed(before) if _HASH.fullmatch(each) and set(each) != {"0"})]
        if found:
            states[name] = list(dict.fromkeys(found))
    return states


def _read_packed(path: Path) -> Iterator[tuple[str, str]]:
    for line in _read(path).splitlines():
        hash_, _, name = line.partition(" ")
        if _HASH.fullmatch(hash_) and name.startswith("refs/heads/"):
            yield name.removeprefix("refs/heads/"), hash_


def _configure(repository: Repository, checkout: Checkout, remote: str) -> None:
    """Settings, the remote, and how the checkout reaches it; only what differs is written."""
    wanted: dict[str, list[str]] = {key.lower(): [value] for key, value in _CONFIG.items()}
    wanted["core.hookspath"] = [str(repository.git_dir / "no-hooks")]
    for key, value in checkout.list_access():
        wanted.setdefault(key, []).append(value)
    url = checkout.remote_url(remote)
    wanted[f"remote.{remote}.url"] = [] if url is None or checkout.is_itself(url) else [url]
    out = repository.run("config", "--local", "-z", "--list").out.decode(errors="replace")
    present: dict[str, list[str]] = {}
    for key, _, value in (entry.partition("\n") for entry in out.split("\0") if entry):
        present.setdefault(key, []).append(value)
    for key in (key for key, values in wanted.items() if present.get(key, []) != values):
        repository.run("config", "--local", "--unset-all", key, accept=(0, 5))
        for value in wanted[key]:
            repository.run("config", "--local", "--add", key, value)


def _walk(folder: Path, everything: bool = False) -> Iterator[Path]:
    """Files below a folder; without `everything`, not those of git's store of objects."""
    for parent, names, files in os.walk(folder):
        if not everything:
            names[:] = [name for name in names if not re.fullmatch("[0-9a-f]{2}", name)]
        yield from (Path(parent) / name for name in files)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f"{folder.name}.{what}")
