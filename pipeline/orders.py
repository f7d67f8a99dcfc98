"""What a person may order. A command is one call of this class; each answers Done or Impossible, in words.

Everything is async because Discord calls it; the work is the store's and the keeper's, in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, timedelta
from typing import TypeVar

from pipeline import change_orders, log_tails, outcomes, plans, records, run_orders, server_orders, status_views
from pipeline.errors import Obstructed, PipelineError
from pipeline.model import Actor, Done, Impossible, Outcome
from pipeline.points import point
from pipeline.read_models import (
    AuditLine,
    CrashesView,
    CrashView,
    FixLine,
    LogView,
    RestartPlan,
    RevertPlan,
    RollbackPlan,
    RunView,
    UpdatePlan,
)
from pipeline.stages import deploying
from pipeline.status_models import RunLine, StatusView
from pipeline.store import Fact, Overtaken
from pipeline.store.patience import waiting_for
from pipeline.summary import NightSummary
from pipeline.tools import DATABASE, Tools

NIGHTS = 60  # that are offered

T = TypeVar("T")


class Orders:
    """The desk. `woken` tells the runner that there is something to do."""

    def __init__(self, tools: Tools, woken: Callable[[], None], cancel: Callable[[str], None]) -> None:
        self._tools = tools
        self._store = tools.store
        self._woken = woken
        # Each order looks and then writes: two people's are carried out one after the other. Those of changes ask git,
        # which may take minutes: the pause and the orders of the server wait for none of them.
        self._of_changes, self._of_server = asyncio.Lock(), asyncio.Lock()
        self._cancel = cancel

    # --- reading -----------------------------------------------------------------------------------------------------

    async def status(self) -> StatusView:
        return await asyncio.to_thread(status_views.status, self._tools)

    async def summary(self, night: date | None) -> NightSummary:
        """None = this night so far."""
        return await self._read(records.night_summary, self._tools, night or self._tools.night())

    async def list_nights(self) -> list[date]:
        """Of which there is something to tell, newest first."""
        return await self._read(self._store.list_nights, NIGHTS)

    async def list_fixes(self) -> list[FixLine]:
        """Tonight's fixes, newest first; a revert can be reverted too, by whoever names it."""
        return await self._read(records.list_fixes, self._tools)

    async def list_runs(self) -> list[RunLine]:
        """Newest first."""
        return await self._read(records.list_runs, self._tools)

    async def show_run(self, run: str) -> RunView | Impossible:
        return await self._read(records.show_run, self._tools, run)

    async def list_crashes(self, nights: int) -> CrashesView:
        return await self._read(records.list_crashes, self._tools, nights)

    async def list_signatures(self) -> list[tuple[str, str]]:
        """(the signature, what /crash takes), the last seen first."""
        return await self._read(records.list_signatures, self._tools)

    async def show_crash(self, signature: str) -> CrashView | Impossible:
        return await self._read(records.show_crash, self._tools, signature)

    async def list_audit(self, days: int) -> list[AuditLine]:
        return await self._read(records.list_audit, self._tools, days)

    async def read_log(self, source: str, lines: int) -> LogView | Impossible:
        return await asyncio.to_thread(log_tails.read_log, self._tools, source, lines)

    async def plan_revert(self, commit: str) -> RevertPlan | Impossible:
        return await self._read(plans.plan_revert, self._tools, commit)

    async def plan_restart(self) -> RestartPlan | Impossible:
        return await self._read(plans.plan_restart, self._tools)

    async def plan_stop(self) -> RestartPlan | Impossible:
        return await self._read(plans.plan_stop, self._tools)

    async def plan_update(self) -> UpdatePlan | Impossible:
        return await self._look(plans.plan_update)

    async def plan_rollback(self) -> RollbackPlan | Impossible:
        return await self._read(plans.plan_rollback, self._tools)

    # --- ordering ----------------------------------------------------------------------------------------------------

    async def pause(self, by: Actor, reason: str) -> Outcome:
        return await self._do(self._of_server, self._pause, by, reason)

    async def resume(self, by: Actor) -> Outcome:
        return await self._do(self._of_server, self._resume, by)

    async def revert(self, commit: str, by: Actor) -> Outcome:
        return await self._do(self._of_changes, change_orders.revert, self._tools, commit, str(by))

    async def update(self, by: Actor, commit: str | None = None) -> Outcome:
        """Brings the base branch's head (or the commit that a person was shown) into the night branch."""
        return await self._do(self._of_changes, change_orders.update, self._tools, str(by), commit)

    async def restart_server(self, by: Actor, delay: timedelta, reason: str) -> Outcome:
        return await self._do(self._of_server, server_orders.restart, self._tools, by, delay, reason)

    async def stop_server(self, by: Actor, delay: timedelta, reason: str) -> Outcome:
        return await self._do(self._of_server, server_orders.stop, self._tools, by, delay, reason)

    async def start_server(self, by: Actor) -> Outcome:
        return await self._do(self._of_server, server_orders.start, self._tools, by)

    async def roll_back(self, by: Actor, running: str, reason: str) -> Outcome:
        """To the last healthy build, where `running` begins the build that runs."""
        return await self._do(self._of_server, server_orders.roll_back, self._tools, by, running, reason)

    async def cancel_order(self, order: int, by: Actor) -> Outcome:
        return await self._do(self._of_server, server_orders.cancel, self._tools, order, by)

    async def note_order_shown(self, order: int, state: str, place: str, message: str) -> None:
        """Where the answer stands that says in what state an order is."""
        await asyncio.to_thread(self._store.note_order_shown, order, state, place, message)
        self._woken()

    async def approve(self, run: str, by: Actor, asks: str | None = None) -> Outcome:
        return await self._do(self._of_changes, run_orders.approve, self._tools, run, str(by), asks)

    async def deploy_now(self, run: str, by: Actor) -> Outcome:
        return await self._do(self._of_changes, run_orders.deploy_now, self._tools, run, str(by))

    async def reject(self, run: str, by: Actor, reason: str) -> Outcome:
        return await self._do(self._of_changes, run_orders.reject, self._tools, run, str(by), reason, self._cancel)

    async def retry(self, run: str, by: Actor) -> Outcome:
        return await self._do(self._of_changes, run_orders.retry, self._tools, run, str(by))

    async def cancel_run(self, run: str, by: Actor) -> Outcome:
        return await self._do(self._of_changes, run_orders.cancel, self._tools, run, str(by), self._cancel)

    async def _read(self, question: Callable[..., T], *arguments: object) -> T:
        """Raises Obstructed while the database does not work, also where it could not be opened at all."""
        if (closed := self._tools.degraded.get(DATABASE)) is not None:
            raise Obstructed(closed)
        return await asyncio.to_thread(question, *arguments)

    async def _look(self, plan: Callable[[Tools], T | Impossible]) -> T | Impossible:
        """A plan that asks git: what it cannot tell is said."""
        try:
            return await self._read(plan, self._tools)
        except PipelineError as fault:
            return Impossible(f"Nothing was changed: {self._tools.redact(str(fault))}")

    async def _do(self, lock: asyncio.Lock, order: Callable[..., Outcome], *arguments: object) -> Outcome:
        if (closed := self._tools.degraded.get(DATABASE)) is not None:
            return Impossible(f"Nothing was changed: {closed}")
        try:
            async with waiting_for(lock):
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
        observed = self._tools.keeper.observed()
        with self._tools.wishing, self._store.together():
            self._store.set_fact(Fact.PAUSE, value, at=now)
            order = self._store.note_done(outcomes.PAUSE, str(by), reason, now)
            deploying.drop_standby(self._tools, observed, "paused")
            untold = deploying.tell_keeper(self._tools)
        point("pause.noted")
        runs = "Crash reports, counting and restarts go on; nothing is patched, built or deployed by itself."
        return Done(f"{runs} {untold}".rstrip(), order=order)

    def _resume(self, by: Actor) -> Outcome:
        if self._store.get_pause() is None:
            return Impossible("It is not paused.")
        self._store.drop_fact(Fact.PAUSE, at=self._tools.now())
        return Done()
