"""What the bot of the demo knows, for the panel: which requests take another answer, what is fixed, whether the server
lives on."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.keeper.protocol import ServerState
from pipeline.model import FixState, Run, RunState
from pipeline.tools import Tools


class Known:
    """Blocks, as it asks the database and reads the keeper's file."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def list_proposed(self) -> frozenset[str]:
        """The requests of runs that wait for a person: another answer is taken."""
        runs = self._tools.store.list_runs_in(RunState.PROPOSED)
        return frozenset(run.request_id for run in runs if run.request_id)

    def find_fix(self, requests: Iterable[str]) -> str | None:
        """The commit that is live against what these asked about."""
        runs = [self._tools.store.get_run_by_request(each) for each in requests]
        return next((run.commit for run in runs if run is not None and _is_live(run)), None)

    def find_server(self) -> int | None:
        """Its process, while it is ready."""
        seen = self._tools.keeper.observed()
        return seen.pid if seen is not None and seen.state is ServerState.READY else None


def _is_live(run: Run) -> bool:
    return run.state is RunState.SUCCEEDED and run.fix_state in (FixState.WATCHING, FixState.VERIFIED)
