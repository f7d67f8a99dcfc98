"""What the bot of the demo knows, for the panel: which requests take another answer, what is fixed, whether the server
lives on."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.keeper.protocol import ServerState
from pipeline.model import LIVE, Run, RunState
from pipeline.ports import Keeper
from pipeline.store import Store


class Known:
    """Blocks, as it asks the database and reads the keeper's file."""

    def __init__(self, store: Store, keeper: Keeper) -> None:
        self._store = store
        self._keeper = keeper

    def list_proposed(self) -> frozenset[str]:
        """The requests of runs that wait for a person: another answer is taken."""
        runs = self._store.list_runs_in(RunState.PROPOSED)
        return frozenset(run.request_id for run in runs if run.request_id)

    def find_fix(self, requests: Iterable[str]) -> str | None:
        """The commit that is live against what these asked about."""
        return next((run.commit for run in self._list_runs(requests) if _is_live(run)), None)

    def find_run(self, requests: Iterable[str]) -> Run | None:
        """The first that one of these belongs to."""
        return next(iter(self._list_runs(requests)), None)

    def _list_runs(self, requests: Iterable[str]) -> list[Run]:
        return [run for each in requests if (run := self._store.get_run_by_request(each)) is not None]

    def find_server(self) -> int | None:
        """Its process, while it is ready."""
        seen = self._keeper.observed()
        return seen.pid if seen is not None and seen.state is ServerState.READY else None


def _is_live(run: Run) -> bool:
    return run.state is RunState.SUCCEEDED and run.fix_state in LIVE
