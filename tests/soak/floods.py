"""A server, a build and an analyst that print a gibibyte each: what that costs the disk, the memory and the others.

    PYTHONPATH=.:tests python tests/soak/floods.py [GIB]

Not part of the quick run, which plays the same with mebibytes. Exit code 1 if anything was left over.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from analyst_bench import Bench
from keeper_world import open_world, until
from tiny_project import TinyProject

from pipeline.keeper.lives import MOST_OUTPUT
from pipeline.keeper.protocol import EventKind

LOOK = 0.01  # seconds between two looks
BUILDS = ("-G", "Unix Makefiles")  # ninja keeps what a compiler prints to itself until that ends


def flood_server(folder: Path, gib: int) -> str:
    """Its output is cut again and again; then it dies and is started again."""
    with open_world(folder) as world:
        world.set_habits(flood=True)
        output = Path(world.begin().output or "")
        highest = written = before = 0
        while written < gib << 30:
            size = output.stat().st_size
            written += size - before if size >= before else size
            highest, before = max(highest, size), size
            time.sleep(LOOK)
        world.order("signal 11")
        told = world.wait_for_event(EventKind.EXITED)
        until(lambda: len(world.list_events(EventKind.READY)) == 2, "the next server")
        left = Path(told["output"]).stat().st_size
    assert left <= MOST_OUTPUT, left
    return f"at most {highest >> 20} MiB on the disk, {left >> 20} MiB left"


def flood_build(folder: Path, _gib: int) -> str:
    project = TinyProject(folder)
    (project.tools / "flood").touch()
    result = project.build(configure_args=[project.launcher, *BUILDS])
    assert result.reason == "it printed more than 64 MiB and was ended", result
    assert project.living == []
    return f"{result.reason}; {result.log.stat().st_size >> 20} MiB left"


def flood_analyst(folder: Path, _gib: int) -> str:
    bench = Bench(folder)
    failed = bench.run('signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: os.write(1, b"x" * 65536)')
    log = bench.state / "logs" / "analyst" / "ab12.log"
    return f"{failed and failed.reason}; {log.stat().st_size >> 20} MiB left"


def main() -> int:
    gib = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    floods: tuple[Callable[[Path, int], str], ...] = (flood_server, flood_build, flood_analyst)
    for flood in floods:
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            words = flood(Path(folder), gib)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            print(f"{flood.__name__}: {words}; {time.monotonic() - began:.1f} s; {memory} MiB of memory at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
