"""Plain names out of mangled ones, where nobody demangled them (glibc's backtrace_symbols, a debugger without symbols).

Only nested names are read, which is what a signature needs; anything with template arguments before the function's own
name is left as it stands. Sources: the Itanium C++ ABI, section 5.1; Microsoft's decorated names.
"""

from __future__ import annotations

import re

_LENGTH = re.compile(r"\d{1,4}")
_MICROSOFT = re.compile(r"\?(?P<special>\?0|\?1|\?_G|\?_E)?(?P<path>[A-Za-z_$][\w$]*(?:@[\w$?]+)*)@@")


def demangle(name: str) -> str:
    """`_ZN4Game3Map6UpdateEj` and `?Update@Map@Game@@QEAAXI@Z` are `Game::Map::Update`; what is not mangled stays."""
    if name.startswith(("_ZN", "_Z")):
        return _read_itanium(name) or name
    if name.startswith("?"):
        return _read_microsoft(name) or name
    return name


def _read_itanium(name: str) -> str | None:
    nested = name.startswith("_ZN")
    at = 3 if nested else 2
    while nested and name[at : at + 1] in tuple("KVrRO"):
        at += 1
    parts: list[str] = []
    while at < len(name) and (nested or not parts):
        part, at = _read_part(name, at, parts)
        if part is None:
            break
        parts.append(part)
    closed = not nested or name[at : at + 1] == "E"
    return "::".join(parts) if parts and closed else None


def _read_part(name: str, at: int, before: list[str]) -> tuple[str | None, int]:
    if length := _LENGTH.match(name, at):
        end = length.end() + int(length[0])
        return (name[length.end() : end], end) if end <= len(name) else (None, at)
    two = name[at : at + 2]
    if two == "St":
        return "std", at + 2
    if before and two in ("C1", "C2", "C3"):
        return before[-1], at + 2
    if before and two in ("D0", "D1", "D2"):
        return f"~{before[-1]}", at + 2
    return None, at


def _read_microsoft(name: str) -> str | None:
    found = _MICROSOFT.match(name)
    if found is None:
        return None
    parts = [part for part in found["path"].split("@") if not part.startswith("?")][::-1]
    if not parts:
        return None
    match found["special"]:
        case None:
            return "::".join(parts)
        case "?0":
            return "::".join([*parts, parts[-1]])
        case _:
            return "::".join([*parts, f"~{parts[-1]}"])
