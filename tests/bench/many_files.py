"""How long the work on a repository of many files takes: no call may come near its timeout.

    python tests/bench/many_files.py [--files 50000]

Prints the seconds of each step of a first start, of a fix, and of what a failed build costs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from checkouts import NIGHT, make_source
from many_files import make_many, name_file

from pipeline.adapters.git_process import LOCAL
from pipeline.model import Edit, Patch
from pipeline.ports import PatchLimits


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=50_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), asked.files)
    return 0


def measure(folder: Path, files: int) -> None:
    with timed(f"a repository of {files} files is made"):
        checkout = make_many(folder, files)
    source = make_source(folder, checkout)
    with timed("first start: the clone"):
        source.prepare()
    base = source.base_head()
    with timed("the night branch begins"):
        source.begin(NIGHT, base)
    with timed("the clone stands at a commit"):
        source.restore(NIGHT, base)
    with timed("another start"):
        source.prepare()
    patch = Patch(edits=(Edit(name_file(7), "int f7()", "long f7()"),))
    with timed("a patch is looked at"):
        source.check(patch, PatchLimits(), base, base)
    with timed("it is committed"):
        commit = source.apply(patch, "fix: x\n\nRun: r1\n", PatchLimits(), base)
    with timed("it is pushed"):
        source.publish(NIGHT, commit.hash, None)
    source.work_tree()
    with timed("a failed build: the clone is set back"):
        source.restore(NIGHT, base)
    with timed("a search in all files for an edit that names none"):
        source.check(Patch(edits=(Edit(None, "int f99()", "long f99()"),)), PatchLimits(), base, base)
    print(f"the timeout of a call is {LOCAL:.0f} s")


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{time.monotonic() - began:8.2f} s  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
