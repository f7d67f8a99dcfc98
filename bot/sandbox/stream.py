"""`GET /sandbox/stream`: one JSON object a line, first everything, then what changed; an empty one says that we live.

Read with `fetch`, because an EventSource cannot send the header with the token.
"""

import json

from aiohttp import web

from bot.sandbox.errors import Json
from bot.sandbox.panel import PanelPlace
from bot.sandbox.service import Service
from bot.sandbox.view import View

HEARTBEAT = 15.0  # seconds between two lines at most
CLOSING = {"closing": True}
HEADERS = {
    "Content-Type": "application/x-ndjson",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class Stream:
    def __init__(self, service: Service, place: PanelPlace) -> None:
        self._service = service
        self._place = place
        self._closed = False

    def close(self) -> None:
        """Every reader is sent away, so that nobody holds up the end."""
        self._closed = True
        self._service.feed.touch()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        view = View(self._service, self._place)
        try:
            while not self._closed:
                changes = await self._await_changes(view)
                await response.write(json.dumps(changes).encode() + b"\n")
        except ConnectionError:
            return response  # the reader left
        await response.write_eof()
        return response

    async def _await_changes(self, view: View) -> Json:
        """A slow reader gets what happened meanwhile in one piece."""

        def look() -> Json:
            return view.take_changes() or (CLOSING if self._closed else {})

        try:
            return await self._service.feed.until(look, HEARTBEAT)
        except TimeoutError:
            return {}
