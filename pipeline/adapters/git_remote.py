"""Publishing a night branch: forward only, never forced, nothing deleted, and only branches that are ours."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field

import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from pipeline.adapters.git_process import GitAnswer, GitHindered, GitTimedOut, last_words, redact_urls
from pipeline.adapters.git_repository import Repository
from pipeline.errors import DefiniteError, RemoteUnreachable
from pipeline.ports import Diverged, Pushed

_log = logging.getLogger(__name__)
OURS = re.compile(r"overnight-\d{8}(-\d+)?")  # what the pipeline may push
NIGHTS = "refs/spirit-healer/nights"  # what was fetched of the remote's night branches
_BEHIND = ("non-fast-forward", "fetch first", "stale info", "needs force", "already exists")
_PASSING = ("cannot lock ref", "failed to update ref", "failed to lock", "unpacker error", "internal server error")


def tell_retries() -> None:
    """From here on the log of the process has a sentence for each, where stamina's own names neither what nor why."""
    set_on_retry_hooks([_tell_retry])


def _tell_retry(details: RetryDetails) -> None:
    _log.warning("%s; tried again in %g s", details.caused_by, round(details.wait_for, 1))


@dataclass(frozen=True)
class Remote:
    repository: Repository
    name: str
    base_branch: str | None
    attempts: int = 3
    backoff: float = 1.0  # seconds before the second attempt, doubled before each further one
    timeout: float = 120.0  # seconds of one call
    known: dict[str, str | None] = field(default_factory=dict, compare=False)  # its address, asked for once

    def publish(self, branch: str, head: str, known: str | None) -> Pushed | Diverged:
        """Looks, then pushes; idempotent. Raises RemoteUnreachable after the last attempt, DefiniteError when the
        remote refuses."""
        self._check_ours(branch)
        retries = stamina.retry_context(
            on=RemoteUnreachable, attempts=self.attempts, timeout=None, wait_initial=self.backoff, wait_jitter=0
        )
        for attempt in retries:
            with attempt:
                return self._publish_once(branch, head, known)
        raise AssertionError("stamina ends with a result or an error")

    def rehearse(self, branch: str, head: str) -> None:
        """Asks the remote whether it would take a push. Raises RemoteUnreachable, DefiniteError."""
        self._check_ours(branch)
        self._push(branch, head, "--dry-run")

    def url(self) -> str | None:
        """Where it is pushed to, None where the checkout names no such remote or there is no clone yet."""
        key = f"remote.{self.name}.url"
        if key not in self.known:
            address = self.repository.run("config", "--local", "--get", key, accept=(0, 1, 128)).text
            if not address:
                return None
            self.known[key] = address
        return self.known[key]

    def head(self, branch: str) -> str | None:
        """Where the branch stands on the remote. Raises RemoteUnreachable."""
        return self._list_heads(branch).get(branch)

    def list_nights(self) -> set[str]:
        """Raises RemoteUnreachable."""
        return {each for each in self._list_heads("overnight-*") if OURS.fullmatch(each)}

    def _list_heads(self, *patterns: str) -> dict[str, str]:
        """Branch of the remote -> its commit. Raises RemoteUnreachable."""
        names = [f"refs/heads/{pattern}" for pattern in patterns]
        answer = self._ask("ls-remote", "--heads", self.name, *names)
        if answer.status:
            raise RemoteUnreachable(f"the remote {self.name} cannot be reached: {_reason(answer)}")
        pairs = (line.partition("\t") for line in answer.lines)
        return {ref.removeprefix("refs/heads/"): hash_ for hash_, _, ref in pairs if ref.startswith("refs/heads/")}

    def fetch_nights(self) -> None:
        """Brings the remote's night branches. Raises RemoteUnreachable."""
        spec = f"+refs/heads/overnight-*:{NIGHTS}/overnight-*"
        answer = self._ask("fetch", "--quiet", "--no-tags", "--prune", self.name, spec)
        if answer.status:
            raise RemoteUnreachable(f"the remote {self.name} cannot be reached: {_reason(answer)}")

    def _publish_once(self, branch: str, head: str, known: str | None) -> Pushed | Diverged:
        heads = self._list_heads(branch, f"{branch}/*")
        there = heads.get(branch)
        if there == head:
            return Pushed(head)
        if there is None and heads:  # git holds `x` and `x/y` to be one file and one folder
            return Diverged(f"cannot be made on {self.name}, as `{min(heads)}` is there")
        if there is None and known is not None:
            return Diverged(f"is gone from {self.name}, where it was pushed before")
        if there is not None and not self._is_behind(there, head):
            return Diverged(f"has commits on {self.name} that we do not have ({there[:12]})")
        return self._push(branch, head)

    def _is_behind(self, there: str, head: str) -> bool:
        return self.repository.find_commit(there) is not None and self.repository.contains(head, there)

    def _check_ours(self, branch: str) -> None:
        if not OURS.fullmatch(branch) or branch == self.base_branch:
            raise DefiniteError(f"the branch {branch!r} is not one of ours: it is never pushed")

    def _push(self, branch: str, head: str, *more: str) -> Pushed | Diverged:
        options = ("--porcelain", "--no-verify", "--no-signed", "--no-follow-tags", "--recurse-submodules=no")
        answer = self._ask(
            "-c", f"remote.{self.name}.mirror=false", "push", *options, *more, self.name, f"{head}:refs/heads/{branch}"
        )
        if answer.status == 0:
            return Pushed(head)
        verdict = next((line for line in answer.text.splitlines() if line.startswith("!")), "")
        words = redact_urls(verdict.rpartition("\t")[2])
        if any(sign in words for sign in _BEHIND):
            return Diverged(f"was moved on {self.name} in the meantime")
        if not verdict or any(sign in words.lower() for sign in _PASSING):
            raise RemoteUnreachable(f"the push to {self.name} did not go through: {words or _reason(answer)}")
        raise DefiniteError(f"the remote {self.name} refused the push: {words}{_said(answer.words)}")

    def _ask(self, *arguments: str) -> GitAnswer:
        if self.url() is None:
            raise RemoteUnreachable(
                f"the checkout has no remote named {self.name} outside of itself: set SOURCE_REMOTE, or add it there"
            )
        try:
            return self.repository.run(*arguments, accept=range(256), timeout=self.timeout)
        except GitTimedOut as late:
            raise RemoteUnreachable(f"the remote {self.name} did not answer: {late}") from late
        except GitHindered as fault:
            raise RemoteUnreachable(f"the remote {self.name} was not reached: {fault}") from fault


def _reason(answer: GitAnswer) -> str:
    return last_words(answer.words) or f"exit {answer.status}"


def _said(words: str) -> str:
    """What a hook of the remote printed, at most 500 characters."""
    said = [line.removeprefix("remote:").strip() for line in words.splitlines() if line.startswith("remote:")]
    text = " ".join(line for line in said if line)[:500]
    return f" (it says: {redact_urls(text)})" if text else ""
