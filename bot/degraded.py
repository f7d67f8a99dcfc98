"""What does not work is said, in `/status` and the log, and tried again until it does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from pipeline.obstacles import find_obstacle
from pipeline.tools import Tools

AGAIN = 30.0  # seconds between two tries of what does not work

log = logging.getLogger(__name__)


def note_degraded(tools: Tools, topic: str, words: str | None) -> None:
    if words is None:
        tools.degraded.pop(topic, None)
    else:
        tools.degraded[topic] = words


def note_fault(tools: Tools, topic: str, words: str | None) -> None:
    """As `note_degraded`, and logged when it is news."""
    if words is not None and tools.degraded.get(topic) != words:
        log.warning("%s", words)
    note_degraded(tools, topic, words)


async def until_it_works(tools: Tools, topic: str, work: Callable[[], Any], stop: asyncio.Event) -> bool:
    """Tries again until it works, or the bot is told to stop; False then."""
    while not stop.is_set():
        if await tried(tools, topic, work):
            return True
        await wait_or_stop(stop, AGAIN)
    return False


async def tried(tools: Tools, topic: str, work: Callable[[], Any]) -> bool:
    """Whether it works now; what is wrong is said."""
    try:
        await asyncio.to_thread(work)
    except Exception as fault:
        obstacle = find_obstacle(fault)
        note = log.error if obstacle is None else log.warning
        note("%s does not work yet: %s", topic, fault, exc_info=fault if obstacle is None else None)
        tools.degraded[topic] = tools.redact(obstacle or f"{topic}: {fault}")
        return False
    tools.degraded.pop(topic, None)
    return True


async def wait_or_stop(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
