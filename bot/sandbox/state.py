"""What `GET /sandbox/state` shows: the channel for a reader who is not Discord."""

from typing import NotRequired, TypedDict

from bot.sandbox.errors import Json
from bot.sandbox.guild import Guild, Message
from bot.sandbox.message_payloads import attachment_url


class AttachmentState(TypedDict):
    filename: str
    url: str
    size: int
    # bytes


class MessageState(TypedDict):
    id: str
    channel: str
    # id of the text channel, for a message in a thread too
    thread: str | None
    # id of the thread; a thread opened from a message has that message's id
    author: str
    # "Spirit Healer", "operator" or "guest"
    content: str
    embeds: list[Json]
    components: list[Json]
    # both exactly as the bot sent them
    attachments: list[AttachmentState]
    ephemeral_to: str | None
    # "operator" or "guest"
    edits: int


class SandboxState(TypedDict):
    ready: bool
    # gateway up and commands registered
    commands: list[str]
    messages: list[MessageState]
    # oldest first; deferred answers appear once they are filled in


class Reply(TypedDict):
    interaction_id: str
    response: MessageState | None
    # the answering message; null when none came in time


class Pressed(Reply):
    """Of whoever can show a dialogue."""

    dialogue: NotRequired[Json]
    # what the bot asks first, as it sent it


def describe_message(guild: Guild, base: str, message: Message) -> MessageState:
    channel = guild.channels.get(message.channel)
    parent = channel.parent if channel is not None else None
    return {
        "id": message.id,
        "channel": parent or message.channel,
        "thread": message.channel if parent else None,
        "author": guild.get_user(message.author).name,
        "content": message.content,
        "embeds": list(message.embeds),
        "components": list(message.components),
        "attachments": [
            {"filename": a.filename, "url": attachment_url(base, message.channel, a), "size": a.size}
            for a in message.attachments
        ],
        "ephemeral_to": None if message.ephemeral_to is None else guild.get_user(message.ephemeral_to).name,
        "edits": message.edits,
    }


def describe_sandbox(guild: Guild, base: str, *, gateway_up: bool) -> SandboxState:
    return {
        "ready": gateway_up and bool(guild.commands),
        "commands": [command["name"] for command in guild.commands.values()],
        "messages": [describe_message(guild, base, message) for message in guild.messages.values() if message.filled],
    }
