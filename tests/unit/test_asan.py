"""Sanitizer reports: the use is the crash, who freed it is told apart."""

from pathlib import Path

import pytest
from artefacts import read_file
from hypothesis import given
from hypothesis import strategies as st

from pipeline.crash.asan import read_frame, read_sanitizer
from pipeline.crash.conclude import conclude
from pipeline.crash.reading import Reading, Thread
from pipeline.model import CrashReport, ExceptionInfo, Frame, ReportKind

USE_AFTER_FREE = """\
Server output before it
=================================================================
==4711==ERROR: AddressSanitizer: heap-use-after-free on address 0x60d0004f2b40 at pc 0x55d1 bp 0x7f10 sp 0x7f10
READ of size 8 at 0x60d0004f2b40 thread T9
    #0 0x55d1c0a1b2c1 in __interceptor_memcpy ../../../../src/libsanitizer/sanitizer_common/interceptors.inc:827
    #1 0x55d1c0a1b2c2 in Motion<Creature>::DoUpdate(Creature*, unsigned int) /home/a user/src/Motion.cpp:200:13
    #2 0x55d1c0a1b2c3 in operator() /home/a user/src/Map.cpp:31
    #3 0x55d1c0a1b2c4 in Map::Update(unsigned int)::{lambda(int)#1}::operator()(int) const /home/a user/src/Map.cpp:30
    #4 0x55d1c0a1b2c5 in Map::Update(unsigned int) /home/a user/src/Map.cpp:33
    #5 0x7fe2464d44a2  (/lib/x86_64-linux-gnu/libstdc++.so.6+0xd44a2) (BuildId: 0011aabb)

0x60d0004f2b40 is located 0 bytes inside of 136-byte region [0x60d0004f2b40,0x60d0004f2bc8)
freed by thread T9 here:
    #0 0x7f10e0cb9b17 in operator delete(void*) ../../../../src/libsanitizer/asan/asan_new_delete.cpp:160
    #1 0x55d1c0a1b2c6 in Creature::~Creature() /home/a user/src/Creature.cpp:12

previously allocated by thread T0 here:
    #0 0x7f10e0cb9b17 in operator new(unsigned long) ../../../../src/libsanitizer/asan/asan_new_delete.cpp:95
    #1 0x55d1c0a1b2c7 in Map::Load() /home/a user/src/Map.cpp:12

Thread T9 created by T0 here:
    #0 0x7f10e0cb9b17 in __interceptor_pthread_create ../../../../src/libsanitizer/asan/asan_interceptors.cpp:207
    #1 0x55d1c0a1b2c7 in Pool::Start() /home/a user/src/Pool.cpp:5

SUMMARY: AddressSanitizer: heap-use-after-free /home/a user/src/Motion.cpp:200 in Motion<Creature>::DoUpdate
==4711==ABORTING
"""


def read(text: str) -> CrashReport:
    reading = read_sanitizer(text)
    assert reading is not None
    return conclude(reading)


def key(report: CrashReport) -> str:
    assert report.signature is not None
    return report.signature.exact


def test_the_stack_of_the_use_is_the_crash_and_the_others_are_notes() -> None:
    report = read(USE_AFTER_FREE)
    assert (report.kind, report.category) == (ReportKind.ASAN, "use after free")
    assert report.exception is not None
    assert report.exception.code == "heap-use-after-free"
    assert len(report.frames) == 6
    assert report.frame == Frame("Motion<Creature>::DoUpdate", "/home/a user/src/Motion.cpp", 200)
    assert key(report) == "access violation | Motion::DoUpdate | Map::Update"
    assert report.notes == (
        "freed by thread T9: Creature::~Creature (Creature.cpp:12)",
        "previously allocated by thread T0: Map::Load (Map.cpp:12)",
    )


@pytest.mark.parametrize(
    ("error", "category", "code"),
    [
        ("attempting double-free on 0x602000000010 in thread T0:", "double free", "double-free"),
        ("attempting free on address which was not malloc()-ed: 0x6020 in thread T0", "invalid free", "bad-free"),
        ("SEGV on unknown address 0x000000000000 (pc 0x1 bp 0x2 sp 0x3 T1)", "access violation", "SEGV"),
        ("stack-overflow on address 0x7ffe (pc 0x1 bp 0x2 sp 0x3 T0)", "stack overflow", "stack-overflow"),
        ("heap-buffer-overflow on address 0x6020 at pc 0x1", "heap buffer overflow", "heap-buffer-overflow"),
        ("FPE on unknown address 0x55d1 (pc 0x55d1 T0)", "divide by zero", "FPE"),
        ("alloc-dealloc-mismatch (malloc vs operator delete) on 0x6020", "invalid free", "alloc-dealloc-mismatch"),
    ],
)
def test_errors_have_the_words_of_other_platforms(error: str, category: str, code: str) -> None:
    report = read(f"==1==ERROR: AddressSanitizer: {error}\n    #0 0x1 in Loot::~Loot() /src/Loot.cpp:9\n")
    assert (report.category, report.exception and report.exception.code) == (category, code)
    assert key(report) == f"{category} | Loot::~Loot"


def test_undefined_behaviour_is_read() -> None:
    report = read(
        "/src/Map.cpp:12:5: runtime error: index 12 out of bounds for type 'int [10]'\n"
        "    #0 0x1 in Map::At(int) /src/Map.cpp:12:5\n"
    )
    assert report.exception == ExceptionInfo("runtime error", "index 12 out of bounds for type 'int [10]'")
    assert key(report) == "undefined behaviour | Map::At"
    alone = read("/src/Map.cpp:12:5: runtime error: index 12 out of bounds for type 'int [10]'\n")
    assert key(alone) == "undefined behaviour | Map.cpp | index N out of bounds for type 'int [N]'"


def test_a_leak_is_no_crash() -> None:
    assert read_sanitizer("==1==ERROR: LeakSanitizer: detected memory leaks\n    #0 0x1 in main /src/m.cpp:1\n") is None
    assert read_sanitizer("nothing of the kind") is None


def test_frames_of_every_form_are_read() -> None:
    assert read_frame("in start_thread nptl/pthread_create.c:442") == Frame(
        "start_thread", "nptl/pthread_create.c", 442
    )
    assert read_frame("in clone (/lib/libc.so.6+0x1188eb)") == Frame("clone", module="/lib/libc.so.6", offset="1188eb")
    assert read_frame("(/srv/worldserver+0x1234)") == Frame(None, module="/srv/worldserver", offset="1234")
    assert read_frame("in Foo::operator<(Foo const&) C:\\src\\Foo.cpp:7") == Frame(
        "Foo::operator<", "C:\\src\\Foo.cpp", 7
    )
    assert read_frame("in main") == Frame("main")


@given(
    st.text(max_size=1500)
    | st.integers(0, len(USE_AFTER_FREE)).map(lambda at: USE_AFTER_FREE[:at] + "\x00" + USE_AFTER_FREE[at + 9 :])
)
def test_nothing_raises(text: str) -> None:
    reading = read_sanitizer(text)
    if reading is not None:
        conclude(reading)


SEGV = """\
AddressSanitizer:DEADLYSIGNAL
=================================================================
==4766==ERROR: AddressSanitizer: SEGV on unknown address 0x000000000000 (pc 0x55a9f123829f bp 0x7ffd1 sp 0x7ffd1 T0)
==4766==The signal is caused by a WRITE memory access.
    #0 0x55a9f123829f in Trinity::Assert(char const*, int, char const*) /src/Errors.cpp:64
    #1 0x55a9f121d331 in Aura::Apply(int) /src/Aura.cpp:12
    #2 0x55a9f121e573 in Map::Update(unsigned int) /src/Map.cpp:3
"""
SAID = "\n/src/Aura.cpp:12 in Apply ASSERTION FAILED:\n  caster\n\n"


def test_what_the_server_said_counts_more_than_the_signal_that_a_sanitizer_saw(tmp_path: Path) -> None:
    """Every assertion dies by a write to address 0, which a sanitizer reports as what it is."""
    (tmp_path / "output.txt").write_text(SAID + SEGV, encoding="utf-8")
    report = read_file(tmp_path / "output.txt")
    assert (report.kind, report.category) == (ReportKind.ASAN, "assertion")
    assert key(report) == "assertion | Aura::Apply | caster"


def test_a_sanitizer_that_saw_more_than_a_signal_is_believed(tmp_path: Path) -> None:
    (tmp_path / "output.txt").write_text(SAID + USE_AFTER_FREE, encoding="utf-8")
    assert read_file(tmp_path / "output.txt").category == "use after free"


def test_a_use_after_free_has_the_key_that_it_has_without_a_sanitizer() -> None:
    bare = conclude(Reading(ReportKind.CORE, "access violation", crashed=Thread(read(USE_AFTER_FREE).frames)))
    assert bare.signature == read(USE_AFTER_FREE).signature
