"""Our clone under the recorder: a commit that the bot has noted is there after a power loss, or made again."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from checkouts import NIGHT, Checkout, git, make_checkout, make_source
from power import Loss, Recorder, Step

from pipeline.errors import SourceUnusable

ROOT = Path(__file__).parents[1]
EDITS = (("~Map()", "~Map() noexcept"), ("noexcept", "noexcept(true)"))
BOT = """
import json, sys
from pathlib import Path
from checkouts import NIGHT, Checkout, make_source
from pipeline.model import Edit, Patch
from pipeline.ports import PatchLimits
folder, edits = Path(sys.argv[1]), json.loads(sys.argv[2])
source = make_source(folder, Checkout(folder / "user", folder / "remote.git"))
source.prepare()
source.begin(NIGHT, source.base_head())
for number, (old, new) in enumerate(edits):
    patch = Patch(edits=(Edit("src/game/Map.cpp", old, new),))
    print(source.apply(patch, f"fix {number}\\n\\nRun: r{number}\\n", PatchLimits(), None).hash, flush=True)
    sys.stdin.readline()
"""


@dataclass(frozen=True)
class Work:
    folder: Path
    checkout: Checkout
    steps: Sequence[Step]
    said: Sequence[tuple[int, str]]
    # (look, the commit that was noted by then)

    @property
    def clone(self) -> Path:
        return self.folder / "state" / "source"


def record(folder: Path) -> Work:
    """Two fixes on a new night branch, the clone being there already."""
    checkout = make_checkout(folder)
    make_source(folder, checkout).prepare()
    said: list[tuple[int, str]] = []
    with Recorder(folder / "state") as recorder:
        ours = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        environment = {**os.environ, **recorder.environment, "PYTHONPATH": ours}
        bot = subprocess.Popen(
            [sys.executable, "-c", BOT, str(folder), json.dumps(EDITS)], env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert bot.stdin is not None and bot.stdout is not None
        with bot.stdin, bot.stdout:
            for line in bot.stdout:
                said.append((len(recorder.steps), line.strip()))
                bot.stdin.write("go on\n")
                bot.stdin.flush()
        assert bot.wait(60) == 0
    return Work(folder, checkout, recorder.steps, said)


def list_faults(work: Work, step: int, loss: Loss) -> list[str]:
    """What is broken of a clone after a power loss, when the bot starts again with what it had noted."""
    loss.write_to(work.folder / "state")
    noted = [commit for look, commit in work.said if look <= step]
    source = make_source(work.folder, work.checkout)
    try:
        source.prepare()
    except SourceUnusable as fault:
        return [f"the clone cannot be made again: {fault}"]
    faults = [f"{each[:7]} is gone" for each in noted if source.resolve(each) is None]
    if not faults and noted:
        source.restore(NIGHT, noted[-1])
        if git(work.clone, "status", "--porcelain") or git(work.clone, "rev-parse", "HEAD") != noted[-1]:
            faults.append("the work tree is not the commit")
    broken = git(work.clone, "fsck", "--connectivity-only", "--no-dangling", "HEAD") if not faults and noted else ""
    return [*faults, *([f"fsck: {broken}"] if broken else [])]
