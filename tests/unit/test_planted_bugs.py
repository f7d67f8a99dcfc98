"""The data of the demonstration's bugs fits the sample realm that is shipped."""

import json
from pathlib import PurePosixPath

import pytest

from bot.demo import bugs
from bot.demo.bugs import BUGS, REALM, FixKind, PlantedBug

every_bug = pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)


@every_bug
@pytest.mark.parametrize("kind", [kind for kind in FixKind if kind is not FixKind.OUTSIDE])
def test_each_edit_of_a_prepared_fix_matches_exactly_one_place_below_src(bug: PlantedBug, kind: FixKind) -> None:
    for edit in bugs.list_edits(bug, kind):
        assert PurePosixPath(edit.path).parts[0] == "src" and ".." not in edit.path
        assert (REALM / edit.path).read_text(encoding="utf-8").count(edit.search) == 1
        assert edit.search != edit.replace


@every_bug
def test_a_response_names_the_place_of_the_crash_and_its_root_cause(bug: PlantedBug) -> None:
    answer = json.loads(json.dumps(bugs.response(bug, "17")))

    assert answer["request_id"] == "17"
    assert answer["edits"] == [
        {"path": bug.fix.path, "search": bug.fix.search, "replace": bug.fix.replace},
    ]
    location = answer["crash_analysis"]["crash_location"]
    line = (REALM / location["file"]).read_text(encoding="utf-8").splitlines()[location["line"] - 1]
    assert f"{location['function']}(" in line
    assert answer["crash_analysis"]["root_cause"] == {"summary": bug.summary, "technical_details": bug.details}


def test_no_two_good_fixes_meet_in_one_file() -> None:
    assert len({bug.file for bug in BUGS}) == len(BUGS) == 8


def test_a_fix_that_leaves_the_repository_is_prepared_too() -> None:
    answer = bugs.response(bugs.get_bug("aura"), "17", FixKind.OUTSIDE)
    assert "edits" not in answer, "with nothing to search for it would be refused for that, not for its path"
    assert answer["fix"] == {"files_modified": [{"path": "../outside.txt", "new_code": "written by a response\n"}]}


def test_a_bug_is_known_by_the_innermost_of_its_own_frames() -> None:
    frames = ["raise", "Loot::~Loot()", "Map::Update(unsigned int)"]
    assert bugs.find_bug_of(frames) == bugs.get_bug("doublefree")
    assert bugs.find_bug_of(["DescribeFollowChain[abi:cxx11](Player const*)"]) == bugs.get_bug("recursion")
    assert bugs.find_bug_of(["main"]) is None


def test_an_unknown_bug_is_an_error() -> None:
    with pytest.raises(KeyError):
        bugs.get_bug("none")
