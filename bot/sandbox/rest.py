"""One request's way through the REST API: faults, check of who asks and how often, handler, store, record."""

import json
import re
from collections import deque
from collections.abc import Callable
from typing import Any

from aiohttp import BodyPartReader, web

from bot.sandbox.call import NOTHING, Answer, Call, Exchange, Upload, Violation
from bot.sandbox.errors import ApiError, Refusal
from bot.sandbox.faults import Fault, Faults, Moment
from bot.sandbox.limiter import VIA, Limiter, refuse_too_many
from bot.sandbox.ratelimit import Buckets
from bot.sandbox.routes import Guard, Route, find_route
from bot.sandbox.service import Service
from bot.sandbox.store import Store
from pipeline.keeper.protocol import parse_json

Check = Callable[[Exchange], list[str]]
# what is wrong with a request or its answer, in words
RECORDED = 2000
NO_FILES: tuple[Upload, ...] = ()
NO_HEADERS: dict[str, str] = {}
FILE_FIELD = re.compile(r"files\[(\d+)\]")


class RestApi:
    def __init__(self, service: Service, faults: Faults, store: Store, token: str, check: Check | None) -> None:
        self._service = service
        self._faults = faults
        self._store = store
        self._authorization = f"Bot {token}"
        self._check = check
        self._limiter = Limiter(service.rules, Buckets(service.clock.steady))
        self.exchanges: deque[Exchange] = deque(maxlen=RECORDED)
        self.violations: list[Violation] = []

    async def serve(self, request: web.Request) -> web.StreamResponse:
        path = "/" + request.match_info["tail"]
        if self._faults.outage:
            return self._record(request, path, None, web.Response(status=503))
        fault = self._faults.take(request.method, path, Moment.BEFORE)
        if fault is not None:
            return self._record(request, path, None, _break(request, fault))
        body, files, answer, headers = None, NO_FILES, NOTHING, NO_HEADERS
        try:
            body, files = await _read_body(request)
            answer, headers = self._answer(request, path, body, files)
        except ApiError as refusal:
            answer = Answer(refusal.body(), refusal.status)
        await self._store.save(self._service.guild, self._service.files)
        fault = self._faults.take(request.method, path, Moment.AFTER)
        response = _to_response(answer, headers) if fault is None else _break(request, fault)
        return self._record(request, path, body, response, None if fault else answer.body)

    def _answer(
        self, request: web.Request, path: str, body: Any, files: tuple[Upload, ...]
    ) -> tuple[Answer, dict[str, str]]:
        """With the headers of its rate limit. Raises ApiError before the request was counted."""
        route, args = self._admit(request, path)
        counted = self._limiter.count(route, args)
        if counted.refused is not None:
            return counted.refused, counted.headers
        try:
            call = Call(request.method, path, dict(request.query), {} if body is None else body, files, args)
            return route.handler(self._service, call), counted.headers
        except ApiError as refusal:
            if refusal.retry_after is None:
                return Answer(refusal.body(), refusal.status), counted.headers
            self._limiter.give_back(route, args)
            return Answer(refusal.body(), refusal.status), VIA

    def _admit(self, request: web.Request, path: str) -> tuple[Route, dict[str, str]]:
        found = find_route(request.method, path)
        needs_token = found is None or found[0].guard is not Guard.INTERACTION
        if needs_token and request.headers.get("Authorization") != self._authorization:
            raise ApiError(Refusal.UNAUTHORIZED)
        if found is None:
            raise ApiError(Refusal.NOT_FOUND)
        return found

    def _record(
        self, request: web.Request, path: str, body: Any, response: web.Response | None, answer: Any = None
    ) -> web.Response:
        status = None if response is None else response.status
        exchange = Exchange(request.method, path, body, request.content_type.startswith("multipart/"), status, answer)
        self.exchanges.append(exchange)
        if self._check is not None:
            self.violations += [Violation(request.method, path, fault) for fault in self._check(exchange)]
        self._service.feed.touch()
        return response or web.Response(status=500)


async def _read_body(request: web.Request) -> tuple[Any, tuple[Upload, ...]]:
    """Body None where there is none. Raises ApiError for JSON that is none."""
    try:
        if request.content_type.startswith("multipart/"):
            return await _read_parts(request)
        content = await request.read()
        return (parse_json(content) if content else None), ()
    except ValueError as error:
        raise ApiError(Refusal.INVALID_JSON) from error


async def _read_parts(request: web.Request) -> tuple[Any, tuple[Upload, ...]]:
    body: Any = {}
    files: list[Upload] = []
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            continue
        content, field = bytes(await part.read(decode=False)), FILE_FIELD.fullmatch(part.name or "")
        if part.name == "payload_json":
            body = parse_json(content)
        elif field is not None:
            files.append(Upload(int(field[1]), part.filename or "unknown", content, part.headers.get("Content-Type")))
    return body, tuple(files)


def _to_response(answer: Answer, headers: dict[str, str] | None = None) -> web.Response:
    """Content-Type without a charset: with one, discord.py would not parse the JSON."""
    if answer.body is None:
        return web.Response(status=answer.status, headers=headers)
    said = (headers or {}) | {"Content-Type": "application/json"}
    return web.Response(body=json.dumps(answer.body).encode(), status=answer.status, headers=said)


def _break(request: web.Request, fault: Fault) -> web.Response | None:
    """None: the connection is gone."""
    if fault.status is None:
        if request.transport is not None:
            request.transport.abort()
        return None
    if fault.status == 429:
        return _to_response(*refuse_too_many(fault.retry_after, everywhere=False))
    return _to_response(Answer({"message": f"{fault.status}: planned fault", "code": 0}, fault.status))
