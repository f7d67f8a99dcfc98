"""One instance per state folder, by the kernel's word: real processes hold it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import pytest

from bot.app import hold_shared_folders
from bot.lock import InstanceHeld, InstanceLock
from bot.settings import Settings

SECONDS = 30
HOLD = """
import subprocess, sys
from pathlib import Path
from bot.lock import InstanceLock

lock = InstanceLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
if sys.argv[2:]:
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], close_fds=False)
    print(child.pid, flush=True)
    child.wait()
sys.stdin.read()
"""


@contextmanager
def another_bot(state: Path, *, child: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock of a state folder; with a child of its own it also tells that one's pid."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state), *(["child"] if child else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert read_line(holder) == b"held"
        yield holder
    finally:
        holder.kill()
        holder.communicate(timeout=SECONDS)


def read_line(holder: subprocess.Popen[bytes]) -> bytes:
    assert holder.stdout is not None
    return holder.stdout.readline().strip()


def test_world_two_bots_and_the_second_is_refused_and_the_first_named(tmp_path: Path) -> None:
    with another_bot(tmp_path) as holder:
        with pytest.raises(InstanceHeld) as caught:
            InstanceLock(tmp_path).acquire()
        assert str(caught.value) == (f"another bot works on {tmp_path}: process {holder.pid} on {socket.gethostname()}")


def test_fault_a9_the_lock_is_free_at_once_when_its_holder_is_killed(tmp_path: Path) -> None:
    with another_bot(tmp_path) as holder:
        holder.kill()
        holder.wait(SECONDS)
        lock = InstanceLock(tmp_path)
        lock.acquire()
        assert lock.holder() == f"process {os.getpid()} on {socket.gethostname()}"
        lock.release()


def test_the_lock_is_not_kept_by_the_children_of_its_holder(tmp_path: Path) -> None:
    with another_bot(tmp_path, child=True) as holder:
        child = psutil.Process(int(read_line(holder)))
        holder.kill()
        holder.wait(SECONDS)
        lock = InstanceLock(tmp_path)
        lock.acquire()
        lock.release()
        assert child.is_running(), "it lives until our end of its stdin is closed"
    child.wait(SECONDS)


def test_two_state_folders_are_two_bots(tmp_path: Path) -> None:
    with another_bot(tmp_path / "one"):
        lock = InstanceLock(tmp_path / "two")
        lock.acquire()
        lock.release()


@pytest.mark.parametrize("note", ["", "{", "[]", '"pid"', "{}", "\0\0"])
def test_a_note_alone_holds_nothing_and_a_broken_one_hinders_nobody(tmp_path: Path, note: str) -> None:
    (tmp_path / "instance.json").write_text(note, encoding="utf-8")
    (tmp_path / "instance.lock").touch()
    lock = InstanceLock(tmp_path)
    assert lock.holder() == "it left no note of itself"
    lock.acquire()
    assert json.loads((tmp_path / "instance.json").read_text(encoding="utf-8"))["pid"] == os.getpid()
    lock.release()


def test_a_holder_without_a_note_is_refused_all_the_same(tmp_path: Path) -> None:
    with another_bot(tmp_path):
        (tmp_path / "instance.json").unlink()
        with pytest.raises(InstanceHeld, match="it left no note of itself"):
            InstanceLock(tmp_path).acquire()


def test_fault_a9_a_note_of_a_process_that_is_gone_names_nobody(tmp_path: Path) -> None:
    with another_bot(tmp_path) as holder:
        note = json.loads((tmp_path / "instance.json").read_text(encoding="utf-8"))
        (tmp_path / "instance.json").write_text(json.dumps({**note, "create_time": note["create_time"] - 100.0}))
        assert InstanceLock(tmp_path).holder() == "it left no note of itself", f"{holder.pid} is another one by now"


if sys.platform != "win32":  # Windows locks no folders

    def test_a_bot_that_could_make_no_lock_file_refuses_the_next_one_that_can(tmp_path: Path) -> None:
        (tmp_path / "instance.lock").mkdir()  # as little to be opened for writing as on a full disk
        with another_bot(tmp_path):
            (tmp_path / "instance.lock").rmdir()
            with pytest.raises(InstanceHeld):
                InstanceLock(tmp_path).acquire()
        InstanceLock(tmp_path).acquire()

    def test_a_lock_whose_note_cannot_be_written_is_held_all_the_same(tmp_path: Path) -> None:
        (tmp_path / "instance.json").mkdir()
        lock = InstanceLock(tmp_path)
        lock.acquire()
        assert lock.unwritten is not None
        (tmp_path / "instance.json").rmdir()
        lock.write_note()
        assert lock.unwritten is None
        assert lock.holder() == f"process {os.getpid()} on {socket.gethostname()}"
        lock.release()


def test_the_note_says_when_its_process_was_created(tmp_path: Path) -> None:
    with another_bot(tmp_path) as holder:
        note = json.loads((tmp_path / "instance.json").read_text(encoding="utf-8"))
        assert note["create_time"] == psutil.Process(holder.pid).create_time()


@pytest.mark.parametrize("name", ["ANALYST_QUEUE_DIR", "BUILD_DIR"])
def test_a_folder_of_two_realms_is_refused_by_the_name_of_its_setting(tmp_path: Path, name: str) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    folders = {"ANALYST_QUEUE_DIR": mine, "BUILD_DIR": tmp_path / "own", name: theirs}
    settings = SimpleNamespace(analyst_queue_dir=folders["ANALYST_QUEUE_DIR"], build_dir=folders["BUILD_DIR"])
    with another_bot(theirs) as holder:
        with pytest.raises(InstanceHeld) as caught:
            hold_shared_folders(cast(Settings, settings))
        assert str(caught.value) == (
            f"{name}: another bot works on {theirs}: process {holder.pid} on {socket.gethostname()}; "
            "give each realm a folder of its own"
        )
    held = hold_shared_folders(cast(Settings, settings))
    assert len(held) == 2
    for each in held:
        each.release()
