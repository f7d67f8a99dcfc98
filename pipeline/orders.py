"""What a person may order. A command is one call of this class; each answers Done or Impossible, in words.

Everything is async because Discord calls it; the work is the store's and the keeper's, in threads.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from pipeline import views
from pipeline.errors import PipelineError
from pipeline.keeper.protocol import Want
from pipeline.model import (
    CLOSED,
    Actor,
    Done,
    FixLine,
    Impossible,
    Outcome,
    Patch,
    PostKind,
    Question,
    RestartPlan,
    RevertPlan,
    Run,
    RunKind,
    RunState,
    StatusView,
)
from pipeline.points import point
from pipeline.stages import deploying, finding
from pipeline.store import Fact, NewPost, Overtaken
from pipeline.summary import NightSummary
from pipeline.tools import Tools

NIGHTS = 60  # that are offered
LAPSED_AFTER = timedelta(minutes=5)


class Orders:
    """The desk. `woken` tells the runner that there is something to do."""

    def __init__(self, tools: Tools, woken: Callable[[], None], cancel: Callable[[str], None]) -> None:
        self._tools = tools
        self._store = tools.store
        self._woken = woken
        self._cancel = cancel

    # --- reading -----------------------------------------------------------------------------------------------------

    async def status(self) -> StatusView:
        return await asyncio.to_thread(views.status, self._tools)

    async def summary(self, night: date | None) -> NightSummary:
        """None = this night so far."""
        return await asyncio.to_thread(views.night_summary, self._tools, night or self._tools.night())

    async def list_nights(self) -> list[date]:
        """Of which there is something to tell, newest first."""
        return await asyncio.to_thread(self._store.list_nights, NIGHTS)

    async def list_fixes(self) -> list[FixLine]:
        """Tonight's commits of ours, newest first."""
        return await asyncio.to_thread(views.list_fixes, self._tools)

    async def plan_revert(self, commit: str) -> RevertPlan | Impossible:
        return await asyncio.to_thread(self._plan_revert, commit)

    async def plan_restart(self) -> RestartPlan:
        return await asyncio.to_thread(views.plan_restart, self._tools)

    # --- ordering ----------------------------------------------------------------------------------------------------

    async def pause(self, by: Actor, reason: str) -> Outcome:
        return await self._do(self._pause, by, reason)

    async def resume(self, by: Actor) -> Outcome:
        return await self._do(self._resume, by)

    async def revert(self, commit: str, by: Actor) -> Outcome:
        return await self._do(self._revert, commit, by)

    async def update(self, by: Actor) -> Outcome:
        """Brings the base branch's head into the night branch, builds and deploys it."""
        return await self._do(self._update, by)

    async def restart_server(self, by: Actor, delay: timedelta, reason: str) -> Outcome:
        return await self._do(self._restart, by, delay, reason)

    async def cancel_order(self, order: int, by: Actor) -> Outcome:
        return await self._do(self._cancel_order, order, by)

    async def start_server(self, by: Actor) -> Outcome:
        return await self._do(self._start_server, by)

    async def approve(self, run: str, by: Actor) -> Outcome:
        return await self._do(self._approve, run, by)

    async def deploy_now(self, run: str, by: Actor) -> Outcome:
        return await self._do(self._deploy_now, run, by)

    async def reject(self, run: str, by: Actor, reason: str) -> Outcome:
        return await self._do(self._reject, run, by, reason)

    async def retry(self, run: str, by: Actor) -> Outcome:
        return await self._do(self._retry, run, by)

    async def _do(self, order: Callable[..., Outcome], *arguments: object) -> Outcome:
        if (closed := self._tools.degraded.get(views.DATABASE)) is not None:
            return Impossible(f"Nothing was changed: {closed}")
        try:
            return await asyncio.to_thread(order, *arguments)
        except Overtaken:
            return Impossible("Something else happened to it in the same moment; nothing was changed. Look again.")
        except PipelineError as fault:
            return Impossible(f"Nothing was changed: {self._tools.redact(str(fault))}")
        finally:
            self._woken()

    # --- the pause ---------------------------------------------------------------------------------------------------

    def _pause(self, by: Actor, reason: str) -> Outcome:
        before = self._store.get_pause()
        if before is not None:
            return Impossible(f"It is paused already, by {before.by}: {before.reason or 'no reason given'}.")
        now = self._tools.now()
        value = {"by": str(by), "reason": reason, "at": now.isoformat()}
        self._store.set_fact(Fact.PAUSE, value, at=now)
        point("pause.noted")
        deploying.withdraw_standby(self._tools, "paused")
        return Done("Crash reports, counting and restarts go on; nothing is patched, built or deployed by itself.")

    def _resume(self, by: Actor) -> Outcome:
        if self._store.get_pause() is None:
            return Impossible("It is not paused.")
        self._store.drop_fact(Fact.PAUSE, at=self._tools.now())
        return Done()

    # --- reverts -----------------------------------------------------------------------------------------------------

    def _plan_revert(self, commit: str) -> RevertPlan | Impossible:
        run = self._find_fix(commit)
        if isinstance(run, Impossible):
            return run
        return views.plan_revert(self._tools, run)

    def _find_fix(self, commit: str) -> Run | Impossible:
        """The run of a commit, where it can be reverted."""
        if not commit or not all(letter in "0123456789abcdef" for letter in commit.lower()) or len(commit) < 4:
            return Impossible(f"`{commit[:60]}` is not a commit: give at least 4 of its hexadecimal digits.")
        run = self._store.get_run_by_commit(commit.lower())
        if run is None or run.commit is None:
            return Impossible(f"`{commit[:40]}` is not a commit of ours. `/revert` offers those that are.")
        undone = views.revert_of(self._tools, run)
        if undone is not None:
            return Impossible(f"`{run.commit[:12]}` is reverted already, in `{(undone.commit or undone.id)[:12]}`.")
        return run

    def _revert(self, commit: str, by: Actor) -> Outcome:
        fix = self._find_fix(commit)
        if isinstance(fix, Impossible):
            return fix
        if fix.commit is None:
            return Impossible("It has no commit.")
        now = self._tools.now()
        run = Run(
            secrets.token_hex(4), RunKind.REVERT, RunState.READY, fix.night, fix.signature, fix.subject, now, now,
            patch=Patch(reverts=(fix.commit,)), asked_by=str(by), reverts=fix.commit,
        )  # fmt: skip
        self._store.add_run(run, now, card=self._store.get_card_of_run(fix.id))
        point("revert.noted")
        return Done(run=run.id)

    # --- the base ---------------------------------------------------------------------------------------------------

    def _update(self, by: Actor) -> Outcome:
        head = self._tools.source.base_head()
        branch = self._store.get_open_branch()
        here = branch.head if branch is not None else finding.running_commit(self._tools)
        if here is not None and self._tools.source.contains(here, head):
            return Impossible(f"Nothing was changed: `{head[:12]}`, the head of the base branch, is in it already.")
        if any(run.kind is RunKind.UPDATE for run in self._store.list_open_runs()):
            return Impossible("Nothing was changed: the base is being moved already; see its card.")
        now = self._tools.now()
        subject = f"base branch at {head[:12]}"
        run = Run(
            secrets.token_hex(4), RunKind.UPDATE, RunState.READY, self._tools.night(), None, subject, now, now,
            patch=Patch(merges=head), asked_by=str(by),
        )  # fmt: skip
        self._store.add_run(run, now, key="update")
        return Done(run=run.id)

    # --- the server --------------------------------------------------------------------------------------------------

    def _restart(self, by: Actor, delay: timedelta, reason: str) -> Outcome:
        now = self._tools.now()
        due = now + delay
        waiting = [each for each in self._store.list_waiting_orders() if now - each.due <= LAPSED_AFTER]
        sooner = next((each for each in waiting if each.due <= due), None)
        if sooner is not None:
            left = (sooner.due - now).total_seconds()
            return Impossible(f"{sooner.by} has ordered a restart already: it is due in {max(left, 0):.0f} s.")
        for later in waiting:
            self._store.end_order(later.id, "cancelled", now)
        order = self._store.add_order("restart", str(by), reason, due, now)
        return Done(order=order, due=due)

    def _cancel_order(self, order: int, by: Actor) -> Outcome:
        if self._store.end_order(order, "cancelled", self._tools.now()):
            return Done()
        return Impossible("It is too late: it was carried out, cancelled, or has lapsed.")

    def _start_server(self, by: Actor) -> Outcome:
        server = self._store.get_fact(Fact.SERVER) or {}
        observed = self._tools.keeper.observed()
        if observed is not None and observed.pid is not None:
            return Impossible("The server runs already.")
        value = {**server, "want": Want.UP, "by": str(by), "reason": "start",
                 "restart": next_restart(self._tools, server)}  # fmt: skip
        self._store.set_fact(Fact.SERVER, value)
        return Done()

    # --- runs --------------------------------------------------------------------------------------------------------

    def _get_open(self, run: str) -> Run | Impossible:
        found = self._store.get_run(run)
        return found if found is not None else Impossible(f"There is no run `{run[:20]}`.")

    def _approve(self, run: str, by: Actor) -> Outcome:
        found = self._get_open(run)
        if isinstance(found, Impossible):
            return found
        if found.state is not RunState.AWAITING_APPROVAL or found.question is None:
            return Impossible(f"Run `{found.id}` asks for nothing: it is {found.state}.")
        back = RunState.AWAITING_DEPLOYMENT if found.question is Question.DEPLOY else RunState.READY
        answered = (*found.answered, found.question)
        note = f"{found.question} approved by {by}"
        self._store.advance(found, back, self._tools.now(), note=note, question=None, answered=answered, reason=None)
        return Done(run=found.id)

    def _deploy_now(self, run: str, by: Actor) -> Outcome:
        found = self._get_open(run)
        if isinstance(found, Impossible):
            return found
        if found.question is Question.DEPLOY and found.state is RunState.AWAITING_APPROVAL:
            self._approve(run, by)
            found = self._store.get_run(run) or found
        if found.state is not RunState.AWAITING_DEPLOYMENT:
            return Impossible(f"Run `{found.id}` does not wait for a deployment: it is {found.state}.")
        answered = (*found.answered, deploying.NOW)
        self._store.advance(found, found.state, self._tools.now(), answered=answered, not_before=None)
        return Done(run=found.id)

    def _reject(self, run: str, by: Actor, reason: str) -> Outcome:
        found = self._get_open(run)
        if isinstance(found, Impossible):
            return found
        if found.state not in REJECTABLE:
            return Impossible(f"Run `{found.id}` is {found.state}: too late to reject it. `/revert` takes it back.")
        words = f"rejected by {by}" + (f": {reason}" if reason else "")
        self._store.advance(found, RunState.CANCELLED, self._tools.now(), note=words, reason=words, question=None)
        self._cancel(found.id)
        if found.commit is not None and self._is_built(found):
            deploying.withdraw_standby(self._tools, "rejected")
            return self._revert(found.commit, by)
        return Done(run=found.id)

    def _is_built(self, run: Run) -> bool:
        build = None if run.commit is None else self._store.get_build(run.commit)
        return build is not None and build.state == "built"

    def _retry(self, run: str, by: Actor) -> Outcome:
        found = self._get_open(run)
        if isinstance(found, Impossible):
            return found
        if found.state not in CLOSED or found.state is RunState.SUCCEEDED or found.kind is not RunKind.FIX:
            return Impossible(f"Run `{found.id}` is {found.state}: there is nothing to try again.")
        now = self._tools.now()
        again = secrets.token_hex(4)
        run_again = Run(
            again, RunKind.FIX, RunState.ANALYZING, found.night, found.signature, found.subject, now, now,
            request_id=again, retry_of=found.id, asked_by=str(by),
        )  # fmt: skip
        previous = self._store.get_previous(found.id)
        self._store.add_run(run_again, now, card=self._store.get_card_of_run(found.id), previous=previous)
        return Done(run=again)


REJECTABLE = (
    RunState.ANALYZING,
    RunState.PROPOSED,
    RunState.READY,
    RunState.AWAITING_APPROVAL,
    RunState.AWAITING_DEPLOYMENT,
)


def carry_out_due(tools: Tools) -> bool:
    """Orders whose time has come; those that are more than 5 min late have lapsed, and say so."""
    changed = False
    now = tools.now()
    for order in tools.store.list_waiting_orders():
        changed |= tell_of(tools, order.id, order.due - now, order.told_at is None)
        if now - order.due > LAPSED_AFTER:
            data = {"what": "lapsed", "detail": f"the restart that {order.by} ordered was not carried out: "
                    "nobody was there at its time", "by": order.by}  # fmt: skip
            tools.store.end_order(order.id, "lapsed", now, [NewPost(PostKind.ORDER, data, to_channel=True)])
        elif order.due <= now:
            restart(tools, order.id, order.by, order.reason)
        else:
            continue
        changed = True
    return changed


def tell_of(tools: Tools, order: int, left: timedelta, first: bool) -> bool:
    """Players are told once, as soon as the order is seen."""
    if not first or left <= timedelta():
        return False
    tools.store.note_order_told(order, tools.now())
    deploying.tell_players(tools, f"Server restart in {left.total_seconds():.0f} seconds.")
    return True


def next_restart(tools: Tools, server: Mapping[str, Any]) -> int:
    """With a new database the keeper's own count is ahead: what it has seen already would be no order to it."""
    previous = tools.keeper.desired()
    return 1 + max(int(server.get("restart", 0)), previous.restart if previous else 0)


def restart(tools: Tools, order: int, by: str, reason: str) -> None:
    """The wish for a restart is derived from the fact; the order is done with it, in this order: twice is a no-op."""
    deploying.console_call(tools, "saveall")
    server = tools.store.get_fact(Fact.SERVER) or {}
    if server.get("order") != order:
        value = {**server, "want": Want.UP, "by": by, "reason": reason or "restart ordered", "order": order,
                 "restart": next_restart(tools, server)}  # fmt: skip
        point("restart.saved")
        tools.store.set_fact(Fact.SERVER, value)
    point("restart.noted")
    data = {"what": "restarting", "detail": reason, "by": by}
    tools.store.end_order(order, "done", tools.now(), [NewPost(PostKind.ORDER, data, to_channel=True)])
