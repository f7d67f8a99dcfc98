"""What every handler stands on: the guild, and the three ways to change a message of it, told to the gateway, the
feed and the store."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from bot.sandbox.clock import Clock
from bot.sandbox.errors import Json
from bot.sandbox.feed import Feed, MessageEvent
from bot.sandbox.files import Files
from bot.sandbox.gateway import Gateway
from bot.sandbox.guild import Channel, Flag, Guild, Message
from bot.sandbox.interaction import Interaction
from bot.sandbox.message_payloads import show_message
from bot.sandbox.payloads import show_channel, show_member_without_user
from bot.sandbox.rules import Rules
from bot.sandbox.state import describe_message


@dataclass
class Service:
    guild: Guild
    gateway: Gateway
    feed: Feed
    files: Files
    rules: Rules
    clock: Clock
    changed: Callable[[], None]
    # something worth keeping has changed
    base: str = ""
    # http://127.0.0.1:port
    interactions: dict[str, Interaction] = field(default_factory=dict)
    nonces: dict[str, tuple[float, str]] = field(default_factory=dict)
    # nonce -> steady time of its message, message id
    old_edits: dict[str, list[float]] = field(default_factory=dict)
    # channel id -> steady times

    def show(self, message: Message) -> Json:
        return show_message(self.guild, self.base, message)

    def post(self, message: Message) -> Message:
        """A new message, seen by everyone unless it is ephemeral or still thinking."""
        self.guild.messages[message.id] = message
        self._forget_oldest()
        self._announce("MESSAGE_CREATE", message)
        if message.filled:
            self._tell("create", message)
        return message

    def replace(self, message: Message) -> Message:
        """An edit, or a deferred answer that is filled in: that one is new to its readers."""
        before = self.guild.messages[message.id]
        self.guild.messages[message.id] = message
        self._announce("MESSAGE_UPDATE", message)
        if message.filled:
            self._tell("edit" if before.filled else "create", message)
        return message

    def remove(self, message: Message) -> None:
        del self.guild.messages[message.id]
        self.files.forget([attachment.id for attachment in message.attachments])
        self.gateway.dispatch(
            "MESSAGE_DELETE", {"id": message.id, "channel_id": message.channel, "guild_id": self.guild.id}
        )
        self._tell("delete", message)

    def put_channel(self, channel: Channel) -> Channel:
        """A new thread, or one that changed."""
        event = "THREAD_UPDATE" if channel.id in self.guild.channels else "THREAD_CREATE"
        self.guild.channels[channel.id] = channel
        created: Json = {"newly_created": True} if event == "THREAD_CREATE" else {}
        self.gateway.dispatch(event, show_channel(self.guild, channel) | created)
        self._touch()
        return channel

    def remove_channel(self, channel: Channel) -> None:
        """With all it held, its threads too."""
        for inner in [c for c in self.guild.channels.values() if channel.id in (c.id, c.parent)]:
            del self.guild.channels[inner.id]
            kept = {key: message for key, message in self.guild.messages.items() if message.channel != inner.id}
            self.guild.messages = kept
        event = "CHANNEL_DELETE" if channel.parent is None else "THREAD_DELETE"
        self.gateway.dispatch(event, show_channel(self.guild, channel))
        self._touch()

    def _announce(self, event: str, message: Message) -> None:
        if message.flags & Flag.EPHEMERAL:
            return
        member = show_member_without_user(self.guild, self.guild.get_user(message.author))
        self.gateway.dispatch(event, self.show(message) | {"guild_id": self.guild.id, "member": member})

    def _tell(self, kind: Literal["create", "edit", "delete"], message: Message) -> None:
        self._touch()
        self.feed.publish(MessageEvent(kind, describe_message(self.guild, self.base, message)))

    def _touch(self) -> None:
        self.changed()
        self.feed.touch()

    def _forget_oldest(self) -> None:
        surplus = len(self.guild.messages) - self.rules.kept_messages
        for message_id in list(self.guild.messages)[: max(surplus, 0)]:
            forgotten = self.guild.messages.pop(message_id)
            self.files.forget([attachment.id for attachment in forgotten.attachments])
