"""The demo as a user starts it: a process of its own, in an empty folder, with nothing configured."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.adapters.gdb import find_gdb

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "bot", "demo"]
LOOK = 0.1  # seconds between two looks
CLEAN = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT", "TEMP") if name in os.environ}


@pytest.mark.timeout(420)
def test_the_demo_clears_away_one_that_was_killed_and_heals_one_crash(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SOURCE_DIR=/nonexistent\nAPPROVAL=never\n", encoding="utf-8")  # must be ignored
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {
        **CLEAN,
        "TMPDIR": str(temporary),
        "PYTHONPATH": os.pathsep.join([str(lay_out(tmp_path / "installed")), *sys.path]),
    }
    left = kill_demo_that_builds(tmp_path, environment)
    done = subprocess.run(
        [*COMMAND, "--once", "--json"],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.stderr.startswith(f"Cleared away what an earlier demo has left in {left}."), done.stderr
    assert not left.exists() and list_in(left) == []
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done.stdout + done.stderr
    outcome = json.loads(lines[0])
    assert outcome["healed"] is True, done.stderr
    assert done.returncode == 0
    assert outcome["pushed"] is True
    assert outcome["server"]["revision"] == outcome["commit"][:12]
    assert [stage["stage"] for stage in outcome["stages"]] == [
        "ANALYZING",
        "READY",
        "PATCHING",
        "BUILDING",
        "PUBLISHING",
        "AWAITING_DEPLOYMENT",
        "DEPLOYING",
        "VERIFYING",
    ]
    assert outcome["messages"] >= 4
    assert ("A prepared answer stands in" in done.stderr) == (find_gdb() is None), "healed by the example analyst"
    assert not list(temporary.glob("spirit-healer-demo-*")), "the demo left its realm behind"


def lay_out(folder: Path) -> Path:
    """What a wheel installs, far from the checkout: nothing that lies beside it is found by accident."""
    for source, place in (("bot", "bot"), ("pipeline", "pipeline"), ("alembic", "pipeline/migrations")):
        shutil.copytree(ROOT / source, folder / place, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def kill_demo_that_builds(folder: Path, environment: dict[str, str]) -> Path:
    """kill -9 in the midst of its first build; the folder that it leaves. How keeper and server of one are ended that
    was up is test_demo_leftovers.py's to show."""
    killed = subprocess.Popen(COMMAND, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    place = Path(environment["TMPDIR"])
    while not any(place.glob("spirit-healer-demo-*/build/**/worldserver.dir/**/*.o")):
        assert killed.poll() is None, "the demo ended by itself"
        time.sleep(LOOK)
    (left,) = place.glob("spirit-healer-demo-*")
    killed.kill()
    killed.wait(30)
    assert list_in(left), "the compilers outlive it"
    return left


def list_in(folder: Path) -> list[int]:
    """Processes that work in a folder, be it removed or not."""
    found = []
    for each in psutil.process_iter():
        try:
            if str(folder) in " ".join([each.cwd(), *each.cmdline()]):
                found.append(each.pid)
        except psutil.Error:
            continue
    return found
