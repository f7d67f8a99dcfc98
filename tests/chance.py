"""A night on real parts in which nobody knows what comes next: the dice say what happens, and when.

    with living_as(MortalRealm, ground, None, **SETTINGS) as realm:
        realm.start()
        night = Chance(realm, random.Random(7), Pace())
        with Killer(realm, random.Random(8), 6.0):
            night.play(seconds=120)
        night.rest()

Servers crash of any planted bug; requests are answered well, badly, late, in halves, twice or by prose; people pause,
revert, restart and think better of it; players come and go; the remote is away. What the pipeline paused is resumed
and a held server is started, as people do. What must hold at the end is `checker`'s to say.
"""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil
from killing import LONG, MortalRealm, Victim
from living_channel import Said
from realm import PlayerClient

from bot.demo.bugs import BUGS, FixKind, PlantedBug, find_bug_of, response

SETTINGS = {"SERVER_SOAK": "5s", "MAX_PLAYERS_FOR_RESTART": "1"}
LOOK = 0.05  # seconds between two looks at what is due
ASKED = "ANALYZING"
ENDED = {"SUCCEEDED", "ROLLED_BACK", "FAILED", "CANCELLED", "PROPOSED", ASKED}
PROSE, TORN = "prose", "torn"
_ANSWERS: dict[str, int] = {
    FixKind.GOOD: 46, FixKind.NO_COMPILE: 12, FixKind.NOT_CURED: 10, FixKind.CRASH_AFTER_READY: 8,
    FixKind.CRASH_AT_START: 8, FixKind.OUTSIDE: 6, PROSE: 6, TORN: 4,
}  # fmt: skip
_DEFERRED = "deferred_login.txt"  # why a server crashes again after each start, until it is cured or the file gone


@dataclass(frozen=True)
class Pace:
    """Mean seconds between two of a kind; 0 = it never happens."""

    crash: float = 12.0
    order: float = 15.0
    visit: float = 60.0
    # of players
    outage: float = 60.0
    # of the remote; a quarter of it is how long one lasts
    answer: float = 3.0
    # from a request to its answer
    reaction: float = 6.0
    # from a pause, or a server that is held, to the person who ends it


class Chance:
    def __init__(self, realm: MortalRealm, dice: random.Random, pace: Pace) -> None:
        self.realm = realm
        self.done: Counter[str] = Counter()  # what happened -> how often
        self.unanswered: list[str] = []  # by a bot that lived on
        self._dice = dice
        self._pace = pace
        self._due: dict[str, float] = {}  # monotonic seconds
        self._answered: set[str] = set()
        self._players: list[PlayerClient] = []

    def play(self, seconds: float, beside: Sequence[Callable[[], None]] = ()) -> None:
        """`beside` is what is called between any two acts."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.realm.look_after()
            self._act()
            for each in beside:
                each()
            time.sleep(LOOK)

    def rest(self) -> None:
        """Nothing new happens; what is under way comes to its end, and a server runs."""
        self._end_outage()
        self._leave()
        self.realm.wait(self._is_at_rest, "all runs to end", 4 * LONG, every=0.5)

    def _is_at_rest(self) -> bool:
        self._react()
        states = {row["state"] for row in self.realm.rows("select state from runs")}
        return self.realm.server_pid is not None and not self._is_paused() and states <= ENDED

    def _act(self) -> None:
        self._react()
        self._answer_requests()
        for act, mean in (
            (self._crash, self._pace.crash), (self._order, self._pace.order), (self._visit, self._pace.visit),
            (self._toggle_remote, self._pace.outage),
        ):  # fmt: skip
            if mean and self._is_due(act.__name__, mean):
                self._due.pop(act.__name__)
                self._try(act)

    def _is_due(self, what: str, mean: float) -> bool:
        """The first time it is asked, the dice say when it will be."""
        due = self._due.setdefault(what, time.monotonic() + self._dice.expovariate(1 / mean))
        return time.monotonic() >= due

    def _try(self, act: Callable[[], str]) -> None:
        """An act says what it was. A bot, or a server, that dies over it answers nobody."""
        lives = self.realm.lives
        try:
            self.done[act()] += 1
        except (OSError, AssertionError) as fault:
            self.done["nobody there"] += 1
            self.realm.look_after()
            if self.realm.lives == lives and isinstance(fault, AssertionError):
                self.unanswered.append(f"{act.__name__.strip('_')}: {fault}"[:500])

    # --- the world ---------------------------------------------------------------------------------------------------

    def _crash(self) -> str:
        bug = self._dice.choice(BUGS)
        if self.realm.server_pid is None:
            return "no server to crash"
        self.realm.tell_server(bug.command)
        return f"bug {bug.name}"

    def _visit(self) -> str:
        """Players come, or go: while there are two of them nothing is deployed by itself."""
        if self._players:
            return self._leave()
        if self.realm.server_pid is None:
            return "no server to join"
        self._players = [self.realm.join(name) for name in ("Ann", "Bob")]
        return "players came"

    def _leave(self) -> str:
        for player in self._players:
            player.close()
        self._players = []
        return "players left"

    def _toggle_remote(self) -> str:
        if self._end_outage():
            return "remote back"
        self.realm.remote.rename(self._away)
        self._is_due(self._toggle_remote.__name__, self._pace.outage / 4)
        return "remote gone"

    def _end_outage(self) -> bool:
        if not self._away.exists():
            return False
        self._away.rename(self.realm.remote)
        return True

    @property
    def _away(self) -> Path:
        return self.realm.remote.with_suffix(".away")

    # --- the analyst -------------------------------------------------------------------------------------------------

    def _answer_requests(self) -> None:
        written = set(self.realm.list_requests())
        for row in self.realm.rows(f"select request_id from runs where state='{ASKED}'"):  # noqa: S608 (our own word)
            request = str(row["request_id"])
            if request in written - self._answered and self._is_due(request, self._pace.answer):
                self._answered.add(request)
                self._try(lambda asked=request: self._answer(asked))  # type: ignore[misc]  # a default binds it

    def _answer(self, request: str) -> str:
        asked = self.realm.read_request(request)["crash"]
        bug = find_bug_of([asked["crash_function"] or "", *asked["call_stack"]])
        kind = PROSE if bug is None else self._dice.choices([*_ANSWERS], [*_ANSWERS.values()])[0]
        if bug is None or kind == PROSE:
            self.realm.respond(request, {"request_id": request, "fix_strategy": "Look.", "fix_content": "if (this)"})
        elif kind == TORN:
            self._answer_in_halves(request, bug)
        else:
            self.realm.answer(bug, request, FixKind(kind))
        return f"answer {kind}"

    def _answer_in_halves(self, request: str, bug: PlantedBug) -> None:
        """Written in place by somebody who knows no renaming, and slow."""
        text = json.dumps(response(bug, request))
        with (self.realm.queue / "responses" / f"response_{request}.json").open("w", encoding="utf-8") as file:
            file.write(text[: len(text) // 2])
            file.flush()
            time.sleep(self._dice.uniform(0.1, 1.0))
            file.write(text[len(text) // 2 :])

    # --- people ------------------------------------------------------------------------------------------------------

    def _react(self) -> None:
        """To what is said in the channel: the pipeline is paused, the server is held, a base is asked for."""
        for wanted, act in (
            (self._is_paused, self._resume), (self._is_held, self._start), (self._is_asked, self._approve),
        ):  # fmt: skip
            if not wanted():
                self._due.pop(act.__name__, None)
            elif self._is_due(act.__name__, self._pace.reaction):
                self._due.pop(act.__name__)
                self._try(act)

    def _is_paused(self) -> bool:
        return bool(self.realm.rows("select * from facts where name='pause'"))

    def _is_held(self) -> bool:
        return self.realm.observed().get("state") == "held"

    def _is_asked(self) -> bool:
        return bool(self.realm.rows("select * from runs where state='AWAITING_APPROVAL'"))

    def _approve(self) -> str:
        card = next((each for each in self.realm.channel.cards() if "Approve" in each.buttons), None)
        if card is None:
            return "asked, and not told yet"
        self.realm.channel.press(card, "Approve")
        return "Approve"

    def _resume(self) -> str:
        self.realm.channel.slash("resume")
        return "resume"

    def _start(self) -> str:
        """Whoever starts a held server has looked first, and taken away what makes it crash at once."""
        held = next((each for each in reversed(self.realm.channel.news()) if "Start" in each.buttons), None)
        if held is None:
            return "held, and not told yet"
        (self.realm.server_dir / _DEFERRED).unlink(missing_ok=True)
        self.realm.channel.press(held, "Start")
        return "start"

    def _order(self) -> str:
        return self._dice.choice((self._pause, self._revert, self._restart, self._decide, self._look))()

    def _pause(self) -> str:
        self.realm.channel.slash("pause", reason="I look myself")
        return "pause"

    def _revert(self) -> str:
        fixes = self.realm.rows("select * from runs where kind='fix' and state='SUCCEEDED' and fix_state='watching'")
        if not fixes:
            return "nothing to revert"
        return self._confirm(
            self.realm.channel.slash("revert", commit=str(self._dice.choice(fixes)["commit"])), "Revert"
        )

    def _restart(self) -> str:
        question = self.realm.channel.slash("restart-server", delay=self._dice.choice(("now", "3s")), reason="new maps")
        return self._confirm(question, "Restart")

    def _confirm(self, question: Said, label: str) -> str:
        """Or not, or not for long."""
        if label not in question.buttons:
            return f"{label}: impossible"
        if self._dice.random() < 0.15:
            return f"{label}: thought better of"
        answer = self.realm.channel.press(question, label)
        if "Cancel" in answer.buttons and self._dice.random() < 0.3:
            self.realm.channel.press(answer, "Cancel")
            return f"{label}: cancelled"
        return label

    def _decide(self) -> str:
        """About a build that waits for players to leave."""
        for card in self.realm.channel.cards():
            if "Deploy now" in card.buttons:
                label = self._dice.choice(("Deploy now", "Reject"))
                self.realm.channel.press(card, label)
                return label
        return "nothing to decide"

    def _look(self) -> str:
        self.realm.channel.slash("status", user="guest")
        return "status"

    def describe(self) -> str:
        return _list(self.done)


class Killer:
    """kill -9 of bot, keeper or both, at moments that nobody chose: from a thread of its own, whatever is going on."""

    def __init__(self, realm: MortalRealm, dice: random.Random, mean: float) -> None:
        self.kills: Counter[Victim] = Counter()
        self.moments: Counter[str] = Counter()  # states of runs that were under way
        self._realm, self._dice, self._mean = realm, dice, mean
        self._stop = threading.Event()
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(LONG)
        if self._fault is not None:
            raise self._fault

    def _work(self) -> None:
        try:
            while not self._stop.wait(self._dice.expovariate(1 / self._mean)):
                self._kill(self._dice.choice(list(Victim)))
        except Exception as fault:
            self._fault = fault

    def _kill(self, victim: Victim) -> None:
        under_way = {*self._realm.states()} - ENDED
        with suppress(psutil.NoSuchProcess):
            if self._realm.strike(victim):
                self.kills[victim] += 1
                self.moments.update(under_way or {"nothing under way"})

    def describe(self) -> str:
        return f"{self.kills.total()} kills ({_list(self.kills)}) in {_list(self.moments)}"


def _list(counted: Counter[str] | Counter[Victim]) -> str:
    return ", ".join(f"{name} {times}" for name, times in sorted(counted.items()))
