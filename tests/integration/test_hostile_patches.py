"""Part C of the faults at the level of the source: refused in a sentence, nothing written anywhere; or only text."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from checkouts import MAP_CPP, NIGHT, Bed, make_bed
from hostile_patches import CONTENTS, DIFFS, MAP, PATHS, diff, make_hostile_bed, whole

from pipeline.adapters.commit_messages import commit_message
from pipeline.errors import PipelineError, Refused
from pipeline.model import Edit, Patch
from pipeline.ports import PatchLimits


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    """Shared, since no case may change it."""
    return make_hostile_bed(tmp_path_factory.mktemp("hostile"))


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
