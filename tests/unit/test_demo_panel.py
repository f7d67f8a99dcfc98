"""The panel beside the demo's channel: what it offers for what is asked, and what its buttons do."""

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bot.demo import acts, bugs
from bot.demo.__main__ import main as demo
from bot.demo.acts import OpenRequest
from bot.demo.bugs import BUGS, FixKind
from bot.demo.panel import FIXES, Hand, describe
from bot.demo.play import instructions
from bot.demo.turn import Turn, give_turn, read_turn, wait
from bot.demo.world import DemoWorld
from bot.sandbox import VisitorError

AURA = bugs.get_bug("aura")
ASKED = OpenRequest("9f3c", AURA, readable=True)
UNREADABLE = OpenRequest("77aa", None, readable=False, signature="unknown | crash 7")

pytestmark = pytest.mark.usefixtures("own_process")


@pytest.fixture
def world(tmp_path: Path) -> DemoWorld:
    """Its folders alone: nothing listens on its ports."""
    made = DemoWorld(tmp_path, tmp_path / "source", tmp_path / "remote.git", tmp_path / "server", tmp_path, 1, 1)
    (made.queue / "requests").mkdir(parents=True)
    return made


def ask(world: DemoWorld, name: str, *stack: str, at: int = 1000) -> None:
    """As the bot asks; `at` in seconds since the epoch."""
    path = world.queue / "requests" / f"request_{name}.json"
    path.write_text(json.dumps({"request_id": name, "crash": {"call_stack": stack}}), encoding="utf-8")
    os.utime(path, (at, at))


def read_answer(world: DemoWorld, name: str) -> Any:
    return json.loads((world.queue / "responses" / f"response_{name}.json").read_text(encoding="utf-8"))


def test_each_bug_can_be_set_off_while_nothing_is_asked() -> None:
    panel = describe([])
    assert panel.text.count(". ") == 2 and panel.text.endswith("."), "three sentences"
    assert [group.title for group in panel.groups] == ["Who answers", "Crash the realm"]
    assert [button.id for button in panel.list_buttons()] == ["turn visitor", *(f"crash {bug.name}" for bug in BUGS)]
    assert (panel.groups[1].items[1].label, panel.groups[1].items[1].detail) == (
        "Use after free",
        "an aura is updated after it ran out",
    )


def test_what_is_asked_comes_first_with_every_prepared_fix() -> None:
    asked, turn, crash = describe([ASKED]).groups
    assert [asked.title, turn.title, crash.title] == ["Answer as the analyst", "Who answers", "Crash the realm"]
    (item,) = asked.items
    assert (item.label, item.detail) == ("Unit::UpdateAuras", "request 9f3c")
    assert [button.id for button in item.buttons] == [f"fix aura {kind} 9f3c" for kind in FIXES]
    assert set(FIXES) == set(FixKind)


def test_what_is_said_of_a_request_tells_whose_turn_it_is() -> None:
    within = "A fix is asked for. The example analyst has one 20 s after it is asked, unless you are faster."
    assert describe([ASKED]).groups[0].note == within
    assert describe([ASKED], turn=Turn.VISITOR).groups[0].note == "A fix is asked for."
    asked = describe([replace(ASKED, abstained=True)]).groups[0]
    assert (asked.note, asked.items[0].detail) == (
        "A fix is asked for.",
        "request 9f3c · the example analyst has no answer",
    )


async def test_the_visitor_takes_the_turn_and_gives_it_back(world: DemoWorld) -> None:
    hand = Hand(world)
    assert read_turn(world.folder) is Turn.EXAMPLE
    assert await hand.press("turn visitor") == "Requests wait for your answer."
    assert read_turn(world.folder) is Turn.VISITOR
    (item,) = describe([], turn=Turn.VISITOR).groups[0].items
    assert (item.label, [button.id for button in item.buttons]) == ("You", ["turn example"])
    assert await hand.press("turn example") == "The example analyst answers from now on."
    assert read_turn(world.folder) is Turn.EXAMPLE


@pytest.mark.parametrize(("visitor", "waited"), [(0, 20), (5, 20), (90, 90)])
def test_the_example_analyst_waits_for_its_turn(tmp_path: Path, visitor: int, waited: int) -> None:
    """The visitor answers himself for so many seconds, then lets it answer."""
    give_turn(tmp_path, Turn.VISITOR)
    time = 0.0

    def sleep(seconds: float) -> None:
        nonlocal time
        time += seconds
        if time >= visitor:
            give_turn(tmp_path, Turn.EXAMPLE)

    wait(tmp_path, lambda: time, sleep)
    assert abs(time - waited) < 1


def test_a_request_of_which_the_example_analyst_knows_nothing_stays_open(world: DemoWorld) -> None:
    ask(world, "9f3c", "Unit::UpdateAuras at src/UnitAuras.cpp:7")
    (world.queue / "completed").mkdir()
    nothing = {"request_id": "9f3c", "fix_content": "No change is proposed."}
    (world.queue / "completed" / "response_9f3c.json").write_text(json.dumps(nothing), encoding="utf-8")
    assert [(each.id, each.abstained) for each in acts.list_requests(world)] == [("9f3c", True)]
    acts.answer(world, AURA, "9f3c", FixKind.GOOD)
    assert acts.list_requests(world) == []


def test_a_crash_without_a_stack_is_taken_for_the_one_that_was_set_off_last(world: DemoWorld) -> None:
    hand = Hand(world)
    assert len(describe([UNREADABLE], hand.recall([UNREADABLE])).groups) == 2
    hand.crashed = AURA
    assert describe([UNREADABLE], hand.recall([UNREADABLE])).groups[0].items[0].label == "Unit::UpdateAuras"
    other = OpenRequest("1", None, readable=True)
    assert len(describe([other], hand.recall([other])).groups) == 2, "a crash that no fix is prepared for"


def test_a_request_that_is_asked_again_is_still_about_the_same_bug(world: DemoWorld) -> None:
    hand = Hand(world)
    hand.crashed = AURA
    hand.recall([UNREADABLE])
    hand.crashed = bugs.get_bug("freeze")
    again = replace(UNREADABLE, id="88bb")
    assert describe([again], hand.recall([again])).groups[0].items[0].label == "Unit::UpdateAuras"


def test_open_requests_are_those_that_nobody_answered_newest_first(world: DemoWorld) -> None:
    ask(world, "old", "Unit::UpdateAuras at src/UnitAuras.cpp:7", "Map::Update at src/Map.cpp:3", at=1000)
    ask(world, "new", "raise", "Map::Update at src/Map.cpp:3", at=2000)
    ask(world, "done", "BIH::subdivide at src/BIH.cpp:1", at=3000)
    ask(world, "worse", f"{bugs.CRASH_AFTER_READY_FUNCTION} at src/E.cpp:1", "Map::Update at src/Map.cpp:3", at=4000)
    acts.answer(world, bugs.get_bug("bih"), "done", FixKind.GOOD)
    found = [(each.id, each.bug and each.bug.name) for each in acts.list_requests(world)]
    assert found == [("worse", None), ("new", "freeze"), ("old", "aura")]
    assert acts.find_request(world, AURA) == "old"
    assert acts.find_request(world, bugs.get_bug("late")) is None
    ask(world, "blind", at=5000)
    assert acts.find_request(world, bugs.get_bug("late")) == "blind"


async def test_a_button_sends_its_fix_once(world: DemoWorld) -> None:
    hand = Hand(world)
    ask(world, "9f3c", "Unit::UpdateAuras at src/UnitAuras.cpp:7")
    said = await hand.press("fix aura no_compile 9f3c")
    assert said == "Sent: does not compile. A semicolon is missing."
    expected = bugs.response(AURA, "9f3c", FixKind.NO_COMPILE)
    assert {**read_answer(world, "9f3c"), "timestamp": 0} == {**expected, "timestamp": 0}
    with pytest.raises(VisitorError, match="answered a moment ago"):
        await hand.press("fix aura good 9f3c")


async def test_a_realm_that_does_not_answer_is_said_in_words(world: DemoWorld) -> None:
    with pytest.raises(VisitorError, match=r"The server starts just now, or it is held: the channel says which\.$"):
        await Hand(world).press("crash aura")


def test_the_page_about_the_sandbox_names_buttons_that_there_are(world: DemoWorld) -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:crash|fix|turn) [^`]+)`", page)) | set(re.findall(r'"button": "([^"]+)"', page))
    asked = OpenRequest("9f3c21aa", bugs.get_bug("freeze"), readable=True)
    there = {button.id for turn in Turn for button in describe([asked], turn=turn).list_buttons()}
    assert len(named) == 4 and named <= there


def test_the_demo_prints_the_exact_line_for_each_bug_and_each_prepared_fix(world: DemoWorld) -> None:
    said = instructions(world, "http://127.0.0.1:1/").splitlines()
    own = f"  {sys.executable} -m bot.demo"
    assert [line.split("#")[0].rstrip() for line in said if line.startswith(f"{own} crash")] == [
        f"{own} crash {bug.name:<10} --world {world.folder}" for bug in BUGS
    ]
    assert [line for line in said if line.startswith(f"{own} fix")] == [
        f"{own} fix {bug.name} {kind.value} --world {world.folder}" for bug in BUGS for kind in FixKind
    ]


def test_what_one_needs_first_is_at_the_end_of_what_the_demo_prints(world: DemoWorld) -> None:
    *_, crash, end = instructions(world, "http://127.0.0.1:1/").split("\n\n")
    assert crash.splitlines()[0] == "Crash it, with these lines in another terminal:"
    assert len(crash.splitlines()) == 1 + len(BUGS)
    assert end == (
        "or on the page: http://127.0.0.1:1/\n"
        "The example analyst answers, and the fix goes live.\n"
        f"Ctrl-C ends the realm, the bot and the keeper, and removes {world.folder}.\n"
        "Killed by force it leaves them; `spirit-healer demo` then clears them away and begins a new realm.\n"
    )


@pytest.mark.parametrize("what", ["status", "summary"])
def test_the_demos_realm_is_asked_from_another_terminal_by_its_folder(
    world: DemoWorld, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.chdir(world.folder)
    for name in ("STATE_DIR", "SERVER_DIR", "REALM_NAME", "DATABASE_URL"):
        monkeypatch.setenv(name, "sqlite:///of-another-realm")
    acts.leave_note(world)
    said = CliRunner().invoke(demo, [what, "--world", str(world.folder)])
    words = f"Nothing to tell: there is no database yet in {world.state_dir}. `spirit-healer run` makes it.\n"
    assert (said.exit_code, said.output) == (0, words)
    line = f"  {sys.executable} -m bot.demo {what:<16} --world {world.folder}"
    assert line in instructions(world, "http://127.0.0.1:1/").splitlines()


def test_the_doctor_is_asked_of_the_demos_realm_by_its_folder(
    world: DemoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world.folder)
    monkeypatch.setenv("SERVER_DIR", "/of/another/realm")
    world = replace(world, state_dir=world.folder / "state")
    world.server_dir.mkdir()
    world.checkout.mkdir()
    acts.leave_note(world)
    said = CliRunner().invoke(demo, ["doctor", "--world", str(world.folder)])
    assert said.exit_code == 0, said.output
    assert f"[  ok  ] SERVER_DIR: {world.server_dir} can be written" in said.output.splitlines()
    assert "another" not in said.output and "DISCORD" not in said.output
    line = f"  {sys.executable} -m bot.demo {'doctor':<16} --world {world.folder}"
    assert line in instructions(world, "http://127.0.0.1:1/").splitlines()


def test_an_answer_that_is_moved_while_one_looks_for_it_is_looked_for_again(world: DemoWorld) -> None:
    """What lies in the folder when it is listed is gone when it is looked at: here a link to nothing."""
    assert acts.find_written(world.queue, "9f3c") is None
    lying = world.queue / "responses" / "response_9f3c.json"
    lying.parent.mkdir()
    lying.symlink_to(world.queue / "moved")
    assert acts.find_written(world.queue, "9f3c") is None
    lying.unlink()
    done = world.queue / "completed" / "response_9f3c.json"
    done.parent.mkdir()
    done.write_text("{}", encoding="utf-8")
    os.utime(done, (1000.0, 1000.0))
    assert acts.find_written(world.queue, "9f3c") == 1000.0
