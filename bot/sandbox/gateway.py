"""The gateway: sessions that remember their events, connections that carry them (developer docs, topic "Gateway")."""

import asyncio
import json
import secrets
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from aiohttp import WSMsgType, web

from bot.sandbox.errors import Json
from bot.sandbox.guild import Guild
from bot.sandbox.payloads import show_guild_create, show_members_chunk, show_own_user
from bot.sandbox.rules import Rules
from pipeline.keeper.protocol import parse_json

REMEMBERED_EVENTS = 2000
GUILDS, GUILD_MESSAGES = 1 << 0, 1 << 9
AUTHENTICATION_FAILED, SESSION_NO_LONGER_VALID, DECODE_ERROR = 4004, 4006, 4002


class Op(IntEnum):
    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    RESUME = 6
    RECONNECT = 7
    REQUEST_GUILD_MEMBERS = 8
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11


@dataclass
class Session:
    """Outlives its connections until its client says goodbye or it is declared invalid."""

    intents: int
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    sequence: int = 0
    events: deque[Json] = field(default_factory=lambda: deque(maxlen=REMEMBERED_EVENTS))
    connection: "Connection | None" = None

    def wants(self, event: str) -> bool:
        """An intent that was not asked for keeps its events away, as Discord does."""
        if event.startswith("MESSAGE_"):
            return bool(self.intents & GUILD_MESSAGES)
        return not event.startswith(("GUILD_", "CHANNEL_", "THREAD_")) or bool(self.intents & GUILDS)

    def dispatch(self, event: str, data: Json) -> None:
        self.sequence += 1
        payload = {"op": Op.DISPATCH, "s": self.sequence, "t": event, "d": data}
        self.events.append(payload)
        if self.connection is not None and not self.connection.deaf:
            self.connection.send(payload)

    def remembers(self, sequence: int) -> bool:
        oldest = self.events[0]["s"] if self.events else self.sequence + 1
        return oldest - 1 <= sequence <= self.sequence


ACK_AFTER = 0.02  # seconds


class Connection:
    """One WebSocket. Sending never waits: a task writes what was queued, in order."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self._socket = socket
        self._request = request
        self._queue: asyncio.Queue[Json | int] = asyncio.Queue()
        self._deflate = zlib.compressobj() if request.query.get("compress") == "zlib-stream" else None
        self.deaf = False
        # events stay away, heartbeats are still answered
        self.session: Session | None = None
        self.closed_by_us = False

    def send(self, payload: Json) -> None:
        self._queue.put_nowait(payload)

    def close(self, code: int) -> None:
        """After everything that was sent before."""
        self.closed_by_us = True
        self._queue.put_nowait(code)

    def abort(self) -> None:
        """As if a cable was pulled: no close frame."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def write(self) -> None:
        """Until the socket is closed."""
        while not self._socket.closed:
            item = await self._queue.get()
            if isinstance(item, int):
                await self._socket.close(code=item)
                return
            await self._write_one(json.dumps(item))

    async def _write_one(self, text: str) -> None:
        # a client that asked for zstd gets plain text frames, which discord.py takes as well
        if self._deflate is None:
            await self._socket.send_str(text)
        else:
            frame = self._deflate.compress(text.encode()) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            await self._socket.send_bytes(frame)


class Gateway:
    """`url` is where a client resumes; `changed` is called whenever a client came or went."""

    def __init__(self, guild: Guild, token: str, rules: Rules, changed: Callable[[], None]) -> None:
        self._guild = guild
        self._token = token
        self._rules = rules
        self._changed = changed
        self.url = ""
        self.sessions: dict[str, Session] = {}
        self.connections: set[Connection] = set()
        self.answers_heartbeats = True
        self.identified = 0
        # times that a client began a session
        self.resumed = 0
        # times that a client took one up again
        self.members_asked = 0
        # times that a client asked for members

    @property
    def up(self) -> bool:
        return any(c.session is not None and c.session.id in self.sessions for c in self.connections)

    def dispatch(self, event: str, data: Json) -> None:
        """To every session that wants it; one without a connection gets it when it resumes."""
        for session in self.sessions.values():
            if session.wants(event):
                session.dispatch(event, data)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connection = Connection(socket, request)
        self.connections.add(connection)
        writer = asyncio.create_task(connection.write())
        try:
            await self._converse(socket, connection)
        finally:
            self._let_go(connection, socket.close_code)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return socket

    async def _converse(self, socket: web.WebSocketResponse, connection: Connection) -> None:
        connection.send(_control(Op.HELLO, {"heartbeat_interval": int(self._rules.heartbeat_interval * 1000)}))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self._hear(connection, message.data)

    def _let_go(self, connection: Connection, close_code: int | None) -> None:
        self.connections.discard(connection)
        session = connection.session
        if session is not None and session.connection is connection:
            session.connection = None
            if (
                close_code in (1000, 1001) and not connection.closed_by_us
            ):  # a client that says goodbye ends its session
                self.sessions.pop(session.id, None)
        self._changed()

    def _hear(self, connection: Connection, text: str) -> None:
        try:
            payload = parse_json(text)
            op, data = payload["op"], payload.get("d")
        except (ValueError, KeyError, TypeError):
            connection.close(DECODE_ERROR)
            return
        if op == Op.HEARTBEAT and self.answers_heartbeats:
            # As from afar: answered at once, discord.py takes it for a late answer to the heartbeat before, and warns.
            asyncio.get_running_loop().call_later(ACK_AFTER, connection.send, _control(Op.HEARTBEAT_ACK))
        elif op == Op.IDENTIFY:
            self._identify(connection, data)
        elif op == Op.RESUME:
            self._resume(connection, data)
        elif op == Op.REQUEST_GUILD_MEMBERS and connection.session is not None:
            self.members_asked += 1
            connection.session.dispatch("GUILD_MEMBERS_CHUNK", show_members_chunk(self._guild, data))

    def _identify(self, connection: Connection, data: Json) -> None:
        if data.get("token") != self._token:
            connection.close(AUTHENTICATION_FAILED)
            return
        session = Session(intents=data.get("intents", 0))
        self.sessions[session.id] = session
        self.identified += 1
        self._join(connection, session)
        session.dispatch("READY", self._greeting(session, data))
        session.dispatch("GUILD_CREATE", show_guild_create(self._guild))
        self._changed()

    def _greeting(self, session: Session, data: Json) -> Json:
        addresses: Json = {"session_id": session.id, "resume_gateway_url": self.url}
        about: Json = {
            "v": 10,
            "user": show_own_user(self._guild.bot),
            "application": {"id": self._guild.bot.id, "flags": 0},
        }
        guilds = [{"id": self._guild.id, "unavailable": True}]
        return about | addresses | {"guilds": guilds, "shard": data.get("shard", [0, 1])}

    def _resume(self, connection: Connection, data: Json) -> None:
        session = self.sessions.get(data.get("session_id", ""))
        if session is None or data.get("token") != self._token or not session.remembers(data.get("seq") or 0):
            connection.send(_control(Op.INVALID_SESSION, False))
            return
        self.resumed += 1
        self._join(connection, session)
        for payload in [event for event in session.events if event["s"] > data["seq"]]:
            connection.send(payload)
        session.dispatch("RESUMED", {})
        self._changed()

    def _join(self, connection: Connection, session: Session) -> None:
        if session.connection is not None:
            session.connection.abort()  # the one that the client has given up already
        session.connection, connection.session = connection, session

    def ask_to_reconnect(self) -> None:
        for connection in self.connections:
            connection.send(_control(Op.RECONNECT))

    def invalidate(self, *, resumable: bool) -> None:
        if not resumable:
            self.sessions.clear()
        for connection in self.connections:
            connection.send(_control(Op.INVALID_SESSION, resumable))

    def disconnect(self, code: int | None) -> None:
        """None: the connections are torn, without a close frame."""
        for connection in tuple(self.connections):
            if code is None:
                connection.abort()
            else:
                connection.close(code)


def _control(op: Op, data: Any = None) -> Json:
    return {"op": op, "d": data, "s": None, "t": None}
