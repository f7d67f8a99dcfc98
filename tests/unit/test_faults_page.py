"""The page of faults is what the tests have."""

import faults
from world_faults import PROGRAMS, WORLD, find_row, is_of_the_world


def test_the_page_of_faults_is_not_stale() -> None:
    told = faults.PAGE.read_text(encoding="utf-8")
    assert told == faults.write_page(), "write it anew: PYTHONPATH=.:tests python tests/faults.py"


def test_every_fault_has_a_test_and_every_test_its_fault() -> None:
    tested = {number for _, name in faults.list_tests() for number in faults.list_ids(name)}
    assert tested == faults.FAULTS.keys()


def test_every_test_of_the_world_has_its_row() -> None:
    named = [name for _, name in faults.list_tests() if is_of_the_world(name)]
    assert [name for name in named if find_row(name) is None] == []


def test_every_way_of_the_world_has_a_test_or_a_program() -> None:
    tests = list(faults.list_tests())
    assert [row for part in WORLD.values() for row in part if not faults.list_proofs(row, tests)] == []
    assert all((faults.ROOT / "tests" / program).is_file() for program in PROGRAMS.values())
