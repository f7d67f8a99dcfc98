"""/restart-server and /stop-server [delay] [reason]: each asks once, and can be cancelled until it is due."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import discord
from discord import app_commands

from bot import messages, questions
from bot.commands import Desk, Order, Reply, asked, ordered, serve, settled, trim_reason
from bot.commands.delays import explain, read_argument, read_delay
from bot.payloads import Message
from pipeline.model import Actor, Done, Impossible, Outcome
from pipeline.read_models import RestartPlan

DELAY = "now, 90s, 2m, 1h30m; a bare number is seconds"
REASON = "Why; the players read it too"


@dataclass(frozen=True)
class Kind:
    """What differs between the two."""

    command: str
    description: str
    button: str  # of the question: the row of the permission table
    plan: Callable[[Desk], Awaitable[RestartPlan | Impossible]]
    ask: Callable[[RestartPlan, timedelta, str], Message]
    carry_out: Callable[[Desk, Actor, timedelta, str], Awaitable[Outcome]]
    confirm: Callable[[Done, Actor, str, datetime], Message]


RESTART = Kind(
    command="restart-server",
    description="Restart the server; players are told first",
    button="restart",
    plan=lambda desk: desk.orders.plan_restart(),
    ask=questions.ask_restart,
    carry_out=lambda desk, by, delay, reason: desk.orders.restart_server(by, delay, reason),
    confirm=messages.restarting,
)
STOP = Kind(
    command="stop-server",
    description="Stop the server until /start-server; players are told",
    button="stop",
    plan=lambda desk: desk.orders.plan_stop(),
    ask=questions.ask_stop,
    carry_out=lambda desk, by, delay, reason: desk.orders.stop_server(by, delay, reason),
    confirm=messages.stopping,
)


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    for kind in (RESTART, STOP):
        _register(kind, tree, desk, guild)


def _register(kind: Kind, tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    @tree.command(name=kind.command, description=kind.description, guild=guild)
    @app_commands.describe(delay=DELAY, reason=REASON)
    async def command(interaction: discord.Interaction, delay: str = "", reason: str = "") -> None:
        await serve(desk, interaction, question(kind, desk, delay, trim_reason(reason)))


def question(kind: Kind, desk: Desk, delay: str, reason: str) -> Order:
    length = read_delay(delay) if delay.strip() else desk.notice

    async def work(_by: Actor) -> Reply:
        if length is None:
            return asked(messages.not_understood(explain(delay)))
        plan = await kind.plan(desk)
        if isinstance(plan, Impossible):
            return Reply(messages.impossible(plan), f"impossible: {plan.reason}", changed=False)
        return asked(kind.ask(plan, length, reason))

    return Order(kind.command, f"{delay} {reason}".strip(), work, changes=False)


def order(kind: Kind, desk: Desk, argument: str) -> Order:
    """After the question's button."""
    delay, reason = read_argument(argument)

    async def work(by: Actor) -> Reply:
        outcome = await kind.carry_out(desk, by, delay, reason)
        return ordered(outcome, lambda done: kind.confirm(done, by, reason, desk.clock.now()))

    return Order(kind.button, argument, work, replaces=True)


def cancel(desk: Desk, argument: str) -> Order:
    """The Cancel button of any order that is still to come."""

    async def work(by: Actor) -> Reply:
        return settled(await desk.orders.cancel_order(int(argument), by), lambda done: messages.cancelled(done, by))

    return Order("cancel-order", argument, work, replaces=True)
