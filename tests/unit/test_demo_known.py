"""The demo's panel knows from the bot what takes another answer and what is fixed."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from world import World

from bot.demo import acts, bugs, panel
from bot.demo.__main__ import main as demo
from bot.demo.acts import OpenRequest
from bot.demo.bugs import FixKind
from bot.demo.known import Known
from bot.demo.panel import Hand
from bot.demo.world import DemoWorld
from pipeline.model import Actor, Patch, Run, RunState, WholeFile

AURA = bugs.get_bug("aura")
GOOD = Patch(files=(WholeFile("src/Unit.cpp", "an aura that ran out is not updated"),))

pytestmark = pytest.mark.usefixtures("own_process")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await World(tmp_path).start()
    yield world
    world.engine.dispose()


@pytest.fixture
def realm(tmp_path: Path) -> DemoWorld:
    folder = tmp_path / "demo"
    made = DemoWorld(folder, folder / "source", folder / "remote.git", folder / "server", folder, 1, 1)
    for name in ("requests", "completed"):
        (made.queue / name).mkdir(parents=True)
    return made


async def crash_of_aura(world: World, realm: DemoWorld) -> Run:
    """Asked in the queue of the demo's folder, too."""
    run = world.get(await world.crash(AURA.function))
    crash = {"call_stack": [f"{AURA.function} at src/UnitAuras.cpp:7"]}
    path = realm.queue / "requests" / f"request_{run.request_id}.json"
    path.write_text(json.dumps({"request_id": run.request_id, "crash": crash}), encoding="utf-8")
    return run


def answer(realm: DemoWorld, run: Run, kind: FixKind) -> None:
    """As the bot files an answer away once it took it."""
    acts.answer(realm, AURA, run.request_id or "", kind)
    name = f"response_{run.request_id}.json"
    (realm.queue / "responses" / name).replace(realm.queue / "completed" / name)


async def test_a_request_whose_answer_waits_for_a_person_takes_another_one(world: World, realm: DemoWorld) -> None:
    run = await crash_of_aura(world, realm)
    hand = Hand(realm, Known(world.tools.store, world.tools.keeper))
    answer(realm, run, FixKind.OUTSIDE)
    assert hand.list_requests() == [], "it was answered, and what came of it is not known yet"
    await world.answer(run, None, prose="it is refused")
    world.expect(run, RunState.PROPOSED)
    assert hand.list_requests() == [OpenRequest(run.request_id or "", AURA, readable=True)]
    assert (
        await hand.press(f"fix aura good {run.request_id}") == "Sent: good fix. The bug no longer crashes the server."
    )
    assert hand.list_requests() == []


async def test_a_bug_that_is_fixed_is_said_to_be_where_the_server_lives_on(
    world: World, realm: DemoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panel, "WATCH", 0)
    monkeypatch.setattr(acts, "crash", lambda *_: "Bug 'aura' is set off.")
    hand = Hand(realm, Known(world.tools.store, world.tools.keeper))
    set_off = f"Set off: {AURA.title}."
    run = await crash_of_aura(world, realm)
    assert await hand.press("crash aura") == set_off
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    commit = world.expect(run, RunState.SUCCEEDED).commit or ""
    assert await hand.press("crash aura") == f"{set_off} The server lives on: it is fixed in {commit[:12]}."
    assert await hand.press("crash freeze") == f"Set off: {bugs.get_bug('freeze').title}."
    monkeypatch.setattr(acts, "crash", lambda *_: world.keeper.crash(AURA.function))
    assert await hand.press("crash aura") == set_off, "it died all the same"


def type_fix(world: World, realm: DemoWorld, kind: FixKind = FixKind.GOOD) -> str:
    """In another terminal, with the database as it is now."""
    world.engine.dispose()
    shutil.copy(world.folder / "world.sqlite", realm.state_dir / "spirit-healer.sqlite")
    said = CliRunner().invoke(demo, ["fix", AURA.name, kind.value, "--world", str(realm.folder)])
    assert said.exit_code == (1 if "Nothing is asked" in said.output else 0), said.output
    return said.output


async def test_a_fix_that_is_typed_goes_where_it_is_taken_or_it_is_said_why_not(
    world: World, realm: DemoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(realm.folder)
    acts.leave_note(realm)
    first = "crash the realm with it first; a crash is asked about once it is read."
    assert type_fix(world, realm) == f"Nothing is asked about aura: {first}\n"
    run = await crash_of_aura(world, realm)
    answer(realm, run, FixKind.OUTSIDE)
    assert (
        type_fix(world, realm)
        == f"Nothing is asked about aura: run {run.id} is with the analyst, and takes no answer now.\n"
    )
    await world.answer(run, None, prose="it is refused")
    assert type_fix(world, realm) == f"Answered request {run.request_id} with the fix `good`.\n"
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    commit = world.expect(run, RunState.SUCCEEDED).commit or ""
    assert type_fix(world, realm) == f"Nothing is asked about aura: it is fixed in {commit[:12]}, which is live.\n"


async def test_a_run_that_was_given_up_is_said_with_what_asks_again(
    world: World, realm: DemoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(realm.folder)
    acts.leave_note(realm)
    run = await crash_of_aura(world, realm)
    answer(realm, run, FixKind.OUTSIDE)
    await world.orders.cancel_run(run.id, Actor("1", "Ann"))
    again = f"Crash the realm with it again, or `/retry {run.id}` on the page."
    assert type_fix(world, realm) == f"Nothing is asked about aura: run {run.id} is taken back. {again}\n"
