"""/run, /approve, /reject, /cancel, /retry, and the buttons of a card: approve, reject, deploy now, retry."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import discord
from discord import app_commands

from bot import messages, questions, records
from bot.commands import Desk, Order, Reply, asked, serve, settled, trim_reason
from bot.commands.completion import offer_runs
from bot.commands.dialogues import Dialogue
from bot.redaction import cleaned
from pipeline.model import Actor, Impossible, RunState
from pipeline.run_orders import CANCELLABLE, REJECTABLE, RETRYABLE

WHICH = "Choose from the list, or give its id"
LONGEST_WHY = 400  # UTF-16 units of what the analyst is told


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    @tree.command(name="run", description="One run: what it does, each of its steps, what came of it", guild=guild)
    @app_commands.rename(which="id")
    @app_commands.describe(which=WHICH)
    @app_commands.autocomplete(which=_complete(desk, RunState))
    async def _run(interaction: discord.Interaction, which: str) -> None:
        await serve(desk, interaction, show(desk, which))

    @tree.command(name="approve", description="Say yes to what a run asks: patch, deployment or base", guild=guild)
    @app_commands.describe(run=WHICH)
    @app_commands.autocomplete(run=_complete(desk, [RunState.AWAITING_APPROVAL]))
    async def _approve(interaction: discord.Interaction, run: str) -> None:
        await serve(desk, interaction, approve(desk, run))

    @tree.command(name="reject", description="Say no to a change, and why; a new try is told the reason", guild=guild)
    @app_commands.describe(run=WHICH, reason="Why; it stands on the card, and the analyst reads it at /retry")
    @app_commands.autocomplete(run=_complete(desk, REJECTABLE))
    async def _reject(interaction: discord.Interaction, run: str, reason: str) -> None:
        await serve(desk, interaction, reject(desk, run, reason))

    @tree.command(name="cancel", description="End a run that is not live yet, whatever it does just now", guild=guild)
    @app_commands.describe(run=WHICH)
    @app_commands.autocomplete(run=_complete(desk, CANCELLABLE))
    async def _cancel(interaction: discord.Interaction, run: str) -> None:
        await serve(desk, interaction, cancel(desk, run))

    @tree.command(name="retry", description="Work anew on what failed, was refused or was rolled back", guild=guild)
    @app_commands.describe(run=WHICH)
    @app_commands.autocomplete(run=_complete(desk, RETRYABLE))
    async def _retry(interaction: discord.Interaction, run: str) -> None:
        await serve(desk, interaction, retry(desk, run))


Completion = Callable[[discord.Interaction, str], Coroutine[Any, Any, list[app_commands.Choice[str]]]]


def _complete(desk: Desk, states: Iterable[RunState]) -> Completion:
    async def complete(_interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return await offer_runs(desk, states, typed)

    return complete


# --- what each does --------------------------------------------------------------------------------------------------


def show(desk: Desk, run: str) -> Order:
    async def work(_by: Actor) -> Reply:
        view = await desk.orders.show_run(run)
        if isinstance(view, Impossible):
            return Reply(messages.not_found(view), f"impossible: {view.reason}", changed=False)
        return asked(records.render_run(cleaned(view, desk.redact), desk.home))

    return Order("run", run, work, changes=False)


def approve(desk: Desk, run: str, asks: str | None = None) -> Order:
    async def work(by: Actor) -> Reply:
        return settled(await desk.orders.approve(run, by, asks), lambda done: messages.approved(done, run, by))

    return Order("approve", " ".join(each for each in (run, asks) if each), work)


def press_approve(desk: Desk, argument: str) -> Order:
    """The button of a card; the argument is `<run>:<what it asked>`."""
    run, _, asks = argument.partition(":")
    return approve(desk, run, asks or None)


def ask_why(run: str, about: str) -> Dialogue:
    """The Reject button of a card: a no, and why, which may be left out."""
    return Dialogue(f"reject:{run}", questions.ask_why(run, about), LONGEST_WHY)


def reject(desk: Desk, run: str, why: str = "") -> Order:
    reason = trim_reason(why, LONGEST_WHY)

    async def work(by: Actor) -> Reply:
        outcome = await desk.orders.reject(run, by, reason)
        return settled(outcome, lambda done: messages.rejected(done, run, by, reason))

    return Order("reject", f"{run} {reason}".strip(), work)


def cancel(desk: Desk, run: str) -> Order:
    async def work(by: Actor) -> Reply:
        return settled(await desk.orders.cancel_run(run, by), lambda done: messages.ended(done, run, by))

    return Order("cancel", run, work)


def retry(desk: Desk, run: str) -> Order:
    async def work(by: Actor) -> Reply:
        return settled(await desk.orders.retry(run, by), lambda done: messages.retried(done, run, by))

    return Order("retry", run, work)


def deploy_now(desk: Desk, run: str) -> Order:
    async def work(by: Actor) -> Reply:
        return settled(await desk.orders.deploy_now(run, by), lambda done: messages.deploying(done, run, by))

    return Order("deploy", run, work)
