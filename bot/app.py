"""The composition root: wires what `wiring.py` builds, starts things in order and ends them in order.

The keeper comes first (`guard.py`), before the database, git or Discord: none of them may delay a restart of the
server. What does not work is said and tried again (`degraded.py`); only faults of the settings end the start.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from bot import realm as realms
from bot.degraded import AGAIN, note_degraded, note_fault, tried, until_it_works, wait_or_stop
from bot.edge import Edge
from bot.guard import KEEPER_EVERY, ensure_keeper, guard_keeper, refuse_another_folder, start_keeper
from bot.lock import InstanceHeld, InstanceLock
from bot.sandbox import Sandbox, redirect_discord
from bot.settings import Settings
from bot.wiring import build_tools, edge_settings, watched_paths
from pipeline import history, knowledge, migrate, regrouping
from pipeline.adapters.git_remote import tell_retries
from pipeline.adapters.watcher import Watcher
from pipeline.ledger import Ledger
from pipeline.model import Realm
from pipeline.obstacles import add_cure
from pipeline.orders import Orders
from pipeline.points import point
from pipeline.runner import Runner
from pipeline.tools import DATABASE, Tools

log = logging.getLogger(__name__)

LOOK_AROUND = 5.0  # seconds between two ticks where watching for changes does not work
STRAYS_EVERY = 5.0  # seconds between two looks into the crash folders for what is of no crash
OLD_REPORTS = "old crash reports"


@dataclass
class App:
    """Everything that was built, for whoever runs it (the command line, the demo, the tests)."""

    settings: Settings
    realm: Realm
    tools: Tools
    runner: Runner
    orders: Orders
    edge: Edge | None
    sandbox: Sandbox | None


async def run(
    settings: Settings,
    stop: asyncio.Event,
    *,
    sandbox: bool,
    redact: Callable[[str], str],
    ready: Callable[[App], None] = lambda app: None,
) -> None:
    """The bot, until `stop` is set. The server goes on. Raises InstanceHeld, DefiniteError."""
    realm = realms.describe(settings)
    lock = InstanceLock(realm.state_dir)
    shared: list[InstanceLock] = []
    tools = build_tools(settings, realm, redact)
    tell_retries()
    if not await become_the_bot(lock, tools, stop):
        return
    try:
        await asyncio.to_thread(refuse_another_folder, tools)
        await asyncio.to_thread(start_keeper, tools)
        point("bot.keeper")
        shared = await asyncio.to_thread(hold_shared_folders, settings)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(serve(settings, tools, stop, sandbox, ready), name="serve")
            guard = group.create_task(guard_keeper(tools, lock), name="keeper guard")
            await serving
            guard.cancel()
    finally:
        for each in (*shared, lock):
            each.release()


def hold_shared_folders(settings: Settings) -> list[InstanceLock]:
    """Folders that a person may give to two realms: each bot would move the other's answers to `rejected/`, and make
    the other's build anew. Raises InstanceHeld; the server runs by then."""
    held: list[InstanceLock] = []
    named = {"ANALYST_QUEUE_DIR": settings.analyst_queue_dir, "BUILD_DIR": settings.build_dir}
    for name, folder in named.items():
        if folder is None:
            continue
        lock = InstanceLock(folder)
        try:
            lock.acquire()
        except InstanceHeld as fault:
            for each in held:
                each.release()
            raise InstanceHeld(f"{name}: {fault}; give each realm a folder of its own") from fault
        except OSError as fault:  # a disk that gives no lock is told by whoever works there
            log.warning("%s: %s cannot be locked: %s", name, folder, fault)
            continue
        held.append(lock)
    return held


async def become_the_bot(lock: InstanceLock, tools: Tools, stop: asyncio.Event) -> bool:
    """Takes the lock; False when told to stop meanwhile. Raises InstanceHeld.

    A disk that gives no lock must not leave a dead server down: the keeper has a lock of its own and is started.
    """
    while not stop.is_set():
        try:
            lock.acquire()
        except OSError as fault:
            note_fault(tools, "instance lock", add_cure(f"{tools.realm.state_dir} cannot be locked: {fault}"))
            await asyncio.to_thread(ensure_keeper, tools)
            await wait_or_stop(stop, KEEPER_EVERY)
        else:
            note_fault(tools, "instance lock", None)
            return True
    return False


async def serve(
    settings: Settings, tools: Tools, stop: asyncio.Event, sandbox: bool, ready: Callable[[App], None]
) -> None:
    """Database, clone, runner and Discord, each tried until it works."""
    async with Loopback(settings, sandbox) as loopback:
        app = assemble(settings, tools, loopback)
        tasks: list[asyncio.Future[Any]] = []
        try:
            if not await open_database(app, tasks, stop, ready):
                return
            await until_it_works(tools, "stored signatures", lambda: settle_rules(tools), stop)
            await until_it_works(tools, "children of an earlier life", lambda: end_strays(tools), stop)
            await until_it_works(tools, "the analyst's queue", lambda: open_queue(tools), stop)
            start_edge(app, tasks, ready)
            prepare = asyncio.ensure_future(until_it_works(tools, "source", lambda: prepare_source(tools), stop))
            prepare.add_done_callback(lambda _: app.runner.wake())  # what waited for the clone goes on at once
            others: list[Coroutine[Any, Any, Any]] = [
                take_in_reports(tools, stop),
                Watcher(watched_paths(settings, tools), app.runner.wake, fallback=LOOK_AROUND).run(),
            ]
            tasks += [prepare, *(asyncio.ensure_future(each) for each in others)]
            await asyncio.to_thread(keep_what_is_loaded)
            await app.runner.run(stop)
        finally:
            await end(tasks)


async def take_in_reports(tools: Tools, stop: asyncio.Event) -> None:
    """Those that lay there before us, then whatever is put beside them."""
    strays = history.Strays(tools)
    await until_it_works(tools, OLD_REPORTS, lambda: history.import_old_reports(tools, stop.is_set), stop)
    while not stop.is_set():
        await until_it_works(tools, OLD_REPORTS, lambda: strays.take_in(stop.is_set), stop)
        await wait_or_stop(stop, STRAYS_EVERY)


def keep_what_is_loaded() -> None:
    """Modules and what hangs on them live as long as we do: looking through them for garbage stopped every thread for a
    tenth of a second, in the midst of a fix."""
    gc.collect()
    gc.freeze()


async def open_database(
    app: App, tasks: list[asyncio.Future[Any]], stop: asyncio.Event, ready: Callable[[App], None]
) -> bool:
    """False when told to stop meanwhile. Where it does not work at once, Discord is there to say so."""
    if await tried(app.tools, DATABASE, lambda: migrate_database(app.tools)):
        return True
    start_edge(app, tasks, ready)
    await wait_or_stop(stop, AGAIN)
    return await until_it_works(app.tools, DATABASE, lambda: migrate_database(app.tools), stop)


def start_edge(app: App, tasks: list[asyncio.Future[Any]], ready: Callable[[App], None]) -> None:
    """Once."""
    if not tasks:
        tasks.append(asyncio.ensure_future(app.edge.run() if app.edge is not None else asyncio.sleep(0)))
        ready(app)


def assemble(settings: Settings, tools: Tools, loopback: Loopback) -> App:
    """The runner, the desk and the edge, each knowing how to wake the other."""
    loop = asyncio.get_running_loop()
    edge: Edge | None = None

    def changed() -> None:
        if edge is not None:
            edge.wake()

    runner = Runner(tools, changed)

    def woken() -> None:
        loop.call_soon_threadsafe(runner.wake)
        loop.call_soon_threadsafe(changed)

    orders = Orders(tools, woken, runner.cancel)
    edge = Edge(edge_settings(settings, loopback.sandbox), Ledger(tools), orders, tools.clock, tools.redact,
                lambda topic, words: note_degraded(tools, topic, words))  # fmt: skip
    return App(settings, tools.realm, tools, runner, orders, edge, loopback.sandbox)


class Loopback:
    """The sandbox beside the bot, where one is wanted; discord.py is sent there before it connects."""

    def __init__(self, settings: Settings, wanted: bool) -> None:
        self._settings = settings
        self._wanted = wanted
        self.sandbox: Sandbox | None = None

    async def __aenter__(self) -> Loopback:
        if self._wanted:
            token = self._settings.sandbox_token
            self.sandbox = await Sandbox.start(
                self._settings.sandbox_port,
                page_token=token.get_secret_value() if token else None,
                store=self._settings.state_dir / "sandbox" / "channel.json",
            )
            redirect_discord(self.sandbox.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.sandbox is not None:
            await self.sandbox.stop()


def migrate_database(tools: Tools) -> None:
    migrate.bring_to_head(tools.store.engine, tools.realm.state_dir / "copies")
    point("bot.migrated")


def settle_rules(tools: Tools) -> None:
    """Before the next crash is grouped."""
    note_fault(tools, "rules of grouping", regrouping.settle(tools.store, tools.realm.state_dir))
    knowledge.list_entries(tools)  # says what of the user's own cannot be used


def open_queue(tools: Tools) -> None:
    """The folders are there before the first crash; what lay in them before us is history."""
    tools.analyst.create()
    point("bot.queue")
    history.import_history(tools)
    point("bot.history")


def prepare_source(tools: Tools) -> None:
    tools.source.prepare()
    point("bot.source")
    tools.prepared.set()


def end_strays(tools: Tools) -> None:
    """What an earlier life of the bot started and could not end."""
    children = tools.store.take_children()
    tools.builder.end_strays(children)
    tools.analyst.remove_leftovers()
    tools.store.forget_children(children)


async def end(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=10)
