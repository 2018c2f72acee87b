"""text/units.py: the words of a text, and where they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.text.units import fold, units


def found(text: str) -> list[str]:
    """Return what each unit covers."""
    return [text[unit.start : unit.end] for unit in units(text)]


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ('Say "Hello, world!" now.', ["Say", '"Hello,', 'world!"', "now."]),
        ("well-known don't", ["well-known", "don't"]),
        ("wait…what—ever", ["wait…", "what—", "ever"]),
        ("Ça va ?", ["Ça", "va ?"]),
        ("你好，世界。", ["你", "好，", "世", "界。"]),  # noqa: RUF001
        ("กินข้าว", ["กิ", "น", "ข้", "า", "ว"]),
        ("[happy] Hi <|speaker:1|><soft>you</soft>", ["Hi", "you"]),
        ("<|phoneme_start|>HH<|phoneme_end|>.", ["<|phoneme_start|>HH<|phoneme_end|>."]),
        ("(happy) Hi", ["happy)", "Hi"]),
        ("$3.50, 😀 & 5%", ["$3.50,", "😀", "&", "5%"]),
        ("a < b [c", ["a", "<", "b", "c"]),
        ("...", []),
    ],
)  # fmt: skip
def test_units_are_the_words(text: str, covered: list[str]) -> None:
    """With the punctuation behind them; tags are none, and letters stand alone without spaces."""
    assert found(text) == covered


@pytest.mark.parametrize(
    ("text", "wild", "figures"),
    [
        ("Hello,", False, False),
        ("42", True, True),
        ("½", True, True),
        ("Dr.", True, False),
        ("Doctor.", False, False),
        ("e.g.", True, False),
        ("&", True, False),
        ("😀", True, False),
        ("well-known", False, False),
    ],
)
def test_what_may_be_read_as_other_words_is_known(text: str, wild: bool, figures: bool) -> None:
    """Numbers, signs and abbreviations; digits are never silent."""
    (unit,) = units(text)

    assert (unit.wild, unit.figures) == (wild, figures)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Don't", "dont"),
        ("Straße", "STRASSE"),
        ("Café", "cafe"),
        ("ＡＢ１", "ab1"),  # noqa: RUF001
        ("well-known", "WellKnown"),
    ],
)
def test_folding_forgets_what_the_service_may_change(one: str, other: str) -> None:
    """Case, accents, width, apostrophes and hyphens."""
    assert fold(one) == fold(other)


@given(st.text(max_size=300))
def test_units_are_in_order_and_inside_the_text(text: str) -> None:
    """None is empty, none overlaps another, and a key is what folding makes of it."""
    at = 0
    for unit in units(text):
        assert at <= unit.start < unit.end <= len(text)
        assert unit.key == "" or unit.key in fold(text[unit.start : unit.end])
        at = unit.end
