"""What is happening now, as `/status` and the command line show it. Blocking; nothing is changed."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipeline import obstacles
from pipeline.card_models import FixLink
from pipeline.errors import Obstructed
from pipeline.fix_links import links_of
from pipeline.model import CHANGE_LANE, Run
from pipeline.needs import (
    NO_ROOM,
    Links,
    Seen,
    find_down_since,
    gather_waiting,
    list_machine_needs,
    list_needs,
    list_server_needs,
)
from pipeline.ports import Keeper
from pipeline.run_views import run_line
from pipeline.server_views import count_players, look, observe
from pipeline.status_models import OrderLine, Stale, StatusView
from pipeline.store import Store
from pipeline.summary import read_happenings
from pipeline.timeline import Start, list_starts
from pipeline.tools import DATABASE, Tools

LONGEST_NIGHT = timedelta(hours=25)  # in which clocks are put back


def status(tools: Tools) -> StatusView:
    """While the database does not work: what can be seen without it, and why that is all."""
    degraded = tuple(dict.fromkeys(tools.degraded.values()))
    if DATABASE in tools.degraded:
        return blind_status(tools, degraded)
    try:
        return _status(tools, degraded)
    except Obstructed as fault:
        return blind_status(tools, tuple(dict.fromkeys((*degraded, tools.redact(str(fault))))))


def _status(tools: Tools, degraded: tuple[str, ...]) -> StatusView:
    observed = tools.keeper.observed()
    view = outside_status(
        tools.realm.name, tools.store, tools.keeper, tools.now(), tools.realm.state_dir, links_of(tools), degraded
    )
    return dataclasses.replace(view, players=count_players(tools, observed) if view.server else None)


def blind_status(tools: Tools, degraded: tuple[str, ...]) -> StatusView:
    """What the keeper and the machine tell by themselves."""
    view = _seen_status(tools.realm.name, observe(tools.keeper), tools.keeper, tools.realm.state_dir, degraded)
    players = count_players(tools, tools.keeper.observed()) if view.server else None
    return dataclasses.replace(view, players=players)


def outside_status(
    realm: str,
    store: Store,
    keeper: Keeper,
    now: datetime,
    state_dir: Path,
    links: Links,
    degraded: tuple[str, ...] | None = None,
) -> StatusView:
    """What the database and the keeper tell by themselves: for a command line beside the bot, or without one.
    `degraded` is what the bot knows not to work; None = it is not the bot that asks."""
    branch = store.get_open_branch()
    night = store.night_of(now)
    seen = look(store, keeper)
    waiting = gather_waiting(store, night)
    starts = _list_starts(store, now, night)
    unfinished = store.list_unfinished_runs()
    if degraded is None:
        degraded = tuple(_list_hindrances(seen.stale, unfinished, find_free(state_dir)))
    seen_status = _seen_status(realm, seen, keeper, state_dir, degraded)
    return dataclasses.replace(
        seen_status,
        restarts_tonight=sum(not each.deploys for each in starts),
        deployments_tonight=sum(each.deploys for each in starts),
        crashes_tonight=store.count_tonight(night),
        paused=waiting.pause,
        branch=branch.name if branch else None,
        head=FixLink(branch.head, links.url(branch.head), branch.name) if branch else None,
        running=_find_running(store, seen_status, links),
        runs=tuple(run_line(store, run, waiting.unanswered) for run in unfinished),
        failed=tuple(run_line(store, run, waiting.unanswered) for run in waiting.given_up),
        orders=tuple(OrderLine(each.kind, each.by, each.reason, each.due) for each in store.list_waiting_orders()),
        trouble=seen.trouble,
        trouble_detail=seen.cure,
        needs=tuple(list_needs(store, waiting, now, seen, links, list_machine_needs(degraded, seen_status.disk_free))),
        push_owed=bool(waiting.owed),
        undelivered=store.count_undelivered(),
    )


def _list_hindrances(stale: Stale | None, unfinished: Sequence[Run], free: int | None) -> Iterator[str]:
    """What a person can mend, as far as the keeper's files and what the change in work waits for tell it. A keeper
    that cannot report, and no server seen, is a need of its own already."""
    full = free is not None and free < NO_ROOM
    if stale is not None and (full or stale.server is not None):
        mute = f"the keeper (process {stale.keeper}) cannot report what it sees"
        see = f"{mute}{obstacles.CURE}see that it can write to the state folder"
        yield obstacles.add_cure(f"{mute}: the disk is full") if full else see
    for run in unfinished:
        if run.state in CHANGE_LANE and run.reason and obstacles.find_cause(run.reason):
            yield run.reason


def _seen_status(realm: str, look: Seen, keeper: Keeper, state_dir: Path, degraded: tuple[str, ...]) -> StatusView:
    """Without the database."""
    seen, stale, free = look.observed, look.stale, find_free(state_dir)
    told = keeper.observed() if keeper.alive() else None
    return StatusView(
        realm=realm,
        server=seen.state if seen else None,
        hold=seen.hold if seen else None,
        hold_detail=seen.hold_detail if seen else "",
        pid=seen.pid if seen else None,
        started=_time(seen.started if seen else None),
        ready_at=_time(seen.ready_at if seen else None),
        next_start=_time(seen.next_start if seen else None),
        revision=seen.revision if seen else None,
        build=seen.build if seen else None,
        players=None,
        restarts_tonight=None,
        crashes_tonight=None,
        paused=None,
        branch=None,
        head=None,
        runs=(),
        push_owed=False,
        degraded=degraded,
        halted=look.halted,
        needs=(*list_server_needs(look), *list_machine_needs(degraded, free)),
        left=look.left,
        stale=stale,
        keeper_pid=stale.keeper if stale else told.keeper_pid if told else None,
        down_since=_time(find_down_since(seen)),
        disk_free=free,
        version=own_version(),
    )


def _find_running(store: Store, view: StatusView, links: Links) -> FixLink | None:
    """Of a build that we made; what lay there before us is known by its revision alone."""
    build = store.get_build(view.build) if view.pid and view.build else None
    return FixLink(build.commit, links.url(build.commit), None) if build and build.commit == build.build else None


def own_version() -> str:
    try:
        return version("spirit-healer")
    except PackageNotFoundError:
        return "uninstalled"


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def find_free(state_dir: Path) -> int | None:
    """Bytes; None where it cannot be told."""
    try:
        return shutil.disk_usage(state_dir).free
    except OSError:
        return None


def _list_starts(store: Store, now: datetime, night: date) -> list[Start]:
    """Of this night, as its summary counts them."""
    until = now + timedelta(seconds=1)  # with what happened at this moment
    starts = list_starts(read_happenings(store, (now - LONGEST_NIGHT).timestamp(), until.timestamp()))
    return [each for each in starts if store.night_of(datetime.fromtimestamp(each.at, UTC)) == night]
