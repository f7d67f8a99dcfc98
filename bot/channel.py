"""The one text channel and its threads, through discord.py; what Discord answers is told as one of a few faults.

ChannelFault
+-- Uncertain      no answer, or 5xx: it may have happened or not
+-- Later          Discord asks to wait (429); nothing happened
|   +-- TooOld     too many edits of messages older than an hour (30046)
+-- MessageGone    the message was deleted
+-- PlaceGone      the thread (or the channel itself) was deleted
+-- Closed         we may not, or the login no longer holds: waits until a person mends it
+-- Malformed      Discord does not take this message: a fault of ours
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Literal

import aiohttp
import discord

from bot.payloads import Message
from bot.wire import Pen

UNKNOWN_CHANNEL = 10003
UNKNOWN_MESSAGE = 10008
TOO_MANY_OLD_EDITS = 30046
NOT_THE_FORM = (50024, 50083)  # 400s of the place: of another type, a locked thread
THREAD_EXISTS = 160004
ARCHIVE_MINUTES: Literal[1440] = 1440
LOOK_BACK = 1000  # messages of history at the most
PATIENCE = 60.0  # seconds for one request, discord.py's own tries included
OLD_EDIT_WAIT = 60.0  # seconds

Report = Callable[[str, str | None], None]  # topic, what does not work in words; None = it works again


class ChannelFault(Exception):
    """The root: `str(fault)` is a sentence for the log and /status."""


class Uncertain(ChannelFault):
    """Whether it happened is not known."""


class Later(ChannelFault):
    """Nothing happened; `seconds` is how long Discord asks to wait."""

    def __init__(self, words: str, seconds: float) -> None:
        super().__init__(words)
        self.seconds = seconds


class TooOld(Later):
    """The message takes no more edits for now: it is older than an hour, and was edited often."""


class MessageGone(ChannelFault):
    """Somebody deleted the message."""


class PlaceGone(ChannelFault):
    """Somebody deleted the thread or the channel."""


class Closed(ChannelFault):
    """A right is missing, or the login no longer holds."""


class Malformed(ChannelFault):
    """Discord refuses the form of the message."""


class Channel:
    """`place` is the id of a thread, None the channel itself. Every call raises ChannelFault."""

    def __init__(self, guild: int, channel: int, pen: Pen) -> None:
        self.guild = guild
        self.id = channel
        self.pen = pen
        self._client: discord.Client | None = None

    def attach(self, client: discord.Client) -> None:
        """From now on through this client."""
        self._client = client

    def detach(self, client: discord.Client) -> None:
        if self._client is client:
            self._client = None

    @property
    def open(self) -> bool:
        """Whether there is a client that has logged in and knows its guild."""
        return self._client is not None and self._client.is_ready() and self._client.get_guild(self.guild) is not None

    async def send(self, place: str | None, message: Message, nonce: str) -> str:
        """The new message's id; within a few minutes the same nonce answers with the first message."""
        form = await self.pen.send_form(message)
        async with _told():
            sent = await self._messageable(place).send(**form, nonce=nonce)
        return str(sent.id)

    async def edit(self, message_id: str, message: Message, place: str | None = None) -> None:
        """A message of ours."""
        form = await self.pen.edit_form(message)
        async with _told():
            await self._messageable(place).get_partial_message(int(message_id)).edit(**form)

    async def open_thread(self, message_id: str, name: str) -> str:
        """The thread of a message; a thread that is there already is found, it has the message's id."""
        partial = self._messageable(None).get_partial_message(int(message_id))
        async with _told():
            try:
                thread = await partial.create_thread(name=name, auto_archive_duration=ARCHIVE_MINUTES)
            except discord.HTTPException as fault:
                if fault.code != THREAD_EXISTS:
                    raise
                return message_id
        return str(thread.id)

    async def open_loose_thread(self, name: str) -> str:
        """A thread of the channel, for a message whose own thread was deleted and cannot be made again."""
        async with _told():
            channel = await self._get_client().fetch_channel(self.id)
            if not isinstance(channel, discord.TextChannel):
                raise Closed(f"channel {self.id} is not a text channel")
            kind = discord.ChannelType.public_thread
            made = await channel.create_thread(name=name, type=kind, auto_archive_duration=ARCHIVE_MINUTES)
        return str(made.id)

    async def find(self, place: str | None, since: datetime) -> dict[str, str]:
        """Our own messages since then: the last word of the footer (`#p34`) -> message id."""
        me = self._get_client().user
        found: dict[str, str] = {}
        async with _told():
            async for each in self._messageable(place).history(limit=LOOK_BACK):
                if each.created_at < since:
                    break
                if me is not None and each.author.id == me.id:
                    found = {mark: str(each.id) for mark in _marks(each)} | found  # the newest of a mark counts
        return found

    def _messageable(self, place: str | None) -> discord.PartialMessageable:
        return self._get_client().get_partial_messageable(int(place) if place else self.id, guild_id=self.guild)

    def _get_client(self) -> discord.Client:
        if self._client is None:
            raise Closed("the bot is not logged in at Discord")
        return self._client


def _marks(message: discord.Message) -> list[str]:
    footers = [embed.footer.text or "" for embed in message.embeds]
    return [footer.rsplit(" ", 1)[-1] for footer in footers if footer]


@contextlib.asynccontextmanager
async def _told() -> AsyncIterator[None]:
    """discord.py's exceptions as ours."""
    try:
        async with asyncio.timeout(PATIENCE):
            yield
    except discord.RateLimited as fault:
        raise Later("Discord limits the rate", fault.retry_after) from fault
    except discord.HTTPException as fault:
        raise _name(fault) from fault
    except (TimeoutError, OSError, aiohttp.ClientError, RuntimeError) as fault:  # RuntimeError: the session was closed
        raise Uncertain(f"Discord does not answer ({type(fault).__name__})") from fault


def _name(fault: discord.HTTPException) -> ChannelFault:
    words = f"Discord says: {fault.text or 'no reason'} ({fault.status}, {fault.code})"
    if fault.code == TOO_MANY_OLD_EDITS:
        return TooOld(words, OLD_EDIT_WAIT)
    if fault.status == 429:
        return Later(words, _asked_wait(fault))
    if fault.status >= 500:
        return Uncertain(words)
    if fault.code == UNKNOWN_MESSAGE:
        return MessageGone(words)
    if fault.code == UNKNOWN_CHANNEL:
        return PlaceGone(words)
    if fault.status == 413 or (fault.status == 400 and fault.code not in NOT_THE_FORM):
        return Malformed(words)
    return Closed(words)


def _asked_wait(fault: discord.HTTPException) -> float:
    asked = fault.response.headers.get("Retry-After", "")
    return float(asked) if asked.replace(".", "", 1).isdigit() else 5.0
