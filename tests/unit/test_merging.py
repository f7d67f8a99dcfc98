"""What is to be brought into the base branch: exactly what it lacks, while people merge and more goes live."""

from pathlib import Path

import pytest
from world import BASE, GOOD, OPERATOR, OTHER, World

from bot.needs import say_need
from bot.summary import merge_part
from pipeline import records, status_views
from pipeline.model import Approval, Patch, Run, RunKind, RunState, WholeFile
from pipeline.status_models import Setback
from pipeline.summary import BranchLine, NightSummary

BRANCH = "overnight-20261122"
COMPARE = f"[compare](https://example.org/compare/{BASE}...{BRANCH})"
THIRD = Patch(files=(WholeFile("src/Loot.cpp", "good as well"),))


@pytest.fixture
async def world(tmp_path: Path) -> World:
    """Each deployment waits for an approval."""
    return await World(tmp_path, {"approval": Approval.DEPLOY}).start()


async def heal(world: World, name: str, patch: Patch) -> str:
    """The commit that is live."""
    run = await world.answer(await world.crash(name), patch)
    await world.orders.approve(run.id, OPERATOR)
    await go_on(world)
    return world.expect(run, RunState.SUCCEEDED).commit or ""


async def reject(world: World, name: str, patch: Patch) -> Run:
    """Built, and taken out of the branch again."""
    run = await world.answer(await world.crash(name), patch)
    await world.pass_time(minutes=3)
    await world.orders.reject(run.id, OPERATOR, "wrong lock")
    await go_on(world)
    return run


async def revert(world: World, commit: str) -> str:
    """The commit that did it, live."""
    await world.orders.revert(commit, OPERATOR)
    await go_on(world)
    (made,) = [run for run in world.runs() if run.kind is RunKind.REVERT and commit in run.undoes]
    return world.expect(made, RunState.SUCCEEDED).commit or ""


async def go_on(world: World) -> None:
    await world.settle()
    await world.pass_time(minutes=3)
    await world.pass_time(minutes=3)


async def merge(world: World) -> None:
    """All of the branch, by a person."""
    world.source.base = world.source.branches[BRANCH]
    await go_on(world)


def needs(world: World) -> list[str]:
    found = [say_need(each) for each in look(world).needs]
    assert found == [say_need(each) for each in status_views.status(world.tools).needs]
    return found


def look(world: World) -> NightSummary:
    return records.night_summary(world.tools, world.tools.night())


def bring(world: World) -> str:
    return merge_part(look(world).branches)


MERGE = f"""\
**To merge**, in your checkout on `main`; `git push` follows
```
git fetch origin
git merge origin/{BRANCH}
```"""


async def test_a_fix_that_goes_live_after_a_merge_is_to_review_though_it_stood_on_the_branch_before(
    world: World,
) -> None:
    """Its commit is there while it waits for an approval: the base has all that is live then, and not the head."""
    await heal(world, "Map::Update", GOOD)
    assert (needs(world), bring(world)) == ([f"`{BRANCH}` has 1 fix to review: {COMPARE}"], MERGE)
    await merge(world)
    assert (needs(world), bring(world)) == ([], "")
    waiting = await world.answer(await world.crash("Spell::Cast"), OTHER)
    await world.pass_time(minutes=10)
    await world.orders.approve(waiting.id, OPERATOR)
    await go_on(world)
    assert (needs(world), bring(world)) == ([f"`{BRANCH}` has 1 fix to review: {COMPARE}"], MERGE)
    await merge(world)
    assert (needs(world), bring(world)) == ([], "")


async def test_what_was_rejected_and_tried_again_is_to_review_once_it_is_live(world: World) -> None:
    await heal(world, "Map::Update", GOOD)
    await merge(world)
    run = await reject(world, "Spell::Cast", OTHER)
    assert needs(world) == [], "neither it nor its revert is anything that the base lacks"
    await world.orders.retry(run.id, OPERATOR)
    await world.settle()
    again = await world.answer(world.runs("Spell::Cast")[-1], THIRD)
    await world.pass_time(minutes=10)
    await world.orders.approve(again.id, OPERATOR)
    await go_on(world)
    world.expect(again, RunState.SUCCEEDED)
    assert (needs(world), bring(world)) == ([f"`{BRANCH}` has 1 fix to review: {COMPARE}"], MERGE)


async def test_the_revert_of_a_fix_that_the_base_has_is_to_review(world: World) -> None:
    fix = await heal(world, "Map::Update", GOOD)
    await merge(world)
    taken = await revert(world, fix)
    assert (needs(world), bring(world)) == ([f"`{BRANCH}` has 1 revert to review: {COMPARE}"], MERGE)
    await heal(world, "Spell::Cast", OTHER)
    assert needs(world) == [f"`{BRANCH}` has 1 fix and 1 revert to review: {COMPARE}"]
    world.source.pick(taken)
    await go_on(world)
    assert needs(world) == [f"`{BRANCH}` has 1 fix to review: {COMPARE}"]
    await merge(world)
    assert needs(world) == []


async def test_a_fix_that_the_base_never_had_leaves_nothing_to_review_when_it_is_reverted(world: World) -> None:
    fix = await heal(world, "Map::Update", GOOD)
    await revert(world, fix)
    assert (needs(world), bring(world)) == ([], "")


async def test_a_fix_that_a_person_took_out_of_the_base_is_not_asked_about_again(world: World) -> None:
    fix = await heal(world, "Map::Update", GOOD)
    await merge(world)
    world.source.add_to_base({"src/Map.cpp": "bad"})
    world.source.commits[world.source.base].reverts = (fix,)
    await go_on(world)
    assert needs(world) == []


async def test_a_base_that_is_put_back_to_before_the_merge_lacks_it_again(world: World) -> None:
    await heal(world, "Map::Update", GOOD)
    await merge(world)
    assert needs(world) == []
    world.source.base = BASE
    await go_on(world)
    assert needs(world) == [f"`{BRANCH}` has 1 fix to review: {COMPARE}"]


async def test_where_a_branch_is_not_to_be_merged_exactly_what_the_base_lacks_is_picked(world: World) -> None:
    """An update was taken back on it; some of it was brought in before, and one of that was reverted since."""
    old = await heal(world, "Map::Update", GOOD)
    world.source.pick(old)
    world.source.add_to_base(world.source.commits[world.source.base].files | {"src/Chat.cpp": "theirs"})
    shown = world.source.base
    await world.orders.update(OPERATOR)
    await go_on(world)
    (update,) = [run for run in world.runs() if run.kind is RunKind.UPDATE]
    taken = await revert(world, world.expect(update, RunState.SUCCEEDED).commit or "")
    assert needs(world) == []
    await reject(world, "Quest::Give", THIRD)
    assert needs(world) == []
    new = await heal(world, "Spell::Cast", OTHER)
    undone = await revert(world, old)
    why = (
        f"**do not merge it:** base branch at {shown[:12]} was taken back in `{taken[:7]}`, and a merge would take "
        "that out of your base branch too"
    )
    assert needs(world) == [f"`{BRANCH}` has 1 fix and 1 revert to review: {COMPARE} · {why}"]
    assert bring(world) == (
        "**To bring in**, in your checkout on `main`; `git push` follows\n"
        f"```\ngit fetch origin\ngit cherry-pick {new[:12]} {undone[:12]}\n```\n"
        f"{why}: what your base branch lacks is picked one by one"
    )
    world.source.pick(new)
    world.source.pick(undone)
    await go_on(world)
    assert (needs(world), bring(world)) == ([], "")


async def test_a_branch_that_people_deleted_on_the_remote_has_nothing_to_review(world: World) -> None:
    await heal(world, "Map::Update", GOOD)
    assert needs(world) == [f"`{BRANCH}` has 1 fix to review: {COMPARE}"]
    head = world.source.remote.pop(BRANCH)
    world.source.remote_gone = True
    await world.pass_time(minutes=6)
    assert needs(world) == [f"`{BRANCH}` has 1 fix to review: {COMPARE}"], "a remote that does not answer tells nothing"
    world.source.remote_gone = False
    await world.pass_time(minutes=6)
    assert (needs(world), bring(world)) == ([], "")
    world.source.remote[BRANCH] = head
    await world.pass_time(minutes=6)
    assert needs(world) == [f"`{BRANCH}` has 1 fix to review: {COMPARE}"], "somebody has put it there again"


async def test_what_stood_on_a_deleted_branch_is_to_review_where_the_night_goes_on(world: World) -> None:
    """The next push puts it there again, under the next name."""
    await heal(world, "Map::Update", GOOD)
    del world.source.remote[BRANCH]
    world.source.diverged.add(BRANCH)
    await world.pass_time(minutes=6)
    assert needs(world) == []
    await heal(world, "Spell::Cast", OTHER)
    await world.pass_time(minutes=6)
    compare = COMPARE.replace(BRANCH, f"{BRANCH}-2")
    assert needs(world) == [f"`{BRANCH}-2` has 2 fixes to review: {compare}"]
    assert bring(world) == MERGE.replace(BRANCH, f"{BRANCH}-2")


def test_what_is_picked_stands_apart_from_what_is_merged_and_a_base_without_a_name_is_called_so() -> None:
    why = Setback("base branch at 1234", "fedcba9876", ("a1b2c3d4e5f6a7",))
    picked, merged = BranchLine(f"{BRANCH}", fixes=1, setback=why), BranchLine(f"{BRANCH}-2", fixes=1)
    assert (
        merge_part([picked, merged])
        == f"""\
**To merge**, in your checkout on its base branch; `git push` follows
```
git fetch origin
git merge origin/{BRANCH}-2
```

**To bring in**, in your checkout on its base branch; `git push` follows
```
git fetch origin
git cherry-pick a1b2c3d4e5f6
```
**do not merge it:** base branch at 1234 was taken back in `fedcba9`, and a merge would take that out of your base \
branch too: what your base branch lacks is picked one by one"""
    )
