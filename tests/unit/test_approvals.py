"""What a person is asked before something goes on, with what beside it, and what the answer does."""

from dataclasses import replace
from pathlib import Path

from world import BASE, GOOD, OPERATOR, World

from pipeline.card_models import FixLink, PostKind
from pipeline.keeper.protocol import ServerState
from pipeline.model import Approval, Done, Edit, Impossible, Patch, Question, Run, RunState
from pipeline.runner import apply_step, next_change, take_step
from pipeline.tools import Move, Passage


async def test_approval_of_the_patch(tmp_path: Path) -> None:
    world = await World(tmp_path, {"approval": Approval.PATCH}).start()
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.AWAITING_APPROVAL).question is Question.PATCH
    assert world.builder.built == []
    await world.orders.approve(run.id, OPERATOR)
    await world.settle()
    world.expect(run, RunState.VERIFYING)


async def test_approval_of_the_deployment_and_its_rejection(tmp_path: Path) -> None:
    world = await World(tmp_path, {"approval": Approval.DEPLOY}).start()
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.AWAITING_APPROVAL).question is Question.DEPLOY
    await world.orders.reject(run.id, OPERATOR, "not tonight")
    await world.settle()
    assert world.expect(run, RunState.CANCELLED).reason == "rejected by Ann: not tonight"
    head = world.source.remote["overnight-20261122"]
    assert world.source.commits[head].files["src/Map.cpp"] == "bad"


async def test_an_unknown_base_is_asked_about(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keeper.revision = "f" * 12 + "+"
    await world.start()
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.AWAITING_APPROVAL).question is Question.BASE
    card = world.store.get_card_of_run(run.id)
    assert world.ledger.get_card_view(card).base == FixLink(BASE, f"https://example.org/commit/{BASE}", None)
    await world.orders.approve(run.id, OPERATOR)
    await world.settle()
    world.expect(run, RunState.VERIFYING)
    assert world.ledger.get_card_view(card).base is None


async def test_a_second_tap_on_approve_says_nothing_to_the_question_that_comes_next(tmp_path: Path) -> None:
    world = World(tmp_path, {"approval": Approval.PATCH})
    world.keeper.revision = "f" * 12 + "+"
    await world.start()
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    asked = world.expect(run, RunState.AWAITING_APPROVAL).asks
    assert asked == "base-0"
    assert isinstance(await world.orders.approve(run.id, OPERATOR, asked), Done)
    await world.settle()
    assert world.expect(run, RunState.AWAITING_APPROVAL).question is Question.PATCH
    assert await world.orders.approve(run.id, OPERATOR, asked) == Impossible(
        f"Run `{run.id}` asks something else by now: look at its card again."
    )
    await world.settle()
    world.expect(run, RunState.AWAITING_APPROVAL)
    assert world.builder.built == [], "nobody has seen its diff yet"


async def asked_for_two(tmp_path: Path) -> tuple[World, Run]:
    """A patch that is asked about, of a server that says no revision, so that its base is asked about before."""
    world = World(tmp_path, {"approval": Approval.PATCH})
    world.keeper.revision = "f" * 12 + "+"
    await world.start()
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.AWAITING_APPROVAL).question is Question.BASE
    return world, run


async def test_two_people_who_approve_the_base_do_not_approve_the_patch_with_it(tmp_path: Path) -> None:
    """Typed, the order names no question: the second one was begun when the card asked for the base."""
    world, run = await asked_for_two(tmp_path)
    assert await world.orders.approve(run.id, OPERATOR) == Done(
        "The night branch may begin at the head of the base branch. Its card asks next whether the patch may be "
        "applied.",
        run=run.id,
        subject=run.subject,
    )
    await world.pass_time(seconds=2)
    assert await world.orders.approve(run.id, OPERATOR) == Impossible(
        f"Run `{run.id}` asks something else since a moment ago: may its patch be applied? Its card shows it: the "
        "button there says yes at once, `/approve` once it has stood for 20 s."
    )
    await world.settle()
    assert world.expect(run, RunState.AWAITING_APPROVAL).question is Question.PATCH
    await world.pass_time(seconds=20)
    patch = Done("Its patch may be applied.", run=run.id, subject=run.subject)
    assert await world.orders.approve(run.id, OPERATOR) == patch
    await world.settle()
    world.expect(run, RunState.VERIFYING)


async def test_the_button_of_the_second_question_answers_it_at_once(tmp_path: Path) -> None:
    world, run = await asked_for_two(tmp_path)
    await world.orders.approve(run.id, OPERATOR, "base-0")
    await world.settle()
    asked = world.expect(run, RunState.AWAITING_APPROVAL).asks
    assert isinstance(await world.orders.approve(run.id, OPERATOR, asked), Done)
    await world.settle()
    world.expect(run, RunState.VERIFYING)


async def test_a_base_that_is_approved_promises_no_question_that_is_not_asked(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keeper.revision = "f" * 12 + "+"
    await world.start()
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert await world.orders.approve(run.id, OPERATOR) == Done(
        "The night branch may begin at the head of the base branch.", run=run.id, subject=run.subject
    )


def thread_of(world: World, run: Run) -> list[PostKind]:
    """What the thread of a run's card says, in its order."""
    card = world.store.get_card_of_run(run.id)
    return [post.kind for post in world.posts() if post.card == card]


async def test_whoever_is_asked_about_a_patch_has_its_diff_before_the_question_and_never_twice(tmp_path: Path) -> None:
    world = await World(tmp_path, {"approval": Approval.PATCH}).start()
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.AWAITING_APPROVAL).question is Question.PATCH
    assert thread_of(world, run) == [PostKind.BACKTRACE, PostKind.ANALYSIS, PostKind.PATCH]
    await world.orders.approve(run.id, OPERATOR)
    await world.settle()
    world.expect(run, RunState.VERIFYING)
    assert thread_of(world, run).count(PostKind.PATCH) == 1
    world.engine.dispose()


async def test_whoever_is_asked_about_a_refused_proposal_sees_what_was_proposed(world: World) -> None:
    run = await world.crash("Map::Update")
    world.source.refuse = "sql/ may not be changed"
    proposed = Patch(edits=(Edit("sql/a.sql", "old hunter2", "new"),))
    await world.answer(run, proposed)
    world.expect(run, RunState.PROPOSED)
    kinds = [PostKind.BACKTRACE, PostKind.ANALYSIS, PostKind.PATCH, PostKind.REFUSED]
    assert thread_of(world, run) == kinds
    diff = next(post.data["diff"] for post in world.posts() if post.kind is PostKind.PATCH)
    assert diff == "--- sql/a.sql\n+++ sql/a.sql\n@@ as proposed @@\n-old ***\n+new\n"


async def ready_after_a_pause(world: World) -> Run:
    """Nobody has looked yet whether it may be applied."""
    run = await world.crash("Map::Update")
    await world.orders.pause(OPERATOR, "")
    await world.answer(run, GOOD)
    await world.orders.resume(OPERATOR)
    return world.expect(run, RunState.READY)


async def test_a_pause_in_the_moment_of_admission_lets_nothing_begin(world: World) -> None:
    run = await ready_after_a_pause(world)
    admitted = take_step(world.tools, run, Passage())
    assert isinstance(admitted, Move)
    assert admitted.to is RunState.PATCHING
    await world.orders.pause(OPERATOR, "sleeping")
    assert not apply_step(world.tools, run, admitted)
    world.expect(run, RunState.READY)
    await world.orders.resume(OPERATOR)
    await world.settle()
    world.expect(run, RunState.VERIFYING)


async def test_a_patch_that_a_pause_sent_back_is_shown_once(world: World) -> None:
    run = await ready_after_a_pause(world)
    assert apply_step(world.tools, run, take_step(world.tools, run, Passage()))
    await world.orders.pause(OPERATOR, "")
    assert next_change(world.tools) is None
    world.expect(run, RunState.READY)
    await world.orders.resume(OPERATOR)
    await world.settle()
    world.expect(run, RunState.VERIFYING)
    assert thread_of(world, run).count(PostKind.PATCH) == 1


async def between_lives(tmp_path: Path) -> tuple[World, Run]:
    """A fix is there for a server whose next life is not ready yet, before anybody knows what it is built from."""
    world = World(tmp_path)
    world.keeper.revision = ""
    await world.start()
    run = await world.crash("Map::Update")
    assert world.keeper.now is not None
    world.keeper.now = replace(world.keeper.now, state=ServerState.STARTING, revision=None, ready_at=None)
    await world.answer(run, GOOD)
    assert world.expect(run, RunState.READY).reason == (
        "waits until the server is up again and says what it is built from"
    )
    return world, run


async def test_nobody_is_asked_for_a_base_that_the_server_will_tell(tmp_path: Path) -> None:
    world, run = await between_lives(tmp_path)
    assert world.keeper.now is not None
    world.keeper.now = replace(world.keeper.now, state=ServerState.READY, revision=BASE[:12])
    await world.pass_time(seconds=10)
    assert world.get(run).branch == "overnight-20261122"


async def test_a_server_that_does_not_come_up_may_need_this_very_fix_and_somebody_is_asked(tmp_path: Path) -> None:
    world, run = await between_lives(tmp_path)
    await world.pass_time(minutes=3)
    assert world.expect(run, RunState.AWAITING_APPROVAL).question is Question.BASE
