"""/crashes [days] and /crash <signature>: what the server crashed of, and what became of it."""

from __future__ import annotations

import discord
from discord import app_commands

from bot import messages, records
from bot.commands import Desk, Order, Reply, asked, serve
from bot.commands.completion import offer
from bot.redaction import cleaned
from pipeline.model import Actor, Impossible

MOST_DAYS = 366


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    @tree.command(name="crashes", description="What the server crashed of, by signature, and the verdict", guild=guild)
    @app_commands.describe(days="How many nights back; without it, this night")
    async def crashes(interaction: discord.Interaction, days: app_commands.Range[int, 1, MOST_DAYS] = 1) -> None:
        await serve(desk, interaction, show_all(desk, days))

    async def complete(_interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return offer(desk, await desk.orders.list_signatures(), typed)

    @tree.command(name="crash", description="One crash: its stack, how often, what was tried", guild=guild)
    @app_commands.describe(signature="Choose from the list, or give a part of the function's name")
    @app_commands.autocomplete(signature=complete)
    async def crash(interaction: discord.Interaction, signature: str) -> None:
        await serve(desk, interaction, show_one(desk, signature))


def show_all(desk: Desk, days: int) -> Order:
    async def work(_by: Actor) -> Reply:
        return asked(records.render_crashes(cleaned(await desk.orders.list_crashes(days), desk.redact)))

    return Order("crashes", str(days), work, changes=False)


def show_one(desk: Desk, signature: str) -> Order:
    async def work(_by: Actor) -> Reply:
        view = await desk.orders.show_crash(signature)
        if isinstance(view, Impossible):
            return Reply(messages.not_found(view), f"impossible: {view.reason}", changed=False)
        return asked(records.render_crash(cleaned(view, desk.redact), desk.home))

    return Order("crash", signature, work, changes=False)
