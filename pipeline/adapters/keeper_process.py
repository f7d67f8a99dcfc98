"""Starting a keeper that outlives us, and telling whether one lives."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from pipeline.adapters.process_tree import MARK
from pipeline.keeper.protocol import SERVER_MARK

# What belongs to our own life alone: marks, and what a service manager gave to us.
_OURS = (MARK, SERVER_MARK, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "MAINPID")
_MOST_LOG = 5 << 20  # bytes, then the log is begun anew and the old one kept beside it
_ROOT = Path(__file__).resolve().parents[2]  # where the package `pipeline` lies

if sys.platform == "win32":
    # Its own console, so that CTRL_BREAK reaches the server and the end of our window does not.
    _FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NEW_CONSOLE

    def _spawn(argv: list[str], cwd: Path, env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Out of a job that would end it with us, where the job lets it."""
        try:
            return _open(argv, cwd, env, log, _FLAGS | subprocess.CREATE_BREAKAWAY_FROM_JOB, _hidden())
        except PermissionError:
            return _open(argv, cwd, env, log, _FLAGS, _hidden())

    def _hidden() -> subprocess.STARTUPINFO:
        info = subprocess.STARTUPINFO()
        info.dwFlags |= subprocess.STARTF_USESHOWWINDOW
        info.wShowWindow = subprocess.SW_HIDE
        return info

    def is_locked(path: Path) -> bool | None:
        """Whether somebody has the lock file open without sharing it; None where it cannot be told."""
        try:
            os.close(os.open(path, os.O_RDONLY))
        except FileNotFoundError:
            return False
        except PermissionError:
            return True
        except OSError:
            return None
        return False

else:
    import fcntl

    def _spawn(argv: list[str], cwd: Path, env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        return _open(argv, cwd, env, log, 0)

    def is_locked(path: Path) -> bool | None:
        """Whether somebody holds the lock; None where it cannot be told (another user's file).

        Looking takes a shared lock for some microseconds: lookers do not disturb each other, and a keeper that starts
        in just that moment is started again by `ensure`.
        """
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(handle, fcntl.LOCK_UN)  # at once, also for a copy of the handle in a child being started
        except BlockingIOError:
            return True
        except OSError:
            return None
        finally:
            os.close(handle)
        return False


def start_keeper(
    python: str, state_dir: Path, server_dir: Path, env: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """A keeper in its own session, with no handle of ours, its output appended to `log` where that can be written.
    Raises OSError."""
    argv = [python, "-P", "-m", "pipeline.keeper", "--state-dir", str(state_dir), "--server-dir", str(server_dir)]
    return _spawn(argv, state_dir if state_dir.is_dir() else server_dir, env, log)


def _open_log(path: Path) -> IO[bytes]:
    """With a full or read-only disk the null device: what a keeper says is worth less than a keeper."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > _MOST_LOG:
                path.replace(path.with_name(f"{path.name}.1"))
        return path.open("ab")
    except OSError:
        return Path(os.devnull).open("ab")


def keeper_environment(environ: Mapping[str, str], withhold: Iterable[str], platform: str) -> dict[str, str]:
    """Ours without settings, keys and marks, and such that `pipeline` is found from any folder."""
    fold = str.upper if platform == "win32" else str
    withheld = {fold(name) for name in (*withhold, *_OURS)}
    kept = {name: value for name, value in environ.items() if fold(name) not in withheld}
    if not _is_installed():
        kept["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    return kept


def _is_installed() -> bool:
    """Whether every interpreter of this environment finds us, or we run from a source folder."""
    return _ROOT.name in ("site-packages", "dist-packages")


def _open(
    argv: list[str], cwd: Path, env: Mapping[str, str], log: Path, flags: int, startup: Any = None
) -> subprocess.Popen[bytes]:
    with _open_log(log) as output:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            creationflags=flags,
            startupinfo=startup,
        )
