"""Whatever the system's word for "end in order" is, the bot hears it."""

import asyncio
import signal
import sys
from collections.abc import Iterator

import pytest

from bot.__main__ import run_until_told

ORDERS = ("SIGINT", "SIGTERM", "SIGBREAK")


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Elsewhere than on Windows another signal stands for its CTRL_BREAK. All is as before afterwards."""
    if sys.platform != "win32":
        monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    before = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in ORDERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("order", ORDERS)
def test_fault_a10_every_systems_order_to_end_is_obeyed_even_where_it_was_ignored_before(order: str) -> None:
    number: int = getattr(signal, order)
    signal.signal(number, signal.SIG_IGN)

    async def work(stop: asyncio.Event) -> str:
        signal.raise_signal(number)
        await asyncio.wait_for(stop.wait(), 10)
        return "ended in order"

    assert run_until_told(work) == "ended in order"
