"""The guard of the keeper: it lives and has a wish, whatever else does not work."""

from __future__ import annotations

import asyncio
import logging

from bot import log as logs
from bot.degraded import note_degraded, note_fault
from bot.lock import InstanceLock
from pipeline.errors import DefiniteError, PipelineError
from pipeline.obstacles import add_cure
from pipeline.stages import wish
from pipeline.tools import Tools

KEEPER_EVERY = 2.0  # seconds between two looks whether the keeper lives

log = logging.getLogger(__name__)


def refuse_another_folder(tools: Tools) -> None:
    """SERVER_DIR was changed and the keeper of before lives: its news is of another server. Raises DefiniteError."""
    if (words := tools.keeper.find_elsewhere()) is not None:
        raise DefiniteError(words)


def start_keeper(tools: Tools) -> None:
    """The server comes up, or is found, before anything else is tried. What does not work is tried again later."""
    propose_wish(tools)
    ensure_keeper(tools)


def propose_wish(tools: Tools) -> None:
    """With a full disk the wish that is there stays in force."""
    try:
        with tools.wishing:
            previous = tools.keeper.desired()
            wished = wish.first_wish(tools.realm, previous)
            if wished != previous:
                tools.keeper.wish(wished)
        note_fault(tools, "wish", None)
    except OSError as fault:
        words = f"desired.json cannot be written, so the last wish stays in force: {fault}"
        note_fault(tools, "wish", add_cure(words))


def ensure_keeper(tools: Tools) -> bool:
    """Whether one had to be started."""
    try:
        started = tools.keeper.ensure()
    except (OSError, PipelineError) as fault:
        note_fault(tools, "keeper", add_cure(f"the keeper cannot be started: {fault}"))
        return False
    note_fault(tools, "keeper", None)
    return started


async def guard_keeper(tools: Tools, lock: InstanceLock) -> None:
    """Starts the keeper again when it dies, and tries again what a full disk refused at the start."""
    while True:
        await asyncio.sleep(KEEPER_EVERY)
        if await asyncio.to_thread(ensure_keeper, tools):
            log.warning("the keeper was gone; a new one was started")
        if "wish" in tools.degraded:
            await asyncio.to_thread(propose_wish, tools)
        if lock.unwritten is not None:
            await asyncio.to_thread(lock.write_note)
        fault = logs.find_fault() or lock.unwritten
        note_degraded(tools, "state folder", fault and add_cure(f"the state folder cannot be written: {fault}"))
