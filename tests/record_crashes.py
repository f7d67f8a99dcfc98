"""Records the labelled crashes that grouping is measured on: `tests/data/crashes/recorded.json.xz`.

    python tests/record_crashes.py            # needs g++, clang++, gdb; half an hour of a small machine

The bugs of the sample realm and those of `tests/data/crashes/MoreBugs.cpp` crash for real: compiled by GCC and by
Clang, without and with optimising, without and with AddressSanitizer, as shipped and with every line moved and callers
renamed. All of a realm is one unit for the compiler, which costs less and lets it inline more. Of each crash three
readings are kept: what the server wrote and how it ended, what our gdb script tells of its core, and what gdb prints
of it for a person. What names this machine's folders is replaced.
"""

import argparse
import json
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import realm
from realm import READY, start_server
from recorded import RECORDED, load
from recorded_source import MORE, prepare

from bot.demo.bugs import BUGS
from pipeline.adapters.debugger import run_debugger
from pipeline.adapters.gdb import read_core

if sys.platform != "linux":
    raise SystemExit("cores are Linux's")
import resource

# A hang under a sanitizer leaves no stack of the world thread unless its own handler is kept from taking the signal.
HANG = {"ASAN_OPTIONS": "handle_segv=0:disable_coredump=0:detect_leaks=0"}
SANITIZER = {"ASAN_OPTIONS": "disable_coredump=0:abort_on_error=1:unmap_shadow_on_exit=1:detect_leaks=0"}
FLAGS = "-g -fno-omit-frame-pointer -fno-optimize-sibling-calls -fno-delete-null-pointer-checks"
PRINTED = 400  # lines of gdb's words that are kept
SAID = 400  # lines of the server's


@dataclass(frozen=True)
class Way:
    """How a realm is built."""

    compiler: str
    level: str
    sanitized: bool
    moved: bool

    @property
    def name(self) -> str:
        parts = (self.compiler, self.level, "asan" if self.sanitized else "plain", "moved" if self.moved else "shipped")
        return "-".join(parts)


WAYS = [
    *(Way(compiler, level, asan, False) for compiler in ("g++", "clang++") for level in ("O0", "O2")
      for asan in (False, True)),
    Way("g++", "O2", False, True), Way("g++", "O0", True, True),
    Way("clang++", "O0", False, True), Way("clang++", "O2", True, True),
]  # fmt: skip


def build(way: Way, folder: Path) -> Path:
    """The server's executable."""
    source = folder / "realm"
    prepare(source, moved=way.moved)
    flags = f"-{way.level} {FLAGS}{' -fsanitize=address' if way.sanitized else ''}"
    configure = [
        "cmake", "-S", str(source), "-B", str(folder / "build"), "-G", "Ninja", "-DWITHOUT_GIT=ON",
        f"-DCMAKE_CXX_COMPILER={way.compiler}", f"-DCMAKE_CXX_FLAGS_RELWITHDEBINFO={flags}",
        "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_UNITY_BUILD=ON", "-DCMAKE_UNITY_BUILD_BATCH_SIZE=0",
    ]  # fmt: skip
    for command in (configure, ["cmake", "--build", str(folder / "build"), "--target", "worldserver"]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1500)
        if done.returncode:
            raise SystemExit(f"{way.name}: {done.stdout[-3000:]}")
    return folder / "build" / "bin" / "worldserver"


def crash(way: Way, server: Path, bug: str, folder: Path, root: Path) -> dict[str, Any] | None:
    """One recorded crash; None where the bug does not crash this build."""
    stuck = {"MaxCoreStuckTime": 2} if bug == "freeze" else {}
    sanitizer = HANG if bug == "freeze" else SANITIZER
    environment = sanitizer if way.sanitized else {}
    with start_server(server, folder, {"Realm.LateSeconds": 1, **stuck}, environment=environment) as running:
        running.wait_ready()
        running.player("Ann").send(f"BUG {bug}")
        try:
            status = running.wait_exit(90)
        except subprocess.TimeoutExpired:
            return None
    core = next(folder.glob("core*"), None)
    shown = read_core(server, core, partial(run_debugger, timeout=120)) if core else None
    said = running.read("stdout.txt").partition(READY)[2] + running.stderr
    found = {
        "bug": bug, "compiler": way.compiler, "level": way.level, "sanitized": way.sanitized, "moved": way.moved,
        "status": status, "output": "\n".join(said.splitlines()[-SAID:]),
        "core": shown, "printed": print_stacks(server, core) if core else None,
    }  # fmt: skip
    if core:
        core.unlink()
    plain: dict[str, Any] = json.loads(json.dumps(found).replace(str(root), ""))
    return plain


def print_stacks(server: Path, core: Path) -> str:
    """As a person asks gdb, all threads last."""
    ask = [part for each in ("set width 0", "bt 64", "thread apply all bt 64") for part in ("-ex", each)]
    argv = ["gdb", "-nx", "-q", "-batch", *ask, str(server), str(core)]
    environment = {**os.environ, "DEBUGINFOD_URLS": ""}
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=180, env=environment)
    return "\n".join(line[:400] for line in done.stdout.splitlines()[:PRINTED] if not line.startswith("[New LWP"))


def record(way: Way, bugs: list[str], root: Path) -> Iterator[dict[str, Any]]:
    folder = root / way.name
    server = build(way, folder)
    for bug in bugs:
        found = crash(way, server, bug, folder / f"run {bug}", folder)
        print(f"{way.name}: {bug}: {'nothing' if found is None else found['status']}", flush=True)
        if found is not None:
            yield found
    shutil.rmtree(folder)


def allow_core(pid: int) -> None:
    _, most = resource.prlimit(pid, resource.RLIMIT_CORE)
    resource.prlimit(pid, resource.RLIMIT_CORE, (most, most))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", nargs="*", metavar="BUG", help="these alone; the others stay as recorded")
    options.add_argument("--sanitized", action="store_true", help="only the builds with AddressSanitizer")
    wanted = options.parse_args()
    realm._forbid_core = allow_core  # the other users of the realm leave no cores; this is about them
    bugs = wanted.only or [*(bug.name for bug in BUGS), *MORE]
    ways = [way for way in WAYS if way.sanitized or not wanted.sanitized]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as workers:
        done = workers.map(lambda way: list(record(way, bugs, Path(folder))), ways)
        found = [each for way in done for each in way]
    before = load() if RECORDED.exists() else []
    fresh = {(way.compiler, way.level, way.sanitized, way.moved) for way in ways}
    kept = [
        each for each in before
        if each["bug"] not in bugs or (each["compiler"], each["level"], each["sanitized"], each["moved"]) not in fresh
    ]  # fmt: skip
    RECORDED.write_bytes(lzma.compress(json.dumps([*kept, *found], indent=0).encode(), preset=9))
    print(f"{len(kept)} crashes kept and {len(found)} recorded: {RECORDED.stat().st_size} bytes")


if __name__ == "__main__":
    main()
