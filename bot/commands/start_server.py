"""/start-server: ends an operator's stop and any hold that a person may end; also the Start button."""

from __future__ import annotations

import discord
from discord import app_commands

from bot import messages
from bot.commands import CARRIED_OUT, Desk, Order, Reply, ordered, serve
from pipeline.model import Actor


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    @tree.command(name="start-server", description="Start the server after a stop, or where it is held", guild=guild)
    async def start_server(interaction: discord.Interaction) -> None:
        await serve(desk, interaction, order(desk, "start-server"))


def order(desk: Desk, action: str = "start") -> Order:
    async def work(by: Actor) -> Reply:
        outcome = await desk.orders.start_server(by)
        return ordered(outcome, lambda done: messages.starting(done, by), CARRIED_OUT)

    return Order(action, "", work)
