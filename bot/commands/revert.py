"""/revert <commit>: takes a fix back, after one question; also the Revert button of a card."""

from __future__ import annotations

import discord
from discord import app_commands

from bot import messages, questions
from bot.commands import Desk, Order, Reply, asked, serve, settled
from bot.commands.completion import offer_fixes
from pipeline.model import Actor, Impossible


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    async def complete(_interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return offer_fixes(desk, await desk.orders.list_fixes(), typed)

    @tree.command(name="revert", description="Take a fix of this night back", guild=guild)
    @app_commands.describe(commit="The fix: choose from the list, or give its commit")
    @app_commands.autocomplete(commit=complete)
    async def revert(interaction: discord.Interaction, commit: str) -> None:
        await serve(desk, interaction, question(desk, commit))


def question(desk: Desk, commit: str) -> Order:
    async def work(_by: Actor) -> Reply:
        plan = await desk.orders.plan_revert(commit.strip())
        if isinstance(plan, Impossible):
            return Reply(messages.impossible(plan), f"impossible: {plan.reason}", changed=False)
        return asked(questions.ask_revert(plan))

    return Order("revert", commit, work, changes=False)


def order(desk: Desk, commit: str) -> Order:
    """After [Revert]: the question becomes the answer."""

    async def work(by: Actor) -> Reply:
        return settled(await desk.orders.revert(commit, by), lambda done: messages.reverting(done, commit, by))

    return Order("confirm-revert", commit, work, replaces=True)
