"""A demo that was killed: the next one ends what still runs and removes its folder, and touches nobody else's."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bot.demo import leftovers
from pipeline.adapters.children import Child, mark_for

SECONDS = 30


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path


def make_dead() -> Path:
    """A demo's folder whose process is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    born = psutil.Process(process.pid).create_time()
    process.wait(SECONDS)
    made = leftovers.make_folder()
    for name in (leftovers.SERVER, leftovers.STATE):
        (made / name).mkdir()
    (made / leftovers.OWNER).write_text(json.dumps({"pid": process.pid, "create_time": born}), encoding="utf-8")
    return made


def test_a_killed_demos_folder_and_its_compilers_are_gone() -> None:
    dead = make_dead()
    child = Child.start(
        [sys.executable, "-c", "import time; time.sleep(100)"],
        cwd=dead,
        output=None,
        what=mark_for(dead / leftovers.STATE, "demo"),
        on_started=lambda *_: None,
    )
    assert leftovers.clear() == [dead]
    assert child.wait(SECONDS) != 0
    assert not dead.exists()


def test_a_demo_that_lives_and_a_folder_of_somebody_elses_are_left_alone(folder: Path) -> None:
    living = leftovers.make_folder()
    (folder / f"{leftovers.PREFIX}unknown").mkdir()
    if hasattr(os, "symlink") and sys.platform != "win32":
        (folder / f"{leftovers.PREFIX}link").symlink_to(make_dead())
        assert len(leftovers.clear()) == 1
    assert leftovers.clear() == []
    assert living.is_dir()


def test_a_removal_that_was_killed_leaves_it_to_the_next_one() -> None:
    dead = make_dead()
    for name in (leftovers.SERVER, leftovers.STATE):
        (dead / name).rmdir()
    assert leftovers.clear() == [dead]
