"""What a rule is given, and what it gives back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from bot.demo.analyst.code import STEP, File, Function, Span
from bot.demo.analyst.request import Request
from bot.demo.analyst.tree import SourceTree


@dataclass(frozen=True)
class Place:
    """A frame of the stack in our own source."""

    function: Function
    line: Span  # what stands in it

    @property
    def code(self) -> str:
        return self.function.file.code[self.line.start : self.line.end]


@dataclass(frozen=True)
class Edit:
    file: File
    span: Span
    text: str  # what stands there instead


@dataclass(frozen=True)
class Finding:
    """A mistake that a rule has found, with its mend."""

    place: Function
    summary: str  # one sentence
    details: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class Case:
    request: Request
    tree: SourceTree

    @cached_property
    def frames(self) -> list[Place]:
        """Own ones, innermost first."""
        return list(self._find_frames())

    @property
    def places(self) -> list[Place]:
        """The innermost ones, one for each function."""
        return list({each.function: each for each in reversed(self.frames)}.values())[::-1]

    def _find_frames(self) -> Iterator[Place]:
        for frame in self.request.frames:
            file = self.tree.find_file(frame.file)
            function = file.find_function(frame.line) if file else None
            if file is not None and function is not None and function.name in frame.function:
                yield Place(function, file.get_line(frame.line))


Rule = Callable[[Case], "Finding | None"]


def surround(file: File, statement: Span, before: tuple[str, ...] = (), after: tuple[str, ...] = ()) -> Edit:
    """Statements put around one; braces too, where an `if` or a loop controls that one alone."""
    indent = file.indent_of(statement.start)
    head = file.code[: statement.start].rstrip()
    lines = (*before, file.text[statement.start : statement.end], *after)
    if not head.endswith(")") and not re.search(r"\belse$", head):
        return Edit(file, statement, f"\n{indent}".join(lines))
    if "\n" not in file.text[len(head) : statement.start]:
        return Edit(file, statement, f"{{ {' '.join(lines)} }}")
    outer = re.sub(r"(?:\t| {1,4})$", "", indent)
    block = "".join(f"{indent}{line}\n" for line in lines)
    begin = statement.start - len(indent)
    return Edit(file, Span(begin, statement.end), f"{outer}{{\n{block}{outer}}}")


def can_stand_under(file: File, statement: Span) -> bool:
    """Whether a condition may be put in front of it alone: no declaration, no assignment, no `return`, no `else` behind
    it that would go with another `if` then."""
    code = file.code[statement.start : statement.end]
    followed = re.compile(r"\s*else\b").match(file.code, statement.end)
    return followed is None and re.match(r"[^(]*[^=!<>]=[^=]|return\b", code) is None


def put_under(file: File, statement: Span, condition: str) -> Edit:
    """A statement that is carried out only if this holds."""
    indent = file.indent_of(statement.start)
    return Edit(file, statement, f"if ({condition})\n{indent}{STEP}{file.text[statement.start : statement.end]}")
