"""What is said of a text, and what an alignment shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.server.script import runs, segments
from fishlive.server.voice.speech import SpokenWord


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello [laughing] you", "Hello   you"),
        ("<whisper>Come</whisper> <french>Oui</french>", " Come   Oui "),
        ("Say <|phoneme_start|>HH AH0 L OW1<|phoneme_end|> now", "Say hhahlow now"),
        ("2 < 3 and (happy) $3.50", "2 < 3 and (happy) $3.50"),
        ("<|unknown|>x", " x"),
    ],
)
def test_directions_are_not_said(text: str, said: str) -> None:
    """Cues and tags vanish, text stays."""
    assert runs(text) == [(said, 0)]


def test_the_older_models_tags() -> None:
    """Parentheses are directions for s1 only."""
    assert runs("(happy) Hi (break) you (see 2)", model="s1") == [("  Hi   you (see 2)", 0)]


def test_speakers_take_turns() -> None:
    """A speaker tag hands over, and who speaks goes on in the next text."""
    found = runs("So <|speaker:1|>I <|speaker:0|>you<|speaker:2|>", speaker=3)
    assert found == [("So ", 3), ("I ", 1), ("you", 0), ("", 2)]


@given(st.text(alphabet="ab<>|[]speakr:012 \n"))
def test_any_text_can_be_read(text: str) -> None:
    """Broken markup is said, not refused."""
    assert runs(text)


def test_segments_have_no_punctuation() -> None:
    """Words lose punctuation and apostrophes, and what is only that vanishes."""
    words = [
        SpokenWord("I've,", 0.1, 0.25),
        SpokenWord("--", 0.3, 0.4),
        SpokenWord("$3.50", 0.4, 1),
    ]
    assert list(segments(words, offset_s=1)) == [("Ive", 1.1, 1.25), ("$350", 1.4, 2)]


def test_unspaced_scripts_are_shown_by_character() -> None:
    """A run of Chinese is shared out evenly."""
    assert list(segments([SpokenWord("你好。", 0, 1)])) == [("你", 0, 0.5), ("好", 0.5, 1)]
