"""Where a patch is worked out: an object store and an index of their own beside the clone's, so that nothing of the
clone changes and no path that a patch names is ever opened on a disk.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pipeline.adapters.git_clone import remove_tree
from pipeline.adapters.git_process import GitAnswer, GitFailed
from pipeline.adapters.git_repository import Repository
from pipeline.errors import Refused

_RAW = re.compile(rb":(\d+) (\d+) ([0-9a-f]+) ([0-9a-f]+) [A-Z]\d*")
FILE = ("100644", "100755")


@dataclass(frozen=True)
class Entry:
    """A file of a tree."""

    mode: str  # git's: "100644", "100755", "120000" a symlink, "160000" a submodule
    hash: str


Tree = dict[str, Entry]  # by path
Overlay = dict[str, Entry | None]  # what a patch makes of some paths; None = deleted


class PatchBench:
    """Use as a context: what was stored is gone at its end unless `keep` was called."""

    def __init__(self, repository: Repository):
        self.repository = repository
        self.folder = repository.git_dir / "scratch" / secrets.token_hex(8)
        self._objects = self.folder / "objects"

    def __enter__(self) -> PatchBench:
        (self._objects / "info").mkdir(parents=True)
        (self._objects / "pack").mkdir()
        alternates = (self.repository.git_dir / "objects").as_posix()
        (self._objects / "info" / "alternates").write_text(f"{alternates}\n", encoding="utf-8", newline="\n")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        remove_tree(self.folder)

    def run(
        self, *arguments: str, stdin: bytes | None = None, accept: Sequence[int] = (0,), index: str = "index"
    ) -> GitAnswer:
        env = {"GIT_OBJECT_DIRECTORY": str(self._objects), "GIT_INDEX_FILE": str(self.folder / index)}
        return self.repository.run(*arguments, stdin=stdin, accept=accept, env=env)

    def read_tree(self, commit: str) -> Tree:
        """Every file of a commit."""
        tree: Tree = {}
        for record in self.run("ls-tree", "-r", "-z", "--full-tree", commit).out.split(b"\0"):
            if record:
                head, _, path = record.partition(b"\t")
                mode, _, hash_ = head.decode().split(" ")
                tree[path.decode(errors="surrogateescape")] = Entry(mode, hash_)
        return tree

    def read(self, hash_: str) -> bytes:
        return self.run("cat-file", "blob", hash_).out

    def read_all(self, hashes: Iterable[str]) -> dict[str, bytes]:
        """Contents by hash, in one call."""
        wanted = list(dict.fromkeys(hashes))
        out = self.run("cat-file", "--batch", stdin="".join(f"{each}\n" for each in wanted).encode()).out
        found: dict[str, bytes] = {}
        at = 0
        for each in wanted:
            end = out.index(b"\n", at)
            size = int(out[at:end].split(b" ")[2])
            found[each] = out[end + 1 : end + 1 + size]
            at = end + 1 + size + 1
        return found

    def store(self, content: bytes, mode: str = FILE[0]) -> Entry:
        return Entry(mode, self.run("hash-object", "-w", "--stdin", "--no-filters", stdin=content).text)

    def list_index(self, index: str) -> Tree:
        out = self.run("ls-files", "--stage", "-z", index=index).out
        tree: Tree = {}
        for record in (record for record in out.split(b"\0") if record):
            head, _, path = record.partition(b"\t")
            mode, hash_, _ = head.decode().split(" ")
            tree[path.decode(errors="surrogateescape")] = Entry(mode, hash_)
        return tree

    def fill_index(self, entries: Mapping[str, Entry | None], index: str) -> None:
        nothing = "0" * (len(self._hash_nothing()) if None in entries.values() else 0)
        lines = [
            f"{entry.mode} {entry.hash}\t{path}\0" if entry else f"0 {nothing}\t{path}\0"
            for path, entry in entries.items()
        ]
        self.run(
            "update-index", "-z", "--index-info", stdin="".join(lines).encode(errors="surrogateescape"), index=index
        )

    def _hash_nothing(self) -> str:
        """As long as every hash of this repository: SHA-1 or SHA-256."""
        return self.run("hash-object", "--stdin", stdin=b"").text

    def write_tree(self, base: str, overlay: Overlay) -> str:
        """The tree of a commit with the overlay over it. Raises Refused where it fits no tree."""
        try:
            self.run("read-tree", base)
            self.fill_index(overlay, "index")
            return self.run("write-tree").text
        except GitFailed as fault:
            raise Refused(f"it does not fit into the source: {fault}") from fault

    def list_differences(self, old: str, new: str) -> dict[str, tuple[Entry | None, Entry | None]]:
        """Path -> (before, after) of what differs between two commits or trees; renames are a delete and a new file."""
        fields = self.run("diff-tree", "-r", "-z", "--no-renames", "--full-index", "--no-commit-id", old, new).out
        parts = fields.split(b"\0")
        found: dict[str, tuple[Entry | None, Entry | None]] = {}
        for head, path in zip(parts[0::2], parts[1::2], strict=False):
            if match := _RAW.fullmatch(head):
                modes_and_hashes = [group.decode() for group in match.groups()]
                before, after = (_entry(*modes_and_hashes[at::2]) for at in (0, 1))
                found[path.decode(errors="surrogateescape")] = before, after
        return found

    def count_lines(self, old: str, new: str) -> dict[str, tuple[int, int]]:
        """Path -> (added, removed); binary content counts as none."""
        out = self.run("diff-tree", "-r", "-z", "--no-renames", "--numstat", "--no-commit-id", old, new).out
        counts: dict[str, tuple[int, int]] = {}
        for record in out.decode(errors="surrogateescape").split("\0"):
            if record:
                added, removed, path = record.split("\t", 2)
                counts[path] = (int(added), int(removed)) if added != "-" else (0, 0)
        return counts

    def diff(self, old: str, new: str) -> str:
        options = ("-r", "-p", "--no-renames", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
        return self.run("diff-tree", *options, old, new).out.decode(errors="replace")

    def keep(self) -> None:
        """Moves what was stored into the clone. It belongs to no branch yet."""
        target = self.repository.git_dir / "objects"
        for path in self._objects.glob("[0-9a-f][0-9a-f]/*"):
            _move(path, target / path.relative_to(self._objects))


def _move(source: Path, target: Path) -> None:
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        source.replace(target)


def _entry(mode: str, hash_: str) -> Entry | None:
    return None if mode == "000000" else Entry(mode, hash_)
