"""A sandbox for tests that sit before its page: its loop runs in a thread of its own, as the browser blocks.

`open_page_world` has the real client and edge in it, `open_loop` only the loop.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, TypeVar

import aiohttp
from edge_world import EdgeWorld, open_world

from bot.sandbox import Sandbox

T = TypeVar("T")
PATIENCE = 30.0  # seconds
Json = dict[str, Any]


class Loop:
    """An event loop that runs beside the test."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox")
        self._thread.start()

    def do(self, act: Coroutine[Any, Any, T]) -> T:
        """Lets it run there; what it gives."""
        return asyncio.run_coroutine_threadsafe(act, self._loop).result(PATIENCE)

    def call(self, act: Callable[..., T], *arguments: Any) -> T:
        """As `do`, for what is no coroutine."""

        async def run() -> T:
            return act(*arguments)

        return self.do(run())

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


class PageWorld:
    def __init__(self, loop: Loop, edge: EdgeWorld) -> None:
        self.do, self.call = loop.do, loop.call
        self.edge = edge
        self.sandbox = edge.sandbox

    @property
    def address(self) -> str:
        return self.sandbox.address

    def deliver(self) -> None:
        self.do(self.edge.deliver())

    def post(self, *, files: dict[str, bytes] | None = None, **body: Any) -> str:
        """What any bot could say, as it would send it; the message's id."""
        path = f"/channels/{self.sandbox.channel_id}/messages"
        return str(self.do(ask(self.sandbox, "POST", path, body, files))["id"])

    def edit(self, message: str, **body: Any) -> None:
        self.do(ask(self.sandbox, "PATCH", f"/channels/{self.sandbox.channel_id}/messages/{message}", body))

    def open_thread(self, message: str, name: str) -> str:
        path = f"/channels/{self.sandbox.channel_id}/messages/{message}/threads"
        return str(self.do(ask(self.sandbox, "POST", path, {"name": name}))["id"])


async def ask(sandbox: Sandbox, method: str, path: str, body: Json, files: dict[str, bytes] | None = None) -> Json:
    """One request of a bot."""
    form: Json = {"data": make_form(body, files)} if files else {"json": body}
    headers = {"Authorization": f"Bot {sandbox.token}"}
    url = f"{sandbox.url}/api/v10{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers, **form) as response:
        answer: Json = await response.json()
        assert response.status < 300, answer
        return answer


def make_form(body: Json, files: dict[str, bytes]) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("payload_json", json.dumps(body), content_type="application/json")
    for number, (name, content) in enumerate(files.items()):
        form.add_field(f"files[{number}]", content, filename=name, content_type="application/octet-stream")
    return form


@contextmanager
def open_loop() -> Iterator[Loop]:
    loop = Loop()
    try:
        yield loop
    finally:
        loop.end()


@contextmanager
def open_page_world() -> Iterator[PageWorld]:
    with open_loop() as loop:
        stack = AsyncExitStack()
        try:
            yield PageWorld(loop, loop.do(stack.enter_async_context(open_world(global_limit=1000))))
        finally:
            loop.do(stack.aclose())
