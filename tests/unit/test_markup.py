"""What is relayed is text: none of it becomes Discord's markup, and what we mark stays readable."""

from __future__ import annotations

import re

import pytest
from edge_fakes import NOW, THEN
from harmless import HOSTILE

from bot import limits
from bot.markup import block, code, duration, plain, prose, size, title
from pipeline.moments import write_moment


@pytest.mark.parametrize("text", HOSTILE)
def test_no_mark_of_markdown_is_left_without_its_backslash(text: str) -> None:
    assert not re.search(r"[*`]|~~|\|\||__", re.sub(r"\\.", "", plain(text)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("BotAI::~BotAI", "BotAI::~BotAI"),
        ("std::vector<int>::operator[]", "std::vector<int>::operator[]"),
        ("operator*", r"operator\*"),
        ("snake_case_name", "snake_case_name"),
        ("__gnu_cxx::x", r"\_\_gnu_cxx::x"),
        ("@everyone", "@\u200beveryone"),
        ("mail@example.org", "mail@\u200bexample.org"),
        ("1.5 s", "1.5 s"),
        ("# loud", "\u200b# loud"),
        ("see https://x.example", "see https:\u200b//x.example"),
    ],
)
def test_names_of_code_stay_readable_and_nothing_else_gets_through(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_prose_keeps_pairs_of_backticks_as_code_and_escapes_a_lone_one() -> None:
    assert prose("end `port 8085` or ` wait*") == r"end `port 8085` or \` wait\*"


def test_everyone_reads_a_moment_within_a_kept_text_by_his_own_clock() -> None:
    kept = f"3 players online: goes live {write_moment(NOW)} at the latest, `{write_moment(NOW)}`"
    assert prose(kept) == f"3 players online: goes live <t:{THEN}:R> at the latest, `{write_moment(NOW)}`"
    for none in ("<2026-13-01T00:00:00Z>", "<2026-11-22>", "2026-11-22T22:00:00Z"):
        assert prose(f"at {none}") == f"at {none}"


def test_a_code_span_cannot_be_left() -> None:
    assert code("a`b``c\nd") == "`aˋbˋˋc d`"
    assert code("") == "`–`"


def test_a_code_block_cannot_be_closed_from_inside() -> None:
    assert block("a\n```\n@everyone", "diff") == "```diff\na\n`\u200b`\u200b`\n@\u200beveryone\n```"


def test_a_title_gives_way_in_its_middle() -> None:
    name = "WorldSession::" + "HandleSomethingVeryLong" * 4
    shown = title("Fix does not compile: {}", name)
    assert limits.width(shown) == 60 and "…" in shown
    assert shown.startswith("Fix does not compile: WorldSession::") and shown.endswith("VeryLong")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0.1 s"), (0.42, "0.4 s"), (4.2, "4 s"), (59.6, "1 min"), (100, "1 min 40 s"), (7500, "2 h 5 min")],
)
def test_durations_have_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("number", "said"), [(12 << 30, "12.0 GiB"), (3565158, "3.4 MiB"), (17 << 10, "17.0 KiB"), (1, "1 byte")]
)
def test_what_is_small_is_never_told_as_nothing_of_something_large(number: int, said: str) -> None:
    assert size(number) == said
