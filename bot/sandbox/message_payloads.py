"""Messages as Discord's JSON (developer docs, resource Message). Pure."""

from collections.abc import Iterable, Iterator
from itertools import count
from urllib.parse import quote

from bot.sandbox.errors import Json
from bot.sandbox.guild import Attachment, Flag, Guild, Message
from bot.sandbox.payloads import iso, show_channel, show_user

PLAIN, REPLY, COMMAND_ANSWER = 0, 19, 20


def attachment_url(base: str, channel_id: str, attachment: Attachment) -> str:
    return f"{base}/cdn/attachments/{channel_id}/{attachment.id}/{quote(attachment.filename, safe='')}"


def show_attachment(base: str, channel_id: str, attachment: Attachment) -> Json:
    url = attachment_url(base, channel_id, attachment)
    shown: Json = {
        "id": attachment.id,
        "filename": attachment.filename,
        "size": attachment.size,
        "url": url,
        "proxy_url": url,
    }
    optional = {"content_type": attachment.content_type, "description": attachment.description}
    return shown | {name: value for name, value in optional.items() if value is not None}


def show_embeds(base: str, message: Message) -> list[Json]:
    """As Discord gives them back: a type, `inline` said, and pictures named as attachments found at their address."""
    urls = {f"attachment://{a.filename}": attachment_url(base, message.channel, a) for a in message.attachments}
    return [_show_embed(embed, urls) for embed in message.embeds]


def _show_embed(embed: Json, urls: dict[str, str]) -> Json:
    shown: Json = {"type": "rich", **embed}
    if "fields" in embed:
        shown["fields"] = [{"inline": False} | field for field in embed["fields"]]
    for part in ("image", "thumbnail"):
        if part in embed:
            shown[part] = {**embed[part], "url": urls.get(embed[part].get("url"), embed[part].get("url"))}
    return shown


def number_components(components: Iterable[Json], ids: Iterator[int] | None = None) -> list[Json]:
    """Discord numbers the components that came without an id, outer before inner."""
    ids = count(1) if ids is None else ids
    return [_number_component(component, ids) for component in components]


def _number_component(component: Json, ids: Iterator[int]) -> Json:
    numbered = {**component, "id": component.get("id") or next(ids)}
    if "components" in component:
        numbered["components"] = number_components(component["components"], ids)
    if "component" in component:
        numbered["component"] = _number_component(component["component"], ids)
    return numbered


def show_message(guild: Guild, base: str, message: Message) -> Json:
    shown: Json = {"id": message.id, "channel_id": message.channel, "author": show_user(guild.get_user(message.author))}
    shown |= {
        "type": _message_type(message),
        "content": message.content,
        "flags": int(message.flags),
        "pinned": False,
        "tts": False,
    }
    shown |= {
        "timestamp": iso(message.created),
        "edited_timestamp": None if message.edited is None else iso(message.edited),
    }
    shown |= {"embeds": show_embeds(base, message), "components": number_components(message.components)}
    shown |= {"attachments": [show_attachment(base, message.channel, attachment) for attachment in message.attachments]}
    shown |= {
        "mentions": [],
        "mention_roles": list(message.mentioned_roles),
        "mention_everyone": message.mentions_everyone,
    }
    return shown | _show_links(guild, message)


def _message_type(message: Message) -> int:
    if message.invocation is not None and message.invocation["type"] == 2:
        return COMMAND_ANSWER
    return REPLY if message.reply_to else PLAIN


def _show_links(guild: Guild, message: Message) -> Json:
    links: Json = {}
    if message.nonce is not None:
        links["nonce"] = message.nonce
    if message.invocation is not None:
        links |= {
            "interaction_metadata": message.invocation,
            "application_id": guild.bot.id,
            "webhook_id": guild.bot.id,
        }
    if message.reply_to is not None:
        place = {"type": 0, "message_id": message.reply_to, "channel_id": message.channel, "guild_id": guild.id}
        links["message_reference"] = place
    if message.flags & Flag.HAS_THREAD and message.id in guild.channels:
        links["thread"] = show_channel(guild, guild.channels[message.id])
    return links
