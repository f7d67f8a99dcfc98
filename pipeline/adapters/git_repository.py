"""One repository of ours, and what is read from it. No method here changes what a branch holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pipeline.adapters.git_process import LOCAL, GitAnswer, GitProgram
from pipeline.errors import SourceUnusable
from pipeline.model import Commit

# What no name of a branch may hold (git-check-ref-format(1)), so that what is left is neither an option nor a way to
# ask git for something (`@{…}`, `:/…`, `a..b`); a lone surrogate cannot be handed to a program.
_NO_NAME = re.compile(r"[\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]|^-|^@$|@\{|\.\.|//|^/|/$|\.$|(^|/)\.|\.lock(/|$)")
_FULL = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MOST_REMEMBERED = 10_000  # answers
_COMMIT = "%H%x1f%T%x1f%ct%x1f%(trailers:key=Run,valueonly,separator=%x1e)%x1f%an%x1f%s"

T = TypeVar("T")


class _Unknown:
    """Not asked yet: None is an answer."""


_UNKNOWN = _Unknown()


@dataclass(frozen=True)
class Repository:
    program: GitProgram
    folder: Path  # the work tree
    known: set[str] = field(default_factory=set, compare=False)  # full hashes of commits that were seen here
    answers: dict[tuple[str, ...], Any] = field(default_factory=dict, compare=False)  # what was asked of full hashes

    @property
    def git_dir(self) -> Path:
        return self.folder / ".git"

    def run(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        accept: Sequence[int] = (0,),
        timeout: float = LOCAL,
        env: Mapping[str, str] | None = None,
    ) -> GitAnswer:
        return self.program.run(
            *arguments,
            git_dir=self.git_dir,
            work_tree=self.folder,
            stdin=stdin,
            accept=accept,
            timeout=timeout,
            env=env,
        )

    def find_commit(self, revision: str) -> str | None:
        """The full hash, None for what is no commit here, ambiguous, or no name of a commit at all."""
        if revision in self.known:
            return revision
        if not is_name(revision.removesuffix("^")):
            return None
        answer = self.run("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", accept=(0, 1, 128))
        if answer.status != 0 or not answer.text:
            return None
        self.known.add(answer.text)
        return answer.text

    def get_commit(self, revision: str) -> str:
        """The full hash. Raises SourceUnusable."""
        if (found := self.find_commit(revision)) is None:
            raise SourceUnusable(f"the commit {revision[:60]!r} is not in our clone")
        return found

    def list_commits(self, span: str, *options: str, paths: Sequence[str] = (), timeout: float = LOCAL) -> list[Commit]:
        """Commits of a range of full hashes, newest first; with `paths` those that touch one of them."""
        log = ("log", "-z", "--topo-order", f"--format={_COMMIT}", *options, span, "--", *paths)
        out = self.run(*log, timeout=timeout).out
        return [_parse(record) for record in out.decode(errors="replace").split("\0") if record]

    def remember(self, ask: Callable[[], T], *question: str) -> T:
        """The answer to a question about commits that are named by their full hashes: the history below a commit never
        changes, so git is asked once. `question` = what is asked, then the hashes."""
        if not all(map(_FULL.fullmatch, question[1:])):
            return ask()
        known: T | _Unknown = self.answers.get(question, _UNKNOWN)
        if not isinstance(known, _Unknown):
            return known
        answer = ask()
        if len(self.answers) >= _MOST_REMEMBERED:
            self.answers.clear()
        self.answers[question] = answer
        return answer

    def merge_base(self, one: str, other: str) -> str | None:
        return self.remember(lambda: self._merge_base(one, other), "merge base", one, other)

    def _merge_base(self, one: str, other: str) -> str | None:
        return self.run("merge-base", one, other, accept=(0, 1)).text or None

    def contains(self, descendant: str, ancestor: str) -> bool:
        same = descendant == ancestor
        return same or self.remember(lambda: self._contains(descendant, ancestor), "contains", descendant, ancestor)

    def _contains(self, descendant: str, ancestor: str) -> bool:
        return self.run("merge-base", "--is-ancestor", ancestor, descendant, accept=(0, 1)).status == 0

    def diff(self, old: str, new: str) -> str:
        """A unified diff between two trees or commits."""
        options = ("-r", "-p", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
        return self.run("diff-tree", *options, old, new).out.decode(errors="replace")


def is_name(revision: str) -> bool:
    """Whether it is a hash, or may be the name of a branch or of any reference."""
    return bool(revision) and _NO_NAME.search(revision) is None


def _parse(record: str) -> Commit:
    hash_, tree, seconds, runs, author, subject = record.split("\x1f", 5)
    run = runs.split("\x1e")[-1].strip()  # ours is the last one
    return Commit(hash_.strip(), tree, subject, datetime.fromtimestamp(int(seconds), UTC), run or None, author)
