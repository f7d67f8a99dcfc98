"""The machine dies, and what was not synced is lost. A sample of `tests/soak/power.py`, which plays every state."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import power_clone
import power_database
import pytest
from power import Loss, Recorder, list_losses
from power_night import Aftermath, Night, record_night, start_again

KEPT = 40  # states that the readers see here
CLONES = 12  # states of our clone that are mended here
STARTED = 5  # states on which the real keeper starts its server here


def list_left(root: Path, program: str) -> set[bytes | None]:
    """What a file `it` may hold when the machine dies while this program works on it; None = it is not there."""
    (root / "it").write_bytes(b"old")
    with Recorder(root) as recorder:
        environment = {**os.environ, **recorder.environment, "PYTHONPATH": str(Path(__file__).parents[2])}
        subprocess.run([sys.executable, "-c", program], cwd=root, env=environment, check=True, timeout=60)
    return {{name: content for name, _, content in loss.files}.get("it") for _, loss in list_losses(recorder.steps)}


def test_power_lost_leaves_the_old_or_the_new_file_where_it_is_replaced_as_we_do(tmp_path: Path) -> None:
    replacing = (
        "from pathlib import Path; from pipeline.keeper.protocol import replace_file; replace_file(Path('it'), 'new')"
    )
    assert list_left(tmp_path, replacing) == {b"old", b"new"}


def test_power_lost_is_seen_to_leave_half_a_file_where_it_is_not_synced(tmp_path: Path) -> None:
    careless = "import os; open('new', 'w').write('newer'); os.rename('new', 'it')"
    assert list_left(tmp_path, careless) == {b"old", b"newer", b"new", b"", b"\0\0\0\0\0"}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    with record_night(tmp_path_factory.mktemp("night")) as recorded:
        yield recorded


@pytest.fixture(scope="module")
def losses(night: Night) -> list[tuple[int, Loss]]:
    return list(list_losses(night.steps))


def test_power_lost_at_any_moment_breaks_no_invariant(
    night: Night, losses: list[tuple[int, Loss]], tmp_path: Path
) -> None:
    for step, loss in losses[:: max(1, len(losses) // KEPT)]:
        aftermath = Aftermath(night, step, tmp_path)
        assert aftermath.list_faults(loss) == [], loss.name


def test_power_lost_at_any_moment_the_next_keeper_starts_the_build_that_it_tells(
    night: Night, losses: list[tuple[int, Loss]]
) -> None:
    for _, loss in losses[:: max(1, len(losses) // STARTED)]:
        assert start_again(night, loss) == [], loss.name


def test_power_lost_takes_nothing_that_the_database_committed_nor_its_copy(tmp_path: Path) -> None:
    root = tmp_path / "root"
    steps, said = power_database.record(root)
    losses = list(list_losses(steps))
    for step, loss in losses[:: max(1, len(losses) // KEPT)]:
        loss.write_to(root)
        assert power_database.list_faults(root, [words for look, words in said if look <= step]) == [], loss.name


def test_power_lost_takes_no_commit_that_was_noted_and_leaves_a_clone_that_goes_on(tmp_path: Path) -> None:
    work = power_clone.record(tmp_path)
    losses = list(list_losses(work.steps, range(work.said[0][0], len(work.steps), len(work.steps) // CLONES)))
    for step, loss in losses[:: max(1, len(losses) // CLONES)]:
        assert power_clone.list_faults(work, step, loss) == [], loss.name
