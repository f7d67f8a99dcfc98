"""Hostile and broken responses, each with what must become of it; the same for both ways in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hostile_patches import CONTENTS, DIFFS, MAP, PATHS, change, diff, whole
from hostile_world import SECRET, End, Outcome, Raw, as_raw, of_candidates, of_patch

from pipeline.model import Edit, Patch

GOOD = {"edits": [{"path": MAP, "search": "delete _grid;", "replace": "_grid = nullptr;"}]}
CURE = change("    delete _grid;", "    _grid = nullptr;")
NOT_JSON, A_PERSON = "it is not valid JSON", ""


@dataclass(frozen=True)
class Case:
    raw: Raw
    end: End | None = None  # None = REJECTED or REFUSED, whichever comes first
    reason: str = ""  # words of what people are told

    def expect(self, outcome: Outcome) -> None:
        outcome.expect(self.end, self.reason)


def text(content: str | bytes) -> Raw:
    """The file as it is, whatever its request."""
    return lambda request: content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")


def good(**more: Any) -> Raw:
    return as_raw({**GOOD, **more})


def encoded(encoding: str, ends: str = "\n") -> Raw:
    def write(request: str) -> bytes:
        plain = json.dumps(GOOD, indent=1)
        return plain.replace("\n", ends).encode(encoding)

    return write


def before_and_after(path: str) -> dict[str, Any]:
    return of_candidates(Patch(edits=(Edit(None, "delete _grid;", "x;", (path,)),)))


# --- files that are no response --------------------------------------------------------------------------------------

BROKEN = {
    "nothing": Case(text(""), End.REJECTED, ""),
    "half": Case(text('{"request_id": "x", "patch": "--- a'), End.REJECTED, NOT_JSON),
    "two-documents": Case(text("{}{}"), End.REJECTED, NOT_JSON),
    "markdown": Case(text('```json\n{"patch": "x"}\n```'), End.REJECTED, NOT_JSON),
    "a-list": Case(text("[1]"), End.REJECTED, "it must be a JSON object, not a list"),
    "a-number": Case(text("7"), End.REJECTED, "it must be a JSON object, not a number"),
    "null": Case(text("null"), End.REJECTED, "it must be a JSON object, not nothing"),
    "not-utf8": Case(text(b'{"patch": "\xff"}'), End.REJECTED, "it is not valid UTF-8"),
    "half-utf16": Case(text(b"\xff\xfe{"), End.REJECTED, ""),
    "nul-bytes": Case(text(b"\0" * 100), End.REJECTED, ""),
    "nul-behind": Case(text(b'{"patch": "x"}\0'), End.REJECTED, NOT_JSON),
    "raw-surrogate": Case(text('{"patch": "\ud800"}'), End.REJECTED, "it is not valid UTF-8"),
    "deep": Case(text("[" * 200_000), End.REJECTED, ""),
    "deep-in-a-field": Case(text('{"patch": ' + '{"a":' * 100_000 + "1" + "}" * 100_001), End.REJECTED, ""),
    "six-megabytes": Case(good(padding="x" * (6 << 20)), End.REJECTED, "it is too large"),
    "hundred-megabytes": Case(text(b" " * (100 << 20)), End.REJECTED, "it is too large"),
    "huge-number": Case(text('{"patch": ' + "9" * 50_000 + "}"), End.REJECTED, ""),
    "nan": Case(text('{"patch": NaN}'), End.REJECTED, "`patch` must be a text, not a number"),
    "infinity": Case(text('{"edits": -Infinity}'), End.REJECTED, "`edits` must be a list, not a number"),
    "empty-object": Case(text("{}"), End.REJECTED, "neither a change nor an explanation"),
}

# --- the wrong types, the wrong request ------------------------------------------------------------------------------

WRONG = {
    "patch-number": Case(as_raw({"patch": 7}), End.REJECTED, "`patch` must be a text"),
    "patch-list": Case(as_raw({"patch": ["--- a", "+++ b"]}), End.REJECTED, "`patch` must be a text, not a list"),
    "patch-true": Case(as_raw({"patch": True}), End.REJECTED, "not true or false"),
    "edits-object": Case(as_raw({"edits": {"path": MAP}}), End.REJECTED, "`edits` must be a list"),
    "edits-texts": Case(as_raw({"edits": ["x"]}), End.REJECTED, "each of `edits` must be an object"),
    "edit-without-path": Case(as_raw({"edits": [{"search": "a", "replace": "b"}]}), End.REJECTED, "`path`"),
    "edit-without-search": Case(as_raw({"edits": [{"path": MAP, "replace": "b"}]}), End.REJECTED, "`search`"),
    "edit-of-nothing": Case(
        as_raw({"edits": [{"path": MAP, "search": " ", "replace": "b"}]}), End.REJECTED, "empty `search`"
    ),
    "edit-without-effect": Case(
        as_raw({"edits": [{"path": MAP, "search": "a", "replace": "a"}]}), End.REJECTED, "change nothing"
    ),
    "files-number": Case(as_raw({"fix": {"files_modified": 3}}), End.REJECTED, "`files_modified` must be a list"),
    "code-number": Case(
        as_raw({"fix": {"files_modified": [{"path": MAP, "new_code": 3}]}}), End.REJECTED, "`new_code` must be a text"
    ),
    "code-for-one-of-two": Case(
        as_raw({"fix": {"files_modified": [{"path": MAP, "new_code": "x"}, {"path": "src/y.h"}]}}),
        End.REJECTED,
        "it has code for",
    ),
    "one-file-twice": Case(
        as_raw({"fix": {"files_modified": [{"path": MAP, "new_code": "x"}, {"path": MAP, "new_code": "y"}]}}),
        End.REJECTED,
        "two contents for one file",
    ),
    "hash-that-is-none": Case(
        as_raw({"fix": {"files_modified": [{"path": MAP, "new_code": "x", "base_sha256": "$(id)"}]}}),
        End.REJECTED,
        "64 hexadecimal digits",
    ),
    "before-without-file": Case(
        as_raw({"fix": {"code_changes": {"before": "a", "after": "b"}}}), End.REJECTED, "names no file"
    ),
    "before-without-after": Case(
        as_raw({"fix": {"files_modified": [MAP], "code_changes": {"before": "a"}}}), End.REJECTED, "`after`"
    ),
    "before-and-after-equal": Case(
        as_raw({"fix": {"files_modified": [MAP], "code_changes": {"before": "a", "after": "a"}}}),
        End.REJECTED,
        "it changes nothing",
    ),
    "nul-in-code": Case(
        as_raw({"edits": [{"path": MAP, "search": "delete _grid;", "replace": "a\0b"}]}), End.REJECTED, "NUL"
    ),
    "half-character-in-code": Case(
        as_raw({"edits": [{"path": MAP, "search": "delete _grid;", "replace": "\ud800"}]}), End.REJECTED, "surrogate"
    ),
    "id-of-another": Case(as_raw({**GOOD, "request_id": "deadbeef"}), End.REJECTED, "its `request_id` is `deadbeef`"),
    "id-up": Case(as_raw({**GOOD, "request_id": "../../x"}), End.REJECTED, "may hold only letters"),
    "id-absolute": Case(as_raw({**GOOD, "request_id": "/etc/passwd"}), End.REJECTED, "may hold only letters"),
    "id-shell": Case(as_raw({**GOOD, "request_id": "$(touch pwned)"}), End.REJECTED, "may hold only letters"),
    "id-number": Case(as_raw({**GOOD, "request_id": 7}), End.REJECTED, "`request_id` must be a text"),
    "id-empty": Case(as_raw({**GOOD, "request_id": ""}), End.REJECTED, "may hold only letters"),
    "id-with-nul": Case(as_raw({**GOOD, "request_id": "a\0"}), End.REJECTED, "`request_id`"),
}

# --- changes that may not be made ------------------------------------------------------------------------------------

STRIPPED = {"trailing-space"}  # a path is read without the blanks around it, which makes it an ordinary one

REFUSED = {
    "build-file": Case(as_raw({"patch": diff("src/CMakeLists.txt", body="@@ -0,0 +1 @@\n+execute_process()\n").diff})),
    "nothing-in-the-diff": Case(as_raw({"patch": " \n"}), End.REJECTED, "neither a change"),
    "no-difference": Case(as_raw({"patch": change("    delete _grid;", "    delete _grid;")}), End.REFUSED),
    "fenced-and-hostile": Case(as_raw({"patch": f"```diff\n{diff('../outside.txt').diff}```"}), End.REFUSED),
    "two-shapes-the-exact-one-hostile": Case(
        as_raw({**GOOD, "patch": diff(".git/hooks/post-commit").diff}), End.REFUSED
    ),
    "hidden-in-fix": Case(as_raw({"fix": {"patch": diff("../outside.txt").diff}}), End.REFUSED),
    "edits-hidden-in-fix": Case(
        as_raw({"fix": {"edits": [{"path": "../outside.txt", "search": "mine", "replace": "x"}]}}), End.REFUSED
    ),
    "worktree-claim": Case(as_raw({"origin": "worktree", "patch": diff("../outside.txt").diff}), End.REFUSED),
    "file-of-the-crash": Case(
        as_raw({
            "crash_analysis": {"crash_location": {"file": "../outside.txt", "line": 1}},
            "fix": {"code_changes": {"before": "mine", "after": "x"}},
        }),
        End.REFUSED,
    ),
}  # fmt: skip
for _name, _patch in CONTENTS.items():
    REFUSED[f"content-{_name}"] = Case(as_raw(of_patch(_patch)))
for _name, _patch in DIFFS.items():
    REFUSED[f"diff-{_name}"] = Case(as_raw(of_patch(_patch)))

SHAPES: dict[str, Callable[[str], dict[str, Any]]] = {
    "diff": lambda path: of_patch(diff(path)),
    "edit": lambda path: of_patch(Patch(edits=(Edit(path, "x", "y"),))),
    "whole": lambda path: of_patch(whole(path)),
    "before": before_and_after,
}
EVERY_SHAPE = {
    f"{shape}-{name}": Case(as_raw(make(path)))
    for name, path in PATHS.items()
    for shape, make in SHAPES.items()
    if name not in STRIPPED
}
# These in every shape, all others in one each: every shape and every path together are tried at the level of the
# source, and by tests/soak/hostile.py.
IN_EVERY_SHAPE = ("up", "absolute", "drive", "unc", "git", "git-stream", "stream", "device-nul", "trailing-dot",
                  "through-link", "in-submodule", "below-file", "other-case", "cmake-lists", "not-allowed")  # fmt: skip
REACHING = {
    f"{shape}-{name}": EVERY_SHAPE[f"{shape}-{name}"]
    for number, name in enumerate(PATHS)
    for shape in (SHAPES if name in IN_EVERY_SHAPE else [list(SHAPES)[number % len(SHAPES)]])
    if name not in STRIPPED
}

# --- only text -------------------------------------------------------------------------------------------------------

EVERYTHING = "@everyone <@&1> <#2> ``` $(touch pwned) `id` ; rm -rf . | tee pwned\n\nRun: forged\n--amend"
PLAIN = {
    "byte-order-mark": Case(encoded("utf-8-sig"), End.ASKED),
    "utf16": Case(encoded("utf-16"), End.ASKED),
    "windows-line-ends": Case(encoded("utf-8", "\r\n"), End.ASKED),
    "mixed-line-ends-in-the-diff": Case(as_raw({"patch": CURE.replace("\n", "\r\n", 2)}), End.ASKED),
    "without-an-id": Case(text(json.dumps(GOOD)), End.ASKED),
    "duplicate-keys": Case(text(f'{{"patch": {json.dumps(diff("../outside.txt").diff)}, "patch": "", '
                                f'{json.dumps(GOOD)[1:]}'), End.ASKED),
    "unknown-fields": Case(good(run="rm -rf /", command=["touch", "pwned"], hooks={"post": "id"}), End.ASKED),
    "nan-in-the-text": Case(text('{"confidence": NaN, "severity": 1e999, ' + json.dumps(GOOD)[1:]), End.ASKED),
    "wrong-types-in-the-text": Case(good(crash_analysis=[1], confidence={"a": []}, severity=None), End.ASKED),
    "for-another-signature": Case(good(signature="access violation | Other", crash_id="other"), End.ASKED),
    "for-another-commit": Case(good(base_commit="--upload-pack=touch pwned"), End.ASKED),
    "for-another-branch": Case(good(branch="master", night="1999-01-01"), End.ASKED),
    "texts": Case(good(summary=EVERYTHING, crash_analysis={
        "category": EVERYTHING, "severity": EVERYTHING, "crash_location": {"file": EVERYTHING, "function": EVERYTHING},
        "root_cause": {"summary": EVERYTHING, "technical_details": EVERYTHING * 500}}), End.ASKED),
    "control-characters": Case(good(summary="\x1b]0;x\x07 \x00 \u202e \ud800 \udfff"), End.ASKED),
    "secret": Case(good(summary=f"the password is {SECRET}", details=SECRET), End.ASKED),
    "secret-in-the-change": Case(as_raw({"edits": [{"path": MAP, "search": "delete _grid;",
                                                    "replace": f"// {SECRET}"}]}), End.REFUSED, "secret setting"),
    "secret-in-prose": Case(as_raw({"fix_content": f"put {SECRET} there", "fix_strategy": "x"}), End.PROSE),
    "prose": Case(as_raw({"fix_content": EVERYTHING, "fix_strategy": {"rationale": EVERYTHING}}), End.PROSE),
    "prose-with-a-path": Case(as_raw({"fix_content": "../outside.txt", "fix": {"files_modified": ["/etc/passwd"]}}),
                              End.PROSE),
    "huge-prose": Case(as_raw({"fix_content": "x" * (4 << 20), "fix_strategy": "x"}), End.PROSE),
}  # fmt: skip

# --- what only a program can do --------------------------------------------------------------------------------------

MAP_TEXT = f"text = open({MAP!r}).read()\n"
RESPOND = f"json.dump({GOOD!r}, open(response, 'w'))\n"
EDIT = f"{MAP_TEXT}open({MAP!r}, 'w').write(text.replace('delete _grid;', '_grid = nullptr;'))\n"
SLEEPER = "[sys.executable, '-c', 'import time; time.sleep(600)', root]"


@dataclass(frozen=True)
class Deed:
    """Lines of Python that see request, response, worktree, root and id, and work in the scratch clone."""

    script: str
    end: End
    reason: str = ""

    def expect(self, outcome: Outcome) -> None:
        outcome.expect(self.end, self.reason)


def writes(path: str, content: str = "x\n") -> Deed:
    return Deed(f"os.makedirs(os.path.dirname({path!r}) or '.', exist_ok=True)\n"
                f"open({path!r}, 'w').write({content!r})", End.REFUSED)  # fmt: skip


def ends_with(code: str) -> Deed:
    return Deed(f"{EDIT}{code}", End.OPEN, "ANALYST_COMMAND ended with")


DEEDS = {
    # edits of the tree
    "edits-well": Deed(EDIT, End.ASKED),
    "link-to-a-secret": Deed("os.symlink(root + '/outside.txt', 'src/innocent.cpp')", End.REFUSED),
    "file-becomes-link": Deed(f"os.remove({MAP!r}); os.symlink('/etc/passwd', {MAP!r})", End.REFUSED),
    "link-turned-elsewhere": Deed("os.remove('src/game/link'); os.symlink('/etc', 'src/game/link')", End.REFUSED),
    "file-becomes-folder": Deed(f"os.remove({MAP!r}); os.makedirs({MAP!r})\nopen({MAP!r} + '/x.cpp', 'w').write('x')",
                                End.REFUSED),
    "folder-becomes-file": Deed("import shutil; shutil.rmtree('src/game'); open('src/game', 'w').write('x')",
                                End.REFUSED),
    "mode": Deed(f"os.chmod({MAP!r}, 0o755)", End.REFUSED),
    "mode-with-an-edit": Deed(f"{EDIT}os.chmod({MAP!r}, 0o755)", End.REFUSED),
    "new-executable": Deed("open('src/x.sh', 'w').write('#!/bin/sh'); os.chmod('src/x.sh', 0o755)", End.REFUSED),
    "moved-out": Deed(f"os.rename({MAP!r}, 'Map.cpp')", End.REFUSED),
    "moved-in": Deed("os.rename('secret.conf', 'src/s.h')", End.REFUSED),
    "deletes-what-it-may-not": Deed("os.remove('secret.conf')", End.REFUSED),
    "deletes-everything": Deed("subprocess.run(['git', 'rm', '-rqf', '.'], check=True)", End.REFUSED),
    "deletes-its-tree": Deed("import shutil; os.chdir('/'); shutil.rmtree(worktree)", End.OPEN, "is gone"),
    "deletes-its-history": Deed("import shutil; shutil.rmtree('.git')\n" + EDIT, End.ASKED),
    "good-and-hostile": Deed(EDIT + "open('CMakeLists.txt', 'w').write('execute_process()')", End.REFUSED),
    "a-repository-inside": Deed("subprocess.run(['git', 'init', '-q', 'src/inner'], check=True)\n"
                                "subprocess.run(['git', '-C', 'src/inner', '-c', 'user.name=x', '-c', 'user.email=x',"
                                " 'commit', '-q', '--allow-empty', '-m', 'x'], check=True)", End.REFUSED),
    "too-many-files": Deed("[open(f'src/{n}.h', 'w').write('x') for n in range(11)]", End.REFUSED, "MAX_FILES"),
    "too-many-lines": Deed("open('src/x.h', 'w').write('x\\n' * 401)", End.REFUSED, "MAX_CHANGED_LINES"),
    "too-large": Deed("open('src/x.h', 'w').write('int x;\\n' * 2_000_000)", End.OPEN, "it wrote more than 2 MB"),
    "binary": Deed("open('src/x.cpp', 'wb').write(bytes(range(256)))", End.REFUSED),
    "not-utf8": Deed(f"open({MAP!r}, 'ab').write(b'// \\xe4\\n')", End.OPEN, "not UTF-8"),
    "name-that-is-no-text": Deed("open(b'src/\\xff.cpp', 'w').write('x')", End.OPEN, "not UTF-8"),
    "name-with-a-line-break": writes("src/a\nb.cpp"),
    "name-in-other-case": writes("src/game/map.cpp"),
    "name-with-a-dot-behind": writes("src/x.cpp."),
    "name-with-a-space-behind": writes("src/x.cpp "),
    "name-of-a-device": writes("src/con.cpp"),
    "name-of-a-stream": writes("src/x.cpp:hidden"),
    "name-that-is-an-option": writes("src/-rf"),
    "attributes": writes(".gitattributes", "*.cpp filter=evil\n"),
    "attributes-in-src": writes("src/.gitattributes", "*.cpp filter=evil\n"),
    "modules": writes(".gitmodules", '[submodule "x"]\npath = src/x\nurl = ext::sh -c touch% pwned\n'),
    "build-file": writes("src/CMakeLists.txt", "execute_process(COMMAND touch pwned)\n"),
    "workflow": writes(".github/workflows/x.yml"),
    "touches-only": Deed(f"os.utime({MAP!r})", End.OPEN, "changed nothing"),
    "does-nothing": Deed("", End.OPEN, "wrote no response and changed nothing"),
    "objects-cut-off": Deed(EDIT + "open('.git/objects/info/alternates', 'w').close()", End.ASKED),
    # responses that are no files of its own
    "empty-response": Deed("open(response, 'w').close()", End.OPEN, "wrote no response and changed nothing"),
    "link-for-a-response": Deed("os.symlink(root + '/outside.txt', response)", End.OPEN, "wrote no response"),
    "folder-for-a-response": Deed("os.mkdir(response)", End.OPEN, "wrote no response"),
    "pipe-for-a-response": Deed("os.mkfifo(response)", End.OPEN, "wrote no response"),
    "link-in-the-queue": Deed("link = root + f'/state/queue/responses/response_{id}.json'\n"
                              "os.symlink(root + '/outside.txt', link); os.remove(link)", End.OPEN),
    # what it leaves behind, prints, ends with
    "daemon": Deed(f"{RESPOND}subprocess.Popen({SLEEPER}, start_new_session=True)", End.ASKED),
    "daemon-that-ignores-signals": Deed(
        f"{RESPOND}if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        import signal\n"
        "        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n        time.sleep(600)\n    os._exit(0)", End.ASKED),
    "prints-100-megabytes": Deed("for _ in range(100): print('x' * (1 << 20), flush=True)\ntime.sleep(600)", End.OPEN,
                                 "ANALYST_COMMAND was ended: it wrote more than"),
    "prints-escapes-and-mentions": Deed(f"print('\\x1b]0;x\\x07 @everyone {SECRET}')\n{RESPOND}", End.ASKED),
    "tries-to-push": Deed("for where in ('origin', root + '/remote.git', root + '/user'):\n"
                          "    subprocess.run(['git', 'push', '-f', where, 'HEAD:refs/heads/x', '--dry-run'])\n" + EDIT,
                          End.ASKED),
    "fails-with-a-good-response": Deed(f"{RESPOND}sys.exit(3)", End.ASKED),
    **{f"ends-with-{code}": ends_with(f"os._exit({code})") for code in (1, 2, 3, 42, 126, 127, 128, 130, 255)},
    **{f"dies-of-{name}": ends_with(f"import signal; os.kill(os.getpid(), signal.{name})")
       for name in ("SIGKILL", "SIGSEGV", "SIGABRT", "SIGTERM")},
    "raises": ends_with("raise SystemError('no credit left')"),
}  # fmt: skip

CASES = {**BROKEN, **WRONG, **REFUSED, **PLAIN}
