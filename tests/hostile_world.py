"""The two real ways in for a response: the queue's files and ANALYST_COMMAND, over a real source and a real database.

Everything that a response could reach lies in one folder (the user's checkout and its remote, the state folder with
our clone, the server's, a stranger's), so that one picture of it before and after a case tells of any stray byte.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from enum import Enum, auto
from pathlib import Path
from typing import Any

import psutil
from checkouts import Picture, snapshot
from hostile_patches import MAP, make_hostile_bed
from world import OPERATOR, FakeCommit, World

from bot.limits import fit
from bot.posts import render_post
from pipeline.adapters.analyst import FileAnalyst
from pipeline.adapters.response_queue import QUIET
from pipeline.card_models import Post, PostKind
from pipeline.model import Approval, Patch, Run, RunState
from pipeline.store.refusals import NAMED

Raw = Callable[[str], bytes]  # of the id of its request
SECRET = "hunter2"  # the redactor of the world knows it
COMMAND_TIMEOUT = 20.0  # seconds
BENCH = "state/source/.git/scratch"  # where a change that may be made is worked out, until the next one is
LATER = timedelta(days=100)  # when every post is due


class End(Enum):
    """What becomes of a response; whichever it is, nothing is written and nothing is run."""

    REJECTED = auto()  # it is none: its file lies in rejected/, the request stays open
    REFUSED = auto()  # its change may not be made: a person's turn, with the reason
    PROSE = auto()  # it has no change: something to read
    OPEN = auto()  # nobody has answered yet: what lies there is left alone, or the command left nothing
    ASKED = auto()  # its change is harmless, and whatever it says is plain data: a person is asked for approval


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What can be seen of a case afterwards. `strays` = paths of what is not as it was."""

    end: End | None
    reason: str
    strays: list[str]
    posts: list[Post]

    def expect(self, end: End | None, reason: str) -> None:
        """Nothing stray is left, and people are told so much of why. `end` None = it is rejected or refused."""
        assert self.strays == [], self.strays
        assert self.end in ((End.REJECTED, End.REFUSED) if end is None else (end,)), self
        assert reason in self.reason
        if self.end in (End.REJECTED, End.REFUSED):
            assert self.reason.strip("; ")
            assert self.reason.isprintable()
            assert len(self.reason) < 1000


class HostileWorld:
    """`command`: responses come from a program that is run, and not as files. Shared by cases: none may change it."""

    def __init__(self, folder: Path, *, command: bool = False) -> None:
        self.root = folder / "realm"
        self.played: dict[tuple[object, str], Outcome] = {}  # what became of cases that were played with others
        self.bed = make_hostile_bed(self.root)
        self.queue = self.bed.state / "queue"
        self._lay_out()
        self.world = World(folder, {
            "approval": Approval.PATCH, "state_dir": self.bed.state, "source_dir": self.bed.checkout.folder,
            "analyst_nightly_limit": 100_000,
        })  # fmt: skip
        self.world.keeper.revision = self.bed.base[:12]
        self.world.source.commits = _Anything()
        vars(self.bed.source)["trace"] = self.world.source.trace  # it asks git much, and no response reaches it
        self._script, self._scripts = folder / "agent.py", folder / "scripts"
        argv = [sys.executable, "-I", "-S", str(self._script), "{request}", "{response}", "{worktree}"]
        analyst = FileAnalyst(
            self.queue, self.world.clock, state_dir=self.bed.state, clone=self.bed.clone,
            command=argv if command else None, timeout=COMMAND_TIMEOUT,
        )  # fmt: skip
        analyst.create()
        self.world.tools = dataclasses.replace(
            self.world.tools, source=self.bed.source, analyst=analyst, secrets=(SECRET,)
        )
        self.world.restart()

    def _lay_out(self) -> None:
        """Where a stray byte could go."""
        for name in ("state/scratch", "state/logs/analyst", "server", "stranger/.git/hooks", "user/build"):
            (self.root / name).mkdir(parents=True)
        for name in ("outside.txt", "stranger/precious.txt", "server/worldserver", "user/secret.env"):
            (self.root / name).write_text(f"mine; {SECRET}\n", encoding="utf-8")
        (self.root / "user" / MAP).write_text("// what its owner works on tonight\n", encoding="utf-8")

    async def start(self) -> HostileWorld:
        self._scripts.mkdir()
        self._script.write_text(
            "import json, os, subprocess, sys, time\n"
            "request, response, worktree = sys.argv[1:4]\n"
            f"root = {str(self.root)!r}\n"
            "asked = json.load(open(request, encoding='utf-8'))\n"
            "id, name = asked['request_id'], asked['crash']['crash_function'].removeprefix('Case::')\n"
            f"exec(open(os.path.join({str(self._scripts)!r}, name), encoding='utf-8').read())\n",
            encoding="utf-8",
        )
        await self.world.start()
        return self

    # --- the two ways in ---------------------------------------------------------------------------------------------

    async def crash(self, name: str) -> Run:
        """A request lies there; the bot was started anew before. Its run is the newest: all of them would be many."""
        (run,) = await self.crash_all([name])
        return run

    async def crash_all(self, names: Collection[str]) -> list[Run]:
        """One of each, read in the same look."""
        self.world.restart()
        for name in names:
            self.world.clock.time += timedelta(seconds=1)
            self.world.keeper.crash(f"Case::{name}")
        await self.world.settle()
        runs = self.world.store.list_latest_runs(len(names))[::-1]
        found = {run.subject.removeprefix("Case::"): run for run in runs}
        assert found.keys() == {*names}
        return [found[name] for name in names]

    async def put(self, name: str, drop: Callable[[Path, str], None], also: Collection[str] = ()) -> Outcome:
        """`drop` gets the folder of responses and the id, and does what it likes; `also` = files of the queue that it
        may leave there or that are filed away."""
        run = await self.crash(name)
        before = self.picture()
        drop(self.queue / "responses", run.request_id or "")
        (outcome,) = await self._judge([run], before, also)
        return outcome

    async def put_raw(self, responses: Mapping[str, Raw]) -> list[Outcome]:
        """One by each name, side by side; no more than a post names the reasons of."""
        assert len(responses) <= NAMED
        runs = await self.crash_all(responses)
        before = self.picture()
        for run, raw in zip(runs, responses.values(), strict=True):
            part = self.queue / "responses" / f".{run.request_id}.tmp"
            part.write_bytes(raw(run.request_id or ""))
            part.rename(part.with_name(f"response_{run.request_id}.json"))
        return await self._judge(runs, before)

    async def command(self, scripts: Mapping[str, str]) -> list[Outcome]:
        """Each script sees request, response, worktree, root and the id. Nothing that they started is left."""
        for name, script in scripts.items():
            self.write_script(name, script)
        before = self.picture()
        outcomes = await self._judge(await self.crash_all(scripts), before)
        left = [each for each in psutil.process_iter(["cmdline"]) if self._is_ours(each)]
        assert left == [], "a program outlived the command"
        return outcomes

    def write_script(self, name: str, script: str) -> None:
        """What the command does about the crash of that name."""
        (self._scripts / name).write_text(script, encoding="utf-8")

    async def command_raw(self, responses: Mapping[str, Raw]) -> list[Outcome]:
        scripts = {}
        for name, raw in responses.items():
            payload = self._scripts / f"{name}.payload"
            payload.write_bytes(raw("{ID}"))
            script = f"raw = open({str(payload)!r}, 'rb').read().replace(b'{{ID}}', id.encode())\n"
            scripts[name] = f"{script}open(response, 'wb').write(raw)"
        outcomes = await self.command(scripts)
        for payload in self._scripts.glob("*.payload"):
            payload.unlink()
        return outcomes

    def _is_ours(self, process: psutil.Process) -> bool:
        return any(str(self.root) in part or str(self._script) in part for part in process.info["cmdline"] or ())

    # --- what is seen ------------------------------------------------------------------------------------------------

    def picture(self) -> Picture:
        """All there is; of what is the user's also when it was changed."""
        user = self.bed.checkout.folder
        mine = {f"{user.name}/{path}": each for path, each in snapshot(user).items()}
        return snapshot(self.root, times=False) | mine

    async def _judge(self, runs: list[Run], before: Picture, also: Collection[str] = ()) -> list[Outcome]:
        """What is stray is each one's."""
        await self.world.settle()
        await self.world.pass_time(seconds=QUIET)
        await self.world.runner.close()
        after = self.picture()
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        found = [self.world.get(run) for run in runs]
        may_stand = any(run.state is RunState.AWAITING_APPROVAL for run in found)
        changed -= {f"state/queue/{path}" for path in also}
        changed -= {path for path in changed if path.startswith(BENCH) and (may_stand or path not in after)}
        strays = sorted(changed - {mark for run in runs for mark in _list_marks(run.request_id or "")})
        posts = self._deliver()
        refused = [each for post in posts if post.kind is PostKind.REJECTED_RESPONSE for each in post.data["refused"]]
        assert self.world.builder.built == [], "something was built"
        outcomes = []
        for run in found:
            mine = [str(each["reason"]) for each in refused if len(runs) == 1 or (run.request_id or "") in each["file"]]
            reason = "; ".join([*mine, run.reason or ""])
            outcomes.append(Outcome(self._find_end(run, bool(mine)), reason, strays, posts))
            await self._forget(run)
        self._deliver()
        return outcomes

    async def _forget(self, run: Run) -> None:
        """It is over and its marks are gone: thousands of cases would be slow."""
        await self.world.orders.reject(run.id, OPERATOR, "over")
        for path in self.bed.state.rglob(f"*{run.request_id}*"):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()

    def _find_end(self, run: Run, was_rejected: bool) -> End | None:
        match run.state:
            case RunState.ANALYZING:
                named = self.queue / "rejected" / f"response_{run.request_id}.json"
                return End.REJECTED if was_rejected or named.exists() else End.OPEN
            case RunState.PROPOSED:
                return End.REFUSED if run.patch is not None else End.PROSE
            case RunState.AWAITING_APPROVAL:
                return End.ASKED
            case _:
                return None

    def _deliver(self) -> list[Post]:
        """What the channel would read: it can be rendered, fits, and tells no secret."""
        for card in self.world.store.list_dirty_cards():
            self.world.store.card_delivered(card.card, card.wanted, "1", "1")
        posts = self.world.store.list_pending_posts(self.world.clock.now() + LATER)
        for post in posts:
            shown = fit(render_post(post, "Realm"))
            assert SECRET not in repr(shown), shown
            self.world.store.post_delivered(post.id, str(post.id))
        return posts


def _list_marks(request: str) -> list[str]:
    """What is meant to be left of a response: the request, the response where it was filed away, a log."""
    marks = (f"queue/requests/request_{request}.json", f"queue/completed/response_{request}.json",
             f"queue/rejected/response_{request}.json", f"logs/analyst/{request}.log")  # fmt: skip
    return [f"state/{mark}" for mark in marks]


class _Anything(dict[str, FakeCommit]):
    """The fake builder's idea of the source: whatever is asked for is there and builds."""

    def __missing__(self, commit: str) -> FakeCommit:
        return FakeCommit(commit, None, {}, "")


# --- responses -------------------------------------------------------------------------------------------------------


def of_patch(patch: Patch) -> dict[str, Any]:
    """A response that carries this patch, in the shape that it has."""
    if patch.diff is not None:
        return {"patch": patch.diff}
    if patch.edits and patch.edits[0].candidates:
        return of_candidates(patch)
    if patch.edits:
        return {"edits": [{"path": each.path, "search": each.search, "replace": each.replace} for each in patch.edits]}
    files = [{"path": each.path, "new_code": each.content, "base_sha256": each.base_sha256} for each in patch.files]
    return {"fix": {"files_modified": files}}


def of_candidates(patch: Patch) -> dict[str, Any]:
    [edit] = patch.edits
    changes = {"before": edit.search, "after": edit.replace}
    return {"fix": {"files_modified": [{"path": path} for path in edit.candidates], "code_changes": changes}}


def as_raw(plain: dict[str, Any]) -> Raw:
    """As an analyst would write it."""
    return lambda request: json.dumps({"request_id": request, **plain}).encode()
