"""Whatever is to be said, Discord takes it: cut in the middle, whole beside it, nothing split that belongs together."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import limits
from bot.limits import cut_bytes, cut_middle, cut_text, embed_width, fit, open_fence, width
from bot.markup import block, code
from bot.payloads import Attachment, Button, Embed, Field, Message

TEXT = st.text(st.one_of(st.sampled_from("`\n\\*ab 😀\ud800"), st.characters(codec=None)), max_size=3000)
LONG = st.builds(lambda text, times: (text * times)[:20_000], TEXT, st.integers(1, 1500))
NAMES = st.text(st.characters(codec=None), max_size=400)
EMBEDS = st.builds(
    Embed, NAMES, LONG, fields=st.lists(st.builds(Field, NAMES, TEXT), max_size=30).map(tuple), footer=NAMES
)


@settings(deadline=None)  # a busy machine is no fault
@given(LONG, st.integers(1, 4096))
def test_a_cut_line_is_within_its_limit_and_can_be_sent(text: str, limit: int) -> None:
    cut = cut_middle(text, limit)
    assert width(cut) <= limit
    cut.encode("utf-8")


@settings(deadline=None)  # a busy machine is no fault
@given(LONG, st.integers(1, 4096))
def test_a_cut_text_is_within_its_limit_and_can_be_sent(text: str, limit: int) -> None:
    cut = cut_text(text, limit)
    assert width(cut) <= limit
    cut.encode("utf-8")


@settings(deadline=None)  # a busy machine is no fault
@given(st.text(max_size=200))
def test_what_is_short_enough_stays_as_it_is(text: str) -> None:
    assert cut_text(text, 200 * 2) == cut_middle(text, 200 * 2) == text


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.text(st.sampled_from("ab `\n\\*"), max_size=400), min_size=1, max_size=30), st.integers(200, 4096))
def test_a_cut_never_splits_a_code_block(parts: list[str], limit: int) -> None:
    text = "\n".join(block(part * 50, "diff") if number % 2 else code(part) for number, part in enumerate(parts))
    assert open_fence(text) is None
    assert open_fence(cut_text(text, limit)) is None


def test_a_cut_keeps_the_beginning_and_the_end_and_says_how_much_is_gone() -> None:
    text = "first line\n" + "x" * 5000 + "\nlast line"
    cut = cut_text(text, 1000)
    assert cut.startswith("first line\n") and cut.endswith("\nlast line")
    assert " characters left out …" in cut


def test_a_code_block_that_is_cut_is_closed_and_opened_again_in_its_language() -> None:
    cut = cut_text(block("\n".join(f"+line {number}" for number in range(400)), "diff"), 600)
    head, tail = cut.split("\n… ")
    assert head.startswith("```diff\n+line 0\n") and head.endswith("\n```")
    assert "left out …\n```diff\n+line" in tail and tail.endswith("+line 399\n```")


def test_half_a_surrogate_pair_is_replaced_and_a_pair_is_never_halved() -> None:
    assert cut_middle("a\ud83d", 10) == "a\ufffd"
    assert cut_middle("😀" * 50, 11) == "😀😀…😀😀"


@settings(deadline=None)  # a busy machine is no fault
@given(EMBEDS)
def test_every_embed_fits(embed: Embed) -> None:
    fitted = limits.fit_embed(embed)
    assert embed_width(fitted) <= limits.EMBED_TOTAL
    assert width(fitted.title) <= limits.TITLE and width(fitted.description) <= limits.DESCRIPTION
    assert width(fitted.footer) <= limits.FOOTER and len(fitted.fields) <= limits.FIELDS
    for each in fitted.fields:
        assert 0 < width(each.name) <= limits.FIELD_NAME and 0 < width(each.value) <= limits.FIELD_VALUE


@settings(deadline=None)  # a busy machine is no fault
@given(LONG)
def test_the_id_at_the_end_of_a_footer_survives_every_cut(text: str) -> None:
    assert limits.fit_embed(Embed(footer=f"{text} · #p34")).footer.endswith("#p34")


def test_six_thousand_characters_are_kept_to_by_the_description_first() -> None:
    fields = tuple(Field("n" * 100, "v" * 1000) for _ in range(4))
    fitted = limits.fit_embed(Embed("t" * 100, "d" * 4000, fields=fields, footer="f" * 100))
    assert embed_width(fitted) <= 6000
    assert fitted.fields == fields


def test_fault_b8_a_text_over_the_limit_is_sent_cut_with_the_whole_beside_it() -> None:
    error = "\n".join(f"Map.cpp:{line}: error: no member named 'x'" for line in range(400))
    message = fit(Message(embed=Embed("Build failed", block(error))))
    assert message.embed is not None
    assert width(message.embed.description) <= limits.DESCRIPTION
    assert message.embed.description.startswith("```\nMap.cpp:0:")
    assert message.embed.description.endswith("Map.cpp:399: error: no member named 'x'\n```")
    (whole,) = message.files
    assert whole.name == "full-text.txt" and whole.text is not None
    assert error in whole.text


def test_a_message_that_fits_is_left_alone() -> None:
    message = Message("text", Embed("title", "text", fields=(Field("a", "b"),)), (Button("Go", "go:1"),))
    assert fit(message) == message


def test_empty_fields_and_labels_get_a_sign() -> None:
    message = fit(Message("x", Embed("t", fields=(Field("", " "),)), (Button("", "go:1"),)))
    assert message.embed is not None
    assert message.embed.fields == (Field("–", "–"),)
    assert message.buttons[0].label == "–"


def test_a_custom_id_is_never_cut_because_it_would_order_something_else() -> None:
    with pytest.raises(ValueError, match="custom_id"):
        fit(Message("x", buttons=(Button("Go", "x" * 101),)))


def test_a_file_is_at_most_ten_mebibytes() -> None:
    (file,) = fit(Message("x", files=(Attachment("build.log", "begin" + "ä" * (11 << 20) + "end"),))).files
    assert file.text is not None
    assert len(file.text.encode("utf-8")) <= limits.FILE_BYTES
    assert file.text.startswith("begin") and file.text.endswith("end")


@settings(deadline=None)  # a busy machine is no fault
@given(TEXT, st.integers(100, 2000))
def test_cut_bytes_are_valid_text_within_the_limit(text: str, limit: int) -> None:
    assert len(cut_bytes(text, limit).encode("utf-8")) <= limit
