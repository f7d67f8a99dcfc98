"""C++ as text, as far as the rules need it: functions, classes, statements, and what controls them.

No parser: comments, strings and the preprocessor's lines are blanked, and braces are counted. What that cannot tell is
not found, and a rule that does not find its pattern changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_NOISE = re.compile(
    r"//[^\n]*|/\*.*?\*/"
    r"|^[ \t]*\#(?:\\\r?\n|[^\n])*"
    r'|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'",
    re.DOTALL | re.MULTILINE,
)
_FUNCTION = re.compile(
    r"(?P<name>(?:\w+::)*~?\w+)\s*\((?P<params>[^;{}]{0,2000}?)\)\s*(?:(?:const|noexcept|override|final)\s*)*"
    r"(?::[^:;{}][^;{}]*)?\{"
)
_CLASS = re.compile(r"\b(?:class|struct)\s+(?P<name>\w+)\s*(?:final\s*)?(?::[^;{()]*)?\{")
_MEMBER = re.compile(r"(?P<type>[A-Za-z_][\w:<>,\s*&]*?[\s*&>])(?P<name>\w+)\s*(?:=[^;()]*)?$")
_KEYWORDS = frozenset({"if", "for", "while", "switch", "catch", "return", "sizeof", "do", "else", "new", "throw"})
_CLOSING = {"(": ")", "{": "}", "[": "]"}
STEP = "    "  # of indentation


@dataclass(frozen=True)
class Span:
    """From `start` up to `end`, in characters of its file."""

    start: int
    end: int

    def holds(self, at: int) -> bool:
        return self.start <= at < self.end


@dataclass(frozen=True)
class Function:
    file: File
    name: str  # without its class
    owner: str | None  # its class
    start: int  # of the name, as qualified as it stands there
    params: Span  # between the parentheses
    body: Span  # between the braces

    @property
    def title(self) -> str:
        return f"{self.owner}::{self.name}" if self.owner else self.name

    @property
    def text(self) -> str:
        """The body without comments and strings."""
        return self.file.code[self.body.start : self.body.end]

    @property
    def is_destructor(self) -> bool:
        return self.name.startswith("~")

    @property
    def returns_nothing(self) -> bool:
        head = re.split(r"[;{}]", self.file.code[: self.start])[-1]
        return self.is_destructor or self.name == self.owner or re.search(r"\bvoid\s*$", head) is not None

    def list_params(self) -> list[str]:
        """Their names."""
        parts = split_arguments(self.file.code[self.params.start : self.params.end], "([{<)]}>")
        return [found[0] for each in parts if (found := re.search(r"\w+(?=\s*(?:=.*)?$)", each))]


@dataclass(frozen=True)
class Member:
    type: str
    name: str


@dataclass(frozen=True)
class Class:
    file: File
    name: str
    body: Span

    def list_members(self) -> list[Member]:
        """Its variables, in the order of their declaration."""
        flat = blank_blocks(self.file.code[self.body.start : self.body.end])
        statements = (re.sub(r"\b(?:public|private|protected)\s*:", " ", each).strip() for each in flat.split(";"))
        found = (_MEMBER.fullmatch(each) for each in statements if "(" not in each)
        return [Member(each["type"].strip(), each["name"]) for each in found if each]


@dataclass(frozen=True, eq=False)
class File:
    path: str  # within the repository
    text: str

    @cached_property
    def code(self) -> str:
        """The text with blanks for comments, strings and the preprocessor's lines, each place where it was."""
        return _NOISE.sub(lambda noise: re.sub(r"[^\n]", " ", noise[0]), self.text)

    @cached_property
    def classes(self) -> list[Class]:
        found = _CLASS.finditer(self.code)
        return [Class(self, each["name"], Span(each.end(), self.find_end(each.end() - 1))) for each in found]

    @cached_property
    def functions(self) -> list[Function]:
        return [self._make_function(each) for each in _FUNCTION.finditer(self.code) if each["name"] not in _KEYWORDS]

    def _make_function(self, found: re.Match[str]) -> Function:
        owner, _, name = found["name"].rpartition("::")
        around = [each.name for each in self.classes if each.body.holds(found.start())]
        body = Span(found.end(), self.find_end(found.end() - 1))
        last = owner.rpartition("::")[2] or (around[-1] if around else None)
        return Function(self, name, last, found.start(), Span(*found.span("params")), body)

    def find_function(self, line: int) -> Function | None:
        """The innermost one that has something in that line."""
        span = self.get_line(line)
        around = [each for each in self.functions if each.start < span.end and each.body.end >= span.start]
        return around[-1] if around else None

    def get_line(self, number: int) -> Span:
        """Without its end; empty at the file's end where there are fewer."""
        lines = self.text.splitlines(keepends=True)
        start = sum(map(len, lines[: number - 1]))
        return Span(start, start + len(lines[number - 1].rstrip("\r\n")) if number <= len(lines) else start)

    def find_end(self, opening: int) -> int:
        """Of a brace or parenthesis, its partner; the file's end where it has none."""
        begin = self.code[opening]
        depth = 0
        for found in re.compile(rf"[{re.escape(begin + _CLOSING[begin])}]").finditer(self.code, opening):
            depth += 1 if found[0] == begin else -1
            if depth == 0:
                return found.start()
        return len(self.code)

    def indent_of(self, at: int) -> str:
        start = self.text.rfind("\n", 0, at) + 1
        line = self.text[start:]
        return line[: len(line) - len(line.lstrip(" \t"))]


# --- statements ------------------------------------------------------------------------------------------------------


def find_statement(file: File, at: int) -> Span:
    """The simple statement around a place, without what controls it: up to its own `;`."""
    end = file.code.find(";", at) + 1 or len(file.code)
    start = _find_border(file.code, at)
    while (head := _find_head(file, start, at)) is not None:
        start = head
    return Span(start + len(file.code[start:end]) - len(file.code[start:end].lstrip()), end)


def _find_border(code: str, at: int) -> int:
    """Behind the last `;`, `{` or `}` in front of a place; those in the head of a `for` are none."""
    depth = 0
    for place in range(at - 1, -1, -1):
        depth += (code[place] == ")") - (code[place] == "(")
        if depth <= 0 and code[place] in ";{}":
            return place + 1
    return 0


def _find_head(file: File, start: int, at: int) -> int | None:
    """Behind `if (…)`, `for (…)`, `while (…)` or `else`, where one begins at `start` and ends in front of `at`."""
    found = re.compile(r"\s*(?:else\b(?!\s*if\b)|(?:else\s+)?(?:if|for|while)\s*(?P<open>\())").match(file.code, start)
    if found is None:
        return None
    end = found.end() if found["open"] is None else file.find_end(found.start("open")) + 1
    return end if end <= at else None


@dataclass(frozen=True)
class Control:
    """`if`, `for` or `while` with what it controls."""

    word: str
    start: int  # of the word
    condition: Span  # between the parentheses
    body: Span  # a block without its braces, or one statement
    braced: bool


def list_controls(function: Function) -> Iterator[Control]:
    """Outer ones first."""
    file = function.file
    for found in re.compile(r"\b(if|for|while)\s*(\()").finditer(file.code, function.body.start, function.body.end):
        end = file.find_end(found.start(2))
        after = re.compile(r"\s*").match(file.code, end + 1)
        begin = after.end() if after else end + 1
        braced = file.code.startswith("{", begin)
        body = Span(begin + 1, file.find_end(begin)) if braced else Span(begin, _find_single_end(file, begin))
        yield Control(found[1], found.start(), Span(found.end(2), end), body, braced)


def _find_single_end(file: File, begin: int) -> int:
    """Of one statement without braces of its own, which may itself control others."""
    head = _find_head(file, begin, len(file.code))
    while head is not None:
        begin, head = head, _find_head(file, head, len(file.code))
    rest = re.compile(r"\s*").match(file.code, begin)
    at = rest.end() if rest else begin
    if file.code.startswith("{", at):
        return file.find_end(at) + 1
    return file.code.find(";", at) + 1 or len(file.code)


def split_arguments(text: str, brackets: str = "([{)]}") -> list[str]:
    """At the commas that stand in no bracket; `<` and `>` are some in parameters, and none in arguments."""
    parts, depth, opening = [""], 0, brackets[: len(brackets) // 2]
    for each in text:
        depth += (each in opening) - (each in brackets and each not in opening)
        if each == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += each
    return [each.strip() for each in parts if each.strip()]


def blank_blocks(code: str) -> str:
    """Code with each block `{…}` as one `;`: what is left is what stands on the outermost level."""
    kept, depth = [], 0
    for each in code:
        depth += each == "{"
        if depth == 0:
            kept.append(each)
        if each == "}":
            depth -= 1
            kept.append(";" if depth == 0 else "")
    return "".join(kept)
