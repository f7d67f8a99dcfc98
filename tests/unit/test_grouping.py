"""Grouping over recorded crashes of known bugs: GCC, Clang, -O0, -O2, with and without ASan, moved, renamed.

`python tests/bench/grouping.py` prints the figures beside those of simpler ways.
"""

from collections.abc import Callable

import pytest
from recorded import REALM, UNEXPLAINED, Sample, count_in_order, list_renamed, list_wrong, measure, read_samples
from recorded_source import list_sources

GOAL = 0.99


@pytest.fixture(scope="module")
def exits() -> list[Sample]:
    """Of whole ends of a server, as it leaves them."""
    return [each for each in read_samples() if not each.log]


def read_family(sample: Sample) -> str:
    return sample.family


def read_exact(sample: Sample) -> str:
    return sample.exact


@pytest.fixture(scope="module")
def counted(exits: list[Sample]) -> list[Sample]:
    """As a realm counts them that has both sources."""
    return count_in_order(exits, *list_sources())


@pytest.mark.parametrize("key", [read_family, read_exact])
def test_the_realms_bugs_are_told_apart_and_kept_together_renamed_callers_among_them(
    counted: list[Sample], key: Callable[[Sample], str]
) -> None:
    mine = [each for each in counted if each.bug in REALM]
    figures = measure(mine, key)
    assert (figures.precision >= GOAL, figures.recall >= GOAL) == (True, True), "\n".join(list_wrong(mine, key))


def test_no_renaming_makes_two_bugs_one(counted: list[Sample]) -> None:
    assert measure(counted, read_exact).precision == 1.0


def test_no_two_bugs_have_one_key_whatever_is_read_of_them() -> None:
    assert measure(read_samples(), read_family).precision == 1.0


def test_what_is_told_apart_wrongly_is_what_no_report_can_tell(exits: list[Sample]) -> None:
    """GCC's libsanitizer names functions of an anonymous namespace without their class."""
    wrong = {line.partition(":")[0] for line in list_wrong(exits, read_family)}
    assert wrong == {"operator", "template", "virtual"}


@pytest.mark.parametrize("key", [read_family, read_exact])
def test_every_wrong_pair_is_explained_by_what_was_recorded(key: Callable[[Sample], str]) -> None:
    wrong = list_wrong(read_samples(), key)
    assert wrong
    assert [line for line in wrong if UNEXPLAINED in line] == []


def test_without_the_source_keys_of_the_realms_bugs_differ_by_renamed_callers_alone(exits: list[Sample]) -> None:
    wrong = list_wrong([each for each in exits if each.bug in REALM], read_exact)
    assert [line.partition("\n")[0] for line in wrong] == [
        f"{bug}: 32 pairs told apart: a caller was renamed, which is another path by the meaning of this key"
        for bug in ("bih", "doublefree")
    ]


def test_a_crash_whose_caller_was_renamed_is_told_as_similar_to_the_bug_that_it_is(exits: list[Sample]) -> None:
    renamed = list_renamed(exits)
    assert {each.bug for each in renamed} == {"bih", "doublefree"}
    assert [each for each in renamed if each.named != each.bug] == []
