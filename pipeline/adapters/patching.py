"""A proposed change becomes a commit, or nothing at all.

Everything is worked out from the commit's own files inside a bench, judged by the review, and only then moved into
the clone: a refusal at any point leaves not a byte behind.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.adapters.edit_matching import Nowhere, Place, Places, locate, strip_arrows
from pipeline.adapters.file_form import encode, fit, plain_text, read_text
from pipeline.adapters.patch_bench import FILE, Entry, Overlay, PatchBench, Tree
from pipeline.adapters.patch_diffs import apply_diff, list_paths, read_diff
from pipeline.adapters.patch_merges import compute_merge, compute_reverts
from pipeline.errors import Refused
from pipeline.model import Change, Edit, Patch, WholeFile
from pipeline.ports import FileChange, PatchLimits, Review

_MOST_CANDIDATES = 40  # files that an edit without a path is looked for in
_FRAGMENT = (20, 0.5)  # a file of so many lines that would keep less than this share of them was given as a fragment


@dataclass(frozen=True)
class Computed:
    """What a patch makes of a commit."""

    tree: str  # the new tree's hash, in the bench
    changes: tuple[Change, ...]
    merged: str | None  # second parent, for a merge


def compute(
    bench: PatchBench, patch: Patch, at: str, since: str | None, limits: PatchLimits, review: Review
) -> Computed:
    """Works the patch out at a commit. `since` = the commit its author saw. Raises Refused."""
    kinds = [kind for kind in (patch.files, patch.edits, patch.diff, patch.reverts, patch.merges) if kind]
    if len(kinds) != 1:
        raise Refused("it holds no change" if not kinds else "it holds several kinds of change at once")
    tree = bench.read_tree(at)
    judge = _Judge(bench, at, tree, limits, review)
    merged = None
    if patch.reverts:
        overlay = compute_reverts(bench, tree, at, patch.reverts)
    elif patch.merges:
        overlay, merged = compute_merge(bench, tree, at, patch.merges)
    else:
        overlay = _compute_proposal(judge, patch, since)
    new = bench.write_tree(at, overlay)
    differences = bench.list_differences(at, new)
    if not differences and merged is None:
        raise Refused("it changes nothing: the branch has all of it already")
    counts = bench.count_lines(at, new)
    if not (patch.reverts or merged):  # what history holds was judged when it came in
        judge.check_changes(differences, counts)
    return Computed(new, tuple(Change(path, *counts.get(path, (0, 0))) for path in differences), merged)


@dataclass(frozen=True)
class _Judge:
    """The review, with what it needs to know."""

    bench: PatchBench
    at: str  # the commit that is patched
    tree: Tree
    limits: PatchLimits
    review: Review

    def check_paths(self, paths: Iterable[str]) -> None:
        self.review.check_paths(paths, {path: entry.mode for path, entry in self.tree.items()}, self.limits)

    def check_changes(
        self, differences: dict[str, tuple[Entry | None, Entry | None]], counts: dict[str, tuple[int, int]]
    ) -> None:
        """Judges what really came out, whatever the patch's own words promised."""
        self.check_paths(differences)
        entries = [entry for sides in differences.values() for entry in sides if entry and entry.mode in FILE]
        contents = self.bench.read_all(entry.hash for entry in entries)

        def change_of(path: str, old: Entry | None, new: Entry | None) -> FileChange:
            before, after = (contents.get(each.hash, b"") if each else None for each in (old, new))
            added, removed = counts.get(path, (0, 0))
            modes = (old.mode if old else None, new.mode if new else None)
            return FileChange(path, *modes, before, after, added, removed)

        self.review.check_changes([change_of(path, *sides) for path, sides in differences.items()], self.limits)


def _compute_proposal(judge: _Judge, patch: Patch, since: str | None) -> Overlay:
    if patch.files:
        return _compute_files(judge, patch.files, since)
    if patch.edits:
        return _compute_edits(judge, patch.edits)
    judge.review.check_size("the diff", len(patch.diff or ""))
    text, files, strip = read_diff(patch.diff or "")
    judge.check_paths(list_paths(files, strip))
    overlay = apply_diff(judge.bench, judge.tree, text, files, strip)
    for path, entry in overlay.items():
        if path not in judge.tree and entry and entry.mode in FILE:
            new = judge.bench.read(entry.hash).decode()
            overlay[path] = judge.bench.store(_encode_new(judge, path, new), entry.mode)
    return overlay


# --- whole files -----------------------------------------------------------------------------------------------------


def _compute_files(judge: _Judge, files: Sequence[WholeFile], since: str | None) -> Overlay:
    named = [(clean_path(each.path), each) for each in files]
    if len({path for path, _ in named}) < len(named):
        raise Refused("it holds the same file twice")
    judge.check_paths([path for path, _ in named])
    overlay: Overlay = {}
    for path, each in named:
        judge.review.check_size(path, len(each.content))
        overlay[path] = _replace_file(judge, path, each, since)
    return overlay


def _replace_file(judge: _Judge, path: str, file: WholeFile, since: str | None) -> Entry:
    entry, text = judge.tree.get(path), plain_text(file.content)
    if entry is None:
        if file.base_sha256:
            raise Refused(f"`{path}` is not there (any more): the patch was made for another version of it")
        return judge.bench.store(_encode_new(judge, path, text))
    old = judge.bench.read(entry.hash)
    _check_base(judge.bench, path, file, entry, old, since)
    if file.base_sha256 is None:
        _check_whole(path, read_text(old), text)
    return judge.bench.store(fit(old, text, keep_end=True), entry.mode)


def _check_base(bench: PatchBench, path: str, file: WholeFile, entry: Entry, old: bytes, since: str | None) -> None:
    """A whole file may only replace the version its author saw."""
    if file.base_sha256:
        if file.base_sha256.strip().lower() not in _digests(old):
            raise Refused(f"`{path}` has changed since the patch was made (its base_sha256 is of another version)")
        return
    seen = bench.repository.find_commit(since) if since else None
    if seen is None:
        raise Refused(f"nothing says which version of `{path}` was meant: give base_sha256, or edits")
    answer = bench.run("rev-parse", "--verify", "--quiet", f"{seen}:{path}", accept=(0, 1, 128))
    if answer.text != entry.hash:
        raise Refused(f"`{path}` has changed since the analyst saw it ({seen[:12]})")


def _digests(old: bytes) -> set[str]:
    """Of the file as git stores it, and as a checkout on either system may have it."""
    plain = old.replace(b"\r\n", b"\n")
    return {hashlib.sha256(form).hexdigest() for form in (old, plain, plain.replace(b"\n", b"\r\n"))}


def _check_whole(path: str, old: str, new: str) -> None:
    """Fragments were once written over whole files."""
    before, after = old.count("\n"), new.count("\n") + 1
    if before >= _FRAGMENT[0] and after < before * _FRAGMENT[1]:
        raise Refused(
            f"`{path}` has {before} lines and would have {after}: this looks like a fragment of it. "
            "Give edits or a diff, or base_sha256 where it is meant so"
        )


def _encode_new(judge: _Judge, path: str, text: str) -> bytes:
    """A new file has the line ends of a neighbour of its kind."""
    folder, suffix = path.rpartition("/")[0], path.rpartition(".")[2]
    alike = (
        entry
        for other, entry in judge.tree.items()
        if entry.mode in FILE and other.rpartition("/")[0] == folder and other.endswith(f".{suffix}")
    )
    neighbour = next(alike, None)
    windows = neighbour is not None and b"\r\n" in judge.bench.read(neighbour.hash)
    return encode(text, "utf-8").replace(b"\n", b"\r\n" if windows else b"\n")


# --- edits -----------------------------------------------------------------------------------------------------------


def _compute_edits(judge: _Judge, edits: Sequence[Edit]) -> Overlay:
    """One after the other, each in what the ones before have left."""
    contents: dict[str, bytes] = {}
    for edit in edits:
        judge.review.check_size("the text of an edit", max(len(edit.search), len(edit.replace)))
        paths = [clean_path(path) for path in ((edit.path,) if edit.path else edit.candidates)]
        for path in paths:
            judge.check_paths([path])
        if edit.path and paths[0] not in judge.tree and not edit.search.strip():
            contents[paths[0]] = _encode_new(judge, paths[0], plain_text(edit.replace))
            continue
        path, content = _apply_edit(judge, edit, paths or _list_candidates(judge, edit), contents)
        contents[path] = content
    return {
        path: judge.bench.store(content, judge.tree[path].mode if path in judge.tree else FILE[0])
        for path, content in contents.items()
    }


def _apply_edit(judge: _Judge, edit: Edit, paths: Sequence[str], contents: dict[str, bytes]) -> tuple[str, bytes]:
    """The one file that has the one place, and its new content."""
    search, replace = plain_text(edit.search), plain_text(edit.replace)
    if not search.strip():
        raise Refused("an edit names no text to replace")
    present = [path for path in paths if path in contents or path in judge.tree]
    if edit.path and not present:
        raise Refused(f"`{paths[0]}` is not in the source")
    stored = judge.bench.read_all(judge.tree[path].hash for path in present if path not in contents)
    olds = {path: contents[path] if path in contents else stored[judge.tree[path].hash] for path in present}
    found = {path: locate(read_text(old), search, replace) for path, old in olds.items()}
    path, place = _choose(found)
    text = read_text(olds[path])
    return path, fit(olds[path], text[: place.start] + place.text + text[place.end :], keep_end=True)


def _choose(found: dict[str, Place | Places | Nowhere]) -> tuple[str, Place]:
    """Raises Refused unless exactly one place in one file was found."""
    single = [(path, each) for path, each in found.items() if isinstance(each, Place)]
    several = [f"`{path}:{line}`" for path, each in found.items() if isinstance(each, Places) for line in each.lines]
    if len(single) == 1 and not several:
        return single[0]
    if single or several:
        named = [*several, *(f"`{path}`" for path, _ in single)]
        raise Refused(f"the text to replace stands in more than one place: {', '.join(named[:8])}")
    raise Refused(f"the text to replace was not found in {_list_looked(found)}{_hint(found)}")


def _list_looked(found: Iterable[str]) -> str:
    names = [f"`{path}`" for path in found]
    more = f" and {len(names) - 4} more files" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more if names else "any file that may be changed"


def _hint(found: dict[str, Place | Places | Nowhere]) -> str:
    """The places that look most like it, best first."""
    near = [(path, each) for path, each in found.items() if isinstance(each, Nowhere) and each.nearest]
    best = sorted(near, key=lambda place: -place[1].agreeing)[:3]
    return f"; the nearest is {', '.join(f'`{path}:{each.nearest}`' for path, each in best)}" if best else ""


def _list_candidates(judge: _Judge, edit: Edit) -> list[str]:
    """Files that hold the longest line of the search, else any of its lines."""
    lines = {line.strip() for line in strip_arrows(plain_text(edit.search)).split("\n")}
    longest = sorted((line for line in lines if len(line) > 3), key=lambda line: (not line.isascii(), -len(line)))
    for wanted in (longest[:1], longest[1:6]):
        if found := [path for path in _grep(judge, wanted) if _may_touch(judge, path)]:
            return found[:_MOST_CANDIDATES]
    return []


def _grep(judge: _Judge, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    patterns = [part for line in lines for part in ("-e", line)]
    out = judge.bench.run("grep", "-l", "-z", "-I", "--fixed-strings", *patterns, judge.at, accept=(0, 1)).out
    return [name.partition(":")[2] for name in out.decode(errors="surrogateescape").split("\0") if name]


def _may_touch(judge: _Judge, path: str) -> bool:
    try:
        judge.check_paths([path])
    except Refused:
        return False
    return True


def clean_path(path: str) -> str:
    """An analyst on Windows writes `src\\\\game\\\\x.cpp`; what it is then is judged by the review."""
    return re.sub(r"^(\./)+", "", path.replace("\\", "/"))
