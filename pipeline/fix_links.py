"""The commits of fixes with their pages, as people follow them. Blocking; nothing is changed."""

from __future__ import annotations

from pipeline import policy
from pipeline.card_models import FixLink
from pipeline.model import Run, RunKind, RunState
from pipeline.needs import Links
from pipeline.store import Store
from pipeline.tools import Tools


def link(tools: Tools, commit: str, branch: str | None) -> FixLink:
    return FixLink(commit, tools.source.url(commit), branch)


def links_of(tools: Tools) -> Links:
    return Links(tools.source.url, tools.source.compare_url, tools.realm.remote, tools.analyst.has_command)


def revert_link(tools: Tools, run: Run | None) -> FixLink | None:
    """The commit that took the fix back, once there is one."""
    return add_page(tools, find_revert(tools.store, run))


def find_revert(store: Store, run: Run | None) -> FixLink | None:
    if run is None or run.commit is None:
        return None
    is_it = run.kind is RunKind.REVERT and run.state is not RunState.ROLLED_BACK
    undone = run if is_it else policy.find_revert(run.commit, store.list_reverts())
    return FixLink(undone.commit, None, undone.branch) if undone and undone.commit else None


def add_page(tools: Tools, found: FixLink | None) -> FixLink | None:
    return None if found is None else link(tools, found.commit, found.branch)
