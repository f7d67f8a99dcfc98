"""/resume: ends the pause; also the Resume button of a card."""

from __future__ import annotations

import discord
from discord import app_commands

from bot import messages
from bot.commands import Desk, Order, Reply, serve, settled
from pipeline.model import Actor


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    @tree.command(name="resume", description="Let the pipeline go on after a pause", guild=guild)
    async def resume(interaction: discord.Interaction) -> None:
        await serve(desk, interaction, order(desk))


def order(desk: Desk) -> Order:
    async def work(by: Actor) -> Reply:
        return settled(await desk.orders.resume(by), lambda done: messages.resumed(done, by))

    return Order("resume", "", work)
