"""A file of JSON that somebody spoilt, or nested deeper than Python follows, is like one that is not there."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.demo import acts, leftovers
from bot.lock import InstanceLock
from bot.sandbox import address, store
from pipeline.adapters import builder_configure, builder_products, builder_run, gdb, gdb_script
from pipeline.errors import DefiniteError
from pipeline.keeper import protocol
from pipeline.keeper.protocol import ProtocolError, from_json, parse_json

NESTED = "[" * 100_000 + "]" * 100_000
SPOILT = {"nested": NESTED, "nested in an object": f'{{"port": {NESTED}}}', "a list": "[1]", "torn": '{"port"', "": ""}
ROOT = Path(__file__).parents[2]


def read_demo(folder: Path) -> object:
    try:
        return acts.find_world(folder)
    except DefiniteError as fault:
        return str(fault)


def read_messages(folder: Path) -> object:
    ids = map(str, itertools.count())
    found = store.load_guild(folder / "messages.json", lambda: next(ids))
    assert (folder / "messages.json.unreadable").is_file()
    return found


NO_DEMO = "no demo runs in {}: start one with `spirit-healer demo`"
# The file, who reads it, and what comes of a spoilt one.
READERS: dict[str, tuple[str, Callable[[Path], object], object]] = {
    "the page's address": (address.NAME, lambda folder: address.recall(folder / "messages.json"), address.Address()),
    "the sandbox's messages": ("messages.json", read_messages, None),
    "who holds the lock": ("instance.json", lambda folder: InstanceLock(folder).find_bot(), None),
    "the owner of a demo": (leftovers.OWNER, leftovers.is_left, False),
    "where a demo is": (acts.NOTE, read_demo, NO_DEMO),
    "an answer of the demo": ("answer.json", lambda folder: acts.is_abstention(folder / "answer.json"), False),
    "how long a build took": (builder_run._PACE, builder_run.recall_pace, None),
    "what was configured": (builder_configure.STAMP, builder_configure._read_stamp, {}),
    "what cmake tells": (f"{builder_products._REPLY}/index-1.json", builder_products._read_model, None),
}


@pytest.mark.parametrize("text", SPOILT.values(), ids=SPOILT.keys())
@pytest.mark.parametrize("reader", READERS)
def test_a_spoilt_file_is_like_one_that_is_not_there(tmp_path: Path, reader: str, text: str) -> None:
    name, read, nothing = READERS[reader]
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read(tmp_path) == (nothing.format(tmp_path) if isinstance(nothing, str) else nothing)


@pytest.mark.parametrize("text", SPOILT.values(), ids=SPOILT.keys())
def test_what_keeper_and_debugger_said_spoilt_is_refused(text: str) -> None:
    for shape in (protocol.Desired, protocol.Observed, protocol.Event):
        with pytest.raises(ProtocolError):
            from_json(shape, text)
    assert gdb._find_json(f"{gdb_script.MARK}{text}") is None


def test_what_is_nested_too_deeply_is_refused_as_what_is_no_json() -> None:
    with pytest.raises(ValueError, match="it is nested too deeply"):
        parse_json(NESTED)


# Not by anybody's hand: what we ship, what we have just written ourselves; and a response, whose refusal has words.
BY_THEMSELVES = {
    "bot/sandbox/spec.py", "bot/demo/analyst/__main__.py", "pipeline/store/runs.py", "pipeline/keeper/protocol.py",
    "pipeline/adapters/responses.py",
}  # fmt: skip


def test_whoever_reads_json_reads_it_in_the_one_way() -> None:
    sources = [path for part in ("bot", "pipeline") for path in (ROOT / part).rglob("*.py")]
    found = {str(path.relative_to(ROOT).as_posix()) for path in sources if "json.loads" in path.read_text("utf-8")}
    assert found == BY_THEMSELVES
