"""cmake, the generator's program and a C++ compiler: what is beside the interpreter (the extras), else on PATH.

Where there is no compiler, ziglang is one: small scripts in the state folder make its subcommands look like programs.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ToolMissing

FOLDER = "toolchain"  # in the state folder
_EXTRA = "`pip install 'spirit-healer[demo]'`"
_VSWHERE = Path("Microsoft Visual Studio") / "Installer" / "vswhere.exe"
_VC_TOOLS = "Microsoft.VisualStudio.Component.VC.Tools.x86.x64"
_VSWHERE_TIMEOUT = 20  # seconds
_COMPILERS = ("c++", "g++", "clang++")

# The script's name, zig's subcommand, the cache entry. Clang's checks that zig switches on would turn a null
# dereference into an illegal instruction, and a crash has to look like itself.
_ZIG = (
    ("zig-cc", "cc -fno-sanitize=undefined", "CMAKE_C_COMPILER"),
    ("zig-c++", "c++ -fno-sanitize=undefined", "CMAKE_CXX_COMPILER"),
    ("zig-ar", "ar", "CMAKE_AR"),
    ("zig-ranlib", "ranlib", "CMAKE_RANLIB"),
)

Find = Callable[[str], Path | None]


@dataclass(frozen=True)
class Toolchain:
    cmake: Path
    generator: str | None = None  # None = cmake's own choice (Visual Studio)
    make_program: Path | None = None
    compilers: Mapping[str, str] = field(default_factory=dict)  # cache entries; empty where cmake finds them itself

    def configure_arguments(self) -> list[str]:
        generator = [] if self.generator is None else ["-G", self.generator]
        entries = dict(self.compilers)
        if self.make_program is not None:
            entries["CMAKE_MAKE_PROGRAM"] = self.make_program.as_posix()
        return [*generator, *(f"-D{name}={value}" for name, value in entries.items())]

    def configure(self, source: Path, build: Path, config: str) -> list[str]:
        """A command line that makes a build folder."""
        fixed = [str(self.cmake), "-S", str(source), "-B", str(build), f"-DCMAKE_BUILD_TYPE={config}"]
        return [*fixed, *self.configure_arguments()]

    def compile(self, build: Path, target: str, config: str, jobs: int | None = None) -> list[str]:
        """A command line that compiles a target."""
        parallel = [] if jobs is None else ["--parallel", str(jobs)]
        return [str(self.cmake), "--build", str(build), "--target", target, "--config", config, *parallel]


def find(state_dir: Path, environment: Mapping[str, str] | None = None, *, has_compiler: bool = False) -> Toolchain:
    """Everything that a fresh build needs; `has_compiler`: somebody named one already.

    Raises ToolMissing, which says what to install.
    """
    environment = os.environ if environment is None else environment

    def look(name: str) -> Path | None:
        return find_tool(name, environment)

    return choose(
        sys.platform,
        look,
        has_compiler=has_compiler or bool(environment.get("CXX")),
        find_studio=lambda: has_visual_studio(environment),
        make_zig=lambda: make_zig_compilers(state_dir / FOLDER, environment),
    )


def choose(
    platform: str,
    look: Find,
    *,
    has_compiler: bool,
    find_studio: Callable[[], bool],
    make_zig: Callable[[], dict[str, str] | None],
) -> Toolchain:
    """What fits together. Ninja is preferred: it is fastest, and never trusts a half-written object."""
    cmake = require_cmake(look)
    ninja = look("ninja")
    names = ("cl", *_COMPILERS) if platform == "win32" else _COMPILERS
    if not has_compiler and not any(look(name) for name in names):
        if platform == "win32" and find_studio():
            return Toolchain(cmake)
        compilers = make_zig()
        if compilers is None:
            raise ToolMissing(
                f"no C++ compiler was found: {_EXTRA} brings one, or install the system's own "
                "(Debian, Ubuntu: `apt install g++`; Fedora: `dnf install gcc-c++`; Windows: Visual Studio Build Tools)"
            )
        return Toolchain(cmake, *_require_generator(platform, look, ninja), compilers)
    return Toolchain(cmake, *_require_generator(platform, look, ninja))


def require_cmake(look: Find) -> Path:
    """Raises ToolMissing."""
    cmake = look("cmake")
    if cmake is None:
        raise ToolMissing(
            f"cmake was not found: {_EXTRA} brings it, or install the system's own "
            "(Debian, Ubuntu: `apt install cmake`; Fedora: `dnf install cmake`; "
            "Windows: `winget install Kitware.CMake`)"
        )
    return cmake


def _require_generator(platform: str, look: Find, ninja: Path | None) -> tuple[str, Path | None]:
    if ninja is not None:
        return "Ninja", ninja
    if platform != "win32" and (look("make") or look("gmake")):
        return "Unix Makefiles", None
    raise ToolMissing(f"neither ninja nor make was found: {_EXTRA} brings ninja, or install the system's own")


def find_tool(name: str, environment: Mapping[str, str] | None = None) -> Path | None:
    """Beside the interpreter, then on PATH."""
    environment = os.environ if environment is None else environment
    folders = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))]
    for folder in folders:
        if found := shutil.which(name, path=str(folder)):
            return Path(found)
    found = shutil.which(name, path=environment.get("PATH", os.defpath))
    return Path(found) if found else None


def executable_name(name: str, platform: str = sys.platform) -> str:
    """A program's file name, as the platform's compilers write it."""
    return f"{name}.exe" if platform == "win32" and not name.lower().endswith(".exe") else name


def has_visual_studio(environment: Mapping[str, str]) -> bool:
    """Whether cmake's own choice on Windows will find a C++ compiler."""
    vswhere = Path(environment.get("ProgramFiles(x86)", r"C:\Program Files (x86)")) / _VSWHERE
    if not vswhere.is_file():
        return False
    asked = [str(vswhere), "-latest", "-products", "*", "-requires", _VC_TOOLS, "-property", "installationPath"]
    try:
        answer = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, timeout=_VSWHERE_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return bool(answer.stdout.strip())


def make_zig_compilers(
    folder: Path, environment: Mapping[str, str] | None = None, platform: str = sys.platform
) -> dict[str, str] | None:
    """Writes zig's subcommands as programs into the folder; their cache entries, None where there is no zig."""
    zig = find_zig(environment)
    if zig is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return {entry: _write_script(folder, name, zig, words, platform) for name, words, entry in _ZIG}


def find_zig(environment: Mapping[str, str] | None = None) -> list[str] | None:
    """The start of a command line: the package's program, else zig on PATH."""
    package = importlib.util.find_spec("ziglang")
    for folder in (package.submodule_search_locations or []) if package else []:
        if (program := Path(folder) / executable_name("zig")).is_file():
            return [str(program)]
    if package is not None:
        return [sys.executable, "-m", "ziglang"]
    found = find_tool("zig", environment)
    return None if found is None else [str(found)]


def _write_script(folder: Path, name: str, zig: list[str], words: str, platform: str) -> str:
    windows = platform == "win32"
    script = folder / (f"{name}.cmd" if windows else name)
    start = subprocess.list2cmdline(zig) if windows else shlex.join(zig)
    text = f"@{start} {words} %*\r\n" if windows else f'#!/bin/sh\nexec {start} {words} "$@"\n'
    if not script.is_file() or script.read_bytes() != text.encode():
        script.write_bytes(text.encode())
        script.chmod(0o755)
    return script.as_posix()
