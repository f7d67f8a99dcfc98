"""/log [source] [lines] and /audit [days]: for operators, and shown to whoever asked alone: a log holds what players
wrote, and the channel may have readers who are none of ours."""

from __future__ import annotations

import asyncio
from typing import Literal

import discord
from discord import app_commands

from bot import entries, messages, records
from bot.commands import Desk, Order, Reply, asked, serve
from bot.redaction import cleaned
from pipeline.log_tails import MOST_LINES
from pipeline.model import Actor, Impossible

USUAL_LINES = 40
MOST_DAYS = 366
Source = Literal["server", "build", "bot"]


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    @tree.command(name="log", description="The end of a log, without secrets; only you see it", guild=guild)
    @app_commands.describe(source="Whose log; without it, the server's", lines="How many; without it, 40")
    async def log(
        interaction: discord.Interaction,
        source: Source = "server",
        lines: app_commands.Range[int, 1, MOST_LINES] = USUAL_LINES,
    ) -> None:
        await serve(desk, interaction, read(desk, source, lines))

    @tree.command(name="audit", description="Who ordered what, when, and what came of it; only you see it", guild=guild)
    @app_commands.describe(days="How many days back; without it, one")
    async def audit(interaction: discord.Interaction, days: app_commands.Range[int, 1, MOST_DAYS] = 1) -> None:
        await serve(desk, interaction, list_audit(desk, days))


def read(desk: Desk, source: str, lines: int) -> Order:
    async def work(_by: Actor) -> Reply:
        view = await desk.orders.read_log(source, lines)
        if isinstance(view, Impossible):
            return Reply(messages.not_found(view), f"impossible: {view.reason}", changed=False)
        return asked(records.render_log(await asyncio.to_thread(cleaned, view, desk.redact)))

    return Order("log", f"{source} {lines}", work, changes=False, private=True)


def list_audit(desk: Desk, days: int) -> Order:
    async def work(_by: Actor) -> Reply:
        found = await desk.orders.list_audit(days)
        return asked(entries.render_audit(await asyncio.to_thread(cleaned, found, desk.redact), days))

    return Order("audit", str(days), work, changes=False, private=True)
