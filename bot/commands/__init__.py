"""A command = check, one call of the pipeline, one message, one audit row. Buttons are commands without a slash.

`admit` checks, `serve` does the rest: it defers first, so that nothing the pipeline does can cost Discord's three
seconds, knows how far the order came when something goes wrong, and says that and no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Protocol

import aiohttp
import discord

from bot import messages
from bot.audit import Trail
from bot.cards import Home
from bot.channel import Channel, ChannelFault
from bot.limits import cut_middle, sound
from bot.messages import Phase
from bot.needs import SOMEBODY, YOU
from bot.payloads import Message
from bot.permissions import Allowed, Denied, Operators, Visitor, decide
from bot.redaction import Redact, cleaned
from bot.status import Instance
from pipeline.errors import Obstructed
from pipeline.model import Actor, Done, Impossible, Outcome
from pipeline.ports import Clock
from pipeline.read_models import (
    AuditLine,
    CrashesView,
    CrashView,
    FixLine,
    LogView,
    RestartPlan,
    RevertPlan,
    RollbackPlan,
    RunView,
    UpdatePlan,
)
from pipeline.status_models import RunLine, StatusView
from pipeline.store.patience import one_patience
from pipeline.summary import NightSummary

ORDER_TIMEOUT = 120.0  # seconds one call of the pipeline may take
WAITING, CARRIED_OUT = "waiting", "done"  # states of an order: not yet due, and nothing known yet of what came of it
LONGEST_REASON = 80  # UTF-16 units: it travels in a custom_id
UNKNOWN_INTERACTION = 10062
ALREADY_ACKNOWLEDGED = 40060
REMEMBERED = 500  # questions that were answered: a click on one of them may be on its way
UNHEARD = (discord.HTTPException, aiohttp.ClientError, OSError)  # what Discord did not take, or may not have

_log = logging.getLogger(__name__)


class OrderDesk(Protocol):
    """What a command may ask of the pipeline (pipeline/orders.py)."""

    async def status(self) -> StatusView: ...
    async def pause(self, by: Actor, reason: str) -> Outcome: ...
    async def resume(self, by: Actor) -> Outcome: ...
    async def summary(self, night: date | None) -> NightSummary: ...
    async def list_nights(self) -> list[date]: ...
    async def list_fixes(self) -> list[FixLine]: ...
    async def plan_revert(self, commit: str) -> RevertPlan | Impossible: ...
    async def revert(self, commit: str, by: Actor) -> Outcome: ...
    async def plan_restart(self) -> RestartPlan | Impossible: ...
    async def plan_stop(self) -> RestartPlan | Impossible: ...
    async def restart_server(self, by: Actor, delay: timedelta, reason: str) -> Outcome: ...
    async def cancel_order(self, order: int, by: Actor) -> Outcome: ...
    async def approve(self, run: str, by: Actor, asks: str | None = None) -> Outcome: ...
    async def reject(self, run: str, by: Actor, reason: str) -> Outcome: ...
    async def deploy_now(self, run: str, by: Actor) -> Outcome: ...
    async def start_server(self, by: Actor) -> Outcome: ...
    async def stop_server(self, by: Actor, delay: timedelta, reason: str) -> Outcome: ...
    async def plan_rollback(self) -> RollbackPlan | Impossible: ...
    async def roll_back(self, by: Actor, running: str, reason: str) -> Outcome: ...
    async def list_runs(self) -> list[RunLine]: ...
    async def show_run(self, run: str) -> RunView | Impossible: ...
    async def cancel_run(self, run: str, by: Actor) -> Outcome: ...
    async def retry(self, run: str, by: Actor) -> Outcome: ...
    async def list_crashes(self, nights: int) -> CrashesView: ...
    async def list_signatures(self) -> list[tuple[str, str]]: ...
    async def show_crash(self, signature: str) -> CrashView | Impossible: ...
    async def plan_update(self) -> UpdatePlan | Impossible: ...
    async def update(self, by: Actor, commit: str | None = None) -> Outcome: ...
    async def read_log(self, source: str, lines: int) -> LogView | Impossible: ...
    async def list_audit(self, days: int) -> list[AuditLine]: ...
    async def note_order_shown(self, order: int, state: str, place: str, message: str) -> None: ...


@dataclass
class Desk:
    """What every command works with."""

    orders: OrderDesk
    audit: Trail
    operators: Operators
    channel: Channel
    clock: Clock
    redact: Redact
    notice: timedelta = timedelta(seconds=30)  # SERVER_STOP_NOTICE: the delay of a restart that names none
    instance: Instance | None = None  # which bot this is
    busy: set[str] = field(default_factory=set)  # buttons and questions whose order is under way
    answered: deque[int] = field(default_factory=lambda: deque(maxlen=REMEMBERED))  # questions, by their message

    @property
    def home(self) -> Home:
        return Home(self.channel.guild, self.channel.id)


@dataclass(frozen=True)
class Reply:
    """What an order came to: the message, and its line in the audit."""

    message: Message
    outcome: str
    changed: bool  # whether anything was ordered
    order: int | None = None  # whose message goes on telling of it
    state: str = WAITING  # of the order, as the message says it


Work = Callable[[Actor], Awaitable[Reply]]


@dataclass
class Order:
    """One interaction on its way."""

    action: str  # the row of the permission table
    arguments: str  # as given, for the audit
    work: Work
    changes: bool = True  # False: it only reads or asks
    replaces: bool = False  # the answer takes the place of the message whose button was pressed
    private: bool = False  # only whoever asked sees the answer
    phase: Phase = Phase.BEFORE


def asked(message: Message) -> Reply:
    """A question or a view: nothing was ordered."""
    return Reply(message, "answered", changed=False)


def settled(outcome: Outcome, confirm: Callable[[Done], Message]) -> Reply:
    """The message of an order's outcome."""
    match outcome:
        case Done():
            return Reply(confirm(outcome), "done", changed=True)
        case Impossible(reason):
            return Reply(messages.impossible(outcome), f"impossible: {reason}", changed=False)


def ordered(outcome: Outcome, confirm: Callable[[Done], Message], state: str = WAITING) -> Reply:
    """The same of an order whose message goes on telling of it: it waits until it is due, or something comes of it."""
    reply = settled(outcome, confirm)
    return replace(reply, order=outcome.order if isinstance(outcome, Done) else None, state=state)


def trim_reason(reason: str | None, longest: int = LONGEST_REASON) -> str:
    """One line; unless told otherwise one that fits a custom_id."""
    return cut_middle(" ".join((reason or "").split()), longest)


# --- who --------------------------------------------------------------------------------------------------------------


def get_visitor(interaction: discord.Interaction) -> Visitor:
    member = interaction.user
    roles = frozenset(role.id for role in member.roles) if isinstance(member, discord.Member) else frozenset()
    return Visitor(member.id, interaction.guild_id, roles)


def name_reader(desk: Desk, interaction: discord.Interaction) -> str:
    """Whom what needs a person waits for, as this reader is told."""
    return YOU if isinstance(decide("pause", get_visitor(interaction), desk.operators), Allowed) else SOMEBODY


def get_actor(interaction: discord.Interaction) -> Actor:
    where = f"{interaction.guild_id or 'direct message'}/{interaction.channel_id or '?'}"
    return Actor(str(interaction.user.id), sound(interaction.user.display_name), where)


async def admit(desk: Desk, interaction: discord.Interaction, action: str, arguments: str) -> bool:
    """Whether the person may; a refusal is answered, to him alone, and written down."""
    decision = decide(action, get_visitor(interaction), desk.operators)
    match decision:
        case Allowed():
            return True
        case Denied(message, reason):
            await answer_privately(desk, interaction, message)  # first: Discord waits 3 s, a locked database takes 5
            await desk.audit.note(get_actor(interaction), action, arguments, reason)
            return False


async def answer_privately(desk: Desk, interaction: discord.Interaction, message: Message) -> None:
    form = await desk.channel.pen.send_form(message)
    try:
        await interaction.response.send_message(**form, ephemeral=True)
    except UNHEARD as fault:
        _log.warning("an answer did not reach Discord: %s", fault)


# --- what -------------------------------------------------------------------------------------------------------------


async def serve(desk: Desk, interaction: discord.Interaction, order: Order) -> bool:
    """Defers, orders, writes down, answers. Whether it came to the order: False = nothing was done at all. Raises
    nothing but cancellation."""
    with one_patience():  # the database's lock is waited for once, whatever the order asks
        return await _serve(desk, interaction, order)


async def _serve(desk: Desk, interaction: discord.Interaction, order: Order) -> bool:
    begun = False
    try:
        begun = await _begin(desk, interaction, order)
        if begun:
            await _carry_out(desk, interaction, order)
    except Obstructed as fault:
        _log.warning("/%s by %s: %s", order.action, interaction.user.id, fault)
        await _tell_failure(desk, interaction, order, desk.redact(str(fault)))
    except Exception:
        _log.exception("/%s by %s met an error (%s)", order.action, interaction.user.id, order.phase.value)
        await _tell_failure(desk, interaction, order)
    return begun


async def _begin(desk: Desk, interaction: discord.Interaction, order: Order) -> bool:
    """Whether it may be carried out: Discord waits for it, and what changes something is written down. Raises
    Obstructed."""
    by = get_actor(interaction)
    if not await _defer(interaction, order):
        await desk.audit.note(by, order.action, order.arguments, "too late: nothing was done")
        return False
    if order.changes:
        await desk.audit.begin(by, order.action, order.arguments)
    return True


async def _defer(interaction: discord.Interaction, order: Order) -> bool:
    """Whether Discord still waits for us. If not, nothing is done at all."""
    try:
        return await _acknowledge(interaction, order)
    except UNHEARD as fault:
        _log.warning("/%s came too late to be answered, nothing was done: %s", order.action, fault)
        if isinstance(fault, discord.HTTPException) and fault.code == ALREADY_ACKNOWLEDGED:
            await interaction.edit_original_response(content=messages.failed(order.action, Phase.BEFORE).content)
        return False


async def _acknowledge(interaction: discord.Interaction, order: Order) -> bool:
    """Once more where the connection was cut: whether Discord heard the first is not known, and it says so."""
    try:
        await interaction.response.defer(thinking=not order.replaces, ephemeral=order.private)
    except (aiohttp.ClientError, OSError):
        try:
            await interaction.response.defer(thinking=not order.replaces, ephemeral=order.private)
        except discord.HTTPException as fault:
            return fault.code == ALREADY_ACKNOWLEDGED
    return True


async def _carry_out(desk: Desk, interaction: discord.Interaction, order: Order) -> None:
    by = get_actor(interaction)
    order.phase = Phase.DURING if order.changes else Phase.BEFORE
    try:
        reply = await asyncio.wait_for(order.work(by), ORDER_TIMEOUT)
    except BaseException as fault:
        await desk.audit.note(by, order.action, order.arguments, f"error: {type(fault).__name__}")
        raise
    order.phase = Phase.AFTER if reply.changed else Phase.BEFORE
    await desk.audit.note(by, order.action, order.arguments, reply.outcome)
    await _answer(desk, interaction, order, reply)


async def _answer(desk: Desk, interaction: discord.Interaction, order: Order, reply: Reply) -> None:
    """In the place that waits for it; where that is gone and something was done, as a message of the channel."""
    message = await asyncio.to_thread(cleaned, reply.message, desk.redact)  # a thousand lines take a moment
    form = await desk.channel.pen.edit_form(message)
    try:
        sent = await interaction.edit_original_response(**form)
        if reply.order is not None:
            await desk.orders.note_order_shown(reply.order, reply.state, str(sent.channel.id), str(sent.id))
    except UNHEARD as fault:
        _log.warning("the answer to /%s did not reach Discord: %s", order.action, fault)
        if reply.changed:
            await _say_late(desk, interaction, order)


async def _say_late(desk: Desk, interaction: discord.Interaction, order: Order) -> None:
    text = messages.too_late(f"`{order.action}`", get_actor(interaction))
    try:
        await desk.channel.send(None, text, f"i{interaction.id}")
    except ChannelFault as fault:
        _log.warning("nor did the word that /%s was done: %s", order.action, fault)


async def _tell_failure(desk: Desk, interaction: discord.Interaction, order: Order, obstacle: str = "") -> None:
    text = messages.failed(order.action, order.phase, obstacle).content
    try:
        if order.replaces:
            await interaction.followup.send(text, ephemeral=True)
        else:
            await interaction.edit_original_response(content=text)
    except UNHEARD as fault:
        _log.warning("the error of /%s could not be told: %s", order.action, fault)
