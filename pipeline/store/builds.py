"""Builds and deployments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, select, update

from pipeline import tables as t
from pipeline.model import (
    TRANSITIONS,
    BuildResult,
    Run,
    RunKind,
    RunState,
    Verdict,
)
from pipeline.store.base import Base
from pipeline.store.rows import (
    Build,
    Deployment,
    NewPost,
    Overtaken,
    read_build,
    read_deployment,
    read_run,
)
from pipeline.store.writes import (
    card_of_run,
    insert_posts,
    move_run,
    touch,
)

UNDER_WAY = ("announcing", "stopping", "verifying", "rolling back")  # states of the deployment in the lane
STANDBY = "standby"

# Asked at each tick: made once, as making it anew takes as long as asking.
LANE = (
    select(t.deployments)
    .where(t.deployments.c.state.in_([*UNDER_WAY, STANDBY]))
    .order_by(t.deployments.c.created_at.desc())
)


class Builds(Base):
    """What was compiled, what was put in place, and what came of it."""

    def note_build_started(self, build: str, commit: str | None, tree: str | None, at: datetime) -> None:
        with self.begin() as c:
            c.execute(delete(t.builds).where(t.builds.c.build == build, t.builds.c.state != "built"))
            if c.execute(select(t.builds.c.build).where(t.builds.c.build == build)).first() is None:
                values = {"build": build, "commit": commit, "tree": tree, "state": "building", "started_at": at}
                c.execute(insert(t.builds).values(**values))

    def note_build(self, result: BuildResult) -> None:
        diagnostics = [dataclasses.asdict(each) for each in result.diagnostics]
        values = {
            "state": "built" if result.manifest else "failed", "seconds": result.seconds, "log": str(result.log),
            "reason": result.reason, "diagnostics": diagnostics,
        }  # fmt: skip
        with self.begin() as c:
            c.execute(update(t.builds).where(t.builds.c.build == result.commit).values(**values))

    def note_found_build(self, build: str, commit: str | None, tree: str | None, at: datetime) -> None:
        """What lay in SERVER_DIR before us: the first fallback."""
        with self.begin() as c:
            known = c.execute(select(t.builds.c.build).where(t.builds.c.build == build)).first()
            values = {"commit": commit, "tree": tree}
            if known is None:
                more = {"build": build, "state": "built", "started_at": at, "healthy_at": at}
                c.execute(insert(t.builds).values(**values, **more))
            elif commit is not None:
                c.execute(update(t.builds).where(t.builds.c.build == build).values(**values))

    def get_build(self, build: str) -> Build | None:
        with self.begin() as c:
            row = c.execute(select(t.builds).where(t.builds.c.build == build)).first()
        return None if row is None else read_build(row)

    def started_at(self, build: str) -> datetime:
        """When the build of a commit was begun: the order of commits on a branch, since changes are made one by one."""
        with self.begin() as c:
            at: datetime = c.execute(select(t.builds.c.started_at).where(t.builds.c.build == build)).scalar_one()
        return at

    def list_healthy_builds(self, most: int) -> list[str]:
        """Those that verification found healthy, newest first; their files may be gone."""
        with self.begin() as c:
            query = select(t.builds.c.build).where(t.builds.c.healthy_at.is_not(None), t.builds.c.bad.is_(False))
            return list(c.execute(query.order_by(t.builds.c.healthy_at.desc()).limit(most)).scalars())

    # --- deployments -------------------------------------------------------------------------------------------------

    def get_lane(self) -> tuple[Deployment | None, Deployment | None]:
        """The deployment under way, and the one that stands by, of one moment."""
        with self.begin() as c:
            found = [read_deployment(row) for row in c.execute(LANE)]
        active = next((each for each in found if each.state != STANDBY), None)
        return active, next((each for each in found if each.state == STANDBY), None)

    def get_active_deployment(self) -> Deployment | None:
        """The one in the lane."""
        return self._deployment(t.deployments.c.state.in_(UNDER_WAY))

    def get_standby(self) -> Deployment | None:
        """The approved one that goes out with the next start, whatever causes it."""
        return self._deployment(t.deployments.c.state == STANDBY)

    def get_deployment(self, deployment: str) -> Deployment | None:
        return self._deployment(t.deployments.c.id == deployment)

    def get_last_deployment(self) -> Deployment | None:
        return self._deployment(t.deployments.c.state == "over")

    def list_live_deployments(self, since: datetime | None) -> list[Deployment]:
        """Those that went live after an instant (None = ever) and were not taken back by a verdict, newest first."""
        stayed = [Verdict.HEALTHY, Verdict.INCONCLUSIVE, Verdict.NOT_CURED]
        query = select(t.deployments).where(t.deployments.c.state == "over", t.deployments.c.verdict.in_(stayed))
        if since is not None:
            query = query.where(t.deployments.c.created_at > since)
        with self.begin() as c:
            return [read_deployment(row) for row in c.execute(query.order_by(t.deployments.c.created_at.desc()))]

    def went_live_at(self, build: str) -> datetime | None:
        """When the deployment that brought a build was begun; None for what lay there before us."""
        found = self._deployment(and_(t.deployments.c.build == build, t.deployments.c.verdict == Verdict.HEALTHY))
        return None if found is None else found.created_at

    def find_deployment_of(self, build: str) -> str | None:
        """The newest deployment of a build."""
        found = self._deployment(t.deployments.c.build == build)
        return None if found is None else found.id

    def _deployment(self, which: Any) -> Deployment | None:
        with self.begin() as c:
            query = select(t.deployments).where(which).order_by(t.deployments.c.created_at.desc()).limit(1)
            row = c.execute(query).first()
        return None if row is None else read_deployment(row)

    def add_deployment(self, deployment: Deployment, runs: Sequence[Run], at: datetime) -> None:
        """Commits to a deployment before any wish names its build. A standby that it replaces is over."""
        columns = {field.name: getattr(deployment, field.name) for field in dataclasses.fields(Deployment)}
        with self.begin() as c:
            standby = t.deployments.c.state == STANDBY
            c.execute(update(t.deployments).where(standby).values(state="over", over_at=at, reason="replaced"))
            c.execute(insert(t.deployments).values(**columns))
            for run in runs:
                c.execute(update(t.runs).where(t.runs.c.id == run.id).values(deployment=deployment.id))
                touch(c, card_of_run(c, run.id), at)

    def drop_standby(self, at: datetime, reason: str) -> None:
        """Nothing goes out by itself any more."""
        with self.begin() as c:
            standby = t.deployments.c.state == STANDBY
            c.execute(update(t.deployments).where(standby).values(state="over", over_at=at, reason=reason))

    def move_deployment(
        self,
        deployment: Deployment,
        state: str,
        at: datetime,
        *,
        runs: RunState | None = None,
        posts: Sequence[NewPost] = (),
        run_changes: Mapping[str, Any] | None = None,
        note: str = "",
        **changes: Any,
    ) -> Deployment:
        """Moves a deployment, and its runs with it. `posts` go into each run's thread."""
        new = dataclasses.replace(deployment, state=state, **changes)
        with self.begin() as c:
            same = and_(t.deployments.c.id == deployment.id, t.deployments.c.state == deployment.state)
            if c.execute(update(t.deployments).where(same).values(state=state, **changes)).rowcount != 1:
                raise Overtaken(f"deployment {deployment.id} is not {deployment.state} any more")
            rows = c.execute(select(t.runs).where(t.runs.c.deployment == deployment.id)).all()
            for run in map(read_run, rows):
                self._carry(c, run, runs, at, note, posts, run_changes or {})
        return new

    def _carry(
        self,
        c: Connection,
        run: Run,
        to: RunState | None,
        at: datetime,
        note: str,
        posts: Sequence[NewPost],
        changes: Mapping[str, Any],
    ) -> None:
        if run.kind is not RunKind.FIX:
            changes = {name: value for name, value in changes.items() if name != "fix_state"}  # only fixes are watched
        if to is not None and (to is run.state or to in TRANSITIONS[run.state]):
            move_run(c, run, to, at, note, {"reason": None, "hindrance": None, **changes})
        card = card_of_run(c, run.id)
        insert_posts(c, card, posts, at)
        touch(c, card, at)

    def note_healthy(self, build: str, at: datetime) -> None:
        with self.begin() as c:
            c.execute(update(t.builds).where(t.builds.c.build == build).values(healthy_at=at, bad=False))

    def note_unwanted(self, build: str) -> None:
        """No build to go back to any more, though nothing was wrong with it."""
        with self.begin() as c:
            c.execute(update(t.builds).where(t.builds.c.build == build).values(healthy_at=None))

    def is_bad(self, build: str) -> bool:
        """Whether it was taken back, or is being."""
        with self.begin() as c:
            return bool(c.execute(select(t.builds.c.bad).where(t.builds.c.build == build)).scalar())

    def note_bad(self, build: str) -> None:
        with self.begin() as c:
            c.execute(update(t.builds).where(t.builds.c.build == build).values(bad=True, healthy_at=None))
