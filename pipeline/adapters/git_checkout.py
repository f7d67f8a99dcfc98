"""The user's checkout, SOURCE_DIR: read, never written. Only plumbing that takes no lock runs in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.adapters.git_process import GitAnswer, GitFailed, GitProgram
from pipeline.errors import SourceUnusable

_PROMISED = r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$"
_LOOKING_THROUGH = 900.0  # seconds for all objects of a large history
_SUBMODULE = re.compile(r"^160000 commit [0-9a-f]+\t(?P<path>.*)$", re.DOTALL)
_DEEPEST = 4  # levels below SOURCE_DIR at which modules are cloned by hand
_CARRIED = r"^(core\.sshcommand|credential\..*|http\..*)$"  # how this checkout reaches its remote


class Checkout:
    """What we may know of the user's checkout."""

    def __init__(self, program: GitProgram, folder: Path):
        self.folder = folder
        self._program = program

    def check(self) -> None:
        """Raises SourceUnusable, with the cure, unless it is the root of a repository that has a commit."""
        try:
            prefix = self._ask("rev-parse", "--show-prefix").text
            head = self._ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}", accept=(0, 1, 128)).text
        except GitFailed as fault:
            raise SourceUnusable(self._explain(fault)) from fault
        if prefix:
            raise SourceUnusable(f"SOURCE_DIR ({self.folder}) is a folder inside a repository: name the repository")
        if not head:
            raise SourceUnusable(f"SOURCE_DIR ({self.folder}) has no commit yet")
        if self._lacks_objects():
            raise SourceUnusable(
                f"SOURCE_DIR ({self.folder}) is a partial clone (`--filter`): older commits lack their files, and we "
                "fetch nothing into it: `git fetch --refetch --no-filter` there"
            )

    def _lacks_objects(self) -> bool:
        """Only where a remote promised to have them later is anything looked through."""
        if self._ask("config", "--get-regexp", _PROMISED, accept=(0, 1)).status:
            return False
        out = self._program.run(
            "rev-list", "--objects", "--all", "--missing=print", cwd=self.folder, timeout=_LOOKING_THROUGH
        ).out
        return out.startswith(b"?") or b"\n?" in out

    def current_branch(self) -> str | None:
        """The branch that is checked out, None where HEAD is detached."""
        return self._ask("symbolic-ref", "--quiet", "--short", "HEAD", accept=(0, 1)).text or None

    def remote_url(self, name: str) -> str | None:
        """Where `git push <name>` of this checkout would go, relative paths made absolute; None = no such remote."""
        answer = self._ask("remote", "get-url", "--push", "--", name, accept=(0, 1, 2, 128))
        if answer.status or not (url := answer.text):
            return None
        return url if _is_remote(url) else os.path.normpath(self.folder / url)

    def is_itself(self, url: str) -> bool:
        """Whether a push there would write into this checkout: its folder, its `.git`, or another work tree of it, by
        whatever path."""
        place = _find_folder(url)
        if place is None or not place.is_dir():
            return False
        if place.resolve() == self.folder.resolve():
            return True
        ours, there = self._find_git_dir(self.folder), self._find_git_dir(place)
        return ours is not None and ours == there

    def _find_git_dir(self, folder: Path) -> Path | None:
        """The one that all work trees share."""
        try:
            answer = self._program.run("rev-parse", "--git-common-dir", cwd=folder)
        except GitFailed:
            return None
        return (folder / answer.text).resolve()

    def list_access(self) -> list[tuple[str, str]]:
        """Keys and values of its own configuration that say how its remotes are reached (ssh command, credentials)."""
        out = self._ask("config", "--local", "-z", "--get-regexp", _CARRIED, accept=(0, 1)).out.decode(errors="replace")
        return [(key, value) for key, _, value in (entry.partition("\n") for entry in out.split("\0") if entry)]

    def list_submodules(self) -> list[str]:
        entries = self._ask("ls-tree", "-r", "-z", "HEAD", accept=(0, 128)).out.decode(errors="replace").split("\0")
        return [found["path"] for entry in entries if (found := _SUBMODULE.match(entry))]

    def _ask(self, *arguments: str, accept: tuple[int, ...] = (0,)) -> GitAnswer:
        if not self.folder.is_dir():
            raise SourceUnusable(f"SOURCE_DIR ({self.folder}) is not there")
        return self._program.run(*arguments, cwd=self.folder, accept=accept)

    def _explain(self, fault: GitFailed) -> str:
        if "dubious ownership" in fault.words:
            return (
                f"SOURCE_DIR ({self.folder}) belongs to another user, so git refuses it: "
                f"`git config --global --add safe.directory {self.folder}`"
            )
        if "not a git repository" in fault.words:
            return f"SOURCE_DIR ({self.folder}) is not a git repository"
        return f"SOURCE_DIR ({self.folder}) cannot be read: {fault}"


def refuse_nested(source_dir: Path, program: GitProgram | None = None) -> list[str]:
    """What of the source is in repositories of its own, a sentence each: fixes there could be neither committed nor
    pushed (AzerothCore's modules are cloned by hand into `modules/`)."""
    submodules = Checkout(program or GitProgram(source_dir), source_dir).list_submodules()
    cloned = [path for path in _list_clones(source_dir) if path not in submodules]
    return [f"`{path}` is a submodule: fixes to it cannot be committed" for path in submodules] + [
        f"`{path}` is a repository of its own inside SOURCE_DIR: our clone would not contain it" for path in cloned
    ]


def _list_clones(source_dir: Path) -> Iterator[str]:
    for folder, names, files in os.walk(source_dir):
        place = Path(folder).relative_to(source_dir)
        if place.parts and (".git" in names or ".git" in files):
            yield place.as_posix()
            names.clear()
        elif len(place.parts) >= _DEEPEST:
            names.clear()
        names[:] = sorted(name for name in names if name != ".git")


def _find_folder(url: str) -> Path | None:
    """The folder of this machine that a push address names, None where it names none."""
    if not _is_remote(url):
        return Path(url)
    parts = urlsplit(url)
    if parts.scheme != "file" or not parts.path:
        return None
    path = unquote(parts.path)
    return Path(path[1:] if re.match(r"/[A-Za-z]:", path) else path)  # `/C:/x` on Windows


def _is_remote(url: str) -> bool:
    """Whether it is no local path: a URL, or scp-like `host:path` (not a Windows drive)."""
    return "://" in url or re.match(r"[^/\\:]{2,}:", url) is not None
