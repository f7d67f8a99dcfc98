"""What a test began is gone when it is over, also where its processes start each other again."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from invariants import end_processes, list_processes

PATIENCE = 30.0  # seconds
LIVES = "import time; time.sleep(600)"
# Like a keeper that has adopted its server: older processes are listed, and ended, before it.
WATCHES = f"""
import psutil, subprocess, sys
server = psutil.Process(int(sys.argv[1]))
print("here", flush=True)
while True:
    server.wait()
    server = psutil.Popen([sys.executable, "-c", {LIVES!r}])
"""
Begin = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Begins a Python program in a folder. Whatever a test finds, none outlives it: who starts others ends first."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(folder: Path, *words: str) -> "subprocess.Popen[bytes]":
        begun.append(subprocess.Popen([sys.executable, "-c", *words], cwd=folder, stdout=subprocess.PIPE))
        return begun[-1]

    yield start
    for each in reversed(begun):
        with each:
            each.kill()
    for left in list_processes(tmp_path):
        left.kill()


def read_line(process: "subprocess.Popen[bytes]") -> bytes:
    """What it says first. Raises TimeoutError; it is ended then, so that nobody reads any more."""
    assert process.stdout is not None
    with ThreadPoolExecutor(1) as reader:
        line = reader.submit(process.stdout.readline)
        try:
            return line.result(PATIENCE)
        finally:
            if not line.done():
                process.kill()


def test_a_server_whose_keeper_starts_it_again_ends_with_its_keeper(tmp_path: Path, begin: Begin) -> None:
    server = begin(tmp_path, LIVES)
    keeper = begin(tmp_path, WATCHES, str(server.pid))
    assert read_line(keeper) == b"here\n"
    assert len(end_processes(tmp_path)) == 2
    assert list_processes(tmp_path) == []
    assert not {server.pid, keeper.pid} & {*psutil.pids()}


def test_nothing_of_another_folder_is_ended(tmp_path: Path, begin: Begin) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "ours").mkdir()
    other = begin(tmp_path / "other", LIVES)
    assert end_processes(tmp_path / "ours") == []
    assert other.poll() is None
