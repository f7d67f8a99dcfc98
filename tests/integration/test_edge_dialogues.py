"""The dialogue that Reject opens: the real discord.py client against the loopback Discord."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from discord import ui
from edge_fakes import NAME, make_card, make_run
from edge_world import EdgeWorld, get_button, open_world, until

from bot import messages
from bot.payloads import Button, Message
from bot.sandbox import Reply, VisitorError
from bot.sandbox.errors import ApiError
from bot.sandbox.limits import check_dialogue
from pipeline.model import Done, Impossible, Question, RunState

REJECT = "reject:9f3c21aa"
WHY = "It holds the wrong lock; Map::Update takes it first."


@pytest.fixture
async def world() -> AsyncIterator[EdgeWorld]:
    async with open_world() as opened:
        yield opened


async def send_button(world: EdgeWorld, custom_id: str = REJECT) -> str:
    return await world.edge.channel.send(None, Message("?", buttons=(Button("Reject", custom_id),)), "b1")


async def open_dialogue(world: EdgeWorld, custom_id: str = REJECT) -> str:
    """The interaction whose dialogue is open, nothing being ordered yet."""
    opened = await world.sandbox.press(await send_button(world, custom_id), custom_id)
    assert (opened["response"], world.desk.orders, world.ledger.audit) == (None, [], [])
    assert opened["dialogue"]["custom_id"] == custom_id
    return opened["interaction_id"]


def told(reply: Reply) -> str:
    assert reply["response"] is not None, "nobody answered"
    return reply["response"]["content"]


async def test_reject_asks_why_names_the_crash_and_says_that_it_may_be_left_out(world: EdgeWorld) -> None:
    world.ledger.show(make_card(run=make_run(RunState.AWAITING_APPROVAL, question=Question.PATCH)))
    await world.deliver()
    card = next(each for each in world.messages if each["components"])
    opened = await world.sandbox.press(card["id"], get_button(card, "Reject"))
    assert opened["dialogue"] == {
        "title": f"Reject: {NAME}",
        "custom_id": REJECT,
        "components": [
            {
                "type": 18,
                "label": "Why",
                "description": "It stands on the card, and the analyst reads it at /retry.",
                "component": {
                    "type": 4,
                    "style": 2,
                    "label": None,
                    "custom_id": "typed",
                    "placeholder": "May be left empty",
                    "required": False,
                    "max_length": 400,
                },
            }
        ],
    }


async def test_the_typed_reason_is_the_orders_and_the_answer_says_it(world: EdgeWorld) -> None:
    world.desk.answer = Done(run="9f3c21aa", subject=NAME)
    reply = await world.sandbox.submit(await open_dialogue(world), {"typed": f"  {WHY}\n"})
    assert world.desk.orders == [("reject", "operator", "9f3c21aa", WHY)]
    assert world.ledger.audit == [("operator", "reject", f"9f3c21aa {WHY}", "done")]
    assert told(reply) == (
        f"Fix for `{NAME}` (run `9f3c21aa`) rejected by operator: {WHY} `/retry 9f3c21aa` begins anew."
    )


async def test_a_no_without_a_reason_is_one_too(world: EdgeWorld) -> None:
    await world.sandbox.submit(await open_dialogue(world), {})
    assert world.desk.orders == [("reject", "operator", "9f3c21aa")]


async def test_a_dialogue_outlives_the_bot_that_opened_it(world: EdgeWorld) -> None:
    opened = await open_dialogue(world)
    await world.restart()
    await world.sandbox.submit(opened, {"typed": WHY})
    assert world.desk.orders == [("reject", "operator", "9f3c21aa", WHY)]


async def test_a_dialogue_is_sent_once_and_again_only_while_nobody_answered(world: EdgeWorld) -> None:
    opened = await open_dialogue(world)
    await world.log_out()
    world.sandbox.rules.patience = 0.05
    assert (await world.sandbox.submit(opened, {"typed": WHY}))["response"] is None
    world.sandbox.rules.patience = 8.0
    await world.log_in()
    await world.sandbox.submit(opened, {"typed": WHY})
    assert world.desk.orders == [("reject", "operator", "9f3c21aa", WHY)]
    with pytest.raises(VisitorError, match="no dialogue is open for operator"):
        await world.sandbox.submit(opened, {})


async def test_what_cannot_be_rejected_any_more_is_said_and_nothing_changes(world: EdgeWorld) -> None:
    opened = await open_dialogue(world)
    world.desk.answer = Impossible("Run `9f3c21aa` is live: `/revert` takes it back.")
    assert told(await world.sandbox.submit(opened, {"typed": WHY})) == (
        "Run `9f3c21aa` is live: `/revert` takes it back. Nothing was changed."
    )


async def test_fault_b12_whose_role_was_taken_while_he_typed_is_refused(world: EdgeWorld) -> None:
    opened = await open_dialogue(world)
    world.sandbox.set_operator("operator", granted=False)
    reply = await world.sandbox.submit(opened, {"typed": WHY})
    await is_refused(world, reply, messages.not_allowed(), "refused: no operator")


async def test_fault_b12_another_person_cannot_send_an_operators_dialogue(world: EdgeWorld) -> None:
    opened = await open_dialogue(world)
    with pytest.raises(VisitorError, match="no dialogue is open for guest"):
        await world.sandbox.submit(opened, {"typed": WHY}, "guest")
    assert world.desk.orders == []


@pytest.mark.parametrize(
    ("where", "words", "outcome"),
    [
        ("direct message", "in direct messages", "refused: direct message"),
        ("elsewhere", "in another one", "refused: other server"),
    ],
)
async def test_fault_b12_a_dialogue_is_taken_in_its_server_alone(
    world: EdgeWorld, where: str, words: str, outcome: str
) -> None:
    opened = await open_dialogue(world)
    reply = await world.submit_from(where, opened, {"typed": WHY})
    await is_refused(world, reply, messages.wrong_place(words), outcome)


async def is_refused(world: EdgeWorld, reply: Reply, words: Message, outcome: str) -> None:
    assert told(reply) == words.content
    assert world.desk.orders == []
    await until(lambda: world.ledger.audit)
    assert world.ledger.audit == [("operator", "reject", "9f3c21aa", outcome)]


async def test_a_dialogue_that_would_come_too_late_is_not_shown_and_does_nothing(
    world: EdgeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world.sandbox.rules.first_answer, world.sandbox.rules.patience = -1.0, 0.05
    reply = await world.sandbox.press(await send_button(world), REJECT)
    await until(lambda: "did not reach Discord, nothing was done" in caplog.text)
    assert (reply["response"], "dialogue" in reply, world.desk.orders) == (None, False, [])


async def test_a_dialogue_that_is_answered_too_late_does_nothing_and_is_written_down(world: EdgeWorld) -> None:
    opened = await open_dialogue(world)
    world.sandbox.rules.first_answer, world.sandbox.rules.patience = -1.0, 0.05
    await world.sandbox.submit(opened, {"typed": WHY})
    await until(lambda: world.ledger.audit)
    assert world.ledger.audit == [("operator", "reject", f"9f3c21aa {WHY}", "too late: nothing was done")]
    assert world.desk.orders == []


async def test_a_dialogue_of_another_version_does_nothing(world: EdgeWorld) -> None:
    opened = await open_dialogue(world)
    interaction = world.sandbox._service.interactions[opened]
    assert interaction.dialogue is not None
    interaction.dialogue = {**interaction.dialogue, "custom_id": "approve:9f3c21aa"}
    reply = await world.sandbox.submit(opened, {"typed": WHY})
    assert told(reply) == messages.unknown_action().content
    assert world.desk.orders == []


async def test_nobody_types_more_than_the_dialogue_takes(world: EdgeWorld) -> None:
    opened = await open_dialogue(world)
    with pytest.raises(VisitorError, match="typed takes at most 400 characters"):
        await world.sandbox.submit(opened, {"typed": "x" * 401})


# --- what Discord refuses --------------------------------------------------------------------------------------------


def make_modal(**changes: Any) -> dict[str, Any]:
    typed: ui.TextInput[ui.Modal] = ui.TextInput(custom_id="typed")
    modal = ui.Modal(title="Reject", custom_id=REJECT)
    modal.add_item(ui.Label(text="Why", component=typed))
    return modal.to_dict() | changes


def with_field(**changes: Any) -> dict[str, Any]:
    part = make_modal()["components"][0]
    return make_modal(components=[part | {"component": part["component"] | changes}])


async def test_a_dialogue_of_exactly_the_limits_is_taken() -> None:
    check_dialogue(make_modal(title="x" * 45, custom_id="x" * 100))
    check_dialogue(with_field(max_length=4000, min_length=0, placeholder="x" * 100, value="x" * 4000))
    row = {"type": 1, "components": [make_modal()["components"][0]["component"]]}
    check_dialogue(make_modal(components=[row]))


@pytest.mark.parametrize(
    ("dialogue", "path"),
    [
        (make_modal(title="x" * 46), ["title"]),
        (make_modal(title=""), ["title"]),
        (make_modal(custom_id="x" * 101), ["custom_id"]),
        (make_modal(components=[]), ["components"]),
        (make_modal(components=make_modal()["components"] * 6), ["components"]),
        (make_modal(components=make_modal()["components"] * 2), ["components", "1", "custom_id"]),
        (make_modal(components=[{"type": 2}]), ["components", "0", "type"]),
        (make_modal(components=[make_modal()["components"][0] | {"label": "x" * 46}]), ["components", "0", "label"]),
        (with_field(style=3), ["components", "0", "style"]),
        (with_field(placeholder="x" * 101), ["components", "0", "placeholder"]),
        (with_field(max_length=4001), ["components", "0", "max_length"]),
        (with_field(min_length=-1), ["components", "0", "min_length"]),
        (with_field(value="x" * 4001), ["components", "0", "value"]),
    ],
)
def test_a_dialogue_over_a_limit_is_refused_and_says_where(dialogue: dict[str, Any], path: list[str]) -> None:
    with pytest.raises(ApiError) as refused:
        check_dialogue(dialogue)
    assert refused.value.code == 50035
    node: Any = refused.value.errors
    for step in ["data", *path]:
        node = node[step]
    assert node["_errors"]
