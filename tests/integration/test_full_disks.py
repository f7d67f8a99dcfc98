"""A state folder that cannot be written when the bot starts: the server comes up all the same, and it is said."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bare_realm import DEADLINE, ROOT, Realm
from small_disks import Fault, put_on

if sys.platform == "win32":
    pytest.fail("these tests mount POSIX file systems", pytrace=False)


@pytest.fixture
def realm(tmp_path: Path) -> Iterator[Realm]:
    made = Realm(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("before", ["a lock file", "no lock file"])
def test_invariant_13_world_disk_full_state_folder_or_a_read_only_one_keeps_no_server_down(
    realm: Realm, fault: Fault, before: str
) -> None:
    realm.leave_wish()
    if before == "a lock file":
        (realm.template / "instance.lock").touch()
    bot = realm.start_bot(fault)
    realm.wait(realm.list_servers, "a server")
    realm.wait(lambda: "cannot be written" in realm.output, "a word about it")
    assert bot.poll() is None, realm.output
    assert "Logging error" not in realm.output
    bot.terminate()
    assert bot.wait(DEADLINE) == 0, realm.output
    assert len(realm.list_servers()) == 1, "the end of the bot leaves the server running"


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("before", ["a lock file", "no lock file"])
def test_invariant_1_world_disk_read_only_or_full_lets_no_second_bot_in(
    tmp_path: Path, fault: Fault, before: str
) -> None:
    state, template = tmp_path / "state", tmp_path / "template"
    template.mkdir()
    if before == "a lock file":
        (template / "instance.lock").touch()
    done = subprocess.run(
        put_on(fault, state, template, [sys.executable, "-c", TWO_BOTS, str(state)]),
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert done.stdout.split() == [b"first", b"refused"], done.stderr.decode()


TWO_BOTS = """
import subprocess, sys
from pathlib import Path
from bot.lock import InstanceHeld, InstanceLock
lock = InstanceLock(Path(sys.argv[1]))
try:
    lock.acquire()
    print(*sys.argv[2:] or ["first"], flush=True)
    if not sys.argv[2:]:
        subprocess.run([*sys.orig_argv[:3], sys.argv[1], "second"], timeout=30)
except InstanceHeld:
    print("refused", flush=True)
"""
