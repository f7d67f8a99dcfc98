"""The channel: the token, the bot's rights, who can read along, and whether anybody may give orders.

Asked over discord.py's own HTTP, without a gateway. How rights add up: "Permissions" in Discord's documentation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import discord

from bot.doctor.finding import Finding, fail, ok, warn
from bot.settings import Settings

SECONDS = 20.0  # for all questions together
TEXT_CHANNEL = 0
NEEDED = {
    "view_channel": "View Channel",
    "send_messages": "Send Messages",
    "embed_links": "Embed Links",
    "attach_files": "Attach Files",
    "read_message_history": "Read Message History",
    "create_public_threads": "Create Public Threads",
    "send_messages_in_threads": "Send Messages in Threads",
}
_INVITE = "invite the bot again with the scopes bot and applications.commands (docs/discord.md)"


@dataclass(frozen=True)
class Answers:
    """What Discord told, as it tells it; None = it did not let us see."""

    bot: str  # name
    guild: Any = None
    channel: Any = None
    member: Any = None  # the bot's own
    commands: Any = None


def check_channel(settings: Settings) -> Iterator[Finding]:
    try:
        answers = asyncio.run(_ask_in_time(settings))
    except discord.LoginFailure:
        yield fail("DISCORD_TOKEN", "Discord refuses it", "make a new one in the developer portal (Bot, Reset Token)")
    except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as fault:
        reason = str(fault) or type(fault).__name__
        yield fail(
            "Discord", f"cannot be reached ({reason})", "see that this machine reaches https://discord.com; try again"
        )
    else:
        yield ok("DISCORD_TOKEN", f"logs in as {answers.bot}")
        yield from judge(answers, settings)


async def _ask_in_time(settings: Settings) -> Answers:
    return await asyncio.wait_for(_ask(settings), SECONDS)


async def _ask(settings: Settings) -> Answers:
    token, guild, channel = settings.discord_token, settings.discord_guild_id, settings.discord_channel_id
    if token is None or guild is None or channel is None:
        raise discord.LoginFailure
    async with discord.Client(intents=discord.Intents.none()) as client:
        await client.login(token.get_secret_value())
        assert client.user is not None and client.application_id is not None  # noqa: S101 - login sets both
        http = client.http
        return Answers(
            bot=str(client.user),
            guild=await _try(http.get_guild(guild)),
            channel=await _try(http.get_channel(channel)),
            member=await _try(http.get_member(guild, client.user.id)),
            commands=await _try(http.get_guild_commands(client.application_id, guild)),
        )


async def _try(question: Any) -> Any:
    """The answer, None where Discord says that it is not there or not ours to see."""
    try:
        return await question
    except (discord.Forbidden, discord.NotFound):
        return None


# --- what it means ---------------------------------------------------------------------------------------------------


def judge(answers: Answers, settings: Settings) -> Iterator[Finding]:
    if answers.guild is None or answers.member is None:
        yield fail("DISCORD_GUILD_ID", f"the bot is no member of server {settings.discord_guild_id}", _INVITE)
        return
    if answers.commands is None:
        yield fail("commands", "the bot may not register commands in this server", _INVITE)
    yield from _judge_operators(answers.guild, settings)
    if answers.channel is None:
        yield fail(
            "DISCORD_CHANNEL_ID",
            f"the bot does not see channel {settings.discord_channel_id}",
            "see that the id is right, and give the bot View Channel there",
        )
        return
    yield from _judge_channel(answers, settings)


def _judge_channel(answers: Answers, settings: Settings) -> Iterator[Finding]:
    guild, channel = answers.guild, answers.channel
    name = f"#{channel.get('name')}"
    if channel.get("guild_id", guild["id"]) != guild["id"]:
        yield fail("DISCORD_CHANNEL_ID", f"{name} is in another server", "give a channel of DISCORD_GUILD_ID")
        return
    if channel["type"] != TEXT_CHANNEL:
        yield fail("DISCORD_CHANNEL_ID", f"{name} is no text channel", "give an ordinary text channel")
        return
    yield _judge_rights(compute_rights(guild, channel, answers.member["roles"], answers.member["user"]["id"]), name)
    yield _judge_readers(guild, channel, name)
    yield from _judge_ping(answers, settings)


def _judge_rights(rights: discord.Permissions, name: str) -> Finding:
    missing = [words for flag, words in NEEDED.items() if not getattr(rights, flag)]
    if missing:
        return fail(
            "rights",
            f"the bot lacks in {name}: {', '.join(missing)}",
            "give its role these permissions in that channel",
        )
    return ok("rights", f"the bot has every permission that it needs in {name}")


def _judge_readers(guild: Any, channel: Any, name: str) -> Finding:
    if compute_rights(guild, channel, [], "").view_channel:
        return warn(
            "readers",
            f"everybody in the server can read {name}: crashes show code, paths and names of functions",
            "make it a private channel, for operators and the bot",
        )
    readers = [role["name"] for role in guild["roles"] if compute_rights(guild, channel, [role["id"]], "").view_channel]
    return ok("readers", f"{name} is read by: {', '.join(sorted(readers)) or 'single members only'}")


def _judge_operators(guild: Any, settings: Settings) -> Iterator[Finding]:
    roles, users = settings.discord_operator_role_ids, settings.discord_operator_user_ids
    names = {int(role["id"]): role["name"] for role in guild["roles"]}
    if int(guild["id"]) in roles:
        yield warn(
            "DISCORD_OPERATOR_ROLE_IDS", "holds @everyone: every member may give orders", "name a role of operators"
        )
    if unknown := [str(each) for each in roles if each not in names]:
        yield fail(
            "DISCORD_OPERATOR_ROLE_IDS",
            f"no role of this server: {', '.join(unknown)}",
            "copy the ids of roles (Server Settings, Roles, Copy Role ID)",
        )
    if not roles and not users:
        yield warn("operators", "nobody may give orders", "set DISCORD_OPERATOR_ROLE_IDS or DISCORD_OPERATOR_USER_IDS")
    else:
        known = [names[each] for each in roles if each in names]
        yield ok("operators", ", ".join([*known, *([f"{len(users)} by id"] if users else [])]) or "none that is known")


def _judge_ping(answers: Answers, settings: Settings) -> Iterator[Finding]:
    wanted = settings.discord_ping_role_id
    if wanted is None:
        return
    role = next((each for each in answers.guild["roles"] if int(each["id"]) == wanted), None)
    rights = compute_rights(answers.guild, answers.channel, answers.member["roles"], answers.member["user"]["id"])
    if role is None:
        yield fail(
            "DISCORD_PING_ROLE_ID", f"no role of this server: {wanted}", "copy the id of a role, or leave it empty"
        )
    elif not role.get("mentionable") and not rights.mention_everyone:
        yield warn(
            "DISCORD_PING_ROLE_ID",
            f"the bot may not ping {role['name']}",
            "allow anyone to mention that role, or give the bot Mention Everyone in the channel",
        )
    else:
        yield ok("DISCORD_PING_ROLE_ID", role["name"])


def compute_rights(guild: Any, channel: Any, roles: list[str], member: str) -> discord.Permissions:
    """What somebody with these roles may do in the channel: roles, then the channel's exceptions for @everyone, for
    roles, for the member."""
    held = {guild["id"], *roles}
    value = 0
    for role in guild["roles"]:
        value |= int(role["permissions"]) if role["id"] in held else 0
    if discord.Permissions(value).administrator or (member and guild.get("owner_id") == member):
        return discord.Permissions.all()
    exceptions = channel.get("permission_overwrites") or []
    for chosen in ({guild["id"]}, set(roles) - {guild["id"]}, {member}):
        mine = [each for each in exceptions if each["id"] in chosen]
        for each in mine:
            value &= ~int(each["deny"])
        for each in mine:
            value |= int(each["allow"])
    return discord.Permissions(value)
