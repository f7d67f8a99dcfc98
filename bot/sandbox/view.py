"""What the page is told of the channel: more than the state, and only what changed since it was told last."""

from typing import Any

from bot.sandbox.errors import Json
from bot.sandbox.guild import Channel, Guild, Message
from bot.sandbox.panel import PanelPlace
from bot.sandbox.service import Service
from bot.sandbox.state import describe_message

NEVER_TOLD = object()


class View:
    """One reader's. Level-triggered: it compares what is there with what it told, so that nothing can be missed."""

    def __init__(self, service: Service, place: PanelPlace) -> None:
        self._service = service
        self._place = place
        self._told: dict[str, Any] = {}
        self._messages: dict[str, Message] = {}
        self._threads: dict[str, Channel] = {}

    def take_changes(self) -> Json:
        """`{"place", "ready", "commands", "panel", "threads", "messages", "gone"}`, each only where something changed;
        `gone` has ids of messages and threads. Values of the guild are replaced, never changed, so identity tells."""
        guild = self._service.guild
        messages = [m for m in guild.messages.values() if self._messages.get(m.id) is not m]
        threads = [c for c in guild.channels.values() if c.parent is not None and self._threads.get(c.id) is not c]
        gone = [*(self._messages.keys() - guild.messages.keys()), *(self._threads.keys() - guild.channels.keys())]
        self._messages = dict(guild.messages)
        self._threads = {c.id: c for c in guild.channels.values() if c.parent is not None}
        lists = {
            "threads": [describe_thread(thread) for thread in threads],
            "messages": [show_to_page(guild, self._service.base, message) for message in messages],
            "gone": gone,
        }
        return self._take_values() | {name: found for name, found in lists.items() if found}

    def _take_values(self) -> Json:
        guild = self._service.guild
        now: Json = {
            "place": describe_place(guild),
            "ready": self._service.gateway.up and bool(guild.commands),
            "commands": list(guild.commands.values()),
            "panel": self._place.describe(),
        }
        changed = {name: value for name, value in now.items() if self._told.get(name, NEVER_TOLD) != value}
        self._told = now
        return changed


def describe_place(guild: Guild) -> Json:
    """The names behind the ids that a message may mention, and who may be chosen."""
    room = guild.channels.get(guild.channel_id)
    return {
        "guild": guild.id,
        "channel": guild.channel_id,
        "name": "spirit-healer" if room is None else room.name,
        "bot": guild.bot.name,
        "people": [user.name for user in guild.users if not user.bot],
        "users": {user.id: user.name for user in guild.users},
        "roles": {role.id: role.name for role in guild.roles.values()},
    }


def describe_thread(thread: Channel) -> Json:
    return {"id": thread.id, "name": thread.name, "archived": thread.archived}


def show_to_page(guild: Guild, base: str, message: Message) -> Json:
    """As the state has it, with when, and what it answers."""
    asked = message.invocation or {}
    return {
        **describe_message(guild, base, message),
        "bot": guild.get_user(message.author).bot,
        "created": message.created,
        "edited": message.edited,
        "thinking": not message.filled,
        "asked_by": asked.get("user", {}).get("username"),
        "command": message.command,
        "pressed": message.pressed,
        "reply_to": _find_pressed(asked) or message.reply_to,
    }


def _find_pressed(asked: Json) -> str | None:
    """The message whose button was pressed, also where a dialogue came between."""
    pressed: str | None = asked.get("triggering_interaction_metadata", asked).get("interacted_message_id")
    return pressed
