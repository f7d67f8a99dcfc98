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
from realm import find_free_ports, shared_realm, wait_for, write_configuration

from bot.demo import leftovers
from pipeline.adapters.children import Child, mark_for
from pipeline.adapters.keeper_client import FileKeeper
from pipeline.keeper.protocol import Desired, ReadyRule, ServerState, Want

SECONDS = 30


@pytest.fixture(scope="module")
def program() -> Path:
    """A server; found before the folder for temporary files is another one."""
    return shared_realm().server


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


def test_a_killed_demos_keeper_and_server_are_ended(program: Path) -> None:
    dead = make_dead()
    server, (port,) = dead / leftovers.SERVER, find_free_ports(1)
    write_configuration(server, {"WorldServerPort": port, "Console.Enable": 0})
    keeper = FileKeeper(dead / leftovers.STATE, server)
    command = (str(program), "-c", "worldserver.conf")
    keeper.wish(Desired(1, Want.UP, "demo", "", str(server), command, ready=ReadyRule(port=port)))
    assert keeper.ensure()
    try:
        wait_for(lambda: is_ready(keeper), "the server to be ready")
        found = keeper.observed()
        assert found is not None and found.pid is not None
        realm = [psutil.Process(found.keeper_pid), psutil.Process(found.pid)]
        assert leftovers.clear() == [dead]
        assert psutil.wait_procs(realm, SECONDS)[1] == []
        assert not dead.exists()
    finally:
        leftovers.end_realm(dead)


def is_ready(keeper: FileKeeper) -> bool:
    seen = keeper.observed()
    return seen is not None and seen.state is ServerState.READY


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
