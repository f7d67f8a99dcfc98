"""A realm that lives: the real bot as a process of its own, with its keeper, the sample server, a checkout, a remote.

    with living(ground, APPROVAL="patch") as realm:
        realm.start()
        request = realm.crash(get_bug("aura"))
        realm.answer(get_bug("aura"), request, FixKind.GOOD)
        realm.wait_card("Fixed: Unit::UpdateAuras")

Everything is done and seen from outside: environment, signals, the queue's files, the server's console, the sandbox,
git on the remote. At the end all of it is gone, and `invariants` has looked at what is left.
"""

import json
import os
import re
import secrets
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
from checker import History, Look, Message, Row, broken, gather, read_journal
from invariants import UNCOMMITTED, Secret, Site, Witness, end_processes, is_alive, list_processes
from living_channel import Channel, Said
from living_ground import Ground
from realm import EXECUTABLE, USER, PlayerClient, ask_soap, find_free_ports, git, write_configuration

import bot
from bot.demo.bugs import FixKind, PlantedBug, response

T = TypeVar("T")
R = TypeVar("R", bound="LivingRealm")
COMMAND = [sys.executable, "-m", "bot", "run", "--sandbox"]
PATIENCE = 60.0  # seconds for anything to happen
WARM_BUILD = 300.0  # seconds
ENDING = 30.0  # seconds for the bot, or keeper and server, to end in order
REST = 60.0  # seconds for all that is under way to come to rest
SELDOM = 0.2  # seconds between two looks at the channel, all processes, or a whole history: each costs the bot or us
LOOK = 0.02  # seconds between two looks
_ADDRESS = re.compile(r"The channel: (http://127\.0\.0\.1:\d+)/")
_INHERITED = ("PATH", "LANG", "SYSTEMROOT")


class Waited(AssertionError):
    """What was waited for did not come."""


class LivingRealm:
    """`start`, then everything else. Settings of the bot by name; `conf` = keys of worldserver.conf."""

    numbers = True  # see Site

    def __init__(self, ground: Ground, conf: dict[str, object], settings: dict[str, str]) -> None:
        self.root = ground.home
        self.commit = ground.commit
        self.checkout, self.remote = self.root / "checkout", self.root / "remote.git"
        self.server_dir, self.state = self.root / "server", self.root / "state"
        self.queue = self.state / "queue"
        self.token, self.password = f"page-{secrets.token_hex(8)}", f"console-{secrets.token_hex(8)}"
        self.world_port, self.soap_port = find_free_ports(2)
        self._settings = settings
        self.command = COMMAND
        self._bot: subprocess.Popen[bytes] | None = None
        self.lives = 0  # how often the bot was started
        self._channel: Channel | None = None
        self._players: list[PlayerClient] = []
        self._configure(conf)

    def _configure(self, conf: dict[str, object]) -> None:
        ours: dict[str, object] = {
            "WorldServerPort": self.world_port, "SOAP.Enabled": 1, "SOAP.Port": self.soap_port, "Console.Enable": 0,
            "MaxCoreStuckTime": 4, "Realm.LateSeconds": 3, "Realm.ConsoleUser": USER,
            "Realm.ConsolePassword": self.password,
        }  # fmt: skip
        write_configuration(self.server_dir, {**ours, **conf})
        for name in ("home", "cwd", "tmp"):
            (self.root / name).mkdir()

    def work_in_the_checkout(self) -> None:
        """What its owner has there tonight: changes staged and not, a file of secrets, git in the midst of work."""
        for name in ("README.md", "src/server/game/Maps/Map.h"):
            with (self.checkout / name).open("a", encoding="utf-8") as file:
                file.write(f"// {UNCOMMITTED}\n")
        git(self.checkout, "add", "README.md")
        (self.checkout / "secret.env").write_text(f"TOKEN={UNCOMMITTED}\n", encoding="utf-8")
        (self.checkout / ".git" / "index.lock").touch()

    def list_secrets(self) -> dict[str, Secret]:
        """By what they are; the server's own core may hold the password that it read itself."""
        conf, core = r"server/worldserver\.conf", r"(state/)?server/core.*"
        return {
            "the sandbox's token": Secret(self.token),
            "the console's password": Secret(self.password, files=f"{conf}|{core}"),
        }

    @property
    def environment(self) -> dict[str, str]:
        """The bot's: nothing of ours but what a process cannot do without."""
        given = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        folders = {"HOME": self.root / "home", "TMPDIR": self.root / "tmp", "STATE_DIR": self.state,
                   "SOURCE_DIR": self.checkout, "SERVER_DIR": self.server_dir,
                   "PYTHONPATH": Path(bot.__file__).parents[1]}  # fmt: skip
        settings = {
            "SERVER_COMMAND": f"{EXECUTABLE} -c worldserver.conf", "SERVER_PORT": str(self.world_port),
            "SERVER_CONSOLE": f"soap://127.0.0.1:{self.soap_port}", "SERVER_CONSOLE_USER": USER,
            "SERVER_CONSOLE_PASSWORD": self.password, "SERVER_SOAK": "2s", "SERVER_STOP_NOTICE": "1s",
            "SERVER_READY_TIMEOUT": "30s", "SERVER_STOP_TIMEOUT": "20s", "MIN_FREE_DISK": "50M", "BUILD_JOBS": "2",
            "SANDBOX_PORT": "0", "SANDBOX_TOKEN": self.token, "REALM_NAME": "Living realm",
        }  # fmt: skip
        return {**given, **{name: str(path) for name, path in folders.items()}, **settings, **self._settings}

    # --- the bot -----------------------------------------------------------------------------------------------------

    def start(self) -> "LivingRealm":
        """Starts the bot; returns when the server is ready and the channel takes commands."""
        self.start_bot()
        self.wait(lambda: self.server_pid, "the server to be ready")
        self.wait(self.is_open, "the channel", every=SELDOM)
        return self

    def start_bot(self) -> subprocess.Popen[bytes]:
        """Starts it and waits for nothing."""
        self.lives += 1
        self._channel = None
        with (self.root / f"bot-{self.lives}.txt").open("wb") as output:
            self._bot = subprocess.Popen(
                self.command, cwd=self.root / "cwd", env=self.environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        return self._bot

    @property
    def bot(self) -> psutil.Process:
        """The process of its present life."""
        assert self._bot is not None
        return psutil.Process(self._bot.pid)

    def change_settings(self, **settings: str) -> None:
        """For its next life."""
        self._settings.update(settings)

    def kill_bot(self) -> None:
        """kill -9."""
        assert self._bot is not None
        self._bot.kill()
        self._bot.wait(ENDING)

    def end_bot(self) -> int:
        """SIGTERM; its exit code."""
        assert self._bot is not None
        self._bot.terminate()
        return self._bot.wait(ENDING)

    @property
    def bot_pid(self) -> int | None:
        return self._bot.pid if self._bot is not None and self._bot.poll() is None else None

    @property
    def bot_output(self) -> str:
        """What the present life of the bot printed."""
        return _read(self.root / f"bot-{self.lives}.txt")

    @property
    def channel(self) -> Channel:
        if self._channel is None:
            found = self.wait(lambda: _ADDRESS.search(self.bot_output), "the address of the channel")
            self._channel = Channel(found[1], self.token)
        return self._channel

    def is_open(self) -> bool:
        try:
            return bool(self.channel.state()["ready"])
        except OSError:
            return False

    # --- keeper and server -------------------------------------------------------------------------------------------

    def observed(self) -> dict[str, Any]:
        """What the keeper says; empty before it said anything."""
        try:
            found: dict[str, Any] = json.loads((self.state / "observed.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    @property
    def server_pid(self) -> int | None:
        """Of a server that is ready."""
        observed = self.observed()
        return observed.get("pid") if observed.get("state") == "ready" else None

    @property
    def build(self) -> str | None:
        """What the keeper says that runs."""
        return self.observed().get("build")

    def keeper(self) -> psutil.Process:
        found = psutil.Process(self.observed()["keeper_pid"])
        assert str(self.state) in found.cmdline(), found
        return found

    def kill_keeper(self) -> None:
        """kill -9."""
        keeper = self.keeper()
        keeper.kill()
        deadline = time.monotonic() + ENDING
        while is_alive(keeper):  # a bot that hangs reaps nobody
            assert time.monotonic() < deadline, "the keeper outlives its kill"
            time.sleep(LOOK)

    def ask_server(self, command: str) -> str:
        """A command at the server's console. Raises OSError where it does not answer."""
        answer = ask_soap(self.soap_port, command, USER, self.password)
        assert answer.status == 200, answer
        return answer.text

    def tell_server(self, command: str) -> None:
        """The same, to one that may die of it before it answers."""
        with suppress(OSError):
            ask_soap(self.soap_port, command, USER, self.password)

    @property
    def revision(self) -> str:
        """What the server itself says it was built from."""
        found = re.search(r"rev\. ([0-9a-f]+\+?)", self.ask_server("server info"))
        assert found is not None
        return found[1]

    def find_revision(self) -> str | None:
        """None where it dies of what a night by chance did to it before."""
        try:
            return self.revision
        except OSError:
            return None

    def experience(self) -> int:
        """What the bots of the realm have by now, in memory."""
        return int(self.ask_server("bots").split()[-1])

    def join(self, name: str) -> PlayerClient:
        """A player who has logged in."""
        player = PlayerClient(self.world_port)
        self._players.append(player)
        player.send(f"HELLO {name}")
        assert player.read_line() == f"WELCOME {name}"
        return player

    # --- crashing and answering --------------------------------------------------------------------------------------

    def set_off(self, bug: PlantedBug) -> None:
        """The server crashes of it, and is up again."""
        before = self.wait(lambda: self.server_pid, "a server to crash")
        self.tell_server(bug.command)
        self.wait(lambda: self.server_pid not in (None, before), f"the server to be back after {bug.name}")

    def crash(self, bug: PlantedBug) -> str:
        """Crashes it; the request that follows."""
        known = set(self.list_requests())
        self.set_off(bug)
        return self.wait_request(known)

    def list_requests(self) -> list[str]:
        return sorted(path.stem.removeprefix("request_") for path in (self.queue / "requests").glob("request_*.json"))

    def wait_request(self, known: set[str]) -> str:
        """The request that is none of the known ones."""
        return self.wait(lambda: set(self.list_requests()) - known, "a request to the analyst").pop()

    def read_request(self, request: str) -> dict[str, Any]:
        path = self.queue / "requests" / f"request_{request}.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def answer(self, bug: PlantedBug, request: str, kind: FixKind = FixKind.GOOD) -> None:
        self.respond(request, response(bug, request, kind))

    def respond(self, request: str, plain: dict[str, object]) -> None:
        """Writes a response under another name and renames it."""
        folder = self.queue / "responses"
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{request}.writing"
        temporary.write_text(json.dumps(plain), encoding="utf-8")
        temporary.replace(folder / f"response_{request}.json")

    def heal(self, bug: PlantedBug) -> Said:
        """Crashes it, answers well, and waits for the end; the card."""
        self.answer(bug, self.crash(bug))
        return self.wait_fixed(bug)

    # --- looking -----------------------------------------------------------------------------------------------------

    def wait_fixed(self, bug: PlantedBug) -> Said:
        return self.wait_card("Fixed: ", of=bug)

    def wait_card(self, title: str, *, of: PlantedBug | None = None, saying: str = "") -> Said:
        """A card whose title begins so (of this bug, with these words in it), as soon as there is one."""

        def look() -> Said | None:
            cards = [each for each in self.channel.cards() if each.title.startswith(title) and saying in each.words]
            return next((each for each in cards if of is None or _is_about(each, of)), None)

        return self.wait(look, f"a card {title!r} {of.name if of else ''} {saying!r}", every=SELDOM)

    def wait_thread(self, card: Said, title: str, times: int = 1) -> list[Said]:
        """All of a card's thread, once that many messages of this title are in it."""

        def look() -> list[Said] | None:
            said = self.channel.thread_of(card)
            return said if [each.title for each in said].count(title) == times else None

        return self.wait(look, f"{title!r} in the thread of {card.title!r}", every=SELDOM)

    def wait_news(self, words: str) -> Said:
        """A message in the channel itself."""

        def look() -> list[Said]:
            return [each for each in self.channel.news() if words in each.words]

        return self.wait(look, f"news of {words!r}", every=SELDOM)[0]

    def states(self) -> list[str]:
        """Of all runs, oldest first: only to hit a moment, which no card tells in time."""
        return [state for (state,) in self._query("select state from runs order by created_at")]

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Of the bot's database; none before there is one."""
        path = self.state / "spirit-healer.sqlite"
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as database:
                database.row_factory = sqlite3.Row
                return [dict(row) for row in database.execute(query)]
        except sqlite3.OperationalError as fault:
            if "no such column" in str(fault):
                raise
            return []

    def _query(self, query: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.rows(query)]

    def wait_state(self, *states: str) -> None:
        """The newest run has come to one of these states; on a busy machine it may be past it by now."""
        newest = "select after from run_events where run = (select id from runs order by created_at desc limit 1)"
        self.wait(lambda: any(state in states for (state,) in self._query(newest)), f"a run in {states}")

    def branches(self) -> dict[str, str]:
        """What the remote has: branch -> commit."""
        lines = git(self.remote, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines()
        return dict(line.split(" ", 1) for line in lines)

    @property
    def night_branch(self) -> str:
        """The name of the one night branch that the remote has."""
        (name,) = self.branches().keys() - {"main"}
        return name

    def log(self, branch: str | None = None) -> list[str]:
        """Subjects of the commits on the remote's night branch, newest first."""
        return git(self.remote, "log", "--format=%s", f"{self.commit}..{branch or self.night_branch}").splitlines()

    def history(self, branch: str) -> list[str]:
        """Hashes of the commits on the remote's night branch, newest first."""
        return git(self.remote, "log", "--format=%H", f"{self.commit}..{branch}").splitlines()

    def show(self, path: str, branch: str | None = None) -> str:
        """A file on the remote's night branch."""
        return git(self.remote, "show", f"{branch or self.night_branch}:{path}")

    def wait(self, look: Callable[[], T | None], what: str, timeout: float = PATIENCE, every: float = LOOK) -> T:
        """The first thing seen that is true."""
        deadline = time.monotonic() + timeout
        while not (found := look()):
            if time.monotonic() >= deadline:
                raise Waited(f"waited {timeout:.0f} s for {what}\n{self.describe()}")
            time.sleep(every)
        return found

    def count_starts(self) -> int:
        """How often the keeper started a server."""
        return len(self._events("spawned"))

    def deaths(self) -> list[Row]:
        """Ends of a server that nobody asked for."""
        return [each for each in self._events("exited") if each["data"]["verdict"] == "crash"]

    def _events(self, kind: str) -> list[Row]:
        return [each for each in read_journal(self.state / "events.jsonl") if each["kind"] == kind]

    def check_history(self, looks: list[Look]) -> None:
        """Everything holds that must, at the latest when what is under way has come to rest."""
        deadline = time.monotonic() + REST
        while faults := self._list_faults(looks):
            assert time.monotonic() < deadline, "\n".join([*faults, self.describe()])
            time.sleep(SELDOM)

    def _list_faults(self, looks: list[Look]) -> list[str]:
        return broken(self.gather_history(looks))

    def gather_history(self, looks: Sequence[Look] = ()) -> History:
        said = [Message(each.kind, each.number, each.words, each.thread) for each in self.channel.said()]
        alive = self.server_pid is not None
        return gather(self.state, self.remote, self.commit, looks=looks, messages=said, alive=alive)

    def describe(self) -> str:
        """For whoever reads of a failed test."""
        cards = [f"card: {each.words!r}" for each in self.channel.cards()] if self.is_open() else []
        log = _read(self.state / "logs" / "bot.log").splitlines()[-40:]
        history = [str(row) for row in self._query("select run, at, before, after, note from run_events order by id")]
        observed = {name: self.observed().get(name) for name in ("state", "pid", "build", "deployment", "hold")}
        return "\n".join([*history, f"keeper: {observed}", *cards, *log, self.bot_output[-1500:]])

    # --- the end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Ends bot, keeper and server in this order, each as its own users would."""
        for player in self._players:
            player.close()
        if self._bot is not None and self._bot.poll() is None:
            self._bot.terminate()
            self._bot.wait(ENDING)
        self.end_keeper()

    def end_keeper(self) -> None:
        """SIGTERM: it ends the server first."""
        pid = self.observed().get("keeper_pid")
        for process in list_processes(self.state):
            if process.pid == pid:
                process.terminate()
        self.wait(lambda: not list_processes(self.root), "the end of keeper and server", ENDING, SELDOM)

    def kill_all(self) -> list[str]:
        """Whatever is left of it; what that was."""
        left = end_processes(self.root)
        if self._bot is not None:
            self._bot.wait(ENDING)
        return left


@contextmanager
def living(ground: Ground, conf: dict[str, object] | None = None, **settings: str) -> Iterator[LivingRealm]:
    """A realm of its own for one test. At its end the invariants hold, and nothing of it runs any more."""
    with living_as(LivingRealm, ground, conf, **settings) as realm:
        yield realm


@contextmanager
def living_as(
    make: Callable[[Ground, dict[str, object], dict[str, str]], R],
    ground: Ground,
    conf: dict[str, object] | None = None,
    **settings: str,
) -> Iterator[R]:
    """The same, for a realm of another kind."""
    ground.lay_out()
    realm = make(ground, conf or {}, settings)
    realm.work_in_the_checkout()
    try:
        with Witness(_site(realm)) as witness:
            yield realm
            realm.wait(lambda: not witness.find_gaps(realm.channel.said()), "the last messages", every=SELDOM)
            revision = realm.wait(realm.find_revision, "a server that answers")
            witness.check_alive(realm.channel.said(), revision)
            realm.check_history(witness.looks)
            realm.close()
            assert realm.kill_all() == [], "something outlived its end"
            witness.check_left()
    finally:
        realm.kill_all()


def push_as_somebody_else(folder: Path, branch: str) -> str:
    """A commit on top of ours, by another clone; its hash."""
    git(folder, "clone", "-q", "-b", branch, "remote.git", "other")
    (folder / "other" / "NOTES.md").write_text("looked at it\n", encoding="utf-8")
    git(folder / "other", "add", "-A")
    git(folder / "other", "commit", "-q", "-m", "Notes of somebody else")
    git(folder / "other", "push", "-q", "origin", branch)
    commit = git(folder / "other", "rev-parse", "HEAD")
    shutil.rmtree(folder / "other")
    return commit


def warm_up(ground: Ground) -> None:
    """Once: the first realm of all builds what runs, and every other one begins with that."""
    if ground.lay_out():
        return
    realm = LivingRealm(ground, {}, {})
    try:
        realm.start()
        built = realm.state / "builds" / ground.commit
        realm.wait(built.is_dir, "the warm build", WARM_BUILD)
        realm.close()
        ground.keep()
    finally:
        realm.kill_all()


def _site(realm: LivingRealm) -> Site:
    return Site(
        realm.root, realm.checkout, realm.remote, realm.server_dir, realm.state, realm.commit, realm.list_secrets(),
        realm.numbers,
    )  # fmt: skip


def _is_about(card: Said, bug: PlantedBug) -> bool:
    """Before anybody analysed it a card has only the function to go by."""
    return bug.summary in card.words or bug.function in card.words


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
