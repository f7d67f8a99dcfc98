"""Inputs that nobody expects, for everything of ours that reads what others wrote: what is true of each reader.

    python tests/soak/fuzz.py --minutes 10      for as long as asked, another way each time
    pytest tests/integration/test_fuzzing.py    a short round, the same each time

An input is a real file with something done to it, or JSON with anything in a field. A reader gives a value or refuses
in the way its callers expect. It never raises anything else, thinks for more than a second of processor time, or takes
200 MB: `guarded` sees to these two.
"""

import json
import os
import resource
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from artefacts import read_file
from hypothesis import strategies as st
from sqlalchemy import event
from world import FakeKeeper, World

from bot.demo.bugs import BUGS, FixKind, response
from bot.faults import SettingsError
from bot.settings import NAMES, load
from pipeline import intake, judging
from pipeline.adapters.crash_reader import CrashFileReader
from pipeline.adapters.event_log import EventLog
from pipeline.adapters.keeper_client import FileKeeper
from pipeline.adapters.responses import parse_response
from pipeline.crash.as_json import report_from_plain, report_to_plain
from pipeline.crash.gdb_json import read_gdb_json
from pipeline.crash.read import combine
from pipeline.errors import ResponseRejected
from pipeline.keeper import adoption
from pipeline.keeper.book import Book
from pipeline.keeper.folders import Folders
from pipeline.keeper.memory import Life, Memory
from pipeline.keeper.protocol import (
    PROTOCOL,
    Desired,
    Event,
    EventKind,
    Exit,
    ExitVerdict,
    Observed,
    ServerState,
    Want,
    to_json,
)
from pipeline.keeper.wishes import WishFile
from pipeline.ports import ExitEvidence
from pipeline.tools import Tools

MOST_SECONDS = 1.0  # of the processor, for one input
MOST_MEMORY = 200 << 20  # bytes beyond what is there before
SAMPLES = Path(__file__).parents[2] / "shared" / "samples"
WHOLE_DMP = 4096  # bytes of a minidump's begin in which all its tables lie

ASAN = """==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010 at pc 0x55d0 bp 0x7ffc sp 0x7ffb
READ of size 8 at 0x602000000010 thread T0
    #0 0x55d0c in Aura::Apply(Unit*) /src/server/game/Aura.cpp:17
    #1 0x55d1f in Map::Update(unsigned int) /src/server/game/Map.cpp:168:9
SUMMARY: AddressSanitizer: heap-use-after-free /src/server/game/Aura.cpp:17 in Aura::Apply(Unit*)
"""
ASSERTION = """TrinityCore rev. 0123456789ab+ 2025-11-04 09:15:04 +0000 (master branch) (Unix, Release, Static)
/src/server/game/Spells/Auras/SpellAuras.cpp:168 in _HandleEffect ASSERTION FAILED:
  HasEffect(effIndex) == (!apply)
terminate called after throwing an instance of 'std::out_of_range'
  what():  map::at
"""
GDB = """Program terminated with signal SIGSEGV, Segmentation fault.
#0  0x000055d0c in Aura::Apply (this=0x0, target=...) at /src/server/game/Aura.cpp:17
#1  0x000055d1f in Map::Update (diff=50) at /src/server/game/Map.cpp:168
Thread 2 (Thread 0x7f (LWP 12)):
#0  __futex_abstimed_wait_common () from /lib/libc.so.6
"""
SYSTEMD = """        Signal: 11 (SEGV)
       Message: Process 4711 (worldserver) of user 1000 dumped core.
                Stack trace of thread 4713:
                #0  0x0000555555555162 _ZN5Spell4CastEv (worldserver + 0x1162)
                #1  0x0000555555555182 n/a (worldserver + 0x1182)
"""
GDB_JSON: dict[str, Any] = {
    "signal": "SIGSEGV", "address": 16, "stack_pointer": 4096, "assertion_message": None,
    "threads": [
        {"number": 1, "name": "world", "crashed": True, "depth": 2, "frames": [
            {"function": "Aura::Apply", "file": "/src/Aura.cpp", "line": 17, "module": "worldserver", "offset": 1}]},
    ],
}  # fmt: skip


class TooSlow(BaseException):
    """A second of thinking. Not an Exception, as the readers catch those."""


@dataclass(frozen=True)
class Target:
    """One reader."""

    inputs: st.SearchStrategy[Any]
    check: Callable[[Path, Any], None]  # a folder of its own, and an input


# --- inputs ----------------------------------------------------------------------------------------------------------


WORDS = (
    b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"\n\n", b"#0  0x0 in ", b"==1==ERROR: AddressSanitizer: ",
    b"ASSERTION FAILED:", b"Exception code: C0000005", b"<" * 400, b"(" * 400, b"::" * 300, b" " * 3000, b"9" * 400,
    b'"' * 3, b"\\u0000", b"\\ud800", b"[" * 2000, b'{"a":' * 500, b"NaN", b"-1e999", b"1e308", b"null", b"..\\..\\",
    "ü€😀".encode(), b"operator<<", b"std::function<void (", b"A" * 70000,
)  # fmt: skip
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["", "x" * 5000]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """A real file to which something was done, up to six times."""
    content = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 6))):
        content = _mutate(draw, content, seeds)
    return content


def _mutate(draw: st.DrawFn, content: bytes, seeds: tuple[bytes, ...]) -> bytes:
    start, length = draw(st.integers(0, max(len(content) - 1, 0))), draw(st.integers(0, 200))
    before, part, after = content[:start], content[start : start + length], content[start + length :]
    match draw(st.integers(0, 5)):
        case 0:
            return before + after
        case 1:
            return before + part * draw(st.integers(2, 60)) + after
        case 2:
            return before + draw(st.sampled_from(WORDS)) + part + after
        case 3:
            return before + draw(st.binary(max_size=20)) + after
        case 4:
            return before
        case _:
            return before + draw(st.sampled_from(seeds))[start:]


@st.composite
def spoilt(draw: st.DrawFn, plain: dict[str, Any]) -> dict[str, Any]:
    """An object in which some fields, however deep, hold anything, or are gone."""
    copy = json.loads(json.dumps(plain))
    for _ in range(draw(st.integers(1, 4))):
        place: Any = copy
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            if draw(st.integers(0, 4)):
                place[key] = draw(PLAIN)
            else:
                del place[key]
            break
    found: dict[str, Any] = copy
    return found


def as_bytes(plain: Any) -> bytes:
    return json.dumps(plain).encode()


@cache
def read_samples(*patterns: str) -> tuple[bytes, ...]:
    """Files that lie beside the repository, where they do."""
    return tuple(path.read_bytes() for each in patterns for path in sorted(SAMPLES.glob(each)) if path.is_file())


# --- readers ---------------------------------------------------------------------------------------------------------


def check_response(folder: Path, raw: bytes) -> None:
    with suppress(ResponseRejected):
        found = parse_response(raw, "response_ab12.json")
        assert found.request_id == "ab12"
        json.dumps(asdict(found)).encode("utf-8")  # as it comes into the database


def check_report(folder: Path, raw: bytes) -> None:
    file = folder / "report.txt"
    file.write_bytes(raw)
    report = read_file(file)
    assert report_from_plain(json.loads(json.dumps(report_to_plain(report)))) == report
    whole = CrashFileReader().read(ExitEvidence(-11, file, file, None, None, 0.0, 1.0, reports=(file,)))
    assert not [note for note in whole.notes if note.startswith("reading it failed")], whole.notes


def check_core(folder: Path, plain: dict[str, Any]) -> None:
    report = combine([read_gdb_json(plain)], status=-11)
    assert report_from_plain(json.loads(json.dumps(report_to_plain(report)))) == report


def check_event(folder: Path, line: bytes) -> None:
    """An event comes to the bot as a line of a file, once, whatever is in it, and what comes behind it comes too."""
    tools, path = make_tools(folder), folder / "events.jsonl"
    behind = to_json(Event(f"behind-{os.urandom(6).hex()}", 1, 1_780_000_000.0, EventKind.KEEPER_STARTED, {}))
    path.write_bytes(line.replace(b"\n", b" ") + b"\n" + behind.encode() + b"\n")
    intake.import_events(tools)
    assert (tools.store.last_event() or ("",))[0].startswith("behind-")
    judging.judge_crashes(tools, raise_bug)
    assert not tools.store.list_unjudged_crashes()


def check_journal(folder: Path, line: bytes) -> None:
    """The next keeper begins, whatever the one before left in events, memory or wish."""
    folders = Folders(folder / "state", folder / "server")
    folders.make()
    folders.events.write_bytes(line + b"\n" + line)
    folders.memory.write_bytes(line)
    folders.desired.write_bytes(line)
    folders.swap.write_bytes(line)
    book = Book(folders)
    book.wish = None
    adoption.find_lost_life(book)
    adoption.find_told_exit([], Life("x", 0.0, "boot", 0))
    WishFile(folders).read_if_changed()
    book.compose()
    book.tell(EventKind.KEEPER_STARTED, protocol=PROTOCOL, boot=book.boot)
    assert book.save()


def check_observed(folder: Path, raw: bytes) -> None:
    state = folder / "state"
    state.mkdir(exist_ok=True)
    for name in ("observed.json", "desired.json"):
        (state / name).write_bytes(raw)
    keeper = FileKeeper(state, folder / "server")
    keeper.observed()
    keeper.desired()


def check_settings(folder: Path, given: dict[str, str]) -> None:
    before = dict(os.environ)
    try:
        for name in NAMES:
            os.environ.pop(name, None)
        os.environ.update({name: value.replace("\0", "") for name, value in given.items()})
        with suppress(SettingsError):
            _use(load(sandbox=True))
    finally:
        os.environ.clear()
        os.environ.update(before)


def check_dotenv(folder: Path, raw: bytes) -> None:
    (folder / ".env").write_bytes(raw)
    before = Path.cwd()
    os.chdir(folder)
    try:
        with suppress(SettingsError):
            load(sandbox=True)
    finally:
        os.chdir(before)


def _use(settings: Any) -> None:
    """What follows at once from settings that were taken."""
    settings.secrets()
    str(settings.zone), settings.database, settings.queue_dir


class _FileEvents(FakeKeeper):
    """Its events come from a file, as a real one's do."""

    path: Path

    def events(self, after: tuple[str, int] | None) -> list[Event]:
        return EventLog(self.path).read(after)


def _hurry(connection: sqlite3.Connection, _record: object) -> None:
    """This database is only a book of what was taken in."""
    connection.execute("PRAGMA synchronous=OFF")


@cache
def make_tools(folder: Path) -> Tools:
    world = World(folder)
    event.listen(world.engine, "connect", _hurry)
    world.engine.dispose()
    keeper = _FileEvents(world.clock)
    keeper.path = folder / "events.jsonl"
    return replace(world.tools, keeper=keeper)


# --- all of them -----------------------------------------------------------------------------------------------------

EXIT = Exit(ExitVerdict.CRASH, 1_780_000_000.0, 7, -11, "b0", "abc", 3, 2.0, 60.0, 1_779_999_940.0, output="/nowhere")
OBSERVED = Observed("k", 7, "boot", 1.0, ServerState.READY, 3, last_exit=EXIT)
DESIRED = Desired(3, Want.UP, "somebody", "because", "/srv", ("./worldserver",))
MEMORY = Memory(life=Life("k-1", 1.0, "boot", 3), last_exit=EXIT)
FIELDS = sorted({each.name for each in fields(Exit)} | {"why", "detail", "error", "generation", "reason", "kind"})
EVENTS = st.builds(
    lambda kind, data, keeper, number, at: {"keeper": keeper, "number": number, "at": at, "kind": kind, "data": data},
    st.sampled_from([each.value for each in EventKind]) | st.text(max_size=10),
    spoilt(json.loads(to_json(EXIT))) | st.dictionaries(st.sampled_from(FIELDS), PLAIN, max_size=6),
    st.uuids().map(str),
    st.integers(0, 1 << 70) | st.just(1),
    st.floats() | st.just(1_780_000_000.0),
)
STATES = tuple(as_bytes(json.loads(to_json(each))) for each in (OBSERVED, DESIRED, MEMORY))
PLAN = b'{"manifest":{"build":"b1","files":[]},"deployment":null,"previous":null,"kept":"b0","moves":[]}'
VALUES = st.text(max_size=30) | st.sampled_from(
    ["1h30m", "9" * 400 + "d", "5G", "9" * 400, "1e9", "NaN", "18:00-06:00", "soap://h:1", "(", "(a+)+$", "'", "a=b",
     "/", ".", "~", "\\", "0", "-1", "Europe/Berlin", "../x", "src/** => x",
     "postgresql+psycopg://u:p@h/db", "x" * 5000]
)  # fmt: skip

TARGETS: dict[str, Target] = {
    "response": Target(
        mutated((*read_samples("responses/response_*.json"),
                 *(as_bytes(response(bug, "ab12", kind)) for bug in BUGS[:2] for kind in (FixKind.GOOD,))))
        | spoilt(response(BUGS[0], "ab12")).map(as_bytes),
        check_response,
    ),
    "report": Target(
        mutated((*map(str.encode, (ASAN, ASSERTION, GDB, SYSTEMD)), *read_samples("reports/*.txt", "linux/*.txt"))),
        check_report,
    ),
    "minidump": Target(
        mutated(tuple(each[:WHOLE_DMP] + each[-WHOLE_DMP:] for each in read_samples("windows/*.dmp")) or (b"MDMP",)),
        check_report,
    ),
    "core": Target(spoilt(GDB_JSON), check_core),
    "event": Target(EVENTS.map(as_bytes), check_event),
    "keeper's own files": Target(
        mutated((*STATES, PLAN)) | EVENTS.map(as_bytes) | spoilt(json.loads(to_json(MEMORY))).map(as_bytes),
        check_journal,
    ),
    "keeper's word": Target(
        mutated(STATES)
        | spoilt(json.loads(to_json(OBSERVED))).map(as_bytes)
        | spoilt(json.loads(to_json(DESIRED))).map(as_bytes),
        check_observed,
    ),
    "settings": Target(st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=8), check_settings),
    "settings file": Target(
        mutated((b"SOURCE_DIR=/\nSERVER_DIR=/\nSERVER_COMMAND='./worldserver -c x'\nSERVER_SOAK=2m\n# a word\n",)),
        check_dotenv,
    ),
}  # fmt: skip


# --- guarding --------------------------------------------------------------------------------------------------------


@contextmanager
def guarded() -> Iterator[None]:
    """Ends with TooSlow after a second of the processor's time, with MemoryError at 200 MB more than there were."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    now = psutil.Process().memory_info().vms
    before = signal.signal(signal.SIGPROF, _give_up)
    resource.setrlimit(resource.RLIMIT_AS, (now + MOST_MEMORY, limits[1]))
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS, 0.01)  # again, as a collector swallows what it raises
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGPROF, before)


def _give_up(*_: object) -> None:
    raise TooSlow(f"more than {MOST_SECONDS} s of thinking")


def raise_bug(_name: str, fault: Exception) -> None:
    raise fault
