"""What a visitor of the demo can do: crash the realm with a planted bug, answer as its analyst."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bot.demo.bugs import FixKind, PlantedBug, response
from bot.demo.world import PASSWORD, USER, DemoWorld
from pipeline.adapters.console import parse_console
from pipeline.errors import ConsoleUnavailable, DefiniteError
from pipeline.keeper.protocol import replace_file

NOTE = "world.json"


def leave_note(world: DemoWorld) -> None:
    """So that another terminal finds the realm by its folder."""
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(world).items()}
    replace_file(world.folder / NOTE, json.dumps(plain))


def find_world(folder: Path) -> DemoWorld:
    """The realm of a running demo. Raises DefiniteError."""
    try:
        plain = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise DefiniteError(f"no demo runs in {folder}: start one with `spirit-healer demo`") from fault
    values: dict[str, Any] = {name: Path(value) if isinstance(value, str) else value for name, value in plain.items()}
    return DemoWorld(**values)


def crash(world: DemoWorld, bug: PlantedBug) -> str:
    """Sets the bug off through the server's console; what it answered. Raises ConsoleUnavailable."""
    console = parse_console(f"soap://127.0.0.1:{world.soap_port}", USER, PASSWORD)
    if console is None:
        raise ConsoleUnavailable("the realm has no console")
    return console.execute(bug.command)


def find_request(world: DemoWorld, bug: PlantedBug) -> str | None:
    """The newest request about the crash of this bug that nobody answered yet."""
    folder = world.queue
    requests = sorted((folder / "requests").glob("request_*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in requests:
        plain = json.loads(path.read_text(encoding="utf-8"))
        name = bug.function.rsplit("::", 1)[-1]
        about = json.dumps([plain["crash"]["crash_function"], plain["signature"]])
        if name in about and not was_answered(folder, plain["request_id"]):
            return str(plain["request_id"])
    return None


def was_answered(folder: Path, request_id: str) -> bool:
    places = ("responses", "completed", "rejected")
    return any(True for place in places for _ in (folder / place).glob(f"response_{request_id}*.json"))


def answer(world: DemoWorld, bug: PlantedBug, request_id: str, kind: FixKind) -> float:
    """Writes the response under a temporary name and renames it; when, in seconds since the epoch."""
    folder = world.queue / "responses"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"response_{request_id}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(response(bug, request_id, kind), ensure_ascii=False), encoding="utf-8")
    at = time.time()
    temporary.replace(path)
    return at
