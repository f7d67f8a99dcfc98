"""The analyst's folders, with real files: what is complete is taken at once, what is not is left alone."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.adapters.analyst import FileAnalyst
from pipeline.adapters.response_queue import QUIET
from pipeline.adapters.responses import MOST_BYTES
from pipeline.errors import TransientError
from pipeline.ports import Answer

DIFF = "--- a/src/World.cpp\n+++ b/src/World.cpp\n@@ -1 +1 @@\n-int a;\n+int b;\n"


@dataclass
class HandClock:
    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Queue:
    """An analyst's queue and what somebody else does to it."""

    folder: Path
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        self.responses = self.folder / "responses"
        self.responses.mkdir(parents=True)
        self.analyst = self.restarted()

    def restarted(self) -> FileAnalyst:
        return FileAnalyst(self.folder, self.clock, state_dir=self.folder / "state", clone=self.folder / "clone")

    def path(self, request_id: str) -> Path:
        return self.responses / f"response_{request_id}.json"

    def drop(self, request_id: str, content: bytes | str = "", at: float | None = None) -> Path:
        path = self.path(request_id)
        content = content or json.dumps({"request_id": request_id, "patch": DIFF})
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if at is not None:
            os.utime(path, (at, at))
        return path

    def after_silence(self) -> list[Answer]:
        """What is given once nobody has touched anything for long enough."""
        assert self.analyst.answers() == []
        self.clock.seconds += QUIET
        return self.analyst.answers()

    def list_names(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.folder / folder).iterdir())


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "queue")


# --- requests --------------------------------------------------------------------------------------------------------


def test_fault_a16_a_request_lies_complete_in_its_folder(queue: Queue) -> None:
    path = queue.analyst.ask("ab12", {"request_id": "ab12", "crash": {"error_message": "größer ✅ \ud800"}})
    assert path == queue.folder / "requests" / "request_ab12.json" == queue.analyst.request_path("ab12")
    assert json.loads(path.read_text("utf-8"))["crash"] == {"error_message": "größer ✅ ?"}
    assert queue.list_names("requests") == ["request_ab12.json"]


def test_asking_twice_leaves_the_first_request_as_it_is(queue: Queue) -> None:
    path = queue.analyst.ask("ab12", {"timestamp": "first"})
    before = path.stat()
    assert queue.analyst.ask("ab12", {"timestamp": "second"}) == path
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_all_folders_exist_once_something_was_asked(queue: Queue) -> None:
    queue.analyst.ask("ab12", {})
    assert {path.name for path in queue.folder.iterdir()} == {"requests", "responses", "completed", "rejected"}


def test_a_queue_that_cannot_be_written_is_worth_another_try(tmp_path: Path) -> None:
    (tmp_path / "queue").write_text("a file stands where the folder should be")
    analyst = FileAnalyst(tmp_path / "queue", HandClock(), state_dir=tmp_path, clone=tmp_path)
    with pytest.raises(TransientError, match="the analyst's queue cannot be used"):
        analyst.ask("ab12", {})
    assert analyst.answers() == []


@pytest.mark.parametrize("request_id", ["../x", "a/b", "a\\b", "", "-x", "a\nb", "a:b", "ä"])
def test_an_id_that_is_no_part_of_a_name_is_never_asked(queue: Queue, request_id: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        queue.analyst.ask(request_id, {})


# --- responses -------------------------------------------------------------------------------------------------------


def test_a_complete_response_is_taken_at_once(queue: Queue) -> None:
    path = queue.drop("ab12")
    [answer] = queue.analyst.answers()
    assert answer.response is not None
    assert answer.response.patch is not None
    assert (answer.path, answer.request_id, answer.fault) == (path, "ab12", None)
    assert answer.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_oldest_response_comes_first(queue: Queue) -> None:
    queue.drop("a", at=300)
    queue.drop("b", at=100)
    queue.drop("c", at=200)
    assert [answer.request_id for answer in queue.analyst.answers()] == ["b", "c", "a"]


def test_a_response_lies_there_until_it_is_filed_away(queue: Queue) -> None:
    queue.drop("ab12")
    first, second = queue.analyst.answers(), queue.analyst.answers()
    assert first == second
    queue.analyst.file_away(first[0], used=True)
    assert queue.analyst.answers() == []


def test_world_analyst_half_file_is_waited_for_and_then_taken(queue: Queue) -> None:
    whole = json.dumps({"patch": DIFF}).encode()
    for end in (0, 1, len(whole) // 2, len(whole) - 1):
        queue.path("ab12").write_bytes(whole[:end])
        assert queue.analyst.answers() == []
        queue.clock.seconds += QUIET - 1
    queue.path("ab12").write_bytes(whole)
    assert [answer.fault for answer in queue.analyst.answers()] == [None]


def test_world_analyst_half_file_that_nobody_finishes_is_refused_after_its_silence(queue: Queue) -> None:
    queue.drop("ab12", '{"patch": ')
    assert queue.analyst.answers() == []
    queue.clock.seconds += QUIET - 0.1
    assert queue.analyst.answers() == []
    queue.clock.seconds += 0.1
    [answer] = queue.analyst.answers()
    assert (answer.response, answer.request_id) == (None, "ab12")
    assert answer.fault == (
        "it is not valid JSON: Expecting value: line 1 column 11 (char 10), and nobody has written to it for 30 s"
    )


def test_a_response_of_another_meaning_is_refused_without_waiting(queue: Queue) -> None:
    queue.drop("ab12", '{"patch": 7}')
    assert [answer.fault for answer in queue.analyst.answers()] == ["`patch` must be a text, not a number"]


def test_an_old_broken_response_is_waited_for_after_a_start_of_ours(queue: Queue) -> None:
    queue.drop("ab12", "{", at=100)
    queue.clock.seconds = 1e9
    assert len(queue.after_silence()) == 1


def test_a_broken_response_that_is_replaced_is_waited_for_again(queue: Queue) -> None:
    queue.drop("ab12", "{")
    assert queue.analyst.answers() == []
    queue.clock.seconds += QUIET
    queue.drop("ab12", '{"')
    assert queue.analyst.answers() == []


def test_one_that_is_still_being_written_keeps_no_other_waiting(queue: Queue) -> None:
    for number in range(120):
        queue.drop(f"half{number}", "{", at=100)
    queue.drop("ab12", at=200)
    assert [answer.request_id for answer in queue.analyst.answers()] == ["ab12"]


def test_ten_thousand_responses_are_taken_a_few_at_a_time_and_all_of_them(queue: Queue) -> None:
    raw = json.dumps({"patch": DIFF}).encode()
    for number in range(10_000):
        queue.path(f"n{number}").write_bytes(raw)
    seen: set[str | None] = set()
    for _ in range(3):
        answers = queue.analyst.answers()
        assert 0 < len(answers) <= 50
        for answer in answers:
            queue.analyst.file_away(answer, used=True)
        assert not seen.intersection(answer.request_id for answer in answers)
        seen.update(answer.request_id for answer in answers)
    assert len(queue.list_names("completed")) == len(seen) == 150


# --- hostile files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["response_ab12.json.tmp", ".response_ab12.json", "response_ab12.json~", "response_ab12.json.part", "notes.txt"],
)
def test_temporary_names_and_other_files_are_left_alone(queue: Queue, name: str) -> None:
    (queue.responses / name).write_text(json.dumps({"patch": DIFF}))
    assert queue.after_silence() == []
    assert (queue.responses / name).exists()


@pytest.mark.parametrize(
    "name",
    ["ab12.json", "response_a b.json", "request_ab12.json", "response_.json", "response_ab12.txt", "x@here.JSON"],
)
def test_hostile_or_mistaken_name_is_refused_once_nobody_writes_to_it(queue: Queue, name: str) -> None:
    (queue.responses / name).write_text(json.dumps({"patch": DIFF}))
    [answer] = queue.after_silence()
    assert (answer.response, answer.request_id) == (None, None)
    assert answer.fault == (
        "its name is not `response_<id>.json`, the id that of its request, and nobody has written to it for 30 s"
    )
    queue.analyst.file_away(answer, used=False)
    assert (queue.list_names("responses"), queue.list_names("rejected")) == ([], [name])


NO_FILES = ["link", "dangling link", "folder", *(["pipe"] if sys.platform != "win32" else [])]


def plant(kind: str, path: Path, secret: Path) -> None:
    match kind:
        case "link":
            path.symlink_to(secret)
        case "dangling link":
            path.symlink_to("nowhere")
        case "folder":
            path.mkdir()
        case _:
            subprocess.run(["mkfifo", path], check=True)


@pytest.mark.parametrize("kind", NO_FILES)
def test_hostile_thing_that_is_no_file_is_never_opened(queue: Queue, kind: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"patch": DIFF}))
    plant(kind, queue.path("ab12"), secret)
    assert queue.after_silence() == []
    assert os.path.lexists(queue.path("ab12"))


def test_hostile_size_is_refused_with_only_its_beginning_read(queue: Queue) -> None:
    with queue.path("ab12").open("wb") as file:
        file.truncate(100 << 20)
    [answer] = queue.after_silence()
    assert answer.fault == ("it is too large: 100.0 MB, at most 5 MB are read, and nobody has written to it for 30 s")
    queue.analyst.file_away(answer, used=False)
    assert queue.list_names("rejected") == ["response_ab12.json"]


def test_the_largest_response_that_is_allowed_is_taken(queue: Queue) -> None:
    raw = json.dumps({"patch": DIFF}).encode()
    queue.drop("ab12", raw + b" " * (MOST_BYTES - len(raw)))
    assert [answer.fault for answer in queue.analyst.answers()] == [None]


@pytest.mark.parametrize("raw", [b"\xff\xfe\xfd", b"\x00" * 100, b"[1]", b"7"], ids=["utf8", "nul", "list", "number"])
def test_hostile_content_is_refused_after_its_silence(queue: Queue, raw: bytes) -> None:
    queue.drop("ab12", raw)
    [answer] = queue.after_silence()
    assert answer.response is None


# --- filing away -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("used", "folder"), [(True, "completed"), (False, "rejected")])
def test_a_response_is_moved_to_where_its_use_says(queue: Queue, used: bool, folder: str) -> None:
    content = queue.drop("ab12").read_bytes()
    queue.analyst.file_away(queue.analyst.answers()[0], used)
    assert queue.list_names("responses") == []
    assert (queue.folder / folder / "response_ab12.json").read_bytes() == content


def test_fault_a6_a_response_that_was_rejected_is_never_given_again(queue: Queue) -> None:
    queue.drop("ab12", '{"patch": 7}')
    [answer] = queue.analyst.answers()
    queue.analyst.file_away(answer, used=False)
    assert queue.after_silence() == []
    assert queue.restarted().answers() == []


def test_filing_away_never_overwrites(queue: Queue) -> None:
    for text in ("one", "two", "three"):
        queue.drop("ab12", json.dumps({"patch": DIFF, "summary": text}))
        queue.analyst.file_away(queue.analyst.answers()[0], used=True)
    names = ["response_ab12.2.json", "response_ab12.3.json", "response_ab12.json"]
    assert queue.list_names("completed") == names
    kept = [json.loads((queue.folder / "completed" / name).read_text())["summary"] for name in names]
    assert kept == ["two", "three", "one"]


def test_fault_a18_world_analyst_twice_and_the_second_is_not_filed_away_for_the_first(queue: Queue) -> None:
    queue.drop("ab12")
    [first] = queue.analyst.answers()
    queue.drop("ab12", json.dumps({"patch": DIFF + " \n"}))
    queue.analyst.file_away(first, used=True)
    [second] = queue.analyst.answers()
    assert second.digest != first.digest


def test_filing_away_what_somebody_took_is_nothing(queue: Queue) -> None:
    path = queue.drop("ab12")
    [answer] = queue.analyst.answers()
    path.unlink()
    queue.analyst.file_away(answer, used=True)
    assert queue.analyst.answers() == []


def test_a_link_planted_in_the_completed_folder_is_not_written_through(queue: Queue, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    (queue.folder / "completed").mkdir()
    (queue.folder / "completed" / "response_ab12.json").symlink_to(target)
    queue.drop("ab12")
    queue.analyst.file_away(queue.analyst.answers()[0], used=True)
    assert target.read_text() == "mine"
    assert "response_ab12.2.json" in queue.list_names("completed")


def test_a_response_that_cannot_be_moved_stays_and_is_given_again_after_a_while(queue: Queue) -> None:
    queue.drop("ab12")
    (queue.folder / "completed").write_text("a file stands where the folder should be")
    [answer] = queue.analyst.answers()
    queue.analyst.file_away(answer, used=True)
    assert queue.analyst.stuck == (
        "1 file of responses/ cannot be moved to completed/: File exists. "
        "Cure: let the bot write to completed/ in the analyst's queue"
    )
    assert queue.after_silence() == [answer]
    (queue.folder / "completed").unlink()
    queue.analyst.file_away(answer, used=True)
    assert queue.analyst.stuck is None


def stand_a_file(place: Path) -> None:
    place.write_text("a file stands where the folder should be")


def lead_nowhere(place: Path) -> None:
    place.symlink_to(place.with_name("gone"))


def lead_to_itself(place: Path) -> None:
    place.symlink_to(place)


@pytest.mark.parametrize("spoil", [stand_a_file, lead_nowhere, lead_to_itself])
def test_a_folder_of_responses_that_cannot_be_read_is_told_until_it_can(
    queue: Queue, spoil: Callable[[Path], None]
) -> None:
    queue.responses.rmdir()
    spoil(queue.responses)
    assert queue.analyst.answers() == []
    told = queue.analyst.stuck or ""
    assert told.startswith("responses/ cannot be read, and no answer is taken: ")
    assert told.endswith(". Cure: put a folder there, in the analyst's queue, that the bot may read and write")
    queue.responses.unlink()
    assert queue.analyst.answers() == []
    assert queue.analyst.stuck is None
    queue.analyst.create()
    queue.drop("ab12")
    assert [answer.request_id for answer in queue.analyst.answers()] == ["ab12"]


def test_what_cannot_be_moved_keeps_nothing_else_waiting(queue: Queue) -> None:
    for number in range(60):
        queue.drop(f"old{number}", '{"patch": 7}', at=100 + number)
    queue.drop("ab12", at=900)
    (queue.folder / "rejected").write_text("a file stands where the folder should be")
    for answer in queue.analyst.answers():
        queue.analyst.file_away(answer, used=False)
    assert "ab12" in [answer.request_id for answer in queue.analyst.answers()]


def test_what_could_not_be_moved_and_is_gone_is_no_fault_any_more(queue: Queue) -> None:
    path = queue.drop("ab12")
    (queue.folder / "rejected").write_text("a file stands where the folder should be")
    queue.analyst.file_away(queue.analyst.answers()[0], used=False)
    path.unlink()
    assert queue.analyst.answers() == []
    assert queue.analyst.stuck is None


if sys.platform != "win32":

    def test_requests_are_readable_as_the_users_mask_says(queue: Queue) -> None:
        mask = os.umask(0o027)
        try:
            path = queue.analyst.ask("ab12", {})
        finally:
            os.umask(mask)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
