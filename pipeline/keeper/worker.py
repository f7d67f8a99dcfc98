"""Background work, one piece after the other: what reads or copies whole files must not hold up a restart."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from pipeline.keeper.wake import Wake

Job = Callable[[], object]


class Worker:
    """Runs jobs on one thread, which lives only while there is work; each result wakes the keeper."""

    def __init__(self, wake: Wake) -> None:
        self._wake = wake
        self._jobs: deque[Job] = deque()
        self._results: deque[object] = deque()
        self._guard = threading.Lock()
        self._busy = False

    def add(self, job: Job) -> None:
        """Queues a job. What it returns, or the exception it raises, comes back through `take`."""
        with self._guard:
            self._jobs.append(job)
            if self._busy:
                return
            self._busy = True
        threading.Thread(target=self._run, name="keeper-worker", daemon=True).start()

    def take(self) -> list[object]:
        """The results since the last call."""
        results = []
        while self._results:
            results.append(self._results.popleft())
        return results

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                result: object = job()
            except Exception as fault:
                result = fault
            self._results.append(result)
            self._wake.ring()

    def _next(self) -> Job | None:
        with self._guard:
            if self._jobs:
                return self._jobs.popleft()
            self._busy = False
            return None
