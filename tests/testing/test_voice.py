from __future__ import annotations

import pytest

from fishlive.testing.voice import RECORD_BYTES, heard, voiced


def test_audio_says_what_it_voices() -> None:
    """Which attempt, and every character of it, however it was cut."""
    text = "Grüße, 世界 🐟!"
    audio = b"".join(voiced(3, at, char, stretch=2) for at, char in enumerate(text))
    assert audio == voiced(3, 0, text, stretch=2)
    assert heard(audio, stretch=2) == (3, text)
    assert len(audio) == 2 * RECORD_BYTES * len(text)


def test_a_record_that_is_not_whole_does_not_count() -> None:
    """Audio may end anywhere."""
    assert heard(voiced(1, 0, "ab")[:-1]) == (1, "a")
    assert heard(b"") == (0, "")


@pytest.mark.parametrize(
    ("audio", "flaw"),
    [
        (voiced(1, 0, "abc")[4:], "no record"),
        (voiced(1, 0, "a") + voiced(1, 2, "c"), "voices character 2, expected 1"),
        (voiced(1, 0, "a") * 2, "voices character 0, expected 1"),
        (voiced(1, 1, "b") + voiced(1, 0, "a"), "voices character 1, expected 0"),
        (voiced(1, 0, "a") + voiced(2, 1, "b"), "of attempt 2"),
        (voiced(1, 0, "abc")[:20] + voiced(1, 0, "abc")[22:] + bytes(2), "no record"),
    ],
    ids=["cut in front", "lost", "repeated", "reordered", "foreign", "a sample lost"],
)
def test_flawed_audio_is_found(audio: bytes, flaw: str) -> None:
    """Whatever was done to it, with the place."""
    with pytest.raises(ValueError, match=flaw):
        heard(audio)
