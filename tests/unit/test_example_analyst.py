"""The example analyst: request and source in, a diff out, by rules over code text; or words that say why not."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import realm_stacks

from bot.demo.analyst.answer import answer
from bot.demo.analyst.case import Case
from bot.demo.analyst.code import File
from bot.demo.analyst.request import read_request
from bot.demo.analyst.tree import SourceTree
from bot.demo.bugs import BUGS, REALM
from pipeline.adapters.responses import parse_response

EVERY_BUG = pytest.mark.parametrize("name", [bug.name for bug in BUGS])

# What is taken away and what is put there, of each planted bug.
MENDS = {
    "dispatcher": ["+    _questManager.reset();"],
    "aura": ["+        {", "+            continue;", "+        }"],
    "assert": [
        "-        if (effectsToApply & (1 << i))",
        "+        if ((effectsToApply & (1 << i)) && !HasEffect(i))",
    ],
    "bih": ["-    rightNode.hi[axis] = leftClip;", "+    rightNode.lo[axis] = rightClip;"],
    "freeze": ["+        {", "+            ++itr;", "+        }"],
    "recursion": [
        "-TC_NOINLINE std::string DescribeFollowChain(Player const* bot)",
        "+TC_NOINLINE std::string DescribeFollowChain(Player const* bot, int depth)",
        "-    if (!leader)",
        "+    if (!leader || depth >= 32)",
        '-    return bot->GetName() + " > " + DescribeFollowChain(leader);',
        '+    return bot->GetName() + " > " + DescribeFollowChain(leader, depth + 1);',
        "-std::string DescribeFollowChain(Player const* bot);",
        "+std::string DescribeFollowChain(Player const* bot, int depth = 0);",
    ],
    "doublefree": ["+    _items = nullptr;"],
    "late": ["-    bot->SetOnline(true);", "+    if (bot)", "+        bot->SetOnline(true);"],
}
SUMMARIES = {
    "dispatcher": "EventDispatcher was gone before QuestManager, which needs it until its own end.",
    "aura": "aura was used after it had been deleted.",
    "assert": "AuraApplication::_HandleEffect was called where its own assertion does not hold.",
    "bih": "BIH::subdivide gave one half what belongs to the other.",
    "freeze": "The loop of Map::Update went round without a step.",
    "recursion": "DescribeFollowChain called itself without end.",
    "doublefree": "Loot::Clear kept a pointer to what it had deleted.",
    "late": "What PlayerbotMgr::FindBot had not found was used.",
}


def analyse(request: dict[str, Any], root: Path) -> dict[str, Any]:
    return dict(answer(Case(read_request(request), SourceTree(root))))


def list_changes(given: dict[str, Any]) -> list[str]:
    """The lines of its diff that go and that come."""
    return [line for line in str(given["patch"]).splitlines() if re.match(r"[+-](?![+-])", line)]


def apply(given: dict[str, Any], root: Path) -> None:
    """As git applies it, to the letter."""
    subprocess.run(
        ["git", "apply", "-"], cwd=root, input=str(given["patch"]).encode("utf-8", "surrogateescape"),
        check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A realm of the test's own."""
    return Path(shutil.copytree(REALM, tmp_path / "realm", ignore=shutil.ignore_patterns("build*")))


# --- the planted bugs ------------------------------------------------------------------------------------------------


@EVERY_BUG
def test_a_planted_bug_is_found_and_mended_by_a_rule(name: str) -> None:
    given = analyse(realm_stacks.ask(name, REALM), REALM)
    assert list_changes(given) == MENDS[name]
    assert given["crash_analysis"]["root_cause"]["summary"] == SUMMARIES[name]
    response = parse_response(json.dumps(given).encode(), "response_9f3c.json")
    assert response.patch is not None and response.analysis.summary == SUMMARIES[name]


def test_all_mends_stand_side_by_side_and_nothing_is_found_twice(root: Path) -> None:
    requests = {bug.name: realm_stacks.ask(bug.name, root) for bug in BUGS}
    for request in requests.values():
        apply(analyse(request, root), root)
    died_again = {name: realm_stacks.ask(name, root) for name in requests if name != "recursion"}  # its call is gone
    again = {name: analyse(request, root) for name, request in {**requests, **died_again}.items()}
    assert [name for name, given in again.items() if "patch" in given] == []


def test_the_bugs_are_known_by_their_code_and_not_by_their_names(tmp_path: Path) -> None:
    """The same realm with every word of its bugs exchanged, in other folders."""
    words = {
        "UpdateAuras": "TickEffects", "RemoveAura": "DropEffect", "aura": "effect", "FindBot": "SeekBot",
        "DeferredLogin": "LateArrival", "Loot": "Bounty", "_items": "_things", "DescribeFollowChain": "SpellOutTrain",
        "leader": "head", "BIH": "Halver", "rightNode": "rightPart", "leftNode": "leftPart", "itr": "at", "Map": "Land",
        "AuraApplication": "Outcome", "_HandleEffect": "_Switch", "HasEffect": "IsOn", "EventDispatcher": "Post",
        "QuestManager": "Errands", "GameSystemsManager": "Household", "_questManager": "_errands",
    }  # fmt: skip
    pattern = re.compile(rf"(?<![A-Za-z0-9])(~?)({'|'.join(words)})(?![A-Za-z0-9])")

    def rename(text: str) -> str:
        return pattern.sub(lambda found: found[1] + words[found[2]], text)

    requests = {bug.name: json.loads(rename(json.dumps(realm_stacks.ask(bug.name, REALM)))) for bug in BUGS}
    for path in (each for each in REALM.glob("src/**/*") if each.suffix in (".cpp", ".h")):
        write(tmp_path, rename(path.read_text(encoding="utf-8")), rename(path.relative_to(REALM).as_posix()))
    found = {name: list_changes(analyse(request, tmp_path)) for name, request in requests.items()}
    assert found == {name: [rename(line) for line in lines] for name, lines in MENDS.items()}


def test_it_runs_as_a_program_of_its_own_that_knows_two_files_and_a_folder(tmp_path: Path) -> None:
    request, response = tmp_path / "request.json", tmp_path / "response.json"
    request.write_text(json.dumps(realm_stacks.ask("aura", REALM)), encoding="utf-8")
    argv = [sys.executable, "-m", "bot.demo.analyst", str(request), str(response), str(REALM)]
    subprocess.run(argv, check=True, cwd=Path(__file__).parents[2], timeout=30)
    assert list_changes(json.loads(response.read_text(encoding="utf-8"))) == MENDS["aura"]
    assert subprocess.run(argv[:4], check=False, capture_output=True, cwd=Path(__file__).parents[2]).returncode == 2


# --- each rule, on other code ----------------------------------------------------------------------------------------


def write(root: Path, code: str, file: str = "src/Thing.cpp") -> None:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code, encoding="utf-8", newline="")


def ask(category: str, *frames: str, said: str = "SIGSEGV") -> dict[str, Any]:
    """About a crash in src/Thing.cpp; each frame is a function and its line."""
    return realm_stacks.compose(category, [each.replace(" ", " at src/Thing.cpp:") for each in frames], said)


LOOKUP = """Item* Bag::Find(int id)
{
    return id ? _first : nullptr;
}
"""
ONE_USE = """void Bag::Use()
{
    Item* item = Find(3);
    item->Use();
}
"""
MORE_USES = """void Bag::Use()
{
    Item* item = Find(3);
    item->Use();
    item->Break();
}
"""
IN_A_LOOP = """int Bag::Use()
{
    int sum = 0;
    for (int id : _ids)
    {
        auto* item = Find(id);
        sum += item->Price();
    }
    return sum;
}
"""
WITH_ELSE = """void Bag::Use()
{
    Item* item = Find(3);
    if (_open)
        item->Use();
    else
        Open();
}
"""


def look_up(root: Path, code: str) -> dict[str, Any]:
    """A crash where the item that was looked up is used first."""
    write(root, LOOKUP + code)
    line = next(i for i, text in enumerate((LOOKUP + code).splitlines(), 1) if "item->" in text)
    return analyse(ask("ACCESS_VIOLATION", f"Bag::Use {line}"), root)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        (ONE_USE, ["-    item->Use();", "+    if (item)", "+        item->Use();"]),
        (MORE_USES, ["+    if (!item)", "+        return;"]),
        (IN_A_LOOP, ["+        if (!item)", "+            continue;"]),
        (WITH_ELSE, ["+    if (!item)", "+        return;"]),
    ],
    ids=["one_use", "more_uses", "in_a_loop", "with_else"],
)
def test_what_a_lookup_may_not_find_is_looked_at(tmp_path: Path, code: str, changes: list[str]) -> None:
    assert list_changes(look_up(tmp_path, code)) == changes


@pytest.mark.parametrize(
    "code",
    [
        ONE_USE.replace("    item->", "    if (!item)\n        return;\n    item->"),
        ONE_USE.replace("    item->", "    ASSERT(item);\n    item->"),
        ONE_USE.replace("Use()\n", "Use(Item* item)\n").replace("    Item* item = Find(3);\n", ""),
        ONE_USE.replace("    Item*", "    // Item*"),
        ONE_USE.replace("void", "int").replace("item->Use();", "return item->Price();"),
    ],
    ids=["checked", "asserted", "given", "commented", "must_return"],
)
def test_where_a_rule_does_not_fit_nothing_is_changed(tmp_path: Path, code: str) -> None:
    assert "patch" not in look_up(tmp_path, code)


def test_what_is_deleted_under_a_condition_ends_its_way_with_tabs_and_carriage_returns_kept(tmp_path: Path) -> None:
    code = "void Bag::Tick(Item* item)\r\n{\r\n\tif (item->Old())\r\n\t\tdelete item;\r\n\titem->Tick();\r\n}\r\n"
    write(tmp_path, code)
    apply(analyse(ask("USE_AFTER_FREE", "Bag::Tick 5"), tmp_path), tmp_path)
    mended = code.replace("\t\tdelete item;", "\t{\r\n\t\tdelete item;\r\n\t\treturn;\r\n\t}")
    assert (tmp_path / "src/Thing.cpp").read_bytes() == mended.encode()


CAR = """class Car
{
    std::unique_ptr<Driver> _driver;
    std::unique_ptr<Radio> _radio;
};
Car::~Car()
{
}
Driver::~Driver()
{
    _car->GetRadio()->Off();
}
void Radio::Off()
{
    _on = 0;
}
"""


def test_members_that_their_declaration_ends_in_the_wrong_order_are_ended_in_the_right_one(tmp_path: Path) -> None:
    write(tmp_path, CAR)
    crashed = ask("ACCESS_VIOLATION", "Radio::Off 15", "Driver::~Driver 11", "Car::~Car 8")
    assert list_changes(analyse(crashed, tmp_path)) == ["+    _driver.reset();"]
    write(tmp_path, CAR.replace("Driver> _driver", "X> _x").replace("Radio> _radio", "Driver> _driver"))
    assert "patch" not in analyse(crashed, tmp_path), "a radio that is not the car's is none of its business"


NODE = """int Node::Depth() const
{
    if (!_parent || _root)
    {
        return 0;
    }
    return 1 + Depth();
}
"""


def test_a_method_is_bounded_with_its_declaration(tmp_path: Path) -> None:
    write(tmp_path, "class Node\n{\n    int Depth() const;\n};\n", "src/Thing.h")
    write(tmp_path, NODE)
    assert list_changes(analyse(ask("STACK_OVERFLOW", "Node::Depth 7", "Node::Depth 7"), tmp_path)) == [
        "-int Node::Depth() const",
        "+int Node::Depth(int depth) const",
        "-    if (!_parent || _root)",
        "+    if (!_parent || _root || depth >= 32)",
        "-    return 1 + Depth();",
        "+    return 1 + Depth(depth + 1);",
        "-    int Depth() const;",
        "+    int Depth(int depth = 0) const;",
    ]


PUT = """void Bag::Put(int slot, Item* item)
{
    TC_ASSERT(slot < Size() && item);
    _slots[slot] = item;
}
void Bag::Add(Item* thing)
{
    Put(_next, thing);
}
"""


def test_a_precondition_is_kept_with_the_arguments_of_the_call(tmp_path: Path) -> None:
    write(tmp_path, PUT)
    crashed = ask("ASSERTION", "Bag::Put 3", "Bag::Add 8", said="ASSERTION FAILED: slot < Size() && item")
    assert list_changes(analyse(crashed, tmp_path)) == [
        "-    Put(_next, thing);",
        "+    if (_next < Size() && thing)",
        "+        Put(_next, thing);",
    ]


# --- what it is given ------------------------------------------------------------------------------------------------


def test_without_a_stack_it_abstains_and_says_so() -> None:
    given = analyse(realm_stacks.compose("ACCESS_VIOLATION", []), REALM)
    assert given == {
        "request_id": "9f3c",
        "crash_analysis": {
            "category": "ACCESS_VIOLATION",
            "root_cause": {
                "summary": "The example analyst proposes no change: the stack names no line of this source."
            },
        },
        "confidence": "none",
        "fix_content": "No change is proposed: the stack names no line of this source. "
        "A person, or an analyst that understands code, has to look.",
    }
    response = parse_response(json.dumps(given).encode(), "response_9f3c.json")
    assert (response.patch, response.shape) == (None, "C")


def test_where_no_rule_fits_it_names_what_it_looked_at() -> None:
    stack = [realm_stacks.spell(each, REALM) for each in realm_stacks.UPDATED]
    given = analyse(realm_stacks.compose("DIVIDE_BY_ZERO", stack), REALM)
    assert given["fix_content"].startswith(
        "No change is proposed: none of 8 rules fits `PlantedBugs::Update`, `World::Update`."
    )


@pytest.mark.parametrize(
    "place", ["/etc/passwd:1", "../outside.cpp:1", "src/link.cpp:1", "src/folder.cpp:1", "src/Thing.cpp:99"]
)
def test_only_source_of_the_scratch_clone_is_read(tmp_path: Path, place: str) -> None:
    root = tmp_path / "clone"
    write(root, "void Bag::Use()\n{\n}\n")
    (tmp_path / "outside.cpp").write_text("void Bag::Use()\n{\n}\n")
    (root / "src" / "folder.cpp").mkdir()
    if sys.platform != "win32":
        (root / "src" / "link.cpp").symlink_to(tmp_path / "outside.cpp")
    given = analyse(realm_stacks.compose("FREEZE", [f"Bag::Use at {place}"]), root)
    assert "the stack names no line of this source" in given["fix_content"]


def test_comments_strings_and_macros_are_no_code() -> None:
    text = "// a }\n#define X \\\n  }\nint f() { return \"}\"[0] + '}' + 1'000; /* } */ }\n"
    file = File("x.cpp", text)
    assert len(file.code) == len(text) and "}" not in file.code[: text.index("/*")]
    assert [(each.title, each.body.end) for each in file.functions] == [("f", len(text) - 2)]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_source_has_become_it_answers(tmp_path: Path, seed: int) -> None:
    """Cut and scrambled source: an answer in any case, and a diff that applies where there is one."""
    chance = random.Random(seed)
    for bug in BUGS:
        request = realm_stacks.ask(bug.name, REALM)
        root = tmp_path / bug.name
        for frame in read_request(request).frames:
            path = REALM / frame.file
            if path.is_file() and not (root / frame.file).exists():
                text = path.read_text(encoding="utf-8")
                at, length = chance.randrange(len(text)), chance.choice((1, 3, 20))
                write(root, text[:at] + chance.choice(("", "{", ")", ";", '"')) + text[at + length :], frame.file)
        given = json.loads(json.dumps(analyse(request, root)))
        if "patch" in given:
            apply(given, root)
