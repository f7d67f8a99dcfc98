"""When two keys of one family are one crash whose functions were renamed, and when they are not."""

import pytest

from pipeline.crash.as_json import report_from_plain, report_to_plain
from pipeline.crash.conclude import sign_again
from pipeline.crash.renames import is_renamed, list_words, pair_names
from pipeline.crash.rules import get_rules
from pipeline.crash.signatures import VERSION
from pipeline.model import CrashReport, Frame, Rename, ReportKind, Signature

KNOWN = "access violation | Map::Remove | Bot::Logout | World::Tick"


def sign(exact: str, family: str = "access violation | Map::Remove", version: int = VERSION) -> Signature:
    return Signature(family, exact, version)


def pair(known: Signature, new: Signature) -> list[tuple[str, str]]:
    return [(each.before, each.now) for each in pair_names(known, new)]


@pytest.mark.parametrize(
    ("key", "pairs"),
    [
        ("Map::Remove | Bot::Leave | World::Tick", [("Bot::Logout", "Bot::Leave")]),
        ("Map::Remove | Agent::Logout | World::Tick", [("Bot::Logout", "Agent::Logout")]),
        ("Map::Remove | Bot::Leave | World::Beat", [("Bot::Logout", "Bot::Leave"), ("World::Tick", "World::Beat")]),
    ],
)
def test_names_at_the_same_place_are_a_pair(key: str, pairs: list[tuple[str, str]]) -> None:
    assert pair(sign(KNOWN), sign(f"access violation | {key}")) == pairs


@pytest.mark.parametrize(
    "new",
    [
        sign("access violation | Map::Remove | Bot::Leave"),  # one frame less
        sign("access violation | Map::Remove | Bot::Leave | World::Tick", version=VERSION + 1),
        sign("access violation | Map::Remove | Bot::Leave | World::Tick", family="access violation | Map::Add"),
        sign("access violation | Map::Remove | Logout | World::Tick"),  # a free function is no method
        sign("access violation | Map::Remove | worldserver+6d062a | World::Tick"),
        sign("access violation | Map::Remove | Bot::operator() | World::Tick"),
        sign(KNOWN),
    ],
)
def test_what_no_renaming_makes_one_has_no_pairs(new: Signature) -> None:
    assert pair(sign(KNOWN), new) == []


def test_the_words_of_a_class_its_method_and_its_destructor_are_those_that_differ() -> None:
    assert list_words(Rename("Bot::Logout", "Agent::Leave")) == [("Bot", "Agent"), ("Logout", "Leave")]
    assert list_words(Rename("Bot::~Bot", "Agent::~Agent")) == [("Bot", "Agent"), ("Bot", "Agent")]


@pytest.mark.parametrize(
    ("then", "now", "renamed"),
    [
        ({"Logout"}, {"Leave"}, True),
        ({"Logout"}, {"Leave", "Logout"}, False),  # it is still there
        ({"Logout", "Leave"}, {"Leave"}, False),  # it was there before
        (set(), {"Leave"}, False),  # the first is in no source that we have
        ({"Logout"}, set(), False),
    ],
)
def test_a_word_must_be_in_the_source_of_its_own_crash_alone(then: set[str], now: set[str], renamed: bool) -> None:
    assert is_renamed([Rename("Bot::Logout", "Bot::Leave")], then, now) is renamed


def test_nothing_is_renamed_where_nothing_differs() -> None:
    assert is_renamed([], set(), set()) is False


def test_a_report_that_is_a_known_crash_keeps_its_key_when_it_is_signed_again_and_stored() -> None:
    frames = tuple(Frame(name, "src/Bot.cpp", 7) for name in ("Map::Remove", "Bot::Leave", "World::Tick"))
    report = CrashReport(
        ReportKind.CORE, "access violation", frames=frames, signature=sign(KNOWN),
        renames=(Rename("Bot::Logout", "Bot::Leave"),),
    )  # fmt: skip
    again = sign_again(report_from_plain(report_to_plain(report)), get_rules())
    assert (again.signature, again.frames, again.renames) == (sign(KNOWN), frames, report.renames)
