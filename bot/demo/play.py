"""The guided run: the sample realm in a temporary folder, under the bot, with the sandbox as its Discord."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import psutil

from bot import app as bot_app
from bot import log as bot_log
from bot.demo import acts, bugs, story
from bot.demo.world import DemoWorld, make_world, settings_of
from bot.sandbox import MessageEvent
from bot.settings import SettingsError
from pipeline.errors import PipelineError
from pipeline.keeper.protocol import Want
from pipeline.ports import Keeper

SOAK = timedelta(seconds=20)
SOAK_ONCE = timedelta(seconds=3)
ENDING = 30.0  # seconds for the server and the keeper to end
READY = 120.0  # seconds for the realm and the channel to be up
log = logging.getLogger(__name__)

Say = Callable[[str], None]


async def play(stop: asyncio.Event, *, once: bool, as_json: bool) -> int:
    """The exit code: 0 if what was asked for happened."""

    def say(text: str) -> None:
        click.echo(text, err=as_json)

    folder = Path(tempfile.mkdtemp(prefix="spirit-healer-demo-"))
    try:
        say("Making a realm: its repository, a remote, a first build …")
        world = await asyncio.to_thread(make_world, folder)
        await asyncio.to_thread(acts.leave_note, world)
        return await heal(world, stop, say, as_json) if once else await host(world, stop, say)
    except (PipelineError, SettingsError) as fault:
        click.echo(str(fault), err=True)
        return 1
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)


async def host(world: DemoWorld, stop: asyncio.Event, say: Say) -> int:
    """The realm for a visitor, until told to stop."""
    async with bot_in(world, SOAK, say) as app:
        await story.wait_until_up(app, READY)
        say(instructions(world, app.sandbox.address if app.sandbox else ""))
        await stop.wait()
        say("Ending the realm …")
    return 0


async def heal(world: DemoWorld, stop: asyncio.Event, say: Say, as_json: bool) -> int:
    """One crash by itself; 0 only if the server runs the fixed build and the fix is on the remote."""
    async with bot_in(world, SOAK_ONCE, say) as app:
        telling = asyncio.ensure_future(story.tell(app, world, say))
        told_to_stop = asyncio.ensure_future(stop.wait())
        await asyncio.wait({telling, told_to_stop}, return_when=asyncio.FIRST_COMPLETED)
        told_to_stop.cancel()
        if not telling.done():
            telling.cancel()
            return 1
        outcome = telling.result()
    if as_json:
        click.echo(json.dumps(asdict(outcome), ensure_ascii=False))
    else:
        say(story.conclude(outcome))
    return 0 if outcome.healed else 1


@asynccontextmanager
async def bot_in(world: DemoWorld, soak: timedelta, say: Say) -> AsyncIterator[bot_app.App]:
    """The bot over the realm; at the end both are gone, keeper and server included."""
    port, token = os.environ.get("SANDBOX_PORT") or "0", os.environ.get("SANDBOX_TOKEN") or None
    if not port.isdigit():
        raise SettingsError(["SANDBOX_PORT: is not a number: give a port, or 0 for any free one"])
    settings = settings_of(world, soak, int(port), token)
    redact = bot_app.build_redactor(settings)
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
            app.sandbox.on_message(lambda event: say_message(say, event))
        yield app
    finally:
        end.set()
        await finish(running)
        await asyncio.to_thread(end_realm, settings.state_dir, world)


async def finish(running: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(ENDING):
            await running
    except (TimeoutError, Exception):
        log.exception("the bot of the demo did not end in order")


def end_realm(state_dir: Path, world: DemoWorld) -> None:
    """Wishes the server down, waits for it, and ends the keeper."""
    from pipeline.adapters.keeper_client import FileKeeper

    keeper = FileKeeper(state_dir, world.server_dir)
    wished = keeper.desired()
    if wished is not None:
        keeper.wish(replace(wished, generation=wished.generation + 1, want=Want.STOPPED, by="demo", operator_stop=True))
    deadline = time.monotonic() + ENDING
    while is_up(keeper) and time.monotonic() < deadline:
        time.sleep(0.05)
    observed = keeper.observed()
    if observed is not None and keeper.alive():
        end_process(observed.keeper_pid, deadline)


def is_up(keeper: Keeper) -> bool:
    observed = keeper.observed()
    return keeper.alive() and observed is not None and observed.pid is not None


def end_process(pid: int, deadline: float) -> None:
    try:
        process = psutil.Process(pid)
        process.terminate()
        process.wait(max(1.0, deadline - time.monotonic()))
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        process.kill()


# --- words -----------------------------------------------------------------------------------------------------------


def say_message(say: Say, event: MessageEvent) -> None:
    """A message of the channel as text: what it says first, and what hangs below it."""
    message = event.message
    place = "thread" if message["thread"] else "channel"
    mark = {"create": "+", "edit": "~", "delete": "-"}[event.kind]
    lines = [line for line in (message["content"] or "").splitlines() if line.strip()]
    for embed in message["embeds"]:
        lines += [str(embed.get("title") or ""), *str(embed.get("description") or "").splitlines()]
        lines += [f"{field['name']}: {field['value']}" for field in embed.get("fields") or []]
    lines += [f"[{each['filename']}, {each['size']} bytes]" for each in message["attachments"]]
    shown = [line for line in lines if line.strip()][:12]
    if shown:
        say("\n".join([f"{mark} {place}  {shown[0]}", *(f"             {line}" for line in shown[1:])]))


def instructions(world: DemoWorld, address: str) -> str:
    """Where to look, and the line for each planted bug and each prepared fix."""
    own = f"{sys.executable} -m bot.demo"
    where = f"--world {world.folder}"
    kinds = "|".join(kind.value for kind in bugs.FixKind)
    crash = "\n".join(f"  {own} crash {bug.name:<10} {where}    # {bug.title}" for bug in bugs.BUGS)
    fixes = "\n".join(f"  {own} fix {bug.name} {kind.value} {where}" for bug in bugs.BUGS for kind in bugs.FixKind)
    return f"""
The realm is up, and the bot watches it. The channel: {address}

Crash it (each line in another terminal):
{crash}

Answer as its analyst would, well or badly ({kinds}):
{fixes}

Ctrl-C ends the realm, the bot and the keeper, and removes {world.folder}.
"""
