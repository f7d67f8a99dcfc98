"""The guided run: the sample realm in a temporary folder, under the bot, with the sandbox as its Discord."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import click

from bot import app as bot_app
from bot import log as bot_log
from bot.demo import acts, bugs, leftovers, panel, story
from bot.demo.known import Known
from bot.demo.telling import Say, Teller
from bot.demo.turn import PATIENCE, Turn
from bot.demo.world import DemoWorld, list_words, make_world, settings_of
from bot.faults import SettingsError
from bot.sandbox import MessageEvent
from bot.wiring import build_redactor
from pipeline.errors import DefiniteError, PipelineError

SOAK = timedelta(seconds=20)
SOAK_ONCE = timedelta(seconds=3)
READY = 120.0  # seconds for the realm and the channel to be up
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Door:
    """Where the channel is seen in a browser."""

    port: int = 0  # 0 = any free one
    token: str | None = None  # None = one that nobody knows yet


def read_door() -> Door:
    """As SANDBOX_PORT and SANDBOX_TOKEN say. Raises SettingsError, before a realm is built for nothing."""
    given = os.environ.get("SANDBOX_PORT") or "0"
    if not (given.isascii() and given.isdigit() and int(given) < 65536):
        raise SettingsError(["SANDBOX_PORT: is no port: give a number from 1 to 65535, or 0 for any free one"])
    try:
        socket.create_server(("127.0.0.1", int(given))).close()
    except OSError as fault:
        why = os.strerror(fault.errno or 0)
        raise SettingsError([f"SANDBOX_PORT: {given} cannot be had ({why}): give another one, or 0"]) from fault
    return Door(int(given), os.environ.get("SANDBOX_TOKEN") or None)


async def play(stop: asyncio.Event, *, once: bool, as_json: bool) -> int:
    """The exit code: 0 if what was asked for happened."""
    try:
        return await play_behind(read_door(), stop, once=once, as_json=as_json)
    except (PipelineError, SettingsError) as fault:
        click.echo(str(fault), err=True)
        return 1


async def play_behind(door: Door, stop: asyncio.Event, *, once: bool, as_json: bool) -> int:
    """As `play`. Raises PipelineError."""

    def say(text: str) -> None:
        click.echo(text, err=as_json)

    for left in await asyncio.to_thread(leftovers.clear):
        say(f"Cleared away what an earlier demo has left in {left}.")
    folder = leftovers.make_folder()
    teller, kept = Teller(say), False
    try:
        teller.step(f"Making a realm in {folder}: its repository, a remote, a first build.")
        world = await asyncio.to_thread(make_world, folder)
        await asyncio.to_thread(acts.leave_note, world)
        if not once:
            return await host(world, door, stop, say, teller)
        outcome = await heal(world, door, stop, teller)
        if outcome is None:
            say(f"Ended before it was healed; {folder} is removed.")
            return 1
        kept = not outcome.healed
        if as_json:
            click.echo(json.dumps(asdict(outcome), ensure_ascii=False))
        else:
            say(story.conclude(outcome, world.folder, teller.elapsed))
        return 0 if outcome.healed else 1
    finally:
        if not kept:
            await asyncio.to_thread(leftovers.remove, folder)


async def host(world: DemoWorld, door: Door, stop: asyncio.Event, say: Say, teller: Teller) -> int:
    """The realm for a visitor, until told to stop."""
    analyst = list_words("bot.demo.turn", str(world.folder))
    async with bot_in(world, door, SOAK, teller.hear, analyst) as app, panel_of(app, world):
        say(f"\nThe channel, to be seen and used in a browser: {get_address(app)}\n")
        await story.wait_until_up(app, READY)
        say(instructions(world, get_address(app)))
        await stop.wait()
        teller.step(f"Ending the realm, the bot and the keeper; {world.folder} is removed.")
    return 0


@asynccontextmanager
async def panel_of(app: bot_app.App, world: DemoWorld) -> AsyncIterator[None]:
    """Beside the channel, for as long as the realm is there."""
    if app.sandbox is None:
        raise DefiniteError("the demo has no sandbox")
    kept = asyncio.ensure_future(panel.keep_up(world, app.sandbox, Known(app.tools.store, app.tools.keeper)))
    try:
        yield
    finally:
        kept.cancel()
        await asyncio.wait({kept})


async def heal(world: DemoWorld, door: Door, stop: asyncio.Event, teller: Teller) -> story.Healing | None:
    """One crash by itself; None if it was told to stop meanwhile."""
    async with bot_in(world, door, SOAK_ONCE, teller.hear, list_words("bot.demo.analyst")) as app:
        teller.step(f"The channel, to look on in a browser: {get_address(app)}")
        telling = asyncio.ensure_future(story.tell(app, world, teller.step))
        told_to_stop = asyncio.ensure_future(stop.wait())
        await asyncio.wait({telling, told_to_stop}, return_when=asyncio.FIRST_COMPLETED)
        told_to_stop.cancel()
        if not telling.done():
            telling.cancel()
            return None
        return telling.result()


@asynccontextmanager
async def bot_in(
    world: DemoWorld, door: Door, soak: timedelta, hear: Callable[[MessageEvent], None], analyst: tuple[str, ...] = ()
) -> AsyncIterator[bot_app.App]:
    """The bot over the realm; at the end both are gone, keeper and server included. `analyst`: ANALYST_COMMAND."""
    settings = settings_of(world, soak, analyst, door.port, door.token)
    redact = build_redactor(settings)
    bot_log.set_up(settings.state_dir / "logs", redact, console=False)
    ready: asyncio.Future[bot_app.App] = asyncio.get_running_loop().create_future()
    end = asyncio.Event()
    running = asyncio.ensure_future(bot_app.run(settings, end, sandbox=True, redact=redact, ready=ready.set_result))
    try:
        both: set[asyncio.Future[Any]] = {running, ready}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        app = ready.result()
        if app.sandbox is not None:
            app.sandbox.on_message(hear)
        yield app
    finally:
        end.set()
        await finish(running)
        await asyncio.to_thread(leftovers.end_realm, world.folder)


async def finish(running: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(leftovers.ENDING):
            await running
    except (TimeoutError, Exception):
        log.exception("the bot of the demo did not end in order")


# --- words -----------------------------------------------------------------------------------------------------------


def get_address(app: bot_app.App) -> str:
    return app.sandbox.address if app.sandbox else ""


def instructions(world: DemoWorld, address: str) -> str:
    """Where to look, and the line for each planted bug and each prepared fix."""
    own = f"{sys.executable} -m bot.demo"
    where = f"--world {world.folder}"
    crash = "\n".join(f"  {own} crash {bug.name:<10} {where}    # {bug.title}" for bug in bugs.BUGS)
    kinds = "|".join(kind.value for kind in bugs.FixKind)
    fixes = "\n".join(f"  {own} fix {bug.name} {kind.value} {where}" for bug in bugs.BUGS for kind in bugs.FixKind)
    turns = "\n".join(f"  {own} answer-by {each.value:<7} {where}" for each in (Turn.VISITOR, Turn.EXAMPLE))
    asks = "\n".join(f"  {own} {what:<16} {where}" for what in ("status", "summary", "doctor"))
    return f"""
The realm is up, and the bot watches it.

Answer in the example analyst's place, while it thinks ({PATIENCE:.0f} s), well or badly ({kinds}):
{fixes}

Have it wait for you alone, or answer again:
{turns}

Ask the bot's files and the realm, as `spirit-healer status`, `summary` and `doctor` do of a realm of yours:
{asks}

Crash it, with these lines in another terminal:
{crash}

or on the page: {address}
The example analyst answers, and the fix goes live.
Ctrl-C ends the realm, the bot and the keeper, and removes {world.folder}.
Killed by force it leaves them; `spirit-healer demo` then clears them away and begins a new realm.
"""
