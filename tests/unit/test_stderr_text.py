"""What a dying server writes: every kind of text is told apart, though all of them end in the same signal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.crash.conclude import conclude
from pipeline.crash.read import combine
from pipeline.crash.stderr_text import read_text
from pipeline.model import Assertion, CrashReport, ExceptionInfo, ReportKind, Revision

TRINITY_ASSERT = """
2025-11-04 INFO [server.worldserver] TrinityCore rev. 6e01fc26da52+ 2025-11-04 07:00:00 +0100 (night branch) (Unix)

/src/server/game/Spells/Auras/SpellAuras.cpp:168 in _HandleEffect ASSERTION FAILED:
  HasEffect(effIndex) == (!apply)

"""
TRINITY_ASSERT_MESSAGE = """
/src/Map.cpp:22 in AddToMap ASSERTION FAILED:
  obj->IsInWorld() == false
object Creature 42 is in the world twice

Segmentation fault (core dumped)
"""
AZEROTH_ASSERT = """#----------------------------------------------------------------------#
 
>> ASSERTION FAILED

# Location: /home/user/azerothcore/src/server/game/Maps/Map.cpp:35
# Function: AddToMap
# Condition: obj->IsInWorld()
# Message: twice: in the world
 
#----------------------------------------------------------------------#
"""  # noqa: W293 (the layout has these spaces)


def read(text: str) -> CrashReport:
    reading = read_text(text)
    assert reading is not None
    return conclude(reading)


def test_an_assertion_of_trinitycore_is_read_with_its_place_and_revision() -> None:
    report = read(TRINITY_ASSERT)
    assert (report.kind, report.category) == (ReportKind.ASSERTION, "assertion")
    assert report.assertion == Assertion(
        "/src/server/game/Spells/Auras/SpellAuras.cpp", 168, "_HandleEffect", "HasEffect(effIndex) == (!apply)", None
    )
    assert report.revision == Revision("6e01fc26da52", True, "2025-11-04 07:00:00 +0100", "night")
    assert report.signature is not None
    assert report.signature.exact == "assertion | _HandleEffect | HasEffect(effIndex) == (!apply)"


def test_an_assertion_may_carry_a_message() -> None:
    assertion = read(TRINITY_ASSERT_MESSAGE).assertion
    assert assertion == Assertion(
        "/src/Map.cpp", 22, "AddToMap", "obj->IsInWorld() == false", "object Creature 42 is in the world twice"
    )


def test_an_assertion_of_azerothcore_is_read() -> None:
    assert read(AZEROTH_ASSERT).assertion == Assertion(
        "/home/user/azerothcore/src/server/game/Maps/Map.cpp", 35, "AddToMap", "obj->IsInWorld()", "twice: in the world"
    )


@pytest.mark.parametrize(
    ("text", "category", "exact"),
    [
        ("\n/src/A.cpp:5 in Load ABORTED.\n", "abort", "abort | Load"),
        ("\n/src/A.cpp:5 in Load ABORTED:\nno such map\n", "abort", "abort | Load"),
        ("\nC:\\src\\A.cpp:5 in World::Load FATAL ERROR:\nno world\n", "abort", "abort | World::Load"),
        ("\n/src/A.cpp:5 in Load ERROR:\n  bad\n", "abort", "abort | Load"),
        (
            "terminate called after throwing an instance of 'std::logic_error'\n  what():  invalid node overlap\n"
            "Caught signal 6\n",
            "uncaught exception",
            "uncaught exception | std::logic_error | invalid node overlap",
        ),
        (
            "libc++abi: terminating due to uncaught exception of type std::logic_error: invalid node overlap\n",
            "uncaught exception",
            "uncaught exception | std::logic_error | invalid node overlap",
        ),
        (
            "terminate called without an active exception\n",
            "uncaught exception",
            "uncaught exception | terminate called without an active exception",
        ),
        (
            "pure virtual method called\nterminate called without an active exception\n",
            "pure virtual call",
            "pure virtual call | pure virtual method called",
        ),
        (
            "free(): double free detected in tcache 2\nCaught signal 6\n",
            "double free",
            "double free | free(): double free detected in tcache 2",
        ),
        (
            "*** Error in `./worldserver': double free or corruption (fasttop): 0x00000000010b4010 ***\n",
            "double free",
            "double free | double free or corruption (fasttop)",
        ),
        ("free(): invalid pointer\n", "invalid free", "invalid free | free(): invalid pointer"),
        ("malloc(): corrupted top size\n", "heap corruption", "heap corruption | malloc(): corrupted top size"),
        (
            "*** stack smashing detected ***: terminated\n",
            "stack corruption",
            "stack corruption | *** stack smashing detected ***: terminated",
        ),
        ("Caught signal 6\n", "abort", "abort | SIGABRT without a stack"),
        ("Segmentation fault (core dumped)\n", "access violation", "access violation | SIGSEGV without a stack"),
        (
            "worldserver: /src/A.cpp:12: void Game::Load(int): Assertion `x > 0' failed.\n",
            "assertion",
            "assertion | Game::Load | x > 0",
        ),
        ("Assertion failed: x > 0, file C:\\src\\A.cpp, line 12\n", "assertion", "assertion | A.cpp | x > 0"),
        (
            "\n/src/World.cpp:9 in Handler ABORTED:\nWorld Thread hangs for 61000 ms, forcing a crash!\n",
            "freeze",
            "freeze | world thread",
        ),
    ],
)  # fmt: skip
def test_each_way_to_die_has_its_class_and_its_key(text: str, category: str, exact: str) -> None:
    report = read(text)
    assert report.category == category
    assert report.signature is not None
    assert report.signature.exact == exact
    assert report.kind is ReportKind.ASSERTION


def test_glibcs_message_is_the_exception() -> None:
    assert read("double free or corruption (!prev)\n").exception == ExceptionInfo("double free or corruption (!prev)")


def test_a_warning_is_no_crash_and_neither_is_ordinary_output() -> None:
    assert read_text("\n/src/A.cpp:5 in Load WARNING:\n  odd\n") is None
    assert read_text("World initialized in 0 minutes 7 seconds\nError: no such quest\n") is None
    assert read_text("") is None


def test_the_last_text_counts_because_dying_comes_last() -> None:
    earlier = "\n/src/A.cpp:5 in Load ABORTED:\nold\n\n"
    assert read(earlier + "\n/src/B.cpp:6 in Save ABORTED:\nnew\n").frames[0].function == "Save"


def test_windows_line_ends_change_nothing() -> None:
    assert read(TRINITY_ASSERT.replace("\n", "\r\n")) == read(TRINITY_ASSERT)


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (-11, "access violation"),
        (139, "access violation"),
        (-6, "abort"),
        (-8, "divide by zero"),
        (-4, "illegal instruction"),
        (-7, "bus error"),
        (3221225477, "access violation"),
        (-1073741819, "access violation"),  # the same, as Python may show it
        (3221225725, "stack overflow"),
        (3765269347, "uncaught exception"),
        (3221226356, "heap corruption"),
        (3221226505, "fast fail"),
        (77, "abnormal exit"),
    ],
)
def test_a_bare_exit_tells_its_class(status: int, category: str) -> None:
    report = combine([], status=status)
    assert report.category == category
    assert report.signature is not None
    assert report.signature.family.startswith(f"{category} | ")


def test_bare_exits_of_different_kinds_are_never_one_bucket() -> None:
    keys = [combine([], status=status).signature for status in (-11, -6, -8, 77, 78, 3221226356, 3221226505)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("status", [0, 2])
def test_an_exit_that_was_asked_for_is_no_crash(status: int) -> None:
    report = combine([], status=status)
    assert report.signature is None
    assert "asked for" in report.notes[0]


@given(st.text(max_size=2000) | st.text(alphabet=":.\n#>AFSERTIONinlf '0123", max_size=500))
def test_no_text_raises(text: str) -> None:
    reading = read_text(text)
    if reading is not None:
        conclude(reading)
