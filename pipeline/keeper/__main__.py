"""`python -m pipeline.keeper --state-dir S --server-dir D`: the keeper in the foreground."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.keeper.folders import Folders
from pipeline.keeper.loop import EXIT_OTHER_KEEPER, Keeper
from pipeline.keeper.renewal import KeptByAnother, get_locks
from pipeline.keeper.server import raise_core_limit


def main(argv: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM, SIGINT or CTRL_BREAK: 0. 1 = the folders cannot be used, 3 = another keeper is at work."""
    arguments = _parse(argv)
    folders = Folders(state=arguments.state_dir.resolve(), server=arguments.server_dir.resolve())
    if not folders.server.is_dir():
        return _fail(f"{folders.server} is no folder", 1)
    try:
        folders.make()
        locks = get_locks(folders)
    except OSError as fault:
        return _fail(f"cannot use {folders.own}: {fault}", 1)
    except KeptByAnother as other:
        return _fail(str(other), EXIT_OTHER_KEEPER)
    folders.sweep()
    raise_core_limit()
    return Keeper(folders, locks, foreground=arguments.foreground).run()


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="spirit-healer keeper", description="Keeps the server of one folder running.")
    parser.add_argument("--state-dir", type=Path, required=True, help="the state folder, shared with the bot")
    parser.add_argument("--server-dir", type=Path, required=True, help="the folder the server runs in")
    parser.add_argument("--foreground", action="store_true", help="whoever starts it starts it again when it dies")
    return parser.parse_args(argv)


def _fail(text: str, code: int) -> int:
    if sys.stderr:
        sys.stderr.write(f"spirit-healer keeper: {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
