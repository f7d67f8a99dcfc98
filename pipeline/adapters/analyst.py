"""Whatever writes the analysis: the queue of files, and ANALYST_COMMAND in its plain form.

The command is an argv template that runs in a scratch clone with a bare environment, at low priority, with limits on
its time, its output and its answer. It may write the response or just edit the tree. Nothing it does, and nothing it
leaves undone, keeps anything else waiting: every outcome is a response in the queue or a sentence.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from pipeline.adapters.children import Child, TimedOut, mark_for
from pipeline.adapters.limits import Limits, TooMuch
from pipeline.adapters.response_queue import ResponseQueue, move_to_free_name
from pipeline.adapters.responses import MOST_BYTES, is_request_id, parse_response, too_large
from pipeline.adapters.scratch import Scratch, ScratchFailed, open_scratch, remove_tree
from pipeline.crash.prompt import write_prompt
from pipeline.errors import Cancelled, PipelineError, ResponseRejected
from pipeline.ports import Analyst, AnalystFailed, AnalystWork, Answer, Clock
from pipeline.redact import strike_part

MOST_OUTPUT = 8 << 20  # bytes that the command may print
_GIT_TIMEOUT = 600.0  # seconds: a checkout of the whole source on a slow disk
_KEPT_LOGS = 20
_PLACE = re.compile(r"\{(request|response|worktree|prompt)\}")
# Without these nothing starts on Windows, or opens a socket; HOME has other names there.
_WINDOWS_BASICS = (
    "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERPROFILE", "HOMEDRIVE", "HOMEPATH",
)  # fmt: skip

_log = logging.getLogger(__name__)


class FileAnalyst(Analyst):
    """`ports.Analyst` over the queue of files. `clone` = our own clone, from which scratch clones are made."""

    def __init__(
        self,
        queue_dir: Path,
        clock: Clock,
        *,
        state_dir: Path,
        clone: Path,
        command: Sequence[str] | None = None,  # ANALYST_COMMAND, split
        env_names: Sequence[str] = (),  # ANALYST_ENV
        timeout: float = 600.0,  # seconds, ANALYST_TIMEOUT
        environ: Mapping[str, str] | None = None,  # None = ours
        redact: Callable[[str], str] = str,  # what the command printed, before it is kept
    ) -> None:
        self._queue = ResponseQueue(queue_dir, clock)
        self._state_dir = state_dir
        self._clone = clone
        self._command = tuple(command or ())
        self._env_names = tuple(env_names)
        self._timeout = timeout
        self._environ = os.environ if environ is None else environ
        self._redact = redact

    @property
    def responses(self) -> Path:
        """The folder to watch."""
        return self._queue.responses

    @property
    def has_command(self) -> bool:
        return bool(self._command)

    def ask(self, request_id: str, request: dict[str, object]) -> Path:
        return self._queue.ask(request_id, request)

    def request_path(self, request_id: str) -> Path:
        return self._queue.request_path(request_id)

    def answers(self) -> list[Answer]:
        return self._queue.answers()

    def file_away(self, answer: Answer, used: bool) -> None:
        self._queue.file_away(answer, used)

    @property
    def stuck(self) -> str | None:
        return self._queue.stuck

    def create(self) -> None:
        self._queue.create()

    def prune(self, over: Collection[str], unfinished: Collection[str]) -> None:
        self._queue.prune(over, unfinished)

    def remove_leftovers(self) -> None:
        """Removes scratch clones of an earlier life; for the start, once its children are ended. A life that was killed
        has not struck out what its command printed."""
        for log in (self._state_dir / "logs" / "analyst").glob("*.log"):
            _strike(log, self._redact)
        if self._scratches.is_dir():
            remove_tree(self._scratches)

    def run_command(self, work: AnalystWork) -> AnalystFailed | None:
        """Runs ANALYST_COMMAND; None = its response lies in the queue. Never raises for what the command does."""
        if not is_request_id(work.request_id):
            raise ValueError(f"not an id: {work.request_id!r}")
        if self._has_response(work.request_id):
            return None  # an earlier passage got as far as this
        base = analyst_environment(self._environ, (), sys.platform)
        try:
            with open_scratch(self._scratches / work.request_id, base, _Git(self._mark, work)) as scratch:
                scratch.create(self._clone, work.base_commit)
                return self._work_in(scratch, work)
        except (PipelineError, OSError) as fault:
            return AnalystFailed(str(fault))

    @property
    def _scratches(self) -> Path:
        return self._state_dir / "scratch"

    @property
    def _mark(self) -> str:
        return mark_for(self._state_dir, "analyst")

    def _work_in(self, scratch: Scratch, work: AnalystWork) -> AnalystFailed | None:
        response = scratch.folder / f"response_{work.request_id}.json"
        trouble = self._run_child(scratch, work, response)
        raw = _read_response(response)
        if raw is not None:
            return self._take_response(work.request_id, raw)
        if self._has_response(work.request_id):
            return None
        return self._take_diff(scratch, work) if trouble is None else AnalystFailed(trouble)

    def _has_response(self, request_id: str) -> bool:
        """Whether somebody put it into the queue directly."""
        path = self._queue.responses / f"response_{request_id}.json"
        return path.is_file() and not path.is_symlink()

    def _run_child(self, scratch: Scratch, work: AnalystWork, response: Path) -> str | None:
        """Runs the command to its end; what went wrong, in a sentence."""
        prompt = scratch.folder / "prompt.md"  # beside the clone, not in it
        prompt.write_text(write_prompt(work.request_id, work.request.read_text(encoding="utf-8")), encoding="utf-8")
        argv = fill_template(
            self._command, request=work.request, response=response, worktree=scratch.worktree, prompt=prompt
        )
        env = analyst_environment(self._environ, self._env_names, sys.platform)
        output = self._open_log(work.request_id)
        with prompt.open("rb") as words:  # most agents take their task from there, whatever its length
            child = Child.start(
                argv, cwd=scratch.worktree, env=env, output=output, stdin=words, what=self._mark,
                on_started=work.on_started, low_priority=True,
            )  # fmt: skip
        try:
            status = child.wait(self._timeout, work.cancelled, Limits(output, MOST_OUTPUT, scratch.folder))
        except TimedOut:
            return f"ANALYST_COMMAND took longer than ANALYST_TIMEOUT ({self._timeout:g} s) and was ended"
        except TooMuch as fault:
            return f"ANALYST_COMMAND was ended: {fault}"
        except Cancelled as fault:
            return str(fault)  # as where it has not begun yet
        finally:
            child.end_tree()
            _strike(output, self._redact)
        place = output.relative_to(self._state_dir).as_posix()
        return f"ANALYST_COMMAND ended with {status}; its output is in {place} of the state folder" if status else None

    def _take_response(self, request_id: str, raw: bytes) -> AnalystFailed | None:
        name = f"response_{request_id}.json"
        try:
            if len(raw) > MOST_BYTES:
                raise ResponseRejected(too_large(len(raw)))
            parse_response(raw, name)
        except ResponseRejected as fault:
            _keep_rejected(self._queue.rejected / name, raw[:MOST_BYTES])
            return AnalystFailed(f"the response of ANALYST_COMMAND cannot be used: {fault}")
        self._queue.deliver(request_id, raw)
        return None

    def _take_diff(self, scratch: Scratch, work: AnalystWork) -> AnalystFailed | None:
        diff = scratch.diff(work.base_commit)
        if not diff:
            return AnalystFailed("ANALYST_COMMAND wrote no response and changed nothing")
        response = {"request_id": work.request_id, "origin": "worktree", "patch": diff}
        return self._take_response(work.request_id, json.dumps(response, ensure_ascii=False).encode())

    def _open_log(self, request_id: str) -> Path:
        """A new log of this run; the oldest ones go."""
        folder = self._state_dir / "logs" / "analyst"
        folder.mkdir(parents=True, exist_ok=True)
        logs = sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)
        for old in logs[:-_KEPT_LOGS]:
            old.unlink(missing_ok=True)
        path = folder / f"{request_id}.log"
        path.write_bytes(b"")
        return path


class _Git:
    """Runs git as a child of ours: bounded, marked, ended as a whole tree."""

    def __init__(self, mark: str, work: AnalystWork) -> None:
        self._mark = mark
        self._work = work

    def __call__(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], output: Path, limit: int) -> int:
        child = Child.start(
            argv, cwd=cwd, env=env, output=output, what=self._mark, on_started=self._work.on_started, low_priority=True
        )
        try:
            return child.wait(_GIT_TIMEOUT, self._work.cancelled, Limits(output, limit, cwd))
        except TimedOut as fault:
            raise ScratchFailed(f"git did not end: {fault}") from fault
        except TooMuch as fault:
            raise ScratchFailed(f"its change was not taken: {fault}") from fault
        finally:
            child.end_tree()


def analyst_environment(environ: Mapping[str, str], names: Sequence[str], platform: str) -> dict[str, str]:
    """PATH, HOME and what ANALYST_ENV names; on Windows also what no program can do without."""
    basics = ("PATH", "HOME", *(_WINDOWS_BASICS if platform == "win32" else ()))
    wanted = {name.upper() if platform == "win32" else name for name in (*basics, *names)}
    return {key: value for key, value in environ.items() if (key.upper() if platform == "win32" else key) in wanted}


def fill_template(template: Sequence[str], *, request: Path, response: Path, worktree: Path, prompt: Path) -> list[str]:
    """The argv: each `{request}`, `{response}`, `{worktree}`, `{prompt}` becomes its path, every other brace stays."""
    paths = {"request": str(request), "response": str(response), "worktree": str(worktree), "prompt": str(prompt)}
    return [_PLACE.sub(lambda match: paths[match[1]], part) for part in template]


def _strike(log: Path, redact: Callable[[str], str]) -> None:
    """A command that prints its environment prints the key that it was given; and between two looks at its length a
    flood goes on."""
    with log.open("rb") as file:
        said, more = file.read(MOST_OUTPUT), file.read(1)
    clean = strike_part(said.decode("utf-8", "surrogateescape"), redact, ends=not more)
    log.write_bytes(clean.encode("utf-8", "surrogateescape"))


def _read_response(path: Path) -> bytes | None:
    """What the command wrote, as far as a response may be long and a byte more. Only of a plain file of its own."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size == 0:
            return None
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError:
        return None


def _keep_rejected(target: Path, raw: bytes) -> None:
    """What was wrong can be read in `rejected` afterwards."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(raw)
        move_to_free_name(temporary, target)
    except OSError as fault:
        _log.warning("a refused response cannot be kept in %s: %s", target.parent, fault)
