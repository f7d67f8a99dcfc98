"""The ground that the realms of one worker stand on, one after the other."""

from collections.abc import Iterator

import pytest
from living_ground import Ground, borrow_ground
from living_realm import warm_up


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    with borrow_ground() as found:
        warm_up(found)
        yield found
