"""The sandbox's two clocks, injected so that a test can move an hour in one line."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """Wall time for what people see and for ages of messages, steady time for deadlines and windows."""

    wall: Callable[[], float] = time.time
    # seconds since 1970
    steady: Callable[[], float] = time.monotonic
    # seconds, never set back
