"""The story of `demo --once`: one crash, its fix, and what was measured on the way."""

from __future__ import annotations

import asyncio
import itertools
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import psutil

from bot.app import App
from bot.demo import acts, bugs
from bot.demo.leftovers import STATE
from bot.demo.patience import Patience
from bot.demo.world import DemoWorld
from pipeline.keeper.protocol import EventKind, ServerState
from pipeline.model import OVER, Run, RunState
from pipeline.store import Fact

BUG = "dispatcher"
HEALING = 300.0  # seconds for anything that takes no build
LOOK = 0.02  # seconds between two looks
LOOK_AT_BUILD = 0.2  # the same, while compilers need the machine
T = TypeVar("T")


@dataclass(frozen=True)
class Stage:
    stage: str
    seconds: float


@dataclass(frozen=True)
class Healing:
    """What `--json` prints. Times are measured, never assumed; None = not seen."""

    healed: bool
    stages: list[Stage] = field(default_factory=list)
    crash_to_restart_ms: float | None = None
    response_to_pickup_ms: float | None = None
    overhead_seconds: float | None = None
    downtime_seconds: float | None = None
    commit: str | None = None
    pushed: bool = False
    server: dict[str, Any] = field(default_factory=dict)
    messages: int = 0


async def until(look: Callable[[], T | None], what: str, seconds: float) -> T:
    """The first thing seen that is not None or False. Raises TimeoutError naming what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        found = await asyncio.to_thread(look)
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        await asyncio.sleep(LOOK)


async def until_built(app: App, look: Callable[[], T | None], what: str, say: Callable[[str], None] | None = None) -> T:
    """As `until`, but for as long as a build or a run goes on; `say` is told how far it is, None = its card tells."""
    patience = Patience(app.realm.state_dir, what, time.monotonic())

    def wait_on() -> str | None:
        runs = [(run.id, run.state) for run in app.tools.store.list_unfinished_runs()]
        return patience.look(time.monotonic(), runs)

    while not (found := await asyncio.to_thread(look)):
        word = await asyncio.to_thread(wait_on)
        if word is not None and say is not None:
            say(word)
        await asyncio.sleep(LOOK_AT_BUILD)
    return found


async def wait_until_up(app: App, seconds: float) -> None:
    """The server is ready and known, and the channel has its commands."""
    tools = app.tools
    await until(lambda: (tools.store.get_fact(Fact.FOUND) or {}).get("commit"), "the realm", seconds)
    if app.sandbox is not None:
        await app.sandbox.wait_for(lambda state: state["ready"], seconds)


async def tell(app: App, world: DemoWorld, say: Callable[[str], None]) -> Healing:
    try:
        await wait_until_up(app, HEALING)
        say("The server is up. What runs is built once: later a fix compiles only what it changes.")
        await until_built(app, lambda: app.tools.store.get_fact(Fact.WARM), "the warm build", say)
        return await crash_and_heal(app, world, say)
    except TimeoutError as late:
        say(f"Not healed: {late}")
        return Healing(healed=False, messages=count_messages(app))


async def crash_and_heal(app: App, world: DemoWorld, say: Callable[[str], None]) -> Healing:
    store = app.tools.store
    bug = bugs.get_bug(BUG)
    witness = Witness(app)
    say(f"A player finds a bug: {bug.title}.")
    await asyncio.to_thread(acts.crash, world, bug)
    begun = await until(lambda: store.list_unfinished_runs(), "the crash to be read", HEALING)
    say("The crash is read: the example analyst looks for the bug in the source, as an agent of yours would.")
    answered = await until(lambda: find_answer(app, world, begun[0]), "the analyst", HEALING)
    if answered.why_not is not None:
        say(f"{answered.why_not} A prepared answer stands in for it.")
        at = await asyncio.to_thread(acts.answer, world, bug, answered.request, bugs.FixKind.GOOD)
        answered = replace(answered, at=at)
    run = await until_built(app, lambda: find_ended(app, begun[0]), "the verdict")
    await until(lambda: store.count_undelivered() == 0, "the channel", 30)
    return measure(app, run, answered.at, witness)


@dataclass(frozen=True)
class Answered:
    at: float  # seconds since the epoch
    request: str
    why_not: str | None  # a sentence, where it has proposed nothing


def find_answer(app: App, world: DemoWorld, begun: Run) -> Answered | None:
    """What came of asking the example analyst; None as long as it thinks."""
    run = app.tools.store.get_run(begun.id)
    if run is None or run.request_id is None or (run.state is RunState.ANALYZING and not run.reason):
        return None
    if run.state is RunState.ANALYZING:
        return Answered(time.time(), run.request_id, f"No: {run.reason}.")
    written = acts.find_written(world.queue, run.request_id)
    summary = run.analysis.summary if run.analysis and run.state is RunState.PROPOSED else None
    return Answered(written, run.request_id, summary) if written is not None else None


def find_ended(app: App, begun: Run) -> Run | None:
    run = app.tools.store.get_run(begun.id)
    ended = run is not None and run.state in OVER and (run.pushed or run.state is not RunState.SUCCEEDED)
    return run if ended else None


class Witness:
    """Waits for the server's end on its own, beside the keeper, and notes when it came."""

    def __init__(self, app: App) -> None:
        observed = app.tools.keeper.observed()
        self.pid = observed.pid if observed else None
        self.exited_at: float | None = None  # seconds since the epoch
        if self.pid is not None:
            threading.Thread(target=self._wait, args=(self.pid,), daemon=True).start()

    def _wait(self, pid: int) -> None:
        wait_for_exit(pid, HEALING)
        self.exited_at = time.time()


def wait_for_exit(pid: int, seconds: float) -> None:
    """As soon as the kernel tells; psutil looks now and then, which is too coarse where this is not offered."""
    if sys.platform == "linux":
        handle = os.pidfd_open(pid)
        try:
            select.select([handle], [], [], seconds)
        finally:
            os.close(handle)
    else:
        psutil.Process(pid).wait(seconds)


def measure(app: App, run: Run, answered: float, witness: Witness) -> Healing:
    """Everything from what was recorded: the run's steps, the keeper's events, the remote."""
    history = app.tools.store.history(run.id)
    events = app.tools.store.list_events(run.created_at.replace(year=2000))
    observed = app.tools.keeper.observed()
    deployment = app.tools.store.get_deployment(run.deployment) if run.deployment else None
    picked_up = next((at for at, _, after, _ in history if after == RunState.READY), None)
    verdict_at = history[-1][0]
    runs_fix = observed is not None and observed.state is ServerState.READY and observed.build == run.commit
    return Healing(
        healed=run.state is RunState.SUCCEEDED and runs_fix and is_on_remote(app, run),
        stages=[
            Stage(after, round((until_ - at).total_seconds(), 3))
            for (at, _, after, _), (until_, _, _, _) in itertools.pairwise(history)
        ],
        crash_to_restart_ms=restart_ms(events, witness),
        response_to_pickup_ms=None if picked_up is None else round((picked_up.timestamp() - answered) * 1000, 1),
        overhead_seconds=None if picked_up is None else overhead(app, run, events, picked_up, verdict_at),
        downtime_seconds=deployment.down_seconds if deployment else None,
        commit=run.commit,
        pushed=run.pushed,
        server={"pid": observed.pid, "revision": observed.revision} if observed else {},
        messages=count_messages(app),
    )


def is_on_remote(app: App, run: Run) -> bool:
    """Asked of the remote itself, not of what we noted."""
    remote = app.tools.source.remote_head(run.branch) if run.branch else None
    return remote is not None and run.commit is not None and app.tools.source.contains(remote, run.commit)


def restart_ms(events: list[tuple[datetime, str, dict[str, Any]]], witness: Witness) -> float | None:
    """Exit of the old process as the witness saw it -> new process spawned."""
    starts = [
        at.timestamp() for at, kind, data in events if kind == EventKind.SPAWNED and data.get("pid") != witness.pid
    ]
    if witness.exited_at is None:
        return None
    after = [at for at in starts if at > witness.exited_at - 1.0]
    return round((min(after) - witness.exited_at) * 1000, 2) if after else None


def overhead(
    app: App, run: Run, events: list[tuple[datetime, str, dict[str, Any]]], start: datetime, end: datetime
) -> float:
    """Pick-up to verdict less compile, stop, start-to-ready, notice and soak."""
    build = app.tools.store.get_build(run.commit) if run.commit else None
    since = [each for each in events if each[0] >= start]
    stop = span(since, EventKind.STOPPING, EventKind.EXITED)
    ready = span(since, EventKind.SPAWNED, EventKind.READY)
    known = (build.seconds or 0.0 if build else 0.0) + stop + ready + app.realm.soak.total_seconds()
    return round((end - start).total_seconds() - known, 3)


def span(events: list[tuple[datetime, str, dict[str, Any]]], first: EventKind, then: EventKind) -> float:
    begins = next((at for at, kind, _ in events if kind == first), None)
    ends = next((at for at, kind, _ in events if kind == then and begins is not None and at >= begins), None)
    return (ends - begins).total_seconds() if begins and ends else 0.0


def count_messages(app: App) -> int:
    return len(app.sandbox.state()["messages"]) if app.sandbox is not None else 0


def conclude(outcome: Healing, folder: Path, seconds: float) -> str:
    """The verdict, what it rests on, and where things lie."""
    commit = (outcome.commit or "")[:12]
    if not outcome.healed:
        return (
            f"\nNot healed after {seconds:.0f} s. To look at, until the next demo removes it: "
            f"{folder / STATE / 'logs' / 'bot.log'}"
        )
    return f"""
Healed in {seconds:.0f} s.
  After the crash the next server was started within {show(outcome.crash_to_restart_ms, "ms")}, with the build it had.
  The fix is commit {commit}: the remote's night branch has it, and the server says that it runs it.
  For the new build the server was down for {show(outcome.downtime_seconds, "s")}.
  {outcome.messages} messages told it in the channel; the bot's own work took {show(outcome.overhead_seconds, "s")}.
{folder} is removed. `spirit-healer demo` stays up to be looked at; the README goes on with a realm of yours."""


def show(value: float | None, unit: str) -> str:
    return f"{value:.2g} {unit}" if value is not None else "a time that was not seen"
