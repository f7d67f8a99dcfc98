"""The analyst's queue keeps what a run may still need, and of the rest the newest."""

import os
from pathlib import Path

import pytest
from world import FakeClock

from pipeline.adapters.queue_pruning import KEPT_FILES, KEPT_FOR, is_of
from pipeline.adapters.response_queue import ResponseQueue

OVER, UNFINISHED = {"aaaa1111"}, {"bbbb2222"}
DAY = 86400.0


class Queue:
    """A queue with files that were written so many seconds ago."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.queue = ResponseQueue(folder, self.clock)
        self.queue.create()

    def write(self, name: str, age: float) -> Path:
        path = self.folder / name
        path.write_text("{}", encoding="utf-8")
        written = self.clock.now().timestamp() - age
        os.utime(path, (written, written))
        return path

    def prune(self) -> set[str]:
        """What is left."""
        self.queue.prune(OVER, UNFINISHED)
        return {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.json")}


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path)


@pytest.mark.parametrize("name", [
    "requests/request_aaaa1111.json", "requests/request_aaaa1111-2.json", "completed/response_aaaa1111.json",
    "completed/response_aaaa1111-3.2.json", "rejected/response_aaaa1111.json", "rejected/response_of-nobody.json",
])  # fmt: skip
def test_what_is_over_goes_after_thirty_days_and_not_before(queue: Queue, name: str) -> None:
    queue.write(name, KEPT_FOR - DAY)
    assert queue.prune() == {name}
    queue.write(name, KEPT_FOR + DAY)
    assert queue.prune() == set()


@pytest.mark.parametrize("name", [
    "requests/request_bbbb2222.json", "requests/request_bbbb2222-2.json", "completed/response_bbbb2222.json",
    "rejected/response_bbbb2222-2.json", "responses/response_aaaa1111.json", "requests/request_of-somebody.json",
    "completed/response_of-old-scripts.json", "rejected/notes.json",
])  # fmt: skip
def test_what_a_run_may_need_what_was_not_judged_and_what_is_not_ours_stays(queue: Queue, name: str) -> None:
    queue.write(name, 10 * KEPT_FOR)
    assert queue.prune() == {name}


def test_of_many_the_newest_are_kept(queue: Queue) -> None:
    names = [queue.write(f"rejected/response_of-nobody-{number}.json", number).name for number in range(KEPT_FILES + 3)]
    kept = queue.write("rejected/response_bbbb2222.json", 2 * KEPT_FOR).name
    assert queue.prune() == {f"rejected/{name}" for name in [*names[:KEPT_FILES], kept]}


def test_a_folder_that_is_gone_keeps_nothing_from_being_pruned(queue: Queue) -> None:
    (queue.folder / "requests").rmdir()
    queue.write("completed/response_aaaa1111.json", 2 * KEPT_FOR)
    assert queue.prune() == set()


def test_a_round_of_another_run_is_no_round_of_this_one() -> None:
    assert is_of("aaaa1111-2", OVER)
    assert not is_of("aaaa11112", OVER)
