"""/pause [reason]: automatic runs stop at the next border; reports, counting and restarts go on."""

from __future__ import annotations

import discord
from discord import app_commands

from bot import messages
from bot.commands import CARRIED_OUT, Desk, Order, Reply, ordered, serve, trim_reason
from pipeline.model import Actor


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    @tree.command(name="pause", description="Patch, build and deploy nothing until /resume", guild=guild)
    @app_commands.describe(reason="Why, for everyone who reads /status")
    async def pause(interaction: discord.Interaction, reason: str = "") -> None:
        why = trim_reason(reason)

        async def work(by: Actor) -> Reply:
            outcome = await desk.orders.pause(by, why)
            return ordered(outcome, lambda done: messages.paused(done, by, why), CARRIED_OUT)

        await serve(desk, interaction, Order("pause", why, work))
