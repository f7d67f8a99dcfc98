"""Patches become commits with real git: every shape, the form of files kept, all or nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from checkouts import MAP_CPP, NIGHT, Bed, git, make_bed

from pipeline.errors import Refused
from pipeline.model import Change, Edit, Patch, WholeFile
from pipeline.ports import PatchLimits

MAP = "src/game/Map.cpp"
CURE = MAP_CPP.replace("    delete _grid;\n", "    delete _grid;\n    _grid = nullptr;\n")
DIFF = """\
diff --git a/src/game/Map.cpp b/src/game/Map.cpp
--- a/src/game/Map.cpp
+++ b/src/game/Map.cpp
@@ -5,4 +5,5 @@ Map::~Map()
     for (auto* unit : _units)
         unit->Leave();
     delete _grid;
+    _grid = nullptr;
 }
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    return make_bed(tmp_path_factory.mktemp("bed"))


@pytest.fixture
def bed(shared: Bed) -> Bed:
    return shared.reset()


def why_refused(bed: Bed, patch: Patch, limits: PatchLimits | None = None) -> str:
    """The reason, after proof that neither `apply` nor `check` changed anything anywhere."""
    before = bed.picture()
    with pytest.raises(Refused) as refusal:
        bed.apply(patch, limits=limits)
    with pytest.raises(Refused):
        bed.source.check(patch, limits or PatchLimits(), bed.source.resolve("HEAD") or "", bed.base)
    assert bed.picture() == before
    return str(refusal.value)


# --- shapes ----------------------------------------------------------------------------------------------------------

SHAPES = {
    "whole file with its base hash": Patch(files=(WholeFile(MAP, CURE, hashlib.sha256(MAP_CPP.encode()).hexdigest()),)),
    "whole file unchanged since": Patch(files=(WholeFile(MAP, CURE),)),
    "edit": Patch(edits=(Edit(MAP, "delete _grid;", "delete _grid;\n    _grid = nullptr;"),)),
    "edit with an arrow": Patch(
        edits=(Edit(MAP, "    delete _grid; // ← CRASH HERE", "    delete _grid;\n    _grid = nullptr;"),)
    ),
    "edit blind to line ends": Patch(
        edits=(Edit(MAP, "    delete _grid;  \r\n}\r\n", "    delete _grid;\r\n    _grid = nullptr;\r\n}\r\n"),)
    ),
    "edit without a path": Patch(edits=(Edit(None, "    delete _grid;", "    delete _grid;\n    _grid = nullptr;"),)),
    "edit among candidates": Patch(
        edits=(Edit(None, "    delete _grid;", "    delete _grid;\n    _grid = nullptr;", ("src/game/Other.h", MAP)),)
    ),
    "edit with a Windows path": Patch(
        edits=(Edit("src\\game\\Map.cpp", "delete _grid;", "delete _grid;\n    _grid = nullptr;"),)
    ),
    "diff": Patch(diff=DIFF),
    "diff with Windows line ends": Patch(diff=DIFF.replace("\n", "\r\n")),
    "diff with wrong counts": Patch(diff=DIFF.replace("-5,4 +5,5", "-5,9 +5,2")),
    "diff with wrong line numbers": Patch(diff=DIFF.replace("-5,4 +5,5", "-3,4 +3,5")),
    "diff without context": Patch(
        diff="\n".join(line for line in DIFF.split("\n") if line.strip(" }") and "unit" not in line) + "\n"
    ),
    "diff without prefixes": Patch(diff=DIFF.replace("a/src", "src").replace("b/src", "src")),
    "diff without a git header": Patch(diff="\n".join(DIFF.split("\n")[1:])),
    "diff with an empty context line and no last newline": Patch(
        diff=DIFF.replace("-5,4 +5,5", "-5,5 +5,6").rstrip("\n") + "\n\n"
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_commit(bed: Bed, shape: str) -> None:
    changes, diff = bed.source.check(SHAPES[shape], PatchLimits(), bed.base, bed.base)
    commit = bed.apply(SHAPES[shape])
    assert bed.read(MAP) == CURE.encode()
    assert (bed.clone / MAP).read_bytes() == CURE.encode()
    assert changes == [Change(MAP, 1, 0)]
    assert diff == bed.source.diff(commit.hash)
    assert bed.in_clone("status", "--porcelain") == ""


def test_several_edits_of_one_file_are_applied_in_order(bed: Bed) -> None:
    bed.apply(Patch(edits=(Edit(MAP, "Leave()", "Go()"), Edit(MAP, "unit->Go();", "unit->Go(); // gone"))))
    assert b"unit->Go(); // gone\n" in bed.read(MAP)


def test_a_diff_can_make_a_file(bed: Bed) -> None:
    commit = bed.apply(Patch(diff=NEW_FILE))
    assert bed.read("src/game/Grid.h") == b"#pragma once\n"
    assert git(bed.clone, "show", "--format=", "--name-status", commit.hash).split() == [
        "A", "src/game/Grid.h", "M", "src/game/Map.cpp",
    ]  # fmt: skip


NEW_FILE = f"""{DIFF}\
diff --git a/src/game/Grid.h b/src/game/Grid.h
new file mode 100644
--- /dev/null
+++ b/src/game/Grid.h
@@ -0,0 +1 @@
+#pragma once
"""


def test_a_file_can_be_deleted(tmp_path: Path) -> None:
    bed = make_bed(tmp_path, {MAP: MAP_CPP, "src/game/Old.h": "#pragma once\n"})
    bed.apply(Patch(diff="--- a/src/game/Old.h\n+++ /dev/null\n@@ -1 +0,0 @@\n-#pragma once\n"))
    assert not (bed.clone / "src/game/Old.h").exists()


def test_a_new_file_can_be_given_whole_or_as_an_edit_of_nothing(bed: Bed) -> None:
    bed.apply(Patch(files=(WholeFile("src/game/A.h", "a\n"),)))
    bed.apply(Patch(edits=(Edit("src/game/B.h", "", "b\n"),)), run="r2")
    assert (bed.read("src/game/A.h"), bed.read("src/game/B.h")) == (b"a\n", b"b\n")


# --- the form of files -----------------------------------------------------------------------------------------------

BOM = b"\xef\xbb\xbf"
CRLF = MAP_CPP.replace("\n", "\r\n").encode()
FORMS = {
    "windows": CRLF,
    "mixed": CRLF.replace(b"Map()\r\n", b"Map()\n"),
    "mark": BOM + MAP_CPP.encode(),
    "mark-windows": BOM + CRLF,
    "cp1252": b"// caf\xe9\n" + MAP_CPP.encode(),
    "utf-8": "// café →\n".encode() + MAP_CPP.encode(),
    "open": MAP_CPP.rstrip("\n").encode(),
    "open-windows": CRLF.removesuffix(b"\r\n"),
    "spaces": MAP_CPP.replace("{\n", "{   \n").encode(),
}
LAST = """\
--- a/{path}
+++ b/{path}
@@ -{line},4 +{line},4 @@
 {{
     for (auto* unit : _units)
-        unit->Update(diff);
+        unit->Update(diff, true);
 }}
"""


@pytest.fixture(scope="module", params=["", "* text=auto\n", "*.cpp -text\n"], ids=["none", "auto", "binary"])
def forms(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bed:
    """One file of each form, under different `.gitattributes`."""
    files: dict[str, str | bytes] = {f"src/{form}.cpp": content for form, content in FORMS.items()}
    return make_bed(tmp_path_factory.mktemp("forms"), {".gitattributes": request.param, **files})


@pytest.mark.parametrize("shape", ["edit", "diff", "whole file"])
@pytest.mark.parametrize("form", FORMS)
def test_world_git_mixed_line_ends_and_every_other_form_are_kept(forms: Bed, form: str, shape: str) -> None:
    bed, path = forms.reset(), f"src/{form}.cpp"
    committed = bed.read(path)  # `text=auto` has git store plain line ends
    text = committed.removeprefix(BOM).decode("cp1252" if form == "cp1252" else "utf-8").replace("\r\n", "\n")
    whole = text.replace("Update(diff);", "Update(diff, true);").strip("\n") + "\n"
    diff = LAST.format(path=path, line=12 if text.startswith("//") else 11)
    patch = {
        "edit": Patch(edits=(Edit(path, "unit->Update(diff);\n}", "unit->Update(diff, true);\n}"),)),
        "diff": Patch(diff=diff.replace("{\n", "{   \n" if form == "spaces" else "{\n")),
        "whole file": Patch(files=(WholeFile(path, whole),)),
    }[shape]
    bed.apply(patch)
    assert bed.read(path) == committed.replace(b"Update(diff);", b"Update(diff, true);")
    assert bed.in_clone("status", "--porcelain") == ""


@pytest.mark.parametrize("closes", [True, False])
def test_a_diff_can_change_the_last_newline(forms: Bed, closes: bool) -> None:
    path = f"src/{'open' if closes else 'utf-8'}.cpp"
    bed, mark = forms.reset(), "\n\\ No newline at end of file"
    line = 14 if closes else 15
    sides = ("-}" + mark, "+}") if closes else ("-}", "+}" + mark)
    head = f"--- a/{path}\n+++ b/{path}\n@@ -{line - 1},2 +{line - 1},2 @@\n         unit->Update(diff);\n"
    old = bed.read(path)
    bed.apply(Patch(diff=head + "\n".join(sides) + "\n"))
    assert bed.read(path) == (old + b"\n" if closes else old.removesuffix(b"\n"))


def test_an_executable_file_stays_executable(bed: Bed) -> None:
    bed.in_clone("update-index", "--chmod=+x", MAP)
    bed.in_clone("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "x")
    bed.apply(SHAPES["edit"])
    bed.apply(Patch(diff=LAST.format(path=MAP, line=12)), run="r2")
    assert bed.in_clone("ls-files", "--stage", MAP).startswith("100755 ")


def test_a_new_file_gets_the_line_ends_of_its_neighbours(tmp_path: Path) -> None:
    bed = make_bed(tmp_path, {MAP: CRLF, "src/plain/A.cpp": "a\n"})
    bed.apply(Patch(files=(WholeFile("src/game/B.cpp", "b\n"), WholeFile("src/plain/B.cpp", "b\r\n"))))
    assert (bed.read("src/game/B.cpp"), bed.read("src/plain/B.cpp")) == (b"b\r\n", b"b\n")


def test_world_git_crlf_base_hash_may_be_of_the_file_as_windows_checks_it_out(bed: Bed) -> None:
    digest = hashlib.sha256(MAP_CPP.replace("\n", "\r\n").encode()).hexdigest()
    bed.apply(Patch(files=(WholeFile(MAP, CURE.replace("\n", "\r\n"), digest),)))
    assert bed.read(MAP) == CURE.encode()


# --- what does not apply ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        (Patch(), "it holds no change"),
        (Patch(diff=DIFF, reverts=("HEAD",)), "it holds several kinds of change at once"),
        (Patch(files=(WholeFile(MAP, MAP_CPP),)), "it changes nothing: the branch has all of it already"),
        (Patch(edits=(Edit(MAP, "Leave", "Leave"),)), "it changes nothing: the branch has all of it already"),
        (Patch(edits=(Edit(MAP, "", "x"),)), "an edit names no text to replace"),
        (Patch(edits=(Edit("src/No.cpp", "a", "x"),)), "`src/No.cpp` is not in the source"),
        (
            Patch(edits=(Edit(MAP, "for (auto* unit : _units)", "x"),)),
            "the text to replace stands in more than one place: `src/game/Map.cpp:5`, `src/game/Map.cpp:12`",
        ),
        (
            Patch(edits=(Edit(MAP, "    for (auto* unit : _units)\n        unit->Update(diff, 7);", "x"),)),
            "the text to replace was not found in `src/game/Map.cpp`; the nearest is `src/game/Map.cpp:5`",
        ),
        (
            Patch(edits=(Edit(None, "utterly unlike anything", "x"),)),
            "the text to replace was not found in any file that may be changed",
        ),
        (Patch(files=(WholeFile(MAP, CURE), WholeFile("./" + MAP, CURE))), "it holds the same file twice"),
        (
            Patch(files=(WholeFile("src/Gone.h", "x\n", "0" * 64),)),
            "`src/Gone.h` is not there (any more): the patch was made for another version of it",
        ),
        (
            Patch(files=(WholeFile(MAP, CURE, "0" * 64),)),
            "`src/game/Map.cpp` has changed since the patch was made (its base_sha256 is of another version)",
        ),
        (Patch(diff="just words\n"), "it is not a unified diff: no line begins with `--- ` or `diff --git`"),
        (
            Patch(diff=DIFF.replace("delete _grid;", "free(_grid);")),
            "the diff does not apply: patch failed: src/game/Map.cpp:5; src/game/Map.cpp: patch does not apply",
        ),
    ],
)
def test_what_does_not_apply_is_refused_in_a_sentence_and_writes_nothing(bed: Bed, patch: Patch, reason: str) -> None:
    assert why_refused(bed, patch) == reason


def test_a_hunk_that_could_be_meant_for_two_places_is_refused(tmp_path: Path) -> None:
    body = "void F{n}()\n{{\n    Begin();\n    Step();\n    End();\n}}\n\n"
    bed = make_bed(tmp_path, {MAP: "".join(body.format(n=n) for n in range(3))})
    diff = f"--- a/{MAP}\n+++ b/{MAP}\n@@ -4,3 +4,3 @@\n     Begin();\n-    Step();\n+    Stop();\n     End();\n"
    assert why_refused(bed, Patch(diff=diff)) == (
        "a hunk of the diff fits `src/game/Map.cpp` at more than one line (3, 10, 17) and at none exactly"
    )
    bed.apply(Patch(diff=diff.replace("-4,3 +4,3", "-10,3 +10,3")))
    assert bed.read(MAP).count(b"Stop();") == 1 and b"F1()\n{\n    Begin();\n    Stop();" in bed.read(MAP)


def test_an_edit_without_a_path_that_stands_in_two_files_is_refused(tmp_path: Path) -> None:
    bed = make_bed(tmp_path, {MAP: MAP_CPP, "src/game/Copy.cpp": MAP_CPP})
    reason = why_refused(bed, Patch(edits=(Edit(None, "    delete _grid;", "x"),)))
    assert reason == "the text to replace stands in more than one place: `src/game/Copy.cpp`, `src/game/Map.cpp`"


def test_an_edit_without_a_path_never_reaches_a_file_that_may_not_be_changed(tmp_path: Path) -> None:
    bed = make_bed(tmp_path, {MAP: MAP_CPP, "tools/Copy.cpp": MAP_CPP})
    assert bed.apply(Patch(edits=(Edit(None, "    delete _grid;", "    x;"),)))
    assert bed.read("tools/Copy.cpp") == MAP_CPP.encode()


def test_a_limit_of_lines_and_files_is_kept(bed: Bed) -> None:
    assert why_refused(bed, Patch(diff=DIFF), PatchLimits(max_lines=0)) == (
        "it changes 1 lines: more than MAX_CHANGED_LINES (0)"
    )
    many = Patch(files=tuple(WholeFile(f"src/{number}.h", "x\n") for number in range(3)))
    assert why_refused(bed, many, PatchLimits(max_files=2)) == "it touches 3 files: more than MAX_FILES (2)"


# --- reverts ---------------------------------------------------------------------------------------------------------


def test_a_revert_takes_a_fix_back_and_says_so(bed: Bed) -> None:
    fix = bed.apply(SHAPES["diff"])
    revert = bed.apply(Patch(reverts=(fix.hash,)), run="r2")
    assert bed.read(MAP) == MAP_CPP.encode()
    assert f"This reverts commit {fix.hash}." in bed.in_clone("log", "-1", "--format=%B")
    assert revert.run == "r2"
    assert bed.source.find_revert(revert.hash, fix.hash) == revert
    assert bed.source.find_revert(fix.hash, fix.hash) is None


def test_a_revert_keeps_what_came_after_in_the_same_file(bed: Bed) -> None:
    fix = bed.apply(SHAPES["diff"])
    bed.apply(Patch(edits=(Edit(MAP, "Update(diff);", "Update(1);"),)), run="r2")
    bed.apply(Patch(reverts=(fix.hash,)), run="r3")
    assert bed.read(MAP) == MAP_CPP.replace("Update(diff);", "Update(1);").encode()


def test_several_fixes_are_taken_back_in_one_commit_newest_first(bed: Bed) -> None:
    first = bed.apply(SHAPES["diff"])
    second = bed.apply(Patch(edits=(Edit(MAP, "_grid = nullptr;", "_grid = {};"),)), run="r2")
    third = bed.apply(Patch(files=(WholeFile("src/New.h", "x\n"),)), run="r3")
    both = Patch(reverts=(third.hash, second.hash, first.hash))
    bed.apply(both, run="r4", limits=PatchLimits(max_files=1, max_lines=1))
    assert bed.in_clone("rev-parse", "HEAD^{tree}") == bed.in_clone("rev-parse", f"{bed.base}^{{tree}}")
    assert bed.in_clone("rev-parse", "HEAD^") == third.hash


def test_a_revert_that_conflicts_names_the_later_commit(bed: Bed) -> None:
    first = bed.apply(SHAPES["diff"])
    bed.apply(Patch(files=(WholeFile("src/New.h", "x\n"),)), run="r2")
    second = bed.apply(Patch(edits=(Edit(MAP, "_grid = nullptr;", "_grid = {};"),)), run="r3")
    assert why_refused(bed, Patch(reverts=(first.hash,))) == (
        f"{first.hash[:12]} cannot be undone: {second.hash[:12]} (fix: a cure) changed the same lines of `{MAP}`"
    )


def test_what_is_undone_already_is_told_with_the_commit_that_did_it(bed: Bed) -> None:
    fix = bed.apply(SHAPES["diff"])
    revert = bed.apply(Patch(reverts=(fix.hash,)), run="r2")
    assert why_refused(bed, Patch(reverts=(fix.hash,))) == f"{fix.hash[:12]} is already undone by {revert.hash[:12]}"


def test_a_revert_can_be_taken_back_too(bed: Bed) -> None:
    fix = bed.apply(SHAPES["diff"])
    revert = bed.apply(Patch(reverts=(fix.hash,)), run="r2")
    again = bed.apply(Patch(reverts=(revert.hash,)), run="r3")
    assert bed.read(MAP) == CURE.encode()
    assert bed.source.holds_fix(again.hash, fix.hash, "r1")
    assert not bed.source.holds_fix(revert.hash, fix.hash, "r1")


@pytest.mark.parametrize("name", ["0" * 40, "--all", "-x", "HEAD@{1}", ":/start", "no such", "a..b"])
def test_a_revert_of_what_is_no_commit_is_refused(bed: Bed, name: str) -> None:
    assert why_refused(bed, Patch(reverts=(name,))) == f"{name!r} is no commit of this repository"


# --- merges ----------------------------------------------------------------------------------------------------------


def test_an_update_merges_the_base_with_everything_it_brings(tmp_path: Path) -> None:
    bed = make_bed(tmp_path)
    bed.apply(SHAPES["diff"])
    base = bed.checkout.commit({
        MAP: MAP_CPP.replace("Update(diff);", "Update(1);"), "CMakeLists.txt": "project(y)\n", "sql/b.sql": "--\n",
    })  # fmt: skip
    night = bed.source.head(NIGHT)
    assert bed.source.base_head() == base
    merge = bed.apply(Patch(merges=base), run="r2", limits=PatchLimits(max_files=1, max_lines=1))
    assert bed.in_clone("log", "-1", "--format=%P") == f"{night} {base}"
    assert bed.read(MAP) == CURE.replace("Update(diff);", "Update(1);").encode()
    assert bed.read("sql/b.sql") == b"--\n"
    assert bed.source.contains(merge.hash, base)


def test_an_update_that_conflicts_is_refused_with_the_files(tmp_path: Path) -> None:
    bed = make_bed(tmp_path)
    bed.apply(SHAPES["diff"])
    base = bed.checkout.commit({MAP: MAP_CPP.replace("    delete _grid;\n", "    _grid.reset();\n")})
    bed.source.base_head()
    reason = f"{base[:12]} conflicts with the night's fixes in `{MAP}`"
    assert why_refused(bed, Patch(merges=base)) == reason


def test_an_update_that_brings_nothing_is_refused(bed: Bed) -> None:
    bed.apply(SHAPES["diff"])
    assert why_refused(bed, Patch(merges=bed.base)) == f"the night branch has {bed.base[:12]} already"


def undo(bed: Bed, *commits: str) -> str:
    return bed.apply(Patch(reverts=commits), run="undo").hash


def update(bed: Bed, base: str) -> str:
    bed.source.base_head()
    return bed.apply(Patch(merges=base), run="r2").hash


def test_an_update_that_was_undone_brings_its_content_when_it_is_ordered_again(tmp_path: Path) -> None:
    bed = make_bed(tmp_path)
    base = bed.checkout.commit({"src/Theirs.h": "// theirs\n"}, "theirs")
    first = update(bed, base)
    undone = undo(bed, first)
    assert [each.subject for each in bed.source.list_unmerged(undone, base)] == ["theirs"]
    again = update(bed, base)
    assert bed.read("src/Theirs.h") == b"// theirs\n"
    assert bed.in_clone("log", "-1", "--format=%P") == f"{undone} {base}"
    assert f"This brings back commit {first}." in bed.in_clone("log", "-1", "--format=%B")
    assert bed.source.list_unmerged(again, base) == []
    assert why_refused(bed, Patch(merges=base)) == f"the night branch has {base[:12]} already"


def test_a_newer_base_brings_what_was_undone_of_the_one_before(tmp_path: Path) -> None:
    bed = make_bed(tmp_path)
    first = update(bed, bed.checkout.commit({"src/Theirs.h": "// theirs\n", "src/Both.h": "1\n"}, "theirs"))
    fix = bed.apply(SHAPES["diff"]).hash
    undo(bed, fix, first)  # as a rollback of both does
    newer = bed.checkout.commit({"src/Both.h": "2\n"}, "newer")
    head = bed.source.head(NIGHT) or ""
    assert update(bed, newer) != head
    assert [bed.read(path) for path in ("src/Theirs.h", "src/Both.h")] == [b"// theirs\n", b"2\n"]
    assert bed.read(MAP) == MAP_CPP.encode(), "the fix that was undone with it stays undone"
    assert not bed.source.holds_fix(bed.source.head(NIGHT) or "", fix, "r1")
    assert [each.subject for each in bed.source.list_unmerged(head, newer)] == ["newer", "theirs"]


def test_an_update_can_be_undone_and_made_again_as_often_as_people_like(tmp_path: Path) -> None:
    bed = make_bed(tmp_path)
    base = bed.checkout.commit({"src/Theirs.h": "// theirs\n"}, "theirs")
    for _ in range(3):
        made = update(bed, base)
        assert bed.read("src/Theirs.h") == b"// theirs\n"
        gone = undo(bed, made)
        assert "src/Theirs.h" not in bed.in_clone("ls-tree", "-r", "--name-only", gone)
    undo(bed, gone)  # the last revert is reverted: the last merge stands again
    assert bed.read("src/Theirs.h") == b"// theirs\n"
    assert bed.source.list_unmerged(bed.source.head(NIGHT) or "", base) == []


def test_a_base_that_was_set_back_behind_the_undone_update_brings_only_what_it_has(tmp_path: Path) -> None:
    bed = make_bed(tmp_path)
    good = bed.checkout.commit({"src/Good.h": "// good\n"}, "good")
    undo(bed, update(bed, bed.checkout.commit({"src/Bad.h": "// bad\n"}, "bad")))
    git(bed.checkout.folder, "reset", "--quiet", "--hard", good)
    better = bed.checkout.commit({"src/Better.h": "// better\n"}, "better")
    update(bed, better)
    there = bed.in_clone("ls-tree", "-r", "--name-only", "HEAD")
    assert ("src/Good.h" in there, "src/Bad.h" in there, "src/Better.h" in there) == (True, False, True)


# --- faults that must not come back ----------------------------------------------------------------------------------


def test_fault_a4_a_change_given_as_before_and_after_is_applied_or_refused(bed: Bed) -> None:
    before = "    delete _grid; // ← CRASH HERE: freed twice"
    bed.apply(Patch(edits=(Edit(None, before, "    delete _grid;\n    _grid = nullptr;", (MAP,)),)))
    assert bed.read(MAP) == CURE.encode()
    reason = why_refused(bed, Patch(edits=(Edit(None, "    delete _grids; // ← CRASH HERE", "x", (MAP,)),)))
    assert reason == f"the text to replace was not found in `{MAP}`; the nearest is `{MAP}:7`"


def test_fault_a8_a_path_outside_of_the_source_is_not_written(bed: Bed) -> None:
    reason = why_refused(bed, Patch(files=(WholeFile("../outside.txt", "x"),)))
    assert reason == "the path `../outside.txt` leaves its folder with `..`"
    assert not (bed.state / "outside.txt").exists()


def test_fault_a18_a_fragment_never_overwrites_a_whole_file(tmp_path: Path) -> None:
    bed = make_bed(tmp_path, {MAP: MAP_CPP + "int x;\n" * 30})
    reason = why_refused(bed, Patch(files=(WholeFile(MAP, "    delete _grid;\n    _grid = nullptr;\n"),)))
    assert reason.startswith(f"`{MAP}` has 44 lines and would have 3: this looks like a fragment of it")


def test_fault_a18_two_responses_for_one_file_do_not_undo_each_other(bed: Bed) -> None:
    bed.apply(SHAPES["whole file unchanged since"])
    other = Patch(files=(WholeFile(MAP, MAP_CPP.replace("Update(diff);", "Update(1);")),))
    assert why_refused(bed, other) == f"`{MAP}` has changed since the analyst saw it ({bed.base[:12]})"
    assert bed.read(MAP) == CURE.encode()


def test_fault_a18_a_whole_file_of_unknown_origin_is_refused(bed: Bed) -> None:
    with pytest.raises(Refused, match=r"nothing says which version of `src/game/Map\.cpp` was meant"):
        bed.source.apply(SHAPES["whole file unchanged since"], "x\n", PatchLimits(), None)
