"""The source: git, the checkout, what lies in it, and whether the night branch can be pushed."""

from __future__ import annotations

from collections.abc import Iterator

from bot.doctor.finding import Finding, fail, ok, warn
from bot.settings import Settings
from pipeline.adapters.git_checkout import Checkout, refuse_nested
from pipeline.adapters.git_process import GitProgram, last_words, redact_urls
from pipeline.errors import PipelineError, SourceUnusable, ToolMissing

SECONDS = 20.0
DRY_PUSH = (
    "push", "--dry-run", "--porcelain", "--no-verify", "--no-signed", "--no-follow-tags", "--recurse-submodules=no",
)  # fmt: skip
TRIAL_BRANCH = "overnight-19700101"  # of the form that we push; a dry run makes nothing
_SHOWN = 5


def check_source(settings: Settings) -> Iterator[Finding]:
    """Everything about it, as far as each step allows the next."""
    program = GitProgram(settings.state_dir)
    checkout = Checkout(program, settings.source_dir.resolve())
    try:
        yield ok("git", program.run("--version", cwd=settings.source_dir, timeout=SECONDS).text)
        checkout.check()
    except ToolMissing as fault:
        yield fail("git", *_split(str(fault), "install git"))
        return
    except SourceUnusable as fault:
        yield fail("SOURCE_DIR", *_split(str(fault), "give the root of the git checkout that the server is built from"))
        return
    yield ok("SOURCE_AUTHOR", f"commits are made as {settings.source_author}; git's own user.name is not needed")
    yield _check_branch(settings, checkout, program)
    yield from _check_tree(settings, program)
    yield from _check_remote(settings, checkout, program)


def _split(text: str, cure: str) -> tuple[str, str]:
    """What is wrong and how to mend it; our own errors say both, with a colon between."""
    what, colon, rest = text.rpartition(": ")
    return (what, rest) if colon else (text, cure)


def _check_branch(settings: Settings, checkout: Checkout, program: GitProgram) -> Finding:
    wanted = settings.source_base_branch
    if wanted is None:
        found = checkout.current_branch()
        if found is None:
            return fail(
                "SOURCE_BASE_BRANCH",
                "the checkout is on no branch (detached HEAD)",
                "name the branch that fixes are based on",
            )
        return ok("SOURCE_BASE_BRANCH", f"{found}, the one the checkout is on")
    seen = program.run(
        "rev-parse", "--verify", "--quiet", f"refs/heads/{wanted}", cwd=checkout.folder, accept=(0, 1, 128)
    )
    if seen.status:
        return fail(
            "SOURCE_BASE_BRANCH", f"the checkout has no branch {wanted}", "name one of `git branch`, or leave it empty"
        )
    return ok("SOURCE_BASE_BRANCH", wanted)


def _check_tree(settings: Settings, program: GitProgram) -> Iterator[Finding]:
    nested = refuse_nested(settings.source_dir.resolve(), program)
    if nested:
        more = f", and {len(nested) - _SHOWN} more" if len(nested) > _SHOWN else ""
        yield fail(
            "SOURCE_DIR",
            "; ".join(nested[:_SHOWN]) + more,
            "commit their files into the checkout itself (git subtree does it), or build without them",
        )
    # Not `diff-index`: it calls a file changed that was only touched, and whose index we must not refresh.
    dirty = program.run(
        "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty",
        cwd=settings.source_dir, timeout=SECONDS,
    )  # fmt: skip
    if dirty.text:
        yield warn(
            "SOURCE_DIR",
            "has changes that are not committed; the bot leaves them alone and builds without them",
            "commit what the server needs",
        )


def _check_remote(settings: Settings, checkout: Checkout, program: GitProgram) -> Iterator[Finding]:
    name = settings.source_remote
    url = checkout.remote_url(name)
    if url is None:
        yield fail(
            "SOURCE_REMOTE",
            f"the checkout has no remote named {name}",
            "give the name of one that `git remote -v` shows, or add it",
        )
        return
    if checkout.is_itself(url):
        yield fail(
            "SOURCE_REMOTE",
            f"{name} is {redact_urls(url)}, which is SOURCE_DIR itself: nothing is ever pushed there",
            "name a remote that is another repository",
        )
        return
    yield _try_push(name, redact_urls(url), checkout, program)


def _try_push(name: str, shown: str, checkout: Checkout, program: GitProgram) -> Finding:
    """A dry one; `shown` = the remote's address without a password."""
    try:
        answer = program.run(
            "-c",
            f"remote.{name}.mirror=false",
            *DRY_PUSH,
            name,
            f"HEAD:refs/heads/{TRIAL_BRANCH}",
            cwd=checkout.folder,
            accept=range(256),
            timeout=SECONDS,
        )
    except PipelineError as fault:
        return fail("SOURCE_REMOTE", f"{shown} did not answer ({fault})", "see that this machine reaches it")
    if answer.status:
        return fail(
            "SOURCE_REMOTE",
            f"a push to {shown} would fail ({last_words(answer.words)})",
            "see that it is there and that this machine reaches it; then store a login that may push and needs no "
            "typing (SSH key, credential helper), or name a fork of yours",
        )
    return ok("SOURCE_REMOTE", f"a push to {shown} would go through (tried dry)")
