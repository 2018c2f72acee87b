"""Tests of fishlive.text.speakable."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.text.speakable import has_speech, pieces


@pytest.mark.parametrize(
    "text",
    [
        "a", "7", "é", "你", "да", "٣", "[sigh] oh", "<soft>oh</soft>", "[a] b [c", "a < b",
        "<|phoneme_start|>HH AH0<|phoneme_end|>", "[" + "long " * 100,
    ],
)  # fmt: skip
def test_a_letter_or_digit_outside_tags_is_speech(text: str) -> None:
    """Any script counts, and phonemes do; a bracket never closed makes no tag."""
    assert has_speech(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "...", "_", "?!", "—", "😀", "[sigh]", "<|speaker:0|>", "<soft></soft>", "[open"],
)
def test_signs_and_tags_are_no_speech(text: str) -> None:
    """Punctuation, emoji and directions owe no audio."""
    assert not has_speech(text)


@given(st.text(max_size=200), st.integers(1, 50))
def test_pieces_hold_the_whole_text(text: str, most_chars: int) -> None:
    """Nothing is lost, and no piece is empty or too long."""
    parts = list(pieces(text, most_chars))
    assert "".join(parts) == text
    assert all(0 < len(part) <= most_chars for part in parts)


@given(st.lists(st.sampled_from(["a", "e\u0301", "नि", "👍🏽", "👩\u200d🚀", " "]), max_size=60))
def test_pieces_keep_combined_characters_whole(letters: list[str]) -> None:
    """A letter and its accent, or an emoji and its colour, stay in one piece."""
    for part in pieces("".join(letters), 7):
        assert not unicodedata.combining(part[0])
        assert part[0] not in "\u200d🏽ि"
        assert part[-1] != "\u200d"


def test_short_text_is_one_piece() -> None:
    """Text that fits is given back as it is."""
    text = "hello"
    assert next(pieces(text)) is text
