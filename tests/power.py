"""The disk as a power loss may leave it: what a program did to it is recorded, and cut at its last syncs.

    with Recorder(root) as recorder:
        subprocess.run([...], env={**os.environ, **recorder.environment})
    for step, loss in list_losses(recorder.steps):
        loss.write_to(root)

`recorder.c` is preloaded into the program, whatever it is written in (the keeper, git, SQLite's library), and stops it
before each change and after each sync until the disk was looked at. From these looks each state is made that a disk
may be in when the machine dies there: what was not synced of a file is whole, gone, torn or zeros; what was not synced
of a folder is there, is cut at any moment, as a journal does it, or only the synced folders have theirs.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import TracebackType

Entry = tuple[int, str]  # node of a folder, name in it
ROOT = 0  # node of the recorded folder itself


@dataclass(frozen=True)
class Node:
    """One file or folder, whatever its names."""

    mode: int
    content: bytes | None
    # None = a folder


@dataclass(frozen=True)
class Step:
    """One look at the disk."""

    entries: Mapping[Entry, int]
    # -> node
    nodes: Mapping[int, Node]
    synced: int | None = None
    # the node whose sync had just returned


@dataclass(frozen=True)
class Loss:
    """A state of the disk after a power loss."""

    name: str
    # how it came about, for whoever reads of a failure
    folders: tuple[tuple[str, int], ...]
    files: tuple[tuple[str, int, bytes], ...]

    def write_to(self, root: Path) -> None:
        """Makes the folder hold this and nothing else."""
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        for name, _ in self.folders:
            (root / name).mkdir()
        for name, mode, content in self.files:
            (root / name).write_bytes(content)
            (root / name).chmod(mode)

    @property
    def key(self) -> int:
        """Equal for equal states."""
        return hash((self.folders, self.files))


@cache
def compile_recorder() -> Path:
    """The library to be preloaded."""
    folder = Path(tempfile.mkdtemp(prefix="sh-power-"))
    library = folder / "recorder.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(Path(__file__).with_name("recorder.c")), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return library


class Recorder:
    """Looks at one folder whenever a program with its environment is about to change something, or has synced it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._ids: dict[int, int] = {}  # inode -> node, of the last look
        self._places: dict[int, set[Entry]] = {}  # inode -> where it was, at the last look
        self._next = ROOT + 1
        self._read: dict[int, tuple[tuple[int, int, int], Node]] = {}  # by inode: what tells a change, what was there
        self._place = Path(tempfile.mkdtemp(prefix="sh-look-"))
        self._line = socket.socket(socket.AF_UNIX)
        self._line.bind(str(self._place / "s"))
        self._line.listen(64)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.steps: list[Step] = [self._look(None)]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(compile_recorder()), "POWER_SOCKET": str(self._place / "s"),
            "POWER_ROOT": str(self._root), "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip

    def __enter__(self) -> "Recorder":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._line.close()
        shutil.rmtree(self._place)
        self.steps.append(self._look(None))

    def _serve(self) -> None:
        while True:
            try:
                asking, _ = self._line.accept()
            except OSError:
                return
            with asking:
                what, _, inode = asking.recv(64).decode().partition(" ")
                self.steps.append(self._look(int(inode) if what == "synced" else None))
                with suppress(BrokenPipeError):  # it was killed while it waited
                    asking.sendall(b".")

    def _look(self, synced: int | None) -> Step:
        entries: dict[Entry, int] = {}
        nodes: dict[int, Node] = {}
        known, self._ids = self._ids, {self._root.stat().st_ino: ROOT}
        places, self._places = self._places, {}
        waiting = [(ROOT, self._root)]
        while waiting:
            parent, folder = waiting.pop()
            for each in self._list(folder):
                self._places.setdefault(each.inode(), set()).add((parent, each.name))
                if (parent, each.name) not in places.get(each.inode(), ()) and not self._was_moved(each):
                    known.pop(each.inode(), None)
                node = self._identify(each.inode(), known)
                entries[parent, each.name] = node
                found = self._read_node(each)
                if found is None:
                    continue
                nodes[node] = found
                if found.content is None:
                    waiting.append((node, folder / each.name))
        return Step(entries, nodes, None if synced is None else self._ids.get(synced))

    def _list(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            return sorted(os.scandir(folder), key=lambda each: each.name)
        except FileNotFoundError:
            return []

    def _was_moved(self, each: os.DirEntry[str]) -> bool:
        """What is moved is as it was; a new file may have the number of one that is gone."""
        known = self._read.get(each.inode())
        try:
            about = each.stat(follow_symlinks=False)
        except OSError:
            return True  # on, while we looked: others write meanwhile, and its syncs go with it
        return known is None or (known[0][0], known[0][2]) == (about.st_mtime_ns, about.st_size)

    def _identify(self, inode: int, known: Mapping[int, int]) -> int:
        """A number that was free a moment ago is another file's now."""
        if inode not in self._ids:
            if inode in known:
                self._ids[inode] = known[inode]
            else:
                self._ids[inode] = self._next
                self._next += 1
                self._read.pop(inode, None)
        return self._ids[inode]

    def _read_node(self, each: os.DirEntry[str]) -> Node | None:
        try:
            about = each.stat(follow_symlinks=False)
            if each.is_dir(follow_symlinks=False):
                return Node(about.st_mode & 0o777, None)
            stamp = (about.st_mtime_ns, about.st_ctime_ns, about.st_size)
            known = self._read.get(about.st_ino)
            if known is None or known[0] != stamp:
                known = (stamp, Node(about.st_mode & 0o777, Path(each.path).read_bytes()))
                self._read[about.st_ino] = known
            return known[1]
        except OSError:
            return None


# --- what may be left ------------------------------------------------------------------------------------------------


Change = tuple[int, dict[Entry, int | None]]  # a step, and the entries that became another in it


def _list_changes(steps: Sequence[Step]) -> list[Change]:
    changes = []
    for number, (before, now) in enumerate(pairwise(step.entries for step in steps), 1):
        changed = {each: now.get(each) for each in before.keys() | now.keys() if before.get(each) != now.get(each)}
        if changed:
            changes.append((number, changed))
    return changes


class _Fate:
    """What is known to be kept when the machine dies at one step."""

    def __init__(self, steps: Sequence[Step], step: int, changes: Sequence[Change]) -> None:
        self.steps, self.step = steps, step
        self.changes = [each for each in changes if each[0] <= step]
        self.syncs = {node: number for number in range(step + 1) if (node := steps[number].synced) is not None}

    def is_kept(self, change: Change) -> bool:
        """One of its folders was synced since: a rename is one deed, in both its folders or in none."""
        number, entries = change
        return any(self.syncs.get(folder, 0) >= number for folder, _ in entries)

    def list_trees(self) -> Iterator[tuple[str, dict[Entry, int]]]:
        """Names as they may be left."""
        kept = [number for number, each in enumerate(self.changes, 1) if self.is_kept(each)]
        least = max(kept, default=0)
        for count in range(len(self.changes), least - 1, -1):
            yield f"{len(self.changes) - count} changes of folders lost", self._apply(self.changes[:count])
        yield "only synced folders kept", self._apply([each for each in self.changes if self.is_kept(each)])

    def _apply(self, changes: Sequence[Change]) -> dict[Entry, int]:
        tree = dict(self.steps[0].entries)
        for _, changed in changes:
            for entry, node in changed.items():
                if node is None:
                    tree.pop(entry, None)
                else:
                    tree[entry] = node
        return tree

    def find_node(self, node: int, step: int) -> Node | None:
        """As it was then, or when it was last there."""
        return next((self.steps[n].nodes[node] for n in range(step, -1, -1) if node in self.steps[n].nodes), None)

    def read_synced(self, node: int) -> bytes:
        """What was synced of it; what lay there at the beginning was."""
        if node in self.syncs:
            found = self.find_node(node, self.syncs[node] - 1) or self.find_node(node, self.syncs[node])
        else:
            found = self.steps[0].nodes.get(node)
        return (found.content or b"") if found else b""


def _keep_all(now: bytes, synced: bytes) -> bytes:
    return now


def _keep_synced(now: bytes, synced: bytes) -> bytes:
    return synced


def _tear(now: bytes, synced: bytes) -> bytes:
    """Half of what was added; where it was written over, half of it."""
    start = len(synced) if now.startswith(synced) else 0
    return now[: start + (len(now) - start + 1) // 2]


def _blank(now: bytes, synced: bytes) -> bytes:
    """The length is there and what was added is not: ext4, XFS and NTFS leave zeros."""
    return now if now == synced else synced + bytes(max(0, len(now) - len(synced)))


_DATA = {"all data": _keep_all, "synced data": _keep_synced, "torn data": _tear, "zeros for data": _blank}


def list_losses(steps: Sequence[Step], at: Iterable[int] | None = None) -> Iterator[tuple[int, Loss]]:
    """Every state that the disk may be in when the machine dies, each once, with the first step that leads to it.
    `at` = the steps it may die at, None = any."""
    seen: set[int] = set()
    changes = _list_changes(steps)
    for step in range(len(steps)) if at is None else at:
        for loss in _list_losses_at(_Fate(steps, step, changes)):
            if loss.key not in seen:
                seen.add(loss.key)
                yield step, loss


def _list_losses_at(fate: _Fate) -> Iterator[Loss]:
    for lost, tree in fate.list_trees():
        for data, keep in _DATA.items():
            yield _make_loss(f"step {fate.step}: {lost}, {data}", fate, tree, keep)


def _make_loss(name: str, fate: _Fate, tree: Mapping[Entry, int], keep: Callable[[bytes, bytes], bytes]) -> Loss:
    children: dict[int, list[tuple[str, int]]] = {}
    for (parent, entry), node in sorted(tree.items()):
        children.setdefault(parent, []).append((entry, node))
    folders: list[tuple[str, int]] = []
    files: list[tuple[str, int, bytes]] = []
    waiting = [("", ROOT)]
    while waiting:
        prefix, parent = waiting.pop()
        for entry, node in children.get(parent, ()):
            found = fate.find_node(node, fate.step)
            if found is None:
                continue
            if found.content is None:
                folders.append((prefix + entry, found.mode))
                waiting.append((f"{prefix}{entry}/", node))
            else:
                files.append((prefix + entry, found.mode, keep(found.content, fate.read_synced(node))))
    return Loss(name, tuple(folders), tuple(files))
