"""Handlers of application commands, of the guild and global (developer docs, "Application Commands")."""

from bot.sandbox.call import Answer, Call
from bot.sandbox.errors import ApiError, Json, Refusal
from bot.sandbox.limits import check_commands
from bot.sandbox.service import Service

CHAT_INPUT = 1
GUILD_INSTALL = 0


def list_commands(service: Service, call: Call) -> Answer:
    guild_id = _enter(service, call)
    return Answer([command for command in service.guild.commands.values() if command.get("guild_id") == guild_id])


def replace_commands(service: Service, call: Call) -> Answer:
    """All commands at once; a name that was there keeps its id, as at Discord."""
    guild_id = _enter(service, call)
    check_commands(call.body)
    others = {key: command for key, command in service.guild.commands.items() if command.get("guild_id") != guild_id}
    ids = {command["name"]: key for key, command in service.guild.commands.items() if key not in others}
    registered = [_register(service, command, ids.get(command["name"]), guild_id) for command in call.body]
    service.guild.commands = others | {command["id"]: command for command in registered}
    service.changed()
    service.feed.touch()
    return Answer(registered)


def _enter(service: Service, call: Call) -> str | None:
    """The guild's id, None for global commands."""
    guild_id = call.args.get("guild")
    if call.args["application"] != service.guild.bot.id or guild_id not in (None, service.guild.id):
        raise ApiError(Refusal.MISSING_ACCESS)
    return guild_id


def _register(service: Service, command: Json, command_id: str | None, guild_id: str | None) -> Json:
    ids: Json = {"id": command_id or service.guild.next_id(), "application_id": service.guild.bot.id}
    kind: Json = {"version": service.guild.next_id(), "type": command.get("type", CHAT_INPUT)}
    rules: Json = {"default_member_permissions": None, "nsfw": False} | command
    rules["integration_types"] = command.get("integration_types") or [GUILD_INSTALL]
    return rules | ids | kind | ({} if guild_id is None else {"guild_id": guild_id})
