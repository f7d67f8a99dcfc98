"""The panel beside the channel in the demo: what the visitor looks at, and what he can do to the realm."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from bot.demo import acts, bugs
from bot.demo.acts import OpenRequest
from bot.demo.bugs import FixKind, PlantedBug
from bot.demo.known import Known
from bot.demo.turn import PATIENCE, Turn, give_turn, read_turn
from bot.demo.world import DemoWorld
from bot.sandbox import Panel, PanelButton, PanelGroup, PanelItem, Sandbox, VisitorError
from pipeline.errors import PipelineError

log = logging.getLogger(__name__)
WATCH = 1.0  # seconds for which a server that should not die of a bug is looked at
LOOK = 0.3  # seconds between two looks at what is asked of the analyst
TITLE = "A realm to break"
TEXT = (
    "This is the channel of a small realm on this machine: a C++ server with eight planted bugs, its git repository, "
    "and Spirit Healer, which watches it. "
    "Crash it: the server is back at once, the crash is read, and an example analyst looks for the bug in the source. "
    "Its fix is built, deployed and judged; answer in its place, well or badly, to see a bad one taken back."
)
NOT_UP = "The server starts just now, or it is held: the channel says which."


@dataclass(frozen=True)
class Fix:
    label: str
    hint: str
    style: str = "secondary"


FIXES = {
    FixKind.GOOD: Fix("Good fix", "The bug no longer crashes the server.", "success"),
    FixKind.NO_COMPILE: Fix("Does not compile", "A semicolon is missing."),
    FixKind.NOT_CURED: Fix("Cures nothing", "Only a comment: the bug crashes the server as before."),
    FixKind.CRASH_AT_START: Fix("Dies at start", "It cures the bug, and the server dies before it is ready."),
    FixKind.CRASH_AFTER_READY: Fix("Dies when up", "It cures the bug, and the server dies 3 s after it is ready."),
    FixKind.OUTSIDE: Fix("Writes elsewhere", "It writes to `../outside.txt`, which is refused."),
}


TURNS = {
    Turn.EXAMPLE: PanelItem(
        "The example analyst",
        "It reads the request and the source, and knows no bug by name.",
        (PanelButton(f"turn {Turn.VISITOR}", "Answer myself", "Requests wait for you."),),
    ),
    Turn.VISITOR: PanelItem(
        "You",
        "Requests wait for your answer.",
        (PanelButton(f"turn {Turn.EXAMPLE}", "Let it answer", "The example analyst answers what is asked."),),
    ),
}


async def keep_up(world: DemoWorld, sandbox: Sandbox, known: Known) -> None:
    """Shows the panel and keeps it with what is asked, until it is cancelled."""
    hand = Hand(world, known)
    while True:
        try:
            requests = await asyncio.to_thread(hand.list_requests)
            turn = await asyncio.to_thread(read_turn, world.folder)
            sandbox.show_panel(describe(requests, hand.recall(requests), turn), hand.press)
        except (OSError, ValueError, LookupError, PipelineError):
            log.exception("the panel could not be brought up to date")
        await asyncio.sleep(LOOK)


class Hand:
    """The visitor's, by the panel's buttons."""

    def __init__(self, world: DemoWorld, known: Known | None = None) -> None:
        self._world = world
        self._known = known  # None: as it is while no bot works
        self.crashed: PlantedBug | None = None
        # with what he did so last: what a new unreadable crash is taken for
        self._taken: dict[str, PlantedBug] = {}
        # what unreadable crashes were taken for, by signature: it stays so, whatever is crashed or asked again later

    def list_requests(self) -> list[OpenRequest]:
        """Those that take an answer."""
        return acts.list_requests(self._world, self._list_proposed())

    def _list_proposed(self) -> frozenset[str]:
        return self._known.list_proposed() if self._known is not None else frozenset()

    def recall(self, requests: list[OpenRequest]) -> Mapping[str, PlantedBug]:
        """What each unreadable crash is taken for."""
        for each in requests:
            if not each.readable and self.crashed is not None:
                self._taken.setdefault(each.signature, self.crashed)
        return self._taken

    async def press(self, button: str) -> str:
        """What came of it. Raises VisitorError where nothing could be done."""
        act, name, *rest = button.split(" ")
        try:
            if act == "turn":
                return await self._give_turn(Turn(name))
            bug = bugs.get_bug(name)
            if act == "crash":
                return await self._crash(bug)
            return await self._answer(bug, FixKind(rest[0]), rest[1])
        except PipelineError as fault:
            raise VisitorError(f"{fault}. {NOT_UP}") from fault

    async def _give_turn(self, turn: Turn) -> str:
        await asyncio.to_thread(give_turn, self._world.folder, turn)
        return "Requests wait for your answer." if turn is Turn.VISITOR else "The example analyst answers from now on."

    async def _crash(self, bug: PlantedBug) -> str:
        said = f"Set off: {bug.title}."
        before, commit = await asyncio.to_thread(self._look, bug)
        await asyncio.to_thread(acts.crash, self._world, bug)
        self.crashed = bug
        if commit is None:
            return said
        await asyncio.sleep(WATCH)
        after, _ = await asyncio.to_thread(self._look, bug)
        return f"{said} The server lives on: it is fixed in {commit[:12]}." if before and after == before else said

    def _look(self, bug: PlantedBug) -> tuple[int | None, str | None]:
        """The server's process, and the commit that has this bug fixed."""
        if self._known is None:
            return None, None
        asked = [each.id for each in acts.read_requests(self._world) if self._tell_bug(each) == bug]
        return self._known.find_server(), self._known.find_fix(asked)

    def _tell_bug(self, request: OpenRequest) -> PlantedBug | None:
        return request.bug if request.readable else self._taken.get(request.signature)

    async def _answer(self, bug: PlantedBug, kind: FixKind, request: str) -> str:
        proposed = await asyncio.to_thread(self._list_proposed)
        if acts.was_answered(self._world.queue, request, proposed):
            raise VisitorError("That request was answered a moment ago.")
        await asyncio.to_thread(acts.answer, self._world, bug, request, kind)
        return f"Sent: {FIXES[kind].label.lower()}. {FIXES[kind].hint}"


# --- words -----------------------------------------------------------------------------------------------------------


def describe(
    requests: list[OpenRequest], taken: Mapping[str, PlantedBug] | None = None, turn: Turn = Turn.EXAMPLE
) -> Panel:
    """What is asked comes first, then who answers it, and what can be crashed."""
    crashing = PanelGroup("Crash the realm", "", tuple(map(show_bug, bugs.BUGS)))
    answering = PanelGroup("Who answers", "", (TURNS[turn],))
    asked = [item for each in requests if (item := show_request(each, taken or {})) is not None]
    if not asked:
        return Panel(TITLE, TEXT, (answering, crashing))
    note = "A fix is asked for."
    if turn is Turn.EXAMPLE and not all(each.abstained for each in requests):
        note += f" The example analyst has one {PATIENCE:.0f} s after it is asked, unless you are faster."
    return Panel(TITLE, TEXT, (PanelGroup("Answer as the analyst", note, tuple(asked)), answering, crashing))


def show_bug(bug: PlantedBug) -> PanelItem:
    kind, _, what = bug.title.partition(": ")
    return PanelItem(kind[0].upper() + kind[1:], what, (PanelButton(f"crash {bug.name}", "Crash"),))


def show_request(request: OpenRequest, taken: Mapping[str, PlantedBug]) -> PanelItem | None:
    """None for a crash that no fix is prepared for."""
    bug = request.bug if request.readable else taken.get(request.signature)
    if bug is None:
        return None
    buttons = [
        PanelButton(f"fix {bug.name} {kind} {request.id}", f.label, f.hint, f.style) for kind, f in FIXES.items()
    ]
    abstained = " · the example analyst has no answer" if request.abstained else ""
    return PanelItem(bug.function, f"request {request.id}{abstained}", tuple(buttons))
