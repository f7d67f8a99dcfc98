"""What people are shown of a proposed change before anybody is asked about it: its diff in the thread, once."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.card_models import PostKind
from pipeline.model import Patch, Run
from pipeline.store import NewPost
from pipeline.tools import Tools

LONGEST = 500_000  # characters; what is longer is a person's to open in the response


def show(tools: Tools, run: Run, diff: str) -> list[NewPost]:
    """The post with the diff; none where this run's thread has it already."""
    data = {"diff": cut(tools, diff), "run": run.id, "kind": run.kind}
    card = tools.store.get_card_of_run(run.id)
    return [] if not diff or tools.store.has_post(card, PostKind.PATCH, data) else [NewPost(PostKind.PATCH, data)]


def cut(tools: Tools, diff: str) -> str:
    """As it is kept and shown."""
    return tools.redact(diff)[:LONGEST]


def write_out(patch: Patch) -> str:
    """A proposal in its own words, as a diff would show it: for one that cannot be applied, so that git makes none."""
    return patch.diff or "".join(f"{line}\n" for line in _list_lines(patch))


def _list_lines(patch: Patch) -> Iterator[str]:
    for edit in patch.edits:
        yield from _head(edit.path or "the one place it is found in")
        yield from (f"-{line}" for line in edit.search.splitlines())
        yield from (f"+{line}" for line in edit.replace.splitlines())
    for file in patch.files:
        yield from _head(file.path)
        yield from (f"+{line}" for line in file.content.splitlines())


def _head(path: str) -> tuple[str, str, str]:
    return f"--- {path}", f"+++ {path}", "@@ as proposed @@"
