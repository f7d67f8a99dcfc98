"""Orders given in the channel: the real discord.py client against the loopback Discord."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import discord
import pytest
from edge_fakes import COMMIT, NAME, NOW, REVERT, FakeDesk, make_card
from edge_world import EdgeWorld, get_buttons, open_world, until

from bot import messages
from bot.audit import URGENT
from bot.commands import buttons
from bot.commands.delays import read_delay
from bot.login import LONGEST_WAIT, REFUSED_WAIT, Ear, run_client
from bot.payloads import Button, Message
from bot.permissions import TABLE, Need
from bot.sandbox import Reply
from bot.sandbox.permission import Permission
from pipeline.errors import Obstructed
from pipeline.model import Actor, Done, Impossible, Outcome, RunState
from pipeline.read_models import AuditLine, FixLine, LogView, OrderEnd
from pipeline.run_orders import CANCELLABLE, REJECTABLE, RETRYABLE
from pipeline.status_models import RunLine
from pipeline.summary import Counts, CrashLine, NightSummary

ORDERS: list[tuple[str, dict[str, str], tuple[str, ...]]] = [
    ("pause", {"reason": "raid tonight"}, ("pause", "operator", "raid tonight")),
    ("resume", {}, ("resume", "operator")),
    ("start-server", {}, ("start", "operator")),
    ("approve", {"run": "9f3c21aa"}, ("approve", "operator", "9f3c21aa")),
    ("reject", {"run": "9f3c21aa", "reason": "wrong lock"}, ("reject", "operator", "9f3c21aa", "wrong lock")),
    ("cancel", {"run": "9f3c21aa"}, ("cancel", "operator", "9f3c21aa")),
    ("retry", {"run": "9f3c21aa"}, ("retry", "operator", "9f3c21aa")),
]
BUTTONS: list[tuple[str, tuple[str, ...]]] = [
    ("approve:9f3c21aa", ("approve", "operator", "9f3c21aa")),
    ("approve:9f3c21aa:deploy-0", ("approve", "operator", "9f3c21aa", "deploy-0")),
    ("reject:9f3c21aa", ("reject", "operator", "9f3c21aa")),
    ("deploy:9f3c21aa", ("deploy", "operator", "9f3c21aa")),
    ("retry:9f3c21aa", ("retry", "operator", "9f3c21aa")),
    ("start:server", ("start", "operator")),
    ("resume:pipeline", ("resume", "operator")),
    ("cancel-order:5", ("cancel-order", "operator", "5")),
    (f"confirm-revert:{COMMIT}", ("revert", "operator", COMMIT)),
    ("restart:120:new map: second try", ("restart", "operator", "120.0", "new map: second try")),
    ("stop:120:new disk", ("stop", "operator", "120.0", "new disk")),
    (f"confirm-update:{COMMIT}", ("update", "operator", COMMIT)),
    ("roll-back:a1b2c3d:it lags", ("rollback", "operator", "a1b2c3d", "it lags")),
]
# Every button, by the first word of its custom_id.
EVERY_BUTTON = {
    **{custom_id.split(":")[0]: custom_id for custom_id, _ in BUTTONS},
    "revert": f"revert:{COMMIT}",
    "keep": "keep:stop",
}
# Every command with what it needs.
EVERY_COMMAND: dict[str, dict[str, Any]] = {
    "status": {},
    "summary": {},
    "crashes": {"days": 7},
    "crash": {"signature": "UnsubscribeAll"},
    "run": {"id": "9f3c21aa"},
    "whoami": {},
    "log": {"source": "bot", "lines": 10},
    "audit": {"days": 1},
    "pause": {},
    "resume": {},
    "revert": {"commit": COMMIT},
    "rollback": {"reason": "it lags"},
    "update": {},
    "approve": {"run": "9f3c21aa"},
    "reject": {"run": "9f3c21aa", "reason": "wrong lock"},
    "cancel": {"run": "9f3c21aa"},
    "retry": {"run": "9f3c21aa"},
    "restart-server": {"delay": "2m"},
    "stop-server": {},
    "start-server": {},
}
REFUSALS = {
    messages.not_allowed().content,
    messages.unknown_action().content,
    messages.wrong_place("in direct messages").content,
    messages.wrong_place("in another one").content,
}
FOR_OPERATORS = sorted(name for name in EVERY_COMMAND if TABLE[name] is Need.OPERATOR)
FOR_EVERYONE = sorted(set(EVERY_COMMAND) - set(FOR_OPERATORS))
COMMANDS = [(name, EVERY_COMMAND[name]) for name in FOR_OPERATORS]


@pytest.fixture
async def world() -> AsyncIterator[EdgeWorld]:
    async with open_world() as opened:
        yield opened


async def send_button(world: EdgeWorld, custom_id: str) -> str:
    return await world.edge.channel.send(None, Message("?", buttons=(Button("Go", custom_id),)), "b1")


# --- the login -------------------------------------------------------------------------------------------------------


async def test_the_commands_are_registered_once_and_again_only_when_they_changed(world: EdgeWorld) -> None:
    assert {*world.sandbox.state()["commands"]} == {*EVERY_COMMAND}
    assert world.count_requests("PUT", "/commands") == 1
    await world.restart()
    assert world.count_requests("PUT", "/commands") == 1


def test_no_command_and_no_button_is_left_out_of_what_is_tried_by_everybody_everywhere() -> None:
    assert {*EVERY_BUTTON} == {*buttons.ORDERS, *buttons.DIALOGUES}
    assert {*buttons.DIALOGUES} == {*buttons.SUBMITTED}
    assert {*EVERY_COMMAND} | {*EVERY_BUTTON} == {*TABLE}


def test_the_client_asks_for_guilds_only_and_mentions_nobody(world_client: discord.Client) -> None:
    assert world_client.intents == discord.Intents(guilds=True)
    assert world_client.allowed_mentions is not None
    assert world_client.allowed_mentions.to_dict()["parse"] == []


@pytest.fixture
async def world_client(world: EdgeWorld) -> discord.Client:
    return world.edge.make_client()


class Enough(Exception):
    """Ends a loop that would go on for ever."""


async def test_a_refused_login_degrades_the_bot_and_is_tried_again(world: EdgeWorld) -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise Enough

    with pytest.raises(Enough):
        await run_client(world.edge.make_client, "wrong", world.report, wait)
    assert waits == [REFUSED_WAIT, REFUSED_WAIT]
    assert "`DISCORD_TOKEN`" in str(world.reports["discord login"])


async def test_while_discord_is_away_the_login_is_tried_with_growing_pauses(world: EdgeWorld) -> None:
    world.sandbox.faults.begin_outage()
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 8:
            raise Enough

    with pytest.raises(Enough):
        await run_client(world.edge.make_client, world.sandbox.token, world.report, wait)
    assert waits == [1, 2, 4, 8, 10, 10, 10, 10]
    assert "messages wait" in str(world.reports["discord login"])


async def test_after_a_long_outage_commands_are_answered_again_within_one_short_pause(world: EdgeWorld) -> None:
    world.ledger.show(make_card())
    world.sandbox.faults.begin_outage()
    await world.deliver()
    await until(lambda: len(world.pauses) > 8)
    assert max(world.pauses) == LONGEST_WAIT
    world.sandbox.faults.end_outage()
    await world.sandbox.wait_for(lambda state: state["ready"])
    await until(lambda: world.edge.channel.open)
    assert (await world.slash("status"))["embeds"][0]["title"] == "Testrealm: server up"
    assert world.reports["discord login"] is None
    await world.deliver()
    assert f"Crash in {NAME}" in world.titles


async def test_fault_b11_a_gateway_that_brings_nothing_while_all_else_works_is_renewed(world: EdgeWorld) -> None:
    world.ear = Ear(silence=0.1, patience=0.3)
    await world.restart()
    begun = world.sandbox.sessions_begun
    world.sandbox.faults.deafen()
    await world.sandbox.wait_for(lambda _: world.sandbox.sessions_begun > begun)
    await until(lambda: world.edge.channel.open and world.reports["discord login"] is None)
    assert (await world.slash("status"))["embeds"][0]["title"] == "Testrealm: server up"


async def test_fault_b11_a_quiet_gateway_that_answers_when_asked_is_left_alone(world: EdgeWorld) -> None:
    world.ear = Ear(silence=0.02)
    await world.restart()
    begun = world.sandbox.sessions_begun
    await until(lambda: world.sandbox.members_asked > 3)
    assert world.sandbox.sessions_begun == begun and world.pauses == []


@pytest.mark.parametrize("code", [None, 1000, 4009, 4011])
async def test_fault_b11_a_gateway_that_closes_for_whatever_reason_is_entered_again(
    world: EdgeWorld, code: int | None
) -> None:
    world.sandbox.faults.disconnect(code)
    await world.sandbox.wait_for(lambda _: world.sandbox.sessions_begun + world.sandbox.sessions_resumed > 1)
    await until(lambda: world.edge.channel.open)
    assert (await world.slash("status"))["embeds"][0]["title"] == "Testrealm: server up"


# --- who may ---------------------------------------------------------------------------------------------------------


async def test_everyone_may_read_the_status(world: EdgeWorld) -> None:
    answer = await world.slash("status", "guest")
    assert answer["embeds"][0]["title"] == "Testrealm: server up"
    assert world.ledger.audit == [("guest", "status", "", "answered")]


@pytest.mark.parametrize(("command", "options"), COMMANDS)
async def test_fault_b12_a_guest_is_refused_every_order(
    world: EdgeWorld, command: str, options: dict[str, str]
) -> None:
    answer = await world.slash(command, "guest", **options)
    assert answer["content"].startswith("You may read but not order here")
    assert "DISCORD_OPERATOR_ROLE_IDS" in answer["content"]
    assert answer["ephemeral_to"] == "guest"
    assert world.desk.orders == []
    await until(lambda: world.ledger.audit)
    assert [(who, what, outcome) for who, what, _, outcome in world.ledger.audit] == [
        ("guest", command, "refused: no operator")
    ]


@pytest.mark.parametrize("command", sorted(EVERY_COMMAND))
async def test_fault_b12_an_operator_is_answered_whatever_he_asks(world: EdgeWorld, command: str) -> None:
    answer = await world.slash(command, **EVERY_COMMAND[command])
    assert answer["content"] or answer["embeds"]
    assert answer["content"] not in REFUSALS
    assert (answer["ephemeral_to"] == "operator") is (command in ("log", "audit", "whoami"))
    (row,) = world.ledger.audit
    assert row[:2] == ("operator", command) and not row[3].startswith(("refused", "error"))


@pytest.mark.parametrize("command", FOR_EVERYONE)
async def test_fault_b12_a_guest_is_answered_what_everyone_may_read(world: EdgeWorld, command: str) -> None:
    answer = await world.slash(command, "guest", **EVERY_COMMAND[command])
    assert (answer["content"] or answer["embeds"]) and answer["content"] not in REFUSALS
    assert [row[:2] for row in world.ledger.audit] == [("guest", command)]
    assert world.desk.orders == []


@pytest.mark.parametrize("command", sorted(EVERY_COMMAND))
async def test_fault_b12_an_operator_whose_role_was_taken_is_a_guest_with_his_next_command(
    world: EdgeWorld, command: str
) -> None:
    world.sandbox.set_operator("operator", granted=False)
    answer = await world.slash(command, **EVERY_COMMAND[command])
    assert (answer["content"] == messages.not_allowed().content) is (command in FOR_OPERATORS)
    assert world.desk.orders == []
    await until(lambda: world.ledger.audit)
    refused = [row[3] == "refused: no operator" for row in world.ledger.audit]
    assert refused == [command in FOR_OPERATORS]


@pytest.mark.parametrize(
    ("where", "words", "outcome"),
    [
        ("direct message", "in direct messages", "refused: direct message"),
        ("elsewhere", "in another one", "refused: other server"),
    ],
)
@pytest.mark.parametrize("command", sorted(EVERY_COMMAND))
async def test_fault_b12_an_operator_is_refused_everything_outside_of_his_server(
    world: EdgeWorld, command: str, where: str, words: str, outcome: str
) -> None:
    reply = await world.slash_from(where, command, **EVERY_COMMAND[command])
    assert reply["response"] is not None
    assert reply["response"]["content"] == messages.wrong_place(words).content
    assert reply["response"]["ephemeral_to"] == "operator"
    assert world.desk.orders == []
    await until(lambda: world.ledger.audit)
    assert [(row[1], row[3]) for row in world.ledger.audit] == [(command, outcome)]


@pytest.mark.parametrize("custom_id", EVERY_BUTTON.values())
@pytest.mark.parametrize("who", ["guest", "operator"])
async def test_fault_b12_a_guest_is_refused_every_button_and_so_is_an_operator_whose_role_was_taken(
    world: EdgeWorld, who: str, custom_id: str
) -> None:
    message = await send_button(world, custom_id)
    world.sandbox.set_operator("operator", granted=False)
    reply = await world.sandbox.click(message, custom_id, who)
    await is_refused(world, reply, messages.not_allowed(), (who, "refused: no operator"))


@pytest.mark.parametrize(
    ("where", "words", "outcome"),
    [
        ("direct message", "in direct messages", "refused: direct message"),
        ("elsewhere", "in another one", "refused: other server"),
    ],
)
@pytest.mark.parametrize("custom_id", EVERY_BUTTON.values())
async def test_fault_b12_an_operator_is_refused_every_button_outside_of_his_server(
    world: EdgeWorld, custom_id: str, where: str, words: str, outcome: str
) -> None:
    message = await send_button(world, custom_id)
    reply = await world.click_from(where, message, custom_id)
    await is_refused(world, reply, messages.wrong_place(words), ("operator", outcome))


async def is_refused(world: EdgeWorld, reply: Reply, words: Message, row: tuple[str, str]) -> None:
    """To whoever asked alone, written down, and nothing was ordered."""
    assert reply["response"] is not None
    assert reply["response"]["content"] == words.content
    assert reply["response"]["ephemeral_to"] == row[0]
    assert world.desk.orders == []
    await until(lambda: world.ledger.audit)
    assert [(each[0], each[3]) for each in world.ledger.audit] == [row]


@pytest.mark.parametrize(("command", "options", "order"), ORDERS)
async def test_an_operator_orders_and_is_named(
    world: EdgeWorld, command: str, options: dict[str, str], order: tuple[str, ...]
) -> None:
    answer = await world.slash(command, **options)
    assert world.desk.orders == [order]
    assert "operator" in answer["content"]
    assert answer["ephemeral_to"] is None
    assert [(who, what, outcome) for who, what, _, outcome in world.ledger.audit] == [("operator", command, "done")]


@pytest.mark.parametrize(("custom_id", "order"), BUTTONS)
async def test_an_operator_presses_a_button(world: EdgeWorld, custom_id: str, order: tuple[str, ...]) -> None:
    message = await send_button(world, custom_id)
    reply = await world.sandbox.click(message, custom_id)
    assert reply["response"] is not None
    assert world.desk.orders == [order]
    assert world.ledger.audit[-1][3] == "done"


async def test_whose_role_was_taken_a_moment_ago_is_no_operator_any_more(world: EdgeWorld) -> None:
    world.sandbox.set_operator("operator", granted=False)
    answer = await world.slash("pause")
    assert answer["content"].startswith("You may read but not order here")
    assert world.desk.orders == []


async def test_a_button_of_another_version_does_nothing(world: EdgeWorld) -> None:
    message = await send_button(world, "launch:missiles")
    reply = await world.sandbox.click(message, "launch:missiles")
    assert reply["response"] is not None
    assert reply["response"]["content"] == "This button is of another version of the bot. Nothing was changed."


# --- revert ----------------------------------------------------------------------------------------------------------


async def test_a_revert_asks_and_the_question_becomes_the_answer(world: EdgeWorld) -> None:
    question = await world.slash("revert", commit=COMMIT)
    assert list(get_buttons(question)) == ["Revert", "Keep"]
    assert world.desk.orders == []
    answer = await world.click(question, "Revert")
    assert answer["id"] == question["id"]
    assert answer["content"] == "Reverting `a1b2c3d`, asked for by operator. The card of its crash tells the rest."
    assert answer["components"] == []
    assert world.desk.orders == [("revert", "operator", COMMIT)]


async def test_keep_changes_nothing_and_takes_the_buttons_away(world: EdgeWorld) -> None:
    question = await world.slash("revert", commit=COMMIT)
    answer = await world.click(question, "Keep")
    assert answer["content"] == "Nothing was changed: operator kept it as it is."
    assert answer["components"] == [] and world.desk.orders == []


async def test_a_revert_that_is_impossible_says_so_and_asks_nothing(world: EdgeWorld) -> None:
    world.desk.plan = Impossible("`a1b2c3d` cannot be reverted by itself: later fix `c0ffee1` changed the same lines.")
    answer = await world.slash("revert", commit=COMMIT)
    assert answer["content"] == (
        "`a1b2c3d` cannot be reverted by itself: later fix `c0ffee1` changed the same lines. Nothing was changed."
    )
    assert answer["components"] == []


async def test_the_revert_button_of_a_card_asks_too(world: EdgeWorld) -> None:
    message = await send_button(world, f"revert:{COMMIT}")
    reply = await world.sandbox.click(message, f"revert:{COMMIT}")
    assert reply["response"] is not None
    assert list(get_buttons(reply["response"])) == ["Revert", "Keep"]
    assert world.desk.orders == []


async def test_a_question_works_after_the_bot_was_restarted(world: EdgeWorld) -> None:
    question = await world.slash("revert", commit=COMMIT)
    await world.restart()
    await world.click(question, "Revert")
    assert world.desk.orders == [("revert", "operator", COMMIT)]


async def test_an_old_question_lapses(world: EdgeWorld) -> None:
    question = await world.slash("revert", commit=COMMIT)
    world.discord_time.ahead += 5 * 60 + 1
    answer = await world.click(question, "Revert")
    assert answer["content"].startswith("This question is older than 5 min")
    assert answer["components"] == [] and world.desk.orders == []


@pytest.mark.parametrize("ahead", [-3600, 3600], ids=["behind", "ahead"])
async def test_a_question_is_as_old_as_discord_says_whatever_the_clock_of_the_machine_shows(
    world: EdgeWorld, ahead: int
) -> None:
    world.clock.move(ahead)
    question = await world.slash("revert", commit=COMMIT)
    await world.click(question, "Revert")
    assert world.desk.orders == [("revert", "operator", COMMIT)]
    late = await world.slash("revert", commit=COMMIT)
    world.discord_time.ahead += 5 * 60 + 1
    await world.click(late, "Revert")
    assert len(world.desk.orders) == 1


async def test_the_completion_offers_the_nights_fixes_that_can_still_be_reverted(world: EdgeWorld) -> None:
    world.desk.fixes = [
        FixLine(COMMIT, "fix(map): " + "x" * 200, "r1", RunState.SUCCEEDED, NOW, None, reverted=False),
        FixLine("b" * 40, "fix(bot): other", "r2", RunState.SUCCEEDED, NOW, None, reverted=False),
        FixLine("c" * 40, "fix(old): gone", "r3", RunState.SUCCEEDED, NOW, None, reverted=True),
    ]
    choices = await world.sandbox.autocomplete("revert", "commit", "")
    assert [each["value"] for each in choices] == [COMMIT, "b" * 40]
    assert all(len(each["name"]) <= 100 for each in choices)
    assert [each["value"] for each in await world.sandbox.autocomplete("revert", "commit", "OTHER")] == ["b" * 40]
    assert await world.sandbox.autocomplete("revert", "commit", "", "guest") == []


async def test_completions_offer_runs_in_the_states_a_command_is_for(world: EdgeWorld) -> None:
    world.desk.runs = [
        RunLine(f"run{number:02}", f"{NAME} hunter2 {'x' * 200}", state, None, None, None)
        for number, state in enumerate([*RunState] * 3)
    ]
    everything = await world.sandbox.autocomplete("run", "id", "")
    assert len(everything) == 25 and all(len(each["name"]) <= 100 for each in everything)
    assert "hunter2" not in str(everything) and "[redacted]" in str(everything)
    for command, states in (
        ("approve", [RunState.AWAITING_APPROVAL]),
        ("reject", REJECTABLE),
        ("cancel", CANCELLABLE),
        ("retry", RETRYABLE),
    ):
        offered = [each["value"] for each in await world.sandbox.autocomplete(command, "run", "")]
        assert offered == [run.id for run in world.desk.runs if run.state in states][:25], command
        assert await world.sandbox.autocomplete(command, "run", "", "guest") == []
    assert await world.sandbox.autocomplete("run", "id", "run03 awaiting") == [
        each for each in everything if each["value"] == "run03"
    ]


async def test_the_completion_of_crashes_gives_a_key_however_long_the_signature_is(world: EdgeWorld) -> None:
    world.desk.signatures = [(f"access violation | {'Very::Long' * 40}", "5d41402abc4b"), ("abort | Map", "77aa")]
    offered = await world.sandbox.autocomplete("crash", "signature", "")
    assert [each["value"] for each in offered] == ["5d41402abc4b", "77aa"]
    assert len(offered[0]["name"]) == 100
    assert [each["value"] for each in await world.sandbox.autocomplete("crash", "signature", "MAP abort")] == ["77aa"]


async def test_a_log_is_redacted_shown_to_whoever_asked_alone_and_as_a_file_when_long(world: EdgeWorld) -> None:
    lines = tuple(f"{number} password hunter2" for number in range(400))
    world.desk.logs["server"] = LogView("server", "Server.log", 9000, lines)
    answer = await world.slash("log", lines=400)
    assert answer["ephemeral_to"] == "operator"
    assert answer["content"].startswith("The last 400 lines of `Server.log` (8.8 KiB); the newest here")
    assert "hunter2" not in answer["content"] and "399 password [redacted]" in answer["content"]
    assert [each["filename"] for each in answer["attachments"]] == ["server.txt"]
    assert (await world.slash("log", source="build"))["content"] == "There is no log of the build yet."


async def test_the_audit_is_shown_to_whoever_asked_alone(world: EdgeWorld) -> None:
    world.desk.audit = [AuditLine(NOW, "Bob", "2", "1/2", "pause", "raid hunter2", "done")]
    answer = await world.slash("audit")
    assert answer["ephemeral_to"] == "operator"
    assert answer["embeds"][0]["description"].endswith("**Bob** `/pause` raid [redacted]: done")


async def test_whoami_says_which_role_makes_an_operator(world: EdgeWorld) -> None:
    answer = await world.slash("whoami")
    assert answer["content"].startswith(
        "**operator, you may order here:** your role *operator* is one of `DISCORD_OPERATOR_ROLE_IDS`.\nYours: `/crash`"
    )
    assert "`/rollback`" in answer["content"]
    guest = await world.slash("whoami", "guest")
    assert guest["content"].startswith("**guest, you may read but not order here.**\nYours: `/crash` `/crashes`")


async def test_an_update_asks_once_and_takes_what_was_shown(world: EdgeWorld) -> None:
    question = await world.slash("update")
    assert list(get_buttons(question)) == ["Update", "Keep"] and world.desk.orders == []
    answer = await world.click(question, "Update")
    assert answer["content"] == "The base moves to `e4f5a6b`, asked for by operator; see its card."
    assert world.desk.orders == [("update", "operator", REVERT)]


async def test_what_is_not_there_is_said_without_a_word_about_changes(world: EdgeWorld) -> None:
    world.desk.run_view = world.desk.crash_view = Impossible("There is no run `x`.")
    assert (await world.slash("run", id="x"))["content"] == "There is no run `x`."
    assert (await world.slash("crash", signature="x"))["content"] == "There is no run `x`."


# --- restart ---------------------------------------------------------------------------------------------------------


async def test_fault_b6_a_restart_by_hand_is_told_with_its_actor_and_its_time(world: EdgeWorld) -> None:
    due = world.clock.now() + timedelta(minutes=2)
    world.desk.answer = Done(order=5, due=due)
    question = await world.slash("restart-server", delay="2m", reason="new map")
    assert question["content"] == (
        "Restart the server in 2 min? It goes down for about 20 s (14 players).\nReason: new map"
    )
    answer = await world.click(question, "Restart")
    assert answer["content"] == f"The server restarts <t:{int(due.timestamp())}:R>, asked for by operator: new map."
    assert world.desk.orders == [("restart", "operator", "120.0", "new map")]
    cancelled = await world.click(answer, "Cancel")
    assert cancelled["content"] == "Cancelled by operator: nothing of it happens."
    assert cancelled["components"] == []
    assert world.desk.orders[-1] == ("cancel-order", "operator", "5")


async def test_the_cancel_button_goes_once_there_is_nothing_to_cancel(world: EdgeWorld) -> None:
    due = world.clock.now() + timedelta(minutes=2)
    world.desk.answer = Done(order=5, due=due)
    answer = await world.click(await world.slash("restart-server", delay="2m", reason="new map"), "Restart")
    await until(lambda: world.desk.order_answers)
    assert world.desk.order_answers == {5: ("waiting", world.sandbox.channel_id, answer["id"])}
    assert list(get_buttons(answer)) == ["Cancel"]
    world.ledger.ends[5] = OrderEnd(
        5, "restart", "done", "operator", "new map", due, due, "", world.sandbox.channel_id, answer["id"]
    )
    await world.restart()
    await world.deliver(2)
    (shown,) = [each for each in world.messages if each["id"] == answer["id"]]
    when = f"<t:{int(due.timestamp())}:R>"
    assert shown["content"] == f"The server was told to restart {when}, as operator ordered: new map."
    assert shown["components"] == []
    assert world.ledger.order_answers[5] == ("done", world.sandbox.channel_id, answer["id"])


async def test_the_answer_to_a_pause_has_a_resume_button_until_the_pause_is_over(world: EdgeWorld) -> None:
    world.desk.answer = Done(order=5)
    answer = await world.slash("pause", reason="raid")
    assert answer["content"] == "Pipeline paused by operator: raid." and list(get_buttons(answer)) == ["Resume"]
    await until(lambda: world.desk.order_answers)
    assert world.desk.order_answers == {5: ("done", world.sandbox.channel_id, answer["id"])}
    now = world.clock.now()
    world.ledger.ends[5] = OrderEnd(
        5, "pause", "over", "operator", "raid", now, now, "", world.sandbox.channel_id, answer["id"]
    )
    await world.deliver(2)
    (shown,) = world.messages
    over = f"This pause is over. operator ordered it <t:{int(now.timestamp())}:R>: raid."
    assert (shown["content"], shown["components"]) == (over, [])


async def test_an_answer_that_somebody_deleted_is_not_looked_for_again(world: EdgeWorld) -> None:
    now = world.clock.now()
    world.ledger.ends[5] = OrderEnd(5, "stop", "done", "operator", "", now, now, "", world.sandbox.channel_id, "77")
    await world.deliver(2)
    assert world.ledger.order_answers == {5: ("done", world.sandbox.channel_id, "77")}
    assert world.count_requests("PATCH", "/messages/77") == 1
    assert "discord delivery" not in world.reports


async def test_a_stop_asks_once_and_says_that_it_stays_down(world: EdgeWorld) -> None:
    due = world.clock.now() + timedelta(seconds=30)
    world.desk.answer = Done(order=5, due=due)
    question = await world.slash("stop-server", reason="new disk")
    assert question["content"] == (
        "Stop the server in 30 s (14 players)? **It stays down until** `/start-server`**, whatever happens.**\n"
        "Reason: new disk"
    )
    assert world.desk.orders == []
    answer = await world.click(question, "Stop")
    assert answer["content"] == f"The server stops <t:{int(due.timestamp())}:R>, asked for by operator: new disk."
    assert world.desk.orders == [("stop", "operator", "30.0", "new disk")]


@pytest.mark.parametrize("command", ["restart-server", "stop-server"])
async def test_what_cannot_be_ordered_of_the_server_is_said_and_nothing_is_asked(
    world: EdgeWorld, command: str
) -> None:
    world.desk.restart_plan = Impossible("Ann has stopped the server. `/start-server` starts it.")
    answer = await world.slash(command)
    assert answer["content"] == "Ann has stopped the server. `/start-server` starts it. Nothing was changed."
    assert answer["components"] == []


async def test_a_rollback_asks_once_and_says_what_it_takes_back(world: EdgeWorld) -> None:
    question = await world.slash("rollback", reason="it lags")
    assert question["content"] == (
        f"Roll back from `a1b2c3d` to `e4f5a6b`, healthy <t:{int(NOW.timestamp())}:R>? "
        "The server goes down in 30 s for about 20 s (14 players).\n"
        f"Taken back: `{NAME}` (`a1b2c3d`). The branch gets the reverts, and **the pipeline pauses itself** until "
        "`/resume`.\n"
        "Reason: it lags"
    )
    world.desk.answer = Done(build="e4f5a6b" * 5)
    answer = await world.click(question, "Roll back")
    assert answer["content"] == "The server goes back to `e4f5a6b`, asked for by operator: it lags."
    assert world.desk.orders == [("rollback", "operator", "a1b2c3d", "it lags")]


async def test_a_rollback_with_nothing_to_go_back_to_says_so_and_asks_nothing(world: EdgeWorld) -> None:
    world.desk.rollback_plan = Impossible("Nothing of ours runs.")
    answer = await world.slash("rollback")
    assert answer["content"] == "Nothing of ours runs. Nothing was changed."
    assert answer["components"] == []


async def test_the_longest_reason_fits_every_question(world: EdgeWorld) -> None:
    for command, label in (("restart-server", "Restart"), ("stop-server", "Stop"), ("rollback", "Roll back")):
        question = await world.slash(command, reason="x" * 300)
        assert len(get_buttons(question)[label]) <= 100
        await world.click(question, label)
    assert {len(order[-1]) for order in world.desk.orders} == {80}


async def test_a_restart_without_a_delay_gives_the_players_the_usual_notice(world: EdgeWorld) -> None:
    question = await world.slash("restart-server")
    await world.click(question, "Restart")
    assert world.desk.orders == [("restart", "operator", "30.0", "")]


async def test_a_delay_that_is_none_is_refused_with_examples(world: EdgeWorld) -> None:
    answer = await world.slash("restart-server", delay="soon")
    assert answer["content"] == (
        "`soon` is no delay of at most a day: give `now`, `90s`, `2m` or `1h30m`. Nothing was changed."
    )
    assert answer["components"] == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("now", 0), ("90s", 90), ("2m", 120), ("10", 10), ("1h30m", 5400), (" 2 M ", 120), ("24h", 86400)],
)
def test_a_delay_is_read_as_durations_are_in_the_settings(text: str, seconds: int) -> None:
    assert read_delay(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5h", "25h", "2x", "99999h", "٣s"])
def test_what_is_no_delay_is_not_guessed(text: str) -> None:
    assert read_delay(text) is None


async def test_a_long_reason_is_cut_to_what_a_button_can_carry(world: EdgeWorld) -> None:
    question = await world.slash("restart-server", delay="now", reason="😀" * 300)
    assert len(get_buttons(question)["Restart"].encode("utf-16-le")) // 2 <= 100
    await world.click(question, "Restart")
    assert world.desk.orders[0][3].startswith("😀")


# --- time, twice, and what goes wrong --------------------------------------------------------------------------------


class SlowDesk(FakeDesk):
    """Holds every pause until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def pause(self, by: Actor, reason: str) -> Outcome:
        self.asked.set()
        await self.go.wait()
        return await super().pause(by, reason)

    async def revert(self, commit: str, by: Actor) -> Outcome:
        self.asked.set()
        await self.go.wait()
        return await super().revert(commit, by)


async def test_fault_b7_discord_has_its_answer_before_the_order_is_carried_out(world: EdgeWorld) -> None:
    slow = SlowDesk()
    world.edge.desk.orders = slow
    asking = asyncio.create_task(world.slash("pause"))
    await asyncio.wait_for(slow.asked.wait(), 10)
    assert world.count_requests("POST", "/callback") == 1
    slow.go.set()
    assert (await asking)["content"].startswith("Pipeline paused by operator")


async def test_fault_b7_a_blocked_database_does_not_hold_up_other_answers(world: EdgeWorld) -> None:
    held, reached = threading.Event(), threading.Event()
    append = world.ledger.append_audit

    def block_the_first(*row: Any) -> None:
        if row[4] == "pause":
            reached.set()
            held.wait(10)
        append(*row)

    world.ledger.append_audit = block_the_first  # type: ignore[method-assign, assignment]  # a fake of one call
    pausing = asyncio.create_task(world.slash("pause"))
    await until(reached.is_set)
    try:
        assert (await world.slash("status"))["embeds"]
        assert not pausing.done()
    finally:
        held.set()
    await pausing


async def test_two_clicks_at_once_order_once(world: EdgeWorld) -> None:
    slow = SlowDesk()
    question = await world.slash("revert", commit=COMMIT)
    world.edge.desk.orders = slow
    first = asyncio.create_task(world.click(question, "Revert"))
    await asyncio.wait_for(slow.asked.wait(), 10)
    second = await world.click(question, "Revert")
    assert second["content"] == "This is being done already; it was not done twice."
    slow.go.set()
    await first
    assert slow.orders == [("revert", "operator", COMMIT)]


async def test_an_order_that_discord_no_longer_waits_for_is_not_carried_out(world: EdgeWorld) -> None:
    world.sandbox.rules.first_answer = -1.0
    world.sandbox.rules.patience = 0.5
    reply = await world.sandbox.slash("pause")
    assert reply["response"] is None
    assert world.desk.orders == [] and world.messages == []


async def test_an_order_whose_answer_comes_too_late_is_told_in_the_channel(world: EdgeWorld) -> None:
    slow = SlowDesk()
    world.edge.desk.orders = slow
    world.sandbox.rules.patience = 0.5
    asking = asyncio.create_task(world.sandbox.slash("pause"))
    await asyncio.wait_for(slow.asked.wait(), 10)
    world.sandbox.rules.token_life = -1.0
    slow.go.set()
    state = await world.sandbox.wait_for(lambda state: state if state["messages"] else None)
    await asking
    assert state is not None
    assert state["messages"][0]["content"] == (
        "Discord gave us no time to answer, but `pause` **was** done (operator asked for it); see the card."
    )


async def test_orders_are_answered_where_the_bot_may_not_post_any_more(world: EdgeWorld) -> None:
    world.sandbox.forbid(Permission.SEND_MESSAGES | Permission.VIEW_CHANNEL)
    question = await world.slash("restart-server", delay="2m")
    answer = await world.click(question, "Restart")
    assert answer["content"] == "The server restarts, asked for by operator."
    assert world.desk.orders == [("restart", "operator", "120.0", "")]


async def test_an_order_in_a_channel_that_was_removed_meanwhile_is_done_and_written_down(world: EdgeWorld) -> None:
    slow = SlowDesk()
    world.edge.desk.orders = slow
    world.sandbox.rules.patience = 0.5
    asking = asyncio.create_task(world.sandbox.slash("pause"))
    await asyncio.wait_for(slow.asked.wait(), 10)
    world.sandbox.delete_channel(world.sandbox.channel_id)
    slow.go.set()
    await asking
    await until(lambda: world.ledger.audit)
    assert world.ledger.audit == [("operator", "pause", "", "done")]


async def test_an_error_is_told_in_plain_words_and_its_details_go_to_the_log(
    world: EdgeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world.desk.failure = RuntimeError("secret detail of line 42")
    with caplog.at_level(logging.ERROR):
        reading = await world.slash("status")
        ordering = await world.slash("pause")
    assert reading["content"] == "`/status` met an error and **nothing was done**. The log of the bot has the details."
    assert ordering["content"].startswith("`/pause` met an error half-way: **it may have been done or not**.")
    assert caplog.text.count("secret detail of line 42") == 2
    assert world.ledger.audit[-1] == ("operator", "pause", "", "error: RuntimeError")


async def test_an_error_behind_a_question_leaves_the_question_where_it_is(world: EdgeWorld) -> None:
    question = await world.slash("revert", commit=COMMIT)
    world.desk.failure = RuntimeError("boom")
    await world.sandbox.click(question["id"], get_buttons(question)["Revert"])
    state = await world.sandbox.wait_for(lambda s: s if any(m["ephemeral_to"] for m in s["messages"]) else None)
    assert state is not None
    told = [each for each in state["messages"] if each["ephemeral_to"]]
    assert told[0]["content"].startswith("`/confirm-revert` met an error half-way")
    assert list(get_buttons(world.messages[0])) == ["Revert", "Keep"]


TOO_LATE = ("operator", "confirm-revert", COMMIT, "too late: nothing was done")
LOCKED = "the database does not work: database is locked. Cure: end the program that holds it"


@pytest.mark.parametrize(
    ("custom_id", "_order"), [each for each in BUTTONS if each[0].split(":")[0] not in URGENT], ids=str
)
async def test_what_brings_other_code_to_life_is_not_carried_out_before_it_is_written_down_and_says_why(
    world: EdgeWorld, custom_id: str, _order: Any
) -> None:
    message = await send_button(world, custom_id)
    world.ledger.audit_fails = True
    await world.sandbox.click(message, custom_id)
    action = custom_id.split(":")[0]
    told = await world.sandbox.wait_for(lambda s: [m["content"] for m in s["messages"] if LOCKED in m["content"]])
    assert told == [f"`/{action}` cannot be answered now, and **nothing was done**: {LOCKED}."]
    assert world.desk.orders == []


@pytest.mark.parametrize(("custom_id", "order"), [each for each in BUTTONS if each[0].split(":")[0] in URGENT], ids=str)
async def test_what_holds_stops_or_starts_is_carried_out_and_its_rows_are_owed(
    world: EdgeWorld, caplog: pytest.LogCaptureFixture, custom_id: str, order: tuple[str, ...]
) -> None:
    message = await send_button(world, custom_id)
    world.ledger.audit_fails = True
    assert (await world.sandbox.click(message, custom_id))["response"] is not None
    assert (world.desk.orders, world.ledger.begun, world.ledger.audit) == ([order], [], [])
    world.ledger.audit_fails = False
    await world.slash("whoami")
    action = custom_id.split(":")[0]
    done, asked = world.ledger.audit
    assert [(each[1], each[3]) for each in (*world.ledger.begun, done)] == [(action, "begun"), (action, "done")]
    assert asked == ("operator", "whoami", "", "answered")
    for each in (*world.ledger.begun, done):
        assert str(each[1:])[1:] in caplog.text, "a bot that is killed before it could be written had no trace of it"


@pytest.mark.parametrize(("command", "options", "order"), ORDERS)
async def test_a_command_waits_for_the_audit_only_where_it_brings_other_code_to_life(
    world: EdgeWorld, command: str, options: dict[str, str], order: tuple[str, ...]
) -> None:
    world.ledger.audit_fails = True
    answer = await world.slash(command, **options)
    refused = f"`/{command}` cannot be answered now, and **nothing was done**: {LOCKED}."
    assert (answer["content"] == refused, world.desk.orders) == (
        (False, [order]) if command in URGENT else (True, [])
    )  # fmt: skip


def test_whatever_is_carried_out_unwritten_is_an_operators_order() -> None:
    assert {TABLE[each] for each in URGENT} == {Need.OPERATOR}


async def test_a_question_whose_order_could_not_be_written_down_is_answered_by_the_next_click(world: EdgeWorld) -> None:
    question = await world.slash("revert", commit=COMMIT)
    world.ledger.audit_fails = True
    await world.sandbox.click(question["id"], get_buttons(question)["Revert"])
    told = await world.sandbox.wait_for(lambda s: [m["content"] for m in s["messages"] if m["ephemeral_to"]])
    assert told == [f"`/confirm-revert` cannot be answered now, and **nothing was done**: {LOCKED}."]
    world.ledger.audit_fails = False
    answer = await world.click(question, "Revert")
    assert answer["content"] == "Reverting `a1b2c3d`, asked for by operator. The card of its crash tells the rest."
    assert world.desk.orders == [("revert", "operator", COMMIT)]


async def test_a_question_whose_click_came_too_late_is_answered_by_the_next_one(world: EdgeWorld) -> None:
    question = await world.slash("revert", commit=COMMIT)
    in_time, world.sandbox.rules.first_answer = world.sandbox.rules.first_answer, -1.0
    patience, world.sandbox.rules.patience = world.sandbox.rules.patience, 0.5
    assert (await world.sandbox.click(question["id"], get_buttons(question)["Revert"]))["response"] is None
    await until(lambda: world.ledger.audit[-1:] == [TOO_LATE])
    world.sandbox.rules.first_answer, world.sandbox.rules.patience = in_time, patience
    answer = await world.click(question, "Revert")
    assert answer["content"] == "Reverting `a1b2c3d`, asked for by operator. The card of its crash tells the rest."


async def test_what_the_audit_could_not_take_is_written_with_the_next_row(world: EdgeWorld) -> None:
    world.ledger.audit_fails = True
    assert (await world.slash("status"))["embeds"][0]["title"] == "Testrealm: server up"
    assert world.ledger.audit == []
    locked = world.ledger.locked = threading.Event()
    try:
        refused = await world.slash("pause", "guest")
        assert refused["content"] == messages.not_allowed().content, "it waited for the database"
    finally:
        locked.set()
    assert world.ledger.audit == []
    world.ledger.audit_fails = False
    await world.slash("whoami")
    assert [row[:2] for row in world.ledger.audit] == [
        ("operator", "status"), ("guest", "pause"), ("operator", "whoami"),
    ]  # fmt: skip


async def test_an_order_is_in_the_audit_before_it_is_carried_out(world: EdgeWorld) -> None:
    slow = SlowDesk()
    world.edge.desk.orders = slow
    asking = asyncio.create_task(world.sandbox.slash("pause", {"reason": "raid"}))
    await asyncio.wait_for(slow.asked.wait(), 10)
    assert (world.ledger.begun, world.ledger.audit) == ([("operator", "pause", "raid", "begun")], [])
    slow.go.set()
    await asking
    assert world.ledger.audit == [("operator", "pause", "raid", "done")]


async def test_a_reader_names_the_cure_of_a_database_that_is_locked(world: EdgeWorld) -> None:
    world.desk.failure = Obstructed(LOCKED)
    answer = await world.slash("run", id="9f3c21aa")
    assert answer["content"] == f"`/run` cannot be answered now, and **nothing was done**: {LOCKED}."


async def test_half_a_surrogate_is_neither_lost_nor_in_the_way(world: EdgeWorld) -> None:
    answer = await world.slash("pause", reason="raid \ud83d now")
    assert answer["content"] == "Pipeline paused by operator: raid \ufffd now."
    await world.slash("crash", signature="Map\ud83d")
    assert [row[1:] for row in world.ledger.audit] == [
        ("pause", "raid \ufffd now", "done"), ("crash", "Map\ufffd", "answered"),
    ]  # fmt: skip


@pytest.mark.parametrize("after", [False, True])
async def test_an_order_whose_acknowledgement_was_cut_off_is_carried_out_once(world: EdgeWorld, after: bool) -> None:
    world.sandbox.faults.cut("POST", "/callback", after=after)
    answer = await world.slash("pause")
    assert answer["content"] == "Pipeline paused by operator."
    assert world.desk.orders == [("pause", "operator", "")]


async def test_an_order_that_cannot_be_acknowledged_is_written_down_as_not_done(world: EdgeWorld) -> None:
    world.sandbox.rules.patience = 0.5
    world.sandbox.faults.cut("POST", "/callback", times=5)
    assert (await world.sandbox.slash("pause"))["response"] is None
    await until(lambda: world.ledger.audit)
    assert world.ledger.audit == [("operator", "pause", "", "too late: nothing was done")]
    assert world.desk.orders == []


async def test_secrets_in_what_the_pipeline_says_are_not_relayed(world: EdgeWorld) -> None:
    world.desk.answer = Impossible("the login hunter2 was refused.")
    assert (await world.slash("pause"))["content"] == "the login [redacted] was refused. Nothing was changed."


# --- the summary -----------------------------------------------------------------------------------------------------


async def test_the_summary_of_a_night_comes_with_its_chart_for_everyone(world: EdgeWorld) -> None:
    world.desk.night = NightSummary(realm="Testrealm", crashes=(CrashLine(NAME, 3, 7),), counts=Counts(crashes=3))
    message = await world.slash("summary", user="guest", night="2024-11-21")
    (embed,) = message["embeds"]
    assert embed["title"] == "Night of 21 Nov: nothing needs an operator"
    (picture,) = message["attachments"]
    assert picture["filename"] == "night.png"
    assert embed["image"]["url"] == "attachment://night.png"


async def test_a_night_that_is_none_is_answered_in_words(world: EdgeWorld) -> None:
    message = await world.slash("summary", night="yesterday")
    assert "`yesterday` is no night: give the date of its evening" in str(message)


async def test_nights_are_offered_newest_first(world: EdgeWorld) -> None:
    choices = await world.sandbox.autocomplete("summary", "night", "")
    assert [each["value"] for each in choices] == ["2024-11-22", "2024-11-21"]
    assert [each["name"] for each in await world.sandbox.autocomplete("summary", "night", "21")] == ["21 Nov 2024"]


async def test_a_question_is_answered_once_whoever_presses_its_other_button_in_the_same_moment(
    world: EdgeWorld,
) -> None:
    question = await world.slash("revert", commit=COMMIT)
    first = world.click(question, "Revert")
    second = world.click(question, "Keep")
    answers = [each["content"] for each in await asyncio.gather(first, second)]
    assert sum(each.startswith("This ") for each in answers) == 1, answers
    assert len([each for each in world.desk.orders if each[0] == "revert"]) <= 1
    shown = next(each for each in world.messages if each["id"] == question["id"])
    assert get_buttons(shown) == {}
