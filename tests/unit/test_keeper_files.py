"""What the keeper reads, writes and moves: journal, memory, swaps, logs, cores, wishes. Real files, no process."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import points
from pipeline.adapters.event_log import EventLog
from pipeline.keeper import adoption, lives, ready, stage, swap
from pipeline.keeper import book as books
from pipeline.keeper import journal as journals
from pipeline.keeper.book import Book
from pipeline.keeper.boot import is_same_boot, read_boot_id
from pipeline.keeper.checksums import Checksums, identify_file
from pipeline.keeper.folders import Folders, read_json, write_json
from pipeline.keeper.foreign import Ancestor, Found, find_supervisor, is_script
from pipeline.keeper.journal import Journal, list_recent
from pipeline.keeper.launch import Launcher, make_environment
from pipeline.keeper.limits import Counts
from pipeline.keeper.memory import Fall, Held, Identity, Life, Memory, Placed, Refused, Stopping, StopWhy, Trial, Who
from pipeline.keeper.process import find_executable, identify, is_alive
from pipeline.keeper.protocol import (
    BuildFile,
    Desired,
    EventKind,
    Exit,
    ExitVerdict,
    Hold,
    Manifest,
    Observed,
    ProtocolError,
    ReadyRule,
    RestartLimits,
    ServerState,
    Want,
    from_json,
    to_json,
)
from pipeline.keeper.swap import Rolled
from pipeline.keeper.wishes import Unreadable, WishFile

NOW = 1_700_000_000.25


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path / "state", tmp_path / "server")
    made.make()
    return made


def test_what_a_keeper_that_was_killed_left_half_written_goes_with_the_next_and_nothing_else(folders: Folders) -> None:
    left = [
        folders.own / ".memory.json.12.tmp",
        folders.own / ".swap.json.12.tmp",
        folders.state / ".observed.json.7.tmp",
    ]
    kept = [folders.state / ".desired.json.9.tmp", folders.own / "memory.json"]  # the bot's, and what is whole
    for path in (*left, *kept):
        path.write_text("{}", encoding="utf-8")
    folders.sweep()
    assert [path.exists() for path in (*left, *kept)] == [False, False, False, True, True]


def make_build(folders: Folders, name: str, *paths: str) -> Manifest:
    """A build as the bot leaves it: files and manifest."""
    files = []
    for path in paths or ("worldserver", "lib/scripts.so"):
        content = f"{name} {path}".encode()
        source = folders.builds / name / "files" / path
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        files.append(BuildFile(path, path, sha256, size=len(content), executable=path == "worldserver"))
    return Manifest(name, tuple(files))


def make_wish(folders: Folders, generation: int = 1) -> Desired:
    return Desired(
        generation=generation,
        want=Want.UP,
        by="uwe",
        reason="test",
        server_dir=str(folders.server),
        command=("./worldserver", "--flag"),
        environment={"TC_CONSOLE_ENABLE": "0"},
        build=make_build(folders, "b1"),
    )


# --- values survive their way through a file

EXIT = Exit(ExitVerdict.CRASH, NOW, 42, -11, "b1", "abc+", 7, 12.5, 99.0, NOW - 99, core="/state/core", deployment="d1")
LIFE = Life("id", NOW, "boot", 7, build="b1", pid=42, create_time=NOW, stopping=Stopping(StopWhy.WISH, "uwe: why"))
IDENTITY = Identity((1 << 64) - 1, 2, 1_795_710_241_451_342_000)  # no number is too large for a filesystem
MEMORY = Memory(
    life=LIFE,
    placed=Placed(
        Manifest("b1", (BuildFile("a", "a", "0" * 64),)),
        "d1",
        IDENTITY,
        own="f" * 64,
    ),
    held=Held(Hold.FOREIGN, "pm2", "boot", 7, supervisor=Who(1, 2.5)),
    counts=Counts(1, 2, 3, (NOW, NOW), True),
    refused=(Refused("b1", None), Refused("b2", "d")),
    fall=Fall("b2", "why", True),
    trial=Trial("d1", 1),
    learned=(1.5, 2.0),
    last_exit=EXIT,
    next_start=NOW,
    accepted=3,
    reached=2,
)


def test_what_the_keeper_remembers_survives_its_file(tmp_path: Path) -> None:
    assert write_json(tmp_path / "memory.json", MEMORY)
    assert read_json(Memory, tmp_path / "memory.json") == MEMORY
    assert (tmp_path / "memory.json").stat().st_mode & 0o777 == 0o600


def test_the_protocols_values_survive_their_file(folders: Folders) -> None:
    wish = replace(make_wish(folders), ready=ReadyRule(port=0), limits=RestartLimits(base=0.5), restart=3)
    assert from_json(Desired, to_json(wish)) == wish
    observed = Observed("k", 1, "boot", NOW, ServerState.HELD, 7, hold=Hold.BREAKER, last_exit=EXIT)
    assert from_json(Observed, to_json(observed)) == observed


def test_unknown_keys_are_ignored_and_wrong_types_are_refused(folders: Folders) -> None:
    plain = json.loads(to_json(make_wish(folders)))
    assert from_json(Desired, json.dumps({**plain, "later": 1})) == make_wish(folders)
    for broken in _broken(plain):
        with pytest.raises(ProtocolError):
            from_json(Desired, json.dumps(broken))


def _broken(plain: dict[str, Any]) -> tuple[Any, ...]:
    return ({**plain, "generation": "7"}, {**plain, "want": "sideways"}, [], {}, {**plain, "command": 5})


def test_a_broken_memory_is_no_memory(tmp_path: Path) -> None:
    (tmp_path / "memory.json").write_text('{"life": {"id"')
    assert read_json(Memory, tmp_path / "memory.json") is None


# --- the journal


def write_event(journal: Journal, number: int) -> None:
    journal.write(EventKind.HELD, NOW + number, {"detail": f"event {number} ä"})


def test_events_are_numbered_on_by_the_next_keeper(tmp_path: Path) -> None:
    for keeper in ("one", "two"):
        write_event(Journal(tmp_path / "events.jsonl", keeper), 0)
    assert [(each.keeper, each.number) for each in list_recent(tmp_path / "events.jsonl")] == [("one", 1), ("two", 2)]


def test_a_torn_last_line_is_ignored_and_the_next_event_begins_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_event(Journal(path, "one"), 1)
    whole = path.read_bytes()
    for cut in range(1, len(whole) - 1):
        path.write_bytes(whole + whole[:cut].replace(b'"number":1', b'"number":2'))
        write_event(Journal(path, "two"), 2)
        assert [each.keeper for each in list_recent(path)] == ["one", "two"]


def test_events_that_could_not_be_written_are_owed_and_written_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "events.jsonl", "k")
    with monkeypatch.context() as full:
        full.setattr(points, "_armed", {"journal.write": ("full", "")})
        full.setattr(points, "_on", True)
        for number in range(3):
            write_event(journal, number)
        assert journal.owes
    journal.sync()
    assert not journal.owes
    assert [each.number for each in list_recent(tmp_path / "events.jsonl")] == [1, 2, 3]


def test_a_half_written_event_is_written_again_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "events.jsonl", "k")
    real = os.write
    with monkeypatch.context() as nearly_full:
        nearly_full.setattr(os, "write", lambda fd, text: real(fd, text[:20]))
        write_event(journal, 1)
    write_event(journal, 2)
    assert [each.number for each in list_recent(tmp_path / "events.jsonl")] == [1, 2]
    assert not (tmp_path / "events.jsonl").read_bytes().startswith(b"\n")


def test_a_journal_that_was_removed_is_begun_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events.jsonl", "k")
    write_event(journal, 1)
    (tmp_path / "events.jsonl").unlink()
    write_event(journal, 2)
    assert [each.number for each in list_recent(tmp_path / "events.jsonl")] == [2]


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes of a file that holds some eight events."""
    monkeypatch.setattr(journals, "LARGEST", 800)
    return 800


def test_a_journal_that_has_grown_large_is_turned_over_and_numbered_on(tmp_path: Path, small_files: int) -> None:
    path = tmp_path / "events.jsonl"
    for keeper, numbers in (("one", range(1, 21)), ("two", range(21, 26))):
        journal = Journal(path, keeper)
        for number in numbers:
            write_event(journal, number)
            journal.sync()
            assert list_recent(path)[-1].number == number
    assert sorted(each.name for each in tmp_path.iterdir()) == ["events.jsonl", "events.jsonl.1"]
    assert all(each.stat().st_size < 2 * small_files for each in tmp_path.iterdir())


def test_a_reader_passes_over_no_event_of_a_journal_that_is_turned_over(tmp_path: Path, small_files: int) -> None:
    """Whether it looks at each event or was away for some."""
    path = tmp_path / "events.jsonl"
    journal, log = Journal(path, "k"), EventLog(path)
    last: tuple[str, int] | None = None
    seen: list[int] = []
    for number in range(1, 61):
        write_event(journal, number)
        journal.sync()
        if number in (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 24, 28, 32, 33, 34, 35, 36, 40, 45, 50, 55, 60):
            found = log.read(last)
            seen += [each.number for each in found]
            last = (found[-1].keeper, found[-1].number)
    assert seen == list(range(1, 61))


def test_a_journal_that_nobody_lets_be_renamed_grows_on(
    tmp_path: Path, small_files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("it is open")

    path = tmp_path / "events.jsonl"
    journal = Journal(path, "k")
    with monkeypatch.context() as windows:
        windows.setattr(Path, "replace", refuse)
        for number in range(1, 21):
            write_event(journal, number)
            journal.sync()
    assert [each.number for each in EventLog(path).read(None)] == list(range(1, 21))
    assert not journal.owes


def test_a_fault_that_comes_back_each_second_fills_no_disk(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "MOST_FAULTS", 2000)
    book = Book(folders)
    for number in range(500):
        book.note_fault(f"fault {number}")
    kept = sorted(folders.state.glob("keeper.log*"))
    assert [each.name for each in kept] == ["keeper.log", "keeper.log.1"]
    assert "fault 499" in kept[0].read_text(encoding="utf-8")
    assert all(each.stat().st_size < 2100 for each in kept)


def test_an_exit_that_was_told_is_found_again(folders: Folders) -> None:
    book = Book(folders)
    book.tell(EventKind.EXITED, **json.loads(to_json(EXIT)))
    life = Life("id", EXIT.started, "boot", 7, pid=EXIT.pid)
    events = list_recent(folders.events)
    assert adoption.find_told_exit(events, life) == EXIT
    assert adoption.find_told_exit(events, replace(life, started=NOW)) is None


def test_a_life_whose_end_nobody_saw_lived_at_least_until_it_last_wrote(tmp_path: Path) -> None:
    output, log = tmp_path / "output.log", tmp_path / "Server.log"
    life = replace(LIFE, ready_at=NOW + 5, output=str(output))
    assert adoption.estimate_lived(life) == 5
    for path, written in ((output, NOW + 20), (log, NOW + 300)):
        path.touch()
        os.utime(path, (written, written))
    assert adoption.estimate_lived(life) == 20
    assert adoption.estimate_lived(life, [log, tmp_path / "gone.log"]) == 300


def test_invariant_7_a_life_that_was_spawned_and_never_noted_is_found_by_its_event(folders: Folders) -> None:
    book = Book(folders)
    book.tell(EventKind.KEEPER_STARTED, protocol=1, boot="earlier boot")
    book.tell(EventKind.SPAWNED, pid=77, create_time=NOW, started=NOW, build="b1", generation=3, output="/o")
    lost = adoption.find_lost_life(book)
    assert lost
    assert (lost.pid, lost.started, lost.build, lost.generation, lost.boot) == (77, NOW, "b1", 3, "earlier boot")
    book.tell(EventKind.EXITED, **json.loads(to_json(replace(EXIT, pid=77, started=NOW))))
    assert adoption.find_lost_life(book) is None


def test_invariant_7_a_life_of_which_only_output_is_left_is_found_by_it(folders: Folders) -> None:
    book = Book(folders)
    book.tell(EventKind.KEEPER_STARTED, protocol=1, boot="boot")
    output = folders.lives / f"output-{lives.format_stamp(NOW)}.log"
    output.touch()
    assert adoption.find_lost_life(book) is None, "an empty file proves no process"
    output.write_text("ASSERTION FAILED")
    lost = adoption.find_lost_life(book)
    assert lost
    assert (lost.started, lost.output) == (NOW, str(output))


# --- staging and swapping


def put_in_place(folders: Folders, manifest: Manifest) -> Placed:
    for file in manifest.files:
        target = folders.server / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((folders.builds / manifest.build / "files" / file.source).read_bytes())
    return Placed(manifest)


def read_build(folders: Folders) -> set[str]:
    """The builds that the server's files belong to: one, if all is well."""
    return {(folders.server / path).read_text().split()[0] for path in ("worldserver", "lib/scripts.so")}


def stage_swap(folders: Folders) -> tuple[swap.Plan, Checksums]:
    sums = Checksums()
    old = put_in_place(folders, make_build(folders, "b1"))
    assert stage.stage(make_build(folders, "b2"), folders, sums) == stage.StageOutcome("b2")
    return swap.make_plan(make_build(folders, "b2"), "d1", old, folders, sums), sums


def test_a_swap_exchanges_all_files_and_keeps_the_old_ones(folders: Folders) -> None:
    plan, sums = stage_swap(folders)
    swap.begin(plan, folders)
    swap.run(plan, folders, sums)
    assert read_build(folders) == {"b2"}
    assert (folders.previous / "b1" / "worldserver").read_text() == "b1 worldserver"
    assert (folders.server / "worldserver").stat().st_mode & 0o111


STEPS = 4  # two files, two renames each


@pytest.mark.parametrize("done", range(STEPS + 1))
@pytest.mark.parametrize("fresh", [False, True], ids=["same keeper", "next keeper"])
def test_an_interrupted_swap_is_rolled_forward_from_every_step(folders: Folders, done: int, fresh: bool) -> None:
    plan, sums = stage_swap(folders)
    swap.begin(plan, folders)
    interrupt(plan, folders, done)
    noted = read_json(swap.Plan, folders.swap)
    assert noted == plan
    assert swap.recover(plan, folders, Checksums() if fresh else sums) is Rolled.FORWARD
    assert read_build(folders) == {"b2"}


@pytest.mark.parametrize("done", range(STEPS + 1))
def test_an_interrupted_swap_whose_new_files_are_gone_is_rolled_back_from_every_step(
    folders: Folders, done: int
) -> None:
    plan, _ = stage_swap(folders)
    swap.begin(plan, folders)
    interrupt(plan, folders, done)
    for path in ("worldserver", "lib/scripts.so"):
        stage.get_staged("b2", path, folders).unlink(missing_ok=True)
    rolled = swap.recover(plan, folders, Checksums())
    assert (rolled, read_build(folders)) == ((Rolled.FORWARD, {"b2"}) if done == STEPS else (Rolled.BACK, {"b1"}))


def test_files_that_fit_neither_build_are_not_touched(folders: Folders) -> None:
    plan, _ = stage_swap(folders)
    swap.begin(plan, folders)
    stage.get_staged("b2", "worldserver", folders).unlink()
    (folders.server / "worldserver").write_text("somebody's")
    assert swap.recover(plan, folders, Checksums()) is Rolled.STUCK
    assert (folders.server / "worldserver").read_text() == "somebody's"
    assert (folders.server / "lib/scripts.so").read_text() == "b1 lib/scripts.so"


def interrupt(plan: swap.Plan, folders: Folders, done: int) -> None:
    for source, target in swap.list_steps(plan, folders)[:done]:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)


def test_a_rollback_takes_out_a_file_that_was_new(folders: Folders) -> None:
    sums = Checksums()
    old = put_in_place(folders, make_build(folders, "b1", "worldserver"))
    new = make_build(folders, "b2", "worldserver", "new.so")
    stage.stage(new, folders, sums)
    plan = swap.make_plan(new, None, old, folders, sums)
    swap.run(plan, folders, sums)
    assert swap.roll_back(plan, folders, sums)
    assert not (folders.server / "new.so").exists()
    assert (folders.server / "worldserver").read_text() == "b1 worldserver"


def test_a_build_is_staged_again_from_what_an_earlier_swap_took_out(folders: Folders) -> None:
    plan, sums = stage_swap(folders)
    swap.run(plan, folders, sums)
    old = make_build(folders, "b1")
    for file in (folders.builds / "b1").rglob("*"):
        if file.is_file():
            file.unlink()
    assert stage.stage(old, folders, sums).error is None
    swap.run(swap.make_plan(old, None, Placed(plan.manifest), folders, sums), folders, sums)
    assert read_build(folders) == {"b1"}


def test_a_file_that_is_not_what_the_manifest_says_is_not_staged(folders: Folders) -> None:
    manifest = make_build(folders, "b2")
    (folders.builds / "b2" / "files" / "worldserver").write_text("b2 w0rldserver")
    error = stage.stage(manifest, folders, Checksums()).error
    assert error
    assert "is not what the manifest says" in error
    assert not stage.get_staged("b2", "worldserver", folders).exists()


def test_a_build_that_lies_there_already_needs_no_staging(folders: Folders) -> None:
    manifest = make_build(folders, "b1")
    put_in_place(folders, manifest)
    assert stage.stage(manifest, folders, Checksums()) == stage.StageOutcome("b1", in_place=True)


@pytest.mark.parametrize(
    "path",
    ["../outside", "/etc/passwd", "a/../../b", "C:\\x", "C:x", "a\\b", "", ".spirit-healer/memory.json", "a\0b", "."],
)
def test_a_manifest_that_leads_out_of_its_folder_is_refused(folders: Folders, path: str) -> None:
    for file in (BuildFile(path, "worldserver", "0" * 64), BuildFile("worldserver", path, "0" * 64)):
        with pytest.raises(stage.StageError):
            stage.check_manifest(Manifest("b1", (file,)))


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "a\\b", "-x"])
def test_a_build_with_an_unusable_name_is_refused(name: str) -> None:
    with pytest.raises(stage.StageError):
        stage.check_manifest(Manifest(name, (BuildFile("a", "a", "0" * 64),)))


def test_only_the_named_builds_are_kept_staged(folders: Folders) -> None:
    for name in ("b1", "b2"):
        (folders.staged / name).mkdir(parents=True)
        (folders.previous / name).mkdir(parents=True)
    stage.tidy(folders, {"b1"}, {"b2"}, Checksums())
    assert [each.name for each in folders.staged.iterdir()] == ["b1"]
    assert [each.name for each in folders.previous.iterdir()] == ["b2"]


def test_of_a_build_whose_files_are_removed_no_checksum_is_remembered(folders: Folders, tmp_path: Path) -> None:
    sums, same, files = Checksums(), tmp_path / "same", {}
    same.write_text("one")
    for name in ("b1", "b2"):
        (folders.staged / name).mkdir(parents=True)
        files[name] = folders.staged / name / "file"
        files[name].hardlink_to(same)
        sums.note(files[name], identify_file(same), "remembered")
    stage.tidy(folders, {"b1"}, (), sums)
    files["b2"].parent.mkdir()
    files["b2"].hardlink_to(same)
    assert sums.read(files["b1"]) == "remembered"
    assert sums.read(files["b2"]) == hashlib.sha256(b"one").hexdigest()


def test_a_checksum_is_read_again_when_the_file_was_replaced(tmp_path: Path) -> None:
    sums, path = Checksums(), tmp_path / "file"
    path.write_text("one")
    first = sums.read(path)
    (tmp_path / "other").write_text("two")
    (tmp_path / "other").replace(path)
    assert sums.read(path) == hashlib.sha256(b"two").hexdigest() != first


# --- ready

READY_LINE = "TrinityCore rev. 0123456789ab+ 2025-11-04 (x branch) (Unix) (worldserver-daemon) ready...\n"


def watch(tmp_path: Path, **rule: object) -> ready.ReadyWatch:
    made = ReadyRule(**{"port": 0, **rule})  # type: ignore[arg-type]  # each field by its name
    return ready.ReadyWatch(made, tmp_path, tmp_path / "output.log", started=0.0)


def test_ready_is_the_pattern_in_the_log_and_gives_the_revision(tmp_path: Path) -> None:
    looked = watch(tmp_path)
    assert not looked.look(NOW, 1)
    (tmp_path / "Server.log").write_text("loading\n" + READY_LINE)
    assert looked.look(NOW, 1)
    assert looked.revision == ready.Revision("0123456789ab+", READY_LINE.strip())


def test_ready_in_the_output_counts_too_and_the_revision_may_stand_in_an_earlier_line(tmp_path: Path) -> None:
    looked = watch(tmp_path)
    (tmp_path / "output.log").write_text("X rev. abcdef0 2025 (b branch)\r\n(worldserver-daemon) ready...\r\n")
    assert looked.look(NOW, 1)
    assert looked.revision
    assert looked.revision.hash == "abcdef0"


def test_ready_without_its_line_end_counts_but_half_a_revision_does_not(tmp_path: Path) -> None:
    looked = watch(tmp_path)
    (tmp_path / "Server.log").write_text("TrinityCore rev. 0123456")
    assert not looked.look(NOW, 1)
    with (tmp_path / "Server.log").open("a") as log:
        log.write("789ab 2025 (x branch) (worldserver-daemon) ready...")
    assert looked.look(NOW, 1)
    assert looked.revision
    assert looked.revision.hash == "0123456789ab"


def test_a_ready_line_of_an_earlier_life_does_not_count(tmp_path: Path) -> None:
    log = tmp_path / "Server.log"
    log.write_text(READY_LINE)
    looked = watch(tmp_path)
    looked.begin_at([ready.Tail(log, from_end=True)])
    assert not looked.look(NOW, 1)
    log.write_text("TrinityCore starts\n")  # truncated by the server
    assert not looked.look(NOW, 1)
    with log.open("a") as file:
        file.write(READY_LINE)
    assert looked.look(NOW, 1)


def test_a_ready_line_that_a_full_disk_may_have_lost_is_not_waited_for_once_the_port_has_answered_for_a_while(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        looked = watch(tmp_path, port=port)
        assert not looked.look(NOW, 1)
        looked.note_loss()
        assert not looked.look(NOW + 3, 1), "the line may only be late"
        assert looked.look(NOW + 6, 1)
    assert not looked.look(NOW + 9, 1)
    lost = "the disk took nothing while it started, so its line that matches SERVER_READY_PATTERN may be lost"
    cure = "`/restart-server` starts it anew once there is room"
    assert looked.explain(1) == f"{lost}, and nothing accepts connections on SERVER_PORT {port}; {cure}"
    without = watch(tmp_path)
    without.note_loss()
    assert not without.look(NOW, 1) and not without.look(NOW + 9, 1), "nothing tells without a port"
    assert without.explain(1) == f"{lost}; {cure}"


def test_a_log_that_was_truncated_and_has_grown_beyond_its_old_size_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "Server.log"
    log.write_text("old line\n")
    looked = watch(tmp_path)
    looked.begin_at([ready.Tail(log, from_end=True)])
    log.write_text(READY_LINE + "more\n" * 10)
    assert looked.look(NOW, 1)


def test_a_log_that_was_not_written_in_this_life_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "Server_1.log").write_text(READY_LINE)
    os.utime(tmp_path / "Server_1.log", (NOW - 100, NOW - 100))
    looked = ready.ReadyWatch(ReadyRule(logs=("Server_*.log",), port=0), tmp_path, None, started=NOW)
    assert not looked.look(NOW, 1)
    (tmp_path / "Server_2.log").write_text(READY_LINE)
    assert looked.look(NOW, 1)


def test_the_pattern_alone_is_not_ready_while_the_port_is_closed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        looked = watch(tmp_path, port=port)
        assert not looked.look(NOW, 1)
        (tmp_path / "Server.log").write_text(READY_LINE)
        assert looked.look(NOW, 1)
        assert watch(tmp_path, port=port, pattern="").look(NOW, 1), "no pattern: the port alone"
    assert not looked.look(NOW, 1)


def test_without_pattern_and_port_a_second_alive_is_ready(tmp_path: Path) -> None:
    looked = watch(tmp_path, pattern="")
    assert not looked.look(0.9, 1)
    assert looked.look(1.0, 1)


def test_a_flood_of_output_is_read_in_pieces_and_ready_is_found_behind_it(tmp_path: Path) -> None:
    looked = watch(tmp_path)
    (tmp_path / "output.log").write_bytes(b"x" * (3 << 20) + b"\n" + b"line\n" * 1000 + READY_LINE.encode())
    looks = [looked.look(NOW, 1) for _ in range(4)]
    assert looks == [False, False, False, True]


def test_a_pattern_that_is_no_regular_expression_is_taken_as_it_stands(tmp_path: Path) -> None:
    looked = watch(tmp_path, pattern="ready (really")
    (tmp_path / "Server.log").write_text("now ready (really)\n")
    assert looked.look(NOW, 1)


def test_a_start_is_late_by_what_was_learned_only_while_its_log_stands_still() -> None:
    rule = ReadyRule(timeout=900.0)
    assert not ready.is_late(rule, None, 899.0, 899.0)
    assert ready.is_late(rule, None, 900.0, 0.0)
    assert not ready.is_late(rule, 20.0, 99.0, 99.0), "five times what was learned"
    assert ready.is_late(rule, 20.0, 100.0, 60.0)
    assert not ready.is_late(rule, 20.0, 899.0, 59.0), "progress in the log justifies more"
    assert not ready.is_late(rule, 1.0, 59.0, 59.0), "never less than a minute"


# --- what a life leaves behind


def test_logs_are_moved_aside_by_life_and_the_oldest_are_removed(folders: Folders) -> None:
    for number in range(lives.KEPT_LIVES + 3):
        started = NOW + number
        (folders.server / "Server.log").write_text(f"life {number}")
        (folders.lives / f"output-{lives.format_stamp(started)}.log").write_text("x")
        moved = lives.move_logs(["Server.log"], folders.server, folders.lives, started)
        assert moved
        assert moved.read_text() == f"life {number}"
    lives.prune(folders.lives, folders.server, keep_cores=3)
    assert not (folders.server / "Server.log").exists()
    assert len(list(folders.lives.glob("log-*"))) == len(list(folders.lives.glob("output-*"))) == lives.KEPT_LIVES
    assert lives.move_logs(["Server.log"], folders.server, folders.lives, NOW) is None


def test_a_log_that_cannot_go_to_the_state_folder_is_renamed_beside_its_place(folders: Folders, tmp_path: Path) -> None:
    (folders.server / "Server.log").write_text("x")
    moved = lives.move_logs(["Server.log"], folders.server, tmp_path / "not there", NOW)
    assert moved == folders.server / f"log-{lives.format_stamp(NOW)}-Server.log"


@pytest.mark.parametrize("log", ["Server.log", "logs/Server.log"])
def test_logs_that_were_moved_aside_beside_their_place_are_pruned_too(folders: Folders, log: str) -> None:
    (folders.server / "logs").mkdir()
    place = (folders.server / log).parent
    for name in ("log-notes.txt", "log-20250101T000000.000Z-Auth.log"):
        (place / name).write_text("the user's own")
    for number in range(lives.KEPT_LIVES + 5):
        (folders.server / log).write_text(f"life {number}")
        lives.move_logs([log], folders.server, folders.server / "another filesystem", NOW + number)
    lives.prune(folders.lives, folders.server, keep_cores=3, logs=[log, "logs/*.log"])
    kept = sorted(path.read_text() for path in place.glob("log-*-Server.log"))
    assert kept == sorted(f"life {number}" for number in range(5, lives.KEPT_LIVES + 5))
    assert {"log-notes.txt", "log-20250101T000000.000Z-Auth.log"} <= {path.name for path in place.iterdir()}


@pytest.mark.parametrize(
    ("pattern", "name", "is_it"),
    [
        ("core", "core", True),
        ("core.%p", "core.42", True),
        ("core.%p", "core.43", False),
        ("core-%e-%p-%t", "core-worldserver-42-1700000000", True),
        ("core-%e-%p-%t", "core-worldserver-43-1700000000", False),
        ("%e.core", "worldserver.core", True),
        ("100%%.%p", "100%.42", True),
    ],
)
def test_a_core_is_known_by_the_kernels_pattern(pattern: str, name: str, is_it: bool) -> None:
    assert bool(lives.compile_core_name(pattern, 42).fullmatch(name)) is is_it


def test_only_the_newest_cores_are_kept_wherever_they_lie(folders: Folders) -> None:
    for number, folder in enumerate((folders.server, folders.lives, folders.lives, folders.server)):
        (folder / f"core-{lives.format_stamp(NOW + number)}-42").touch()
    (folders.server / "core").touch()
    (folders.server / "core-notes.txt").touch()
    lives.prune(folders.lives, folders.server, keep_cores=2)
    assert len(list(folders.lives.glob("core-*"))) == 1
    assert len(list(folders.server.glob("core-2*"))) == 1
    assert (folders.server / "core").exists(), "not one of ours yet"
    assert (folders.server / "core-notes.txt").exists()


def test_an_orderly_stop_is_known_by_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("x" * 100_000 + "\nHalting process...\n")
    assert lives.was_halted(None, log)
    log.write_text("Halting process...\n" + "x" * 100_000)
    assert not lives.was_halted(log, None)


# --- the wish


def test_a_wish_is_read_when_it_changes_and_only_then(folders: Folders) -> None:
    file = WishFile(folders)
    assert file.read_if_changed() is None
    for generation in (1, 2):
        write_json(folders.desired, make_wish(folders, generation))
        assert file.read_if_changed() == make_wish(folders, generation)
        assert file.read_if_changed() is None


def test_an_unreadable_wish_says_why_and_the_copy_stays(folders: Folders) -> None:
    file = WishFile(folders)
    file.keep(make_wish(folders))
    for text in ('{"generation": 2', "", to_json(replace(make_wish(folders), server_dir="/other"))):
        folders.desired.write_text(text)
        assert isinstance(file.read_if_changed(), Unreadable)
    write_json(folders.desired, replace(make_wish(folders), protocol=2))
    assert file.read_if_changed() == Unreadable("protocol 2, this keeper understands 1")
    assert file.read_copy() == make_wish(folders)


def test_invariant_12_the_server_gets_no_setting_of_ours(folders: Folders) -> None:
    wish = replace(make_wish(folders), withhold=("DISCORD_TOKEN", "DATABASE_URL"))
    own = {"PATH": "/bin", "DISCORD_TOKEN": "t", "DATABASE_URL": "d", points.VARIABLE: "x", "SPIRIT_HEALER_LIFE": "y"}
    assert make_environment(own, wish) == {"PATH": "/bin", "TC_CONSOLE_ENABLE": "0"}


def test_a_program_that_was_away_in_the_midst_of_a_swap_is_found_when_it_is_back(folders: Folders) -> None:
    book = Book(folders)
    book.wish = replace(make_wish(folders), command=("./worldserver",))
    launcher = Launcher(book)
    assert launcher.executable is None
    (folders.server / "worldserver").touch()
    assert launcher.executable == folders.server / "worldserver"


def test_the_program_is_looked_for_in_its_folder_and_then_on_the_path(tmp_path: Path) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "both").touch()
    (tmp_path / "there" / "only").touch()
    environment = {"PATH": str(tmp_path / "there")}
    assert find_executable("both", tmp_path / "here", environment) == tmp_path / "here" / "both"
    assert find_executable("only", tmp_path / "here", environment) == tmp_path / "there" / "only"
    assert find_executable("./only", tmp_path / "here", environment) is None
    assert find_executable(str(tmp_path / "there" / "only"), tmp_path / "here", {}) == tmp_path / "there" / "only"


# --- who else looks after a server

SERVER = Found(Who(42, NOW), "uwe", leads=False)


def ancestor(*argv: str, name: str = "") -> Ancestor:
    return Ancestor(Who(7, NOW), name or Path(argv[0]).name, argv)


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (replace(SERVER, cgroup="/system.slice/worldserver.service"), "systemd unit worldserver.service"),
        (replace(SERVER, ancestors=(ancestor("PM2 v5.3.0: God Daemon (/home/uwe/.pm2)", name="node"),)), "pm2"),
        (replace(SERVER, environment={"pm_id": "0"}), "pm2"),
        (replace(SERVER, ancestors=(ancestor("bash", "./simple-restarter"),)), "a script (bash ./simple-restarter)"),
        (replace(SERVER, ancestors=(ancestor("/bin/sh", "-c", "while :; do ./w; done"),)), None),
        (replace(SERVER, ancestors=(ancestor("cmd.exe", "/c", "restart.bat"),)), "a script (cmd.exe /c restart.bat)"),
        (replace(SERVER, ancestors=(ancestor("bash"), ancestor("supervisord"))), "supervisord"),
        (replace(SERVER, ancestors=(ancestor("WindowsGSM.exe", name="WindowsGSM.exe"),)), "windowsgsm.exe"),
    ],
)
def test_fault_b14_world_process_systemd_and_other_supervisors_are_known(found: Found, name: str | None) -> None:
    supervisor = find_supervisor(found, own_cgroup="/system.slice/spirit-healer.service")
    assert supervisor
    assert name is None or supervisor.name == name


@pytest.mark.parametrize(
    "found",
    [
        SERVER,
        replace(SERVER, ancestors=(ancestor("-bash"), ancestor("sshd"))),
        replace(SERVER, ancestors=(ancestor("/bin/zsh", "-l", "-i"),)),
        replace(SERVER, ancestors=(ancestor("tmux"),)),
        replace(SERVER, cgroup="/system.slice/spirit-healer.service"),
        replace(SERVER, cgroup="/system.slice/ssh.service"),
        replace(SERVER, cgroup="/user.slice/user-1000.slice/session-3.scope"),
        replace(SERVER, cgroup="/x/worldserver.service", environment={"SPIRIT_HEALER_SERVER": "abc.1"}),
    ],
)
def test_a_server_that_was_started_by_hand_or_by_us_has_no_supervisor(found: Found) -> None:
    assert find_supervisor(found, own_cgroup="/system.slice/spirit-healer.service") is None


def test_a_shell_is_a_restarter_only_with_a_script() -> None:
    assert is_script(ancestor("cmd.exe", "/C", "x.bat"))
    assert is_script(ancestor("pwsh", "-File", "x.ps1"))
    assert not is_script(ancestor("cmd.exe"))
    assert not is_script(ancestor("python3", "restarter.py")), "only shells: a Python parent may be anything"


# --- boots and processes


def test_this_boot_is_this_boot() -> None:
    assert is_same_boot(read_boot_id(), read_boot_id())
    assert not is_same_boot(read_boot_id(), "another")


def test_a_boot_time_that_wanders_with_the_clock_is_the_same_boot() -> None:
    assert is_same_boot("time:1700000000", "time:1700000030")
    assert not is_same_boot("time:1700000000", "time:1700003600")


def test_a_process_number_that_was_given_anew_is_another_process() -> None:
    who = identify(os.getpid())
    assert who
    assert is_alive(who)
    assert not is_alive(replace(who, create_time=who.create_time - 100))
