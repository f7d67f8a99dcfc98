"""Checks requests and answers against Discord's own OpenAPI document. Needs jsonschema-rs, which only tests have."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.sandbox.call import Exchange
from bot.sandbox.errors import Json

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    method: str
    pattern: re.Pattern[str]
    literal: int
    # placeholders of the path, counted: fewer is tried first, so that "@me" and "@original" win
    document: Json


class Specification:
    """`check` is what `Sandbox.start(check=...)` takes. Raises ImportError without jsonschema-rs, OSError without the
    document."""

    def __init__(self, path: Path) -> None:
        self._document: Json = json.loads(path.read_text(encoding="utf-8"))
        found = (
            _read_operation(p, m, o)
            for p, item in self._document["paths"].items()
            for m, o in item.items()
            if m in METHODS
        )
        self._operations = sorted(found, key=lambda operation: operation.literal)
        self._validators: dict[int, Draft202012Validator] = {}

    def check(self, exchange: Exchange) -> list[str]:
        """What is wrong with a request, and with the answer it got, each as one sentence."""
        operation = self._find(exchange.method, exchange.path)
        if operation is None:
            return ["the specification has no such call"]
        return [*self._check_request(operation, exchange), *self._check_answer(operation, exchange)]

    def _find(self, method: str, path: str) -> Operation | None:
        return next((o for o in self._operations if o.method == method and o.pattern.fullmatch(path)), None)

    def _check_request(self, operation: Operation, exchange: Exchange) -> Iterator[str]:
        content = operation.document.get("requestBody", {}).get("content", {})
        if exchange.body is None or not content:
            return
        media = content.get("application/json") or next(iter(content.values()))
        yield from self._validate("request", media["schema"], _with_text_ids(exchange.body))

    def _check_answer(self, operation: Operation, exchange: Exchange) -> Iterator[str]:
        if exchange.status is None or exchange.answer is None or exchange.status >= 500:
            return
        responses = operation.document["responses"]
        response = responses.get(str(exchange.status)) or responses.get(f"{exchange.status // 100}XX")
        if response is None:
            yield f"answer: the specification has no status {exchange.status}"
            return
        content = self._resolve(response).get("content", {}).get("application/json")
        if content is not None:
            yield from self._validate("answer", content["schema"], exchange.answer)

    def _resolve(self, node: Json) -> Json:
        found: Any = node
        if "$ref" in node:
            found = self._document
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step]
        return dict(found)

    def _validate(self, what: str, schema: Json, value: Any) -> Iterator[str]:
        for error in self._get_validator(schema).iter_errors(value):
            where = "/".join(str(step) for step in error.instance_path) or "(body)"
            yield f"{what}: {where}: {error.message[:300]}"

    def _get_validator(self, schema: Json) -> "Draft202012Validator":
        from jsonschema_rs import Draft202012Validator

        known = self._validators.get(id(schema))
        if known is None:
            known = Draft202012Validator({**schema, "components": self._document["components"]})
            self._validators[id(schema)] = known
        return known


def _read_operation(path: str, method: str, document: Json) -> Operation:
    pattern = re.compile(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(path)))
    return Operation(method.upper(), pattern, path.count("{"), document)


def _with_text_ids(body: Any) -> Any:
    """discord.py sends some ids as integers (files it uploads, the message it replies to, roles it may call), which
    Discord takes and its document does not."""
    if not isinstance(body, dict):
        return body
    shown = dict(body)
    if isinstance(body.get("attachments"), list):
        shown["attachments"] = [{**attachment, "id": str(attachment["id"])} for attachment in body["attachments"]]
    if isinstance(body.get("message_reference"), dict):
        shown["message_reference"] = {
            n: str(v) if n.endswith("_id") else v for n, v in body["message_reference"].items()
        }
    if isinstance(body.get("allowed_mentions"), dict):
        shown["allowed_mentions"] = {
            n: [str(each) for each in v] if n in ("roles", "users") else v for n, v in body["allowed_mentions"].items()
        }
    if isinstance(body.get("data"), dict):
        shown["data"] = _with_text_ids(body["data"])
    return shown
