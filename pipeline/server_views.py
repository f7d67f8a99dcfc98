"""The server as it is now: what the keeper observes, and what was found out about it. Blocking; nothing is changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from pipeline import startup
from pipeline.keeper.protocol import EventKind, ExitVerdict, Observed, ServerState
from pipeline.needs import Seen
from pipeline.ports import Halted, Keeper
from pipeline.startup import Trouble
from pipeline.store import Store
from pipeline.tools import Tools


def look(store: Store, keeper: Keeper) -> Seen:
    """With why the server is not up, where something was found out about it."""
    seen = observe(keeper)
    trouble = _trouble(store, seen.observed)
    found = (trouble.cause, trouble.detail) if trouble else ("", "")
    return replace(seen, trouble=found[0], cure=found[1], late=find_late(store, seen.observed))


def observe(keeper: Keeper) -> Seen:
    """What the keeper observes, nothing where nobody does or what it told last is not so any more; and who was
    stopped."""
    halt, alive = keeper.find_halt(), keeper.alive()
    without = not alive or (halt is not None and halt.who is Halted.KEEPER)
    stale = None if without else keeper.find_stale()
    told = halt.detail if halt and (alive or halt.who is Halted.KEEPER) else ""
    return Seen(None if without or stale else keeper.observed(), told, keeper.find_left(), stale=stale)


def _trouble(store: Store, seen: Observed | None) -> Trouble | None:
    """Why the server is not up, where something was found out about it."""
    if seen is None or seen.state not in (ServerState.BACKOFF, ServerState.STARTING, ServerState.ABSENT):
        return None
    told, last = startup.find_present(store), seen.last_exit
    if last is None or last.verdict is not ExitVerdict.CRASH or (told and told[0].timestamp() >= last.at):
        return told[1] if told else None
    title = store.find_last_title()
    return Trouble(f"it crashed: `{title}`" if title else "it crashed", "")


def find_late(store: Store, seen: Observed | None) -> str | None:
    """What the present start waits for, once the keeper told that it takes too long. A trial is judged by itself."""
    if seen is None or seen.state is not ServerState.STARTING or seen.started is None:
        return None
    events = store.list_events(datetime.fromtimestamp(seen.started, UTC))
    late = [data for _, kind, data in events if kind == EventKind.READY_TIMEOUT and data.get("pid") == seen.pid]
    return str(late[-1].get("detail") or "") if late and not late[-1].get("trial") else None


def count_players(tools: Tools, observed: Observed | None) -> int | None:
    return None if observed is None or observed.pid is None else tools.players.count(observed.pid)


def say_halted(tools: Tools) -> str:
    """Why the keeper does nothing of what is ordered, and what ends that; "" = it works."""
    halt = tools.keeper.find_halt()
    return halt.detail if halt is not None and halt.who is Halted.KEEPER else ""


def say_down(tools: Tools) -> str:
    """That no server runs, and why; "" = one runs, or nobody can tell."""
    observed = tools.keeper.observed() if tools.keeper.alive() else None
    if observed is None or observed.pid is not None:
        return ""
    match observed.state:
        case ServerState.HELD:
            return f"The server does not run: it is held ({observed.hold_detail or observed.hold})."
        case ServerState.BACKOFF:
            return "The server does not run: it died, and its next start waits."
        case _:
            return "The server does not run at this moment: it is between two lives."


def expected_down_seconds(tools: Tools, observed: Observed | None) -> float | None:
    last = tools.store.get_last_deployment()
    if last is not None and last.down_seconds is not None:
        return last.down_seconds
    return observed.learned_start if observed else None
