"""Fixtures that several test files share."""

from collections.abc import Iterator

import postgres
import pytest


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Cluster]:
    """A private PostgreSQL, one for all workers of the run."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if own.name.startswith("popen-") else own
    with postgres.borrow(shared) as running:
        yield running
