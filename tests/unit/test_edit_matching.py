"""An edit is applied to exactly one place, or to none."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.adapters.edit_matching import Nowhere, Place, Places, locate, strip_arrows

TEXT = "void A()\n{\n    Do();   \n}\n\nvoid B()\n{\n    Do(1);\n    End();\n}\n"
lines = st.lists(st.text("abc{} \t", max_size=6), min_size=1, max_size=12).map("\n".join)


def applied(text: str, search: str, replace: str) -> str:
    place = locate(text, search, replace)
    assert isinstance(place, Place), place
    return text[: place.start] + place.text + text[place.end :]


def test_an_exact_text_is_replaced() -> None:
    assert applied(TEXT, "Do(1);", "Do(2);") == TEXT.replace("Do(1);", "Do(2);")


def test_spaces_at_line_ends_do_not_matter() -> None:
    assert applied(TEXT, "{\n    Do();\n}\n", "{\n}\n") == TEXT.replace("{\n    Do();   \n}\n", "{\n}\n")


def test_empty_lines_around_a_search_do_not_matter() -> None:
    assert applied(TEXT, "\n\n    End();  \n\n", "\n\n    Stop();\n\n") == TEXT.replace("End", "Stop")


@pytest.mark.parametrize("arrow", ["// ← CRASH HERE", "// <- here", "// <-- here", "//→ this", "// -> this", "← BOOM"])
def test_arrow_comments_that_are_not_in_the_source_are_ignored(arrow: str) -> None:
    assert applied(TEXT, f"    Do(1); {arrow}\n    End();\n", f"    Do(2);\n    End(); {arrow}\n").startswith(
        TEXT.split("    Do(1)")[0] + "    Do(2);\n    End();"
    )


def test_an_arrow_that_is_in_the_source_is_found_as_it_is() -> None:
    assert applied("a(); // <- keep\nb();\n", "a(); // <- keep", "c(); // <- keep") == "c(); // <- keep\nb();\n"


def test_an_unchanged_line_loses_its_arrow_in_the_replacement_too() -> None:
    assert applied("a();\nb();\n", "a(); // ← CRASH\nb();", "a(); // ← CRASH\nc();") == "a();\nc();\n"


def test_a_deletion_takes_the_whole_lines() -> None:
    assert applied("a\nb \nc\n", "b\n", "") == "a\nc\n"


def test_what_stands_twice_is_named_by_its_lines_and_not_touched() -> None:
    assert locate("x;\ny;\nx;\n", "x;", "z;") == Places((1, 3))


def test_overlapping_occurrences_are_more_than_one() -> None:
    assert locate("aaa", "aa", "b") == Places((1, 1))


def test_what_stands_exactly_once_wins_over_what_resembles_it() -> None:
    assert applied("x  \ny\nx\ny\n", "x\ny\n", "z\n") == "x  \ny\nz\n"


def test_an_exact_text_that_is_ambiguous_is_not_decided_by_a_looser_reading() -> None:
    assert locate("a;\na;\n", "a; // ← here", "b;") == Places((1, 2))


def test_a_missing_text_names_the_nearest_place() -> None:
    assert locate(TEXT, "void B()\n{\n    Do(7);\n    End();\n}", "") == Nowhere(6, 2)


def test_a_text_like_nothing_names_no_place() -> None:
    assert locate(TEXT, "something else entirely", "") == Nowhere(None)


def test_an_empty_search_is_nowhere() -> None:
    assert locate("", "", "x") == Nowhere(None)
    assert locate(TEXT, "\n \n", "x") == Nowhere(None)


@given(lines, lines, lines, lines)
def test_a_single_place_is_replaced_and_all_else_stays(head: str, search: str, tail: str, replace: str) -> None:
    text = f"{head}\nBEGIN{search}END\n{tail}"
    assert applied(text, f"BEGIN{search}END", replace) == f"{head}\n{replace}\n{tail}"


@given(lines.filter(str.strip), lines, lines, st.booleans())
def test_whatever_is_found_equals_the_search_but_for_spaces_at_line_ends(
    search: str, head: str, tail: str, loose: bool
) -> None:
    text = f"{head}\n" + (search.replace("\n", " \n") if loose else search) + f"\n{tail}"
    place = locate(text, search, "x")
    assert not isinstance(place, Nowhere)
    if isinstance(place, Place):
        found = [line.rstrip() for line in text[place.start : place.end].split("\n")]
        sought = [line.rstrip() for line in search.split("\n")]
        assert "\n".join(found).strip("\n") == "\n".join(sought).strip("\n") or search in text


@given(lines, lines)
def test_a_text_that_stands_at_two_places_is_never_applied(middle: str, search: str) -> None:
    assume(search.strip())
    assert not isinstance(locate(f"{search}\n{middle}\n{search}", search, "x"), Place)


@given(st.text("ab/ ;", max_size=20))
def test_text_without_arrows_keeps_every_character(text: str) -> None:
    assert strip_arrows(text) == text
