"""A change that was taken back, and is proposed again: a person is asked about it, whatever APPROVAL says."""

from __future__ import annotations

from pipeline import policy
from pipeline.model import FixState, Run, RunState
from pipeline.stages import proposal
from pipeline.tools import Tools


def find_taken_back(tools: Tools, run: Run, diff: str) -> str | None:
    """What to say of the last fix that made the same change, for whatever crash, and that people, or a rollback, took
    back; None = there was none."""
    if not (wanted := list_changed(proposal.cut(tools, diff))):
        return None
    reverts = tools.store.list_reverts()
    for earlier in reversed(tools.store.list_fixes_taken_back()):
        if earlier.id == run.id or is_called_off(earlier, run) or not (what := say_end(earlier, reverts)):
            continue
        if any(list_changed(shown) == wanted for shown in tools.store.list_diffs(earlier.id)):
            name = f"`{earlier.commit[:7]}`" if earlier.commit else f"that of run `{earlier.id}`"
            return f"it makes the same change as {name}, which was {what}"
    return None


def list_changed(diff: str) -> list[str]:
    """Of a unified diff, what depends neither on what stands around it nor on how it is indented and spaced."""
    changed = ("".join(line.split()) for line in diff.splitlines() if line.startswith(("+", "-")))
    return [line for line in changed if line not in ("+", "-")]


def is_called_off(earlier: Run, run: Run) -> bool:
    """Whether a person has only cancelled it and ordered this try instead: that is no word against the change."""
    ordered = run.retry_of == earlier.id and run.asked_by is not None
    return ordered and (earlier.reason or "").startswith(policy.CALLED_OFF)


def say_end(run: Run, reverts: list[Run]) -> str | None:
    """How it was taken back; None = it was not."""
    if run.state is RunState.CANCELLED:
        noes = (policy.REJECTED, policy.REVERTED, policy.CALLED_OFF)
        return run.reason if (run.reason or "").startswith(noes) else None  # else another try took its place
    if run.state is RunState.ROLLED_BACK:
        return f"rolled back: {run.reason}" if run.reason else "rolled back"
    revert = policy.find_revert(run.commit, reverts) if run.commit else None
    if revert is not None:
        return f"{policy.REVERTED} {revert.asked_by}" if revert.asked_by else "reverted"
    return "taken back" if run.fix_state is FixState.REVERTED else None
