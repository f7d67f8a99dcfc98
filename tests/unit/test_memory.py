"""The bot's allocator is tuned where there is glibc, and left alone elsewhere."""

import sys
from types import SimpleNamespace

import pytest

from bot import memory


def test_glibc_gets_two_heaps_and_a_threshold_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[int, int]] = []
    libc = SimpleNamespace(mallopt=lambda name, value: said.append((name, value)))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda name: libc)
    memory.give_back_freed_memory()
    assert said == [(-8, 2), (-3, 128 * 1024)]


@pytest.mark.parametrize(("platform", "libc"), [("linux", SimpleNamespace()), ("win32", None)])
def test_where_there_is_no_glibc_nothing_is_tuned(
    platform: str, libc: SimpleNamespace | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr("ctypes.CDLL", lambda name: libc)
    memory.give_back_freed_memory()
