"""The runner is woken by changes of files, and by the time where nothing can be watched."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from watchfiles import Change

from pipeline.adapters import watcher as module
from pipeline.adapters.watcher import Watcher, matters

NEVER = 3600.0  # seconds: no tick disturbs the test
SOON = 0.05  # seconds


class Bell:
    """Who is woken."""

    def __init__(self) -> None:
        self.rung = asyncio.Event()

    def ring(self) -> None:
        self.rung.set()

    async def await_ring(self) -> None:
        await asyncio.wait_for(self.rung.wait(), 20)
        self.rung.clear()


@contextlib.asynccontextmanager
async def watching(watcher: Watcher) -> AsyncIterator[None]:
    task = asyncio.create_task(watcher.run())
    try:
        await asyncio.wait_for(watcher.watching.wait(), 20)
        yield
        assert not task.done(), "it gave up"
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=20)
    assert task.cancelled()


async def settled(bell: Bell) -> None:
    """What was rung for the start is over."""
    await bell.await_ring()


async def test_a_file_that_is_renamed_into_a_folder_wakes(tmp_path: Path) -> None:
    bell = Bell()
    async with watching(Watcher([tmp_path], bell.ring, fallback=NEVER)):
        await settled(bell)
        (tmp_path / ".response_1.json.tmp").write_text("{}")
        (tmp_path / ".response_1.json.tmp").rename(tmp_path / "response_1.json")
        await bell.await_ring()


async def test_a_file_that_grows_or_goes_wakes(tmp_path: Path) -> None:
    bell = Bell()
    file = tmp_path / "events.jsonl"
    file.write_text("1\n")
    async with watching(Watcher([tmp_path], bell.ring, fallback=NEVER)):
        await settled(bell)
        with file.open("a") as out:
            out.write("2\n")
        await bell.await_ring()
        file.unlink()
        await bell.await_ring()


async def test_each_of_several_folders_is_watched(tmp_path: Path) -> None:
    bell = Bell()
    folders = [tmp_path / "a", tmp_path / "b" / "c"]
    async with watching(Watcher(folders, bell.ring, fallback=NEVER)):
        await settled(bell)
        for folder in folders:
            (folder / "x.json").write_text("{}")
            await bell.await_ring()


async def test_the_start_itself_wakes_for_what_lay_there_before(tmp_path: Path) -> None:
    (tmp_path / "response_1.json").write_text("{}")
    bell = Bell()
    async with watching(Watcher([tmp_path], bell.ring, fallback=NEVER)):
        await bell.await_ring()


async def test_a_folder_that_is_removed_is_made_and_watched_again(tmp_path: Path) -> None:
    bell = Bell()
    watcher = Watcher([tmp_path / "responses"], bell.ring, fallback=SOON)
    async with watching(watcher):
        shutil.rmtree(tmp_path / "responses")
        while not (tmp_path / "responses").exists():
            await bell.await_ring()
        while watched_of(watcher) != [(tmp_path / "responses").stat().st_ino]:
            await bell.await_ring()


def watched_of(watcher: Watcher) -> list[int]:
    return [inode for _, _, inode in watcher._folders] if watcher.watching.is_set() else []


async def test_a_folder_that_cannot_be_made_is_waited_for(tmp_path: Path) -> None:
    bell = Bell()
    (tmp_path / "mount").write_text("nothing is mounted here yet")
    watcher = Watcher([tmp_path / "mount" / "responses"], bell.ring, fallback=SOON)
    task = asyncio.create_task(watcher.run())
    await bell.await_ring()
    await bell.await_ring()
    assert not watcher.watching.is_set()
    (tmp_path / "mount").unlink()
    await asyncio.wait_for(watcher.watching.wait(), 20)
    task.cancel()
    await asyncio.wait([task], timeout=20)


async def test_where_nothing_can_be_watched_the_time_wakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("this drive tells nothing")

    monkeypatch.setattr(module, "awatch", refuse)
    bell = Bell()
    caplog.set_level(logging.WARNING)
    task = asyncio.create_task(Watcher([tmp_path], bell.ring, fallback=SOON).run())
    for _ in range(5):
        await bell.await_ring()
    assert not task.done()
    task.cancel()
    await asyncio.wait([task], timeout=20)
    assert [record.getMessage() for record in caplog.records] == [
        "changes are only looked for every 0.05 s: this drive tells nothing"
    ]


async def test_a_fault_of_whoever_is_woken_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rung = asyncio.Event()

    def stumble() -> None:
        rung.set()
        raise RuntimeError("stumbled")

    async with watching(Watcher([tmp_path], stumble, fallback=NEVER)):
        rung.clear()
        (tmp_path / "x.json").write_text("{}")
        await asyncio.wait_for(rung.wait(), 20)
    assert "waking failed" in caplog.text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("response_1.json", True),
        ("observed.json", True),
        ("events.jsonl", True),
        ("crash_[1-1_1-1-1].dmp", True),
        (".observed.json.12.tmp", False),
        ("spirit-healer.sqlite", False),
        ("spirit-healer.sqlite-wal", False),
        ("instance.lock", False),
        ("bot.LOG", False),
    ],
)
def test_what_the_bot_writes_itself_wakes_nobody(name: str, expected: bool) -> None:
    assert matters(Change.modified, f"/state.db/{name}") is expected
    assert matters(Change.modified, f"C:\\.state\\{name}") is expected
