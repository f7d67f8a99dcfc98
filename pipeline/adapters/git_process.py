"""Runs git: never asks anybody, always ends, leaves nothing behind, and is deaf to what the machine's user configured
for people (hooks, signing, prompts, editors, line ends).

GitPython starts the process. Its own `kill_after_timeout` ends neither git's children (ssh, git-remote-https) nor
anything on Windows, so the waiting and the ending are done here.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.adapters import process_tree
from pipeline.adapters.children import mark_for
from pipeline.adapters.git_python import NEEDED, Actor, Git, GitCommandNotFound
from pipeline.errors import Obstructed, SourceUnusable, ToolMissing, TransientError
from pipeline.obstacles import find_cure

__all__ = ["Actor", "GitAnswer", "GitFailed", "GitHindered", "GitLocked", "GitProgram", "GitTimedOut", "redact_urls"]

LOCAL = 120.0  # seconds that git may take without a network
_LOCK = re.compile(r"Unable to create '(?P<path>[^']*\.lock)': File exists")
_SLICE = 0.5  # seconds after which a git that exited is no longer waited for, whoever holds its pipes
_starting = threading.Lock()  # GitPython changes os.environ for an instant on Windows

# A bot that was started from a git hook inherits these; every git below it would work on the wrong repository.
_FOREIGN = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_QUARANTINE_PATH", "GIT_SHALLOW_FILE", "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS", "GIT_CONFIG_PARAMETERS", "GIT_TRACE", "GIT_TRACE2", "GIT_TRACE2_EVENT", "GIT_TRACE_PACKET",
)  # fmt: skip
_SECRETS = ("DISCORD_TOKEN", "SANDBOX_TOKEN", "SERVER_CONSOLE_PASSWORD", "DATABASE_URL")
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",  # the Git Credential Manager of Windows would open a window
    "GIT_OPTIONAL_LOCKS": "0",  # looking never refreshes an index
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_EDITOR": "true",
    "GIT_SEQUENCE_EDITOR": "true",
    "GIT_PAGER": "cat",
}
# What must hold for each call, whatever the user's own configuration says.
_CONFIG = (
    "core.askPass=", "core.fsmonitor=false", "core.autocrlf=false", "core.safecrlf=false", "core.quotePath=false",
    "core.longPaths=true", "core.protectNTFS=true", "core.protectHFS=true", "core.checkStat=default",
    "commit.gpgSign=false", "tag.gpgSign=false", "push.gpgSign=false", "push.followTags=false",
    "push.recurseSubmodules=no", "submodule.recurse=false", "fetch.recurseSubmodules=no", "fetch.prune=false",
    "gc.auto=0", "maintenance.auto=false", "color.ui=false", "advice.detachedHead=false", "apply.whitespace=nowarn",
    "apply.ignoreWhitespace=no", "diff.noprefix=false", "diff.mnemonicPrefix=false", "diff.renames=false",
    "diff.algorithm=myers", "i18n.commitEncoding=utf-8", "i18n.logOutputEncoding=utf-8", "log.showSignature=false",
    "core.fsync=all", "core.fsyncMethod=fsync",  # a commit that the database knows outlives the machine
    "http.lowSpeedLimit=1000", "http.lowSpeedTime=30", "transfer.fsckObjects=false", "protocol.ext.allow=never",
    "protocol.file.allow=always", "clone.rejectShallow=false", "trailer.separators=:", "push.pushOption=",
    "core.attributesFile=",
)  # fmt: skip


class GitFailed(SourceUnusable):
    """git said no; the message is its own last words, without credentials."""

    def __init__(self, what: str, status: int, words: str):
        super().__init__(f"git {what} failed: {last_words(words) or f'exit {status}'}")
        self.status = status
        self.words = words  # all of standard error, credentials removed


class GitTimedOut(TransientError):
    """git took too long; its whole tree was ended."""


class GitHindered(Obstructed):
    """A signal ended git, or the machine did not let it do its work."""


class GitLocked(GitHindered):
    """Another git holds a lock in that repository, or died and left it."""


@dataclass(frozen=True)
class GitAnswer:
    status: int
    out: bytes
    words: str  # standard error, credentials removed

    @property
    def text(self) -> str:
        return self.out.decode(errors="replace").strip()

    @property
    def lines(self) -> list[str]:
        return [line for line in self.out.decode(errors="replace").splitlines() if line]


class GitProgram:
    """git for one state folder: what it starts carries this folder's mark, so that strays can be told from others'."""

    def __init__(self, state_dir: Path, withhold: Iterable[str] = ()):
        """withhold = names of variables that are none of git's business: our settings, what is the analyst's alone."""
        self._mark = mark_for(state_dir, "git")
        self._withheld = {*_SECRETS, *(name for name in withhold if not NEEDED.fullmatch(name))}
        self._living: set[str] = set()  # marks of our own calls that run now
        for name in _FOREIGN:
            os.environ.pop(name, None)

    def run(
        self,
        *arguments: str,
        git_dir: Path | None = None,
        work_tree: Path | None = None,
        cwd: Path | None = None,
        stdin: bytes | None = None,
        accept: Sequence[int] = (0,),
        timeout: float = LOCAL,
        env: Mapping[str, str] | None = None,
    ) -> GitAnswer:
        """Runs `git <arguments>` on a repository that is named; only with `cwd` alone git searches upward for one.

        Raises GitFailed for an exit that is not in `accept`, GitHindered, GitTimedOut, ToolMissing.
        """
        place = [f"--git-dir={git_dir}"] if git_dir else []
        place += [f"--work-tree={work_tree}"] if work_tree else []
        hooks = f"core.hooksPath={(git_dir or Path(os.devnull)) / 'no-hooks'}"
        config = [part for setting in (*_CONFIG, hooks) for part in ("-c", setting)]
        answer = self._wait(
            ["git", *place, *config, *arguments], cwd or work_tree or git_dir, stdin, timeout, env or {}
        )
        if answer.status not in accept:
            raise _explain(_verb(["git", *arguments]), answer)
        return answer

    def end_strays(self) -> bool:
        """Ends git processes of an earlier life of the bot; whether none of them is left."""
        return process_tree.end_all(lambda: process_tree.list_marked(self._is_stray))

    def _is_stray(self, mark: str) -> bool:
        return mark.startswith(f"{self._mark}:") and mark not in self._living

    def _wait(
        self, argv: list[str], cwd: Path | None, stdin: bytes | None, timeout: float, env: Mapping[str, str]
    ) -> GitAnswer:
        mark = f"{self._mark}:{secrets.token_hex(4)}"
        self._living.add(mark)
        try:
            blanked = {name: "" for name in self._withheld if name in os.environ}
            process = _start(argv, cwd, stdin is not None, {**blanked, **env, process_tree.MARK: mark})
            try:
                out, words = _communicate(process, stdin, timeout)
            except subprocess.TimeoutExpired:
                raise GitTimedOut(f"git {_verb(argv)} took longer than {timeout:g} s") from None
            finally:
                if process.poll() is None:
                    _end(process, mark)
            return GitAnswer(process.returncode, out, redact_urls(words.decode(errors="replace")))
        finally:
            self._living.discard(mark)


def _explain(verb: str, answer: GitAnswer) -> GitFailed | GitHindered:
    """What a failure is: git's own verdict, or the machine's doing, which says nothing of what was asked."""
    said = last_words(answer.words)
    if answer.status < 0:
        return GitHindered(f"git {verb} was ended by signal {-answer.status}")
    if (lock := _LOCK.search(answer.words)) is not None:
        return GitLocked(f"git {verb}: another git holds {lock['path']}. Cure: end it; a lock that nobody holds goes")
    if (cure := find_cure(answer.words, "the disk that holds it")) is not None:
        return GitHindered(f"git {verb} failed: {said}. Cure: {cure}")
    return GitFailed(verb, answer.status, answer.words)


def redact_urls(text: str) -> str:
    """The text without the user names and passwords of URLs."""
    return re.sub(r"(?<=://)[^/@\s'\"]*@", "", text)


def last_words(text: str) -> str:
    """The line of git's standard error that says why, at most 300 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("hint:", "Cloning"))]
    told = [line for line in lines if line.startswith(("fatal:", "error:", "!", "ERROR"))] or lines[-1:]
    return redact_urls(told[-1])[:300] if told else ""


def _start(argv: list[str], cwd: Path | None, feeds: bool, env: dict[str, str]) -> subprocess.Popen[bytes]:
    with _starting:
        try:
            handle = Git(cwd if cwd and cwd.is_dir() else None).execute(
                argv,
                istream=subprocess.PIPE if feeds else None,
                as_process=True,
                env={**_ENVIRONMENT, **env},
                start_new_session=True,
            )
        except GitCommandNotFound as fault:
            raise ToolMissing("git was not found: install it, or put its folder on PATH") from fault
    process: subprocess.Popen[bytes] | None = handle.proc
    handle.proc = None  # its finalizer would kill the process once more, whoever has the number then
    if process is None:
        raise ToolMissing("git did not start")
    return process


def _communicate(process: subprocess.Popen[bytes], stdin: bytes | None, timeout: float) -> tuple[bytes, bytes]:
    """What git says. An ssh or credential daemon may hold git's pipes open long after git: that is not waited for."""
    deadline = time.monotonic() + timeout
    exited = False
    while True:
        try:
            return process.communicate(stdin, min(_SLICE, max(deadline - time.monotonic(), 0)))
        except subprocess.TimeoutExpired as late:
            stdin = None  # what is left of it is remembered; giving it again is an error
            if exited:
                return late.output or b"", late.stderr or b""
            exited = process.poll() is not None
            if not exited and time.monotonic() >= deadline:
                raise


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    tree: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):  # it is not reaped yet: the number is its own
        tree = process_tree.list_descendants(psutil.Process(process.pid))
    process_tree.end_all(lambda: [*tree, *process_tree.list_marked(mark.__eq__)])
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=_SLICE)


def _verb(argv: Sequence[str]) -> str:
    """`fetch` of `git -c x=y --git-dir=… fetch …`."""
    words = iter(argv[1:])
    for word in words:
        if word == "-c":
            next(words)
        elif not word.startswith("-"):
            return word
    return ""
