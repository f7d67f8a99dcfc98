"""The time that several questions to git may take together, and what was not told for lack of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from pipeline.adapters.git_process import GitTimedOut
from pipeline.errors import PipelineError

T = TypeVar("T")
Seconds = float


@dataclass
class Budget:
    until: float  # monotonic seconds
    notes: list[str] = field(default_factory=list)

    def ask(self, what: str, question: Callable[[Seconds], T], most: Seconds = 60.0) -> T | None:
        """None where git did not tell; `what` says what it was asked for."""
        left = min(self.until - time.monotonic(), most)
        try:
            if left <= 0:
                raise GitTimedOut("no time was left")
            return question(left)
        except GitTimedOut:
            self.notes.append(f"git took too long to tell {what}")
        except PipelineError as fault:
            self.notes.append(f"git could not tell {what}: {fault}")
        return None
