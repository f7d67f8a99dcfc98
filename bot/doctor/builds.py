"""What a build needs: cmake, a generator, a compiler, and folders outside the user's checkout."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from bot.doctor.finding import Finding, fail, ok
from bot.settings import Settings
from pipeline.adapters import toolchain
from pipeline.adapters.builder_like import CACHE
from pipeline.errors import ToolMissing

SECONDS = 20


def check_tools(settings: Settings) -> Iterator[Finding]:
    try:
        tools = toolchain.find(settings.state_dir, has_compiler=settings.build_like is not None)
    except ToolMissing as fault:
        what, _, cure = str(fault).partition(": ")
        yield fail("compiler", what, cure)
        return
    yield ok("cmake", read_version(tools.cmake))
    yield ok("generator", str(tools.make_program or tools.generator or "cmake's own choice (Visual Studio)"))
    yield ok("compiler", ", ".join(tools.compilers.values()) or "the system's own, found by cmake")


def read_version(program: Path) -> str:
    """The first line of what it says of itself."""
    try:
        done = subprocess.run(
            [program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        return f"{program} ({fault})"
    lines = done.stdout.decode(errors="replace").splitlines()
    return f"{program} ({lines[0].strip()})" if lines else str(program)


def check_folders(settings: Settings) -> Iterator[Finding]:
    source = settings.source_dir.resolve()
    for name, folder in (("BUILD_DIR", settings.build_dir), ("ANALYST_QUEUE_DIR", settings.analyst_queue_dir)):
        if folder is not None and folder.resolve().is_relative_to(source):
            yield fail(
                name, "lies inside SOURCE_DIR, which is never written", "choose another folder, or leave it empty"
            )
    like = settings.build_like
    if like is None:
        return
    if (like / CACHE).is_file():
        yield ok("BUILD_LIKE", f"{like / CACHE} is taken over")
    else:
        yield fail("BUILD_LIKE", f"{like} has no {CACHE}", "give the folder that you configured with cmake")
