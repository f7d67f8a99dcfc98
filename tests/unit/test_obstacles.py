"""What the machine puts in the way is known by its words, whoever says them."""

import pytest

from pipeline.obstacles import find_cure


@pytest.mark.parametrize(
    "words",
    [
        "[Errno 28] No space left on device",
        "fatal: sha1 file '/realm/source/.git/index.lock' write error. Out of diskspace",  # git, of its index
        "fatal: write error: No space left on device",
        "database or disk is full",
    ],
)
def test_a_full_disk_is_told_with_its_cure(words: str) -> None:
    assert find_cure(words, "the state folder") == "make room in the state folder"


def test_what_is_no_fault_of_the_machine_has_no_cure() -> None:
    assert find_cure("fatal: not a valid object name", "the state folder") is None
