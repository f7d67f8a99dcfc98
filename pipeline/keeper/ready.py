"""When a start counts as ready: its pattern in a line of a log or the output of *this* life, and the port accepts."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.keeper.lives import list_logs
from pipeline.keeper.protocol import ReadyRule

_CHUNK = 1 << 20  # bytes read from one file at a time: a flood of output must not hold up the loop
_LONGEST_LINE = 2048  # bytes of a line that are matched
_HEAD = 64  # bytes that tell a log that was truncated and grew again
_ALIVE = 1.0  # seconds alive that count as ready where neither pattern nor port is set
_LATE_LINE = 2.0  # seconds that the port has to answer where the ready line may be lost: it may only be late
_CONNECT_TIMEOUT = 0.2  # seconds; on loopback an answer comes at once or not at all
QUIET = 60.0  # seconds without progress in the log before a start is late by what was learned
_LEARNED_FACTOR = 5.0
_LEARNED_LEAST = 60.0  # seconds


class Tail:
    """Reads what is added to a file; notices that it was truncated or replaced."""

    def __init__(self, path: Path, *, from_end: bool = False) -> None:
        self.path = path
        self._offset = 0
        self._inode = 0
        self._head = b""
        self._partial = b""
        if from_end:
            self._skip()

    def _skip(self) -> None:
        try:
            with self.path.open("rb") as file:
                self._head = file.read(_HEAD)
                self._offset, self._inode = file.seek(0, os.SEEK_END), os.fstat(file.fileno()).st_ino
        except OSError:
            return

    def read_lines(self) -> list[bytes]:
        """The complete lines that are new, at most a chunk of them."""
        try:
            with self.path.open("rb") as file:
                self._begin_again_if_changed(file.read(_HEAD), os.fstat(file.fileno()))
                file.seek(self._offset)
                text = file.read(_CHUNK)
        except OSError:
            return []
        self._offset += len(text)
        *lines, self._partial = (self._partial + text).split(b"\n")
        self._partial = self._partial[:_CHUNK]
        return lines

    def peek_partial(self) -> bytes:
        """The last line, whose end is not written yet."""
        return self._partial

    def _begin_again_if_changed(self, head: bytes, now: os.stat_result) -> None:
        if now.st_ino != self._inode or now.st_size < self._offset or not head.startswith(self._head):
            self._offset, self._partial = 0, b""
        self._inode, self._head = now.st_ino, head


@dataclass(frozen=True)
class Revision:
    """What the server says it was built from."""

    hash: str  # with "+" when the tree was dirty
    line: str


class ReadyWatch:
    """Watches one life's start. `look` is called again until it says True."""

    def __init__(self, rule: ReadyRule, server: Path, output: Path | None, started: float) -> None:
        self._rule = rule
        self._server = server
        self._started = started
        self._pattern = _compile(rule.pattern)
        self._revision = _compile(rule.revision)
        self._tails = {output: Tail(output)} if output else {}
        self._seen = self._pattern is None
        self._lost = False
        self._answers_since: float | None = None
        self.revision: Revision | None = None

    def begin_at(self, ends: Iterable[Tail]) -> None:
        """What the logs hold before these places is an earlier life's."""
        self._tails.update({each.path: each for each in ends})

    def note_loss(self) -> None:
        """The disk takes nothing during this start: its lines may be lost, and the port alone has to tell."""
        self._lost = True

    def look(self, now: float, pid: int) -> bool:
        """Whether the rule is met by now (seconds since the epoch)."""
        if not self._seen:
            self._read()
        if not self._seen:
            return self._lost and self._answers_long(now, pid)
        if self._rule.port:
            return accepts(self._rule.port) or listens(pid, self._rule.port)
        return self._pattern is not None or now - self._started >= _ALIVE

    def _answers_long(self, now: float, pid: int) -> bool:
        """By the table of processes first: a server notes each call."""
        port = self._rule.port
        if not port or not (listens(pid, port) or accepts(port)):
            self._answers_since = None
            return False
        if self._answers_since is None:
            self._answers_since = now
        return now - self._answers_since >= _LATE_LINE

    def explain(self, pid: int) -> str:
        """For people: what the start still waits for."""
        port = self._rule.port
        if self._seen:
            return f"it said that it is ready, but nothing accepts connections on SERVER_PORT {port}"
        if self._lost:
            closed = f", and nothing accepts connections on SERVER_PORT {port}" if port else ""
            return (
                "the disk took nothing while it started, so its line that matches SERVER_READY_PATTERN may be lost"
                f"{closed}; `/restart-server` starts it anew once there is room"
            )
        open_ = bool(port) and (accepts(port) or listens(pid, port))
        known = f"port {port} accepts connections, but " if open_ else ""
        return (
            f"{known}no line of SERVER_LOGS or of its output matches SERVER_READY_PATTERN; a server that does not "
            "flush its output has to write a log, and SERVER_LOGS to name it"
        )

    def _read(self) -> None:
        for path in list_logs(self._rule.logs, self._server):
            if path not in self._tails and _was_written_since(path, self._started):
                self._tails[path] = Tail(path)
        for tail in self._tails.values():
            for line in tail.read_lines():
                self._match(line[:_LONGEST_LINE].rstrip(b"\r"))
            # A line whose end is not there yet may be the ready line, but its revision may be half a one.
            partial = tail.peek_partial()[:_LONGEST_LINE]
            if self._pattern and self._pattern.search(partial):
                self._match(partial)

    def _match(self, line: bytes) -> None:
        if self.revision is None and self._revision and (found := self._revision.search(line)):
            self.revision = Revision(_name_revision(found), line.decode("utf-8", "replace").strip())
        if self._pattern and self._pattern.search(line):
            self._seen = True


def _was_written_since(path: Path, started: float) -> bool:
    try:
        return path.stat().st_mtime >= started - 1.0  # a second: filesystems round
    except OSError:
        return False


def _compile(pattern: str) -> re.Pattern[bytes] | None:
    """None for an empty pattern; one that is no regular expression is taken as plain text."""
    if not pattern:
        return None
    try:
        return re.compile(pattern.encode("utf-8"))
    except re.error:
        return re.compile(re.escape(pattern.encode("utf-8")))


def _name_revision(found: re.Match[bytes]) -> str:
    groups = found.groupdict()
    name = groups.get("hash") or (found.group(1) if found.re.groups else found.group(0)) or b""
    return (name + (groups.get("dirty") or b"")).decode("utf-8", "replace")


def accepts(port: int) -> bool:
    """Whether something on this machine accepts connections there."""
    for host in ("127.0.0.1", "::1"):
        try:
            with socket.create_connection((host, port), timeout=_CONNECT_TIMEOUT):
                return True
        except OSError:
            continue
    return False


def listens(pid: int, port: int) -> bool:
    """Whether the process itself listens there: it may be bound to an address that loopback does not reach."""
    try:
        found = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port for each in found)


def measure_progress(rule: ReadyRule, server: Path, output: Path | None) -> tuple[tuple[int, int], ...]:
    """Changes when a log or the output grows."""
    seen = []
    for path in (*list_logs(rule.logs, server), *([output] if output else [])):
        try:
            now = path.stat()
        except OSError:
            continue
        seen.append((now.st_ino, now.st_size))
    return tuple(seen)


def is_late(rule: ReadyRule, learned: float | None, elapsed: float, quiet: float) -> bool:
    """Whether a start has taken too long: by the hard cap, or by what was learned while its log stands still."""
    if elapsed >= rule.timeout:
        return True
    if learned is None:
        return False
    return elapsed >= max(_LEARNED_LEAST, _LEARNED_FACTOR * learned) and quiet >= QUIET
