"""What the history tells of our fixes: where one is, and whether it was undone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.adapters.git_process import LOCAL
from pipeline.adapters.git_repository import Repository
from pipeline.model import Commit

_REVERTS = "This reverts commit"  # git's own words, before a hash
_BRINGS_BACK = "This brings back commit"  # ours, of a merge: what an undone one had brought is in the files again


def find_run(repository: Repository, branch: str, above: str, run: str) -> Commit | None:
    """The newest commit above `above` on the branch whose trailer `Run` is that run."""
    head, base = repository.find_commit(f"refs/heads/{branch}"), repository.find_commit(above)
    if head is None or base is None:
        return None
    return next((each for each in repository.list_commits(f"{base}..{head}") if each.run == run), None)


def holds_fix(repository: Repository, revision: str, fix: str, run: str) -> bool:
    """Whether the fix is in the history of `revision`, as itself or as a squashed or rebased copy, and not undone."""
    return not all(_read_fates(repository, revision, fix, run))


def took_out_fix(repository: Repository, revision: str, fix: str, run: str) -> bool:
    """Whether the fix is in the history of `revision` in one of these ways, and undone."""
    fates = _read_fates(repository, revision, fix, run)
    return bool(fates) and all(fates)


def _read_fates(repository: Repository, revision: str, fix: str, run: str) -> list[bool]:
    """Of the fix and each copy of it in the history of `revision`: whether it was undone there."""
    at, fixed = repository.find_commit(revision), repository.find_commit(fix)
    if at is None or fixed is None:
        return []
    return repository.remember(lambda: _list_fates(repository, at, fixed, run), f"fates of the fix of {run}", at, fixed)


def _list_fates(repository: Repository, at: str, fixed: str, run: str) -> list[bool]:
    base = fixed if repository.contains(at, fixed) else repository.merge_base(at, fixed)
    if base is None:
        return []
    span = f"{base}..{at}"
    copies = {fixed} if base == fixed else _find_copies(repository, span, fixed, run)
    undone = _read_named(repository, span, _REVERTS)
    return [_is_undone({copy, fixed}, undone) for copy in copies]


def find_revert(repository: Repository, head: str, commit: str) -> str | None:
    """The commit between `commit` and `head` that undid it and was not undone itself."""
    at, target = repository.find_commit(head), repository.find_commit(commit)
    if at is None or target is None or not repository.contains(at, target):
        return None
    undone = _read_named(repository, f"{target}..{at}", _REVERTS)
    standing = [revert for revert, targets in undone.items() if _names({target}, targets)]
    return next((revert for revert in standing if not _is_undone({revert}, undone)), None)


def list_fixes(repository: Repository, at: str, since: str, most: int, seconds: float) -> list[Commit]:
    """Commits of ours in the history of `at` that are neither undone nor undo one, newest first; `since` = git's own
    option. Merges bring what others made."""
    ours = repository.list_commits(at, since, "--no-merges", f"--max-count={most}", "--grep=^Run: ", timeout=seconds)
    undone = _read_named(repository, at, _REVERTS, since, timeout=seconds)
    return [fix for fix in ours if fix.run and fix.hash not in undone and not _is_undone({fix.hash}, undone)]


def find_whole(repository: Repository, head: str, other: str) -> str:
    """`head`, or the commit below it from which on what it lacks of `other` is to be counted: a merge above that was
    undone left its commits in the history and not in the files, and git would never bring them again."""
    lost = list_lost_merges(repository, head, other)
    return f"{lost[0]}^1" if lost else head


def list_lost_merges(repository: Repository, head: str, other: str) -> list[str]:
    """Merges of our branches below `head`, oldest first, that brought commits of `other`, were undone, and were not
    made anew since."""
    span = f"{other}..{head}"
    merges = repository.run("rev-list", "--merges", "--first-parent", "--reverse", span, "--").lines
    if not merges:
        return []
    undone = _read_named(repository, span, _REVERTS)
    anew = _read_named(repository, span, _BRINGS_BACK)
    back = [target for merge, targets in anew.items() if not _is_undone({merge}, undone) for target in targets]
    gone = [merge for merge in merges if _is_undone({merge}, undone) and not _names({merge}, back)]
    return [merge for merge in gone if _brought(repository, merge, other)]


def _brought(repository: Repository, merge: str, other: str) -> bool:
    """Whether a merge brought anything that is in the history of `other`."""
    shared = repository.merge_base(f"{merge}^2", other)
    return shared is not None and not repository.contains(f"{merge}^1", shared)


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


def _read_named(
    repository: Repository, span: str, words: str, *options: str, timeout: float = LOCAL
) -> dict[str, list[str]]:
    """Commit -> the (perhaps short) hashes that its message names after these words."""
    log = ("log", "-z", "--format=%H %B", "--fixed-strings", f"--grep={words}", *options, span, "--")
    out = repository.run(*log, timeout=timeout).out
    records = (record.partition(" ") for record in out.decode(errors="replace").split("\0") if record)
    named = re.compile(rf"{words} ([0-9a-f]{{7,64}})")
    return {commit: named.findall(message) for commit, _, message in records}


def _is_undone(names: set[str], undone: dict[str, list[str]]) -> bool:
    """Whether a revert of any of these names stands, that is, was not reverted in turn."""
    return any(_names(names, targets) and not _is_undone({revert}, undone) for revert, targets in undone.items())


def _names(commits: Iterable[str], targets: Iterable[str]) -> bool:
    return any(commit.startswith(target) for commit in commits for target in targets)
