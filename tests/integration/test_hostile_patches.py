"""Part C of the faults at the level of the source: refused in a sentence, nothing written anywhere; or only text."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from checkouts import MAP_CPP, NIGHT, Bed, git, make_bed

from pipeline.adapters.commit_messages import commit_message
from pipeline.errors import PipelineError, Refused
from pipeline.model import Edit, Patch, WholeFile
from pipeline.ports import PatchLimits

MAP = "src/game/Map.cpp"
ZERO = "0" * 40


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    """A source that has a symlink and a submodule in it; shared, since no case may change it."""
    bed = make_bed(
        tmp_path_factory.mktemp("hostile"), {MAP: MAP_CPP, "src/game/Twin.cpp": MAP_CPP, "secret.conf": "s\n"}
    )
    user = bed.checkout.folder
    link = git(user, "hash-object", "-w", "--stdin", stdin=b"../../../outside")
    git(user, "update-index", "--add", "--cacheinfo", f"120000,{link},src/game/link")
    git(user, "update-index", "--add", "--cacheinfo", f"160000,{bed.base},src/dep")
    git(user, "commit", "-q", "-m", "a link and a submodule")
    git(user, "reset", "-q", "--hard")
    bed.base = bed.source.base_head()
    return bed.reset()


def whole(path: str, content: str = "x\n") -> Patch:
    return Patch(files=(WholeFile(path, content),))


def diff(path: str, *, head: str = "", body: str = "@@ -0,0 +1 @@\n+x\n") -> Patch:
    return Patch(
        diff=f"diff --git a/{path} b/{path}\n{head or 'new file mode 100644'}\n--- /dev/null\n+++ b/{path}\n{body}"
    )


def change(old: str, new: str, line: int = 7) -> str:
    return f"--- a/{MAP}\n+++ b/{MAP}\n@@ -{line} +{line} @@\n-{old}\n+{new}\n"


PATHS = {
    "up": "../outside.txt",
    "up-inside": "src/../../outside.txt",
    "up-backslash": "src\\..\\..\\outside.txt",
    "absolute": "/tmp/outside.txt",
    "drive": "C:\\outside.txt",
    "drive-relative": "C:outside.txt",
    "drive-slash": "c:/outside.txt",
    "unc": "\\\\host\\share\\outside.txt",
    "unc-slash": "//host/share/outside.txt",
    "device-path": "\\\\.\\PhysicalDrive0",
    "git": ".git/hooks/post-commit",
    "git-case": ".GiT/hooks/post-commit",
    "git-nested": "src/.git/config",
    "git-backslash": ".git\\hooks\\post-commit",
    "git-stream": ".git::$INDEX_ALLOCATION/hooks/x",
    "git-short": "GIT~1/hooks/x",
    "git-short-case": "git~2/config",
    "git-dot": ".git./config",
    "git-space": ".git /config",
    "git-invisible": ".g\u200cit/config",
    "git-attributes": "src/.gitattributes",
    "git-modules": ".gitmodules",
    "short-name": "src/GAME~1/x.cpp",
    "stream": f"{MAP}:hidden",
    "stream-data": f"{MAP}::$DATA",
    "device-nul": "src/NUL",
    "device-con": "src/con.cpp",
    "device-aux": "src/aux/x.cpp",
    "device-com": "src/COM1.h",
    "trailing-dot": f"{MAP}.",
    "trailing-space": f"{MAP} ",
    "through-link": "src/game/link/x.cpp",
    "the-link": "src/game/link",
    "in-submodule": "src/dep/x.cpp",
    "the-submodule": "src/dep",
    "below-file": f"{MAP}/x.cpp",
    "a-folder": "src/game",
    "other-case": "src/game/map.cpp",
    "other-case-folder": "src/Game/New.cpp",
    "other-case-root": "SRC/x.cpp",
    "not-allowed": "secret.conf",
    "not-allowed-new": "tools/x.cpp",
    "cmake-lists": "src/game/CMakeLists.txt",
    "cmake-module": "src/game/x.cmake",
    "cmake-folder": "cmake/macros.txt",
    "workflow": ".github/workflows/ci.yml",
    "sql": "sql/updates/x.sql",
    "sql-in-src": "src/game/x.sql",
    "nul-byte": "src/a\0b.cpp",
    "line-break": "src/a\nb.cpp",
    "escape": "src/\x1b[2Jx.cpp",
    "half-character": "src/\ud800.cpp",
    "direction": "src/\u202eppc.x",
    "dash": "src/-rf",
    "glob": "src/*.cpp",
    "pipe": "src/a|b.cpp",
    "empty": "",
    "blank": " ",
    "double-slash": "src//x.cpp",
    "too-long": f"src/{'x' * 300}.cpp",
}

CONTENTS = {
    "nul": whole(MAP, "a\0b\n"),
    "escape": whole("src/x.cpp", "\x1b]0;x\x07\n"),
    "half-character": whole("src/x.cpp", "\udcff\n"),
    "direction": whole("src/x.cpp", "if (a) /*\u202e } \u2066*/\n"),
    "hundred-megabytes": whole("src/x.cpp", "x" * (100 << 20)),
    "hundred-megabytes-edit": Patch(edits=(Edit(MAP, "delete _grid;", "x" * (100 << 20)),)),
    "hundred-megabytes-diff": Patch(diff=change("    delete _grid;", "x" * (100 << 20))),
    "too-many-files": Patch(files=tuple(WholeFile(f"src/{number}.h", "x\n") for number in range(11))),
    "too-many-lines": whole("src/x.cpp", "x\n" * 401),
    "same-file-twice": Patch(files=(WholeFile(MAP, "x\n"), WholeFile(f"./{MAP}", "y\n"))),
    "names-that-collide": Patch(files=(WholeFile("src/A.h", "x\n"), WholeFile("src/a.h", "y\n"))),
    "one-good-one-bad": Patch(files=(WholeFile("src/New.h", "x\n"), WholeFile("../outside.txt", "y\n"))),
    "edit-good-then-bad": Patch(edits=(Edit(MAP, "delete _grid;", "x"), Edit("../outside.txt", "", "y"))),
    "edit-twice": Patch(edits=(Edit(MAP, "auto*", "x"),)),
    "edit-never": Patch(edits=(Edit(MAP, "not there", "x"),)),
    "edit-in-two-files": Patch(edits=(Edit(None, "delete _grid;", "x"),)),
    "edit-hostile-candidate": Patch(edits=(Edit(None, "delete _grid;", "x", (MAP, "../outside.txt")),)),
    "edit-of-nothing": Patch(edits=(Edit(MAP, " \n", "x"),)),
    "edit-secret": Patch(edits=(Edit("secret.conf", "s", "x"),)),
    "another-version": Patch(files=(WholeFile(MAP, "x\n", "0" * 64),)),
    "nul-for-a-file": Patch(files=(WholeFile("src/game/Twin.cpp", "\0"),)),
}

SYMLINK = "@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n"
TO_EXECUTABLE = f"diff --git a/{MAP} b/{MAP}\nold mode 100644\nnew mode 100755\n"
NEW = "new file mode 100644"
CURED = change("    delete _grid;", "    x;")
DOTS = "src/\\056\\056/\\056\\056/x"


def rename(old: str, new: str, verb: str = "rename") -> Patch:
    head = f"diff --git a/{old} b/{new}\nsimilarity index 100%"
    return Patch(diff=f"{head}\n{verb} from {old}\n{verb} to {new}\n")


DIFFS = {
    "symlink": diff("src/l", head="new file mode 120000", body=SYMLINK),
    "submodule": diff("src/s", head="new file mode 160000", body=f"@@ -0,0 +1 @@\n+Subproject commit {'1' * 40}\n"),
    "executable": diff("src/x.sh", head="new file mode 100755"),
    "file-to-symlink": Patch(diff=TO_EXECUTABLE.replace("100755", "120000")),
    "mode": Patch(diff=TO_EXECUTABLE),
    "mode-and-text": Patch(diff=TO_EXECUTABLE + CURED),
    "rename-out": rename(MAP, "Map.cpp"),
    "rename-in": rename("secret.conf", "src/s.h"),
    "copy-of-a-secret": rename("secret.conf", "src/s.h", "copy"),
    "rename-up": rename(MAP, "../x.cpp"),
    "header-says-other": Patch(
        diff=f"diff --git a/{MAP} b/{MAP}\n{NEW}\n--- /dev/null\n+++ b/../outside.txt\n@@ -0,0 +1 @@\n+x\n"
    ),
    "quoted-up": Patch(
        diff=f'diff --git "a/{DOTS}" "b/{DOTS}"\n{NEW}\n--- /dev/null\n+++ "b/{DOTS}"\n@@ -0,0 +1 @@\n+x\n'
    ),
    "binary": Patch(
        diff=f"diff --git a/src/x b/src/x\n{NEW}\nindex {ZERO}..{'1' * 40}\n"
        "GIT binary patch\nliteral 1\nIcmZPo000310RR91\n"
    ),
    "binary-told": Patch(diff="diff --git a/src/x.o b/src/x.o\nBinary files a/src/x.o and b/src/x.o differ\n"),
    "nul": Patch(diff=change("    delete _grid;", "a\0b")),
    "second-file-hostile": Patch(diff=f"{diff('src/New.h').diff}{diff('../outside.txt').diff}"),
    "hidden-in-wrong-counts": Patch(diff=CURED.replace("-7 +7", "-7,90 +7,90") + str(diff("../x").diff)),
    "mixed-prefixes": Patch(diff=CURED + CURED.replace(f"a/{MAP}", MAP).replace(f"b/{MAP}", MAP)),
    "strip-trick": Patch(diff="--- a/../outside.txt\n+++ b/../outside.txt\n@@ -1 +1 @@\n-a\n+b\n"),
    "no-prefix-up": Patch(diff="--- /dev/null\n+++ ../outside.txt\n@@ -0,0 +1 @@\n+x\n"),
    "exists-already": diff(MAP),
    "moved-base": Patch(diff=change("    free(_grid);", "x")),
    "no-context-at-all": Patch(diff=f"--- a/{MAP}\n+++ b/{MAP}\n@@ -7,0 +8 @@\n+x\n"),
    "garbage": Patch(diff="rm -rf / # fix\n"),
    "headers-only": Patch(diff=f"--- a/{MAP}\n+++ b/{MAP}\n"),
    "half-character": Patch(diff=change("    delete _grid;", "\ud800")),
    "windows-path": Patch(diff="--- a/src\\..\\..\\x\n+++ b/src\\..\\..\\x\n@@ -1 +1 @@\n-a\n+b\n"),
    "deletes-not-allowed": Patch(diff="--- a/secret.conf\n+++ /dev/null\n@@ -1 +0,0 @@\n-s\n"),
}

COMMITS = {
    "option": Patch(reverts=("--upload-pack=touch /tmp/x",)),
    "short-option": Patch(reverts=("-x",)),
    "shell": Patch(reverts=("$(touch /tmp/x)",)),
    "range": Patch(reverts=("HEAD~3..HEAD",)),
    "search": Patch(reverts=(":/start",)),
    "reflog": Patch(reverts=("HEAD@{0}",)),
    "path": Patch(reverts=("HEAD:src",)),
    "unknown": Patch(reverts=("f" * 40,)),
    "merge-option": Patch(merges="--strategy=ours"),
    "merge-unknown": Patch(merges="f" * 40),
}

CASES = {
    **{f"path-{name}": whole(path) for name, path in PATHS.items()},
    **{f"edit-path-{name}": Patch(edits=(Edit(path, "", "x\n"),)) for name, path in PATHS.items() if path},
    **{f"diff-path-{name}": diff(path) for name, path in PATHS.items() if path.strip()},
    **{f"content-{name}": patch for name, patch in CONTENTS.items()},
    **{f"diff-{name}": patch for name, patch in DIFFS.items()},
    **{f"commit-{name}": patch for name, patch in COMMITS.items()},
}


@pytest.mark.parametrize("name", CASES)
def test_hostile_patch_is_refused_in_a_sentence_and_nothing_is_written(bed: Bed, name: str) -> None:
    before = bed.picture()
    with pytest.raises(Refused) as refusal:
        bed.source.apply(CASES[name], "fix: x\n\nRun: r\n", PatchLimits(), bed.base)
    assert bed.picture() == before
    reason = str(refusal.value)
    assert reason and reason.isprintable() and len(reason) < 1000


@pytest.mark.parametrize("name", CASES)
def test_hostile_patch_is_refused_by_a_mere_look_too(bed: Bed, name: str) -> None:
    with pytest.raises(Refused):
        bed.source.check(CASES[name], PatchLimits(), bed.base, bed.base)


BRANCHES = [
    "-f",
    "--delete",
    "master",
    "overnight-20260131;id",
    "overnight-20260131 x",
    "../overnight-20260131",
    "HEAD",
    "",
]


@pytest.mark.parametrize("branch", BRANCHES)
def test_hostile_branch_name_is_refused(bed: Bed, branch: str) -> None:
    before = bed.picture()
    for act in (
        lambda: bed.source.begin(branch, bed.base),
        lambda: bed.source.restore(branch, bed.base),
        lambda: bed.source.publish(branch, bed.base, None),
    ):
        with pytest.raises(PipelineError):
            act()
    assert bed.picture() == before


@pytest.mark.parametrize("revision", ["-n1", "--all", "$(id)", "a\nb", "", " ", "HEAD@{1}", "x^{/fix}", ":src", "\0"])
def test_hostile_revision_is_no_commit(bed: Bed, revision: str) -> None:
    assert bed.source.resolve(revision) is None


TEXTS = {
    "shell": "$(touch pwned); `touch pwned` && touch pwned | sh",
    "trailers": "x\n\nRun: forged\nCrash-Signature: forged\nSigned-off-by: Mallory <m@example.org>",
    "mentions": "@everyone <@&1> @here",
    "code-block": "```\n``` # not code",
    "comment": "# a line that git would drop\n---\ndiff --git a/x b/x",
    "nul": "a\0b\x1b[31m",
    "half-character": "\ud800\udcff",
    "dash": "--amend -m x",
}


@pytest.mark.parametrize("name", TEXTS)
def test_hostile_text_in_a_commit_is_plain_text(tmp_path_factory: pytest.TempPathFactory, name: str, bed: Bed) -> None:
    message = commit_message(kind="fix", summary=TEXTS[name], details=TEXTS[name], signature=TEXTS[name], run="mine")
    try:
        commit = bed.source.apply(Patch(edits=(Edit(MAP, "delete _grid;", "x;"),)), message, PatchLimits(), bed.base)
        assert commit.run == "mine"
        assert bed.in_clone("log", "-1", "--format=%(trailers:key=Run,valueonly)", commit.hash) == "mine"
        assert bed.in_clone("log", "-1", "--format=%(trailers:only,key=Signed-off-by)", commit.hash) == ""
        assert bed.in_clone("diff", "--name-only", bed.base, commit.hash) == MAP
        assert not list(bed.state.parent.rglob("pwned"))
    finally:
        bed.reset()


def test_hostile_text_in_source_is_committed_as_it_is(bed: Bed) -> None:
    text = "// $(touch pwned) `id` @everyone ``` %s {0} \\x00 ${HOME}\n"
    try:
        bed.source.apply(whole("src/New.h", text), "fix: x\n\nRun: r\n", PatchLimits(), bed.base)
        assert bed.read("src/New.h").decode() == text
    finally:
        bed.reset()


def test_hostile_attributes_in_the_repository_run_nothing(tmp_path: Path) -> None:
    """A filter named in `.gitattributes` is a command only where somebody configured it; ours never runs one."""
    bed = make_bed(tmp_path, {MAP: MAP_CPP, ".gitattributes": "*.cpp filter=evil diff=evil merge=evil\n"})
    bed.source.apply(Patch(edits=(Edit(MAP, "delete _grid;", "x;"),)), "fix: x\n\nRun: r\n", PatchLimits(), bed.base)
    assert bed.read(MAP) == MAP_CPP.replace("delete _grid;", "x;").encode()
    assert bed.source.head(NIGHT) == bed.in_clone("rev-parse", "HEAD")


def test_hostile_link_in_a_merge_is_never_followed(bed: Bed) -> None:
    """The symbolic link of the repository points out of it; nothing was ever written where it leads."""
    assert not (bed.state.parent.parent / "outside").exists()
    if sys.platform != "win32":
        assert (bed.clone / "src/game/link").is_symlink()
