"""Our clone beside a user's checkout, with real git and real remotes: what is kept, what is pushed, what is told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from checkouts import MAP_CPP, NIGHT, Bed, git, make_bed, make_checkout, make_source, snapshot
from stamina.instrumentation import set_on_retry_hooks

from pipeline import policy
from pipeline.adapters.commit_messages import commit_message
from pipeline.adapters.git import GitSource
from pipeline.adapters.git_checkout import refuse_nested
from pipeline.adapters.git_process import GitLocked
from pipeline.adapters.git_remote import tell_retries
from pipeline.adapters.git_repository import is_name
from pipeline.errors import DefiniteError, RemoteUnreachable, SourceUnusable
from pipeline.model import Commit, Edit, Patch, WholeFile
from pipeline.ports import Diverged, PatchLimits, Pushed

MAP = "src/game/Map.cpp"
CURE = Patch(edits=(Edit(MAP, "delete _grid;", "_grid.reset();"),))
SECOND = f"{NIGHT}-2"


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return make_bed(tmp_path)


def add_file(bed: Bed, name: str, run: str = "r1") -> Commit:
    return bed.apply(Patch(files=(WholeFile(f"src/{name}", f"{name}\n"),)), run=run)


def push_from_elsewhere(bed: Bed, branch: str, files: dict[str, str | bytes]) -> str:
    """Somebody else's commit on a branch of the remote."""
    other = bed.state.parent / "other"
    if not other.exists():
        git(bed.state.parent, "clone", "-q", str(bed.checkout.remote), str(other))
    git(other, "fetch", "-q")
    git(other, "checkout", "-q", "-B", branch, f"origin/{branch}")
    for name, content in files.items():
        (other / name).write_bytes(content.encode() if isinstance(content, str) else content)
    git(other, "add", ".")
    git(other, "commit", "-q", "-m", "elsewhere")
    git(other, "push", "-q", "origin", branch)
    return git(other, "rev-parse", "HEAD")


# --- the clone -------------------------------------------------------------------------------------------------------


def test_preparing_again_changes_nothing(bed: Bed) -> None:
    commit = add_file(bed, "a.h")
    before = snapshot(bed.clone, times=False)
    bed.source.prepare()
    after = snapshot(bed.clone, times=False)
    assert {path: each for path, each in after.items() if "FETCH_HEAD" not in path} == {
        path: each for path, each in before.items() if "FETCH_HEAD" not in path
    }
    assert bed.source.head(NIGHT) == commit.hash


def test_the_clone_shares_no_file_with_the_checkout(bed: Bed) -> None:
    """git touches the times of objects it finds again: of a hard link that would be the user's file."""
    inodes = {path.stat().st_ino for path in bed.checkout.folder.rglob("*") if path.is_file()}
    assert not inodes & {path.stat().st_ino for path in bed.clone.rglob("*") if path.is_file()}


def test_the_base_is_the_branch_that_is_checked_out(bed: Bed) -> None:
    git(bed.checkout.folder, "checkout", "-q", "-b", "3.3.5")
    newer = bed.checkout.commit({"src/new.h": "x\n"})
    assert bed.source.base_head() == newer


def test_the_base_can_be_set_to_another_branch(tmp_path: Path) -> None:
    bed = make_bed(tmp_path, base_branch="master")
    git(bed.checkout.folder, "checkout", "-q", "-b", "playground")
    bed.checkout.commit({"src/new.h": "x\n"})
    assert bed.source.base_head() == bed.base


def test_the_base_of_a_detached_checkout_is_its_head(bed: Bed) -> None:
    git(bed.checkout.folder, "checkout", "-q", "--detach")
    newer = bed.checkout.commit({"src/new.h": "x\n"})
    assert bed.source.base_head() == newer
    assert bed.source.resolve(newer[:10]) == newer


ORDINARY = (
    "feat/ümläut#1",
    "feat+x@y",
    "a(b)",
    "a`b",
    "#1",
    "'x\"$(id);&|",
    "x{y}",
    "@x",
    "é",
    "a/-b",
    "日本",
    "x!%,=",
)


@pytest.mark.parametrize("name", ORDINARY)
@pytest.mark.parametrize("is_set", [False, True], ids=["checked out", "by its setting"])
def test_a_base_may_have_any_name_that_git_allows(tmp_path: Path, name: str, is_set: bool) -> None:
    checkout = make_checkout(tmp_path)
    git(checkout.folder, "checkout", "-q", "-b", name)
    newer = checkout.commit({"src/new.h": "x\n"})
    if is_set:
        git(checkout.folder, "checkout", "-q", "master")
    source = make_source(tmp_path, checkout, base_branch=name if is_set else None)
    source.prepare()
    assert source.base_head() == newer


def test_what_is_taken_for_a_name_is_what_git_takes_for_one(tmp_path: Path) -> None:
    odd = [
        "a..b",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[b",
        "a\\b",
        "a@{1}",
        "a//b",
        "/a",
        "a/",
        "a.",
        ".a",
        "a/.b",
    ]
    more = ["a/.b", "a.lock", "a.lock/b", "a\x7fb", "a\nb", "a.b", "a.lockb", "{", "@", "a@", "-", "a-", "]"]
    for name in (*ORDINARY, *odd, *more):
        asked = subprocess.run(["git", "check-ref-format", f"refs/heads/{name}"], cwd=tmp_path, timeout=60)
        assert is_name(f"refs/heads/{name}") == (asked.returncode == 0), name
    assert [is_name(each) for each in ("-x", "--all", "@", "", "a\udc80", ":/fix", "HEAD@{1}")] == [False] * 7


def test_a_base_that_is_not_there_is_told(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path)
    source = make_source(tmp_path, checkout, base_branch="4.x")
    source.prepare()
    with pytest.raises(SourceUnusable, match=r"SOURCE_DIR has no branch `4\.x` \(SOURCE_BASE_BRANCH\)"):
        source.base_head()


def test_a_new_commit_of_the_checkout_is_found_without_preparing(bed: Bed) -> None:
    newer = bed.checkout.commit({"src/new.h": "x\n"})
    assert bed.source.resolve(newer[:9]) == newer


def test_a_commit_that_only_the_remote_has_is_found(bed: Bed) -> None:
    commit = add_file(bed, "a.h")
    bed.source.publish(NIGHT, commit.hash, None)
    newer = push_from_elsewhere(bed, NIGHT, {"src/b.h": "b\n"})
    assert bed.source.resolve(newer) == newer


def test_what_is_in_no_repository_is_not_found(bed: Bed) -> None:
    assert bed.source.resolve("1234567890ab") is None


def test_looking_fails_in_no_other_way_while_there_is_no_clone_or_no_checkout(bed: Bed) -> None:
    fresh = GitSource(bed.state.parent / "new", bed.checkout.folder, review=policy)
    assert (fresh.resolve(bed.base), fresh.head(NIGHT), fresh.url(bed.base)) == (None, None, None)
    bed.checkout.folder.rename(bed.state.parent / "moved")
    assert (bed.source.resolve("1234567890ab"), bed.source.resolve(bed.base)) == (None, bed.base)


def test_a_night_begins_where_it_is_told_and_only_once(bed: Bed) -> None:
    commit = add_file(bed, "a.h")
    bed.source.begin(NIGHT, bed.base)
    assert bed.source.head(NIGHT) == commit.hash
    bed.source.begin(SECOND, bed.base)
    assert bed.source.head(SECOND) == bed.base
    assert not (bed.clone / "src/a.h").exists()


def test_restoring_makes_the_clone_exact_and_leaves_other_branches_alone(bed: Bed) -> None:
    first = add_file(bed, "a.h")
    second = add_file(bed, "b.h", "r2")
    bed.source.begin(SECOND, second.hash)
    (bed.source.work_tree() / MAP).write_text("garbage")
    (bed.clone / "src/stray.h").write_text("stray")
    (bed.clone / "build").mkdir()
    (bed.clone / "build/.gitignore").write_text("*")
    bed.source.restore(NIGHT, first.hash)
    assert bed.in_clone("status", "--porcelain", "--ignored") == ""
    assert bed.in_clone("rev-parse", "HEAD", "--abbrev-ref", "HEAD").split() == [first.hash, NIGHT]
    assert bed.source.head(SECOND) == second.hash


def test_restoring_leaves_the_times_of_unchanged_files_so_that_builds_stay_incremental(bed: Bed) -> None:
    os.utime(bed.source.work_tree() / MAP, (1_000_000_000, 1_000_000_000))
    bed.source.restore(NIGHT, bed.base)
    add_file(bed, "a.h")
    bed.source.restore(NIGHT, bed.base)
    assert (bed.clone / MAP).stat().st_mtime == 1_000_000_000


def test_what_a_build_left_goes_even_where_the_clone_stands_right_already(bed: Bed) -> None:
    good = add_file(bed, "a.h")
    bed.source.restore(NIGHT, good.hash)
    (bed.source.work_tree() / "src/leftover.o").write_bytes(b"\0")
    (bed.clone / MAP).write_text("garbage")
    bed.source.restore(NIGHT, good.hash)
    assert bed.in_clone("status", "--porcelain", "--ignored") == ""


def test_a_commit_is_found_by_its_run_and_only_above_the_given_head(bed: Bed) -> None:
    commit = add_file(bed, "a.h", "r7")
    assert bed.source.find_run(NIGHT, bed.base, "r7") == commit
    assert bed.source.find_run(NIGHT, commit.hash, "r7") is None
    assert bed.source.find_run(NIGHT, bed.base, "r") is None
    assert bed.source.find_run(SECOND, bed.base, "r7") is None


def test_a_run_that_is_only_named_in_the_text_is_not_found(bed: Bed) -> None:
    message = commit_message(kind="fix", summary="Run: r9", details="Run: r9\n\nRun: r9", run="r1")
    bed.source.apply(CURE, message, PatchLimits(), bed.base)
    assert bed.source.find_run(NIGHT, bed.base, "r9") is None


def test_the_log_and_the_diff_tell_what_was_done(bed: Bed) -> None:
    first, second = add_file(bed, "a.h"), add_file(bed, "b.h", "r2")
    assert bed.source.log(bed.base, second.hash) == [second, first]
    assert bed.source.log(second.hash, second.hash) == []
    assert "+b.h\n" in bed.source.diff(second.hash) and "a.h" not in bed.source.diff(second.hash)
    assert "project(x)" in bed.source.diff(bed.base)
    assert bed.source.contains(second.hash, first.hash) and not bed.source.contains(first.hash, second.hash)
    assert not bed.source.contains(first.hash, "1234567")


def test_the_page_of_a_commit_is_known_from_the_checkouts_remote(tmp_path: Path) -> None:
    bed = make_bed(tmp_path)
    assert bed.source.url("c1") is None
    git(bed.checkout.folder, "remote", "set-url", "origin", "https://me:secret@github.com/o/n.git")
    bed.source.prepare()
    assert bed.source.url("c1") == "https://github.com/o/n/commit/c1"
    templated = make_source(tmp_path, bed.checkout, commit_url_template="https://x.y/{commit}")
    assert templated.url("c1") == "https://x.y/c1"


# --- a checkout that cannot be used ----------------------------------------------------------------------------------


def unusable(tmp_path: Path, folder: Path) -> str:
    source = GitSource(tmp_path / "state", folder, review=policy)
    with pytest.raises(SourceUnusable) as fault:
        source.prepare()
    return str(fault.value)


def test_a_folder_that_is_not_there_or_no_repository_is_told(tmp_path: Path) -> None:
    missing, plain = tmp_path / "missing", tmp_path / "plain"
    plain.mkdir()
    assert unusable(tmp_path, missing) == f"SOURCE_DIR ({missing}) is not there"
    assert unusable(tmp_path, plain) == f"SOURCE_DIR ({plain}) is not a git repository"


def test_a_repository_without_a_commit_and_a_folder_inside_of_one_are_told(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "empty")
    assert unusable(tmp_path, tmp_path / "empty") == f"SOURCE_DIR ({tmp_path / 'empty'}) has no commit yet"
    inside = make_checkout(tmp_path / "x").folder / "src"
    assert unusable(tmp_path, inside) == (f"SOURCE_DIR ({inside}) is a folder inside a repository: name the repository")


def test_nested_repositories_are_named(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path)
    assert refuse_nested(checkout.folder) == []
    git(checkout.folder, "init", "-q", "modules/mod-a")
    git(checkout.folder, "update-index", "--add", "--cacheinfo", f"160000,{checkout.head()},dep/lib")
    git(checkout.folder, "commit", "-q", "-m", "submodule")
    assert (
        make_source(tmp_path, checkout).list_nested()
        == refuse_nested(checkout.folder)
        == [
            "`dep/lib` is a submodule: fixes to it cannot be committed",
            "`modules/mod-a` is a repository of its own inside SOURCE_DIR: our clone would not contain it",
        ]
    )


# --- publishing ------------------------------------------------------------------------------------------------------


def test_publishing_is_idempotent_and_goes_forward(bed: Bed) -> None:
    first = add_file(bed, "a.h")
    assert bed.source.publish(NIGHT, first.hash, None) == Pushed(first.hash)
    assert bed.source.publish(NIGHT, first.hash, first.hash) == Pushed(first.hash)
    assert bed.source.publish(NIGHT, first.hash, None) == Pushed(first.hash)  # killed before it was written down
    second = add_file(bed, "b.h", "r2")
    assert bed.source.publish(NIGHT, second.hash, None) == Pushed(second.hash)
    assert bed.checkout.remote_head(NIGHT) == second.hash


def test_only_the_commit_that_is_named_is_pushed(bed: Bed) -> None:
    first = add_file(bed, "a.h")
    add_file(bed, "unbuilt.h", "r2")
    bed.source.publish(NIGHT, first.hash, None)
    assert bed.checkout.remote_head(NIGHT) == first.hash


def test_world_git_branch_foreign_commits_make_it_another_branch(bed: Bed) -> None:
    first = add_file(bed, "a.h")
    bed.source.publish(NIGHT, first.hash, None)
    theirs = push_from_elsewhere(bed, NIGHT, {"src/theirs.h": "x\n"})
    second = add_file(bed, "b.h", "r2")
    outcome = bed.source.publish(NIGHT, second.hash, first.hash)
    assert outcome == Diverged(f"has commits on origin that we do not have ({theirs[:12]})")
    assert bed.source.publish(NIGHT, first.hash, first.hash) == outcome
    assert bed.checkout.remote_head(NIGHT) == theirs


def test_world_git_branch_deleted_there_is_not_made_again(bed: Bed) -> None:
    first = add_file(bed, "a.h")
    bed.source.publish(NIGHT, first.hash, None)
    git(bed.checkout.remote, "update-ref", "-d", f"refs/heads/{NIGHT}")
    outcome = bed.source.publish(NIGHT, first.hash, first.hash)
    assert outcome == Diverged("is gone from origin, where it was pushed before")
    assert bed.checkout.remote_head(NIGHT) is None


def test_a_branch_that_diverged_goes_on_under_the_next_name(bed: Bed) -> None:
    first = add_file(bed, "a.h")
    bed.source.publish(NIGHT, first.hash, None)
    theirs = push_from_elsewhere(bed, NIGHT, {"src/theirs.h": "x\n"})
    second = add_file(bed, "b.h", "r2")
    bed.source.begin(SECOND, second.hash)
    assert bed.source.publish(SECOND, second.hash, None) == Pushed(second.hash)
    assert bed.checkout.remote_head(NIGHT) == theirs


@pytest.mark.parametrize(
    "branch", ["master", "feature", "overnight-2026", "overnight-20260131-2x", "refs/heads/master"]
)
def test_nothing_but_a_night_branch_is_ever_pushed(bed: Bed, branch: str) -> None:
    before = snapshot(bed.checkout.remote)
    with pytest.raises(DefiniteError, match="is not one of ours: it is never pushed"):
        bed.source.publish(branch, bed.base, None)
    assert snapshot(bed.checkout.remote) == before


def test_the_base_branch_is_never_pushed_whatever_its_name(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path)
    git(checkout.folder, "checkout", "-q", "-b", NIGHT)
    source = make_source(tmp_path, checkout, base_branch=NIGHT)
    source.prepare()
    with pytest.raises(DefiniteError, match="is never pushed"):
        source.publish(NIGHT, checkout.head(), None)
    with pytest.raises(SourceUnusable, match="is not the name of a night branch"):
        source.begin(NIGHT, checkout.head())


def test_tags_and_other_branches_stay_at_home(tmp_path: Path) -> None:
    bed = make_bed(tmp_path)
    git(bed.checkout.folder, "tag", "-a", "-m", "secret", "v1")
    git(bed.checkout.folder, "branch", "private")
    bed.source.prepare()
    commit = add_file(bed, "a.h")
    bed.in_clone("config", "push.followTags", "true")
    bed.source.publish(NIGHT, commit.hash, None)
    names = git(bed.checkout.remote, "for-each-ref", "--format=%(refname)").split()
    assert names == ["refs/heads/master", f"refs/heads/{NIGHT}"]


def test_world_git_remote_gone_is_tried_three_times_and_works_again_later(bed: Bed) -> None:
    commit = add_file(bed, "a.h")
    away = bed.checkout.remote.rename(bed.checkout.remote.with_name("away.git"))
    with pytest.raises(RemoteUnreachable, match="the remote origin cannot be reached: "):
        bed.source.publish(NIGHT, commit.hash, None)
    away.rename(bed.checkout.remote)
    assert bed.source.publish(NIGHT, commit.hash, None) == Pushed(commit.hash)


def test_each_new_try_of_a_push_is_a_sentence_in_the_log_that_says_why(
    bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    commit = add_file(bed, "a.h")
    bed.checkout.remote.rename(bed.checkout.remote.with_name("away.git"))
    tell_retries()
    try:
        with pytest.raises(RemoteUnreachable) as fault:
            bed.source.publish(NIGHT, commit.hash, None)
    finally:
        set_on_retry_hooks(None)
    assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == [
        f"{fault.value}; tried again in 0 s",
        f"{fault.value}; tried again in 0 s",
    ]


def test_a_checkout_without_a_remote_owes_the_push_and_says_how_to_mend_it(bed: Bed) -> None:
    git(bed.checkout.folder, "remote", "remove", "origin")
    other = bed.state.parent / "second"
    source = GitSource(other, bed.checkout.folder, review=policy, push_backoff=0.0)
    source.prepare()
    source.begin(NIGHT, bed.base)
    with pytest.raises(
        RemoteUnreachable, match="no remote named origin outside of itself: set SOURCE_REMOTE, or add it there"
    ):
        source.publish(NIGHT, bed.base, None)
    assert source.url(bed.base) is None


def test_another_remote_can_be_named(tmp_path: Path) -> None:
    bed = make_bed(tmp_path, remote_name="fork")
    git(tmp_path, "init", "-q", "--bare", "fork.git")
    git(bed.checkout.folder, "remote", "add", "fork", "../fork.git")
    bed.source.prepare()
    commit = add_file(bed, "a.h")
    bed.source.publish(NIGHT, commit.hash, None)
    assert git(tmp_path / "fork.git", "rev-parse", NIGHT) == commit.hash
    assert bed.checkout.remote_head(NIGHT) is None


def test_world_git_remote_refuses_and_its_own_words_are_told(bed: Bed) -> None:
    hook = bed.checkout.remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'no fixes after https://me:secret@example.org/freeze' >&2\nexit 1\n")
    hook.chmod(0o755)
    commit = add_file(bed, "a.h")
    with pytest.raises(DefiniteError) as refusal:
        bed.source.publish(NIGHT, commit.hash, None)
    assert str(refusal.value) == (
        "the remote origin refused the push: [remote rejected] (pre-receive hook declined) "
        "(it says: no fixes after https://example.org/freeze)"
    )
    assert bed.checkout.remote_head(NIGHT) is None


def test_a_push_can_be_rehearsed(bed: Bed) -> None:
    before = snapshot(bed.checkout.remote)
    bed.source.rehearse_push(NIGHT)
    assert snapshot(bed.checkout.remote) == before
    with pytest.raises(DefiniteError, match="is never pushed"):
        bed.source.rehearse_push("master")
    bed.checkout.remote.rename(bed.checkout.remote.with_name("away.git"))
    with pytest.raises(RemoteUnreachable):
        bed.source.rehearse_push(NIGHT)


def test_the_remote_tells_which_night_branches_it_has(bed: Bed) -> None:
    assert bed.source.list_published() == set()
    bed.source.publish(NIGHT, add_file(bed, "a.h").hash, None)
    git(bed.checkout.remote, "branch", "overnight-of-theirs", "master")
    assert bed.source.list_published() == {NIGHT}
    git(bed.checkout.folder, "push", "-q", "origin", "--delete", NIGHT)
    assert bed.source.list_published() == set()
    bed.checkout.remote.rename(bed.checkout.remote.with_name("away.git"))
    with pytest.raises(RemoteUnreachable):
        bed.source.list_published()


def test_credentials_of_the_remote_are_in_no_message(bed: Bed) -> None:
    git(bed.checkout.folder, "remote", "set-url", "origin", "https://me:hunter2@localhost:1/o/n.git")
    bed.source.prepare()
    commit = add_file(bed, "a.h")
    with pytest.raises(RemoteUnreachable) as fault:
        bed.source.publish(NIGHT, commit.hash, None)
    assert "hunter2" not in str(fault.value) and "localhost" in str(fault.value)


# --- where a fix is --------------------------------------------------------------------------------------------------


def merge_elsewhere(bed: Bed, *commands: tuple[str, ...]) -> str:
    """What a person does in the morning, in the checkout."""
    git(bed.checkout.folder, "fetch", "-q", "origin")
    for command in commands:
        git(bed.checkout.folder, *command)
    bed.source.prepare()
    return bed.checkout.head()


@pytest.fixture
def published(bed: Bed) -> tuple[Bed, Commit, Commit]:
    """Two fixes of different files, pushed; the base has moved on since."""
    fix = bed.apply(CURE, run="r1")
    other = add_file(bed, "b.h", "r2")
    bed.source.publish(NIGHT, other.hash, None)
    bed.checkout.commit({"README": "x\n"})
    return bed, fix, other


def test_fault_b13_a_fix_is_held_by_what_comes_after_it_and_not_by_what_came_before(
    published: tuple[Bed, Commit, Commit],
) -> None:
    bed, fix, other = published
    assert bed.source.holds_fix(fix.hash, fix.hash, "r1")
    assert bed.source.holds_fix(other.hash, fix.hash, "r1")
    assert not bed.source.holds_fix(bed.base, fix.hash, "r1")
    assert not bed.source.holds_fix(bed.checkout.head(), fix.hash, "r1")
    assert not bed.source.holds_fix("1234567890", fix.hash, "r1")


def test_fault_b13_a_fix_is_held_by_a_merge_a_rebase_and_a_squash(published: tuple[Bed, Commit, Commit]) -> None:
    bed, fix, _ = published
    start = bed.checkout.head()
    merged = merge_elsewhere(bed, ("merge", "-q", "--no-ff", "-m", "merge", f"origin/{NIGHT}"))
    assert bed.source.holds_fix(merged, fix.hash, "r1")
    git(bed.checkout.folder, "reset", "-q", "--hard", start)
    picked = merge_elsewhere(bed, ("cherry-pick", f"{bed.base}..origin/{NIGHT}"))
    assert bed.source.holds_fix(picked, fix.hash, "r1")
    git(bed.checkout.folder, "reset", "-q", "--hard", start)
    squashed = merge_elsewhere(
        bed,
        ("merge", "-q", "--squash", f"origin/{NIGHT}"),
        ("commit", "-q", "-m", "squash\n\n* fix: x\n\nRun: r1\n\n* y"),
    )
    assert bed.source.holds_fix(squashed, fix.hash, "r1")


def test_a_fix_without_its_trailer_is_known_by_its_change(published: tuple[Bed, Commit, Commit]) -> None:
    bed, fix, _ = published
    git(bed.checkout.folder, "fetch", "-q", "origin")
    git(bed.checkout.folder, "cherry-pick", "--no-commit", fix.hash)
    picked = merge_elsewhere(bed, ("commit", "-q", "-m", "by hand"))
    assert bed.source.holds_fix(picked, fix.hash, "r1")


def test_a_fix_that_a_person_reverted_is_not_held(published: tuple[Bed, Commit, Commit]) -> None:
    bed, fix, _ = published
    merge_elsewhere(bed, ("merge", "-q", "--no-ff", "-m", "merge", f"origin/{NIGHT}"))
    reverted = merge_elsewhere(bed, ("revert", "--no-edit", fix.hash))
    assert not bed.source.holds_fix(reverted, fix.hash, "r1")
    assert bed.source.took_out_fix(reverted, fix.hash, "r1")
    assert not bed.source.took_out_fix(fix.hash, fix.hash, "r1")
    assert not bed.source.took_out_fix(bed.base, fix.hash, "r1")
    again = merge_elsewhere(bed, ("revert", "--no-edit", reverted))
    assert bed.source.holds_fix(again, fix.hash, "r1")


def test_a_copy_of_a_fix_that_was_reverted_is_not_held(published: tuple[Bed, Commit, Commit]) -> None:
    bed, fix, _ = published
    copy = merge_elsewhere(bed, ("cherry-pick", fix.hash))
    assert bed.source.holds_fix(copy, fix.hash, "r1")
    reverted = merge_elsewhere(bed, ("revert", "--no-edit", copy))
    assert not bed.source.holds_fix(reverted, fix.hash, "r1")
    assert bed.source.took_out_fix(reverted, fix.hash, "r1")


def test_what_a_base_lacks_is_picked_without_a_stop_and_held_then(published: tuple[Bed, Commit, Commit]) -> None:
    """A fix that came after a merge, and the revert of one that the merge had brought."""
    bed, fix, _ = published
    merge_elsewhere(bed, ("merge", "-q", "--no-ff", "-m", "merge", f"origin/{NIGHT}"))
    undone, new = bed.apply(Patch(reverts=(fix.hash,)), run="r3"), add_file(bed, "c.h", "r4")
    bed.source.publish(NIGHT, new.hash, None)
    before = bed.checkout.head()
    assert bed.source.holds_fix(before, fix.hash, "r1")
    assert not bed.source.holds_fix(before, new.hash, "r4")
    picked = merge_elsewhere(bed, ("cherry-pick", undone.hash[:12], new.hash[:12]))
    assert bed.source.took_out_fix(picked, fix.hash, "r1")
    assert bed.source.holds_fix(picked, undone.hash, "r3") and bed.source.holds_fix(picked, new.hash, "r4")
    assert (bed.source.base_head(), bed.source.find_base_branch()) == (picked, "master")


def test_git_is_asked_once_what_the_history_of_two_commits_tells(published: tuple[Bed, Commit, Commit]) -> None:
    bed, fix, other = published

    def ask() -> tuple[bool, bool, bool]:
        held = bed.source.holds_fix(other.hash, fix.hash, "r1"), bed.source.holds_fix(bed.base, fix.hash, "r1")
        return (*held, bed.source.contains(other.hash, fix.hash))

    assert ask() == (True, False, True)
    (bed.clone / ".git").rename(bed.clone / "away")
    assert ask() == (True, False, True)
    (bed.clone / "away").rename(bed.clone / ".git")


# --- the user's own git ----------------------------------------------------------------------------------------------


def test_world_git_hooks_and_whatever_the_user_configured_for_people_do_not_reach_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hooks, signing, line ends, templates, aliases, odd defaults, and not even a name."""
    hooks, template = tmp_path / "hooks", tmp_path / "template" / "hooks"
    for folder in (hooks, template):
        folder.mkdir(parents=True)
        for name in ("pre-commit", "commit-msg", "post-commit", "post-checkout", "pre-push", "post-index-change"):
            (folder / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\nexit 1\n")
            (folder / name).chmod(0o755)
    config = tmp_path / "config"
    config.write_text(
        f"[core]\nhooksPath={hooks}\nautocrlf=true\neol=crlf\nsafecrlf=true\nquotePath=true\nfsmonitor=true\n"
        f"[init]\ntemplateDir={template.parent}\ndefaultBranch=odd\n[commit]\ngpgSign=true\ntemplate=/none\n"
        "[tag]\ngpgSign=true\n[push]\ngpgSign=true\ndefault=matching\n[gpg]\nprogram=/none\n[color]\nui=always\n"
        "[diff]\nnoprefix=true\nexternal=/none\nrenames=copies\n[apply]\nwhitespace=error\n[merge]\nff=only\n"
        "[user]\nuseConfigOnly=true\n[log]\nshowSignature=true\ndate=relative\n[format]\npretty=%h\n[pull]\nrebase=true\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "/none")
    content = "// é\nint a;\nint b; \n"
    bed = make_bed(tmp_path / "bed", {MAP: content, "src/é.h": "x\n"}, author="The Healer <healer@example.org>")
    commit = bed.apply(Patch(diff=f"--- a/{MAP}\n+++ b/{MAP}\n@@ -2,2 +2,2 @@\n int a;\n-int b; \n+int c; \n"))
    assert bed.read(MAP) == (bed.clone / MAP).read_bytes() == content.replace("b;", "c;").encode()
    assert bed.source.publish(NIGHT, commit.hash, None) == Pushed(commit.hash)
    assert bed.source.diff(commit.hash).startswith(f"diff --git a/{MAP} b/{MAP}\n")
    assert bed.in_clone("log", "-1", "--format=%an %ae %cn %ce %G?") == (
        "The Healer healer@example.org The Healer healer@example.org N"
    )
    assert not (tmp_path / "hooked").exists()


def test_world_git_no_identity_leaves_us_as_the_author(bed: Bed) -> None:
    add_file(bed, "a.h")
    assert bed.in_clone("log", "-1", "--format=%an <%ae>") == "Spirit Healer <noreply@spirit-healer.invalid>"


# --- faults that must not come back ----------------------------------------------------------------------------------


def test_fault_a1_a_restart_on_the_same_day_continues_the_night_branch(bed: Bed) -> None:
    first = add_file(bed, "a.h")
    bed.source.publish(NIGHT, first.hash, None)
    again = make_source(bed.state.parent, bed.checkout)
    again.prepare()
    again.begin(NIGHT, bed.base)
    again.restore(NIGHT, first.hash)
    second = again.apply(CURE, "fix: x\n\nRun: r2\n", PatchLimits(), bed.base)
    assert again.log(bed.base, second.hash) == [second, first]
    assert again.publish(NIGHT, second.hash, first.hash) == Pushed(second.hash)


def test_fault_a1_world_git_branch_ahead_of_a_lost_state_folder_is_never_overwritten(bed: Bed) -> None:
    first = add_file(bed, "a.h")
    bed.source.publish(NIGHT, first.hash, None)
    fresh = GitSource(bed.state.parent / "new-state", bed.checkout.folder, review=policy)
    fresh.prepare()
    fresh.begin(NIGHT, bed.base)
    fresh.restore(NIGHT, bed.base)
    other = fresh.apply(CURE, "fix: x\n\nRun: r2\n", PatchLimits(), bed.base)
    assert isinstance(fresh.publish(NIGHT, other.hash, None), Diverged)
    assert bed.checkout.remote_head(NIGHT) == first.hash


def dirty_the_checkout(bed: Bed) -> None:
    """A user in the middle of work: changed, staged, untracked and ignored files, a stash, an unfinished merge."""
    user = bed.checkout.folder
    (user / MAP).write_text(MAP_CPP + "// work\n")
    (user / "secret.env").write_text("TOKEN=1\n")
    (user / ".gitignore").write_text("*.o\n")
    (user / "x.o").write_bytes(b"\0")
    git(user, "stash", "-q")
    (user / MAP).write_text(MAP_CPP + "// more work\n")
    (user / "src/staged.h").write_text("staged\n")
    git(user, "add", "src/staged.h")
    (user / ".git" / "MERGE_MSG").write_text("unfinished\n")


def test_fault_a2_the_checkout_is_never_touched_whatever_happens(bed: Bed) -> None:
    dirty_the_checkout(bed)
    user = bed.checkout.folder
    old = (user / MAP).stat().st_mtime
    os.utime(user / MAP, (old + 5, old + 5))  # an index that is stale is what `git status` would write anew
    before = snapshot(user)
    bed.source.prepare()
    fix = bed.apply(CURE)
    bed.source.publish(NIGHT, fix.hash, None)
    bed.apply(Patch(reverts=(fix.hash,)), run="r2")
    bed.source.restore(NIGHT, bed.base)
    bed.source.resolve("1234567")
    bed.source.base_head()
    with pytest.raises(DefiniteError):
        bed.apply(Patch(diff="nonsense"))
    refuse_nested(user)
    make_source(bed.state.parent / "again", bed.checkout).prepare()
    assert snapshot(user) == before


def test_fault_a2_our_clone_is_exactly_at_its_last_good_commit_after_a_failed_build(bed: Bed) -> None:
    good = add_file(bed, "a.h")
    add_file(bed, "bad.h", "r2")
    (bed.clone / "src/leftover.o").write_bytes(b"\0")
    bed.source.restore(NIGHT, good.hash)
    assert bed.in_clone("ls-files") == bed.in_clone("ls-tree", "-r", "--name-only", good.hash)
    assert bed.in_clone("status", "--porcelain", "--ignored") == ""
    assert not (bed.clone / "src/bad.h").exists()


def test_fault_a3_nothing_of_the_users_is_ever_committed_or_pushed(bed: Bed) -> None:
    dirty_the_checkout(bed)
    bed.source.prepare()
    fix = bed.apply(CURE)
    bed.source.publish(NIGHT, fix.hash, None)
    assert git(bed.checkout.remote, "diff", "--name-only", "master", NIGHT) == MAP
    everything = git(bed.checkout.remote, "log", "--all", "--name-only", "--format=")
    assert "secret.env" not in everything and "staged.h" not in everything
    assert bed.checkout.remote_head("master") == bed.base


def test_fault_a9_world_git_stale_lock_of_our_own_killed_git_goes_and_the_users_stays(bed: Bed) -> None:
    locks = ["index.lock", "HEAD.lock", f"refs/heads/{NIGHT}.lock", "packed-refs.lock", "config.lock", "shallow.lock"]
    for name in locks:
        (bed.clone / ".git" / name).write_bytes(b"")
    (bed.checkout.folder / ".git" / "index.lock").write_bytes(b"")
    bed.source.prepare()
    assert not list((bed.clone / ".git").rglob("*.lock"))
    assert (bed.checkout.folder / ".git" / "index.lock").exists()
    assert add_file(bed, "a.h")


def test_what_the_warm_build_stands_on_is_reached_over_a_stale_lock(bed: Bed) -> None:
    lock = bed.clone / ".git" / "index.lock"
    lock.write_bytes(b"")
    with pytest.raises(GitLocked):
        bed.source.stand_on(bed.base)
    os.utime(lock, (1, 1))
    bed.source.stand_on(bed.base)
    assert bed.in_clone("rev-parse", "HEAD").strip() == bed.base
    assert not lock.exists()


def test_fault_a11_a_fix_is_a_commit_or_it_does_not_exist(bed: Bed) -> None:
    """There is no way to change the tree without a commit: what `apply` gives is committed."""
    message = commit_message(kind="fix", summary="", run="r1")  # a response that had no analysis
    commit = bed.source.apply(CURE, message, PatchLimits(), bed.base)
    assert commit.subject == "fix: no summary was given"
    assert bed.in_clone("status", "--porcelain") == ""
    bed.source.restore(NIGHT, commit.hash)
    assert b"_grid.reset();" in bed.read(MAP)
