"""Who may come in, the calls of a visitor and of the page, and attachments."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from bot.sandbox import visitor
from bot.sandbox.errors import Json
from bot.sandbox.page import Page
from bot.sandbox.panel import PanelPlace
from bot.sandbox.service import Service
from bot.sandbox.state import describe_sandbox
from bot.sandbox.stream import Stream
from pipeline.keeper.protocol import parse_json

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PICTURES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
TEXTS = dict.fromkeys((".txt", ".log", ".diff", ".patch", ".json", ".md"), "text/plain; charset=utf-8")


def guard_host(port: Callable[[], int]) -> Any:
    """A page elsewhere must not reach us by a name that it resolves to 127.0.0.1, nor post to us at all."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        hosts = (f"127.0.0.1:{port()}", f"localhost:{port()}")
        origin = request.headers.get("Origin")
        if request.headers.get("Host") not in hosts or origin not in (None, *(f"http://{host}" for host in hosts)):
            return _refuse(403, "only this machine, by 127.0.0.1 or localhost")
        return await handler(request)

    return check


def _refuse(status: int, words: str) -> web.Response:
    return web.json_response({"error": words}, status=status)


class Doors:
    def __init__(self, service: Service, page_token: str, place: PanelPlace) -> None:
        self._service = service
        self._page_token = page_token
        self._place = place
        self.stream = Stream(service, place)

    def add_to(self, app: web.Application) -> None:
        Page().add_to(app)
        app.router.add_get("/cdn/attachments/{channel}/{attachment}/{filename}", self._serve_attachment)
        app.router.add_get("/sandbox/state", self._admit(self._show_state))
        app.router.add_post("/sandbox/slash", self._admit(self._slash))
        app.router.add_post("/sandbox/click", self._admit(self._click))
        app.router.add_post("/sandbox/submit", self._admit(self._submit))
        app.router.add_get("/sandbox/stream", self._admit(self.stream.serve))
        app.router.add_post("/sandbox/complete", self._admit(self._complete))
        app.router.add_post("/sandbox/press", self._admit(self._press))

    def _admit(self, handler: Handler) -> Handler:
        async def admit(request: web.Request) -> web.StreamResponse:
            said = request.headers.get("X-Sandbox-Token", "")
            if not hmac.compare_digest(said.encode(), self._page_token.encode()):
                return _refuse(401, "the header X-Sandbox-Token is missing or wrong")
            try:
                return await handler(request)
            except visitor.VisitorError as error:
                return _refuse(400, str(error))

        return admit

    async def _show_state(self, request: web.Request) -> web.Response:
        service = self._service
        return web.json_response(describe_sandbox(service.guild, service.base, gateway_up=service.gateway.up))

    async def _slash(self, request: web.Request) -> web.Response:
        body = await _read_object(request)
        command, user = _read_text(body, "command").removeprefix("/"), _read_text(body, "user")
        return web.json_response(await visitor.slash(self._service, command, _read_object_of(body, "options"), user))

    async def _click(self, request: web.Request) -> web.Response:
        body = await _read_object(request)
        clicked = _read_text(body, "message_id"), _read_text(body, "custom_id"), _read_text(body, "user")
        if body.get("dialogue") is True:  # can show one
            return web.json_response(await visitor.press(self._service, *clicked))
        return web.json_response(await visitor.click(self._service, *clicked, _read_object_of(body, "fields")))

    async def _submit(self, request: web.Request) -> web.Response:
        body = await _read_object(request)
        interaction, user = _read_text(body, "interaction_id"), _read_text(body, "user")
        return web.json_response(
            await visitor.submit(self._service, interaction, _read_object_of(body, "fields"), user)
        )

    async def _complete(self, request: web.Request) -> web.Response:
        body = await _read_object(request)
        command, option, user = (_read_text(body, name) for name in ("command", "option", "user"))
        typed = body.get("value", "")
        choices = await visitor.complete(self._service, command, option, typed, user, _read_object_of(body, "options"))
        return web.json_response({"choices": choices})

    async def _press(self, request: web.Request) -> web.Response:
        body = await _read_object(request)
        return web.json_response({"said": await self._place.press(_read_text(body, "button"))})

    async def _serve_attachment(self, request: web.Request) -> web.Response:
        found = next(
            (
                attachment
                for message in self._service.guild.messages.values()
                for attachment in message.attachments
                if attachment.id == request.match_info["attachment"]
            ),
            None,
        )
        content = None if found is None else self._service.files.find(found.id)
        if found is None or content is None:
            return web.Response(status=404)
        return web.Response(body=content, headers=_file_headers(found.filename))


def _file_headers(filename: str) -> dict[str, str]:
    """What a bot relayed is never run as a page: only pictures and plain text open in the browser, judged by the name
    alone."""
    kind = (PICTURES | TEXTS).get(filename[filename.rfind(".") :].lower())
    safety = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
    if kind is None:
        return safety | {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}
    return safety | {"Content-Type": kind}


async def _read_object(request: web.Request) -> Json:
    try:
        body = parse_json(await request.read())
    except ValueError as error:
        raise visitor.VisitorError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise visitor.VisitorError("the body must be an object")
    return body


def _read_object_of(body: Json, name: str) -> Json:
    found = body.get(name) or {}
    if not isinstance(found, dict):
        raise visitor.VisitorError(f"{name} must be an object")
    return found


def _read_text(body: Json, name: str) -> str:
    value = body.get(name, "operator" if name == "user" else None)
    if not isinstance(value, str):
        raise visitor.VisitorError(f"{name} must be a text")
    return value
