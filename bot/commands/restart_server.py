"""/restart-server [delay] [reason]: asks once, then can be cancelled until it is due."""

from __future__ import annotations

import discord
from discord import app_commands

from bot import messages
from bot.commands import Desk, Order, Reply, asked, ordered, serve, settled, trim_reason
from bot.commands.delays import explain, read_argument, read_delay
from pipeline.model import Actor


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    @tree.command(name="restart-server", description="Restart the server; players are told first", guild=guild)
    @app_commands.describe(delay="now, 90s, 2m, 1h30m; a bare number is seconds", reason="Why; the players read it too")
    async def restart_server(interaction: discord.Interaction, delay: str = "", reason: str = "") -> None:
        await serve(desk, interaction, question(desk, delay, trim_reason(reason)))


def question(desk: Desk, delay: str, reason: str) -> Order:
    length = read_delay(delay) if delay.strip() else desk.notice

    async def work(_by: Actor) -> Reply:
        if length is None:
            return asked(messages.not_understood(explain(delay)))
        return asked(messages.ask_restart(await desk.orders.plan_restart(), length, reason))

    return Order("restart-server", f"{delay} {reason}".strip(), work, changes=False)


def order(desk: Desk, argument: str) -> Order:
    """After [Restart]."""
    delay, reason = read_argument(argument)

    async def work(by: Actor) -> Reply:
        outcome = await desk.orders.restart_server(by, delay, reason)
        return ordered(outcome, lambda done: messages.restarting(done, by, reason, desk.clock.now()))

    return Order("restart", argument, work, replaces=True)


def cancel(desk: Desk, argument: str) -> Order:
    """The Cancel button of any order that is still to come."""

    async def work(by: Actor) -> Reply:
        return settled(await desk.orders.cancel_order(int(argument), by), lambda done: messages.cancelled(done, by))

    return Order("cancel-order", argument, work, replaces=True)
