"""What a visitor of the demo can do: crash the realm with a planted bug, answer as its analyst."""

from __future__ import annotations

import json
import time
from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bot.demo.bugs import FixKind, PlantedBug, find_bug_of, response
from bot.demo.world import PASSWORD, USER, DemoWorld
from pipeline.adapters.console import parse_console
from pipeline.errors import ConsoleUnavailable, DefiniteError
from pipeline.keeper.protocol import parse_json, replace_file

NOTE = "world.json"
PLACES = ("responses", "completed", "rejected")  # where an answer may lie


def leave_note(world: DemoWorld) -> None:
    """So that another terminal finds the realm by its folder."""
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(world).items()}
    replace_file(world.folder / NOTE, json.dumps(plain))


def find_world(folder: Path) -> DemoWorld:
    """The realm of a running demo. Raises DefiniteError."""
    try:
        plain = parse_json((folder / NOTE).read_text(encoding="utf-8"))
        values: dict[str, Any] = {name: Path(each) if isinstance(each, str) else each for name, each in plain.items()}
        return DemoWorld(**values)
    except (OSError, ValueError, TypeError, AttributeError) as fault:
        raise DefiniteError(f"no demo runs in {folder}: start one with `spirit-healer demo`") from fault


def crash(world: DemoWorld, bug: PlantedBug) -> str:
    """Sets the bug off through the server's console; what it answered. Raises ConsoleUnavailable."""
    console = parse_console(f"soap://127.0.0.1:{world.soap_port}", USER, PASSWORD)
    if console is None:
        raise ConsoleUnavailable("the realm has no console")
    return console.execute(bug.command)


@dataclass(frozen=True)
class OpenRequest:
    """A request that nobody answered yet."""

    id: str
    bug: PlantedBug | None
    # whose crash it is; None for a crash of something else
    readable: bool
    # whether there was a stack to tell it by
    signature: str = ""
    # of the crash
    abstained: bool = False
    # whether the example analyst looked at it and proposed nothing


def find_request(world: DemoWorld, bug: PlantedBug, proposed: Container[str] = ()) -> str | None:
    """The newest open one about this bug; one that could be about any if there is none. `proposed`: as below."""
    requests = list_requests(world, proposed)
    about = [each for each in requests if each.bug == bug] or [each for each in requests if not each.readable]
    return about[0].id if about else None


def list_requests(world: DemoWorld, proposed: Container[str] = ()) -> list[OpenRequest]:
    """Those that are open, newest first; `proposed`: those that take another answer."""
    open_ = [each for each in read_requests(world) if not was_answered(world.queue, each.id, proposed)]
    answers = {each.id: list_answers(world.queue, each.id) for each in open_}
    return [replace(each, abstained=_is_abstained(answers[each.id])) for each in open_]


def read_requests(world: DemoWorld) -> list[OpenRequest]:
    """All that were ever asked, newest first."""
    paths = sorted(
        (world.queue / "requests").glob("request_*.json"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    return [read_request(parse_json(path.read_text(encoding="utf-8"))) for path in paths]


def read_request(plain: dict[str, Any]) -> OpenRequest:
    functions = [str(frame).split(" at ")[0] for frame in plain["crash"]["call_stack"]]
    signature = str(plain.get("signature") or "")
    return OpenRequest(str(plain["request_id"]), find_bug_of(functions), bool(functions), signature)


def was_answered(folder: Path, request_id: str, proposed: Container[str] = ()) -> bool:
    """By a change: whoever proposes none leaves it to the next one, and so does a change that waits for a person."""
    places = ("responses",) if request_id in proposed else PLACES
    return not all(map(is_abstention, list_answers(folder, request_id, places)))


def _is_abstained(answers: list[Path]) -> bool:
    return bool(answers) and all(map(is_abstention, answers))


def list_answers(folder: Path, request_id: str, places: Sequence[str] = PLACES) -> list[Path]:
    names = (f"response_{request_id}.json", f"response_{request_id}.*.json")
    return [each for place in places for name in names for each in (folder / place).glob(name)]


def find_written(folder: Path, request_id: str) -> float | None:
    """When its last answer was written, in seconds since the epoch. None = there is none, or it was moved at this very
    moment: who waits for it looks again."""
    try:
        return max((each.stat().st_mtime for each in list_answers(folder, request_id)), default=None)
    except FileNotFoundError:
        return None


def is_abstention(response: Path) -> bool:
    try:
        return "fix_content" in parse_json(response.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):  # half written, or moved meanwhile
        return False


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
