"""A change of the rules, played over reports that are stored: what would merge, split or be spelled anew."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.crash.as_json import report_from_plain, report_to_plain
from pipeline.crash.conclude import conclude, sign_again
from pipeline.crash.reading import Cause, Reading, Thread
from pipeline.crash.replay import Comparison, Merge, Renaming, Split, compare
from pipeline.crash.rules import BadRule, Rules, get_rules, read_lists
from pipeline.crash.signatures import NAMELESS, VERSION
from pipeline.model import Assertion, CrashReport, Frame, ReportKind, Signature

STACK = Thread(tuple(map(Frame, ("RaiseException", "Mgr::Notify", "Unit::Die", "Map::Update", "main"))))
SAID = Assertion("/src/Aura.cpp", 168, "Apply", "HasEffect(index)", None)
READINGS = {
    "a stack": Reading(ReportKind.CORE, "access violation", crashed=STACK),
    "a stack that begins at the fault": Reading(
        ReportKind.WHEATY, "access violation", crashed=Thread(STACK.frames, start=2)
    ),
    "an assertion": Reading(ReportKind.GDB, "assertion", assertion=SAID, crashed=STACK),
    "an assertion without a stack": Reading(ReportKind.ASSERTION, "assertion", assertion=SAID),
    "a place that the text names": Reading(ReportKind.ASSERTION, "abort", place=Frame("World::Halt", "W.cpp", 3)),
    "a stack overflow": Reading(
        ReportKind.CORE, "stack overflow", crashed=Thread(tuple(map(Frame, ("A::b", "C::d") * 9)))
    ),
    "a text": Reading(ReportKind.ASSERTION, "uncaught exception", detail="std::runtime_error | no map 5310"),
    "frames without symbols": Reading(
        ReportKind.WHEATY,
        "access violation",
        crashed=Thread((Frame(module="worldserver.exe", offset="6d062a"), Frame(module="game.dll", offset="12"))),
    ),
    "a library alone": Reading(ReportKind.CORE, "abort", crashed=Thread((Frame("memcpy"), Frame("strlen")))),
    "the environment": Reading(ReportKind.ASSERTION, "abort", cause=Cause("port in use", "end it"), crashed=STACK),
    "what nobody can read": Reading(word="unreadable", detail="s0123456789ab"),
}


def lists(folder: Path, **texts: str) -> Rules:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return get_rules(read_lists(folder))


def stored(reading: Reading) -> CrashReport:
    """As the database gives it back."""
    return report_from_plain(json.loads(json.dumps(report_to_plain(conclude(reading)))))


@pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS)
def test_the_same_rules_give_a_stored_report_the_same_signature(reading: Reading) -> None:
    report = stored(reading)
    assert report.signature is not None
    assert sign_again(report, get_rules()) == report


@pytest.mark.parametrize("name", ["a stack", "frames without symbols"])
def test_other_rules_give_a_stored_report_what_they_give_a_new_one(name: str, tmp_path: Path) -> None:
    rules = lists(tmp_path, irrelevant="Mgr::.*\n", modules="worldserver\\.exe")
    before = stored(READINGS[name])
    report = sign_again(before, rules)
    assert report.signature != before.signature
    assert (report.signature, report.crashing_frame) == (
        conclude(READINGS[name], rules).signature,
        conclude(READINGS[name], rules).crashing_frame,
    )


def test_a_crash_of_which_nothing_is_known_is_signed_by_no_rule() -> None:
    unknown = CrashReport(ReportKind.UNKNOWN, signature=Signature("unknown | crash 4", "unknown | crash 4", NAMELESS))
    assert sign_again(unknown, get_rules()) == unknown
    assert sign_again(CrashReport(ReportKind.UNKNOWN), get_rules()) == CrashReport(ReportKind.UNKNOWN)


def test_a_class_that_keys_no_longer_have_is_followed() -> None:
    """Version 1 had a word of its own for a use after free, which nobody sees without a sanitizer."""
    report = conclude(Reading(ReportKind.ASAN, "use after free", crashed=STACK))
    before = Signature("use after free | Mgr::Notify", "use after free | Mgr::Notify | Unit::Die | Map::Update", 1)
    assert sign_again(replace(report, signature=before), get_rules()) == report


def sign(key: str, version: int = VERSION) -> Signature:
    return Signature(key, key, version)


def test_what_merges_splits_and_is_only_spelled_anew_is_told_apart() -> None:
    moves = [("a", "m"), ("b", "m"), ("b", "m"), ("c", "c"), ("c", "d"), ("e", "f"), ("g", "g")]
    found = compare([(sign(before, 0), sign(after)) for before, after in moves])
    assert found == Comparison(
        crashes=7,
        unchanged=2,
        merged=(Merge("m", (("a", 1), ("b", 2))),),
        split=(Split("c", (("c", 1), ("d", 1))),),
        renamed=(Renaming("e", "f", 1),),
    )
    assert not found.is_plain


def test_one_spelling_under_two_versions_is_one_group() -> None:
    found = compare([(sign("a", 1), sign("a", 2)), (sign("a", 2), sign("a", 2))])
    assert found == Comparison(crashes=2, unchanged=2)
    assert found.is_plain
    assert compare([]) == Comparison(crashes=0, unchanged=0)


def test_a_list_that_is_none_of_ours_is_refused_with_the_names_of_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "irelevant.txt").write_text("x", encoding="utf-8")
    with pytest.raises(BadRule, match=r"irelevant\.txt is none of our lists.*sentinel\.txt, irrelevant\.txt"):
        read_lists(tmp_path)


def test_a_rule_that_is_no_regular_expression_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadRule, match=r"prefix\.txt: `Foo::\(` is no regular expression: "):
        lists(tmp_path, prefix="Bar::.*\nFoo::(\n")


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("(?i)Foo::.*", r"prefix\.txt: `\(\?i\)Foo::\.\*` is no regular expression: "),
        (r"(a)\1", r"prefix\.txt: `\(a\)\\1` names a group by its number, which is another one beside other rules$"),
        ("(a)(?(1)b|c)", r"names a group by its number"),
        ("a{99999999999999999999}", r"is no regular expression: "),
        (
            "(?P<x>a)\n(?P<x>b)",
            r"frames: each rule is one, but they do not go together: redefinition of group name 'x'",
        ),
    ],
)
def test_a_rule_that_cannot_stand_beside_others_is_refused(tmp_path: Path, rule: str, fault: str) -> None:
    with pytest.raises(BadRule, match=fault):
        lists(tmp_path / "frames", prefix=f"Bar::.*\n{rule}\n")


def test_backslashes_and_groups_that_are_no_numbers_are_free(tmp_path: Path) -> None:
    rules = lists(tmp_path, prefix="\\\\1\n(?P<x>Foo)::(?P=x)\n")
    assert rules.is_prefix(Frame("Foo::Foo"))


def test_a_list_that_windows_wrote_begins_with_its_first_rule(tmp_path: Path) -> None:
    assert lists(tmp_path, prefix="\ufeffFoo::.*\n").is_prefix(Frame("Foo::Bar"))


def test_a_folder_that_is_not_there_has_no_lists(tmp_path: Path) -> None:
    assert read_lists(tmp_path / "frames") == ()
