"""What the keeper should do, derived from the database alone; written only when it differs from the last wish."""

from __future__ import annotations

import dataclasses
from typing import Any

from pipeline.keeper.protocol import Desired, Manifest, Want
from pipeline.model import OURS, Realm
from pipeline.points import point
from pipeline.stages import finding
from pipeline.store import Deployment, Fact
from pipeline.tools import Tools


def first_wish(realm: Realm, previous: Desired | None) -> Desired:
    """What is wished before there is a database: the last wish under the settings of now."""
    start = previous or Desired(0, Want.UP, OURS, "first start", str(realm.server_dir), realm.server_command)
    wished = dataclasses.replace(start, **_settings(realm))
    if previous is not None and wished == previous:
        return previous
    return dataclasses.replace(wished, generation=start.generation + 1, lift_hold=False)


def reconcile(tools: Tools) -> bool:
    """Brings `desired.json` to what the database says; whether it had to be written."""
    with tools.wishing:
        return write(tools)


def write(tools: Tools) -> bool:
    """As `reconcile`, for whoever holds `tools.wishing`."""
    previous = tools.keeper.desired()
    wished = compose(tools, previous)
    if previous is not None and _same(wished, previous):
        return False
    lifts = previous is not None and _lifts(wished, previous)
    generation = 1 if previous is None else previous.generation + 1
    point("wish.composed")
    tools.keeper.wish(dataclasses.replace(wished, generation=generation, lift_hold=lifts))
    point("wish.written")
    return True


def compose(tools: Tools, previous: Desired | None) -> Desired:
    with tools.store.together():
        server: dict[str, Any] = tools.store.get_fact(Fact.SERVER) or {}
        active, standby = tools.store.get_lane()
        build = build_to_run(tools, active)
        fallback = finding.find_kept(tools, build)
        if active is not None or tools.store.get_pause() is not None:
            standby = None
    watched = active if active is not None and active.state in ("stopping", "verifying") else None
    start = first_wish(tools.realm, previous)
    wished = dataclasses.replace(
        start,
        want=Want(server.get("want", Want.UP)),
        by=server.get("by", OURS),
        reason=server.get("reason", ""),
        restart=max(server.get("restart", 0), start.restart),  # never fewer than the keeper has seen
        operator_stop=server.get("want") == Want.STOPPED,
        build=_manifest(tools, build),
        fallback=_manifest(tools, fallback),
        probation=watched.id if watched else None,
        next_build=_manifest(tools, standby.build if standby else None),
        next_deployment=standby.id if standby else None,
    )
    return _with_its_author(wished, previous, active)


def _with_its_author(wished: Desired, previous: Desired | None, active: Deployment | None) -> Desired:
    """Who wishes what is new in it, as the keeper tells it: a stop, a start and a restart are a person's, also while a
    deployment is watched, and another build is the deployment's. Where neither is new it is as it was."""
    if previous is None or (wished.want, wished.restart) != (previous.want, previous.restart):
        return wished
    if wished.build == previous.build:
        return dataclasses.replace(wished, by=previous.by, reason=previous.reason)
    if active is None:
        return wished
    what = "rolling back" if active.state == "rolling back" else "deploying"
    return dataclasses.replace(wished, by=active.by or OURS, reason=f"{what} {active.build[:12]}")


def is_stopped(tools: Tools) -> bool:
    """Whether an operator wants it down: then nothing but an operator starts it."""
    return (tools.store.get_fact(Fact.SERVER) or {}).get("want") == Want.STOPPED


def build_to_run(tools: Tools, active: Deployment | None) -> str | None:
    """The build of the deployment under way, taken back where it is being rolled back; else what went out last."""
    settled = tools.store.get_fact(Fact.BUILD)
    if active is None or active.state == "announcing":
        return settled
    return active.previous if active.state == "rolling back" else active.build


def _manifest(tools: Tools, build: str | None) -> Manifest | None:
    return None if build is None else tools.builder.manifest(build)


def _settings(realm: Realm) -> dict[str, Any]:
    return {
        "server_dir": str(realm.server_dir), "command": realm.server_command, "environment": realm.server_environment,
        "withhold": realm.withhold, "ready": realm.ready, "limits": realm.limits,
        "stop_timeout": realm.stop_timeout.total_seconds(), "keep_cores": realm.keep_cores,
    }  # fmt: skip


def _same(one: Desired, other: Desired) -> bool:
    return dataclasses.replace(one, generation=0, lift_hold=False) == dataclasses.replace(
        other, generation=0, lift_hold=False
    )


def _lifts(new: Desired, old: Desired) -> bool:
    """A deployment's wish, or an operator's order to start."""
    return (new.build, new.restart, new.want) != (old.build, old.restart, old.want)
