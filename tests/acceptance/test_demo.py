"""The demo as a user starts it: a process of its own, in an empty folder, with nothing configured."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline.adapters.gdb import find_gdb

ROOT = Path(__file__).parents[2]
CLEAN = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT", "TEMP") if name in os.environ}


@pytest.mark.timeout(420)
def test_the_demo_heals_one_crash(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SOURCE_DIR=/nonexistent\nAPPROVAL=never\n", encoding="utf-8")  # must be ignored
    (tmp_path / "temporary").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "bot", "demo", "--once", "--json"],
        cwd=tmp_path,
        env={
            **CLEAN,
            "TMPDIR": str(tmp_path / "temporary"),
            "PYTHONPATH": os.pathsep.join([str(lay_out(tmp_path / "installed")), *sys.path]),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
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
    assert not list((tmp_path / "temporary").glob("spirit-healer-demo-*")), "the demo left its realm behind"


def lay_out(folder: Path) -> Path:
    """What a wheel installs, far from the checkout: nothing that lies beside it is found by accident."""
    for source, place in (("bot", "bot"), ("pipeline", "pipeline"), ("alembic", "pipeline/migrations")):
        shutil.copytree(ROOT / source, folder / place, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.timeout(420)
def test_a_demo_that_was_killed_is_cleared_away_by_the_next_one(tmp_path: Path) -> None:
    environment = {**CLEAN, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path), "SANDBOX_PORT": "no"}
    command = [sys.executable, "-m", "bot", "demo"]
    killed = subprocess.Popen(
        command, cwd=tmp_path, env={**environment, "SANDBOX_PORT": "0"}, stdout=subprocess.PIPE, text=True
    )
    assert killed.stdout is not None
    while "The realm is up" not in (line := killed.stdout.readline()):
        assert line, "the demo ended by itself"
    (left,) = tmp_path.glob("spirit-healer-demo-*")
    killed.kill()
    killed.communicate(timeout=30)
    assert list_in(left), "the keeper and the server outlive it"
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout.startswith(f"Cleared away what an earlier demo has left in {left}.")
    assert not list(tmp_path.glob("spirit-healer-demo-*")) and list_in(left) == []


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
