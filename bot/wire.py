"""Our messages as discord.py's objects. Everything that leaves goes through `limits.fit` here."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import discord

from bot import limits
from bot.payloads import Attachment, Button, Embed, Message, Style
from bot.redaction import Redact
from pipeline.redact import strike_part

STYLES = {
    Style.PRIMARY: discord.ButtonStyle.primary,
    Style.SECONDARY: discord.ButtonStyle.secondary,
    Style.DANGER: discord.ButtonStyle.danger,
}


@dataclass(frozen=True)
class Pen:
    """What every sent message needs beside itself."""

    redact: Redact
    ping_role: int | None = None  # DISCORD_PING_ROLE_ID

    async def send_form(self, message: Message) -> dict[str, Any]:
        """Keyword arguments of `send` and the like. A file that is gone says so in its place."""
        fitted = await asyncio.to_thread(self._prepare, message)
        form: dict[str, Any] = {"content": fitted.content or None, "allowed_mentions": discord.AllowedMentions.none()}
        if fitted.embed is not None:
            form["embed"] = to_embed(fitted.embed)
        if fitted.buttons:
            form["view"] = to_view(fitted.buttons)
        if fitted.files:
            form["files"] = [_to_file(each) for each in fitted.files]
        return form | self._ping(fitted)

    async def edit_form(self, message: Message) -> dict[str, Any]:
        """Keyword arguments of `edit` and the like: what the message no longer has is taken away."""
        form = await self.send_form(message)
        files = form.pop("files", [])
        return {"embed": None, "view": None} | form | {"attachments": files}

    def _ping(self, message: Message) -> dict[str, Any]:
        """The only mention there ever is: the configured role, in a text of ours, allowed by its id alone."""
        if not message.ping or self.ping_role is None:
            return {}
        allowed = discord.AllowedMentions(
            everyone=False, users=False, replied_user=False, roles=[discord.Object(self.ping_role)]
        )
        return {"content": f"<@&{self.ping_role}> {message.content}".strip(), "allowed_mentions": allowed}

    def _prepare(self, message: Message) -> Message:
        """In a thread: a log of 10 MiB takes a moment to read and to redact."""
        return limits.fit(replace(message, files=tuple(self._read(each) for each in message.files)))

    def _read(self, file: Attachment) -> Attachment:
        if file.content is not None:
            return file
        text = self.redact(file.text or "") if file.path is None else _read_ends(file.path, self.redact)
        return Attachment(file.name, text)


def _read_ends(path: Path, redact: Redact) -> str:
    """The file without its secrets, or its beginning and its end where it is larger than Discord takes."""
    half = limits.FILE_BYTES // 2
    try:
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            if size <= 2 * half:
                return redact(file.read().decode("utf-8", "replace"))
            head = file.read(half)
            file.seek(size - half)
            tail = file.read(half)
    except OSError as fault:
        return f"the file cannot be read any more: {fault.strerror}"
    begin = strike_part(head.decode("utf-8", "replace"), redact, ends=False)
    return f"{begin}\n... cut in the middle ...\n{strike_part(tail.decode('utf-8', 'replace'), redact, begins=False)}"


def to_embed(embed: Embed) -> discord.Embed:
    made = discord.Embed(title=embed.title or None, description=embed.description or None, colour=int(embed.colour))
    for each in embed.fields:
        made.add_field(name=each.name, value=each.value, inline=each.inline)
    if embed.image:
        made.set_image(url=f"attachment://{embed.image}")
    return made.set_footer(text=embed.footer) if embed.footer else made


def to_view(buttons: tuple[Button, ...]) -> discord.ui.View:
    """Stopped at once: clicks are told by their custom_id (commands/buttons.py), so that they outlive the bot."""
    view = discord.ui.View(timeout=None)
    for each in buttons:
        view.add_item(discord.ui.Button(label=each.label, custom_id=each.custom_id, style=STYLES[each.style]))
    view.stop()
    return view


def _to_file(file: Attachment) -> discord.File:
    content = file.content if file.content is not None else (file.text or "").encode("utf-8")
    return discord.File(io.BytesIO(content), filename=file.name)
