"""Buttons are told apart by their custom_id, `<action>:<argument>`, so that they outlive the bot that sent them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

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
from pipeline.model import Actor

# What a question's button does: void once the question is old.
QUESTIONS = ("confirm-revert", "restart", "stop", "roll-back", "confirm-update")


async def press(desk: Desk, interaction: discord.Interaction, custom_id: str) -> None:
    """One click: the permission, then the order, never the same one twice at once. A question is answered once:
    whoever pressed its other button in the same moment is told so."""
    action, _, argument = custom_id.partition(":")
    if not await admit(desk, interaction, action, argument):
        return
    message = interaction.message.id if interaction.message else 0
    mark = f"{message} {'?' if _answers(action) else custom_id}"
    if mark in desk.busy or (_answers(action) and message in desk.answered):
        told = messages.under_way() if mark in desk.busy else messages.question_answered()
        await answer_privately(desk, interaction, told)
        return
    desk.busy.add(mark)
    try:
        reached = await serve(desk, interaction, _choose(desk, interaction, action, argument))
    finally:
        desk.busy.discard(mark)
    if reached and _answers(action):  # else its buttons are still there, and are to work
        desk.answered.append(message)


def _answers(action: str) -> bool:
    """Whether it is a yes or a no to a question."""
    return action in QUESTIONS or action == "keep"


def _choose(desk: Desk, interaction: discord.Interaction, action: str, argument: str) -> Order:
    if action in QUESTIONS and _is_old(desk, interaction):
        return _let_lapse(action, argument)
    return ORDERS[action](desk, argument)


def _is_old(desk: Desk, interaction: discord.Interaction) -> bool:
    asked_at = interaction.message.created_at if interaction.message else desk.clock.now()
    return desk.clock.now() - asked_at > messages.ASK_AGAIN_AFTER


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
    "reject": runs.reject,
    "deploy": runs.deploy_now,
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
