"""The stop ladder: signal, stacks of a hang, end of the whole tree. `climb` is pure; the keeper does what it says."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.keeper.memory import Rung, StopWhy

_STACKS_PATIENCE = 60.0  # seconds for a process that was told to leave its stacks
_DUMP_PATIENCE = 600.0  # seconds for the kernel to write a core of many gigabytes
_NOT_READY_PATIENCE = 60.0  # seconds without progress for a server that never got ready
_LONGEST = 10  # times its patience: what goes on for so long is getting nowhere
_KILL_AGAIN = 5.0  # seconds; a process in the kernel's hands dies late


@dataclass(frozen=True)
class StopView:
    """What is seen of a stop under way."""

    why: StopWhy
    rung: Rung
    since: float  # seconds on this rung
    quiet: float  # seconds without progress in log or output, on this rung
    timeout: float  # Desired.stop_timeout, seconds
    dumping: bool = False  # the kernel writes its core
    stacks: bool = True  # this system can make it leave its stacks


def climb(view: StopView) -> Rung | None:
    """The rung to step on now; None = wait. KILL answered on KILL = end it again."""
    if view.rung is Rung.SIGNAL:
        patience = _get_patience(view)
        if view.quiet < patience and view.since < _LONGEST * patience:
            return None
        return Rung.STACKS if view.stacks else Rung.KILL
    if view.rung is Rung.STACKS:
        patience = _DUMP_PATIENCE if view.dumping else min(view.timeout, _STACKS_PATIENCE)
        return Rung.KILL if view.since >= patience else None
    return Rung.KILL if view.since >= _KILL_AGAIN else None


def _get_patience(view: StopView) -> float:
    return min(view.timeout, _NOT_READY_PATIENCE) if view.why is StopWhy.NOT_READY else view.timeout
