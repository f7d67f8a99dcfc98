"""Checkouts as people have them: remotes and branches of any name, histories cut off, other hashes."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkouts import NIGHT, Bed, Checkout, git, make_bed, make_source, snapshot

from pipeline.errors import RemoteUnreachable, SourceUnusable
from pipeline.model import Patch, WholeFile
from pipeline.ports import Diverged, Pushed

FIX = Patch(files=(WholeFile("src/new.h", "x\n"),))


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return make_bed(tmp_path)


def publish_a_fix(bed: Bed) -> str:
    commit = bed.apply(FIX).hash
    assert bed.source.publish(NIGHT, commit, None) == Pushed(commit)
    return commit


# --- remotes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fetched", [True, False], ids=["fetched", "never fetched"])
def test_a_remote_named_checkout_gets_the_push_and_the_checkout_nothing(bed: Bed, fetched: bool) -> None:
    user = bed.checkout.folder
    git(user, "remote", "rename", "origin", "checkout")
    if fetched:
        git(user, "push", "-q", "checkout", "HEAD:refs/heads/master")
        git(user, "fetch", "-q", "checkout")
    before = snapshot(user)
    bed.source = make_source(bed.state.parent, bed.checkout, remote_name="checkout")
    for _ in range(2):
        bed.source.prepare()
    bed.reset()
    commit = publish_a_fix(bed)
    assert bed.checkout.remote_head(NIGHT) == commit
    assert snapshot(user) == before


@pytest.mark.parametrize(
    "address", [".", "{folder}", "{folder}/.git", "file://{folder}", "file://{folder}/.git/", "{link}", "{worktree}"]
)
def test_a_push_address_that_is_the_checkout_itself_is_refused(bed: Bed, tmp_path: Path, address: str) -> None:
    user, link, worktree = bed.checkout.folder, tmp_path / "link", tmp_path / "worktree"
    link.symlink_to(user, target_is_directory=True)
    git(user, "worktree", "add", "-q", "--detach", str(worktree))
    git(user, "remote", "set-url", "origin", address.format(folder=user, link=link, worktree=worktree))
    before = snapshot(user)
    bed.source.prepare()
    commit = bed.apply(FIX).hash
    with pytest.raises(RemoteUnreachable, match="no remote named origin outside of itself: set SOURCE_REMOTE"):
        bed.source.publish(NIGHT, commit, None)
    assert snapshot(user) == before


def test_a_branch_of_the_remote_below_the_nights_name_makes_it_another_branch(bed: Bed) -> None:
    git(bed.checkout.folder, "push", "-q", "origin", f"HEAD:refs/heads/{NIGHT}/review")
    commit = bed.apply(FIX).hash
    assert bed.source.publish(NIGHT, commit, None) == Diverged(
        f"cannot be made on origin, as `{NIGHT}/review` is there"
    )


HOSTILE = """\
[protocol "file"]
    allow = never
[clone]
    rejectShallow = true
[remote "checkout"]
    url = /nonexistent
[remote "origin"]
    mirror = true
[trailer]
    separators = "="
[core]
    attributesFile = {home}/attributes
[push]
    pushOption = ci.skip
[credential]
    helper = "!echo ours >>{home}/asked #"
[url "{remote}"]
    insteadOf = forge:realm
"""


def test_what_a_user_configured_for_everything_reaches_only_what_needs_it(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(HOSTILE.format(home=home, remote=bed.checkout.remote))
    (home / "attributes").write_text("* text eol=crlf\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    git(bed.checkout.folder, "remote", "set-url", "origin", "forge:realm")
    fresh = Bed(bed.checkout, tmp_path / "fresh" / "state", make_source(tmp_path / "fresh", bed.checkout), bed.base)
    fresh.source.prepare()
    fresh.source.begin(NIGHT, bed.base)
    fresh.reset()
    commit = publish_a_fix(fresh)
    assert bed.checkout.remote_head(NIGHT) == commit
    assert b"\r" not in (fresh.clone / "src/new.h").read_bytes()
    found = fresh.source.find_run(NIGHT, bed.base, "r1")
    assert found is not None and found.hash == commit
    asked = fresh.source._repository.run("credential", "fill", stdin=b"url=https://x.invalid\n", accept=(0, 1, 128))
    assert (asked.status, (home / "asked").read_text()) == (128, "ours\n")


# --- names that change -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["heads", "tags", "remotes/origin"])
@pytest.mark.parametrize("names", [("feature", "feature/x"), ("feature/x", "feature")], ids=["deeper", "higher"])
def test_a_name_that_becomes_a_folder_of_names_is_followed(bed: Bed, kind: str, names: tuple[str, str]) -> None:
    user, (old, new) = bed.checkout.folder, names
    git(user, "update-ref", f"refs/{kind}/{old}", "HEAD")
    bed.source.prepare()
    git(user, "update-ref", "-d", f"refs/{kind}/{old}")
    git(user, "update-ref", f"refs/{kind}/{new}", "HEAD")
    newer = bed.checkout.commit({"src/newer.h": "x\n"})
    bed.source.prepare()
    assert bed.source.base_head() == newer
    assert bed.source.resolve(new) is not None


def test_a_damaged_copy_of_a_name_is_fetched_again(bed: Bed) -> None:
    for name in ("refs/spirit-healer/checkout/master", "refs/tags/v1"):
        (bed.clone / ".git" / name).parent.mkdir(parents=True, exist_ok=True)
        (bed.clone / ".git" / name).write_bytes(b"")
    git(bed.checkout.folder, "tag", "v1")
    bed.source.prepare()
    assert (bed.source.base_head(), bed.source.resolve("v1")) == (bed.base, bed.base)


# --- histories that are cut off --------------------------------------------------------------------------------------


def test_a_shallow_checkout_that_was_fetched_anew_is_followed_without_another_clone(tmp_path: Path) -> None:
    far = make_bed(tmp_path / "far").checkout
    git(far.folder, "push", "-q", "origin", "HEAD:refs/heads/master")
    user = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{far.remote}", str(user))
    checkout = Checkout(user, far.remote)
    bed = Bed(checkout, tmp_path / "state", make_source(tmp_path, checkout), "")
    bed.source.prepare()
    inode = (bed.clone / ".git").stat().st_ino
    for number in range(2):
        newer = far.commit({"src/newer.h": f"{number}\n"})
        git(far.folder, "push", "-q", "origin", "HEAD:refs/heads/master")
        git(user, "fetch", "-q", "--depth", "1", "origin", "master")
        git(user, "reset", "-q", "--hard", "FETCH_HEAD")
        assert bed.source.base_head() == newer
        bed.source.prepare()
        bed.source.begin(f"{NIGHT}-{number + 2}", newer)
        bed.source.restore(f"{NIGHT}-{number + 2}", newer)
    assert (bed.clone / ".git").stat().st_ino == inode
    assert sorted(each.name for each in bed.state.iterdir() if each.name.startswith("source")) == ["source"]


@pytest.mark.parametrize("filter_", ["blob:none", "tree:0"])
def test_a_partial_clone_is_refused_until_its_objects_were_fetched(tmp_path: Path, filter_: str) -> None:
    far = make_bed(tmp_path / "far").checkout
    far.commit({"src/game/Map.cpp": "new\n"})
    git(far.folder, "push", "-q", "origin", "HEAD:refs/heads/master")
    git(far.remote, "config", "uploadpack.allowFilter", "true")
    user = tmp_path / "partial"
    git(tmp_path, "clone", "-q", f"--filter={filter_}", f"file://{far.remote}", str(user))
    source = make_source(tmp_path, Checkout(user, far.remote))
    before = snapshot(user)
    with pytest.raises(SourceUnusable, match=r"is a partial clone .*: `git fetch --refetch --no-filter` there"):
        source.prepare()
    assert snapshot(user) == before
    git(user, "fetch", "-q", "--refetch", "--no-filter")
    source.prepare()
    source.stand_on(git(user, "rev-parse", "HEAD~1"))


# --- other hashes ----------------------------------------------------------------------------------------------------


def test_a_patch_that_deletes_a_file_fits_into_a_sha256_repository(tmp_path: Path) -> None:
    user, remote = tmp_path / "user", tmp_path / "remote.git"
    git(tmp_path, "init", "-q", "--object-format=sha256", "-b", "master", str(user))
    git(tmp_path, "init", "-q", "--bare", "--object-format=sha256", str(remote))
    (user / "src").mkdir()
    checkout = Checkout(user, remote)
    git(user, "remote", "add", "origin", str(remote))
    base = checkout.commit({"src/a.h": "a\n", "src/b.h": "b\n"})
    bed = Bed(checkout, tmp_path / "state", make_source(tmp_path, checkout), base)
    bed.source.prepare()
    bed.source.begin(NIGHT, base)
    bed.source.restore(NIGHT, base)
    commit = bed.apply(Patch(diff="--- a/src/b.h\n+++ /dev/null\n@@ -1 +0,0 @@\n-b\n")).hash
    assert git(bed.clone, "ls-tree", "-r", "--name-only", commit) == "src/a.h"
