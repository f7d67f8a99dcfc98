"""Responses of analysts, in all shapes that exist in the field, as one `Response` (DESIGN, "file protocol").

Pure: bytes in, a value or `ResponseRejected` out. Of several shapes in one response the most exact one counts:
`patch`, `edits`, whole files (A), before and after (B), prose (C). Whatever is not needed is ignored.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

from pipeline.adapters.response_fields import (
    Fields,
    describe,
    find_line_number,
    find_list,
    find_object,
    find_text,
    first_line,
    first_plain,
    get_path,
    get_text,
)
from pipeline.errors import ResponseRejected
from pipeline.model import Analysis, Edit, Patch, Response, WholeFile

MOST_BYTES = 5 << 20  # a larger response is refused unread
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,119}", re.ASCII)
_NAME = re.compile(r"response_(.+)\.json", re.IGNORECASE | re.DOTALL)
TEMPORARY = (".tmp", ".part", ".partial", ".crdownload", ".swp", ".lock", ".new", ".bak", "~")  # of names of files
_FENCE = re.compile(r"\s*```[^\n`]*\n(.*?)\n?```\s*", re.DOTALL)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_PLACE = re.compile(r"(?P<file>[^\n]+?):(?P<line>\d{1,7})(?!\d)", re.ASCII)
_WORD, _LINE, _TEXT, _PROSE = 200, 2_000, 20_000, 50_000  # characters at the most

Found = tuple[str, Patch]  # shape, patch


class Unfinished(ResponseRejected):
    """It cannot be read as JSON (yet): whoever writes it in place may still be writing."""


def parse_response(raw: bytes, filename: str) -> Response:
    """The response in a file of that name. Raises ResponseRejected, Unfinished where more bytes could mend it."""
    return interpret(read_object(raw), filename)


def is_request_id(text: str) -> bool:
    """Whether a text can be an id: part of a file name on any system, and of nothing else."""
    return _ID.fullmatch(text) is not None


def find_request_id(filename: str) -> str | None:
    """The id in `response_<id>.json`."""
    match = _NAME.fullmatch(filename)
    return match[1] if match and is_request_id(match[1]) else None


def is_misnamed(filename: str) -> bool:
    """Whether a file was meant as a response under a name that is none. Temporary names are nobody's response yet."""
    name = filename.lower()
    if name.startswith(".") or name.endswith(TEMPORARY) or find_request_id(filename) is not None:
        return False
    return name.endswith(".json") or name.startswith("response")


def read_object(raw: bytes) -> Fields:
    """The JSON object in a file. Raises Unfinished, or ResponseRejected where it is too large."""
    if len(raw) > MOST_BYTES:
        raise ResponseRejected(too_large(len(raw)))
    try:
        plain = json.loads(_decode(raw))
    except UnicodeDecodeError as fault:
        raise Unfinished(f"it is not valid UTF-8 (byte {fault.start})") from None
    except RecursionError:
        raise ResponseRejected("it is nested too deeply") from None
    except ValueError as fault:
        raise Unfinished(f"it is not valid JSON: {str(fault)[:_WORD]}") from None
    if not isinstance(plain, dict):
        raise Unfinished(f"it must be a JSON object, not {describe(plain)}")
    return plain


def too_large(size: int) -> str:
    return f"it is too large: {size / (1 << 20):.1f} MB, at most {MOST_BYTES >> 20} MB are read"


def interpret(plain: Fields, filename: str) -> Response:
    """The response in an object. Raises ResponseRejected."""
    request_id = _get_request_id(plain, filename)
    analysis = read_analysis(plain)
    found = _find_change(plain, analysis)
    if found is not None:
        return Response(request_id, analysis, patch=found[1], shape=found[0])
    prose = _find_prose(plain, analysis)
    if prose is None:
        raise ResponseRejected("it holds neither a change nor an explanation")
    return Response(request_id, analysis, prose=prose, shape="C")


def _decode(raw: bytes) -> str:
    """UTF-8 with or without a mark; UTF-16 where its mark says so (a PowerShell redirection writes that)."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16")
    return raw.decode("utf-8-sig")


def _get_request_id(plain: Fields, filename: str) -> str:
    named = find_request_id(filename)
    if named is None:
        raise ResponseRejected("its name must be `response_<id>.json`, the id of letters, digits, `.`, `_` and `-`")
    inside = named if plain.get("request_id") is None else get_text(plain, "request_id")
    if not is_request_id(inside):
        raise ResponseRejected("its `request_id` may hold only letters, digits, `.`, `_` and `-`")
    if inside != named:
        raise ResponseRejected(f"its `request_id` is `{inside}`, its file is named for `{named}`")
    return inside


# --- the change ------------------------------------------------------------------------------------------------------


def _find_change(plain: Fields, analysis: Analysis) -> Found | None:
    fix = find_object(plain, "fix")
    return (
        _find_diff(plain)
        or _find_diff(fix)
        or _find_edits(plain)
        or _find_edits(fix)
        or _find_whole_files(fix)
        or _find_replacement(fix, analysis)
    )


def _find_diff(holder: Fields) -> Found | None:
    diff = find_text(holder, "patch")
    if diff is None:
        return None
    fenced = _FENCE.fullmatch(diff)
    diff = fenced[1] if fenced else diff
    shape = "worktree" if holder.get("origin") == "worktree" else "ours"
    return shape, Patch(diff=diff if diff.endswith("\n") else diff + "\n")


def _find_edits(holder: Fields) -> Found | None:
    edits = tuple(_read_edit(each) for each in find_list(holder, "edits"))
    if edits and all(edit.search == edit.replace for edit in edits):
        raise ResponseRejected("its edits change nothing: `search` and `replace` are equal")
    return ("ours", Patch(edits=edits)) if edits else None


def _read_edit(plain: Any) -> Edit:
    if not isinstance(plain, dict):
        raise ResponseRejected(f"each of `edits` must be an object, not {describe(plain)}")
    search = get_text(plain, "search")
    if not search.strip():
        raise ResponseRejected("an edit with an empty `search` has no place to go")
    return Edit(get_path(plain), search, get_text(plain, "replace"))


def _find_whole_files(fix: Fields) -> Found | None:
    entries = [each for each in find_list(fix, "files_modified") if isinstance(each, dict)]
    with_code = [each for each in entries if each.get("new_code") is not None]
    if not with_code:
        return None
    files = tuple(_read_whole_file(each) for each in with_code)
    missing = [get_path(each) for each in entries if each.get("new_code") is None]
    if missing:
        raise ResponseRejected(f"it has code for {files[0].path} but none for {missing[0]}")
    if len({each.path for each in files}) < len(files):
        raise ResponseRejected("it gives two contents for one file")
    return "A", Patch(files=files)


def _read_whole_file(plain: Fields) -> WholeFile:
    base = find_text(plain, "base_sha256")
    if base is not None and not _SHA256.fullmatch(base):
        raise ResponseRejected("`base_sha256` must be 64 hexadecimal digits")
    return WholeFile(get_path(plain), get_text(plain, "new_code"), base.lower() if base else None)


def _find_replacement(fix: Fields, analysis: Analysis) -> Found | None:
    changes = find_object(fix, "code_changes")
    before = find_text(changes, "before")
    if before is None:
        return None
    after = get_text(changes, "after")
    if before == after:
        raise ResponseRejected("it changes nothing: `before` and `after` are equal")
    paths = _list_candidates(fix, analysis)
    return "B", Patch(edits=(Edit(paths[0] if len(paths) == 1 else None, before, after, paths),))


def _list_candidates(fix: Fields, analysis: Analysis) -> tuple[str, ...]:
    """The files that the one replacement may be in."""
    named = [
        get_path({"path": each} if isinstance(each, str) else each)
        for each in find_list(fix, "files_modified")
        if isinstance(each, str | dict)
    ]
    if not named and analysis.file:
        named = [analysis.file.replace("\\", "/")]
    if not named:
        raise ResponseRejected("it replaces code but names no file")
    return tuple(dict.fromkeys(named))


# --- what people read ------------------------------------------------------------------------------------------------


def read_analysis(plain: Fields) -> Analysis:
    """What went wrong, from wherever it can be found. Never raises: it is read by people only."""
    about = find_object(plain, "crash_analysis") or find_object(plain, "analysis") or plain
    cause, fix, strategy = (find_object(about, "root_cause"), find_object(plain, "fix"), _strategy(plain))
    place = _read_place(about.get("crash_location"))
    checks = (plain, about, fix, find_object(plain, "validation"), find_object(plain, "final_assessment"))
    summaries = (cause.get("summary"), about.get("root_cause"), about.get("summary"), plain.get("root_cause"))
    others = (plain.get("summary"), plain.get("analysis"), fix.get("description"), strategy.get("rationale"))
    details = (cause.get("technical_details"), about.get("technical_details"), about.get("details"))
    reasons = (fix.get("justification"), strategy.get("rationale"))
    return Analysis(
        category=first_line((about.get("category"), plain.get("category")), _WORD),
        severity=first_line((about.get("severity"), plain.get("severity")), _WORD),
        file=first_line((place.get("file"),), _WORD * 2),
        line=find_line_number(place.get("line")),
        function=first_line((place.get("function"), about.get("crash_function")), _WORD * 2),
        summary=first_line((*summaries, *others), _LINE),
        details=first_plain((*details, *reasons), _TEXT),
        confidence=first_line((each.get("confidence") for each in checks), _WORD),
    )


def _strategy(plain: Fields) -> Fields:
    return find_object(plain, "fix_strategy") or find_object(plain, "fix", "fix_strategy")


def _read_place(value: Any) -> Fields:
    """`crash_location` is an object, or a text like `Spell.cpp:603`."""
    if isinstance(value, str) and (match := _PLACE.fullmatch(value[:_LINE].strip())):
        return match.groupdict()
    return value if isinstance(value, dict) else {}


def _find_prose(plain: Fields, analysis: Analysis) -> str | None:
    """What a person should read where there is nothing that could be applied."""
    strategy = first_plain((_strategy(plain).get("rationale"), plain.get("fix_strategy")), _TEXT)
    fix = find_object(plain, "fix")
    content = first_plain((plain.get("fix_content"), fix.get("fix_content"), plain.get("fix")), _PROSE)
    parts = [part for part in (strategy, content) if part] if content else []
    return "\n\n".join(parts) or analysis.details or analysis.summary
