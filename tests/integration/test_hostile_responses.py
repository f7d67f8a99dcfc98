"""Part C of the faults through the two real ways in: the queue's files, and what ANALYST_COMMAND leaves.

After each case the user's checkout, the remote, our clone, the state folder and everything beside them are byte for
byte what they were, but for the documented marks: the response was filed away, its run has a row.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from itertools import chain
from pathlib import Path

import pytest
import pytest_asyncio
from checkouts import snapshot
from hostile_patches import MAP
from hostile_responses import BROKEN, CASES, DEEDS, GOOD, PLAIN, REACHING, REFUSED, RESPOND, WRONG
from hostile_world import End, HostileWorld, Outcome
from world import OPERATOR

from pipeline.model import RunState
from pipeline.store.refusals import NAMED

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="queue")
async def make_queue(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HostileWorld]:
    world = HostileWorld(tmp_path_factory.mktemp("queue"))
    yield await world.start()
    world.world.engine.dispose()


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="bench")
async def make_bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HostileWorld]:
    world = HostileWorld(tmp_path_factory.mktemp("command"), command=True)
    yield await world.start()
    world.world.engine.dispose()


Play = Callable[[HostileWorld, list[str]], Awaitable[list[Outcome]]]


def write(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)


def as_text(path: Path) -> None:
    write(path, json.dumps(GOOD).encode())


def in_batches(names: Collection[str], size: int) -> list[list[str]]:
    """Answered side by side; whose change stands leaves it on the bench, so those are among themselves. What is huge is
    alone: it is looked at again once it lies still."""
    alone = [name for name in names if "hundred-megabytes" in name]
    stand = [name for name in names if EVERY[name].end is End.ASKED]
    batches = [[name] for name in alone]
    for some in ([name for name in names if name not in (*alone, *stand)], stand):
        batches += [some[at : at + size] for at in range(0, len(some), size)]
    return batches


async def outcome_of(name: str, batches: list[list[str]], world: HostileWorld, play: Play) -> Outcome:
    """Each is a case of its own; the first of a batch plays it for all, as several take no longer than one."""
    (batch,) = [each for each in batches if name in each]
    if (play, name) not in world.played:
        outcomes = await play(world, batch)
        world.played |= {(play, each): outcome for each, outcome in zip(batch, outcomes, strict=True)}
    return world.played[play, name]


EVERY = CASES | REACHING | DEEDS

# What is no response at all is refused where the command ends: all of those (an empty file is none: "empty-response");
# of the rest a sample. All of them, every place in every shape: tests/soak/hostile.py.
OF_THE_COMMAND = [name for name in BROKEN if name != "nothing"]
OF_THE_COMMAND += random.Random(3).sample(sorted(WRONG | REFUSED | PLAIN | REACHING), 37)

IN_THE_QUEUE, COMMANDED, DONE = in_batches(CASES | REACHING, NAMED), in_batches(OF_THE_COMMAND, 8), in_batches(DEEDS, 8)


async def answer_all(queue: HostileWorld, names: list[str]) -> list[Outcome]:
    return await queue.put_raw({name: (CASES | REACHING)[name].raw for name in names})


async def command_all(bench: HostileWorld, names: list[str]) -> list[Outcome]:
    return await bench.command_raw({name: (CASES | REACHING)[name].raw for name in names})


async def do_all(bench: HostileWorld, names: list[str]) -> list[Outcome]:
    return await bench.command({name: DEEDS[name].script for name in names})


@pytest.mark.parametrize("name", [*chain(*IN_THE_QUEUE)])
async def test_hostile_response_in_the_queue_writes_nothing_and_runs_nothing(queue: HostileWorld, name: str) -> None:
    (CASES | REACHING)[name].expect(await outcome_of(name, IN_THE_QUEUE, queue, answer_all))


@pytest.mark.parametrize("name", [*chain(*COMMANDED)])
async def test_hostile_response_of_the_command_writes_nothing_and_runs_nothing(bench: HostileWorld, name: str) -> None:
    (CASES | REACHING)[name].expect(await outcome_of(name, COMMANDED, bench, command_all))


@pytest.mark.skipif(sys.platform == "win32", reason="what it does is POSIX's")
@pytest.mark.parametrize("name", [*chain(*DONE)])
async def test_hostile_command_changes_nothing_but_its_scratch_clone(bench: HostileWorld, name: str) -> None:
    DEEDS[name].expect(await outcome_of(name, DONE, bench, do_all))


# --- names, times and kinds of files ---------------------------------------------------------------------------------


async def test_hostile_response_to_a_request_that_nobody_made_is_refused(queue: HostileWorld) -> None:
    def drop(folder: Path, request: str) -> None:
        as_text(folder / "response_ffffffff.json")

    outcome = await queue.put("unknown", drop, also=["rejected/response_ffffffff.json"])
    assert (outcome.end, outcome.strays) == (End.REJECTED, [])
    assert "nobody asked for this" in outcome.reason


async def test_hostile_response_to_a_run_that_is_over_is_refused(queue: HostileWorld) -> None:
    over = await queue.crash("over")
    await queue.world.orders.reject(over.id, OPERATOR, "over")

    def drop(folder: Path, request: str) -> None:
        as_text(folder / f"response_{over.request_id}.json")

    outcome = await queue.put("late", drop, also=[f"rejected/response_{over.request_id}.json"])
    assert (outcome.end, outcome.strays) == (End.REJECTED, [])
    assert f"it is too late: run {over.id} is CANCELLED" in outcome.reason


async def test_hostile_response_that_is_played_again_is_only_moved(queue: HostileWorld) -> None:
    first = await queue.crash("first")
    raw = json.dumps({"fix_content": "prose", "fix_strategy": "x"}).encode()
    path = queue.queue / "responses" / f"response_{first.request_id}.json"
    path.write_bytes(raw)
    await queue.world.settle()
    before = queue.world.get(first)
    moved = f"completed/response_{first.request_id}.2.json"
    outcome = await queue.put("again", lambda folder, request: write(path, raw), also=[moved])
    assert (outcome.end, outcome.strays) == (End.OPEN, [])
    assert (queue.queue / moved).is_file()
    assert queue.world.get(first) == before


async def test_hostile_half_of_a_response_is_waited_for_until_it_is_whole(queue: HostileWorld) -> None:
    run = await queue.crash("half-written")
    path = queue.queue / "responses" / f"response_{run.request_id}.json"
    raw = json.dumps(GOOD).encode()
    for end in (0, 1, len(raw) // 2, len(raw) - 1):
        path.write_bytes(raw[:end])
        await queue.world.pass_time(seconds=29)
        assert queue.world.get(run).state is RunState.ANALYZING
    path.write_bytes(raw)
    await queue.world.pass_time(seconds=1)
    assert queue.world.get(run).state is RunState.AWAITING_APPROVAL
    await queue.world.runner.close()


NAMES = ["x.json", "response_.json", "response_a b.json", "response_..json", "response_%2e%2e%2fx.json",
         "response_$(touch pwned).json", "response_-rf.json", "RESPONSE_a;id.JSON", "response_\u202e.json",
         "response_@everyone.json", "response_" + "a" * 200 + ".json", "request_ab12.json"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_hostile_name_of_a_response_is_refused_and_is_a_name_only(queue: HostileWorld, name: str) -> None:
    outcome = await queue.put(name, lambda folder, request: as_text(folder / name),
                              also=[f"rejected/{name}"])  # fmt: skip
    assert (outcome.end, outcome.strays) == (End.REJECTED, [])


Make = Callable[[Path, Path], None]  # in a realm, at the path of the response
KINDS: dict[str, tuple[str, Make]] = {
    "link": ("{}", lambda root, path: path.symlink_to(root / "outside.txt")),
    "link-to-nowhere": ("{}", lambda root, path: path.symlink_to(root / "nowhere")),
    "link-to-a-folder": ("{}", lambda root, path: path.symlink_to(root / "stranger")),
    "folder": ("{}", lambda root, path: path.mkdir()),
    "unfinished": ("{}.part", lambda root, path: as_text(path)),
    "hidden": (".{}", lambda root, path: as_text(path)),
}
if sys.platform != "win32":
    KINDS["pipe"] = ("{}", lambda root, path: os.mkfifo(path))


@pytest.mark.parametrize("kind", KINDS)
async def test_hostile_thing_that_is_no_response_is_left_alone(queue: HostileWorld, kind: str) -> None:
    template, make = KINDS[kind]
    names = []

    def drop(folder: Path, request: str) -> None:
        names.append(template.format(f"response_{request}.json"))
        make(queue.root, folder / names[0])

    outcome = await queue.put(kind, drop)
    assert (outcome.end, outcome.strays) == (End.OPEN, [f"state/queue/responses/{names[0]}"])


# --- what a command with our own rights leaves in our clone ----------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="hooks are scripts of a shell")
async def test_hostile_command_that_writes_into_our_own_clone_is_in_no_fix(tmp_path: Path) -> None:
    """Nothing can keep a program with the bot's rights from writing there; none of it is committed or pushed."""
    world = await HostileWorld(tmp_path, command=True).start()
    script = (
        "clone = root + '/state/source/'\n"
        "open(clone + 'src/game/Evil.cpp', 'w').write('evil'); open(clone + 'src/game/Twin.cpp', 'a').write('evil')\n"
        "subprocess.run(['git', '-C', clone, 'add', '-A'])\n"
        "os.makedirs(clone + '.git/hooks', exist_ok=True)\n"
        "for hook in ('pre-commit', 'post-commit', 'pre-push', 'post-checkout', 'reference-transaction'):\n"
        "    open(clone + '.git/hooks/' + hook, 'w').write(f'#!/bin/sh\\ntouch {root}/pwned')\n"
        "    os.chmod(clone + '.git/hooks/' + hook, 0o755)\n" + RESPOND
    )
    user = snapshot(world.bed.checkout.folder)
    world.write_script("clone", script)
    run = await world.crash("clone")
    await world.world.orders.approve(run.id, OPERATOR)
    await world.world.settle()
    fixed = world.world.get(run)
    assert fixed.commit == world.bed.checkout.remote_head(fixed.branch or "")
    assert world.bed.in_clone("diff", "--name-only", world.bed.base, fixed.commit or "") == MAP
    assert world.bed.in_clone("status", "--porcelain", "--ignored") == ""
    assert not (world.root / "pwned").exists()
    assert snapshot(world.bed.checkout.folder) == user
    await world.world.runner.close()
