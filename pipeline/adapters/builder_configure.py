"""When and how cmake configures our build folder.

What it was configured from is noted in the folder; anything else asks for it anew. A changed option only drops the
cache, so that what need not be compiled again is not; another generator, compiler or source empties the folder. Only
a folder with our note in it is ever emptied: below BUILD_DIR that is one of our own name, whatever else lies there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.adapters import builder_products, toolchain
from pipeline.adapters.builder_like import CACHE, Likeness, parse_cache, read_likeness
from pipeline.adapters.toolchain import Toolchain
from pipeline.errors import Obstructed
from pipeline.keeper.protocol import parse_json, replace_file

STAMP = "spirit-healer.json"
BUILD = "build"  # our build folder in the state folder
OWN = "spirit-healer-build"  # our build folder below BUILD_DIR
LIKE_SCRIPT = "build-like.cmake"
_OWN_CHOICE = ("-G", "--preset")  # in BUILD_CONFIGURE_ARGS: the generator is the operator's
_OWN_COMPILER = ("CMAKE_CXX_COMPILER", "CMAKE_TOOLCHAIN_FILE")
_FOUNDATION = ("CMAKE_CXX_COMPILER", "CMAKE_C_COMPILER", "CMAKE_TOOLCHAIN_FILE")


@dataclass(frozen=True)
class Wish:
    """What the settings say."""

    state_dir: Path
    like: Path | None  # BUILD_LIKE
    arguments: tuple[str, ...]  # BUILD_CONFIGURE_ARGS
    config: str  # BUILD_CONFIG


@dataclass(frozen=True)
class Plan:
    argv: tuple[str, ...]
    cmake: Path
    foundation: str  # digest of what cannot change in a folder that was built in
    inputs: str  # digest of everything
    config: str  # what to compile


def find_place(state_dir: Path, build_dir: Path | None) -> Path:
    """The folder that is compiled in. `build_dir` = BUILD_DIR, which may hold anything else as well."""
    return (state_dir / BUILD).resolve() if build_dir is None else build_dir.resolve() / OWN


def make_plan(wish: Wish, source: Path, build: Path, environment: Mapping[str, str]) -> Plan:
    """Raises ToolMissing, DefiniteError. Writes the script that takes BUILD_LIKE over."""
    if wish.like is not None:
        return _plan_like(wish, read_likeness(wish.like, source), source, build, environment)
    tools = _find_tools(wish, environment)
    fixed = (str(tools.cmake), "-S", str(source), "-B", str(build), f"-DCMAKE_BUILD_TYPE={wish.config}")
    chosen = tuple(tools.configure_arguments())
    argv = (*fixed, *chosen, *wish.arguments)
    return Plan(argv, tools.cmake, _digest([str(source), *chosen]), _digest(argv), wish.config)


def is_due(build: Path, plan: Plan) -> bool:
    answered = (build / CACHE).is_file() and builder_products.is_answered(build)
    return not answered or _read_stamp(build).get("inputs") != plan.inputs


def prepare(build: Path, plan: Plan) -> None:
    """Makes the folder fit for the plan. Raises Obstructed for one that holds what we did not make."""
    if (foreign := find_foreign(build)) is not None:
        raise Obstructed(
            f"BUILD_DIR: {build} is where we build, and holds `{foreign}`, which is not ours: nothing in it was "
            "touched. Cure: move what lies there away, or give another BUILD_DIR"
        )
    if (build / STAMP).is_file() and _read_stamp(build).get("foundation") != plan.foundation:
        _empty(build)
    build.mkdir(parents=True, exist_ok=True)
    replace_file(build / STAMP, json.dumps({"foundation": plan.foundation, "inputs": None}))
    (build / CACHE).unlink(missing_ok=True)
    builder_products.ask(build)


def find_foreign(build: Path) -> str | None:
    """The name of something in a folder that has no note of ours; None where the folder is ours, empty or not there."""
    if (build / STAMP).is_file() or not build.exists():
        return None
    names = (each.name for each in sorted(build.iterdir()))
    return next((name for name in names if not name.startswith(f".{STAMP}.")), None)  # of a note half written


def _empty(build: Path) -> None:
    """All but our note, so that a folder half emptied by a kill is still known as ours."""
    for each in build.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        elif each.name != STAMP:
            each.unlink()


def settle(build: Path, plan: Plan) -> None:
    """Notes that the folder is configured."""
    replace_file(build / STAMP, json.dumps({"foundation": plan.foundation, "inputs": plan.inputs}))


def native_options(generator: str | None, jobs: int) -> list[str]:
    """Behind `cmake --build … --`. Visual Studio runs so many projects at once, and in each so many compilers."""
    return ["--", f"/p:CL_MPCount={jobs}"] if (generator or "").startswith("Visual Studio") else []


def find_generator(build: Path) -> str | None:
    """What the folder was configured for."""
    cache = dict(parse_cache((build / CACHE).read_text(encoding="utf-8", errors="replace")))
    entry = cache.get("CMAKE_GENERATOR")
    return None if entry is None else entry.value


def _find_tools(wish: Wish, environment: Mapping[str, str]) -> Toolchain:
    if any(word.startswith(_OWN_CHOICE) for word in wish.arguments):
        return Toolchain(_find_cmake(environment))
    given = any(name in word for word in wish.arguments for name in _OWN_COMPILER)
    return toolchain.find(wish.state_dir, environment, has_compiler=given)


def _plan_like(wish: Wish, like: Likeness, source: Path, build: Path, environment: Mapping[str, str]) -> Plan:
    cmake = _find_cmake(environment)
    script = wish.state_dir / toolchain.FOLDER / LIKE_SCRIPT
    script.parent.mkdir(parents=True, exist_ok=True)
    replace_file(script, like.script())
    config = like.build_type or wish.config
    generator = _like_generator(wish.arguments, like, environment)
    fixed = (str(cmake), "-S", str(source), "-B", str(build), *generator, "-C", str(script))
    argv = (*fixed, f"-DCMAKE_BUILD_TYPE={config}", *wish.arguments)
    entries = [f"{name}={like.entries[name].value}" for name in _FOUNDATION if name in like.entries]
    return Plan(argv, cmake, _digest([str(source), *generator, *entries]), _digest([*argv, like.script()]), wish.config)


def _like_generator(arguments: Sequence[str], like: Likeness, environment: Mapping[str, str]) -> list[str]:
    if any(word.startswith(_OWN_CHOICE) for word in arguments):
        return []
    words = like.arguments()
    if (like.generator or "").startswith("Ninja") and "CMAKE_MAKE_PROGRAM" not in like.entries:
        ninja = toolchain.find_tool("ninja", environment)
        words += [] if ninja is None else [f"-DCMAKE_MAKE_PROGRAM={ninja.as_posix()}"]
    return words


def _find_cmake(environment: Mapping[str, str]) -> Path:
    return toolchain.require_cmake(lambda name: toolchain.find_tool(name, environment))


def _digest(words: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogateescape")).hexdigest()


def _read_stamp(build: Path) -> dict[str, Any]:
    try:
        stamp = parse_json((build / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}
