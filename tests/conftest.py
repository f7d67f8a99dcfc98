"""Fixtures that several test files share, and the order in which tests are played."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import postgres
import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest is begun first, and by several workers: else the last one plays a realm's nights when the
    others are done. A worker is given a share of the list in one piece, and takes of the others' ends when it has none.

    Realms that live are for all workers but one of three: each builds a ground of its own for them, and they wait half
    of their time, so that the processor has room for one who computes."""
    items.sort(key=_how_long, reverse=True)
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    living = [each for each in items if _is_living(each)]
    long = [each for each in items[len(living) :] if any(_how_long(each))]
    short = items[len(living) + len(long) :]
    players = max(1, workers - workers // 3)
    share = -(-len(items) // workers)
    spread: list[pytest.Item] = []
    for number in range(workers):
        begun = (living[number::players] if number < players else []) + long[number::workers]
        spread += begun + [short.pop(0) for _ in range(min(len(short), share - len(begun)))]
    items[:] = spread + short


def _how_long(item: pytest.Item) -> tuple[bool, float]:
    """Realms that live, then whatever is given more time than usual."""
    given = item.get_closest_marker("timeout")
    return _is_living(item), given.args[0] if given else 0.0


def _is_living(item: pytest.Item) -> bool:
    return item.path.parent.name == "acceptance"


@pytest.fixture
def own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command of the demo is a process of its own, and sets environment and folder for itself; here both are given
    back."""
    monkeypatch.chdir(Path.cwd())
    with patch.dict(os.environ):
        yield


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Cluster]:
    """A private PostgreSQL, one for all workers of the run."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if own.name.startswith("popen-") else own
    with postgres.borrow(shared) as running:
        yield running
