"""Handlers of the guild, its channels and threads, and of who the bot is (developer docs, resources Channel, Guild,
User)."""

from dataclasses import replace

from bot.sandbox.access import enter_channel
from bot.sandbox.call import NOTHING, Answer, Call
from bot.sandbox.errors import ApiError, Json, Refusal
from bot.sandbox.guild import Channel, Flag, Guild
from bot.sandbox.limits import check_thread
from bot.sandbox.payloads import (
    show_application,
    show_channel,
    show_guild,
    show_member,
    show_own_user,
    show_role,
)
from bot.sandbox.permission import Permission
from bot.sandbox.service import Service

DEFAULT_ARCHIVE_MINUTES = 1440


def get_me(service: Service, call: Call) -> Answer:
    return Answer(show_own_user(service.guild.bot))


def get_application(service: Service, call: Call) -> Answer:
    return Answer(show_application(service.guild))


def get_gateway(service: Service, call: Call) -> Answer:
    return Answer({"url": service.gateway.url})


def get_gateway_bot(service: Service, call: Call) -> Answer:
    starts: Json = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
    return Answer({"url": service.gateway.url, "shards": 1, "session_start_limit": starts})


def _enter_guild(service: Service, call: Call) -> Guild:
    if call.args["guild"] != service.guild.id:
        raise ApiError(Refusal.UNKNOWN_GUILD)
    return service.guild


def get_guild(service: Service, call: Call) -> Answer:
    return Answer(show_guild(_enter_guild(service, call)))


def list_roles(service: Service, call: Call) -> Answer:
    return Answer([show_role(role) for role in _enter_guild(service, call).roles.values()])


def list_channels(service: Service, call: Call) -> Answer:
    guild = _enter_guild(service, call)
    return Answer([show_channel(guild, channel) for channel in guild.channels.values() if channel.parent is None])


def list_active_threads(service: Service, call: Call) -> Answer:
    guild = _enter_guild(service, call)
    threads = [show_channel(guild, c) for c in guild.channels.values() if c.parent is not None and not c.archived]
    return Answer({"threads": threads, "members": [thread["member"] for thread in threads], "has_more": False})


def get_member(service: Service, call: Call) -> Answer:
    guild = _enter_guild(service, call)
    found = next((user for user in guild.users if user.id == call.args["user"]), None)
    if found is None:
        raise ApiError(Refusal.UNKNOWN_MEMBER)
    return Answer(show_member(guild, found))


def get_channel(service: Service, call: Call) -> Answer:
    return Answer(show_channel(service.guild, enter_channel(service, call.args["channel"])))


def edit_thread(service: Service, call: Call) -> Answer:
    thread = _enter_thread(service, call)
    check_thread(call.body, creating=False)
    changed = replace(
        thread,
        name=call.body.get("name", thread.name),
        archived=call.body.get("archived", thread.archived),
        locked=call.body.get("locked", thread.locked),
        archive_after=call.body.get("auto_archive_duration", thread.archive_after),
    )
    return Answer(show_channel(service.guild, service.put_channel(changed)))


def delete_thread(service: Service, call: Call) -> Answer:
    thread = _enter_thread(service, call)
    shown = show_channel(service.guild, thread)
    service.remove_channel(thread)
    return Answer(shown)


def _enter_thread(service: Service, call: Call) -> Channel:
    channel = enter_channel(service, call.args["channel"], Permission.MANAGE_THREADS)
    if channel.parent is None:
        raise ApiError(Refusal.MISSING_PERMISSIONS)
    return channel


def start_thread(service: Service, call: Call) -> Answer:
    """A thread by itself."""
    return _create_thread(service, call, service.guild.next_id())


def start_thread_from_message(service: Service, call: Call) -> Answer:
    """A thread has the id of its message, and a message has at most one."""
    message = service.guild.get_message(call.args["channel"], call.args["message"])
    if message.id in service.guild.channels:
        raise ApiError(Refusal.THREAD_EXISTS)
    answer = _create_thread(service, call, message.id)
    service.guild.messages[message.id] = replace(message, flags=message.flags | Flag.HAS_THREAD)
    service.changed()
    return answer


def _create_thread(service: Service, call: Call, thread_id: str) -> Answer:
    parent = enter_channel(service, call.args["channel"], Permission.CREATE_PUBLIC_THREADS)
    if parent.parent is not None:
        raise ApiError(Refusal.WRONG_CHANNEL_TYPE)
    check_thread(call.body, creating=True)
    minutes = call.body.get("auto_archive_duration") or DEFAULT_ARCHIVE_MINUTES
    name = call.body["name"]
    thread = Channel(thread_id, name, service.clock.wall(), parent=parent.id, archive_after=minutes)
    return Answer(show_channel(service.guild, service.put_channel(thread)), status=201)


def accept(service: Service, call: Call) -> Answer:
    """Typing, and joining a thread: nothing that anyone would see."""
    enter_channel(service, call.args["channel"])
    return NOTHING
