"""Every reader of what others wrote, given what nobody expects. The long round is `tests/soak/fuzz.py`."""

from pathlib import Path
from typing import Any

import pytest
from fuzzing import TARGETS, TooSlow, guarded
from hypothesis import HealthCheck, given, settings

SHORT = settings(
    max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("name", TARGETS)
def test_fuzz_a_reader_gives_a_value_or_refuses_soon_and_in_little_memory(tmp_path: Path, name: str) -> None:
    target = TARGETS[name]

    @SHORT
    @given(value=target.inputs)
    def play(value: Any) -> None:
        with guarded():
            target.check(tmp_path, value)

    play()


def test_fuzz_what_takes_too_long_or_too_much_is_noticed() -> None:
    for greed, fault in ((_think, TooSlow), (_hoard, MemoryError)):
        with pytest.raises(fault), guarded():
            greed()


def _think() -> None:
    while True:
        pass


def _hoard() -> None:
    bytearray(300 << 20)
