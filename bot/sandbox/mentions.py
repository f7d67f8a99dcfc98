"""Whom a message would ping, after its `allowed_mentions`."""

import re

from bot.sandbox.errors import Json

ROLE = re.compile(r"<@&(\d+)>")
EVERYONE = re.compile(r"@(?:everyone|here)\b")


def find_everyone(body: Json) -> bool:
    return "everyone" in _parsed(body, ["everyone"]) and bool(EVERYONE.search(body.get("content") or ""))


def find_roles(body: Json) -> tuple[str, ...]:
    named = dict.fromkeys(ROLE.findall(body.get("content") or ""))
    if "roles" in _parsed(body, ["roles"]):
        return tuple(named)
    allowed = {str(role) for role in (body.get("allowed_mentions") or {}).get("roles") or []}
    return tuple(role for role in named if role in allowed)


def _parsed(body: Json, default: list[str]) -> list[str]:
    allowed = body.get("allowed_mentions")
    return default if allowed is None else list(allowed.get("parse") or [])
