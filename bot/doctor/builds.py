"""What a build needs: cmake, a generator, a compiler, and folders outside the user's checkout."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from bot.doctor.finding import Finding, fail, ok
from bot.settings import Settings
from pipeline.adapters import builder_products as products
from pipeline.adapters import toolchain
from pipeline.adapters.builder_configure import find_foreign, find_place
from pipeline.adapters.builder_like import CACHE, parse_cache
from pipeline.errors import ToolMissing

SECONDS = 20


def check_tools(settings: Settings) -> Iterator[Finding]:
    like = settings.build_like
    if like is not None and (like / CACHE).is_file():
        yield from check_likeness(like / CACHE, chosen_generator(settings.build_configure_args))
        return
    try:
        tools = toolchain.find(settings.state_dir, has_compiler=settings.build_like is not None)
    except ToolMissing as fault:
        what, _, cure = str(fault).partition(": ")
        yield fail("compiler", what, cure)
        return
    yield ok("cmake", read_version(tools.cmake))
    chosen = chosen_generator(settings.build_configure_args)
    found = str(tools.make_program or tools.generator or "cmake's own choice (Visual Studio)")
    yield ok("generator", f"{chosen}, as BUILD_CONFIGURE_ARGS says" if chosen else found)
    yield ok("compiler", ", ".join(tools.compilers.values()) or "the system's own, found by cmake")


def check_likeness(cache: Path, chosen: str | None) -> Iterator[Finding]:
    """What BUILD_LIKE was configured with is what a build takes, whatever else this machine has."""
    try:
        yield ok("cmake", read_version(toolchain.require_cmake(toolchain.find_tool)))
    except ToolMissing as fault:
        what, _, cure = str(fault).partition(": ")
        yield fail("cmake", what, cure)
    entries = dict(parse_cache(cache.read_text(encoding="utf-8", errors="replace")))
    known = {name: entry.value for name, entry in entries.items() if entry.value}
    generator = f"{chosen}, as BUILD_CONFIGURE_ARGS says" if chosen else known.get("CMAKE_GENERATOR")
    yield ok("generator", generator or "cmake's own choice")
    compiler = known.get("CMAKE_CXX_COMPILER")
    if compiler is not None and Path(compiler).is_absolute() and not Path(compiler).exists():
        yield fail("compiler", f"{compiler}, which BUILD_LIKE was built with, is gone", "configure that folder anew")
    else:
        yield ok("compiler", compiler or "the generator's own")


def chosen_generator(arguments: Sequence[str]) -> str | None:
    """The generator that BUILD_CONFIGURE_ARGS names (`-G Ninja`, `-GNinja`), which overrules everything."""
    apart = [after for word, after in pairwise(arguments) if word == "-G"]
    joined = [word.removeprefix("-G") for word in arguments if word.startswith("-G") and word != "-G"]
    return next(iter((*apart, *joined)), None)


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


def check_target(settings: Settings) -> Iterator[Finding]:
    """Asked of our own build folder where it is configured, else of BUILD_LIKE; neither is configured anew for it."""
    name, place, like = settings.build_target, find_place(settings.state_dir, settings.build_dir), settings.build_like
    if products.is_answered(place):
        yield judge_target(name, products.list_targets(place, settings.build_config), "our build folder")
    elif like is not None and (names := products.list_directories(like)):
        yield judge_target(name, names, str(like))
    else:
        yield ok("BUILD_TARGET", f"{name}: whether the source has it is seen when it is first configured")


def judge_target(name: str, names: Sequence[str], where: str) -> Finding:
    if name in names:
        return ok("BUILD_TARGET", f"{name}, which {where} has")
    return fail(
        "BUILD_TARGET",
        f"{where} has no target {name}; it has {products.show_names(name, names)}",
        "set BUILD_TARGET to the one that makes your server",
    )


def check_folders(settings: Settings) -> Iterator[Finding]:
    source = settings.source_dir.resolve()
    for name, folder in (("BUILD_DIR", settings.build_dir), ("ANALYST_QUEUE_DIR", settings.analyst_queue_dir)):
        if folder is not None and folder.resolve().is_relative_to(source):
            yield fail(
                name, "lies inside SOURCE_DIR, which is never written", "choose another folder, or leave it empty"
            )
    place = find_place(settings.state_dir, settings.build_dir)
    if (foreign := find_foreign(place)) is not None:
        what = f"{place} is where the bot builds, and holds `{foreign}`, which is not the bot's: nothing is built"
        yield fail("BUILD_DIR", what, "move what lies there away, or give another BUILD_DIR")
    like = settings.build_like
    if like is None:
        return
    if (like / CACHE).is_file():
        yield ok("BUILD_LIKE", f"{like / CACHE} is taken over")
    else:
        yield fail("BUILD_LIKE", f"{like} has no {CACHE}", "give the folder that you configured with cmake")
