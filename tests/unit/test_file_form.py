"""A file keeps its encoding, BOM, line ends and last newline, and each untouched line its bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.file_form import BOM, fit, plain_text, read_text
from pipeline.errors import Refused

pieces = st.sampled_from([b"a", b"b c", b"\xe9", "é".encode(), b"\r", b"\n", b"\r\n", b"\t", BOM, b"\x81"])
raw = st.lists(pieces, max_size=24).map(b"".join)


def test_windows_line_ends_stay_for_old_lines_and_come_for_new_ones() -> None:
    assert fit(b"a\r\nb\r\n", "a\nx\nb\n", keep_end=True) == b"a\r\nx\r\nb\r\n"


def test_a_mixture_of_line_ends_stays_a_mixture() -> None:
    assert fit(b"a\r\nb\nc\r\n", "a\nb\nX\nc\n", keep_end=True) == b"a\r\nb\nX\r\nc\r\n"


def test_a_byte_order_mark_stays_and_is_never_added() -> None:
    assert fit(BOM + b"a\n", plain_text("\ufeffb\n"), keep_end=True) == BOM + b"b\n"
    assert fit(BOM + b"a\n", "b\n", keep_end=True) == BOM + b"b\n"
    assert fit(b"a\n", plain_text("\ufeffb\n"), keep_end=True) == b"b\n"


def test_an_old_encoding_stays_and_takes_new_letters_it_has() -> None:
    assert fit(b"caf\xe9\nx\n", "café\nnaïve\n", keep_end=True) == b"caf\xe9\nna\xefve\n"


def test_lines_that_their_reader_could_not_decode_keep_their_bytes() -> None:
    assert fit(b"// caf\xe9\nint a;\n", "// caf\ufffd\nint b;\n", keep_end=True) == b"// caf\xe9\nint b;\n"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"caf\xe9\n", "caf\ufffd!\n", "the file is in cp1252, which has no `\ufffd` (U+FFFD)"),
        (b"caf\xe9\n", "→\n", "the file is in cp1252, which has no `→` (U+2192)"),
        (b"a\n", "\ud800\n", "it holds half a character (U+D800): it is not valid Unicode"),
    ],
)
def test_what_the_encoding_cannot_hold_is_refused(old: bytes, new: str, reason: str) -> None:
    with pytest.raises(Refused) as refusal:
        fit(old, new, keep_end=True)
    assert str(refusal.value) == reason


@pytest.mark.parametrize(("old", "new", "kept"), [(b"a", "b\n", b"b"), (b"a\n", "b", b"b\n"), (b"", "b", b"b")])
def test_the_last_newline_is_as_it_was(old: bytes, new: str, kept: bytes) -> None:
    assert fit(old, new, keep_end=True) == kept


def test_the_last_newline_follows_the_text_where_a_diff_says_so() -> None:
    assert fit(b"a\r\nb", "a\nb\n", keep_end=False) == b"a\r\nb\r\n"


@given(raw)
def test_a_text_that_did_not_change_gives_the_very_bytes(content: bytes) -> None:
    assert fit(content, read_text(content), keep_end=True) == content
    assert fit(content, read_text(content), keep_end=False) == content


@given(st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=8), st.integers(0, 7), st.booleans())
def test_a_changed_line_leaves_every_other_line_alone(lines: list[bytes], at: int, windows: bool) -> None:
    end = b"\r\n" if windows else b"\n"
    at %= len(lines)
    changed = [*lines[:at], b"NEW", *lines[at + 1 :]]
    old, new = b"".join(line + end for line in lines), b"".join(line + end for line in changed)
    assert fit(old, read_text(new), keep_end=True) == new


@given(raw, st.lists(st.sampled_from(["a", "b c", "new", ""]), max_size=6))
def test_new_text_reads_back_as_it_was_meant(content: bytes, lines: list[str]) -> None:
    text = "\n".join(lines)
    assert read_text(fit(content, text, keep_end=False)) == text
