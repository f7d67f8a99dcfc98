"""What compilers, linkers and cmake print, as they print it, and what is made of it."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest

from pipeline.adapters.diagnostics import LONGEST, MOST, find_machine_fault, parse_diagnostics
from pipeline.model import Diagnostic

SOURCE, BUILD = PurePosixPath("/realm/clone"), PurePosixPath("/realm/build")
D_SOURCE, D_BUILD = PureWindowsPath(r"D:\realm\clone"), PureWindowsPath(r"D:\realm\build")


def parse(text: str) -> list[Diagnostic]:
    return list(parse_diagnostics(text.splitlines(), SOURCE, BUILD, str))


def parse_windows(text: str) -> list[Diagnostic]:
    return list(parse_diagnostics(text.splitlines(), D_SOURCE, D_BUILD, str))


def test_an_error_of_gcc_or_clang_names_file_line_and_column() -> None:
    assert parse("/realm/clone/src/a.cpp:12:5: error: 'foo' was not declared in this scope") == [
        Diagnostic("'foo' was not declared in this scope", "src/a.cpp", 12, 5)
    ]


def test_names_relative_to_the_build_folder_become_relative_to_the_source() -> None:
    assert parse("../clone/src/a.cpp:1:2: fatal error: no.h: No such file or directory") == [
        Diagnostic("no.h: No such file or directory", "src/a.cpp", 1, 2, "fatal error")
    ]


def test_files_outside_of_the_source_keep_their_name() -> None:
    assert parse("/usr/include/c++/12/bits/x.h:7:1: error: static assertion failed")[0].file == (
        "/usr/include/c++/12/bits/x.h"
    )


def test_colours_and_links_of_a_terminal_are_taken_away() -> None:
    text = (
        "\x1b[01m\x1b[K/realm/clone/a.cpp:1:11:\x1b[m\x1b[K \x1b[01;31m\x1b[Kerror: \x1b[m\x1b[Kno return "
        "[\x1b]8;;https://example.org/x\x07-Wreturn\x1b]8;;\x07]"
    )
    assert parse(text) == [Diagnostic("no return [-Wreturn]", "a.cpp", 1, 11)]


def test_notes_and_what_surrounds_an_error_are_left_out() -> None:
    text = """\
[3/9] Building CXX object CMakeFiles/worldserver.dir/src/a.cpp.o
FAILED: CMakeFiles/worldserver.dir/src/a.cpp.o
/usr/bin/c++ -g -c /realm/clone/src/a.cpp
In file included from /realm/clone/src/a.cpp:1:
/realm/clone/src/a.h: In function 'int f()':
/realm/clone/src/a.h:3:9: error: no match for 'operator+'
    3 |  return x + y;
      |           ^
/realm/clone/src/a.h:1:5: note: candidate: 'int g()'
ninja: build stopped: subcommand failed.
"""
    assert parse(text) == [Diagnostic("no match for 'operator+'", "src/a.h", 3, 9)]


def test_errors_come_before_warnings_and_each_comes_once() -> None:
    text = """\
/realm/clone/a.h:1:1: warning: unused [-Wunused]
/realm/clone/b.cpp:2:2: error: second
/realm/clone/a.h:1:1: warning: unused [-Wunused]
/realm/clone/a.cpp:1:1: error: first
/realm/clone/b.cpp:2:2: error: second
"""
    assert [str(each) for each in parse(text)] == [
        "b.cpp:2: error: second",
        "a.cpp:1: error: first",
        "a.h:1: warning: unused [-Wunused]",
    ]


def test_thousands_of_errors_are_bounded_and_a_warning_never_takes_an_errors_place() -> None:
    warnings = "".join(f"/realm/clone/a.cpp:{n}:1: warning: w{n}\n" for n in range(1, 5000))
    found = parse(warnings + "".join(f"/realm/clone/a.cpp:{n}:1: error: e{n}\n" for n in range(1, 5000)))
    assert len(found) == MOST
    assert {each.severity for each in found} == {"error"}


def test_a_message_is_never_longer_than_a_thread_can_bear() -> None:
    found = parse("/realm/clone/a.cpp:1:1: error: " + "template<" * 100_000)
    assert len(found[0].message) == LONGEST


def test_an_internal_error_and_a_killed_compiler_are_fatal() -> None:
    text = """\
/realm/clone/a.cpp:9:1: internal compiler error: Segmentation fault
c++: fatal error: Killed signal terminated program cc1plus
cc1plus: fatal error: nofile.cpp: No such file or directory
x86_64-linux-gnu-g++-12: error: unrecognized command-line option '-fx'
"""
    assert parse(text) == [
        Diagnostic("Segmentation fault", "a.cpp", 9, 1, "fatal error"),
        Diagnostic("Killed signal terminated program cc1plus", severity="fatal error"),
        Diagnostic("nofile.cpp: No such file or directory", severity="fatal error"),
        Diagnostic("unrecognized command-line option '-fx'"),
    ]


def test_what_the_binutils_linker_misses_is_named_with_its_place() -> None:
    text = """\
/usr/bin/ld: CMakeFiles/w.dir/a.cpp.o: in function `main':
/realm/clone/a.cpp:3: undefined reference to `f()'
/usr/bin/ld: /realm/clone/a.cpp:3: undefined reference to `x(int)'
/usr/bin/ld: CMakeFiles/w.dir/b.cpp.o: in function `g()':
b.cpp:(.text+0x5): undefined reference to `h()'
/usr/bin/ld: cannot find -lmysql: No such file or directory
collect2: error: ld returned 1 exit status
"""
    assert parse(text) == [
        Diagnostic("undefined reference to `f()'", "a.cpp", 3),
        Diagnostic("undefined reference to `x(int)'", "a.cpp", 3),
        Diagnostic("undefined reference to `h()'", "b.cpp"),
        Diagnostic("cannot find -lmysql: No such file or directory"),
    ]


def test_what_the_gold_linker_misses_is_named() -> None:
    assert parse("CMakeFiles/w.dir/a.cpp.o:a.cpp:function main: error: undefined reference to 'f()'") == [
        Diagnostic("undefined reference to 'f()'", "a.cpp")
    ]


def test_lld_tells_the_place_in_the_line_behind() -> None:
    text = """\
ld.lld: error: undefined symbol: f()
>>> referenced by a.cpp:3 (/realm/clone/src/a.cpp:3)
>>>               CMakeFiles/w.dir/a.cpp.o:(main)
ld.lld: error: duplicate symbol: g()
>>> defined at b.cpp:7 (/realm/clone/src/b.cpp:7)
clang++: error: linker command failed with exit code 1 (use -v to see invocation)
"""
    assert parse(text) == [
        Diagnostic("undefined symbol: f()", "src/a.cpp", 3),
        Diagnostic("duplicate symbol: g()", "src/b.cpp", 7),
    ]


def test_zig_tells_it_in_words_of_its_own() -> None:
    text = """\
error: ld.lld: undefined symbol: f()
    note: referenced by a.cpp:3 (/realm/clone/src/a.cpp:3)
    note:               CMakeFiles/w.dir/a.cpp.o:(main)
"""
    assert parse(text) == [Diagnostic("ld.lld: undefined symbol: f()", "src/a.cpp", 3)]


def test_the_linker_of_macos() -> None:
    text = """\
Undefined symbols for architecture arm64:
  "f()", referenced from:
      _main in a.o
ld: symbol(s) not found for architecture arm64
"""
    assert parse(text) == [Diagnostic("f()"), Diagnostic("symbol(s) not found for architecture arm64")]


def test_a_cmake_error_is_its_first_paragraph() -> None:
    text = """\
-- Detecting CXX compile features - done
CMake Error at CMakeLists.txt:3 (find_package):
  By not providing "FindNope.cmake" in CMAKE_MODULE_PATH this project has
  asked CMake to find a package configuration file.

  Could not find a package configuration file provided by "Nope".


-- Configuring incomplete, errors occurred!
"""
    assert parse(text) == [
        Diagnostic(
            'By not providing "FindNope.cmake" in CMAKE_MODULE_PATH this project has asked CMake to find a package '
            "configuration file.",
            "CMakeLists.txt",
            3,
        )
    ]


def test_a_cmake_error_without_a_place() -> None:
    assert parse('CMake Error: The source directory "/x" does not exist.\nSpecify --help for usage.') == [
        Diagnostic('The source directory "/x" does not exist.')
    ]


def test_a_rule_that_is_missing_is_an_error_of_ninja_and_make() -> None:
    text = """\
ninja: error: '../clone/src/gone.cpp', needed by 'a.o', missing and no known rule to make it
make[2]: *** No rule to make target 'gone.cpp', needed by 'a.o'.  Stop.
make[1]: *** [CMakeFiles/Makefile2:83: all] Error 2
"""
    assert [each.message for each in parse(text)] == [
        "'../clone/src/gone.cpp', needed by 'a.o', missing and no known rule to make it",
        "No rule to make target 'gone.cpp', needed by 'a.o'",
    ]


def test_msvc_through_msbuild_also_when_it_says_everything_twice() -> None:
    line = (
        r"     1>D:\realm\clone\src\a.cpp(12,3): error C2065: 'foo': undeclared identifier "
        r"[D:\realm\build\worldserver.vcxproj]"
    )
    assert parse_windows(f"{line}\nBuild FAILED.\n{line.replace('1>', '')}") == [
        Diagnostic("C2065: 'foo': undeclared identifier", "src/a.cpp", 12, 3)
    ]


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        (r'd:\REALM\clone\a.cpp(7): Fehler C2065: "foo": nichtdeklarierter Bezeichner', "error"),
        (r"D:\realm\clone\a.cpp(7): erreur fatale C1083: Impossible d'ouvrir le fichier", "fatal error"),
        (r"D:\realm\clone\a.cpp(7): предупреждение C4101: неиспользуемая переменная", "warning"),
        (r"D:\realm\clone\a.cpp(7) : error C2143: syntax error: missing ';' before '}'", "error"),
    ],
)
def test_msvc_in_other_languages_is_known_by_its_code(line: str, severity: str) -> None:
    (found,) = parse_windows(line)
    assert (found.file, found.line, found.severity) == ("a.cpp", 7, severity)


def test_clang_cl_has_no_code() -> None:
    assert parse_windows(r"..\clone\src\a.cpp(3,9): error: use of undeclared identifier 'x'") == [
        Diagnostic("use of undeclared identifier 'x'", "src/a.cpp", 3, 9)
    ]


def test_the_linker_of_msvc() -> None:
    text = r"""
a.obj : error LNK2019: unresolved external symbol "void __cdecl f(void)" referenced in function main
LINK : fatal error LNK1104: cannot open file 'worldserver.exe'
D:\realm\build\bin\worldserver.exe : fatal error LNK1120: 1 unresolved externals
a.obj : warning LNK4099: PDB was not found
MSBUILD : error MSB1009: Project file does not exist.
"""
    assert parse_windows(text) == [
        Diagnostic(
            'LNK2019: unresolved external symbol "void __cdecl f(void)" referenced in function main', "a.obj", None
        ),
        Diagnostic("LNK1104: cannot open file 'worldserver.exe'", severity="fatal error"),
        Diagnostic("LNK1120: 1 unresolved externals", r"D:\realm\build\bin\worldserver.exe", severity="fatal error"),
        Diagnostic("MSB1009: Project file does not exist."),
        Diagnostic("LNK4099: PDB was not found", "a.obj", severity="warning"),
    ]


def test_a_build_that_only_talks_has_no_diagnostics() -> None:
    text = """\
-- The CXX compiler identification is GNU 12.2.0
[ 50%] Building CXX object CMakeFiles/w.dir/error.cpp.o
[100%] Linking CXX executable bin/worldserver
Info : step X1234 : something
0 errors, 0 warnings
"""
    assert parse(text) == []


@pytest.mark.parametrize(
    ("message", "cure"),
    [
        ("c++: fatal error: Killed signal terminated program cc1plus", "lower BUILD_JOBS"),
        ("/realm/clone/a.cpp:1:1: fatal error: error writing to /tmp/x.s: No space left on device", "the disk is full"),
        ("/usr/bin/ld: final: cannot open output file w: Too many open files", "ulimit"),
    ],
)
def test_what_no_analyst_can_mend_is_the_machines_fault(message: str, cure: str) -> None:
    assert cure in str(find_machine_fault(parse(message)))


def test_a_mistake_in_the_code_is_not_the_machines_fault() -> None:
    assert find_machine_fault(parse("/realm/clone/a.cpp:1:1: error: expected ';'")) is None


@pytest.mark.timeout(60)  # a pattern that grows with a power of the line's length takes hours
@pytest.mark.parametrize("piece", [" ", "ld.", "a:1:", "(1", "1>", ": error ", "[x.proj", ">>> "])
def test_no_line_makes_the_reading_hang(piece: str) -> None:
    assert len(parse("\n".join([piece * 5000] * 200))) <= 1
