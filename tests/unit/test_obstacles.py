"""What the machine puts in the way is known by its words, whoever says them."""

import errno
import os

import pytest

from bot.needs import list_unneeded
from pipeline.needs import NO_ROOM, list_machine_needs
from pipeline.obstacles import find_cure, find_obstacle


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


def test_a_machine_that_has_no_memory_left_is_told_with_its_cure() -> None:
    words = str(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))
    assert find_cure(words, "the state folder") == "free some of this machine's memory"


def test_what_is_no_fault_of_the_machine_has_no_cure() -> None:
    assert find_cure("fatal: not a valid object name", "the state folder") is None


@pytest.mark.parametrize(
    ("number", "fails", "cure"),
    [
        (errno.ENOSPC, "written", "make room in the state folder"),
        (errno.EROFS, "written", "make the state folder writable again"),
        (errno.EIO, "read or written", "look at the disk that holds the state folder"),
    ],
)
def test_what_fails_on_an_open_file_is_told_of_its_folder(number: int, fails: str, cure: str) -> None:
    fault = OSError(number, os.strerror(number))
    assert find_obstacle(fault) == f"the state folder cannot be {fails}: {fault}. Cure: {cure}"


def test_what_fails_on_a_file_that_is_named_is_told_of_that() -> None:
    fault = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/realm/state/desired.json")
    assert find_obstacle(fault) == f"{fault}. Cure: make room in the state folder"


def test_too_many_open_files_are_no_fault_of_a_folder() -> None:
    fault = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    assert find_obstacle(fault) == str(fault)


def test_what_else_a_full_disk_hinders_is_told_of_its_folder_beside_the_need_that_has_the_cure() -> None:
    words = find_obstacle(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) or ""
    needs = list(list_machine_needs([words], NO_ROOM - 1))
    assert list_unneeded([words], needs) == ["the state folder cannot be written: [Errno 28] No space left on device"]
