"""A rollback goes to the last healthy build; a live fix that this has not is nowhere called live until it is again."""

from datetime import timedelta
from pathlib import Path

import pytest
from world import OPERATOR, OTHER, World

from bot.cards import render_card
from bot.questions import ask_rollback
from bot.records import fate
from bot.summary import list_parts
from pipeline import housekeeping, records
from pipeline.model import FixState, Patch, Run, RunState, Verdict, WholeFile
from pipeline.read_models import RollbackPlan
from pipeline.stages import finding
from pipeline.store import Fact
from pipeline.tools import Tools

THIRD = Patch(files=(WholeFile("src/Loot.cpp", "good as well"),))


@pytest.fixture
async def world(tmp_path: Path) -> World:
    return await World(tmp_path).start()


async def passed_over(world: World) -> tuple[Run, Run]:
    """A fix whose watch a known crash disturbed, and one above it that is still watched."""
    await world.crash("Pet::Attack")
    first = await world.crash("Spell::Cast")
    await world.answer(first, OTHER)
    world.expect(first, RunState.VERIFYING)
    await world.die("Pet::Attack")
    await world.pass_time(minutes=3)
    assert world.expect(first, RunState.SUCCEEDED).verdict is Verdict.INCONCLUSIVE
    second = await world.crash("Loot::Roll")
    await world.answer(second, THIRD)
    world.expect(second, RunState.VERIFYING)
    return first, second


async def test_a_rollback_that_goes_further_back_says_what_else_goes(world: World) -> None:
    first, _ = await passed_over(world)
    plan = await world.orders.plan_rollback()
    assert isinstance(plan, RollbackPlan)
    assert [(each.subject, each.commit) for each in plan.out] == [("Spell::Cast", world.get(first).commit)]
    assert (
        f"**Not in it either:** `Spell::Cast` (`{(world.get(first).commit or '')[:7]}`). The branch keeps it; its next "
        "build brings it back." in ask_rollback(plan, "").content
    )


async def test_a_fix_that_a_rollback_passed_over_is_not_called_live_until_it_is_again(world: World) -> None:
    first, second = await passed_over(world)
    await world.orders.roll_back(OPERATOR, world.get(second).commit or "", "")
    await world.pass_time(minutes=1)
    world.expect(second, RunState.ROLLED_BACK)
    await world.pass_time(seconds=10)
    commit = (world.get(first).commit or "")[:7]
    not_running = "not in what runs now: a rollback went further back, and the next build of its branch brings it again"
    assert title(world, first) == "Fix not in what runs: Spell::Cast"
    (fixed,) = records.night_summary(world.tools, world.tools.night()).fixed
    assert fixed.absent
    assert f"**{not_running}**" in "\n".join(list_parts(records.night_summary(world.tools, world.tools.night()), None))
    (line,) = [each for each in records.list_crashes(world.tools, 1).lines if each.title == "Spell::Cast"]
    page = f"https://example.org/commit/{world.get(first).commit}"
    assert fate(line) == f"fixed in [`{commit}`]({page}) · **{not_running}**"
    assert world.tools.degraded["absent fixes"] == (
        f"what runs is older than the fix of `Spell::Cast` (`{commit}`): it is live again with the next build of its "
        "branch"
    )
    await world.pass_time(hours=25)
    assert world.get(first).fix_state is FixState.WATCHING, "of what does not run, silence tells nothing"
    await world.orders.resume(OPERATOR)
    await world.pass_time(minutes=1)
    await world.pass_time(minutes=3)
    await world.pass_time(seconds=10)
    assert world.source.holds_fix(world.running or "", world.get(first).commit or "", first.id)
    assert title(world, first) == "Fixed: Spell::Cast"
    assert "absent fixes" not in world.tools.degraded


async def test_a_fix_that_is_taken_out_while_housekeeping_looks_at_it_stays_taken_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Housekeeping works beside the deployments; what it has read is old by the time that git has answered."""
    run = await world.crash("Spell::Cast")
    await world.answer(run, OTHER)
    await world.pass_time(minutes=3)
    assert world.expect(run, RunState.SUCCEEDED).fix_state is FixState.WATCHING
    world.store.set_fact(Fact.ABSENT, {"build": "another", "watched": [], "runs": [run.id]})
    running_commit = finding.running_commit

    def take_out(tools: Tools) -> str | None:
        world.store.set_fix_state(run.id, FixState.REVERTED, world.clock.now())
        return running_commit(tools)

    monkeypatch.setattr(finding, "running_commit", take_out)
    housekeeping.note_absent(world.tools)
    assert world.get(run).fix_state is FixState.REVERTED
    world.store.set_fix_state(run.id, FixState.WATCHING, world.clock.now())
    world.clock.time += timedelta(hours=25)
    housekeeping.verify_quiet_fixes(world.tools)
    assert world.get(run).fix_state is FixState.REVERTED


def title(world: World, run: Run) -> str | None:
    embed = render_card(world.ledger.get_card_view(world.store.get_card_of_run(run.id))).embed
    return embed.title if embed else None
