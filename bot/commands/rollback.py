"""/rollback [reason]: to the last healthy build, after one question; fixes are reverted, the pipeline pauses."""

from __future__ import annotations

import discord
from discord import app_commands

from bot import messages, questions
from bot.commands import Desk, Order, Reply, asked, ordered, serve, trim_reason
from pipeline.model import Actor, Impossible


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    @tree.command(name="rollback", description="Go back to the last healthy build; its fixes are reverted", guild=guild)
    @app_commands.describe(reason="Why; it stands on the cards and in the pause")
    async def rollback(interaction: discord.Interaction, reason: str = "") -> None:
        await serve(desk, interaction, question(desk, trim_reason(reason)))


def question(desk: Desk, reason: str) -> Order:
    async def work(_by: Actor) -> Reply:
        plan = await desk.orders.plan_rollback()
        if isinstance(plan, Impossible):
            return Reply(messages.impossible(plan), f"impossible: {plan.reason}", changed=False)
        return asked(questions.ask_rollback(plan, reason))

    return Order("rollback", reason, work, changes=False)


def order(desk: Desk, argument: str) -> Order:
    """After [Roll back]; the argument is `<running build>:<reason>`."""
    running, _, reason = argument.partition(":")

    async def work(by: Actor) -> Reply:
        outcome = await desk.orders.roll_back(by, running, reason)
        return ordered(outcome, lambda done: messages.rolling_back(done, by, reason, desk.clock.now()))

    return Order("roll-back", argument, work, replaces=True)
