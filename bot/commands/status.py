"""/status: what is happening now."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.commands import Desk, Order, Reply, asked, name_reader, serve
from bot.redaction import cleaned
from bot.status import render_status
from pipeline.model import Actor


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    @tree.command(name="status", description="What the server and the pipeline are doing", guild=guild)
    async def status(interaction: discord.Interaction) -> None:
        async def work(_by: Actor) -> Reply:
            view = await desk.orders.status()
            return asked(render_status(cleaned(view, desk.redact), desk.instance, name_reader(desk, interaction)))

        await serve(desk, interaction, Order("status", "", work, changes=False))
