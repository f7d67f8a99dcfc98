"""The sandbox as one object: builds its parts, listens on 127.0.0.1, and is what tests and the demo hold in their
hands."""

import asyncio
import functools
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from bot.sandbox import visitor
from bot.sandbox.address import Address, make_token, recall, remember
from bot.sandbox.call import Exchange, Violation
from bot.sandbox.clock import Clock
from bot.sandbox.doors import Doors, guard_host
from bot.sandbox.errors import Json
from bot.sandbox.faults import Faults
from bot.sandbox.feed import Feed, MessageEvent
from bot.sandbox.files import Files
from bot.sandbox.gateway import Gateway
from bot.sandbox.guild import Guild, Snowflakes, create_guild
from bot.sandbox.panel import Panel, PanelPlace, Press
from bot.sandbox.payloads import show_role
from bot.sandbox.permission import Permission
from bot.sandbox.rest import Check, RestApi
from bot.sandbox.rules import Rules
from bot.sandbox.service import Service
from bot.sandbox.state import Pressed, Reply, SandboxState, describe_sandbox
from bot.sandbox.store import Store, load_guild

T = TypeVar("T")
LARGEST_REQUEST = 120 << 20
# bytes: ten files of 10 MiB with room for the form


class Sandbox:
    """Made by `start`, ended by `stop` or `async with`. Ids are strings of digits."""

    def __init__(self, page_token: str, store: Path | None, clock: Clock, rules: Rules, check: Check | None) -> None:
        self.token = token = f"sandbox.{secrets.token_urlsafe(24)}"
        # the bot token that is accepted
        self.page_token = page_token
        # what X-Sandbox-Token must say
        self.port = 0
        self.rules = rules
        self._store = Store(store)
        self._guild = _open_guild(store, clock)
        self._feed = Feed()
        self._gateway = Gateway(self._guild, token, rules, self._feed.touch)
        self.faults = Faults(self._gateway)
        files = Files(self._store.folder)
        self._service = Service(self._guild, self._gateway, self._feed, files, rules, clock, self._store.touch)
        self._rest = RestApi(self._service, self.faults, self._store, token, check)
        self._place = PanelPlace(self._feed)
        self._doors = Doors(self._service, page_token, self._place)
        self._runner = web.AppRunner(self._build_app(), access_log=None, handle_signals=False, shutdown_timeout=1.0)

    @classmethod
    async def start(
        cls,
        port: int = 0,
        *,
        page_token: str | None = None,
        store: Path | None = None,
        clock: Clock | None = None,
        rules: Rules | None = None,
        check: Check | None = None,
    ) -> Self:
        """Listens on 127.0.0.1:`port` (0 = the one it had before, else any free one). `store`: a JSON file from which
        the channel is restored and to which it is written before each answer; attachments lie in a folder beside it,
        and so does the page's address. Raises OSError when the port is taken."""
        kept = await asyncio.to_thread(recall, store)

        build = functools.partial(cls, store=store, clock=clock or Clock(), rules=rules or Rules(), check=check)
        sandbox = build(page_token or kept.token or make_token())
        try:
            await sandbox._listen(port or kept.port)
        except OSError:
            if port or not kept.port:
                raise
            # somebody else has the port, whom an open tab tells its token
            sandbox = build(page_token or make_token())
            await sandbox._listen(0)
        await asyncio.to_thread(remember, store, Address(sandbox.port, "" if page_token else sandbox.page_token))
        return sandbox

    def _build_app(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_REQUEST, middlewares=[guard_host(lambda: self.port)])
        app.router.add_route("*", "/api/v10/{tail:.*}", self._rest.serve)
        app.router.add_get("/gateway/", self._serve_gateway)
        self._doors.add_to(app)
        return app

    async def _serve_gateway(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=503) if self.faults.outage else await self._gateway.serve(request)

    async def _listen(self, port: int) -> None:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = self._runner.addresses[0][1]
        self._service.base = self.url
        self._gateway.url = f"ws://127.0.0.1:{self.port}/gateway/"
        await self._store.save(self._guild, self._service.files)

    async def stop(self) -> None:
        """Clients see their connections torn; what a store keeps is on disk afterwards."""
        self._doors.stream.close()
        self._gateway.disconnect(None)
        await self._runner.cleanup()
        await self._store.save(self._guild, self._service.files)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """What is printed for a visitor to open."""
        return f"{self.url}/?token={self.page_token}"

    @property
    def guild_id(self) -> str:
        return self._guild.id

    @property
    def channel_id(self) -> str:
        return self._guild.channel_id

    @property
    def operator_role_id(self) -> str:
        return self._guild.operator_role_id

    @property
    def operator_id(self) -> str:
        return self._guild.operator.id

    @property
    def guest_id(self) -> str:
        return self._guild.guest.id

    @property
    def application_id(self) -> str:
        """Also the bot's user id."""
        return self._guild.bot.id

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """The newest requests of the bot with their answers, oldest first."""
        return tuple(self._rest.exchanges)

    @property
    def violations(self) -> list[Violation]:
        """What `check` said of them."""
        return self._rest.violations

    @property
    def sessions_begun(self) -> int:
        return self._gateway.identified

    @property
    def sessions_resumed(self) -> int:
        return self._gateway.resumed

    @property
    def members_asked(self) -> int:
        return self._gateway.members_asked

    def state(self) -> SandboxState:
        """The same as `GET /sandbox/state`."""
        return describe_sandbox(self._guild, self.url, gateway_up=self._gateway.up)

    def on_message(self, callback: Callable[[MessageEvent], None]) -> Callable[[], None]:
        """Calls back for every message that is created, edited or deleted; returns what ends that."""
        return self._feed.subscribe(callback)

    async def wait_for(self, predicate: Callable[[SandboxState], T], timeout: float = 10.0) -> T:  # noqa: ASYNC109 - as in feed.py
        """The first true result over the state, looked at now and after every change. Raises TimeoutError after
        `timeout` seconds."""
        return await self._feed.until(lambda: predicate(self.state()), timeout)

    async def slash(
        self, command: str, options: Json | None = None, user: str = "operator", *, channel_id: str | None = None
    ) -> Pressed:
        """As `POST /sandbox/slash`; `channel_id` may be a thread. Raises VisitorError for what Discord's client would
        not offer."""
        return await visitor.slash(self._service, command, options or {}, user, channel_id)

    async def click(self, message_id: str, custom_id: str, user: str = "operator", fields: Json | None = None) -> Reply:
        """As `POST /sandbox/click`. Raises VisitorError if this person sees no such button."""
        return await visitor.click(self._service, message_id, custom_id, user, fields)

    async def press(self, message_id: str, custom_id: str, user: str = "operator") -> Pressed:
        """As `click`, up to a dialogue that the bot opens."""
        return await visitor.press(self._service, message_id, custom_id, user)

    async def submit(self, interaction_id: str, fields: Json, user: str = "operator") -> Reply:
        """As `POST /sandbox/submit`. Raises VisitorError if no such dialogue is open for this person."""
        return await visitor.submit(self._service, interaction_id, fields, user)

    async def autocomplete(
        self, command: str, option: str, value: Any = "", user: str = "operator", *, options: Json | None = None
    ) -> list[Json]:
        """The choices `{"name", "value"}` offered for what was typed so far; `options` are those already filled in."""
        return await visitor.complete(self._service, command, option, value, user, options or {})

    def show_panel(self, panel: Panel, press: Press) -> None:
        """Puts a panel beside the channel of the page, or changes it; `press` is called with a button's id."""
        self._place.put(panel, press)

    def set_operator(self, user: str, *, granted: bool) -> None:
        """Gives "operator" or "guest" the operator role, or takes it away."""
        visitor.set_operator(self._service, user, granted=granted)

    def forbid(self, permissions: Permission) -> None:
        """Takes permissions from the bot's roles; requests that need them get 50013 (50001 without VIEW_CHANNEL)."""
        for role_id in (self._guild.id, self._guild.bot_role_id):
            self._set_permissions(role_id, Permission(self._guild.roles[role_id].permissions) & ~permissions)

    def allow(self, permissions: Permission) -> None:
        """Gives permissions to the bot's role."""
        role = self._guild.roles[self._guild.bot_role_id]
        self._set_permissions(role.id, Permission(role.permissions) | permissions)

    def _set_permissions(self, role_id: str, permissions: Permission) -> None:
        role = self._guild.roles[role_id] = replace(self._guild.roles[role_id], permissions=int(permissions))
        self._gateway.dispatch("GUILD_ROLE_UPDATE", {"guild_id": self._guild.id, "role": show_role(role)})
        self._store.touch()

    def delete_message(self, message_id: str) -> None:
        """As a moderator would. Raises KeyError if it is not there."""
        self._service.remove(self._guild.messages[message_id])

    def delete_channel(self, channel_id: str) -> None:
        """A channel or a thread with all its messages. Raises KeyError if it is not there."""
        self._service.remove_channel(self._guild.channels[channel_id])


def _open_guild(store: Path | None, clock: Clock) -> Guild:
    ids = Snowflakes(clock.wall)
    guild = None if store is None else load_guild(store, ids)
    if guild is None:
        return create_guild(ids, clock.wall())
    for known in (guild.bot.id, guild.operator.id, guild.guest.id, *guild.messages, *guild.channels, *guild.commands):
        ids.continue_after(known)
    return guild
