"""Unified diffs, applied by git itself inside a bench, in the plain form of the files; the form is put back after."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.adapters.edit_matching import Nowhere, Places, locate
from pipeline.adapters.file_form import encode, fit, plain_text, read_text
from pipeline.adapters.git_process import GitAnswer
from pipeline.adapters.patch_bench import FILE, Overlay, PatchBench, Tree
from pipeline.errors import Refused

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_NAMES = re.compile(r"(?:rename|copy) (?:from|to) (.+)")
_ESCAPE = re.compile(r"\\([0-7]{3}|.)")
_INDEX = "diff-index"
_NO_NEWLINE = "\\ No newline at end of file"
_OFFSET = re.compile(r"succeeded at \d+ \(offset")


@dataclass
class FileDiff:
    """One file of a diff, as its headers say."""

    old: str | None = None  # with the prefix; None = /dev/null or not named
    new: str | None = None
    others: list[str] = field(default_factory=list)  # of renames and copies, never with a prefix
    hunks: list[str] = field(default_factory=list)  # what each hunk expects to find, as text


def read_diff(diff: str) -> tuple[str, list[FileDiff], int]:
    """The diff with plain line ends, its files, and how many leading folders its paths carry (0 or 1).
    Raises Refused for what is no unified diff of text."""
    text = plain_text(diff).rstrip("\n") + "\n"
    text = re.sub(r"^([ +-])\ufeff", r"\1", text, flags=re.MULTILINE)
    if re.search(r"^(GIT binary patch|Binary files .* differ)$", text, re.MULTILINE):
        raise Refused("the diff holds binary content")
    files = list(_read_files(text.split("\n")))
    if not files:
        raise Refused("it is not a unified diff: no line begins with `--- ` or `diff --git`")
    return text, files, _strip_of(files)


def list_paths(files: list[FileDiff], strip: int) -> list[str]:
    """Every path a diff names, in the order of its appearance."""
    prefixed = [path for each in files for path in (each.old, each.new) if path]
    named = [path.split("/", 1)[1] if strip else path for path in prefixed]
    return list(dict.fromkeys([*named, *(path for each in files for path in each.others)]))


def apply_diff(bench: PatchBench, tree: Tree, diff: str, files: list[FileDiff], strip: int) -> Overlay:
    """What the diff makes of the files. Raises Refused where it does not apply as it stands."""
    paths = list_paths(files, strip)
    before = {path: tree[path] for path in paths if path in tree}
    contents = bench.read_all(entry.hash for entry in before.values() if entry.mode in FILE)
    texts = {path: read_text(contents[entry.hash]) for path, entry in before.items() if entry.hash in contents}
    keep_end = _NO_NEWLINE not in diff
    if keep_end:  # many a diff forgets to say that the last newline is missing: it then says nothing about it
        texts = {path: text if text.endswith("\n") else f"{text}\n" for path, text in texts.items()}
    _apply(bench, before, texts, diff, files, strip)
    after = bench.list_index(_INDEX)
    overlay: Overlay = {path: None for path in before if path not in after}
    for path, entry in after.items():
        if entry.mode not in FILE:
            overlay[path] = entry
        else:
            text = bench.read(entry.hash).decode(errors="replace")
            old = contents.get(before[path].hash) if path in before else None
            new = encode(text, "utf-8") if old is None else fit(old, text, keep_end=keep_end)
            overlay[path] = bench.store(new, entry.mode)
    return overlay


_TRIES = ((), ("--recount",), ("--recount", "--unidiff-zero"))


def _apply(
    bench: PatchBench, before: Tree, texts: dict[str, str], diff: str, files: list[FileDiff], strip: int
) -> None:
    """Tries it as it stands, then with the hunks' line counts made anew, then without asking for context lines.
    What fits somewhere else than its line numbers say, or has no context, must fit one place only."""
    patch = encode(diff, "utf-8")
    plain = {path: bench.store(encode(text, "utf-8"), before[path].mode) for path, text in texts.items()}
    answers = []
    for options in _TRIES:
        bench.run("read-tree", "--empty", index=_INDEX)
        bench.fill_index({**before, **plain}, _INDEX)
        arguments = ("apply", "--cached", "--verbose", "--whitespace=nowarn", f"-p{strip}", *options, "-")
        answers.append(bench.run(*arguments, stdin=patch, accept=range(256), index=_INDEX))
        if answers[-1].status == 0:
            if options == _TRIES[-1] or _OFFSET.search(answers[-1].words):
                _check_unique(files, strip, texts)
            return
    raise Refused(f"the diff does not apply: {_why(answers[0])}")


def _check_unique(files: list[FileDiff], strip: int, texts: dict[str, str]) -> None:
    """Raises Refused unless every hunk of a file that is there fits exactly one place of it."""
    for each in files:
        path = next(iter(list_paths([each], strip)), "")
        for hunk in each.hunks if path in texts else ():
            place = locate(texts[path], hunk, "")
            if isinstance(place, Places):
                lines = ", ".join(map(str, place.lines))
                raise Refused(f"a hunk of the diff fits `{path}` at more than one line ({lines}) and at none exactly")
            if isinstance(place, Nowhere):
                raise Refused(f"a hunk of the diff names no line of `{path}` that tells where it belongs")


def _read_files(lines: list[str]) -> Iterator[FileDiff]:
    at, current = 0, FileDiff()
    while at < len(lines):
        line, begins = lines[at], _begins_file(lines, at)
        if line.startswith("diff --git ") or (begins and current.hunks):
            if _is_named(current):
                yield current
            current = FileDiff()
        if begins:
            current.old, current.new = _read_name(line[4:]), _read_name(lines[at + 1][4:])
            at += 2
        elif match := _HUNK.match(line):
            expected, at = _read_hunk(lines, at + 1, *(int(count) if count else 1 for count in match.groups()))
            current.hunks.append(expected)
        else:
            _read_header(current, line)
            at += 1
    if _is_named(current):
        yield current


def _is_named(each: FileDiff) -> bool:
    return bool(each.old or each.new or each.others)


def _read_header(current: FileDiff, line: str) -> None:
    if line.startswith("diff --git "):
        current.old, current.new = _split_names(line.removeprefix("diff --git "))
    elif match := _NAMES.fullmatch(line):
        current.others.append(_unquote(match[1]))


def _read_hunk(lines: list[str], at: int, old: int, new: int) -> tuple[str, int]:
    """What the hunk expects to find, and the line behind it. Wrong counts are borne: a header ends it as well."""
    expected = []
    while at < len(lines) and (old > 0 or new > 0 or lines[at][:1] in ("+", "-", " ", "\\")):
        line = lines[at]
        if line.startswith(("@@ ", "diff --git ")) or _begins_file(lines, at):
            break
        if line[:1] in ("-", " ", ""):
            expected.append(line[1:])
        old -= line[:1] in ("-", " ", "")
        new -= line[:1] in ("+", " ", "")
        at += 1
    return "\n".join(expected), at


def _begins_file(lines: list[str], at: int) -> bool:
    """Three lines in a row: inside a hunk they cannot stand, whatever its counts say."""
    three = [*lines[at : at + 3], "", "", ""]
    return three[0].startswith("--- ") and three[1].startswith("+++ ") and three[2].startswith("@@ ")


def _split_names(names: str) -> tuple[str | None, str | None]:
    """`a/x b/x`; where a name holds a space the two halves must be alike."""
    if names.startswith('"'):
        found = re.findall(r'"(?:[^"\\]|\\.)*"|\S+', names)
        return (_read_name(found[0]), _read_name(found[-1]))
    half = len(names) // 2
    one, other = names[:half], names[half + 1 :]
    if one.split("/", 1)[1:] == other.split("/", 1)[1:]:
        return _read_name(one), _read_name(other)
    one, _, other = names.partition(" ")
    return _read_name(one), _read_name(other)


def _read_name(name: str) -> str | None:
    name = _unquote(name.split("\t")[0].rstrip())
    return None if name in ("/dev/null", "") else name


def _unquote(name: str) -> str:
    """git's C quoting; bytes become the text they are in UTF-8."""
    if not (name.startswith('"') and name.endswith('"') and len(name) > 1):
        return name
    simple = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
    raw = _ESCAPE.sub(lambda e: chr(int(e[1], 8) & 255) if len(e[1]) == 3 else simple.get(e[1], e[1]), name[1:-1])
    try:
        return raw.encode("latin-1").decode(errors="surrogateescape")
    except UnicodeEncodeError:
        return raw


def _strip_of(files: list[FileDiff]) -> int:
    """1 where every path carries git's `a/` and `b/`, 0 where none does."""
    prefixed = {each.old.startswith("a/") for each in files if each.old}
    prefixed |= {each.new.startswith("b/") for each in files if each.new}
    if len(prefixed) > 1:
        raise Refused("some paths of the diff begin with `a/` and `b/` and some do not")
    return int(True in prefixed)


def _why(answer: GitAnswer) -> str:
    """git's own reasons, without the lines it searched for."""
    errors = [line for line in answer.words.splitlines() if line.startswith("error: ")]
    words = [line.removeprefix("error: ").removesuffix(" in index") for line in errors]
    told = dict.fromkeys(line for line in words if not line.startswith("while searching for"))
    return "; ".join(list(told)[:4]) or "git gives no reason"
