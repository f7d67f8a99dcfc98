"""Counts the bot's requests against the rules, and words the 429."""

from dataclasses import dataclass

from bot.sandbox.call import Answer
from bot.sandbox.errors import Json
from bot.sandbox.ratelimit import Allowance, Buckets
from bot.sandbox.routes import Guard, Route
from bot.sandbox.rules import Rules

VIA = {"Via": "1.1 google"}
# discord.py heeds a 429 only with this header; without one it takes it for a ban


@dataclass(frozen=True)
class Pass:
    """What counting a request came to: a refusal, or None, and the headers that go with the answer either way."""

    refused: Answer | None
    headers: dict[str, str]


class Limiter:
    def __init__(self, rules: Rules, buckets: Buckets) -> None:
        self._rules = rules
        self._buckets = buckets

    def count(self, route: Route, args: dict[str, str]) -> Pass:
        if route.guard is not Guard.INTERACTION:
            overall = self._buckets.take("global", self._rules.global_limit, 1.0)
            if not overall.granted:
                return Pass(*refuse_too_many(overall.reset_after, everywhere=True))
        if route.guard is not Guard.LIMITED:
            return Pass(None, {})
        return self._count_in_bucket(route, args)

    def _count_in_bucket(self, route: Route, args: dict[str, str]) -> Pass:
        rules = self._rules
        allowance = self._buckets.take(route.bucket(args), rules.message_limit, rules.message_period)
        headers = _describe(allowance, route)
        if allowance.granted:
            return Pass(None, headers)
        refused, more = refuse_too_many(allowance.reset_after, everywhere=False)
        return Pass(refused, headers | more)

    def give_back(self, route: Route, args: dict[str, str]) -> None:
        """A request that another limit refused does not count here."""
        self._buckets.give_back(route.bucket(args))


def _describe(allowance: Allowance, route: Route) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(allowance.limit),
        "X-RateLimit-Remaining": str(allowance.remaining),
        "X-RateLimit-Reset-After": f"{allowance.reset_after:.3f}",
        "X-RateLimit-Bucket": f"{route.method}-{route.template}",
    }


def refuse_too_many(retry_after: float, *, everywhere: bool) -> tuple[Answer, dict[str, str]]:
    """A 429 and its headers; `retry_after` in seconds."""
    body: Json = {"message": "You are being rate limited.", "retry_after": round(retry_after, 3), "global": everywhere}
    headers = VIA | {"Retry-After": str(int(retry_after) + 1), "X-RateLimit-Scope": "global" if everywhere else "user"}
    return Answer(body | {"code": 0}, 429), headers | ({"X-RateLimit-Global": "true"} if everywhere else {})
