"""Subtitles that players read: right times, lines that fit, nothing that looks like markup."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.cli.subtitles import (
    LINE_CELLS,
    MAX_LINES,
    Cue,
    cues,
    joined,
    srt,
    vtt,
    width,
    wrapped,
)

SRT_TIMES = re.compile(
    r"^(\d\d+):([0-5]\d):([0-5]\d),(\d{3}) --> (\d\d+):([0-5]\d):([0-5]\d),(\d{3})$"
)
PIECES = st.lists(
    st.builds(
        Cue,
        st.floats(allow_nan=True, allow_infinity=True, width=32) | st.floats(0, 400_000),
        st.floats(allow_nan=True, allow_infinity=True, width=32) | st.floats(0, 400_000),
        st.text() | st.text("ab c.<>-&{\\", max_size=200) | st.text("中文。「字 a", max_size=200),
        st.none() | st.integers(0, 3),
    ),
    max_size=12,
)


def words(text: str, *, word_s: float = 0.25, start_s: float = 0.0) -> list[Cue]:
    """Return each word of a text as a piece, one after another."""
    return [
        Cue(start_s + at * word_s, start_s + (at + 1) * word_s, word)
        for at, word in enumerate(text.split())
    ]


def test_srt_is_numbered_and_timed() -> None:
    """Each cue has its number, its times with a comma, its text, and an empty line."""
    made = srt([Cue(0.5, 2.0, "The ferry leaves at eight."), Cue(3661.0415, 3662, "Bye.")])

    assert made == (
        "1\n00:00:00,500 --> 00:00:02,000\nThe ferry leaves at eight.\n\n"
        "2\n01:01:01,042 --> 01:01:02,000\nBye.\n\n"
    )


def test_vtt_has_its_header_and_a_point() -> None:
    """WebVTT begins with its name, and has a point in front of the milliseconds."""
    assert vtt([Cue(0, 1, "Hi.")]) == "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nHi.\n\n"
    assert vtt([]) == "WEBVTT\n\n"
    assert srt([]) == ""


def test_words_become_sentences() -> None:
    """A cue goes on until the sentence ends, and the next begins where its words do."""
    made = cues(words("The ferry leaves at eight. Nobody has seen it leave on time."))

    assert [(cue.start_s, cue.end_s, cue.text) for cue in made] == [
        (0.0, 1.25, "The ferry leaves at eight."),
        (1.25, 3.0, "Nobody has seen it leave on time."),
    ]


def test_a_pause_ends_a_cue() -> None:
    """What comes behind a second of silence is shown when it is said, not before."""
    made = cues([*words("one two"), *words("three", start_s=1.5)])

    assert [cue.text for cue in made] == ["one two", "three"]


def test_a_short_sentence_does_not_flicker() -> None:
    """An abbreviation or a single word does not end its cue."""
    assert [cue.text for cue in cues(words("Dr. No. Yes."))] == ["Dr. No. Yes."]


def test_a_long_piece_is_cut_and_its_time_with_it() -> None:
    """A sentence of four lines is two cues that share its time by their length."""
    made = cues([Cue(0, 12, "nobody has ever seen it leave on time " * 4)])

    assert len(made) == 2
    assert made[0].end_s == made[1].start_s
    assert 5 < made[0].end_s < 8
    assert made[1].end_s == 12


def test_times_never_go_back() -> None:
    """A piece that begins before the one in front of it ends begins there instead."""
    first, second = cues([Cue(0, 3, "The ferry leaves at eight."), Cue(2, 2.5, "Never on time.")])

    assert second.start_s == first.end_s == 3
    assert second.end_s > second.start_s


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e9])
def test_a_piece_without_times_is_left_out(bad: float) -> None:
    """A time that is no number cannot be shown."""
    assert [
        cue.text for cue in cues([Cue(bad, 1, "lost"), Cue(0, bad, "lost"), Cue(0, 1, "x")])
    ] == ["x"]


def test_speakers_begin_cues_of_their_own() -> None:
    """The marks of the service become names, and each turn its share of the time."""
    pieces = [Cue(0, 4, "<|speaker:0|>Hello you<|speaker:1|>Hello too"), Cue(4, 5, "again")]

    assert srt(pieces).splitlines()[1:3] == [
        "00:00:00,000 --> 00:00:02,000",
        "[Speaker 0] Hello you",
    ]
    assert "00:00:02.000 --> 00:00:05.000\n<v Speaker 1>Hello too again\n" in vtt(pieces)


def test_vtt_escapes_markup() -> None:
    """What could be a tag, an entity or an arrow is text."""
    assert "a &lt;b&gt; &amp;amp; --&gt; c\n" in vtt([Cue(0, 1, "a <b> &amp; --> c")])


def test_srt_hides_markup_from_players() -> None:
    """SRT knows no escapes: an invisible character keeps a tag from being one."""
    shown = srt([Cue(0, 1, r"a <i>b</i> {\an8}c --> d < e")]).splitlines()[2]

    assert shown == "a <\u2060i>b<\u2060/i> {\u2060\\an8}c --\u2060> d < e"
    assert shown.replace("\u2060", "") == r"a <i>b</i> {\an8}c --> d < e"


def test_an_empty_line_cannot_end_a_cue() -> None:
    """Line breaks and control characters inside a piece are gone."""
    assert srt([Cue(0, 1, "one\n\ntwo\x1b[2J\u2028three")]).splitlines()[2:] == [
        "one two[2J three",
        "",
    ]


@pytest.mark.parametrize(
    ("before", "after", "both"),
    [
        ("Hello", "you", "Hello you"),
        ("Hello", ",", "Hello,"),
        ("(", "you", "(you"),
        ("今日", "は", "今日は"),
        ("今日", "OK", "今日OK"),
        ("안녕", "하세요", "안녕 하세요"),
        ("", "you", "you"),
    ],
)
def test_words_are_joined_as_their_script_has_it(before: str, after: str, both: str) -> None:
    """A space where the script has one, none in Chinese and Japanese or before a comma."""
    assert joined(before, after) == both


def test_chinese_is_wrapped_without_spaces() -> None:
    """A line takes half as many wide characters, and none begins with a full stop."""
    text = "今天天气很好我们一起去公园散步吧今天天气很。" * 3

    lines = wrapped(text)
    assert "".join(lines) == text
    assert all(width(line) <= LINE_CELLS for line in lines)
    assert not any(line.startswith("。") for line in lines)


@given(PIECES)
def test_whatever_comes_the_file_can_be_read(pieces: list[Cue]) -> None:
    """Blocks are whole, numbered, in order, and none is empty, overlapping or too tall."""
    blocks = srt(pieces).split("\n\n")
    assert blocks.pop() == ""
    last_ms = 0
    for number, block in enumerate(blocks, 1):
        head, times, *lines = block.split("\n")
        assert head == str(number)
        found = SRT_TIMES.match(times)
        assert found
        h, m, s, ms, h2, m2, s2, ms2 = map(int, found.groups())
        start, end = ((h * 60 + m) * 60 + s) * 1000 + ms, ((h2 * 60 + m2) * 60 + s2) * 1000 + ms2
        assert last_ms <= start < end
        last_ms = end
        assert 1 <= len(lines) <= MAX_LINES
        assert all(line.strip() for line in lines)


@given(PIECES)
def test_vtt_never_holds_a_foreign_arrow(pieces: list[Cue]) -> None:
    """The only arrows are those between times; every cue is as many lines as in SRT at most."""
    made = vtt(pieces)

    assert made.count("-->") == len(cues(pieces))
    assert "\n\n\n" not in made


@given(st.text())
def test_wrapping_loses_nothing_but_spaces(text: str) -> None:
    """Every character that is no space is in a line, in order, and each line fits or is one."""
    lines = wrapped(text)

    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(width(line) <= LINE_CELLS or len(line) == 1 for line in lines)
