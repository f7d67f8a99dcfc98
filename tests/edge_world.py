"""The real discord.py client and the real edge against the loopback Discord, ticked by hand."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from edge_fakes import FakeClock, FakeDesk, FakeLedger

from bot.commands import OrderDesk
from bot.edge import Edge, EdgeSettings
from bot.login import Ear, run_client
from bot.sandbox import Clock as SandboxClock
from bot.sandbox import MessageState, Reply, Rules, Sandbox, redirect_discord
from bot.sandbox.spec import Specification
from pipeline.ports import Clock

SPECIFICATION = Path(__file__).parents[1].parent / "shared" / "discord-openapi.json"
PATIENCE = 10.0  # seconds
QUICK = {"message_limit": 1000}  # sends and edits in five seconds: tests that are not about the rate do not wait for it


@functools.cache
def load_specification() -> Specification | None:
    """None where it does not lie beside the repository: then nothing is compared with it."""
    return Specification(SPECIFICATION) if SPECIFICATION.is_file() else None


async def until(condition: Callable[[], object]) -> None:
    """Waits for what no event tells of."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - the state is another program's
            await asyncio.sleep(0.005)


def hide_password(text: str) -> str:
    return text.replace("hunter2", "[redacted]")


@dataclass
class DiscordTime:
    """Discord's own clock, whatever the bot's says: it dates messages and clicks."""

    ahead: float = 0.0  # seconds that a test moved it

    def now(self) -> float:
        return time.time() + self.ahead


@dataclass
class EdgeWorld:
    """One channel, one bot that can be restarted, one ledger that outlives it."""

    sandbox: Sandbox
    discord_time: DiscordTime = field(default_factory=DiscordTime)
    clock: FakeClock = field(default_factory=FakeClock)
    desk: FakeDesk = field(default_factory=FakeDesk)
    reports: dict[str, str | None] = field(default_factory=dict)
    ping_role: int | None = None
    ear: Ear = field(default_factory=Ear)
    book: Any = None  # a real outbox, of a world of the pipeline; None = the fake one
    time: Clock | None = None  # of that world
    orders: OrderDesk | None = None  # of that world; None = the fake desk

    def __post_init__(self) -> None:
        self.ledger = FakeLedger(self.clock)
        self.edge = self._make_edge()
        self._login: asyncio.Task[None] | None = None
        self.pauses: list[float] = []  # seconds between tries to log in

    def _make_edge(self) -> Edge:
        sandbox = self.sandbox
        settings = EdgeSettings(
            sandbox.token,
            int(sandbox.guild_id),
            int(sandbox.channel_id),
            "Testrealm",
            operator_roles=frozenset({int(sandbox.operator_role_id)}),
            ping_role=self.ping_role,
            notice=timedelta(seconds=30),
            guild_ready_timeout=0.05,
        )
        book, clock = self.book or self.ledger, self.time or self.clock
        return Edge(settings, book, self.orders or self.desk, clock, hide_password, self.report)

    def report(self, topic: str, words: str | None) -> None:
        self.reports[topic] = words

    async def pause(self, seconds: float) -> None:
        """Between two tries to log in: as short as the machine allows."""
        self.pauses.append(seconds)
        await asyncio.sleep(0.02)

    async def log_in(self) -> None:
        """Without the outbox's own loop: tests call `deliver`."""
        login = run_client(self.edge.make_client, self.sandbox.token, self.report, self.pause, self.ear)
        self._login = asyncio.create_task(login)
        await until(lambda: self.edge.channel.open)
        await self.sandbox.wait_for(lambda state: state["ready"], PATIENCE)

    async def log_out(self) -> None:
        if self._login is not None:
            self._login.cancel()
            await asyncio.wait([self._login], timeout=PATIENCE)

    async def restart(self) -> None:
        """Whatever the bot had in memory is gone."""
        await self.log_out()
        self.ledger.before_note = lambda: None
        self.clock.move(1)
        self.edge = self._make_edge()
        await self.log_in()

    async def deliver(self, passes: int = 1) -> None:
        """Passes of the outbox, a minute apart, so that whatever rested tries again."""
        for number in range(passes):
            if number:
                self.clock.move(61)
            await self.edge.outbox.deliver()

    @property
    def messages(self) -> list[MessageState]:
        """What everyone sees."""
        return [each for each in self.sandbox.state()["messages"] if each["ephemeral_to"] is None]

    @property
    def titles(self) -> list[str]:
        """Of the channel's embeds, threads left out."""
        return [each["embeds"][0].get("title", "") for each in self.messages if each["embeds"] and not each["thread"]]

    def in_thread(self, thread: str | None) -> list[str]:
        return [each["embeds"][0]["title"] for each in self.messages if each["thread"] == thread and thread]

    def get_footers(self) -> list[str]:
        """The outbox ids in the channel and its threads, in the order of the messages."""
        texts = [each["embeds"][0].get("footer", {}).get("text", "") for each in self.messages if each["embeds"]]
        return [text.rsplit(" ", 1)[-1] for text in texts]

    def count_requests(self, method: str, ending: str) -> int:
        return sum(each.method == method and each.path.endswith(ending) for each in self.sandbox.exchanges)

    async def slash(self, command: str, user: str = "operator", **options: Any) -> MessageState:
        return said(await self.sandbox.slash(command, options, user))

    async def slash_from(self, where: str, command: str, **options: Any) -> Reply:
        """An operator's command from a "direct message" or from "elsewhere", another server: Discord offers neither for
        commands of a server, and the bot does not rely on that."""
        with self._moved(where):
            return await self.sandbox.slash(command, options, "operator")

    async def click_from(self, where: str, message: str, custom_id: str) -> Reply:
        """The same of a button."""
        with self._moved(where):
            return await self.sandbox.click(message, custom_id)

    async def submit_from(self, where: str, interaction: str, fields: dict[str, str]) -> Reply:
        """The same of a dialogue."""
        with self._moved(where):
            return await self.sandbox.submit(interaction, fields)

    @contextmanager
    def _moved(self, where: str) -> Iterator[None]:
        gateway = self.sandbox._service.gateway
        dispatch = gateway.dispatch

        def send_elsewhere(event: str, data: Any) -> Any:
            return dispatch(event, move(data, where) if event == "INTERACTION_CREATE" else data)

        with patch.object(gateway, "dispatch", send_elsewhere):
            yield

    async def click(self, message: MessageState, label: str, user: str = "operator") -> MessageState:
        return said(await self.sandbox.click(message["id"], get_button(message, label), user))


def move(interaction: Any, where: str) -> Any:
    """The same interaction from another place."""
    if where == "elsewhere":
        other = str(int(interaction["guild_id"]) + 1)
        return interaction | {"guild_id": other, "guild": interaction["guild"] | {"id": other}}
    moved = {name: value for name, value in interaction.items() if name not in ("guild_id", "guild", "member")}
    channel = {"id": interaction["channel_id"], "type": 1, "recipients": [interaction["member"]["user"]]}
    return moved | {"user": interaction["member"]["user"], "context": 1, "channel": channel}


def said(reply: Reply) -> MessageState:
    assert reply["response"] is not None, "nobody answered"
    return reply["response"]


def get_buttons(message: MessageState) -> dict[str, str]:
    """Label -> custom_id."""
    found = [button for row in message["components"] for button in row["components"]]
    return {each["label"]: each["custom_id"] for each in found}


def get_button(message: MessageState, label: str) -> str:
    return get_buttons(message)[label]


@asynccontextmanager
async def open_world(
    book: Any = None, time: Clock | None = None, orders: OrderDesk | None = None, **rules: Any
) -> AsyncIterator[EdgeWorld]:
    """A world whose bot is logged in; at its end no request may have broken Discord's specification."""
    specification = load_specification()
    check = None if specification is None else specification.check
    discord_time = DiscordTime()
    clock = SandboxClock(wall=discord_time.now)
    async with await Sandbox.start(rules=Rules(**(QUICK | rules)), check=check, clock=clock) as sandbox:
        redirect_discord(sandbox.port)
        world = EdgeWorld(sandbox, discord_time, book=book, time=time, orders=orders)
        try:
            await world.log_in()
            yield world
            assert sandbox.violations == [], sandbox.violations
        finally:
            await world.log_out()
