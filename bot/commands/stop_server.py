"""/stop-server [delay] [reason]: asks once, can be cancelled until it is due; down until /start-server."""

from __future__ import annotations

import discord
from discord import app_commands

from bot import messages
from bot.commands import Desk, Order, Reply, asked, ordered, serve, trim_reason
from bot.commands.delays import explain, read_argument, read_delay
from pipeline.model import Actor


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    @tree.command(name="stop-server", description="Stop the server until /start-server; players are told", guild=guild)
    @app_commands.describe(delay="now, 90s, 2m, 1h30m; a bare number is seconds", reason="Why; the players read it too")
    async def stop_server(interaction: discord.Interaction, delay: str = "", reason: str = "") -> None:
        await serve(desk, interaction, question(desk, delay, trim_reason(reason)))


def question(desk: Desk, delay: str, reason: str) -> Order:
    length = read_delay(delay) if delay.strip() else desk.notice

    async def work(_by: Actor) -> Reply:
        if length is None:
            return asked(messages.not_understood(explain(delay)))
        return asked(messages.ask_stop(await desk.orders.plan_restart(), length, reason))

    return Order("stop-server", f"{delay} {reason}".strip(), work, changes=False)


def order(desk: Desk, argument: str) -> Order:
    """After [Stop]."""
    delay, reason = read_argument(argument)

    async def work(by: Actor) -> Reply:
        outcome = await desk.orders.stop_server(by, delay, reason)
        return ordered(outcome, lambda done: messages.stopping(done, by, reason, desk.clock.now()))

    return Order("stop", argument, work, replaces=True)
