"""A scratch clone for one run of ANALYST_COMMAND, and what was changed in it.

The clone borrows the objects of ours (`--shared`): nothing in it is a hard link through which a stray write could reach
our history, and it costs no disk. It has no remote. What was changed is found afterwards, by an index of our own: the
command's commits, hooks and configuration have no say in the result.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.errors import DefiniteError

MOST_DIFF = 2 << 20  # bytes of a diff

# argv, folder, environment, where its output goes, how much of that it may write; the exit code.
RunGit = Callable[[Sequence[str], Path, Mapping[str, str], Path, int], int]

_QUIET_GIT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "LC_ALL": "C",
}
_PLAIN_GIT = (
    "-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false",
    "-c", "core.autocrlf=false", "-c", "core.longPaths=true", "-c", "gc.auto=0", "-c", "protocol.ext.allow=never",
)  # fmt: skip
_PLAIN_DIFF = (
    "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--full-index", "--ignore-submodules=none",
    "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip


_COMMIT = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
_ALTERNATES = Path(".git", "objects", "info", "alternates")


class ScratchFailed(DefiniteError):
    """The scratch clone could not be made or read."""


class Scratch:
    """One scratch folder: `worktree` is the command's, `response` is where it may answer."""

    def __init__(self, folder: Path, environment: Mapping[str, str], run_git: RunGit) -> None:
        self.folder = folder
        self.worktree = folder / "source"
        self._borrowed = b""  # where the objects are: content of `alternates`
        self._environment = {**environment, **_QUIET_GIT}
        self._run = run_git

    def create(self, clone: Path, commit: str) -> None:
        """Clones, without a remote, and checks out the commit. Raises ScratchFailed."""
        if not _COMMIT.fullmatch(commit):
            raise ScratchFailed(f"not a commit: {commit!r}")
        remove_tree(self.folder)
        self.folder.mkdir(parents=True)
        shared = ("clone", "--quiet", "--shared", "--no-checkout", "--template=", "--origin=origin")
        self._git(self.folder, *shared, "--", str(clone), str(self.worktree))
        self._borrowed = (self.worktree / _ALTERNATES).read_bytes()
        self._git(self.worktree, "remote", "remove", "origin")
        self._git(self.worktree, "checkout", "--quiet", "--detach", commit, "--")

    def diff(self, commit: str) -> str:
        """What the work tree has that the commit has not, new files included; empty = nothing. Raises ScratchFailed."""
        if not self.worktree.is_dir():
            raise ScratchFailed("the tree it was given is gone: it removed it")
        own = Path(tempfile.mkdtemp(prefix="index-", dir=self.folder))
        self._git(own, "init", "--quiet", "--template=", ".")
        (own / _ALTERNATES).parent.mkdir(parents=True, exist_ok=True)
        (own / _ALTERNATES).write_bytes(self._borrowed)
        places = (f"--git-dir={own / '.git'}", f"--work-tree={self.worktree}")
        self._git(self.worktree, *places, "read-tree", commit, output=own / "git.log")
        self._git(self.worktree, *places, "add", "--intent-to-add", "--", ".", output=own / "git.log")
        self._git(self.worktree, *places, "diff", *_PLAIN_DIFF, commit, "--", output=own / "change.diff")
        if (own / "change.diff").stat().st_size > MOST_DIFF:
            raise ScratchFailed(f"the change is too large: it wrote more than {MOST_DIFF >> 20} MB")
        try:
            return (own / "change.diff").read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise ScratchFailed("it changed lines that are not UTF-8: such a change has to be made by hand") from None

    def _git(self, cwd: Path, *arguments: str, output: Path | None = None) -> None:
        target = output or self.folder / "git.log"
        status = self._run(("git", *_PLAIN_GIT, *arguments), cwd, self._environment, target, MOST_DIFF)
        if status != 0:
            raise ScratchFailed(f"git {_verb(arguments)} ended with {status}: {_last_line(target)}")


@contextlib.contextmanager
def open_scratch(folder: Path, environment: Mapping[str, str], run_git: RunGit) -> Iterator[Scratch]:
    """A scratch folder that is gone afterwards."""
    try:
        yield Scratch(folder, environment, run_git)
    finally:
        remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Removes a folder with its write-protected files; never follows a link. What resists stays for the next time."""
    if not os.path.lexists(folder):
        return
    if sys.version_info >= (3, 12):
        shutil.rmtree(folder, onexc=lambda *seen: _unprotect(*seen[:2]))
    else:
        shutil.rmtree(folder, onerror=lambda *seen: _unprotect(*seen[:2]))


def _unprotect(again: Callable[..., object], path: str) -> None:
    """Git's objects are write-protected, which Windows takes for a reason not to remove them; so may folders be."""
    with contextlib.suppress(OSError):
        for each in (Path(path).parent, Path(path)):
            if not each.is_symlink():
                each.chmod(each.stat().st_mode | stat.S_IRWXU)
        if again in (os.unlink, os.rmdir):
            again(path)
        elif Path(path).is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _verb(arguments: Sequence[str]) -> str:
    return next((each for each in arguments if not each.startswith("-")), "")


def _last_line(path: Path) -> str:
    with contextlib.suppress(OSError):
        lines = path.read_bytes()[-2000:].decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else "no word why"
    return "no word why"
