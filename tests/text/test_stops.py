# ruff: noqa: RUF001  # abbreviations of many scripts are meant
"""Tests of fishlive.text.stops."""

from __future__ import annotations

import pytest

from fishlive.text.stops import stops_end, word_before


@pytest.mark.parametrize("before", ["tree", "So am I", "1999", "x1", "antidisestablishment", ""])
def test_a_full_stop_ends_a_sentence(before: str) -> None:
    """It does so behind ordinary words, "I", and numbers of more than two digits."""
    assert stops_end(".", f"{before}.", len(before), 0)


@pytest.mark.parametrize("before", ["Mr", "see Dr", "U.S", "J. K", "am 3", "12", "e.g", "г"])
def test_a_full_stop_belongs_to_its_word(before: str) -> None:
    """It does so behind abbreviations, initials, and numbers of one or two digits."""
    assert not stops_end(".", f"{before}.", len(before), 0)


@pytest.mark.parametrize(
    ("stops", "ends"), [("!", True), ("...?", True), ("؟", True), ("...", False), ("…", False)]
)
def test_other_stops_decide_by_themselves(stops: str, ends: bool) -> None:
    """Question and exclamation marks end a sentence, even behind "Mr"; an ellipsis ends none."""
    assert stops_end(stops, f"Mr{stops}", 2, 0) is ends


def test_a_word_reaches_back_to_what_is_settled() -> None:
    """Dots are part of a word; what was decided before is not."""
    assert word_before("in the U.S.", 10, 0) == "U.S"
    assert word_before("in the U.S.", 10, 9) == "S"
