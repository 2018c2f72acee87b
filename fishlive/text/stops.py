# ruff: noqa: RUF001  # abbreviations of many scripts are meant
"""Whether full stops end a sentence, going by the word before them."""

from __future__ import annotations

from typing import Final

WORD_CHARS: Final = 8
"""How much of the word before a full stop is looked at: the longest abbreviation has six."""

_MAX_ORDINAL_CHARS: Final = 2
"""Digits of a number whose full stop may make it an ordinal (``am 3. Mai``) or a list's mark."""

_ABBREVIATIONS: Final = frozenset(
    """
    mr mrs ms dr prof sr jr st mt ft rev hon gen col maj capt sgt lt gov sen rep pres
    no nos vs etc al approx dept est fig figs inc ltd co corp vol vols pp ed eds cf ca
    ave blvd rd jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun
    nr bzw usw ggf evtl inkl zzgl abs bsp vgl hr fr str tel
    mme mlle env sra srta dra ud uds pág art núm
    им ул стр тыс млн млрд руб гг др пр
    """.split()  # noqa: SIM905  # a hundred quotes would hide the words
)
"""What a full stop follows inside a sentence, in lower case. A missed sentence end costs a
little time; a false one makes half a sentence sound final."""


def stops_end(stops: str, text: str, at: int, settled: int) -> bool:
    """Return whether the stops at ``at`` end a sentence.

    Args:
        stops: One or more characters of ``.!?…‥؟``.
        text: What they stand in.
        at: Where the word before them ends.
        settled: How far back that word reaches at most.
    """
    if stops[-1] in "!?؟":
        return True
    if stops != ".":  # an ellipsis trails off by itself
        return False
    word = text[max(settled, at - WORD_CHARS) : at].rpartition(" ")[2]
    if not word.isalnum():
        word = word_before(text, at, settled)
    if word.isdecimal():
        return len(word) > _MAX_ORDINAL_CHARS
    if len(word) > 1 and "." not in word:
        return word.lower() not in _ABBREVIATIONS
    parts = word.split(".")
    if all(len(part) == 1 and _has_case(part) for part in parts):
        return word == "I"  # U.S., e.g., J. (but "So am I.")
    return word.lower() not in _ABBREVIATIONS


def word_before(text: str, at: int, lowest: int) -> str:
    """Return the word that ends at ``at``, as far as it may matter: its dots are part of it."""
    start, lowest = at, max(lowest, at - WORD_CHARS)
    while start > lowest and (text[start - 1].isalnum() or text[start - 1] == "."):
        start -= 1
    return text[start:at]


def _has_case(letter: str) -> bool:
    return letter.upper() != letter.lower()
