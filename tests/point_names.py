"""The fault points of the code, found in the code itself, so that no list can fall behind it."""

import ast
import re
from functools import cache
from pathlib import Path

import bot
import pipeline

ROOTS = tuple(Path(package.__file__ or "").parent for package in (bot, pipeline))


def list_points(below: str = "") -> list[str]:
    """Names in the order of files and lines; `*` stands for what is filled in when it is reached. `below` = a part of
    the path of the files to look at."""
    found = [name for path in list_sources() if below in path.as_posix() for name in _read(path)]
    return list(dict.fromkeys(found))


def list_sources() -> list[Path]:
    return [path for root in ROOTS for path in sorted(root.rglob("*.py"))]


def covers(name: str, reached: str) -> bool:
    """Whether a reached point is the one of this name."""
    return re.fullmatch(re.escape(name).replace(r"\*", ".+"), reached) is not None


@cache
def _read(path: Path) -> tuple[str, ...]:
    """Once for each file: most ask about all of them several times."""
    text = path.read_text(encoding="utf-8")
    nodes = ast.walk(ast.parse(text)) if "point(" in text else ()
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    return tuple(_spell(each.args[0]) for each in calls if isinstance(each.func, ast.Name) and each.func.id == "point")


def _spell(argument: ast.expr) -> str:
    if isinstance(argument, ast.JoinedStr):
        return "".join(str(each.value) if isinstance(each, ast.Constant) else "*" for each in argument.values)
    assert isinstance(argument, ast.Constant), "a fault point's name is written where it stands"
    return str(argument.value)
