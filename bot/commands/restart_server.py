"""/restart-server [delay] [reason]: asks once, then can be cancelled until it is due."""

from __future__ import annotations

import re
from datetime import timedelta

import discord
from discord import app_commands

from bot import messages
from bot.commands import Desk, Order, Reply, asked, serve, settled, trim_reason
from pipeline.model import Actor

LONGEST_DELAY = timedelta(days=1)
_DELAY = re.compile(r"(?:(?P<hours>\d{1,5})h)?(?:(?P<minutes>\d{1,5})m)?(?:(?P<seconds>\d{1,5})s?)?", re.ASCII)


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    @tree.command(name="restart-server", description="Restart the server; players are told first", guild=guild)
    @app_commands.describe(delay="now, 90s, 2m, 1h30m; a bare number is seconds", reason="Why; the players read it too")
    async def restart_server(interaction: discord.Interaction, delay: str = "", reason: str = "") -> None:
        await serve(desk, interaction, question(desk, delay, trim_reason(reason)))


def read_delay(text: str) -> timedelta | None:
    """`now`, `90s`, `2m`, `1h30m`, `10` (seconds), at most a day; None = not understood."""
    words = text.strip().lower().replace(" ", "")
    if words == "now":
        return timedelta()
    found = _DELAY.fullmatch(words)
    if found is None or not words:
        return None
    delay = timedelta(**{unit: int(number) for unit, number in found.groupdict().items() if number})
    return delay if delay <= LONGEST_DELAY else None


def question(desk: Desk, delay: str, reason: str) -> Order:
    length = read_delay(delay) if delay.strip() else desk.notice

    async def work(_by: Actor) -> Reply:
        if length is None:
            fault = f"`{delay[:40]}` is no delay of at most a day: give `now`, `90s`, `2m` or `1h30m`."
            return asked(messages.not_understood(fault))
        return asked(messages.ask_restart(await desk.orders.plan_restart(), length, reason))

    return Order("restart-server", f"{delay} {reason}".strip(), work, changes=False)


def order(desk: Desk, argument: str) -> Order:
    """After [Restart]; the argument is `<seconds>:<reason>`."""
    seconds, _, reason = argument.partition(":")
    delay = timedelta(seconds=int(seconds))

    async def work(by: Actor) -> Reply:
        outcome = await desk.orders.restart_server(by, delay, reason)
        return settled(outcome, lambda done: messages.restarting(done, by, reason, desk.clock.now()))

    return Order("restart", argument, work, replaces=True)


def cancel(desk: Desk, argument: str) -> Order:
    """The Cancel button of a restart that is still to come."""

    async def work(by: Actor) -> Reply:
        return settled(await desk.orders.cancel_order(int(argument), by), lambda done: messages.cancelled(done, by))

    return Order("cancel", argument, work, replaces=True)
