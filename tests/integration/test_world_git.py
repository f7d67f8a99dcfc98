"""Git and its remote misbehave in the middle of a night: checkout, remote and our clone are real, and so is the fault.

After each the fix is live, the branch has each commit once, the remote has it all, and `/status` has nothing to say.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from checkouts import MAP_CPP, Bed, git, lay_bed, make_bed, make_source, snapshot
from git_world import GitWorld, make_git_world, start_git_world
from hostile_patches import make_hostile_bed
from many_files import make_many, name_file
from small_disks import mounted
from world import BOB, OPERATOR, edit

from bot.cards import render_card
from bot.records import fate
from pipeline.housekeeping import push_owed
from pipeline.model import OF_WHAT_WENT, Approval, Done, Edit, Impossible, Patch, RunKind, RunState, WholeFile
from pipeline.orders import Orders
from pipeline.read_models import UpdatePlan
from pipeline.runner import Runner
from pipeline.status_views import status
from pipeline.summary import BROUGHT_AGAIN

MAP = "src/game/Map.cpp"
BETTER = edit(MAP, "    delete _grid;\n", "    _grid.reset();\n")


def expect_well(world: GitWorld) -> None:
    assert world.degraded() == []
    assert not status(world.tools).push_owed


def wait_until(done: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline, f"in 30 s it did not happen that {what}"
        time.sleep(0.01)


# --- reverts of lines that were changed again -------------------------------------------------------------------------

AGAIN = edit(MAP, "    _grid.reset();\n", "    _grid = nullptr;\n")


async def test_a_revert_of_lines_that_a_later_fix_changed_says_what_to_revert_first(tmp_path: Path) -> None:
    world = await make_git_world(tmp_path)
    runs = await world.heal("Map::Update", BETTER), await world.heal("Spell::Cast", AGAIN)
    first, later = (run.commit or "" for run in runs)
    assert isinstance(await world.orders.revert(first, OPERATOR), Done)
    await world.settle()
    [refused] = [run for run in world.runs() if run.kind is RunKind.REVERT]
    subject = world.bed.in_clone("log", "-1", "--format=%s", later)
    assert world.expect(refused, RunState.FAILED).reason == (
        f"{first[:12]} cannot be undone: {later[:12]} ({subject}) changed the same lines of `{MAP}`. "
        f"Nothing was changed: `/revert {later[:12]}` takes that one back first"
    )
    for commit in (later, first):
        await world.orders.revert(commit, OPERATOR)
        await world.pass_time(minutes=5)
    assert world.bed.in_clone("show", f"{world.branch}:{MAP}") == MAP_CPP.strip(), "and then it goes"
    expect_well(world)


async def test_a_rollbacks_own_revert_that_a_later_fix_stands_in_the_way_of_ends_the_branch(tmp_path: Path) -> None:
    world = await make_git_world(tmp_path)
    bad, later = await world.crash("Map::Update"), await world.crash("Spell::Cast")
    await world.answer(bad, BETTER)
    await world.answer(later, AGAIN)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=1)
    commit = (world.expect(bad, RunState.ROLLED_BACK).commit or "")[:12]
    [revert] = [run for run in world.runs() if run.kind is RunKind.REVERT]
    reason = world.expect(revert, RunState.FAILED).reason or ""
    assert reason.startswith(f"{commit} cannot be undone: ")
    assert reason.endswith(
        f" changed the same lines of `{MAP}`; `{world.branch}` ends here, the next fix begins a new branch at the "
        "commit that runs. Whoever merges the old one takes out by hand what was rolled back"
    )


# --- locks, kills, hooks ---------------------------------------------------------------------------------------------


@contextmanager
def committing(folder: Path, note: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A person's `git commit -a` whose editor stays open: a living git that holds the index's lock."""
    with (folder / MAP).open("a") as file:
        file.write("// by hand\n")
    editor = f"sh -c 'touch {note}; exec sleep 600'"
    environment = {**os.environ, "GIT_AUTHOR_NAME": "User", "GIT_AUTHOR_EMAIL": "user@example.org",
                   "GIT_COMMITTER_NAME": "User", "GIT_COMMITTER_EMAIL": "user@example.org"}  # fmt: skip
    person = subprocess.Popen(
        ["git", "-c", f"core.editor={editor}", "commit", "-a"],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        wait_until(note.exists, "the editor opened")
        assert (folder / ".git" / "index.lock").exists()
        yield person
    finally:
        os.killpg(person.pid, signal.SIGTERM)
        person.wait(timeout=30)


async def test_world_git_held_lock_of_the_user_is_in_nobodys_way(tmp_path: Path) -> None:
    world = await make_git_world(tmp_path)
    with committing(world.checkout.folder, tmp_path / "editing") as person:
        before = snapshot(world.checkout.folder)
        fix = await world.heal("Map::Update", BETTER)
        assert person.poll() is None
        assert snapshot(world.checkout.folder) == before
    world.expect_each_once(world.branch, fix)
    expect_well(world)


@pytest.mark.parametrize("touched", [False, True])
async def test_world_git_held_lock_of_a_living_git_in_our_clone_is_waited_for(tmp_path: Path, touched: bool) -> None:
    world = await make_git_world(tmp_path)
    if touched:  # then git has to write the index before it looks at anything
        os.utime(world.bed.clone / "CMakeLists.txt", (1, 1))
    lock = world.bed.clone / ".git" / "index.lock"
    words = f"another git holds {lock}. Cure: end it; a lock that nobody holds goes"
    with committing(world.bed.clone, tmp_path / "editing") as person:
        run = await world.propose("Map::Update", BETTER)
        for _ in range(12):  # longer than any number of tries
            await world.pass_time(minutes=5)
        assert str(world.expect(run, RunState.PATCHING).reason).endswith(words)
        assert world.degraded() == [world.get(run).reason]
        assert person.poll() is None and lock.exists()
    await world.pass_time(minutes=5)
    await world.pass_time(minutes=5)
    fix = world.expect(run, RunState.SUCCEEDED)
    world.expect_each_once(world.branch, fix)
    assert fix.commit is not None and "by hand" not in world.bed.source.diff(fix.commit)
    expect_well(world)


GIT = """#!/bin/sh
# Dies of kill -9, once, where it is asked for {verb}.
for word in "$@"; do
    if [ "$word" = {verb} ] && mkdir {note} 2>/dev/null; then
        {lock}
        kill -9 $$
    fi
done
exec {git} "$@"
"""
OLD_LOCK = "touch -d '1 hour ago' {clone}/.git/index.lock"  # nobody waits an hour for a test


@pytest.mark.parametrize("verb", ["update-index", "write-tree", "commit-tree", "reset", "ls-remote", "push"])
async def test_world_git_killed_while_the_bot_lives_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    world = await make_git_world(tmp_path)
    first = await world.heal("Spell::Cast")
    program, note = tmp_path / "bin" / "git", tmp_path / "killed"
    program.parent.mkdir()
    lock = OLD_LOCK.format(clone=world.bed.clone) if verb in ("update-index", "reset") else ":"
    program.write_text(GIT.format(verb=verb, note=note, lock=lock, git=shutil.which("git")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    run = await world.propose("Map::Update", BETTER)
    for _ in range(3):
        await world.pass_time(minutes=5)
    assert note.exists()
    fix = world.expect(run, RunState.SUCCEEDED)
    world.expect_each_once(world.branch, first, fix)
    assert world.checkout.remote_head(world.branch) == fix.commit
    expect_well(world)


HOOKS = (
    "applypatch-msg", "commit-msg", "fsmonitor-watchman", "post-checkout", "post-commit", "post-index-change",
    "post-merge", "post-rewrite", "pre-commit", "pre-merge-commit", "pre-push", "pre-rebase", "prepare-commit-msg",
    "reference-transaction", "upload-pack",
)  # fmt: skip


async def test_world_git_hooks_of_the_user_are_not_run(tmp_path: Path) -> None:
    world = await make_git_world(tmp_path)
    for folder in (world.checkout.folder / ".git" / "hooks", world.checkout.folder / ".githooks"):
        folder.mkdir(exist_ok=True)
        for name in HOOKS:
            (folder / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked-{name}\nexit 1\n")
            (folder / name).chmod(0o755)
    git(world.checkout.folder, "config", "core.hooksPath", ".githooks")
    world.bed.source.prepare()
    before = snapshot(world.checkout.folder)
    fix = await world.heal("Map::Update", BETTER)
    assert not any(name.startswith("hooked") for name in snapshot(tmp_path))
    assert world.checkout.remote_head(world.branch) == fix.commit
    assert snapshot(world.checkout.folder) == before


# --- the disk --------------------------------------------------------------------------------------------------------


async def test_world_disk_full_clone_makes_a_fix_wait_until_there_is_room(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        world = await start_git_world(tmp_path, make_bed(disk.folder / "git"))
        with disk.full():
            run = await world.propose("Map::Update", BETTER)
            for _ in range(12):
                await world.pass_time(minutes=5)
            assert world.get(run).state in (RunState.READY, RunState.PATCHING)
            [words] = world.degraded()
            assert "Cure: make room" in words
        for _ in range(2):
            await world.pass_time(minutes=5)
        fix = world.expect(run, RunState.SUCCEEDED)
        world.expect_each_once(world.branch, fix)
        assert world.bed.in_clone("status", "--porcelain") == ""
        expect_well(world)


@pytest.mark.parametrize("gone", [".git/HEAD", ".git", "."])
async def test_world_git_clone_gone_while_the_bot_lives_is_made_anew(tmp_path: Path, gone: str) -> None:
    world = await make_git_world(tmp_path)
    first = await world.heal("Map::Update")
    lost = world.bed.clone / gone
    lost.unlink() if lost.is_file() else shutil.rmtree(lost)
    run = await world.propose("Spell::Cast")
    for _ in range(3):
        await world.pass_time(minutes=5)
    second = world.expect(run, RunState.SUCCEEDED)
    world.expect_each_once(world.branch, first, second)
    assert world.checkout.remote_head(world.branch) == second.commit
    assert world.bed.in_clone("status", "--porcelain") == ""
    expect_well(world)


async def test_world_git_clone_gone_that_cannot_be_made_anew_is_waited_for(tmp_path: Path) -> None:
    world = await make_git_world(tmp_path)
    await world.heal("Map::Update")
    shutil.rmtree(world.bed.clone)
    away = world.checkout.folder.rename(tmp_path / "away")
    run = await world.propose("Spell::Cast")
    for _ in range(6):
        await world.pass_time(minutes=5)
    assert world.get(run).state is RunState.READY
    assert world.degraded() == [
        f"our clone is gone, and cannot be made anew: SOURCE_DIR ({world.checkout.folder}) is not there"
    ], "and nobody is sent for a branch before it is known to be lost"
    away.rename(world.checkout.folder)
    for _ in range(3):
        await world.pass_time(minutes=5)
    world.expect(run, RunState.SUCCEEDED)
    expect_well(world)


# --- the remote ------------------------------------------------------------------------------------------------------


async def test_world_git_remote_gone_is_told_once_and_pushed_to_when_it_is_back(tmp_path: Path) -> None:
    world = await make_git_world(tmp_path)
    away = world.checkout.remote.rename(tmp_path / "away.git")
    first = await world.heal("Map::Update")
    second = await world.heal("Spell::Cast")
    assert status(world.tools).push_owed
    assert [each.split(":")[0] for each in world.told("push owed")] == [f"`{world.branch}` is not on the remote"]
    away.rename(world.checkout.remote)
    await world.pass_time(minutes=1)
    assert world.checkout.remote_head(world.branch) == second.commit
    world.expect_each_once(world.branch, first, second)
    expect_well(world)


SSH = """
import pathlib, shlex, subprocess, sys, time
if pathlib.Path({slow!r}).exists():
    time.sleep(600)
verb, path = shlex.split(sys.argv[-1])
sys.exit(subprocess.call(["git", verb.removeprefix("git-"), path]))
"""


async def test_world_git_remote_slow_holds_up_no_deployment(tmp_path: Path) -> None:
    world = await make_git_world(tmp_path, network_timeout=0.5, push_attempts=1)
    slow, script = tmp_path / "slow", tmp_path / "ssh.py"
    script.write_text(SSH.format(slow=str(slow)))
    git(world.checkout.folder, "config", "core.sshCommand", f"'{sys.executable}' '{script}'")
    git(world.checkout.folder, "remote", "set-url", "origin", f"ssh://git@example.invalid{world.checkout.remote}")
    world.bed.source.prepare()
    slow.touch()
    fix = await world.heal("Map::Update")
    [told] = world.told("push owed")
    assert told == (
        f"`{world.branch}` is not on the remote: the remote origin did not answer: git ls-remote took longer than 0.5 s"
    )
    slow.unlink()
    wait_until(lambda: push_owed(world.tools), "the remote answered in time")
    assert world.checkout.remote_head(world.branch) == fix.commit
    expect_well(world)


async def test_world_git_remote_refuses_by_hook_until_it_takes_it(tmp_path: Path) -> None:
    world = await make_git_world(tmp_path)
    hook = world.checkout.remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'no pushes during the freeze' >&2\nexit 1\n")
    hook.chmod(0o755)
    fix = await world.heal("Map::Update")
    for _ in range(3):
        await world.pass_time(minutes=10)
    assert world.told("push owed") == [
        f"`{world.branch}` is not on the remote: the remote origin refused the push: "
        "[remote rejected] (pre-receive hook declined) (it says: no pushes during the freeze)"
    ]
    assert status(world.tools).push_owed
    hook.unlink()
    await world.pass_time(minutes=1)
    assert world.checkout.remote_head(world.branch) == fix.commit
    world.expect_each_once(world.branch, fix)
    expect_well(world)


def rewrite(world: GitWorld, branch: str, *commands: tuple[str, ...]) -> str:
    """Somebody else's clone does this to a branch and forces it onto the remote; its new head."""
    other = world.folder / "other"
    git(world.folder, "clone", "-q", "-b", branch, str(world.checkout.remote), "other")
    for command in commands:
        git(other, *command)
    git(other, "push", "-q", "--force", "origin", f"HEAD:refs/heads/{branch}")
    head = git(other, "rev-parse", "HEAD")
    shutil.rmtree(other)
    return head


async def test_world_git_remote_rewritten_night_is_left_as_it_is_and_goes_on_beside_it(tmp_path: Path) -> None:
    world = await make_git_world(tmp_path)
    first = await world.heal("Map::Update")
    branch = world.branch
    theirs = rewrite(world, branch, ("commit", "-q", "--amend", "-m", "tidied up"))
    second = await world.heal("Spell::Cast")
    assert world.checkout.remote_head(branch) == theirs
    assert world.checkout.remote_head(f"{branch}-2") == second.commit
    world.expect_each_once(f"{branch}-2", first, second)
    assert world.told("branch continued") == [
        f"`{branch}` has commits on origin that we do not have ({theirs[:12]}): the night goes on as `{branch}-2`"
    ]
    expect_well(world)


async def test_world_git_remote_rewritten_base_is_no_reason_to_wait_or_to_force(tmp_path: Path) -> None:
    world = await make_git_world(tmp_path)
    theirs = rewrite(
        world, "master", ("checkout", "-q", "--orphan", "anew"), ("commit", "-q", "-a", "-m", "all in one")
    )
    fix = await world.heal("Map::Update")
    assert world.checkout.remote_head("master") == theirs
    assert world.checkout.remote_head(world.branch) == fix.commit
    world.expect_each_once(world.branch, fix)
    expect_well(world)


async def test_world_git_branch_ahead_of_all_that_we_know_is_continued_beside(tmp_path: Path) -> None:
    """The state folder was lost: the remote has fixes of this night that neither database nor clone know."""
    lost = await make_git_world(tmp_path)
    known = await lost.heal("Map::Update")
    source = make_source(tmp_path / "anew", lost.checkout)
    source.prepare()
    bed = Bed(lost.checkout, tmp_path / "anew" / "state", source, lost.bed.base)
    world = await start_git_world(tmp_path / "anew", bed)
    fix = await world.heal("Spell::Cast")
    assert world.checkout.remote_head(world.branch) == known.commit
    assert world.checkout.remote_head(f"{world.branch}-2") == fix.commit
    world.expect_each_once(f"{world.branch}-2", fix)
    expect_well(world)


async def test_world_git_branch_deleted_on_the_remote_goes_on_under_another_name(tmp_path: Path) -> None:
    world = await make_git_world(tmp_path)
    first = await world.heal("Map::Update")
    branch = world.branch
    git(world.checkout.remote, "update-ref", "-d", f"refs/heads/{branch}")
    second = await world.heal("Spell::Cast")
    assert world.checkout.remote_head(branch) is None
    assert world.checkout.remote_head(f"{branch}-2") == second.commit
    world.expect_each_once(f"{branch}-2", first, second)
    assert world.told("branch continued") == [
        f"`{branch}` is gone from origin, where it was pushed before: the night goes on as `{branch}-2`"
    ]
    expect_well(world)


# --- what people order ----------------------------------------------------------------------------------------------


async def test_an_update_that_was_rolled_back_is_shown_and_brought_in_when_it_is_ordered_again(tmp_path: Path) -> None:
    """Its merge was reverted on the branch: the base is in its history, and not in its files."""
    world = await make_git_world(tmp_path)
    await world.heal("Map::Update")  # the night's branch
    theirs = world.checkout.commit({"src/Theirs.h": "// theirs\n"}, "theirs")
    await world.orders.update(OPERATOR)
    await world.settle()
    update = next(each for each in world.runs() if each.kind is RunKind.UPDATE)
    world.expect(update, RunState.VERIFYING)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=5)
    world.expect(update, RunState.ROLLED_BACK)
    assert [each.subject for each in (await world.orders.summary(None)).undone] == [update.subject]
    await world.orders.resume(OPERATOR)
    await world.heal("Spell::Cast")  # the revert of the merge goes live with it
    plan = await world.orders.plan_update()
    assert isinstance(plan, UpdatePlan)
    assert (plan.commits, plan.subjects) == (1, ((theirs, "theirs"),))
    assert isinstance(await world.orders.retry(update.id, BOB), Done)
    await world.settle()
    await world.pass_time(minutes=5)
    assert git(world.bed.clone, "show", f"{world.running}:src/Theirs.h") == "// theirs"
    assert isinstance(await world.orders.plan_update(), Impossible)
    found = await world.orders.summary(None)
    assert not found.undone, "what was rolled back is live again"
    assert [each.commit for each in found.updates] == [theirs]
    assert [(each.subject, each.state) for each in found.unfixed] == [("Loot::Roll", BROUGHT_AGAIN)]
    (crash,) = [each for each in world.store.list_crash_rows(None) if each.judged == OF_WHAT_WENT]
    (dirty,) = [each for each in world.store.list_dirty_cards() if each.card == crash.card]
    embed = render_card(world.ledger.get_card_view(dirty.card)).embed
    assert embed is not None and (embed.title, embed.description.splitlines()[0]) == (
        "Crash in Loot::Roll",
        "**What brought it is live again:** should the server crash so again, the analyst is asked",
    )
    lines = {each.title: fate(each) for each in (await world.orders.list_crashes(1)).lines}
    assert lines["Loot::Roll"] == "what brought it was taken back, and is live again"
    again = await world.crash("Loot::Roll")
    assert again.state is RunState.ANALYZING


async def test_what_is_rejected_on_last_nights_branch_is_taken_out_of_what_was_built_on_it(tmp_path: Path) -> None:
    world = await make_git_world(tmp_path)
    world.tools = replace(world.tools, realm=replace(world.realm, approval=Approval.DEPLOY))
    world.runner = Runner(world.tools, lambda: None, fatal=True)
    world.orders = Orders(world.tools, lambda: None, world.runner.cancel)
    rejected, other = await world.propose("Map::Update"), await world.propose("Spell::Cast")
    await world.pass_time(hours=20)
    above = await world.propose("Loot::Roll")
    await world.orders.reject(rejected.id, BOB, "no")
    await world.settle()
    await world.orders.approve(above.id, OPERATOR)  # and with it what its build was made on
    await world.settle()
    await world.pass_time(minutes=10)
    world.expect(other, RunState.SUCCEEDED)
    there = git(world.bed.clone, "ls-tree", "-r", "--name-only", world.running or "")
    assert ("src/SpellCast.h" in there, "src/MapUpdate.h" in there) == (True, False)


# --- the checkout and its files --------------------------------------------------------------------------------------


async def test_world_git_no_identity_anywhere_hinders_no_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text("[user]\nuseConfigOnly=true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("EMAIL", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    world = await make_git_world(tmp_path)
    fix = await world.heal("Map::Update", BETTER)
    author = world.bed.in_clone("log", "-1", "--format=%an <%ae> %cn", str(fix.commit))
    assert author == "Spirit Healer <noreply@spirit-healer.invalid> Spirit Healer"


ODD = "src/Größe & Co/Karte (neu).cpp"
ODD_DIFF = f"""\
--- a/{ODD}
+++ b/{ODD}
@@ -6,3 +6,3 @@
         unit->Leave();
-    delete _grid;
+    _grid.reset();
 }}
"""


async def test_world_git_path_with_spaces_and_umlauts_is_like_any_other(tmp_path: Path) -> None:
    world = await make_git_world(tmp_path / "Die Größe der Welt", {ODD: MAP_CPP})
    first = await world.heal("Map::~Map", Patch(diff=ODD_DIFF))
    second = await world.heal("Map::Update", edit(ODD, "unit->Update(diff);", "unit->Update(diff, true);"))
    assert world.bed.read(ODD).decode() == MAP_CPP.replace("delete _grid", "_grid.reset()").replace(
        "(diff);", "(diff, true);"
    )
    assert world.checkout.remote_head(world.branch) == second.commit
    world.expect_each_once(world.branch, first, second)


@pytest.mark.parametrize("attributes", ["", "* text=auto eol=crlf\n"], ids=["autocrlf", "attributes"])
async def test_world_git_crlf_checkout_is_healed_with_the_repositorys_line_ends(
    tmp_path: Path, attributes: str
) -> None:
    world = await make_git_world(tmp_path, {".gitattributes": attributes, MAP: MAP_CPP})
    user = world.checkout.folder
    git(user, "config", "core.autocrlf", "true")
    (user / MAP).unlink()
    git(user, "checkout", "--", MAP)
    assert b"\r\n" in (user / MAP).read_bytes()
    world.bed.source.prepare()
    windows = edit(MAP, "    delete _grid;\r\n}\r\n", "    _grid.reset();\r\n}\r\n")  # what its user's analyst sees
    fix = await world.heal("Map::~Map", windows)
    assert world.bed.read(MAP, str(fix.commit)).decode() == MAP_CPP.replace("delete _grid;", "_grid.reset();")
    assert world.bed.in_clone("status", "--porcelain") == ""


async def test_world_git_submodule_is_carried_along_and_never_changed(tmp_path: Path) -> None:
    world = await start_git_world(tmp_path, make_hostile_bed(tmp_path / "git"))
    fix = await world.heal("Map::Update", BETTER)
    carried = world.bed.in_clone("ls-tree", str(fix.commit), "src/dep")
    assert carried.startswith("160000 commit ") and carried == world.bed.in_clone("ls-tree", world.bed.base, "src/dep")
    refused = await world.propose("Dep::Work", edit("src/dep/x.cpp", "", "int x;\n"))
    assert world.expect(refused, RunState.PROPOSED).reason == (
        "`src/dep/x.cpp` lies in the submodule `src/dep`, a repository of its own"
    )


UPPER, LOWER = "src/game/Grid.h", "src/game/grid.h"


async def test_world_disk_case_tells_two_files_of_a_repository_apart(tmp_path: Path) -> None:
    """They are two where the server is built; a third that only differs so would be one of them elsewhere."""
    world = await make_git_world(tmp_path, {UPPER: "int upper;\n", LOWER: "int lower;\n", MAP: MAP_CPP})
    first = await world.heal("Grid::Upper", edit(UPPER, "int upper;", "long upper;"))
    second = await world.heal("Grid::Lower", edit(LOWER, "int lower;", "long lower;"))
    there = {name: world.bed.read(name, str(second.commit)).decode() for name in (UPPER, LOWER)}
    assert there == {UPPER: "long upper;\n", LOWER: "long lower;\n"}
    world.expect_each_once(world.branch, first, second)
    for name in ("src/game/GRID.h", "src/Game/Grid.h", "src/game/map.cpp"):
        refused = await world.propose(f"Grid::{name}", Patch(files=(WholeFile(name, "int third;\n"),)))
        assert name in str(world.expect(refused, RunState.PROPOSED).reason)
    assert world.checkout.remote_head(world.branch) == second.commit
    expect_well(world)


async def test_world_git_many_files_are_healed_like_few(tmp_path: Path) -> None:
    (tmp_path / "git").mkdir()
    world = await start_git_world(tmp_path, lay_bed(tmp_path / "git", make_many(tmp_path / "git", 50_000)))
    first = await world.heal("Map::Update", edit(name_file(7), "int f7()", "long f7()"))
    anywhere = Patch(edits=(Edit(None, "int f40000()", "long f40000()"),))
    second = await world.heal("Spell::Cast", anywhere)
    world.expect_each_once(world.branch, first, second)
    assert world.checkout.remote_head(world.branch) == second.commit
    changed = world.bed.in_clone("diff", "--name-only", world.bed.base, str(second.commit)).split()
    assert changed == sorted([name_file(7), name_file(40_000)])
    assert world.bed.in_clone("status", "--porcelain") == ""
    expect_well(world)


async def test_world_git_branch_foreign_to_a_new_database_is_left_and_the_next_name_told(tmp_path: Path) -> None:
    world = await make_git_world(tmp_path)
    git(world.checkout.folder, "push", "-q", "origin", f"HEAD:refs/heads/{world.branch}")
    there = world.checkout.remote_head(world.branch)
    fix = await world.heal("Map::Update")
    assert (world.checkout.remote_head(world.branch), fix.branch) == (there, f"{world.branch}-2")
    assert world.told("branch continued") == [
        f"`{world.branch}` was there already, and not by what we remember: the night goes on as `{world.branch}-2`"
    ]
