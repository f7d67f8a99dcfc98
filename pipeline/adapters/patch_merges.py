"""Reverts and merges, file by file: what changed on one side only is taken, what changed on both is merged by
`git merge-file`, and what conflicts is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.adapters.git_history import find_revert, find_whole
from pipeline.adapters.patch_bench import FILE, Entry, Overlay, PatchBench, Tree
from pipeline.errors import Overlaid, Refused

_MOST_NAMED = 10  # files named in a refusal


def compute_reverts(bench: PatchBench, tree: Tree, head: str, commits: Sequence[str]) -> Overlay:
    """What undoing the commits, newest first, makes of the files at `head`. Raises Refused."""
    overlay: Overlay = {}
    for name in commits:
        commit = _get_commit(bench, name)
        _check_revertible(bench, head, commit)
        change = bench.list_differences(commit, f"{commit}^")
        mine = {path: overlay[path] if path in overlay else tree.get(path) for path in change}
        merged, conflicts = _merge(bench, change, mine)
        if conflicts:
            raise _explain_conflict(bench, commit, head, conflicts[0], change[conflicts[0]])
        overlay |= merged
    return overlay


def compute_merge(bench: PatchBench, tree: Tree, head: str, other: str) -> tuple[Overlay, str]:
    """What merging a commit makes of the files at `head`, and that commit's full hash. Raises Refused."""
    commit = _get_commit(bench, other)
    base = bench.repository.merge_base(find_whole(bench.repository, head, commit), commit)
    if base is None:
        raise Refused(f"{commit[:12]} has no history in common with the night branch")
    if base == commit:
        raise Refused(f"the night branch has {commit[:12]} already")
    change = bench.list_differences(base, commit)
    merged, conflicts = _merge(bench, change, {path: tree.get(path) for path in change})
    if conflicts:
        named = ", ".join(f"`{path}`" for path in conflicts[:_MOST_NAMED])
        more = f" and {len(conflicts) - _MOST_NAMED} more" if len(conflicts) > _MOST_NAMED else ""
        raise Refused(f"{commit[:12]} conflicts with the night's fixes in {named}{more}")
    return merged, commit


Sides = Mapping[str, tuple[Entry | None, Entry | None]]  # path -> (base, theirs)


def _merge(bench: PatchBench, change: Sides, mine: Mapping[str, Entry | None]) -> tuple[Overlay, list[str]]:
    """What to make of each path, and the paths that conflict."""
    merged: Overlay = {}
    conflicts = []
    for path, (base, theirs) in change.items():
        ours = mine[path]
        if ours == base:
            merged[path] = theirs
        elif ours != theirs:
            if (both := _merge_file(bench, ours, base, theirs)) is None:
                conflicts.append(path)
            else:
                merged[path] = both
    return merged, sorted(conflicts)


def _merge_file(bench: PatchBench, ours: Entry | None, base: Entry | None, theirs: Entry | None) -> Entry | None:
    """The merged file, None for a conflict."""
    if ours is None or base is None or theirs is None or any(each.mode not in FILE for each in (ours, base, theirs)):
        return None
    names = []
    for name, entry in (("ours", ours), ("base", base), ("theirs", theirs)):
        file = bench.folder / name
        file.write_bytes(bench.read(entry.hash))
        names.append(str(file))
    answer = bench.run("merge-file", "-p", "-q", *names, accept=range(256))
    if answer.status:
        return None
    return bench.store(answer.out, theirs.mode if ours.mode == base.mode else ours.mode)


def _get_commit(bench: PatchBench, name: str) -> str:
    if (found := bench.repository.find_commit(name)) is None:
        raise Refused(f"{name[:60]!r} is no commit of this repository")
    return found


def _check_revertible(bench: PatchBench, head: str, commit: str) -> None:
    if not bench.repository.contains(head, commit):
        raise Refused(f"{commit[:12]} is not on the night branch")
    if bench.repository.find_commit(f"{commit}^") is None:
        raise Refused(f"{commit[:12]} is the first commit of the history: there is nothing before it")
    if (revert := find_revert(bench.repository, head, commit)) is not None:
        raise Refused(f"{commit[:12]} is already undone by {revert[:12]}")


def _explain_conflict(
    bench: PatchBench, commit: str, head: str, path: str, sides: tuple[Entry | None, Entry | None]
) -> Overlaid:
    """Names the first later commit after which the path can no longer be undone."""
    later = bench.repository.run("rev-list", "--reverse", "--topo-order", f"{commit}..{head}", "--", path).lines
    for each in later:
        entry = bench.read_tree(each).get(path)
        if entry != sides[0] and _merge_file(bench, entry, *sides) is None:
            found = bench.repository.list_commits(each, "--no-walk")[0]
            words = f"{each[:12]} ({found.subject}) changed the same lines of `{path}`"
            return Overlaid(f"{commit[:12]} cannot be undone: {words}", each)
    return Overlaid(f"{commit[:12]} cannot be undone: `{path}` was changed since", None)
