"""The discord.py client: `guilds` intent only, no mentions, commands synced when they changed, one error handler."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import discord
from discord import app_commands

from bot.channel import Channel, Report
from bot.commands import (
    Desk,
    admit,
    answer_privately,
    crashes,
    delayed,
    get_visitor,
    logs,
    pause,
    resume,
    revert,
    rollback,
    runs,
    start_server,
    status,
    summary,
    update,
    whoami,
)
from bot.commands.buttons import press, submit
from bot.limits import sound
from bot.messages import Phase, failed
from bot.permissions import Allowed, decide

COMMANDS = (
    status, summary, crashes, runs, pause, resume, revert, rollback, update, delayed, start_server,
    logs, whoami,
)  # fmt: skip
NO_LIMIT_LONGER_THAN = 30.0  # seconds discord.py may sleep for a rate limit by itself

_log = logging.getLogger(__name__)


class CommandTree(app_commands.CommandTree["SpiritHealer"]):
    """Default deny for every command, and the one error handler."""

    async def interaction_check(self, interaction: discord.Interaction[SpiritHealer]) -> bool:
        _make_sound(interaction)
        name, given = _describe(interaction)
        if interaction.type is discord.InteractionType.autocomplete:
            return await self.client.admit_completion(interaction, name)
        return await admit(self.client.desk, interaction, name, given)

    async def on_error(
        self, interaction: discord.Interaction[SpiritHealer], error: app_commands.AppCommandError
    ) -> None:
        name, _ = _describe(interaction)
        _log.error("/%s by %s met an error", name, interaction.user.id, exc_info=error)
        if not interaction.response.is_done():
            await answer_privately(self.client.desk, interaction, failed(name, Phase.BEFORE))


class SpiritHealer(discord.Client):
    """One login. Every new login is a new client."""

    def __init__(
        self,
        desk: Desk,
        channel: Channel,
        report: Report,
        *,
        on_open: Callable[[], None] = lambda: None,
        guild_ready_timeout: float = 2.0,
    ) -> None:
        super().__init__(
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            guild_ready_timeout=guild_ready_timeout,
            max_ratelimit_timeout=NO_LIMIT_LONGER_THAN,
        )
        self.desk = desk
        self.tree = CommandTree(self)
        self._channel = channel
        self._report = report
        self._on_open = on_open  # there is somebody to deliver to again
        self._guild = discord.Object(channel.guild)
        self._greeted = asyncio.Event()  # set once the gateway has told of itself and the guild
        self._heard = time.monotonic()  # when the gateway brought its last event
        for each in COMMANDS:
            each.register(self.tree, desk, self._guild)

    async def setup_hook(self) -> None:
        self._channel.attach(self)
        try:
            await sync_commands(self.tree, self._guild)
        except (discord.Forbidden, discord.NotFound, app_commands.CommandSyncFailure) as fault:
            _log.error("the commands could not be registered: %s", fault)
            words = f"Commands could not be registered in server `{self._guild.id}`: is the bot a member of it?"
            self._report("discord commands", words)
        except discord.RateLimited as fault:
            _log.warning("the commands could not be registered: %s", fault)
            words = f"Discord takes no new commands for {fault.retry_after:.0f} s; a new start registers them then."
            self._report("discord commands", words)
        else:
            self._report("discord commands", None)

    async def on_ready(self) -> None:
        _log.info("logged in at Discord as %s", self.user)
        self._greeted.set()
        self._report("discord login", None)
        if self.get_guild(self._guild.id) is None:
            words = f"The bot is not a member of server `{self._guild.id}` (`DISCORD_GUILD_ID`)."
            self._report("discord server", words)
        else:
            self._report("discord server", None)
        self._on_open()

    async def on_resumed(self) -> None:
        self._on_open()

    async def on_socket_event_type(self, _event: str) -> None:
        self._heard = time.monotonic()

    @property
    def silence(self) -> float:
        """Seconds since the gateway brought an event. In a quiet guild that may be hours."""
        return time.monotonic() - self._heard

    async def can_hear(self, patience: float) -> bool:
        """Asks the gateway for our own member, which it answers with an event; heartbeats alone prove nothing."""
        try:
            async with asyncio.timeout(patience):
                await self._greeted.wait()
                guild = self.get_guild(self._guild.id)
                if guild is not None and self.user is not None:
                    await guild.query_members(user_ids=[self.user.id], cache=False)
        except (TimeoutError, OSError, RuntimeError, discord.DiscordException, aiohttp.ClientError):
            return False
        self._heard = time.monotonic()
        return True

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        if interaction.type is discord.InteractionType.component:
            data: Any = interaction.data or {}
            await press(self.desk, interaction, str(data.get("custom_id", "")))
        elif interaction.type is discord.InteractionType.modal_submit:
            await submit(self.desk, interaction)

    async def on_error(self, event_method: str, /, *args: Any, **_kwargs: Any) -> None:
        _log.exception("an error in %s", event_method)
        for each in args:
            if isinstance(each, discord.Interaction) and not each.response.is_done():
                await answer_privately(self.desk, each, failed("", Phase.BEFORE))

    async def admit_completion(self, interaction: discord.Interaction[SpiritHealer], name: str) -> bool:
        """Completions are refused silently: an empty list."""
        if may_complete(self.desk, interaction, name):
            return True
        await interaction.response.autocomplete([])
        return False

    async def close(self) -> None:
        self._channel.detach(self)
        await super().close()


def may_complete(desk: Desk, interaction: discord.Interaction[Any], name: str) -> bool:
    return isinstance(decide(name, get_visitor(interaction), desk.operators), Allowed)


def _describe(interaction: discord.Interaction[Any]) -> tuple[str, str]:
    """The command's name and its options as given."""
    data: Any = interaction.data or {}
    options = data.get("options") or []
    return str(data.get("name", "")), " ".join(f"{each.get('name')}={each.get('value')}" for each in options)


def _make_sound(interaction: discord.Interaction[Any]) -> None:
    """What was typed may hold half a surrogate, which no database takes and no answer can repeat."""
    data: Any = interaction.data or {}
    for each in data.get("options") or []:
        if isinstance(each.get("value"), str):
            each["value"] = sound(each["value"])


# --- registering -----------------------------------------------------------------------------------------------------


async def sync_commands(tree: app_commands.CommandTree[Any], guild: discord.abc.Snowflake) -> bool:
    """Registers our commands in the guild, only where they differ from what is registered; whether they did."""
    registered = {each.name: _outline(each.to_dict()) for each in await tree.fetch_commands(guild=guild)}
    ours = {each.name: _outline(each.to_dict(tree)) for each in tree.get_commands(guild=guild)}
    if ours == registered:
        return False
    await tree.sync(guild=guild)
    return True


def _outline(command: Any) -> tuple[Any, ...]:
    """What people see of a command."""
    options = tuple(
        (each["name"], each["description"], each["type"], bool(each.get("required")), bool(each.get("autocomplete")))
        for each in command.get("options") or []
    )
    return (command["description"], options)
