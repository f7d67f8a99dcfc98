"""Staying logged in: every connection that cannot be taken up again, or that brings nothing any more, is a new client.

discord.py resumes a session by itself where the gateway answers at once. Its pauses between tries grow to 17 minutes,
so here it tries once and the pauses are ours.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import discord

from bot.channel import Report
from bot.client import SpiritHealer

REFUSED_LOGIN = 4004  # the gateway's close code
LONGEST_WAIT = 10.0  # seconds between tries while Discord is away: as long are commands deaf once it is back
APART = 90.0  # seconds between sessions that break: Discord resets a token that identifies 1,000 times a day
REFUSED_WAIT = 300.0  # seconds: 10,000 refused requests in 10 min end in a ban
CLOSING = 5.0  # seconds; behind a dead line the farewell would take half a minute

_log = logging.getLogger(__name__)


class Deaf(Exception):
    """The gateway is connected and brings nothing."""


@dataclass(frozen=True)
class Ear:
    """When a connection counts as deaf, in seconds."""

    silence: float = 120.0  # without an event until the gateway is asked for one
    patience: float = 20.0  # for its answer


async def run_client(
    make: Callable[[], SpiritHealer],
    token: str,
    report: Report,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ear: Ear | None = None,
) -> None:
    """Keeps a client logged in until it is cancelled. A refused login degrades the bot, it never ends it."""
    tries = 0
    while True:
        client, began = make(), time.monotonic()
        try:
            await _converse(client, token, ear or Ear())
            fault: Exception = ConnectionResetError()  # ended by Discord without a fault
        except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError, Deaf) as raised:
            fault = raised
        finally:
            await _close(client)
        identified = client.ws is not None
        if identified and time.monotonic() - began > APART:
            tries = 0
        wait, words = _read_fault(fault, min(APART if identified else LONGEST_WAIT, 2.0**tries))
        tries += 1
        _log.warning("%s Next try in %.0f s.", words, wait)
        report("discord login", words)
        await sleep(wait)


async def _converse(client: SpiritHealer, token: str, ear: Ear) -> None:
    """Until the connection ends. Raises Deaf, and whatever discord.py ends with."""
    talking = asyncio.ensure_future(client.start(token, reconnect=False))
    listening = asyncio.ensure_future(_listen(client, ear))
    try:
        done, _ = await asyncio.wait({talking, listening}, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
    finally:
        for each in (talking, listening):
            each.cancel()
        await asyncio.gather(talking, listening, return_exceptions=True)


async def _listen(client: SpiritHealer, ear: Ear) -> None:
    """Raises Deaf once the gateway owes an answer."""
    while True:
        await asyncio.sleep(max(0.0, ear.silence - client.silence))
        if client.silence >= ear.silence and not await client.can_hear(ear.patience):
            raise Deaf


async def _close(client: SpiritHealer) -> None:
    """What takes longer goes on beside the next login."""
    await asyncio.wait({asyncio.ensure_future(client.close())}, timeout=CLOSING)


def _read_fault(fault: Exception, wait: float) -> tuple[float, str]:
    """How long to wait, and what to say."""
    reset = isinstance(fault, discord.ConnectionClosed) and fault.code == REFUSED_LOGIN
    if reset or isinstance(fault, discord.LoginFailure):
        how = "ended the login: `DISCORD_TOKEN`" if reset else "refuses the login: `DISCORD_TOKEN` is wrong or"
        return REFUSED_WAIT, f"Discord {how} was reset. Messages wait until it is mended."
    if isinstance(fault, Deaf):
        return wait, "Discord is connected but brings nothing any more; the login is renewed."
    if isinstance(fault, discord.HTTPException) and fault.status == 429:
        return REFUSED_WAIT, "Discord refuses the login for now: too many requests from here. Messages wait."
    return wait, f"Discord cannot be reached ({type(fault).__name__}); messages wait and are delivered later."
