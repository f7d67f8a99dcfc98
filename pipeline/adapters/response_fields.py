"""Reading fields of a response that somebody else wrote: every type may be wrong, every text may be hostile."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from pipeline.errors import ResponseRejected

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")  # no file, database or pipe takes these

Fields = dict[str, Any]


def find_object(holder: Any, *keys: str) -> Fields:
    """The object under a path of keys; empty where there is none."""
    for key in keys:
        holder = holder.get(key) if isinstance(holder, dict) else None
    return holder if isinstance(holder, dict) else {}


def find_text(holder: Fields, key: str) -> str | None:
    """A text that matters to the letter (code, a diff). None where it is absent or blank; raises ResponseRejected."""
    value = holder.get(key)
    if value is None:
        return None
    return get_text(holder, key) if not isinstance(value, str) or value.strip() else None


def get_text(holder: Fields, key: str) -> str:
    """A text that has to be there, blank or not. Raises ResponseRejected."""
    value = holder.get(key)
    if not isinstance(value, str):
        raise ResponseRejected(f"`{key}` must be a text, not {describe(value)}")
    if _UNSTORABLE.search(value):
        raise ResponseRejected(f"`{key}` holds characters that no source file can hold (NUL, half a surrogate pair)")
    return value


def find_list(holder: Fields, key: str) -> list[Any]:
    """A list; empty where it is absent. Raises ResponseRejected."""
    value = holder.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ResponseRejected(f"`{key}` must be a list, not {describe(value)}")
    return value


def get_path(holder: Fields, key: str = "path") -> str:
    """A path with forward slashes. Whether it may be written to is for the policy to say."""
    path = get_text(holder, key).strip().replace("\\", "/")
    if not path:
        raise ResponseRejected(f"`{key}` is empty")
    return path


def first_plain(values: Iterable[Any], longest: int) -> str | None:
    """The first value that says something, as text for people, cut at `longest` characters."""
    for value in values:
        text = to_plain(value, longest)
        if text:
            return text
    return None


def first_line(values: Iterable[Any], longest: int) -> str | None:
    """Like `first_plain`, on one line: it ends up in titles and commit messages."""
    text = first_plain(values, longest)
    return None if text is None else " ".join(text.split())


def to_plain(value: Any, longest: int) -> str:
    """A text or a number without control characters; empty for everything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = value if isinstance(value, str) else _number(value)
    text = _CONTROL.sub("", text[: longest * 2]).strip()
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def _number(value: int | float) -> str:
    if (isinstance(value, float) and not math.isfinite(value)) or abs(value) > 1e15:
        return ""
    return f"{value:g}"


def find_line_number(value: Any) -> int | None:
    """A line of a source file, also where it came as text."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,7}", value, re.ASCII):
        value = int(value)
    known = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10_000_000
    return value if known else None


def describe(value: Any) -> str:
    """The type of a JSON value in words."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")
