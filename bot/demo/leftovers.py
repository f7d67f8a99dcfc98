"""What a demo leaves that was killed: its folder, its keeper, its server, its compilers. The next one clears it away.

A demo's folder says whose it is; as long as that process lives nobody touches it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil

from pipeline.adapters.children import end_marked
from pipeline.adapters.keeper_client import FileKeeper
from pipeline.keeper.foreign import list_marked, make_folder_id
from pipeline.keeper.memory import Who
from pipeline.keeper.process import end_all, is_alive
from pipeline.keeper.protocol import Want, parse_json, replace_file

PREFIX = "spirit-healer-demo-"
OWNER = "owner.json"
SERVER, STATE = "server", "state"  # folders of a demo
ENDING = 30.0  # seconds for the server and the keeper to end
LOOK = 0.05  # seconds between two looks


def make_folder() -> Path:
    """A new folder that says which process it belongs to."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    me = psutil.Process()
    replace_file(folder / OWNER, json.dumps({"pid": me.pid, "create_time": me.create_time()}))
    return folder


def clear() -> list[Path]:
    """Ends and removes what demos left that do not live any more; what it removed."""
    found = [each for each in sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")) if is_left(each)]
    for each in found:
        end_realm(each)
        remove(each)
    return [each for each in found if not each.exists()]


def is_left(folder: Path) -> bool:
    """Ours, and of a process that is gone."""
    try:
        if folder.is_symlink() or (sys.platform != "win32" and folder.stat().st_uid != os.getuid()):
            return False
        owner = parse_json((folder / OWNER).read_text(encoding="utf-8"))
        return not is_alive(Who(int(owner["pid"]), float(owner["create_time"])))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def end_realm(folder: Path) -> None:
    """Wishes the server down, waits for it, ends the keeper, and whatever else of this realm still runs."""
    server_dir, state_dir = folder / SERVER, folder / STATE
    keeper = FileKeeper(state_dir, server_dir)
    wished = keeper.desired()
    if wished is not None:
        keeper.wish(replace(wished, generation=wished.generation + 1, want=Want.STOPPED, by="demo", operator_stop=True))
    deadline = time.monotonic() + ENDING
    while is_up(keeper) and time.monotonic() < deadline:
        time.sleep(LOOK)
    observed = keeper.observed()
    if observed is not None and keeper.alive():
        end_process(observed.keeper_pid, deadline)
    end_marked(state_dir)
    strays = [each.who.pid for each in list_marked(make_folder_id(server_dir.resolve()))]
    end_all([psutil.Process(pid) for pid in strays if psutil.pid_exists(pid)])


def is_up(keeper: FileKeeper) -> bool:
    observed = keeper.observed()
    return keeper.alive() and observed is not None and observed.pid is not None


def end_process(pid: int, deadline: float) -> None:
    try:
        process = psutil.Process(pid)
        process.terminate()
        process.wait(max(1.0, deadline - time.monotonic()))
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        process.kill()


def remove(folder: Path) -> None:
    """The folder; its last file says whose it is, so that a kill meanwhile leaves it to the next one."""
    for each in folder.iterdir():
        if each.name != OWNER:
            shutil.rmtree(each, True) if each.is_dir() and not each.is_symlink() else each.unlink(missing_ok=True)
    shutil.rmtree(folder, True)
