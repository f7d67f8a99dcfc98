"""The message of a commit of ours. Pure.

Summary and details are relayed from an analyst, who read logs that players write into: in them nothing may act as a
trailer, a mention, a reference that closes an issue, or an order to a CI.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

_SUBJECT = 72  # characters
_WIDTH = 76
_LONGEST_BODY = 4000
_TRAILER = re.compile(
    r"\s*[\w-]+\s*:(?!:)|\(cherry picked from|\s*This (?:reverts|brings back) commit|#|---|diff |>", re.I
)
_DIRECTIVE = re.compile(r"\[\s*(skip ci|ci skip|no ci|skip actions|actions skip|skip-checks)\s*\]", re.I)
_KINDS = {"fix": "fix", "revert": "revert", "merge": "chore"}


def commit_message(
    *,
    kind: str,
    summary: str,
    run: str,
    paths: Sequence[str] = (),
    details: str | None = None,
    signature: str | None = None,
    request_id: str | None = None,
) -> str:
    """`fix(scope): summary`, the details, and the trailers `Crash-Signature`, `Request-Id`, `Run`.

    kind: "fix", "revert" or "merge"; scope: the folder that the first of `paths` lies in.
    """
    trailers = (("Crash-Signature", signature), ("Request-Id", request_id), ("Run", run))
    subject = _subject(kind, summary, paths)
    parts = [
        subject,
        _body("" if subject.endswith(_one_line(summary, 1000).rstrip(".")) else summary, details),
        "\n".join(f"{name}: {_one_line(value, 200)}" for name, value in trailers if value),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def name_reverts(message: str, commits: Sequence[str], back: Sequence[str] = ()) -> str:
    """The message with git's own words for what it undoes, and ours for the merges that it makes anew, before the
    trailers; what was named already is not again."""
    undone = [words for commit in commits if (words := f"This reverts commit {commit}.") not in message]
    lines = [*undone, *(f"This brings back commit {commit}." for commit in back)]
    if not lines:
        return message
    *head, trailers = message.rstrip("\n").split("\n\n")
    return "\n\n".join([*head, "\n".join(lines), trailers]) + "\n"


def scope_of(paths: Sequence[str]) -> str | None:
    """`src/server/game/Handlers/X.cpp` -> `handlers`."""
    folders = [PurePosixPath(path.replace("\\", "/")).parent.name for path in paths[:1]]
    return re.sub(r"[^a-z0-9]+", "-", folders[0].lower()).strip("-")[:24] or None if folders else None


def _subject(kind: str, summary: str, paths: Sequence[str]) -> str:
    scope = scope_of(paths) if kind == "fix" else None
    head = f"{_KINDS[kind]}({scope}): " if scope else f"{_KINDS[kind]}: "
    text = _one_line(summary, 1000).rstrip(".") or "no summary was given"
    room = _SUBJECT - len(head)
    return head + (textwrap.shorten(text, room, placeholder=" …", break_on_hyphens=False).lstrip(" …") or text[:room])


def _body(summary: str, details: str | None) -> str:
    """The summary, where the subject had to cut it, and the details; every line of them is plain text."""
    parts = (_one_line(summary, 1000), (details or "")[:_LONGEST_BODY])
    text = "\n\n".join(part for part in parts if part.strip())
    return "\n".join(_quote(line) for line in _wrap(_plain(text))).strip("\n")


def _wrap(text: str) -> list[str]:
    lines: list[str] = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip(" ")))
        lines += textwrap.wrap(line, _WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [""]
    return lines


def _quote(line: str) -> str:
    return f"> {line}" if _TRAILER.match(line) else line


def _one_line(text: str, longest: int) -> str:
    return " ".join(_plain(text).split())[:longest]


def _plain(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    text = "".join(letter for letter in text if letter == "\n" or not unicodedata.category(letter).startswith("C"))
    text = _DIRECTIVE.sub(r"(\1)", text)
    return re.sub(r"@(?=\w)", "@ ", re.sub(r"#(?=\d)", "# ", text))
