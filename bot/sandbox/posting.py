"""Builds messages out of request bodies: what is new, what an edit leaves alone, and the files that come with it."""

from dataclasses import replace
from pathlib import PurePosixPath

from bot.sandbox.call import Upload
from bot.sandbox.errors import ApiError, Json, Refusal
from bot.sandbox.guild import Attachment, Flag, Message
from bot.sandbox.limits import FILES, LARGEST_FILE, Form, check_message
from bot.sandbox.mentions import find_everyone, find_roles
from bot.sandbox.service import Service

KEPT_FLAGS = Flag.SUPPRESS_EMBEDS | Flag.SUPPRESS_NOTIFICATIONS | Flag.COMPONENTS_V2


def compose(service: Service, channel_id: str, body: Json, files: tuple[Upload, ...]) -> Message:
    """A new message of the bot, not posted yet. Raises ApiError for a bad form, an empty message, a file too large."""
    check_message(body)
    nonce = body.get("nonce")
    message = Message(
        id=service.guild.next_id(),
        channel=channel_id,
        author=service.guild.bot.id,
        created=service.clock.wall(),
        content=body.get("content") or "",
        embeds=tuple(body.get("embeds") or ()),
        components=tuple(body.get("components") or ()),
        attachments=_take_files(service, body, files),
        flags=Flag(body.get("flags") or 0) & KEPT_FLAGS,
        nonce=None if nonce is None else str(nonce),
        mentions_everyone=find_everyone(body),
        mentioned_roles=find_roles(body),
        reply_to=_read_reply(body),
    )
    return _refuse_empty(message)


def _read_reply(body: Json) -> str | None:
    """discord.py sends this id as a number."""
    replied = (body.get("message_reference") or {}).get("message_id")
    return None if replied is None else str(replied)


def rewrite(service: Service, message: Message, body: Json, files: tuple[Upload, ...]) -> Message:
    """The message after an edit: keys that the body does not have stay as they are. Not put in place yet."""
    check_message(body)
    changed = replace(
        message,
        content=(body["content"] or "") if "content" in body else message.content,
        embeds=tuple(body["embeds"] or ()) if "embeds" in body else message.embeds,
        components=tuple(body["components"] or ()) if "components" in body else message.components,
        attachments=_list_kept(message, body) + _take_files(service, body, files),
        edited=service.clock.wall(),
        edits=message.edits + 1,
    )
    return _refuse_empty(changed)


def fill(service: Service, message: Message, body: Json, files: tuple[Upload, ...]) -> Message:
    """A deferred answer gets its text; to its readers that is the message, not an edit of it."""
    filled = rewrite(service, message, body, files)
    return replace(filled, flags=filled.flags & ~Flag.LOADING, edits=0, edited=None)


def _refuse_empty(message: Message) -> Message:
    if not (message.content or message.embeds or message.attachments or message.components):
        raise ApiError(Refusal.EMPTY_MESSAGE)
    return message


def _list_kept(message: Message, body: Json) -> tuple[Attachment, ...]:
    if "attachments" not in body:
        return message.attachments
    wanted = {str(attachment["id"]) for attachment in body["attachments"] or []}
    return tuple(attachment for attachment in message.attachments if attachment.id in wanted)


def _take_files(service: Service, body: Json, files: tuple[Upload, ...]) -> tuple[Attachment, ...]:
    form = Form()
    form.length(["files"], list(files), FILES)
    form.refuse()
    if any(len(file.content) > LARGEST_FILE for file in files):
        raise ApiError(Refusal.TOO_LARGE)
    said = {str(attachment["id"]): attachment for attachment in body.get("attachments") or []}
    return tuple(_take_file(service, said.get(str(file.index), {}), file) for file in files)


def _take_file(service: Service, said: Json, file: Upload) -> Attachment:
    name = PurePosixPath((said.get("filename") or file.filename).replace("\\", "/")).name.replace(" ", "_") or "unknown"
    attachment = Attachment(
        service.guild.next_id(), name, len(file.content), file.content_type, said.get("description")
    )
    service.files.add(attachment.id, file.content)
    return attachment
