"""Everything that can go wrong with Discord, as switches of one object."""

import re
from dataclasses import dataclass
from enum import Enum

from bot.sandbox.gateway import Gateway


class Moment(Enum):
    BEFORE = "before the effect"
    AFTER = "after the effect"


@dataclass
class Fault:
    """One planned fault of requests. `status` None cuts the connection instead of answering."""

    method: str
    path: re.Pattern[str]
    status: int | None
    moment: Moment
    left: int
    # how many requests it still meets
    retry_after: float = 0.0
    # seconds, said with a 429
    skip: int = 0
    # how many requests pass before

    def meets(self, method: str, path: str, moment: Moment) -> bool:
        return self.left > 0 and self.moment is moment and self.method in ("*", method) and bool(self.path.search(path))


class Faults:
    """Requests: `fail`, `cut`, `limit`. Gateway: `disconnect`, `reconnect`, `invalidate`, `deafen`,
    `ignore_heartbeats`. All: outage."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._planned: list[Fault] = []
        self._outage = False

    @property
    def outage(self) -> bool:
        return self._outage

    def fail(self, method: str, path: str, status: int = 500, *, times: int = 1, after: bool = False) -> None:
        """The next `times` requests of this method ("*" = any) whose path (below /api/v10) matches the regular
        expression `path` get `status`; with `after` the effect has happened all the same."""
        self._plan(method, path, status, times, after=after)

    def cut(self, method: str, path: str, *, times: int = 1, after: bool = False, skip: int = 0) -> None:
        """As `fail`, but the connection is torn and no answer comes; the next `skip` requests pass first."""
        self._plan(method, path, None, times, after=after, skip=skip)

    def limit(self, method: str, path: str, retry_after: float, *, times: int = 1) -> None:
        """The next requests are answered with 429 and have no effect; `retry_after` in seconds."""
        self._plan(method, path, 429, times, after=False, retry_after=retry_after)

    def _plan(
        self,
        method: str,
        path: str,
        status: int | None,
        times: int,
        *,
        after: bool,
        retry_after: float = 0.0,
        skip: int = 0,
    ) -> None:
        moment = Moment.AFTER if after else Moment.BEFORE
        self._planned.append(Fault(method, re.compile(path), status, moment, times, retry_after, skip))

    def take(self, method: str, path: str, moment: Moment) -> Fault | None:
        """The planned fault that meets this request, counted as used."""
        self._planned = [fault for fault in self._planned if fault.left > 0]
        met = next((fault for fault in self._planned if fault.meets(method, path, moment)), None)
        if met is not None and met.skip:
            met.skip -= 1
            return None
        if met is not None:
            met.left -= 1
        return met

    def clear(self) -> None:
        """Forgets planned faults of requests."""
        self._planned.clear()

    def begin_outage(self) -> None:
        """Every request gets 503, the gateway is torn and refuses, until `end_outage`."""
        self._outage = True
        self._gateway.disconnect(None)

    def end_outage(self) -> None:
        self._outage = False

    def disconnect(self, code: int | None = None) -> None:
        """Tears the gateway's connections (None), or closes them with this code (4000: resume; 4004: refused for
        good)."""
        self._gateway.disconnect(code)

    def reconnect(self) -> None:
        """Op 7: the client is asked to connect anew and resume."""
        self._gateway.ask_to_reconnect()

    def invalidate(self, *, resumable: bool) -> None:
        """Op 9. Not resumable: discord.py sleeps 5 s before it identifies again."""
        self._gateway.invalidate(resumable=resumable)

    def deafen(self) -> None:
        """Present connections get no more events though heartbeats are answered; a new connection hears, and resumes
        what was missed."""
        for connection in self._gateway.connections:
            connection.deaf = True

    def ignore_heartbeats(self, ignored: bool = True) -> None:
        self._gateway.answers_heartbeats = not ignored
