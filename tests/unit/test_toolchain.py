"""Which tools a build uses, and what is said where they are missing."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.adapters import toolchain
from pipeline.adapters.toolchain import Toolchain, choose
from pipeline.errors import ToolMissing

ZIG = {"CMAKE_CXX_COMPILER": "/state/zig-c++"}


def having(*names: str) -> Callable[[str], Path | None]:
    return lambda name: Path("/bin") / name if name in names else None


def pick(platform: str, *names: str, studio: bool = False, zig: bool = False, cxx: bool = False) -> Toolchain:
    return choose(
        platform,
        having(*names),
        has_compiler=cxx,
        find_studio=lambda: studio,
        make_zig=lambda: ZIG if zig else None,
    )


def test_ninja_is_preferred_where_there_is_one() -> None:
    found = pick("linux", "cmake", "ninja", "make", "g++")
    assert found.configure_arguments() == ["-G", "Ninja", "-DCMAKE_MAKE_PROGRAM=/bin/ninja"]


def test_make_does_it_too() -> None:
    assert pick("linux", "cmake", "make", "g++").configure_arguments() == ["-G", "Unix Makefiles"]


def test_zig_compiles_where_there_is_no_compiler() -> None:
    assert pick("linux", "cmake", "ninja", zig=True).compilers == ZIG
    assert pick("win32", "cmake", "ninja", zig=True).compilers == ZIG


def test_a_compiler_of_the_machine_comes_before_zig() -> None:
    assert pick("linux", "cmake", "ninja", "clang++", zig=True).compilers == {}
    assert pick("linux", "cmake", "ninja", zig=True, cxx=True).compilers == {}
    assert pick("win32", "cmake", "ninja", "cl", studio=True, zig=True).compilers == {}


def test_visual_studio_is_left_to_cmake_because_ninja_would_not_find_it() -> None:
    assert pick("win32", "cmake", "ninja", studio=True, zig=True) == Toolchain(Path("/bin/cmake"))


@pytest.mark.parametrize(
    ("platform", "there", "said"),
    [
        ("linux", (), "cmake was not found"),
        ("linux", ("cmake", "ninja"), r"no C\+\+ compiler was found"),
        ("linux", ("cmake", "g++"), "neither ninja nor make was found"),
        ("win32", ("cmake", "make", "g++"), "neither ninja nor make was found"),
    ],
)
def test_what_is_missing_is_said_with_its_cure(platform: str, there: tuple[str, ...], said: str) -> None:
    with pytest.raises(ToolMissing, match=rf"{said}: `pip install 'spirit-healer\[demo\]'`"):
        pick(platform, *there)


def test_a_tool_beside_the_interpreter_comes_before_the_one_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, elsewhere = tmp_path / "beside", tmp_path / "elsewhere"
    name = toolchain.executable_name("ninja-of-this-test")
    for folder in (beside, elsewhere):
        folder.mkdir()
        (folder / name).write_text("")
        (folder / name).chmod(0o755)
    environment = {"PATH": str(elsewhere)}
    assert toolchain.find_tool("ninja-of-this-test", environment) == elsewhere / name
    monkeypatch.setattr(sys, "executable", str(beside / "python"))
    assert toolchain.find_tool("ninja-of-this-test", environment) == beside / name


def test_programs_are_named_as_the_platform_names_them() -> None:
    assert toolchain.executable_name("worldserver", "win32") == "worldserver.exe"
    assert toolchain.executable_name("worldserver.exe", "win32") == "worldserver.exe"
    assert toolchain.executable_name("worldserver", "linux") == "worldserver"


def test_zig_is_made_into_programs_without_the_traps_it_would_add(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolchain, "find_zig", lambda environment: ["/opt/my zig/zig"])
    entries = toolchain.make_zig_compilers(tmp_path, {}, "linux")
    assert entries == {
        "CMAKE_C_COMPILER": f"{tmp_path}/zig-cc",
        "CMAKE_CXX_COMPILER": f"{tmp_path}/zig-c++",
        "CMAKE_AR": f"{tmp_path}/zig-ar",
        "CMAKE_RANLIB": f"{tmp_path}/zig-ranlib",
    }
    assert (tmp_path / "zig-c++").read_text() == (
        "#!/bin/sh\nexec '/opt/my zig/zig' c++ -fno-sanitize=undefined \"$@\"\n"
    )
    toolchain.make_zig_compilers(tmp_path, {}, "win32")
    assert (tmp_path / "zig-c++.cmd").read_bytes() == b'@"/opt/my zig/zig" c++ -fno-sanitize=undefined %*\r\n'


def test_a_zig_on_path_runs_through_its_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    zig = tmp_path / "zig"
    zig.write_text('#!/bin/sh\necho "zig $@"\n')
    zig.chmod(0o755)
    entries = toolchain.make_zig_compilers(tmp_path / "state", {"PATH": f"{tmp_path}{os.pathsep}{os.defpath}"})
    assert entries is not None
    answer = subprocess.run([entries["CMAKE_AR"], "a b"], capture_output=True, text=True, timeout=60)
    assert answer.stdout == "zig ar a b\n"


def test_without_any_zig_there_are_no_such_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "find_zig", lambda environment: None)
    assert toolchain.make_zig_compilers(tmp_path / "none", {}) is None
    assert not (tmp_path / "none").exists()


def test_the_command_lines_are_cmakes() -> None:
    tools = Toolchain(Path("/bin/cmake"), "Ninja", None, {"CMAKE_CXX_COMPILER": "/z"})
    assert tools.configure(Path("/s"), Path("/b"), "Debug") == [
        *("/bin/cmake", "-S", "/s", "-B", "/b", "-DCMAKE_BUILD_TYPE=Debug"),
        *("-G", "Ninja", "-DCMAKE_CXX_COMPILER=/z"),
    ]
    assert tools.compile(Path("/b"), "w", "Debug", 3) == [
        *("/bin/cmake", "--build", "/b", "--target", "w", "--config", "Debug", "--parallel", "3"),
    ]
