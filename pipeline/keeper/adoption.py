"""What a new keeper finds: a living server to adopt, one that ended while nobody looked, one that nobody noted."""

from __future__ import annotations

import calendar
import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from pipeline.keeper import foreign
from pipeline.keeper.book import Book
from pipeline.keeper.foreign import Found, Supervisor
from pipeline.keeper.journal import list_recent
from pipeline.keeper.launch import GENERATION, LIFE
from pipeline.keeper.memory import Life, Who
from pipeline.keeper.process import Ended, end_all, is_alive
from pipeline.keeper.protocol import (
    SERVER_MARK,
    Event,
    EventKind,
    Exit,
    ExitVerdict,
    ProtocolError,
    from_json,
    from_plain,
)

# A killed keeper's child needs this long at most to become the server and carry its mark.
_FORK_WINDOW = 3.0  # seconds
_STEP = 0.02  # seconds
_HEIR_LOOKS = 10  # times
_SAME_TIME = 0.002  # seconds; times that went through JSON or a file name


@dataclass(frozen=True)
class Adopt:
    """A living server to look after."""

    life: Life


@dataclass(frozen=True)
class KeepOff:
    """A living server that somebody else looks after."""

    supervisor: Supervisor
    pid: int


@dataclass(frozen=True)
class Nobody:
    """No server of this folder lives."""


Finding = Adopt | KeepOff | Nobody


def find_marked(book: Book) -> Life | None:
    """A living server that a keeper started. What it left behind in other processes, being ours, is ended."""
    found = foreign.list_marked(book.folder_id)
    leaders = sorted((each for each in found if each.leads), key=lambda each: each.who.create_time)
    lives = [life for each in leaders if (life := read_life(each, book.boot)) and not is_leftover(book, life)]
    if lives:
        return lives[0]
    _end(found)
    return None


def is_leftover(book: Book, life: Life) -> bool:
    """It carries the mark of a life whose process was another one: a helper that left the session of its server.

    Where that one went away in order before it was ready, what it left is the server: a script started it elsewhere.
    """
    last = book.memory.last_exit
    if last and _is_same_start(last.started, life) and has_gone_away(last):
        return False
    events = list_recent(book.folders.events)
    if any(each.kind == EventKind.ADOPTED and each.data.get("pid") == life.pid for each in events):
        return False
    lives = [each for each in (book.life, last) if each]
    known = [each.pid for each in lives if _is_same_start(each.started, life)]
    told = [each for each in events if each.kind == EventKind.SPAWNED and _is_same_start(_get_started(each), life)]
    return any(pid not in (0, life.pid) for pid in (*known, *(each.data.get("pid") for each in told)))


def find_heir(book: Book, life: Life, ended: Ended) -> Life | None:
    """The server that a script has put into the background, where the script ended in order before it was ready."""
    if life.ready_at is not None or life.stopping or not life.marked or ended.status not in (0, None):
        return None
    for _ in range(_HEIR_LOOKS if ended.status == 0 else 1):  # else it may be a crash, whose restart waits for this
        found = [each for each in foreign.list_marked(book.folder_id) if each.environment.get(SERVER_MARK) == life.id]
        if living := [each.who for each in found if each.who.pid != life.pid and is_alive(each.who)]:
            who = min(living, key=lambda each: each.create_time)
            return replace(life, pid=who.pid, create_time=who.create_time, adopted=True)
        time.sleep(_STEP)  # whoever becomes another program in this moment shows no mark
    return None


def has_gone_away(end: Exit) -> bool:
    """Whether it ended in order before it was ready."""
    return end.verdict is ExitVerdict.SHUTDOWN and end.ready_after is None


def _is_same_start(started: float, life: Life) -> bool:
    return abs(started - life.started) < _SAME_TIME


def end_leftovers(folder_id: str, ended: Collection[str]) -> None:
    """Ends what these lives have left, wherever it went: a listener of theirs would keep the next one's port taken."""
    _end([each for each in foreign.list_marked(folder_id) if each.environment.get(SERVER_MARK) in ended])


def _end(found: Iterable[Found]) -> None:
    end_all([psutil.Process(each.who.pid) for each in found if is_alive(each.who)])


def wait_for_marked(book: Book, is_free: Callable[[], bool]) -> Life | None:
    """As `find_marked`, for a lock that somebody holds: the process may not have become the server yet."""
    deadline = time.monotonic() + _FORK_WINDOW
    while time.monotonic() < deadline:
        if life := find_marked(book):
            return life
        if is_free():
            break
        time.sleep(_STEP)
    return None


def read_life(found: Found, boot: str) -> Life | None:
    """The life that stands in a process's environment."""
    mark = found.environment.get(SERVER_MARK)
    if not mark:
        return None
    who = found.who
    try:
        life = from_json(Life, found.environment.get(LIFE, ""))
    except ProtocolError:
        generation = found.environment.get(GENERATION, "")
        life = Life(mark, who.create_time, boot, int(generation) if generation.isdigit() else 0)
    return replace(life, pid=who.pid, create_time=who.create_time, adopted=True)


def look_around(book: Book, executable: Path, argv: Iterable[str]) -> Finding:
    """Before a start: does a server of this folder live already?"""
    own_cgroup = foreign.read_cgroup("self")
    for each in foreign.find_servers(book.folders.server, executable, tuple(argv)):
        if supervisor := foreign.find_supervisor(each, own_cgroup):
            return KeepOff(supervisor, each.who.pid)
        if life := read_life(each, book.boot):
            if each.leads and not is_leftover(book, life):
                return Adopt(life)
            continue  # something that a server of ours has left
        if each.user != psutil.Process().username():
            return KeepOff(Supervisor(f"user {each.user}", each.who), each.who.pid)
        return Adopt(_make_stranger(book, each))
    return Nobody()


def _make_stranger(book: Book, found: Found) -> Life:
    """A server that somebody started by hand: the build is what lies there, if it was not exchanged since."""
    placed = book.memory.placed
    return Life(
        id=f"found-{found.who.pid}",
        started=found.who.create_time,
        boot=book.boot,
        generation=book.wish.generation if book.wish else 0,
        build=placed.manifest.build if placed else None,
        own=placed.own if placed else None,
        restart=book.wish.restart if book.wish else 0,
        pid=found.who.pid,
        create_time=found.who.create_time,
        marked=False,
        adopted=True,
    )


def find_told_exit(events: Iterable[Event], life: Life) -> Exit | None:
    """The EXITED event of a life, if the keeper before us came so far."""
    for event in events:
        if event.kind == EventKind.EXITED and event.data.get("pid") == life.pid:
            told = _read_exit(event)
            if told and _is_same_start(told.started, life):
                return told
    return None


def _read_exit(event: Event) -> Exit | None:
    try:
        return from_plain(Exit, dict(event.data))
    except (TypeError, ValueError):
        return None


def find_lost_life(book: Book) -> Life | None:
    """The newest life that was begun and neither lives, is remembered, nor was told to have ended.

    Its keeper was killed between the spawn and the note of it, and it died before we came: an event of its spawn, or
    only its output, is left.
    """
    events = list_recent(book.folders.events)
    if _names_other_folder(book, events):
        return None
    known = [told.started for each in events if each.kind == EventKind.EXITED and (told := _read_exit(each))]
    known += [each.started for each in (book.life, book.memory.last_exit) if each]
    newest = max(known, default=0.0)
    boot = _find_boot(events) or book.boot
    spawned = [each for each in events if each.kind == EventKind.SPAWNED and _get_started(each) > newest + _SAME_TIME]
    if spawned:
        lost = _read_spawned(spawned[-1], boot)
        return None if lives_on(lost) else lost  # one that lives is not of this folder
    return _find_by_output(book, newest, boot) if events else None


def _find_boot(events: Iterable[Event]) -> str | None:
    """The boot of the keeper before us: it is told at its start."""
    boots = [each.data.get("boot") for each in events if each.kind == EventKind.KEEPER_STARTED]
    return boots[-1] if boots and isinstance(boots[-1], str) else None


def _names_other_folder(book: Book, events: Iterable[Event]) -> bool:
    """Whether the keeper before us looked after another SERVER_DIR: what it told is of another server."""
    starts = [each for each in events if each.kind == EventKind.KEEPER_STARTED and each.keeper != book.keeper]
    named = starts[-1].data.get("server_dir") if starts else None  # earlier versions did not tell
    return named is not None and named != str(book.folders.server)


def is_elsewhere(book: Book, life: Life) -> bool:
    """A living server of another folder: it stands in the memory where SERVER_DIR was copied with our own folder in it.

    One that was moved has its server along, whose mark is of the old place.
    """
    if not life.marked or life.id.startswith(f"{book.folder_id}.") or not lives_on(life):
        return False
    try:
        return Path(psutil.Process(life.pid).cwd()) != book.folders.server
    except (OSError, psutil.Error):
        return False


def _get_started(event: Event) -> float:
    started = event.data.get("started")
    return float(started) if isinstance(started, int | float) else 0.0


def _read_spawned(event: Event, boot: str) -> Life:
    data = event.data
    life = Life(f"lost-{event.number}", _get_started(event), boot, int(data.get("generation") or 0))
    return replace(
        life,
        build=data.get("build"),
        deployment=data.get("deployment"),
        output=data.get("output"),
        pid=int(data.get("pid") or 0),
        create_time=float(data.get("create_time") or 0.0),
    )


def _find_by_output(book: Book, newest: float, boot: str) -> Life | None:
    """Only an output that something was written to proves that a process was there."""
    try:
        files = [Path(each.path) for each in os.scandir(book.folders.lives) if each.name.startswith("output-2")]
        found = max((each for each in files if each.stat().st_size), key=lambda each: each.name, default=None)
    except OSError:
        return None
    stamp = _parse_stamp(found.name) if found else 0.0
    if found is None or stamp <= newest + _SAME_TIME:
        return None
    generation = book.wish.generation if book.wish else 0
    build = book.memory.placed.manifest.build if book.memory.placed else None
    return Life(f"lost-{found.name}", stamp, boot, generation, build=build, output=str(found))


def _parse_stamp(name: str) -> float:
    text = name.removeprefix("output-").removesuffix(".log")
    try:
        whole, _, rest = text.partition(".")
        return calendar.timegm(time.strptime(whole, "%Y%m%dT%H%M%S")) + int(rest.rstrip("Z")) / 1000
    except ValueError:
        return 0.0


def lives_on(life: Life) -> bool:
    """Whether the remembered process still runs."""
    return is_alive(Who(life.pid, life.create_time))


def estimate_lived(life: Life, logs: Iterable[Path] = ()) -> float:
    """Seconds that a life whose end nobody saw must have lived at least: until it last wrote, or until ready."""
    seen = life.ready_at or life.started
    for path in (*([Path(life.output)] if life.output else []), *logs):
        with contextlib.suppress(OSError):
            seen = max(seen, path.stat().st_mtime)
    return max(0.0, seen - life.started)
