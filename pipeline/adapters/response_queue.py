"""The analyst's folders: `requests`, `responses`, `completed`, `rejected` (DESIGN, "file protocol").

Anybody may put a file into `responses` at any moment and by any means, so nothing there is trusted: links, folders and
temporary names are left alone, what is half written or has another name than a response's is waited for and then
refused, and of what is too large only the beginning is read. What cannot be moved keeps nothing else waiting.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import itertools
import json
import logging
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.adapters import queue_pruning
from pipeline.adapters.queue_pruning import is_of
from pipeline.adapters.responses import (
    MOST_BYTES,
    Unfinished,
    find_request_id,
    interpret,
    is_misnamed,
    is_request_id,
    read_object,
    too_large,
)
from pipeline.errors import ResponseRejected, TransientError
from pipeline.keeper.protocol import sync_folder
from pipeline.ports import Answer, Clock

QUIET = 30.0  # seconds without a change after which a file that cannot be parsed is given up
_BATCH = 50  # answers at once: the rest is given by the next call
_BATCH_BYTES = 16 << 20  # of content at once
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Look:
    """How a file looked, and since when."""

    size: int  # bytes
    mtime_ns: int
    inode: int
    since: float = 0.0  # seconds of the clock's monotonic

    def is_like(self, other: _Look) -> bool:
        return (self.size, self.mtime_ns, self.inode) == (other.size, other.mtime_ns, other.inode)


class ResponseQueue:
    """One folder of requests and responses. Not shared between threads but for `ask` and `deliver`."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.requests = folder / "requests"
        self.responses = folder / "responses"
        self.completed = folder / "completed"
        self.rejected = folder / "rejected"
        self._clock = clock
        self._waiting: dict[str, _Look] = {}  # files that could not be read as a response yet
        self._stuck: dict[str, _Look] = {}  # files that were judged and could not be moved
        self._fault = ""  # why not, in words
        self._unread: str | None = None  # why the folder of responses cannot be read, in words

    def create(self) -> None:
        """Makes the folders. Raises TransientError."""
        try:
            for each in (self.requests, self.responses, self.completed, self.rejected):
                each.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise TransientError(f"the analyst's queue cannot be used: {fault}") from fault

    def ask(self, request_id: str, request: dict[str, object]) -> Path:
        """Writes the request unless it lies there already. Raises TransientError."""
        path = self.request_path(request_id)
        self.create()
        if not path.is_file():
            write_renamed(path, request)
        return path

    def request_path(self, request_id: str) -> Path:
        if not is_request_id(request_id):
            raise ValueError(f"not an id: {request_id!r}")
        return self.requests / f"request_{request_id}.json"

    def deliver(self, request_id: str, response: bytes) -> None:
        """Puts a response of our own making into the queue. Raises TransientError."""
        self.create()
        write_renamed(self.responses / f"response_{request_id}.json", response)

    def answers(self) -> list[Answer]:
        """The oldest complete responses, at most some 50: whoever files them away asks again for the rest."""
        looked: set[str] = set()
        while batch := heapq.nsmallest(_BATCH, self._list_due(looked)):
            looked.update(name for _, name, _ in batch)
            if found := self._read_batch(batch):
                return found
        return []

    def file_away(self, answer: Answer, used: bool) -> None:
        """Moves the file to `completed` or `rejected`, unless another one has taken its place meanwhile.

        One that cannot be moved is given again after a while, so that those behind it have their turn.
        """
        folder = self.completed if used else self.rejected
        try:
            if hashlib.sha256(_read_head(answer.path)[0]).hexdigest() == answer.digest:
                folder.mkdir(parents=True, exist_ok=True)
                move_to_free_name(answer.path, folder / answer.path.name)
            self._stuck.pop(answer.path.name, None)
        except FileNotFoundError:
            return
        except OSError as fault:
            self._note_stuck(answer.path, folder, fault)

    def prune(self, over: Collection[str], unfinished: Collection[str]) -> None:
        """Removes what is old, or too much, of runs that are over; of what nobody asked for only what was rejected."""
        now = self._clock.now().timestamp()
        for folder in (self.requests, self.completed):
            queue_pruning.prune(folder, lambda each: is_of(each, over), now)
        queue_pruning.prune(self.rejected, lambda each: not is_of(each, unfinished), now)

    @property
    def stuck(self) -> str | None:
        """Why no response can be read, or what was judged and could not be moved, with the cure; None = nothing."""
        if self._unread is not None:
            return self._unread
        number = len(self._stuck)
        return f"{number} {'file' if number == 1 else 'files'} of responses/ {self._fault}" if number else None

    def _note_stuck(self, path: Path, folder: Path, fault: OSError) -> None:
        if not self._stuck:
            _log.warning("the response %s cannot be moved to %s: %s", path.name, folder, fault)
        self._fault = (
            f"cannot be moved to {folder.name}/: {fault.strerror or type(fault).__name__}. "
            f"Cure: let the bot write to {folder.name}/ in the analyst's queue"
        )
        with contextlib.suppress(OSError):
            self._stuck[path.name] = replace(_describe(path.lstat()), since=self._clock.monotonic())

    def _list_due(self, looked: set[str]) -> Iterator[tuple[int, str, _Look]]:
        """(mtime, name, look) of every response that is worth reading now."""
        names: set[str] = set()
        for name, look in self._list_files():
            names.add(name)
            if name not in looked and all(self._is_worth(look, known.get(name)) for known in self._known()):
                yield look.mtime_ns, name, look
        for known in self._known():
            for gone in known.keys() - names:
                del known[gone]

    def _known(self) -> tuple[dict[str, _Look], ...]:
        return self._waiting, self._stuck

    def _is_worth(self, look: _Look, before: _Look | None) -> bool:
        """Whether a file that was put off is another one by now, or has been left alone for long enough."""
        return before is None or not look.is_like(before) or self._is_quiet(before)

    def _list_files(self) -> Iterator[tuple[str, _Look]]:
        try:
            with os.scandir(self.responses) as entries:
                for entry in entries:
                    wanted = find_request_id(entry.name) is not None or is_misnamed(entry.name)
                    if wanted and (look := _look_at(entry)):
                        yield entry.name, look
            self._unread = None
        except OSError as fault:
            self._note_unread(fault)

    def _note_unread(self, fault: OSError) -> None:
        """A folder that is not there is made with the next request, but where a link leads nowhere."""
        if isinstance(fault, FileNotFoundError) and not self.responses.is_symlink():
            self._unread = None
            return
        if self._unread is None:
            _log.warning("the analyst's responses cannot be listed: %s", fault)
        self._unread = (
            f"responses/ cannot be read, and no answer is taken: {fault.strerror or type(fault).__name__}. "
            "Cure: put a folder there, in the analyst's queue, that the bot may read and write"
        )

    def _is_quiet(self, look: _Look | None) -> bool:
        return look is not None and self._clock.monotonic() - look.since >= QUIET

    def _read_batch(self, batch: list[tuple[int, str, _Look]]) -> list[Answer]:
        found: list[Answer] = []
        size = 0
        for _, name, look in batch:
            if size > _BATCH_BYTES:
                break
            answer = self._read(name, look)
            if answer is not None:
                found.append(answer)
                size += look.size
        return found

    def _read(self, name: str, look: _Look) -> Answer | None:
        """What a file says; None while somebody may still be writing it."""
        before = self._waiting.get(name)
        quiet = before is not None and look.is_like(before) and self._is_quiet(before)
        raw = b""
        try:
            raw, size = _read_head(self.responses / name)
            return self._read_content(name, raw, size)
        except Unfinished as fault:
            reason = str(fault)
        except ResponseRejected as fault:
            return self._refused(name, raw, str(fault))
        except FileNotFoundError:
            return None
        except OSError as fault:  # on Windows: its writer has it open
            reason = f"it cannot be read: {fault.strerror or fault}"
        if quiet:
            return self._refused(name, raw, f"{reason}, and nobody has written to it for {QUIET:.0f} s")
        self._wait_for(name, look, before)
        return None

    def _read_content(self, name: str, raw: bytes, size: int) -> Answer:
        if is_misnamed(name):
            raise Unfinished("its name is not `response_<id>.json`, the id that of its request")
        if size > MOST_BYTES:
            raise Unfinished(too_large(size))
        response = interpret(read_object(raw), name)
        self._waiting.pop(name, None)
        digest = hashlib.sha256(raw).hexdigest()
        return Answer(self.responses / name, digest, response, request_id=response.request_id)

    def _refused(self, name: str, raw: bytes, reason: str) -> Answer:
        self._waiting.pop(name, None)
        digest = hashlib.sha256(raw).hexdigest()
        return Answer(self.responses / name, digest, None, reason, find_request_id(name))

    def _wait_for(self, name: str, look: _Look, before: _Look | None) -> None:
        if before is None or not look.is_like(before):
            self._waiting[name] = _Look(look.size, look.mtime_ns, look.inode, self._clock.monotonic())


def _look_at(entry: os.DirEntry[str]) -> _Look | None:
    """None for what is no file: a link, a folder, a pipe."""
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode) or entry.is_symlink():
        return None
    return _describe(found)


def _describe(found: os.stat_result) -> _Look:
    return _Look(found.st_size, found.st_mtime_ns, found.st_ino)


def _read_head(path: Path) -> tuple[bytes, int]:
    """The content as far as a response may be long, and the whole size. Never waits, never follows a link."""
    handle = os.open(path, _READ)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundError(path)
        return file.read(MOST_BYTES), found.st_size


def write_renamed(path: Path, content: dict[str, object] | bytes) -> None:
    """Writes under a temporary name and renames. Readable as the user's umask says. Raises TransientError."""
    if not isinstance(content, bytes):
        content = json.dumps(content, ensure_ascii=False, indent=2, default=str).encode("utf-8", "replace")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as fault:
        raise TransientError(f"the analyst's queue cannot be written: {fault}") from fault


def move_to_free_name(source: Path, target: Path) -> Path:
    """Moves a file to `x.json`, `x.2.json`, …: the first name that nobody has (`x-2` is the run's next request). Where
    it went."""
    for number in itertools.count(1):
        free = target if number == 1 else target.with_name(f"{target.stem}.{number}{target.suffix}")
        if not os.path.lexists(free):
            return source.rename(free)
    raise AssertionError("numbers do not end")
