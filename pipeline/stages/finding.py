"""Which commit runs, which one crashed, and which build there is to go back to: what is known, never guessed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeline.keeper.protocol import Observed
from pipeline.store import Crash, Fact
from pipeline.tools import Tools

MOST_HEALTHY = 1000  # builds that are looked at for one to go back to


def running_commit(tools: Tools) -> str | None:
    """The commit of the build that lies in SERVER_DIR, None where it is unknown, dirty, or not in the repository."""
    observed = tools.keeper.observed()
    return commit_of(tools, None if observed is None else observed.build, observed)


def runs_already(tools: Tools, commit: str) -> bool:
    """Whether the running build was made from the same tree."""
    running = running_commit(tools)
    if running is None or tools.source.resolve(commit) is None:
        return False
    return tools.source.commit(running).tree == tools.source.commit(commit).tree


def commit_of(tools: Tools, build: str | None, observed: Observed | None = None) -> str | None:
    """The commit that a build was made from; for one that is not ours, of what lay there before us."""
    known = None if build is None else tools.store.get_build(build)
    if known is not None and known.commit is not None:
        return present(tools, known.commit)
    return found_commit(tools, observed)


def present(tools: Tools, commit: str) -> str | None:
    """The commit, None where our clone has lost it and nobody can give it back."""
    return commit if not tools.prepared.is_set() else tools.source.resolve(commit)


def found_commit(tools: Tools, observed: Observed | None) -> str | None:
    """The commit of what lay there before us: its revision string, else SERVER_COMMIT."""
    found = tools.store.get_fact(Fact.FOUND) or {}
    if found.get("commit"):
        return present(tools, str(found["commit"]))
    revision = None if observed is None else observed.revision
    if revision and not revision.endswith("+"):
        commit = resolve(tools, revision)
        if commit is not None:
            return commit
    return resolve(tools, tools.realm.server_commit)


def list_kept(tools: Tools) -> Iterator[str]:
    """Builds that were found healthy, and whose files are still there, newest first. An old one has left but its row:
    what is named there is nothing to go back to."""
    for build in tools.store.list_healthy_builds(MOST_HEALTHY):
        if tools.builder.manifest(build) is not None:
            yield build


def find_kept(tools: Tools, other_than: str | None, wanted: str | None = None) -> str | None:
    """The last of them that is not the one to run, or the wanted one where its files are still there."""
    if wanted is not None and tools.builder.manifest(wanted) is not None:
        return wanted
    return next((build for build in list_kept(tools) if build != other_than), None)


def crashed_commit(tools: Tools, crash: Crash | None) -> str | None:
    """The commit of the binary that crashed."""
    if crash is None:
        return None
    build = tools.store.get_build(crash.exit.build) if crash.exit.build else None
    if build is not None and build.commit is not None:
        return build.commit
    revision = crash.exit.revision
    return resolve(tools, revision) if revision and not revision.endswith("+") else None


def base_of_answers(tools: Tools, crash: Crash | None) -> str | None:
    """The commit that an answer starts from: the one that crashed, unless its build was taken back since."""
    build = tools.store.get_build(crash.exit.build) if crash is not None and crash.exit.build else None
    if build is not None and build.bad:
        return running_commit(tools)
    return crashed_commit(tools, crash) or running_commit(tools)


def resolve(tools: Tools, revision: str | None) -> str | None:
    """The full hash; None also while there is no clone yet (the first one of a large repository takes minutes)."""
    return tools.source.resolve(revision) if revision and tools.prepared.is_set() else None


def holds_any(tools: Tools, at: str | None, fixes: Iterable[str]) -> bool:
    """Whether a build of this commit has one of these changes of ours, and no revert of it."""
    runs = [run for run in map(tools.store.get_run_by_commit, fixes) if run is not None and run.commit is not None]
    return at is not None and any(tools.source.holds_fix(at, run.commit or "", run.id) for run in runs)
