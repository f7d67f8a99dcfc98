"""Fixtures that several test files share, and the order in which tests are played."""

from collections.abc import Iterator

import postgres
import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest is begun first: else the last worker plays a realm's nights when the others are done."""
    items.sort(key=_how_long, reverse=True)


def _how_long(item: pytest.Item) -> tuple[bool, float]:
    """Realms that live, then whatever is given more time than usual."""
    given = item.get_closest_marker("timeout")
    return item.path.parent.name == "acceptance", given.args[0] if given else 0.0


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Cluster]:
    """A private PostgreSQL, one for all workers of the run."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if own.name.startswith("popen-") else own
    with postgres.borrow(shared) as running:
        yield running
