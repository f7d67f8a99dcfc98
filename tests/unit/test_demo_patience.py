"""How long `demo --once` waits for a build on a machine that has other things to do, and what it says meanwhile."""

from pathlib import Path

import pytest

from bot.demo.patience import STILL, TELL, Patience
from pipeline.adapters.build_log import LOGS


def write(folder: Path, lines: str, number: int = 1) -> Path:
    log = folder / LOGS / f"build-a1-{number}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("a") as file:
        file.write(lines)
    return log


def test_a_build_is_waited_for_as_long_as_it_goes_on_and_told_now_and_then(tmp_path: Path) -> None:
    patience = Patience(tmp_path, "the warm build", 0)
    for step in range(1, 38):
        write(tmp_path, f"[{step}/37] Building CXX object {step}.o\n")
        assert patience.look(step * STILL) == f"building: {step} of 37"


def test_what_has_been_told_is_not_told_again_and_nothing_sooner_than_it_is_due(tmp_path: Path) -> None:
    patience = Patience(tmp_path, "the warm build", 0)
    write(tmp_path, "-- Configuring done\n[12/37] Building\n")
    looks = [patience.look(now) for now in (TELL - 1, TELL, TELL + 1, 2 * TELL, 3 * TELL)]
    assert looks == [None, "building: 12 of 37", None, None, None]


def test_a_build_that_stands_still_is_given_up_with_why_and_what_to_do(tmp_path: Path) -> None:
    patience = Patience(tmp_path, "the warm build", 0)
    log = write(tmp_path, "[12/37] Building\n")
    patience.look(100)
    patience.look(100 + STILL)
    with pytest.raises(TimeoutError) as given_up:
        patience.look(101 + STILL)
    assert str(given_up.value) == (
        f"waited for the warm build, and for 300 s nothing moved: the last build, which {log} tells of, stood still, "
        "at 12 of 37. Where this machine is busy, try again when it has less to do"
    )


def test_a_build_that_never_begins_is_given_up_too(tmp_path: Path) -> None:
    patience = Patience(tmp_path, "the warm build", 0)
    patience.look(0)
    with pytest.raises(TimeoutError) as given_up:
        patience.look(STILL + 1)
    assert str(given_up.value) == (
        "waited for the warm build, and for 300 s nothing moved: no build has begun. Where this machine is busy, try "
        "again when it has less to do"
    )


def test_a_run_that_goes_on_without_a_build_and_a_build_after_it_are_waited_for(tmp_path: Path) -> None:
    patience = Patience(tmp_path, "the verdict", 0)
    for step in range(1, 5):
        assert patience.look(step * STILL, f"state {step}") is None
    for step in range(5, 9):
        write(tmp_path, "-- configuring\n", step)
        assert patience.look(step * STILL, "BUILDING") is None
