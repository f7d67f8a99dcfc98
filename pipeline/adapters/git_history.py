"""What the history tells of our fixes: where one is, and whether it was undone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.adapters.git_repository import Repository
from pipeline.model import Commit

_REVERTS = re.compile(r"This reverts commit ([0-9a-f]{7,64})")


def find_run(repository: Repository, branch: str, above: str, run: str) -> Commit | None:
    """The newest commit above `above` on the branch whose trailer `Run` is that run."""
    head, base = repository.find_commit(f"refs/heads/{branch}"), repository.find_commit(above)
    if head is None or base is None:
        return None
    return next((each for each in repository.list_commits(f"{base}..{head}") if each.run == run), None)


def holds_fix(repository: Repository, revision: str, fix: str, run: str) -> bool:
    """Whether the fix is in the history of `revision`, as itself or as a squashed or rebased copy, and not undone."""
    at, fixed = repository.find_commit(revision), repository.find_commit(fix)
    if at is None or fixed is None or (base := repository.merge_base(at, fixed)) is None:
        return False
    span = f"{base}..{at}"
    copies = {fixed} if base == fixed else _find_copies(repository, span, fixed, run)
    undone = _read_reverts(repository, span)
    return any(not _is_undone({copy, fixed}, undone) for copy in copies)


def find_revert(repository: Repository, head: str, commit: str) -> str | None:
    """The commit between `commit` and `head` that undid it and was not undone itself."""
    at, target = repository.find_commit(head), repository.find_commit(commit)
    if at is None or target is None or not repository.contains(at, target):
        return None
    undone = _read_reverts(repository, f"{target}..{at}")
    standing = [revert for revert, targets in undone.items() if _names({target}, targets)]
    return next((revert for revert in standing if not _is_undone({revert}, undone)), None)


def _find_copies(repository: Repository, span: str, fix: str, run: str) -> set[str]:
    """Commits that carry the run's trailer anywhere (a squash keeps the messages) or change the same lines alike."""
    pattern = f"^[[:space:]*>-]*Run: {re.escape(run)}[[:space:]]*$"
    marked = repository.run("log", "--format=%H", "--extended-regexp", f"--grep={pattern}", span, "--").lines
    if marked:
        return set(marked)
    paths = repository.run("diff-tree", "-r", "-z", "--no-commit-id", "--name-only", fix).out.decode().split("\0")
    wanted = _patch_ids(repository, repository.run("diff-tree", "-p", "--full-index", fix).out)
    log = repository.run(
        "log", "-p", "--full-index", "--no-merges", "--format=commit %H", span, "--", *filter(None, paths)
    )
    return {commit for id_, commit in _patch_ids(repository, log.out) if id_ in {id_ for id_, _ in wanted}}


def _patch_ids(repository: Repository, patches: bytes) -> list[tuple[str, str]]:
    """(patch-id, commit) of each patch in a log."""
    if not patches.strip():
        return []
    lines = repository.run("patch-id", "--stable", stdin=patches).lines
    return [(id_, commit) for id_, _, commit in (line.partition(" ") for line in lines)]


def _read_reverts(repository: Repository, span: str) -> dict[str, list[str]]:
    """Commit -> the (perhaps short) hashes it says it reverts."""
    out = repository.run("log", "-z", "--format=%H %B", "--fixed-strings", "--grep=This reverts commit", span, "--").out
    records = (record.partition(" ") for record in out.decode(errors="replace").split("\0") if record)
    return {commit: _REVERTS.findall(message) for commit, _, message in records}


def _is_undone(names: set[str], undone: dict[str, list[str]]) -> bool:
    """Whether a revert of any of these names stands, that is, was not reverted in turn."""
    return any(_names(names, targets) and not _is_undone({revert}, undone) for revert, targets in undone.items())


def _names(commits: Iterable[str], targets: Iterable[str]) -> bool:
    return any(commit.startswith(target) for commit in commits for target in targets)
