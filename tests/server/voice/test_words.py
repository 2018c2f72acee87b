"""Words and their times, from marks written by hand."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.server.voice.espeak import Mark
from fishlive.server.voice.speech import SPEECH_RATE_HZ
from fishlive.server.voice.words import clean, is_speakable, place

SECOND = array("h", [5000] * SPEECH_RATE_HZ).tobytes()
HALF_QUIET = array("h", [5000] * (SPEECH_RATE_HZ // 2) + [0] * (SPEECH_RATE_HZ // 2)).tobytes()


def mark(start: int, length: int, seconds: float) -> Mark:
    """Return a mark at a time."""
    return Mark(start, start + length, round(seconds * SPEECH_RATE_HZ))


def test_a_word_ends_where_the_next_begins() -> None:
    """The time between two words belongs to the first."""
    words = place("one two", [mark(0, 3, 0.0), mark(4, 3, 0.4)], SECOND)
    assert [(w.text, w.start_s, w.end_s) for w in words] == [("one", 0.0, 0.4), ("two", 0.4, 1.0)]


def test_the_last_word_ends_with_its_sound() -> None:
    """The pause after the last word is not part of it."""
    (word,) = place("one", [mark(0, 3, 0.1)], HALF_QUIET)
    assert word.end_s == pytest.approx(0.5, abs=0.001)


def test_several_marks_in_a_word_are_merged() -> None:
    """Marks of "42", the second of them overlapping, are one word."""
    words = place("42 dogs", [mark(0, 2, 0.0), mark(1, 2, 0.3), mark(3, 4, 0.6)], SECOND)
    assert [(w.text, w.end_s) for w in words] == [("42", 0.6), ("dogs", 1.0)]


def test_marks_at_one_place_are_merged() -> None:
    """A run without spaces that espeak-ng marks only as a whole is one word."""
    marks = [mark(0, 4, 0.0), mark(0, 4, 0.3), mark(0, 4, 0.7)]
    assert [w.text for w in place("東京です。", marks, SECOND)] == ["東京です"]


def test_an_unspaced_run_is_cut_at_its_marks() -> None:
    """Chinese is aligned by character, also where one mark stands for two."""
    words = place("今天很好。", [mark(0, 1, 0.0), mark(1, 1, 0.25), mark(2, 1, 0.5)], SECOND)
    assert [w.text for w in words] == ["今", "天", "很", "好"]
    assert [round(w.start_s, 3) for w in words] == [0.0, 0.25, 0.5, 0.75]


def test_an_unmarked_word_shares_its_neighbours_time() -> None:
    """The pair "of the" has one mark; its time is divided by length."""
    words = place("of the end", [mark(0, 2, 0.0), mark(7, 3, 0.5)], SECOND)
    assert [round(w.start_s, 3) for w in words] == [0.0, 0.2, 0.5]


def test_a_mark_on_punctuation_belongs_to_the_word_before() -> None:
    """A mark in a gap neither makes a word nor moves the next one."""
    words = place("(one) two", [mark(1, 3, 0.1), mark(5, 1, 0.3), mark(6, 3, 0.6)], SECOND)
    assert [(w.text, w.start_s) for w in words] == [("one", 0.1), ("two", 0.6)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("“Dr. Smith's,” o'clock!", ["Dr", "Smith's", "o'clock"]),
        ("well-known—yes… no--maybe", ["well-known", "yes", "no", "maybe"]),
        ("$3.50 is 50% of €7", ["$3.50", "is", "50", "of", "€7"]),
        ("C++ and C#", ["C++", "and", "C"]),
        ("שלום, עולם!", ["שלום", "עולם"]),
        ("  \n\t", []),
        ("... — !", []),
        ("iPhoneは", ["iPhone", "は"]),
    ],
)
def test_the_text_says_what_the_words_are(text: str, words: list[str]) -> None:
    """Words are the text's own characters without the punctuation around them."""
    assert [w.text for w in place(text, [], SECOND)] == words


def test_a_lone_symbol_is_a_word_only_if_it_is_said() -> None:
    """A "+" is spoken where espeak-ng marks it."""
    marks = [mark(0, 1, 0.0), mark(2, 1, 0.3), mark(4, 1, 0.6)]
    assert [w.text for w in place("1 + 2", marks, SECOND)] == ["1", "+", "2"]
    assert [w.text for w in place("1 | 2", [marks[0], marks[2]], SECOND)] == ["1", "2"]


def test_nul_controls_and_emoji_are_cleaned_away() -> None:
    """NUL would end the text, other controls begin a command, emoji would be read out."""
    assert clean("the\0re \x0150P👍🏻❤\ufe0f x") == "there 50P    x"


@pytest.mark.parametrize("text", ["", " ", "…!?", "👍", "—", "\0"])
def test_what_has_no_letter_or_digit_is_not_speakable(text: str) -> None:
    """Punctuation and pictures alone say nothing."""
    assert not is_speakable(clean(text))


@pytest.mark.parametrize("text", ["a", "٣", "東", "é", "ก"])
def test_letters_and_digits_of_any_script_are_speakable(text: str) -> None:
    """Speakable is not a matter of ASCII."""
    assert is_speakable(text)


@given(
    text=st.text(alphabet="ab 1'.-—東は\u0e01!é", max_size=40),
    places=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9), st.integers(0, 30_000))),
)
def test_words_are_ordered_and_inside_whatever_the_marks_say(
    text: str, places: list[tuple[int, int, int]]
) -> None:
    """Starts never fall, words never overlap, and no letter of the text is lost."""
    marks = [Mark(start, start + length, sample) for start, length, sample in places]
    words = place(text, marks, SECOND)
    edges = [edge for word in words for edge in (word.start_s, word.end_s)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= 1 for edge in edges)
    letters = "".join(char for char in text if char.isalnum())
    assert "".join(c for word in words for c in word.text if c.isalnum()) == letters
