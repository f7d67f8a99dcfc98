"""The response: the mistake and its mend as a diff, or that no rule fits and what was looked at."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from bot.demo.analyst.case import Case, Edit, Finding
from bot.demo.analyst.code import File
from bot.demo.analyst.rules import RULES, find_mistake


def answer(case: Case) -> dict[str, object]:
    """The file protocol's JSON object (docs/analysts.md)."""
    finding = find_mistake(case)
    return abstain(case) if finding is None else propose(case, finding)


def propose(case: Case, finding: Finding) -> dict[str, object]:
    place = finding.place
    line = place.file.text.count("\n", 0, place.start) + 1
    return {
        "request_id": case.request.id,
        "crash_analysis": {
            "category": case.request.category,
            "severity": "HIGH",
            "crash_location": {"file": place.file.path, "line": line, "function": place.title},
            "root_cause": {"summary": finding.summary, "technical_details": finding.details},
        },
        "confidence": "medium",
        "patch": write_diff(finding.edits),
    }


def abstain(case: Case) -> dict[str, object]:
    looked_at = ", ".join(f"`{place.function.title}`" for place in case.places[:8])
    why = f"none of {len(RULES)} rules fits {looked_at}" if looked_at else "the stack names no line of this source"
    return {
        "request_id": case.request.id,
        "crash_analysis": {
            "category": case.request.category,
            "root_cause": {"summary": f"The example analyst proposes no change: {why}."},
        },
        "confidence": "none",
        "fix_content": f"No change is proposed: {why}. A person, or an analyst that understands code, has to look.",
    }


def write_diff(edits: Sequence[Edit]) -> str:
    files = dict.fromkeys(each.file for each in edits)
    return "".join(_diff(file, apply(file, edits)) for file in files)


def apply(file: File, edits: Sequence[Edit]) -> str:
    """The file's text with those of the edits that are about it."""
    text = file.text
    for edit in sorted((each for each in edits if each.file == file), key=lambda each: each.span.start, reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in file.text else text


def _diff(file: File, after: str) -> str:
    lines = difflib.unified_diff(
        file.text.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{file.path}", f"b/{file.path}"
    )
    ended = (each if each.endswith("\n") else f"{each}\n\\ No newline at end of file\n" for each in lines)
    return "".join(ended)
