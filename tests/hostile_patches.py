"""Patches that must never be applied, by what is wrong with them: paths, contents, forms of a diff."""

from __future__ import annotations

from pathlib import Path

from checkouts import MAP_CPP, Bed, git, make_bed

from pipeline.model import Edit, Patch, WholeFile

MAP = "src/game/Map.cpp"
ZERO = "0" * 40


def make_hostile_bed(folder: Path) -> Bed:
    """A source that has a symlink and a submodule in it."""
    bed = make_bed(folder, {MAP: MAP_CPP, "src/game/Twin.cpp": MAP_CPP, "secret.conf": "s\n"})
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
