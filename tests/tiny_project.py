"""A cmake project of two files, and a builder for it: real compiles in seconds.

A compiler launcher stands between the generator and the compiler: it notes priority and environment, and, when told to
(`hang`), starts a child that leaves its session and then never ends, as a hanging compiler would; `stay` leaves such a
child behind and compiles; `flood` prints without end and hears nothing.
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from pipeline.adapters import children, process_tree
from pipeline.adapters.builder import CMakeBuilder
from pipeline.model import BuildResult, Progress
from pipeline.redact import Redactor

COMMIT, OTHER = "a1" * 20, "b2" * 20
CMAKE_LISTS = """\
cmake_minimum_required(VERSION 3.16)
project(Tiny CXX)
option(WITH_GREETING "An option that a user may have chosen" OFF)
add_executable(worldserver main.cpp other.cpp)
"""
MAIN = """\
#include <cstdio>
#include "revision.h"
int other();
int main() { std::puts("Tiny rev. " REVISION " 2024-01-01 (main branch)"); return other(); }
"""
LAUNCHER = """\
import json, os, pathlib, signal, subprocess, sys, time
here = pathlib.Path(__file__).parent
(here / "seen.json").write_text(json.dumps({"nice": os.nice(0), "environment": dict(os.environ)}))
if (here / "hang").exists() and "-c" in sys.argv:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    (here / "hanging").touch()
    time.sleep(600)
if (here / "flood").exists() and "-c" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        os.write(1, b"x" * 65535 + b"\\n")
if (here / "stay").exists() and "-c" in sys.argv:
    away = {"start_new_session": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], **away)
sys.exit(subprocess.call(sys.argv[1:]))
"""


@dataclass
class TinyProject:
    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    started: list[tuple[int, float, str]] = field(default_factory=list)
    progress: list[tuple[Progress, float | None]] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        for folder in (self.source, self.server, self.tools):
            folder.mkdir(parents=True, exist_ok=True)
        self.write("CMakeLists.txt", CMAKE_LISTS)
        self.write("main.cpp", MAIN)
        self.write("other.cpp", "int other() { return 0; }\n")
        self.stamp(COMMIT[:12])
        (self.tools / "launcher.py").write_text(LAUNCHER)

    @property
    def source(self) -> Path:
        return self.folder / "clone"

    @property
    def server(self) -> Path:
        return self.folder / "server"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def tools(self) -> Path:
        return self.folder / "tools"

    @property
    def launcher(self) -> str:
        return f"-DCMAKE_CXX_COMPILER_LAUNCHER={sys.executable};{self.tools / 'launcher.py'}"

    @property
    def seen(self) -> dict[str, Any]:
        """What the last compiler saw."""
        seen: dict[str, Any] = json.loads((self.tools / "seen.json").read_text())
        return seen

    @property
    def living(self) -> list[psutil.Process]:
        """What still runs of this project's builds."""
        ours = children.mark_for(self.state, "")
        return process_tree.list_marked(lambda mark: mark.startswith(ours))

    @property
    def builds(self) -> list[str]:
        folder = self.state / "builds"
        return sorted(each.name for each in folder.iterdir()) if folder.exists() else []

    def write(self, name: str, text: str) -> None:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def stamp(self, revision: str) -> None:
        self.write("revision.h", f'#define REVISION "{revision}"\n')

    def builder(self, **options: Any) -> CMakeBuilder:
        settings = {
            "state_dir": self.state, "server_dir": self.server, "program": "worldserver", "timeout": 100.0,
            "redact": Redactor(),
        }  # fmt: skip
        return CMakeBuilder(**{**settings, **self.options, **options})

    def build(self, commit: str = COMMIT, *, warm: bool = False, **options: Any) -> BuildResult:
        return self.builder(**options).build(
            self.source,
            commit,
            on_started=lambda *each: self.started.append(each),
            on_progress=lambda *each: self.progress.append(each),
            cancelled=self.cancelled,
            warm=warm,
        )
