"""The world at fault is told from the code at fault, and the cure is named."""

import pytest

from pipeline.crash.environment import RULES, find_cause
from pipeline.crash.gdb_json import read_gdb_json
from pipeline.crash.read import combine
from pipeline.crash.stderr_text import read_text
from pipeline.model import CrashReport

READY = "TrinityCore rev. 0123456789ab 2025-11-04 07:00:00 +0100 (x branch) (worldserver-daemon) ready..."


def exit_with(status: int, *lines: str, functions: tuple[str, ...] = ()) -> CrashReport:
    text = "\n".join(lines)
    frames = [{"function": name} for name in functions]
    core = read_gdb_json({"signal": "SIGSEGV", "threads": [{"number": 1, "crashed": True, "frames": frames}]})
    pieces = [piece for piece in (read_text(text), core if functions else None) if piece is not None]
    return combine(pieces, status=status, lines=lines, text=text)


@pytest.mark.parametrize(
    ("line", "what", "cure"),
    [
        ("Failed to initialize network", "port in use", "WorldServerPort"),
        ("ERROR bind: Address already in use", "port in use", "WorldServerPort"),
        ("ACSoap: couldn't bind to 192.0.2.10:7878", "port in use", "SOAP.Port"),
        ("Could not connect to MySQL database at 127.0.0.1: Can't connect", "database gone", "DatabaseInfo"),
        ("DatabasePool WorldDatabase NOT opened. There were errors", "database gone", "DatabaseInfo"),
        ("Access denied for user 'trinity'@'localhost'", "database gone", "DatabaseInfo"),
        ("Applying of file '2025_01_01_00_world.sql' to database 'world' failed!", "SQL update failed", "SQL error"),
        ("ERROR 1146 (42S02) at line 3: Table 'world.x' doesn't exist", "SQL update failed", "SQL error"),
        ("Map file './maps/0004331.map': does not exist", "missing maps", "DataDir"),
        ("VMap file './vmaps/000.vmtree' could not be loaded", "missing maps", "DataDir"),
        ("Correct *.map files not found in path './maps'", "missing maps", "DataDir"),
        ("Error in config file: worldserver.conf not found", "bad configuration", ".conf"),
        ("write: No space left on device", "disk full", "room"),
        (
            "./worldserver: error while loading shared libraries: libssl.so.1.1: cannot open",
            "missing library",
            "install",
        ),
        ("cannot create PID file /run/x.pid", "cannot write", "rights"),
    ],
)
def test_fault_b15_a_server_that_gave_up_at_its_start_is_no_bug(line: str, what: str, cure: str) -> None:
    report = exit_with(1, "Loading...", line, "Halting")
    assert (report.category, report.environment) == ("environment", True)
    assert report.signature is not None
    assert report.signature.exact == f"environment | {what}"
    assert report.cure is not None
    assert cure in report.cure
    assert line[:40] in report.cure


def test_exit_code_1_without_a_known_line_names_the_last_word() -> None:
    report = exit_with(1, "Loading...", "ERROR: the moon is in the wrong phase", "bye")
    assert report.environment
    assert report.cure is not None
    assert "the moon is in the wrong phase" in report.cure


def test_a_port_that_did_not_bind_hours_ago_does_not_excuse_a_crash() -> None:
    lines = ("Failed to bind RA socket acceptor", READY, "Player Ann logs in")
    report = exit_with(-11, *lines, functions=("Loot::Drop", "Map::Update"))
    assert (report.category, report.environment, report.cure) == ("access violation", False, None)


def test_a_port_that_did_not_bind_explains_the_assertion_of_its_teardown() -> None:
    text = (
        "Failed to bind RA socket acceptor",
        "\n/src/SocketMgr.h:35 in ~SocketMgr ASSERTION FAILED:",
        "  !_threads && !_acceptor",
        "StopNetwork must be called prior to SocketMgr destruction",
    )
    assert exit_with(-11, *text).environment


def test_a_crash_in_the_teardown_after_ready_is_a_bug() -> None:
    text = ("Failed to bind RA socket acceptor", READY, "\n/src/SocketMgr.h:35 in ~SocketMgr ASSERTION FAILED:", "  x")
    assert not exit_with(-11, *text).environment


def test_fault_b15_world_process_oom_is_no_bug_even_after_ready() -> None:
    said = ("terminate called after throwing an instance of 'std::bad_alloc'", "  what():  std::bad_alloc")
    report = exit_with(-11, READY, *said, functions=("abort", "Map::Load"))
    assert report.signature is not None
    assert report.signature.exact == "environment | out of memory"
    assert report.frames


def test_memory_that_was_short_long_ago_does_not_excuse_a_crash() -> None:
    lines = ("mmap: Cannot allocate memory", READY, *(f"tick {number}" for number in range(50)))
    assert not exit_with(-11, *lines, functions=("Map::Load",)).environment


def test_world_process_oom_of_which_only_the_kill_is_seen_says_whom_to_ask() -> None:
    report = exit_with(-9, READY)
    assert report.environment
    assert report.cure is not None
    assert "dmesg" in report.cure


def test_an_uncaught_exception_of_the_code_stays_a_bug() -> None:
    said = ("terminate called after throwing an instance of 'std::logic_error'", "  what():  invalid node overlap")
    assert exit_with(-11, READY, *said).category == "uncaught exception"


def test_every_rule_has_a_cure_that_is_a_sentence() -> None:
    assert all(rule.cure[0].isupper() and rule.cure.endswith(".") for rule in RULES)


def test_ordinary_lines_are_no_cause() -> None:
    lines = ["World initialized", "Update time diff: 5ms", "Player said: Address of my house already known", READY]
    assert find_cause(lines, ended_by_itself=True) is None
