"""Buttons are told apart by their custom_id, `<action>:<argument>`, so that they outlive the bot that sent them; and so
are the dialogues that a button may open first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import discord

from bot import messages
from bot.commands import (
    Desk,
    Order,
    Reply,
    admit,
    answer_privately,
    asked,
    delayed,
    resume,
    revert,
    rollback,
    runs,
    serve,
    start_server,
    update,
)
from bot.commands.dialogues import Dialogue, open_dialogue, read_typed
from pipeline.model import Actor

# What a question's button does: void once the question is old.
QUESTIONS = ("confirm-revert", "restart", "stop", "roll-back", "confirm-update")


async def press(desk: Desk, interaction: discord.Interaction, custom_id: str) -> None:
    """One click: the permission, then the order, never the same one twice at once. A question is answered once:
    whoever pressed its other button in the same moment is told so."""
    action, _, argument = custom_id.partition(":")
    if not await admit(desk, interaction, action, argument):
        return
    if action in DIALOGUES:
        await open_dialogue(interaction, DIALOGUES[action](argument, _name_thread(interaction)))
    else:
        await _order(desk, interaction, custom_id, partial(_choose, desk, interaction, action, argument))


async def submit(desk: Desk, interaction: discord.Interaction) -> None:
    """A dialogue that was filled in, perhaps long after it was opened and for another life of the bot."""
    data: Any = interaction.data or {}
    custom_id = str(data.get("custom_id", ""))
    action, _, argument = custom_id.partition(":")
    if not await admit(desk, interaction, action if action in DIALOGUES else "", argument):
        return
    await _order(desk, interaction, custom_id, partial(SUBMITTED[action], desk, argument, read_typed(data)))


async def _order(desk: Desk, interaction: discord.Interaction, custom_id: str, make: Callable[[], Order]) -> None:
    action = custom_id.partition(":")[0]
    message = interaction.message.id if interaction.message else 0
    mark = f"{message} {'?' if _answers(action) else custom_id}"
    if mark in desk.busy or (_answers(action) and message in desk.answered):
        told = messages.under_way() if mark in desk.busy else messages.question_answered()
        await answer_privately(desk, interaction, told)
        return
    desk.busy.add(mark)
    try:
        reached = await serve(desk, interaction, make())
    finally:
        desk.busy.discard(mark)
    if reached and _answers(action):  # else its buttons are still there, and are to work
        desk.answered.append(message)


def _name_thread(interaction: discord.Interaction) -> str:
    """What the thread of the pressed card is called, which is what it is about; "" = it has none."""
    thread = interaction.message.thread if interaction.message else None
    return thread.name if thread else ""


def _answers(action: str) -> bool:
    """Whether it is a yes or a no to a question."""
    return action in QUESTIONS or action == "keep"


def _choose(desk: Desk, interaction: discord.Interaction, action: str, argument: str) -> Order:
    if action in QUESTIONS and _is_old(interaction):
        return _let_lapse(action, argument)
    return ORDERS[action](desk, argument)


def _is_old(interaction: discord.Interaction) -> bool:
    """Between the question and the click, both by Discord's clock: ours may be off by more than a question lasts."""
    asked_at = interaction.message.created_at if interaction.message else interaction.created_at
    return interaction.created_at - asked_at > messages.ASK_AGAIN_AFTER


def _let_lapse(action: str, argument: str) -> Order:
    async def work(_by: Actor) -> Reply:
        return Reply(messages.question_lapsed(), "lapsed", changed=False)

    return Order(action, argument, work, changes=False, replaces=True)


def _keep(_desk: Desk, argument: str) -> Order:
    async def work(by: Actor) -> Reply:
        return asked(messages.kept(by))

    return Order("keep", argument, work, changes=False, replaces=True)


ORDERS: dict[str, Callable[[Desk, str], Order]] = {
    "approve": runs.press_approve,
    "deploy": runs.deploy_now,
    "retry": runs.retry,
    "start": lambda desk, _argument: start_server.order(desk),
    "stop": partial(delayed.order, delayed.STOP),
    "roll-back": rollback.order,
    "confirm-update": update.order,
    "resume": lambda desk, _argument: resume.order(desk),
    "revert": revert.question,
    "confirm-revert": revert.order,
    "restart": partial(delayed.order, delayed.RESTART),
    "cancel-order": delayed.cancel,
    "keep": _keep,
}
# What is asked before anything is ordered, and the order of what was typed.
DIALOGUES: dict[str, Callable[[str, str], Dialogue]] = {"reject": runs.ask_why}
SUBMITTED: dict[str, Callable[[Desk, str, str], Order]] = {"reject": runs.reject}
