"""/summary [night]: what the morning summary says, of any night and as far as it has come."""

from __future__ import annotations

import asyncio
from datetime import date

import discord
from discord import app_commands

from bot import messages
from bot.cards import Home
from bot.commands import Desk, Order, Reply, asked, name_reader, serve
from bot.limits import CHOICES
from bot.redaction import cleaned
from bot.summary import render_summary
from pipeline import policy
from pipeline.model import Actor


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    async def complete(_interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return list_choices(await desk.orders.list_nights(), typed)

    @tree.command(name="summary", description="What a night brought: needs, fixes, crashes, the server", guild=guild)
    @app_commands.describe(night="Its evening, YYYY-MM-DD; without it, this night so far")
    @app_commands.autocomplete(night=complete)
    async def summary(interaction: discord.Interaction, night: str = "") -> None:
        await serve(desk, interaction, view(desk, night.strip(), name_reader(desk, interaction)))


def list_choices(nights: list[date], typed: str) -> list[app_commands.Choice[str]]:
    """Nights of which there is something to tell and that match what was typed, newest first."""
    labels = [(f"{night.day} {night:%b %Y}", night.isoformat()) for night in nights]
    wanted = typed.strip().lower()
    matching = [(label, value) for label, value in labels if wanted in f"{label} {value}".lower()]
    return [app_commands.Choice(name=label, value=value) for label, value in matching[:CHOICES]]


def read_night(text: str) -> date | None:
    """`2026-11-22`; None = not understood, or no night that anybody has played."""
    try:
        night = date.fromisoformat(text)
    except ValueError:
        return None
    return night if policy.is_night(night) else None


def view(desk: Desk, night: str, who: str) -> Order:
    async def work(_by: Actor) -> Reply:
        wanted = read_night(night) if night else None
        if night and wanted is None:
            fault = f"`{night[:40]}` is no night: give the date of its evening, such as `2026-11-22`."
            return asked(messages.not_understood(fault))
        found = await desk.orders.summary(wanted)
        home = Home(desk.channel.guild, desk.channel.id)
        return asked(await asyncio.to_thread(lambda: render_summary(cleaned(found, desk.redact), home, who)))

    return Order("summary", night, work, changes=False)
