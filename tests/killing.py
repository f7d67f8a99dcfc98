"""A night on a realm that lives, in which bot, keeper or both are killed at named points of their code.

    with killing(ground, folder, [Fault("publish.pushed", Victim.BOTH)]) as night:
        night.play()

The life that comes to an armed point stops there; whoever the fault names is killed with kill -9, and started again as
a service manager would. Several faults of one night fire one after the other. What people ordered and nobody answered
they order once more, as people do. `living` looks at every invariant at the end.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import psutil
from invariants import is_alive
from living_ground import Ground
from living_realm import LOOK, SELDOM, LivingRealm, Waited, living_as

from bot.demo.bugs import FixKind, PlantedBug, get_bug
from pipeline import points

T = TypeVar("T")
LONG = 150.0  # seconds for what is begun anew after kills
_MOST_WAITS = 5  # times so long, while something goes on
SHOWN = 60.0  # seconds until a crash that was read with its facts has its request, on a machine that does much else
DISPATCHER, AURA = get_bug("dispatcher"), get_bug("aura")


class Victim(StrEnum):
    BOT = "bot"
    KEEPER = "keeper"
    BOTH = "both"


@dataclass(frozen=True)
class Fault:
    point: str
    victim: Victim

    def __str__(self) -> str:
        return f"{self.point}:{self.victim}"


class MortalRealm(LivingRealm):
    """Looks after its bot while it waits for anything: one that died is started again, as a service manager would."""

    def __init__(self, ground: Ground, conf: dict[str, object], settings: dict[str, str]) -> None:
        super().__init__(ground, conf, settings)
        self._over = False

    def wait(self, look: Callable[[], T | None], what: str, timeout: float = LONG, every: float = LOOK) -> T:
        """A bot that is being killed answers nobody: it is asked again. While it gets on it is waited for once more: on
        a machine that does much else a compile takes minutes."""

        def ask() -> T | None:
            self.look_after()
            with suppress(OSError):
                return look()
            return None

        waits = 0
        while True:
            before = self._measure()
            try:
                return super().wait(ask, what, max(timeout, LONG), every)
            except Waited:
                waits += 1
                if waits == _MOST_WAITS or self._measure() == before:
                    raise

    def _measure(self) -> int:
        """Grows while bot, keeper or compilers do anything that is written down."""
        files = [*self.state.glob("events.jsonl*"), *(self.state / "logs").rglob("*")]
        return sum(path.stat().st_size for path in files if path.exists())

    def look_after(self) -> None:
        if not self._over and self._bot is not None and self._bot.poll() is not None:
            self.start_bot()

    def strike(self, victim: Victim) -> bool:
        """kill -9; whether anybody lived to be killed."""
        struck = False
        if victim is not Victim.KEEPER and self.bot_pid is not None:
            self.kill_bot()
            struck = True
        if victim is not Victim.BOT:
            with suppress(psutil.NoSuchProcess, KeyError):  # none was started yet
                self.kill_keeper()
                struck = True
        return struck

    def close(self) -> None:
        """One who ends the bot right after the death of a keeper is told that nobody looks after the server, and has to
        end that by hand: here the next keeper is waited for."""
        self.wait(self._has_keeper, "a keeper that lives")
        self._over = True
        super().close()

    def _has_keeper(self) -> bool:
        with suppress(psutil.NoSuchProcess, KeyError, AssertionError):  # the one that was observed last is dead
            return is_alive(self.keeper())
        return False


class KilledRealm(MortalRealm):
    """Does what the faults say, too."""

    def arm(self, folder: Path, faults: Sequence[Fault]) -> None:
        folder.mkdir()
        self._left = {folder / fault.point: fault for fault in faults}
        self._settings[points.VARIABLE] = ",".join(f"{each.point}:pause:{path}" for path, each in self._left.items())
        self._settings[points.SEEN] = str(folder / "seen.txt")
        self._seen = folder / "seen.txt"
        self.fired: list[Fault] = []

    @property
    def reached(self) -> set[str]:
        return set(self._seen.read_text(encoding="utf-8").split()) if self._seen.exists() else set()

    def look_after(self) -> None:
        if self._over:
            return
        for path in [path for path in self._left if path.exists()]:
            fault = self._left.pop(path)
            self.fired.append(fault)
            self.strike(fault.victim)
            path.with_name(f"{path.name}.go").touch()
        super().look_after()


@dataclass
class Night:
    realm: KilledRealm

    def play(self) -> None:
        """A good fix, one that is worse, a revert, a restart."""
        self.realm.start_bot()
        self.realm.wait(lambda: self.realm.server_pid, "a server")
        self._heal()
        self._make_worse()
        self._revert()
        self._restart()

    def _heal(self) -> None:
        self._answer(DISPATCHER, FixKind.GOOD)
        self._wait_run(DISPATCHER, "fix", "SUCCEEDED")

    def _make_worse(self) -> None:
        self._answer(AURA, FixKind.CRASH_AFTER_READY)
        self._wait_run(AURA, "fix", "ROLLED_BACK")
        self._wait_run(AURA, "revert", "SUCCEEDED")
        self._order(lambda: self.realm.channel.slash("resume").content, lambda: not self._read("facts", "name='pause'"))

    def _revert(self) -> None:
        (commit,) = {row["commit"] for row in self._runs(DISPATCHER, "fix") if row["state"] == "SUCCEEDED"}

        def order() -> object:
            question = self.realm.channel.slash("revert", commit=str(commit))
            return self.realm.channel.press(question, "Revert") if "Revert" in question.buttons else None

        self._order(order, lambda: self._runs(DISPATCHER, "revert"))
        self._wait_run(DISPATCHER, "revert", "SUCCEEDED")

    def _restart(self) -> None:
        def order() -> object:
            question = self.realm.channel.slash("restart-server", reason="new maps")
            return self.realm.channel.press(question, "Restart") if "Restart" in question.buttons else None

        before = self._wish()["restart"]
        self._order(order, lambda: self._read("orders", "kind='restart'"))
        self.realm.wait(lambda: self._wish()["restart"] > before, "the order to reach the keeper")
        wished = self._wish()["generation"]
        self.realm.wait(lambda: self.realm.observed().get("generation", 0) >= wished, "the keeper to take the order")
        self.realm.wait(lambda: self.realm.server_pid, "the server to be up again")

    def _wish(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.realm.state / "desired.json").read_text(encoding="utf-8"))
        return found

    # --- one step ----------------------------------------------------------------------------------------------------

    def _answer(self, bug: PlantedBug, kind: FixKind) -> None:
        self.realm.answer(bug, self._crash(bug), kind)

    def _crash(self, bug: PlantedBug) -> str:
        """Its request. A death that nobody saw may leave no facts to know it by: then it crashes once more."""
        for _ in range(3):
            self._set_off(bug)
            with suppress(AssertionError):
                return self._wait_request(bug)
        raise AssertionError(f"no request came of {bug.name}\n{self.realm.describe()}")

    def _set_off(self, bug: PlantedBug) -> None:
        """Until a server has died of it: one that is being replaced hears nothing."""

        def has_died() -> bool:
            if len(self.realm.deaths()) > before:
                return True
            self.realm.tell_server(bug.command)
            return False

        before = len(self.realm.deaths())
        self.realm.wait(has_died, f"the server to die of {bug.name}", every=0.3)
        self.realm.wait(lambda: self.realm.server_pid, f"the server to be back after {bug.name}")

    def _wait_request(self, bug: PlantedBug) -> str:
        deadline = time.monotonic() + SHOWN

        def look() -> str | None:
            assert time.monotonic() < deadline, "no request"
            return next(iter(self._list_asked(bug)), None)

        return self.realm.wait(look, "a request")

    def _list_asked(self, bug: PlantedBug) -> set[str]:
        """The requests that lie there and wait for an answer."""
        asked = {str(row["request_id"]) for row in self._runs(bug, "fix") if row["state"] == "ANALYZING"}
        return asked & {*self.realm.list_requests()}

    def _order(self, give: Callable[[], object], done: Callable[[], object]) -> None:
        """Again, until it shows."""

        def look() -> object:
            if done():
                return True
            with suppress(AssertionError):  # its bot died over it
                give()
            return done()

        self.realm.wait(look, "an order to show", every=0.2)

    def _wait_run(self, bug: PlantedBug, kind: str, state: str) -> None:
        what = f"the {kind} of {bug.name} to be {state}"
        self.realm.wait(lambda: any(row["state"] == state for row in self._runs(bug, kind)), what, every=SELDOM)

    def _runs(self, bug: PlantedBug, kind: str) -> list[dict[str, Any]]:
        rows = self._read("runs", f"kind='{kind}'")
        return [row for row in rows if bug.function.split("(")[0] in row["subject"]]

    def _read(self, table: str, where: str) -> list[dict[str, Any]]:
        return self.realm.rows(f"select * from {table} where {where}")  # noqa: S608 (our own words)


@contextmanager
def killing(
    ground: Ground, folder: Path, faults: Sequence[Fault], play: type[Night] = Night, **settings: str
) -> Iterator[Night]:
    """A realm with these faults before it. Every invariant holds at its end."""

    def make(*arguments: Any) -> KilledRealm:
        realm = KilledRealm(*arguments)
        realm.arm(folder, faults)
        return realm

    with living_as(make, ground, None, **{"SERVER_SOAK": "5s", **settings}) as realm:
        try:
            yield play(realm)
        except AssertionError as fault:
            fault.add_note(f"armed: {', '.join(map(str, faults))}; fired: {', '.join(map(str, realm.fired))}")
            raise
