"""A SERVER_COMMAND that is a script: who stands between the keeper and the server, and what a new build replaces."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from bot import realm
from bot.doctor.finding import Finding, fail, ok, warn
from bot.settings import Settings

_MOST = 256 << 10  # bytes that are read of a script
_COMMENTS = re.compile(r"(?:^|(?<=\s))#.*")
_EXEC = re.compile(r"(?:^|[;&|]|\b(?:then|else|do))\s*exec\s+(?!\d*[<>&])", re.MULTILINE)  # not `exec >log`
_LOOP = re.compile(r"^\s*(?:while|until|for)\b", re.MULTILINE)


def check_script(settings: Settings) -> Iterator[Finding]:
    script = realm.find_script(settings)
    if script is None:
        return
    try:
        text = script.read_bytes()[:_MOST].decode(errors="replace")
    except OSError:
        return  # that it cannot be read is said of the program
    yield judge_script(script.name, text, sys.platform)
    yield _judge_target(settings, script)


def judge_script(name: str, text: str, platform: str) -> Finding:
    bare = _COMMENTS.sub("", text)
    if platform == "win32":
        return warn(
            "SERVER_COMMAND",
            f"{name} stands between the keeper and the server: a stop may not reach it, and its exit code may be lost",
            "name worldserver.exe itself in SERVER_COMMAND, and its variables in SERVER_ENV",
        )
    if _EXEC.search(bare):
        return ok("SERVER_COMMAND", f"{name} becomes the server (`exec`)")
    if _LOOP.search(bare):
        return warn(
            "SERVER_COMMAND",
            f"{name} has a loop: where it starts the server again, two look after it",
            "name the server itself in SERVER_COMMAND: restarting is the keeper's work",
        )
    return warn(
        "SERVER_COMMAND",
        f"{name} starts the server without `exec`: a shell stays above it, and what it says of a crash is all we get",
        "write `exec` before the command that starts the server, or name the server itself",
    )


def _judge_target(settings: Settings, script: Path) -> Finding:
    """A build replaces the program that the script starts, never the script."""
    below = realm.program_below_server(settings)
    target = settings.server_dir.resolve() / below
    if target == script:
        return fail(
            "SERVER_COMMAND",
            f"{script.name} is a script with the server's own name: the first new build would replace it",
            "give the script another name, and the server its own",
        )
    if target.is_file():
        return ok("SERVER_COMMAND", f"a new build replaces {below}, which {script.name} has to start")
    return fail(
        "SERVER_COMMAND",
        f"{script.name} is a script, and SERVER_DIR has no {below} that a new build could replace",
        "let the script start that program, or name the server itself",
    )
