"""/update: moves the base, after one question that shows what comes with it."""

from __future__ import annotations

import discord
from discord import app_commands

from bot import messages, questions
from bot.commands import Desk, Order, Reply, asked, serve, settled
from pipeline.model import Actor, Impossible


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    @tree.command(name="update", description="Merge the base branch into the night's, build and deploy it", guild=guild)
    async def update(interaction: discord.Interaction) -> None:
        await serve(desk, interaction, question(desk))


def question(desk: Desk) -> Order:
    async def work(_by: Actor) -> Reply:
        plan = await desk.orders.plan_update()
        if isinstance(plan, Impossible):
            return Reply(messages.impossible(plan), f"impossible: {plan.reason}", changed=False)
        return asked(questions.ask_update(plan))

    return Order("update", "", work, changes=False)


def order(desk: Desk, commit: str) -> Order:
    """After [Update]: the commit that was shown, also where the base has moved on since."""

    async def work(by: Actor) -> Reply:
        return settled(await desk.orders.update(by, commit), lambda done: messages.updating(done, commit, by))

    return Order("confirm-update", commit, work, replaces=True)
