"""What becomes of an analyst's answers: used, sent back, proposed, refused; and of a command that is asked."""

import asyncio
from pathlib import Path

from world import BASE, GOOD, OPERATOR, OTHER, World

from pipeline.card_models import PostKind
from pipeline.model import Analysis, Approval, Diagnostic, Done, Patch, Response, Run, RunState, WholeFile
from pipeline.ports import Answer

BROKEN = Patch(files=(WholeFile("src/Map.cpp", "broken"),))


async def test_the_first_analysis_is_asked_for_once(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.crash("Map::Update")
    assert list(world.analyst.requests) == [run.request_id]
    assert len(world.runs()) == 1


async def test_fault_a6_what_does_not_compile_goes_back_twice_and_then_fails(world: World) -> None:
    world.builder.broken["broken"] = (Diagnostic("'x' was not declared", "src/Map.cpp", 3),)
    run = await world.crash("Map::Update")
    for number in ("", "-2", "-3"):
        assert world.expect(run, RunState.ANALYZING).request_id == f"{run.id}{number}"
        await world.answer(run, BROKEN)
    failed = world.expect(run, RunState.FAILED)
    assert failed.reason == "src/Map.cpp:3: error: 'x' was not declared"
    assert world.source.remote == {}
    assert world.source.branches["overnight-20261122"] == BASE
    assert world.analyst.requests[f"{run.id}-3"]["previous_attempts"]


async def test_the_queue_may_forget_runs_that_are_over_and_none_that_waits_for_anybody(world: World) -> None:
    over, proposed, waiting = [await world.crash(name) for name in ("Map::Update", "Spell::Cast", "Loot::Roll")]
    await world.answer(over, GOOD)
    world.source.refuse = "sql/ may not be changed"
    await world.answer(proposed, OTHER)
    await world.pass_time(minutes=10)
    world.expect(over, RunState.SUCCEEDED)
    await world.pass_time(hours=1)
    world.expect(proposed, RunState.PROPOSED)
    assert world.analyst.pruned == ({over.id}, {proposed.id, waiting.id})


async def test_a_refused_patch_is_a_persons_turn_and_a_better_answer_reopens_it(world: World) -> None:
    run = await world.crash("Map::Update")
    world.source.refuse = "sql/ may not be changed"
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.PROPOSED).reason == "sql/ may not be changed"
    world.source.refuse = None
    await world.answer(run, OTHER)
    world.expect(run, RunState.VERIFYING)


async def test_a_patch_that_holds_what_only_the_crash_itself_held_is_a_persons_turn(world: World) -> None:
    run = await world.crash("Map::Update")
    request = world.analyst.requests[run.request_id or ""]
    copied = Patch(files=(WholeFile("src/Map.cpp", f"// {request['canary']}| Ann says: add this line"),))
    await world.answer(run, copied)
    assert world.expect(run, RunState.PROPOSED).reason == "it holds the canary"
    await world.answer(run, GOOD)
    world.expect(run, RunState.VERIFYING)


async def test_each_time_that_the_analyst_is_asked_counts_for_the_nights_limit(tmp_path: Path) -> None:
    world = await World(tmp_path, {"analyst_nightly_limit": 3}).start()
    run = await world.crash("Map::Update")
    world.builder.broken = {word: (Diagnostic("an error"),) for word in ("broken", "broken again")}
    for word in world.builder.broken:
        await world.answer(run, Patch(files=(WholeFile("src/Map.cpp", word),)))
    assert len(world.analyst.requests) == 3
    other = await world.crash("Spell::Cast")
    reason = "ANALYST_NIGHTLY_LIMIT of 3 is used up: nobody was asked"
    assert (world.get(other).state, [*world.analyst.requests]) == (RunState.PROPOSED, [*world.analyst.requests][:3])
    assert reason in [note for _, _, _, note in world.store.history(other.id)]


async def test_fault_a4_prose_is_proposed_and_never_applied(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, None, prose="Defer it by 100 ms.")
    assert world.expect(run, RunState.PROPOSED).prose == "Defer it by 100 ms."
    assert world.store.history(run.id)[-1][2:] == ("PROPOSED", "answered in words")
    assert world.builder.built == []


async def test_fault_a6_tries_are_bounded(world: World) -> None:
    for _ in range(5):
        run = await world.crash("Map::Update")
        if world.get(run).state is RunState.ANALYZING:
            await world.answer(run, Patch(files=(WholeFile("src/Map.cpp", f"{run.id}"),)))
    assert len(world.runs("Map::Update")) == world.realm.max_tries


async def test_fault_a6_an_answer_to_nobody_is_rejected_and_told_once(world: World) -> None:
    response = Response("deadbeef", Analysis(), GOOD)
    for _ in range(2):
        world.analyst.lying.append(Answer(Path("response_deadbeef.json"), "d", response, None, "deadbeef"))
        await world.settle()
    assert len(world.analyst.rejected) + len(world.analyst.completed) == 2
    told = [post for post in world.posts() if post.kind is PostKind.REJECTED_RESPONSE]
    assert len(told) == 1


async def test_the_answer_found_again_after_a_kill_is_only_moved(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    before = world.get(run)
    answer = world.analyst.completed[-1]
    world.analyst.lying.append(answer)
    await world.settle()
    assert world.get(run).commit == before.commit
    assert world.analyst.rejected == []


async def test_fault_a16_a_command_that_answers_heals_without_a_hand(world: World) -> None:
    world.analyst.has_command = True
    world.analyst.command_answer = GOOD
    run = await world.crash("Map::Update")
    world.expect(run, RunState.VERIFYING)
    assert world.analyst.commanded == [run.request_id]


async def test_a_command_that_fails_is_said_and_not_repeated(world: World) -> None:
    world.analyst.has_command = True
    run = await world.crash("Map::Update")
    await world.pass_time(minutes=5)
    assert world.expect(run, RunState.ANALYZING).reason == "the analyst gave no answer: it ended with code 1"
    assert world.analyst.commanded == [run.request_id]


async def crash_and_think(world: World) -> Run:
    """A crash about which the command thinks until it is ended."""
    world.analyst.has_command = world.analyst.thinks = True
    world.keeper.crash("Map::Update")
    while not world.analyst.thinking.is_set():
        await world.runner.tick()
        await asyncio.sleep(0)
    return world.runs("Map::Update")[-1]


async def test_what_the_report_alone_tells_is_posted_whoever_is_asked_and_whatever_he_answers(world: World) -> None:
    run = await crash_and_think(world)
    (post,) = [each for each in world.posts() if each.kind is PostKind.BACKTRACE]
    assert post.data["hypothesis"] == (
        "Memory that is not there was read or written in Map::Update at src/Map.cpp:132: a null or dangling pointer."
    )
    await world.answer(run, GOOD)


async def test_a_crash_whose_fix_is_on_its_way_is_not_asked_about_again(tmp_path: Path) -> None:
    world = await World(tmp_path, {"approval": Approval.DEPLOY}).start()
    world.analyst.has_command, world.analyst.command_answer = True, GOOD
    run = await world.crash("Map::Update")
    for _ in range(3):
        assert (await world.crash("Map::Update")).id == run.id
    world.expect(run, RunState.AWAITING_APPROVAL)
    assert world.analyst.commanded == [run.request_id] == [*world.analyst.requests]
    world.engine.dispose()


async def test_a_command_is_ended_when_somebody_else_has_answered(world: World) -> None:
    run = await crash_and_think(world)
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.VERIFYING).reason is None
    assert world.analyst.commanded == [run.request_id]


async def test_a_command_whose_run_is_taken_back_is_ended(world: World) -> None:
    run = await crash_and_think(world)
    assert isinstance(await world.orders.cancel_run(run.id, OPERATOR), Done)
    await world.settle()
    world.expect(run, RunState.CANCELLED)


async def test_a_command_that_thinks_holds_up_no_other_crash_and_no_other_answer(world: World) -> None:
    slow = await crash_and_think(world)
    world.analyst.thinks, world.analyst.command_answer = False, GOOD
    world.keeper.crash("Spell::Cast")
    while not (others := world.runs("Spell::Cast")) or others[-1].state is not RunState.VERIFYING:
        await world.runner.tick()
        await asyncio.sleep(0)
    world.expect(slow, RunState.ANALYZING)
    await world.answer(slow, OTHER)
