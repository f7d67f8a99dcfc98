"""What a test began is gone when it is over, also where its processes start each other again."""

import subprocess
import sys
from pathlib import Path

import psutil
from invariants import end_processes, list_processes

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


def test_a_server_whose_keeper_starts_it_again_ends_with_its_keeper(tmp_path: Path) -> None:
    server = subprocess.Popen([sys.executable, "-c", LIVES], cwd=tmp_path)
    keeper = subprocess.Popen([sys.executable, "-c", WATCHES, str(server.pid)], cwd=tmp_path, stdout=subprocess.PIPE)
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == b"here\n"
    assert len(end_processes(tmp_path)) == 2
    assert list_processes(tmp_path) == []
    assert not {server.pid, keeper.pid} & {*psutil.pids()}
    keeper.stdout.close()


def test_nothing_of_another_folder_is_ended(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "ours").mkdir()
    with subprocess.Popen([sys.executable, "-c", LIVES], cwd=tmp_path / "other") as other:
        assert end_processes(tmp_path / "ours") == []
        assert psutil.pid_exists(other.pid)
        other.kill()
