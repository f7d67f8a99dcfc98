"""The runner: decides from the database and the observed world, and is only woken by events.

A tick takes in what came, then starts what can be worked on: analyses side by side, one change at a time, one
deployment at a time, and beside them what people order of the server, which waits for none of these. Recovery at the
start is the same function as a normal tick. Blocking work runs in threads.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from pipeline import intake, judging, policy, server_orders
from pipeline.errors import Cancelled, DefiniteError, TransientError
from pipeline.housekeeping import Chores
from pipeline.model import CHANGE_LANE, Run, RunState
from pipeline.obstacles import find_obstacle
from pipeline.points import point
from pipeline.stages import analyzing, building, deploying, patching, postponing, publishing, ready, warming
from pipeline.store import Overtaken
from pipeline.tools import OBSTACLE, Move, Passage, Stay, Step, Tools, bug_topic

log = logging.getLogger(__name__)

IDLE = 7.0  # seconds between two ticks that nothing woke: the watcher rings every 5, and twice is idle work
SOONEST = 0.02  # seconds, for what is due
MOST_ATTEMPTS = 5  # passages of one stage
BACK_OFF = (2, 10, 30, 60, 120)  # seconds
WARM = "warm"  # the passage of the warm build
CHANGE = "change"  # the name of the lane's work
CLOSING = 20.0  # seconds for what is under way to end

T = TypeVar("T")


class Runner:
    """Owns the lanes. `changed` is called whenever people may have something new to read."""

    def __init__(self, tools: Tools, changed: Callable[[], None], *, fatal: bool = False) -> None:
        self._tools = tools
        self._changed = changed
        self._chores = Chores(tools)
        self._fatal = fatal  # in tests a bug ends the run of the runner
        self._threads = ThreadPoolExecutor(32, "pipeline")
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._missed: set[str] = set()  # names of tasks that a tick found under way
        self._passages: dict[str, Passage] = {}
        self._analyses: dict[tuple[str, int], Passage] = {}  # by run and round
        self._woken = asyncio.Event()
        self._bugs: list[BaseException] = []
        self._due: float | None = None  # monotonic seconds at which an order or a deployment may go on
        self._moves = 0  # how often something changed

    # --- from outside ------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something may have changed. Call it from the loop's thread."""
        self._woken.set()

    def cancel(self, run: str) -> None:
        """Tells the passage of a run to end; its state is the caller's business."""
        passages = [self._passages.get(run), *(each for (id_, _), each in self._analyses.items() if id_ == run)]
        for passage in passages:
            if passage is not None:
                passage.cancelled.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Ticks until told to stop; what is under way is then ended in order."""
        ended = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                self._woken.clear()
                await self.tick()
                woken = asyncio.ensure_future(self._woken.wait())
                await asyncio.wait({ended, woken}, timeout=self._pause(), return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()
        finally:
            ended.cancel()
            await self.close()

    async def close(self) -> None:
        for passage in (*self._passages.values(), *self._analyses.values()):
            passage.cancelled.set()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=CLOSING)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def tick(self) -> None:
        """Takes in what came and starts what can be worked on. Never raises but for bugs in tests."""
        await self._guard("intake", self._take_in)
        self._start("orders", self._serve)
        for name, work in (("crashes", self._judge_crashes), (CHANGE, self._change), ("deployment", self._deploy)):
            self._start(name, work)
        await self._guard("analyses", self._start_analyses)
        await self._guard("warm build", self._make_room)
        self._start("housekeeping", self._keep_house)
        if self._fatal and self._bugs:
            raise self._bugs[0]

    async def _start_analyses(self) -> None:
        await self._end_overtaken()
        by_command = self._tools.analyst.has_command
        for run in await self._thread(self._tools.store.list_runs_to_ask, by_command):
            self._start(f"analysis {run.id}", partial(self._analyze, run))

    async def _end_overtaken(self) -> None:
        """A command whose run was answered by somebody else, or taken back, works for nobody any more."""
        if not self._analyses:
            return
        asked = {
            (run.id, run.returns) for run in await self._thread(self._tools.store.list_runs_in, RunState.ANALYZING)
        }
        for each in self._analyses.keys() - asked:
            self._analyses[each].cancelled.set()

    async def settle(self) -> None:
        """Ticks until a tick changes nothing (tests)."""
        before = None
        while before != self._moves:
            before = self._moves
            await self.tick()
            while self._tasks:
                await asyncio.wait(self._tasks.values())
                await asyncio.sleep(0)
            if self._fatal and self._bugs:
                raise self._bugs[0]

    # --- how work is started -----------------------------------------------------------------------------------------

    def _pause(self) -> float:
        """Until the next tick that nothing wakes."""
        return IDLE if self._due is None else min(IDLE, max(SOONEST, self._due - time.monotonic()))

    def _start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Starts work under a name, unless work of that name is under way: that may have looked before what this tick
        is for had happened, so another tick follows its end."""
        if name in self._tasks:
            self._missed.add(name)
            return
        task = asyncio.ensure_future(self._guard(name, work))
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._end(name))

    def _end(self, name: str) -> None:
        self._tasks.pop(name, None)
        if name in self._missed:
            self._missed.discard(name)
            self.wake()

    async def _guard(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """The one root handler of bugs."""
        try:
            await work()
            self._tools.degraded.pop(bug_topic(name), None)
        except Overtaken as overtaken:
            log.info("%s: %s", name, overtaken)
        except Exception as fault:
            self._note_fault(name, fault)

    def _note_fault(self, name: str, fault: Exception) -> None:
        """What the machine puts in the way is said with its cure, and logged when it is news; the rest are bugs."""
        topic, obstacle = bug_topic(name), find_obstacle(fault)
        if obstacle is None:
            log.error("%s failed", name, exc_info=fault)
            words = f"a fault of ours in {name}: {type(fault).__name__}; see the log"
            self._bugs.append(fault)
        else:
            words = self._tools.redact(obstacle)
            if words not in self._tools.degraded.values():
                log.warning("%s waits: %s", name, words)
        self._tools.degraded[topic] = words

    async def _thread(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    # --- the work ----------------------------------------------------------------------------------------------------

    async def _take_in(self) -> None:
        answers = await self._thread(intake.take_answers, self._tools)
        events = await self._thread(intake.import_events, self._tools)
        if answers or events:
            self._moves += 1
            self._changed()

    async def _judge_crashes(self) -> None:
        if await self._thread(judging.judge_crashes, self._tools, self._note_fault):
            self._news()

    async def _analyze(self, run: Run) -> None:
        passage = self._analyses.setdefault((run.id, run.returns), Passage())
        try:
            step: Step = await self._thread(analyzing.analyze, self._tools, run, passage)
        except TransientError as fault:
            step = Stay(self._tools.redact(str(fault)))
        except DefiniteError as fault:
            step = fail(self._tools, run, str(fault))
        finally:
            self._analyses.pop((run.id, run.returns), None)
        await self._apply(run, step)
        if step == Stay(seconds=0):
            self._news()

    async def _change(self) -> None:
        """Takes the run in the lane, else the oldest that may enter it, one stage on; then again. Idle, it warms up."""
        while (run := await self._thread(next_change, self._tools)) is not None:
            if not await self._pass(run):
                return
        if OBSTACLE in self._tools.degraded and not await self._thread(warming.is_unwelcome, self._tools):
            self._tools.degraded.pop(OBSTACLE, None)  # what waited was taken back
        commit = await self._thread(warming.wanted, self._tools)
        if commit is not None:
            await self._warm(commit)

    async def _warm(self, commit: str) -> None:
        passage = self._passages.setdefault(WARM, Passage())
        try:
            await self._thread(warming.stand, self._tools, commit)
            self._tools.degraded.pop(bug_topic(CHANGE), None)  # what hindered the last try; this one may take hours
            await self._thread(warming.warm, self._tools, passage, commit)
        finally:
            self._passages.pop(WARM, None)
        self.wake()  # not behind a fault: the next tick comes by itself, and at once would be without a pause

    async def _make_room(self) -> None:
        """Ends the warm build for a change."""
        passage = self._passages.get(WARM)
        if passage is not None and await self._thread(warming.is_unwelcome, self._tools):
            passage.cancelled.set()

    async def _pass(self, run: Run) -> bool:
        """One passage of one stage; whether the run moved."""
        passage = self._passages.setdefault(run.id, Passage())
        try:
            if run.state in CHANGE_LANE:
                run = await self._thread(self._tools.store.begin_attempt, run, self._tools.now())
                point("stage.counted")
            step = await self._thread(take_step, self._tools, run, passage)
        except Cancelled:
            return False
        except Overtaken:
            raise
        except Exception as fault:
            step = self._answer_fault(run, fault)
        else:
            self._tools.degraded.pop(OBSTACLE, None)
        finally:
            self._passages.pop(run.id, None)
        return await self._apply(run, step)

    def _answer_fault(self, run: Run, fault: Exception) -> Step:
        """What becomes of a run whose stage raised."""
        obstacle = find_obstacle(fault)
        if obstacle is not None:
            return wait_out(self._tools, run, obstacle)
        self._tools.degraded.pop(OBSTACLE, None)
        if isinstance(fault, TransientError):
            return again_later(self._tools, run, str(fault))
        if isinstance(fault, DefiniteError):
            return fail(self._tools, run, str(fault))
        if self._fatal:
            raise fault
        log.error("run %s failed in %s", run.id, run.state, exc_info=fault)
        return again_later(self._tools, run, f"a fault of ours in {run.state}: {type(fault).__name__}; see the log")

    async def _apply(self, run: Run, step: Step) -> bool:
        """Writes what a stage answered; whether the run moved."""
        moved = await self._thread(apply_step, self._tools, run, step)
        if moved:
            self._news()
        return moved

    async def _serve(self) -> None:
        """What people ordered of the server. Not in the lane of deployments: that one asks git, which may take minutes
        or fail."""
        while await self._thread(server_orders.serve, self._tools):
            self._news()
        await self._look_ahead()

    async def _deploy(self) -> None:
        while await self._thread(deploying.go_on, self._tools):
            self._news()
            await self._thread(log_deployment, self._tools)
        await self._look_ahead()

    async def _look_ahead(self) -> None:
        seconds = await self._thread(deploying.seconds_to_next, self._tools)
        self._due = None if seconds is None else time.monotonic() + seconds
        self._rouse()

    async def _keep_house(self) -> None:
        if await self._thread(self._chores.keep, self._note_fault):
            self._news()

    def _rouse(self) -> None:
        """Lets the loop look at `_due` again: it may have fallen asleep before it was set."""
        if self._due is not None and self._due - time.monotonic() < IDLE:
            asyncio.get_running_loop().call_later(max(SOONEST, self._due - time.monotonic()), self.wake)

    def _news(self) -> None:
        self._moves += 1
        self._changed()
        self.wake()


def next_change(tools: Tools) -> Run | None:
    """The run in the change lane, else the oldest READY one; None while its back-off runs."""
    if not tools.prepared.is_set():
        say_what_the_source_lacks(tools)
        return None
    with tools.store.together():
        in_lane, ready_runs = tools.store.list_runs_in(*CHANGE_LANE), tools.store.list_runs_in(RunState.READY)
        paused = tools.store.get_pause() is not None
    for run in in_lane:
        if paused and not policy.passes_pause(run) and run.state is not RunState.PUBLISHING:
            tools.store.advance(run, RunState.READY, tools.now(), note="paused", commit=None, reason="paused")
            return next_change(tools)
        return run if postponing.is_due(tools, run) else None
    waiting = [run for run in ready_runs if postponing.is_due(tools, run)]
    return next((run for run in waiting if not paused or policy.passes_pause(run)), None)


def say_what_the_source_lacks(tools: Tools) -> None:
    """On the cards of what waits for it; the reason goes when the run does."""
    words = tools.degraded.get("source")
    for run in tools.store.list_runs_in(RunState.READY) if words else ():
        if run.reason != words:
            tools.store.advance(run, run.state, tools.now(), reason=words)


def take_step(tools: Tools, run: Run, passage: Passage) -> Step:
    """The stage of a state."""
    match run.state:
        case RunState.READY:
            return ready.admit(tools, run)
        case RunState.PATCHING:
            return patching.patch(tools, run)
        case RunState.BUILDING:
            return building.build(tools, run, passage)
        case RunState.PUBLISHING:
            return publishing.publish(tools, run)
        case _:
            return Stay()


def apply_step(tools: Tools, run: Run, step: Step) -> bool:
    if isinstance(step, Move):
        note = step.note
        point("stage.decided")
        with tools.wishing, tools.store.together():  # somebody may have paused since it was looked at
            if step.to is RunState.PATCHING and ready.is_held_up(tools, run):
                return False
            tools.store.advance(run, step.to, tools.now(), note=note, posts=step.posts, **step.changes)
        point("stage.moved")
        log.info("run %s: %s -> %s %s", run.id, run.state, step.to, note)
        return True
    changes: dict[str, Any] = {}
    shown = tools.store.get_run(run.id) or run  # a build that began takes away what it had waited for
    if step.reason is not None and step.reason != shown.reason:
        changes["reason"] = step.reason
    if step.seconds:
        changes["not_before"] = tools.now() + timedelta(seconds=step.seconds)
    if step.attempts is not None and step.attempts != run.attempts:
        changes["attempts"] = step.attempts
    if changes:
        tools.store.advance(run, run.state, tools.now(), **changes)
    return False


def wait_out(tools: Tools, run: Run, obstacle: str) -> Step:
    """The machine stands in the way, and the change is as good as it was: it waits, and its tries are not used up."""
    words = tools.redact(obstacle)
    if tools.degraded.get(OBSTACLE) != words:
        log.warning("run %s waits in %s: %s", run.id, run.state, words)
    tools.degraded[OBSTACLE] = words
    tries = min(run.attempts, MOST_ATTEMPTS - 2)
    return Stay(words, BACK_OFF[max(tries, 1) - 1], attempts=tries)


def again_later(tools: Tools, run: Run, fault: str) -> Step:
    """Stays and tries again, bounded."""
    if run.attempts >= MOST_ATTEMPTS:
        return fail(tools, run, f"{fault} (tried {run.attempts} times)")
    return Stay(tools.redact(fault), BACK_OFF[min(run.attempts, len(BACK_OFF)) - 1])


def fail(tools: Tools, run: Run, fault: str) -> Move:
    reason = tools.redact(fault)
    return Move(RunState.FAILED, reason, changes={"reason": reason})


def log_deployment(tools: Tools) -> None:
    deployment = tools.store.get_active_deployment() or tools.store.get_last_deployment()
    if deployment is not None:
        said = (deployment.state, deployment.verdict or "", deployment.reason or "")
        log.info("deployment %s of %s: %s %s %s", deployment.id, deployment.build[:12], *said)
