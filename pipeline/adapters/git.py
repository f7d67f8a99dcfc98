"""The source: our own clone in the state folder. Implements `ports.Source`.

The user's checkout is read by `git_checkout`; everything that writes goes to the clone, under one lock.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.adapters import git_clone, git_history, git_places, git_trace
from pipeline.adapters.commit_messages import name_reverts
from pipeline.adapters.commit_urls import commit_url, compare_url
from pipeline.adapters.git_checkout import Checkout, refuse_nested
from pipeline.adapters.git_process import Actor, GitFailed, GitHindered, GitLocked, GitProgram
from pipeline.adapters.git_remote import NIGHTS, OURS, Remote
from pipeline.adapters.git_repository import Repository
from pipeline.adapters.patch_bench import PatchBench
from pipeline.adapters.patching import Computed, compute
from pipeline.errors import SourceUnusable, TransientError
from pipeline.model import Change, Commit, Patch
from pipeline.points import point
from pipeline.ports import Diverged, PatchLimits, Pushed, Review
from pipeline.traces import Place, Trace

__all__ = ["GitSource"]

CLONE = "source"  # in the state folder
_NOREPLY = "noreply@spirit-healer.invalid"
_ASK_AGAIN = 60.0  # seconds between the answer to one question to the remote for a revision and the next


@dataclass(frozen=True)
class _WorkedOut:
    """A patch worked out at a commit, its bench still standing."""

    question: tuple[Patch, str, str | None, PatchLimits]
    bench: PatchBench
    computed: Computed
    stack: contextlib.ExitStack


class GitSource:
    """See `ports.Source`. `review` judges patches: `pipeline.policy`."""

    def __init__(
        self,
        state_dir: Path,
        source_dir: Path,
        *,
        review: Review,
        remote_name: str = "origin",
        base_branch: str | None = None,
        author: str = "Spirit Healer",
        commit_url_template: str | None = None,
        push_attempts: int = 3,
        push_backoff: float = 1.0,
        network_timeout: float = 120.0,
        withhold: Iterable[str] = (),
    ):
        """base_branch None = the branch that is checked out in source_dir; author `Name` or `Name <mail>`;
        push_backoff and network_timeout in seconds; withhold = names of variables that git does not inherit."""
        program = GitProgram(state_dir, withhold)
        self._repository = Repository(program, (state_dir / CLONE).resolve())
        self._checkout = Checkout(program, source_dir.resolve())
        self._remote = Remote(self._repository, remote_name, base_branch, push_attempts, push_backoff, network_timeout)
        self._review = review
        self._base_branch = base_branch
        self._template = commit_url_template
        self._identity = _identity(author)
        self._writing = threading.RLock()  # one writer of the clone at a time
        self._pushing = threading.RLock()
        self._sought: dict[str, float] = {}  # revision -> when the remote was last asked, or gave up, monotonic seconds
        self._worked_out: _WorkedOut | None = None  # by the last check, for the apply that follows it
        self._exact: tuple[str, str] | None = None  # branch and head that the work tree is known to stand at
        self._read_commit = lru_cache(maxsize=4096)(self._read_commit_of)

    # --- the clone ---------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        with self._pushing, self._writing:
            self._forget()
            git_clone.prepare(self._repository, self._checkout, self._remote.name)

    def _forget(self) -> None:
        """What was known of a clone that may be another one now."""
        self._sought.clear()
        self._read_commit.cache_clear()
        self._repository.known.clear()
        self._repository.answers.clear()
        self._remote.known.clear()
        self._exact = None
        self._put_away()

    def _be_there(self) -> None:
        """A clone that went while we live is made anew, and whoever needs it begins again: what was known of the old
        one is forgotten, and what only the remote has is fetched when it is asked for. Raises GitHindered."""
        if (self._repository.git_dir / "HEAD").is_file():
            return
        try:
            self.prepare()
        except SourceUnusable as fault:
            raise GitHindered(f"our clone is gone, and cannot be made anew: {fault}") from fault
        raise GitHindered("our clone was gone; it was made anew")

    def begin(self, branch: str, base: str) -> None:
        self._check_ours(branch)
        self._be_there()
        with self._writing:
            head = self.head(branch)
            if head is None:
                head = self._repository.get_commit(base)
                self._repository.run("update-ref", f"refs/heads/{branch}", head, "")
            if self._current_branch() != branch:
                self._set_exactly(branch, head)

    def restore(self, branch: str, head: str) -> None:
        self._check_ours(branch)
        self._be_there()
        with self._writing:
            if self._exact == (branch, head):
                return
            self._insist(lambda: self._set_exactly(branch, self._repository.get_commit(head)))

    def stand_on(self, commit: str) -> None:
        self._be_there()
        with self._writing:
            self._exact = None
            self._insist(lambda: self._detach(self._repository.get_commit(commit)))

    def _insist(self, act: Callable[[], None]) -> None:
        """Once more when what a power cut, or a git that was killed, left behind is mended."""
        try:
            act()
        except GitFailed:  # an index or an object that is half written
            (self._repository.git_dir / "index").unlink(missing_ok=True)
            self.prepare()
            act()
        except GitLocked:
            if not git_clone.has_stale_lock(self._repository.git_dir):
                raise  # whoever holds it may come to an end: it is waited for
            self.prepare()
            act()

    def _detach(self, commit: str) -> None:
        self._repository.run("update-index", "--refresh", accept=(0, 1))  # as below: it says who holds a lock
        self._repository.run("update-ref", "--no-deref", "HEAD", commit)
        self._repository.run("reset", "--quiet", "--hard", commit)

    def work_tree(self) -> Path:
        """Whoever asks may write there (a build does): it is made exact again before its next use."""
        self._exact = None
        return self._repository.folder

    def _set_exactly(self, branch: str, head: str) -> None:
        """Index, work tree and branch stand at head; files that are right already keep their time stamps."""
        run = self._repository.run
        self._exact = None
        run("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        # a touched file would be written anew, and rebuilt; with `-q` git would not say who holds a lock
        run("update-index", "--refresh", accept=(0, 1))
        run("reset", "--quiet", "--hard", head)
        run("clean", "--quiet", "-ffdx")
        self._exact = (branch, head)

    def _current_branch(self) -> str | None:
        return self._repository.run("symbolic-ref", "--quiet", "--short", "HEAD", accept=(0, 1)).text or None

    def _check_ours(self, branch: str) -> None:
        if not OURS.fullmatch(branch) or branch == self._base_branch:
            raise SourceUnusable(f"{branch!r} is not the name of a night branch: nothing else is ever written")

    # --- looking -----------------------------------------------------------------------------------------------------

    def resolve(self, revision: str) -> str | None:
        """Asks the checkout, then the remote, for what our clone does not have (any more)."""
        if (found := self._find(revision)) is None:
            with contextlib.suppress(SourceUnusable, TransientError):  # not to be found is an answer, too
                self._fetch_checkout()
            if (found := self._find(revision)) is None:
                self._fetch_nights(revision)
                found = self._find(revision)
        return found

    def base_head(self) -> str:
        branch = self.find_base_branch()
        self._fetch_checkout()
        name = f"{git_clone.CHECKOUT}/{branch}" if branch else git_clone.CHECKOUT_HEAD
        if (found := self._repository.find_commit(name)) is None:
            raise SourceUnusable(f"SOURCE_DIR has no branch `{branch}` (SOURCE_BASE_BRANCH)")
        return found

    def find_base_branch(self) -> str | None:
        return self._base_branch or self._checkout.current_branch()

    def head(self, branch: str) -> str | None:
        return self._repository.find_commit(f"refs/heads/{branch}")

    def commit(self, hash: str) -> Commit:
        return self._read_commit(hash)

    def contains(self, descendant: str, ancestor: str) -> bool:
        ends = [self._repository.find_commit(each) for each in (descendant, ancestor)]
        return ends[0] is not None and ends[1] is not None and self._repository.contains(ends[0], ends[1])

    def log(self, since: str, until: str) -> list[Commit]:
        ends = [self._repository.get_commit(each) for each in (since, until)]
        return self._repository.list_commits(f"{ends[0]}..{ends[1]}")

    def list_unmerged(self, head: str, other: str) -> list[Commit]:
        ends = [self._repository.get_commit(each) for each in (head, other)]
        whole = git_history.find_whole(self._repository, ends[0], ends[1])
        return self._repository.list_commits(f"{whole}..{ends[1]}")

    def diff(self, commit: str) -> str:
        full = self._repository.get_commit(commit)
        parent = self._repository.find_commit(f"{full}^")
        empty = self._repository.run("hash-object", "-t", "tree", "--stdin", stdin=b"").text
        return self._repository.diff(parent or empty, full)

    def find_run(self, branch: str, above: str, run: str) -> Commit | None:
        return git_history.find_run(self._repository, branch, above, run)

    def find_revert(self, head: str, commit: str) -> Commit | None:
        """The commit in the history of `head` that undid `commit` and still stands."""
        found = git_history.find_revert(self._repository, head, commit)
        return self.commit(found) if found else None

    def holds_fix(self, revision: str, fix: str, run: str) -> bool:
        return git_history.holds_fix(self._repository, revision, fix, run)

    def took_out_fix(self, revision: str, fix: str, run: str) -> bool:
        return git_history.took_out_fix(self._repository, revision, fix, run)

    def trace(self, at: str, good: str | None, places: Sequence[Place], seconds: float) -> Trace:
        crashed = self._repository.get_commit(at)
        known = None if good is None else self._repository.find_commit(good)
        return git_trace.trace(self._repository, crashed, known, places, seconds)

    def find_words(self, at: str, words: Sequence[str], seconds: float) -> set[str]:
        return git_places.find_words(self._repository, self._repository.get_commit(at), words, seconds)

    def url(self, commit: str) -> str | None:
        return commit_url(self._remote.url(), self._template, commit)

    def compare_url(self, base: str, branch: str) -> str | None:
        return compare_url(self._remote.url(), base, branch)

    def _find(self, revision: str) -> str | None:
        names = (
            revision,
            f"{git_clone.CHECKOUT}/{revision}",
            f"refs/remotes/{self._remote.name}/{revision}",
            f"{NIGHTS}/{revision}",
        )
        return next((found for name in names if (found := self._repository.find_commit(name))), None)

    def _fetch_checkout(self) -> None:
        with self._writing:
            git_clone.fetch(self._repository, self._checkout, self._remote.name)

    def _fetch_nights(self, revision: str) -> None:
        """A state folder that was lost is the reason to look there; a remote that is gone is none to fail."""
        now = time.monotonic()
        if now - self._sought.get(revision, -_ASK_AGAIN) < _ASK_AGAIN:
            return
        self._sought[revision] = now  # others that want it do not ask beside this one
        with self._pushing, contextlib.suppress(SourceUnusable, TransientError):
            self._remote.fetch_nights()
        self._sought[revision] = time.monotonic()  # one that hangs takes longer than the pause between two questions

    def _read_commit_of(self, hash_: str) -> Commit:
        return self._repository.list_commits(self._repository.get_commit(hash_), "--no-walk")[0]

    # --- changing ----------------------------------------------------------------------------------------------------

    def apply(self, patch: Patch, message: str, limits: PatchLimits, since: str | None) -> Commit:
        with self._writing:
            began = time.time()
            branch = self._current_branch()
            self._check_ours(branch or "HEAD")
            head = self._repository.get_commit("HEAD")
            computed = self._take_out(patch, head, since, limits)
            back = git_history.list_lost_merges(self._repository, head, computed.merged) if computed.merged else []
            message = name_reverts(message, self._name_all(patch.reverts), back)
            commit = self._make_commit(computed, head, message)
            point("patch.made")
            with self._undone_on_failure(head):
                self._exact = None
                self._repository.run("reset", "--quiet", "--hard", commit)
                self._exact = (branch or "", commit)
            git_clone.sync_names(self._repository.git_dir, began)
            return self.commit(commit)

    def check(self, patch: Patch, limits: PatchLimits, at: str, since: str | None) -> tuple[list[Change], str]:
        self._be_there()
        with self._writing:
            head = self._repository.get_commit(at)
            work = self._work_out(patch, head, since, limits)
            return list(work.computed.changes), work.bench.diff(head, work.computed.tree)

    def _work_out(self, patch: Patch, head: str, since: str | None, limits: PatchLimits) -> _WorkedOut:
        """Raises Refused, and leaves nothing then. What it made is kept for the apply that follows."""
        self._put_away()
        with contextlib.ExitStack() as stack:
            bench = stack.enter_context(PatchBench(self._repository))
            computed = compute(bench, patch, head, since, limits, self._review)
            self._worked_out = _WorkedOut((patch, head, since, limits), bench, computed, stack.pop_all())
        return self._worked_out

    def _take_out(self, patch: Patch, head: str, since: str | None, limits: PatchLimits) -> Computed:
        """The same, its objects in our clone now."""
        work = self._worked_out
        if work is None or work.question != (patch, head, since, limits):
            work = self._work_out(patch, head, since, limits)
        try:
            work.bench.keep()
        finally:
            self._put_away()
        return work.computed

    def _put_away(self) -> None:
        if self._worked_out is not None:
            self._worked_out.stack.close()
            self._worked_out = None

    def publish(self, branch: str, head: str, known: str | None) -> Pushed | Diverged:
        self._be_there()
        with self._pushing:
            return self._remote.publish(branch, self._repository.get_commit(head), known)

    def remote_head(self, branch: str) -> str | None:
        self._be_there()
        with self._pushing:
            head = None if self._remote.url() is None else self._remote.head(branch)
            if head is not None and self._repository.find_commit(head) is None:
                self._sought.clear()  # there is something to fetch
            return head

    def list_published(self) -> set[str]:
        self._be_there()
        with self._pushing:
            return self._remote.list_nights()

    def rehearse_push(self, branch: str) -> None:
        """Whether a push would be taken, without one. Raises RemoteUnreachable, DefiniteError."""
        with self._pushing:
            self._remote.rehearse(branch, self.base_head())

    def list_nested(self) -> list[str]:
        """What of the source lies in repositories of its own, a sentence each."""
        return refuse_nested(self._checkout.folder, self._repository.program)

    def _make_commit(self, computed: Computed, head: str, message: str) -> str:
        parents = [part for each in (head, computed.merged) if each for part in ("-p", each)]
        arguments = ("commit-tree", computed.tree, *parents, "-F", "-")
        made = self._repository.run(*arguments, stdin=message.encode(errors="replace"), env=self._identity).text
        self._repository.known.add(made)
        return made

    def _name_all(self, commits: tuple[str, ...]) -> list[str]:
        return [self._repository.get_commit(each) for each in commits]

    @contextlib.contextmanager
    def _undone_on_failure(self, head: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._repository.run("reset", "--quiet", "--hard", head, accept=range(256))
            raise


def _identity(author: str) -> dict[str, str]:
    """git's own variables: no identity has to be configured on the machine."""
    actor = Actor._from_string(author)
    name = "".join(letter for letter in actor.name or "" if letter.isprintable() and letter not in "<>").strip()
    mail = (actor.email or "").strip() or _NOREPLY
    return {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", name or "Spirit Healer"), ("EMAIL", mail))
    }
