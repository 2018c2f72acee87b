# ruff: noqa: RUF001  # quotes, dashes and brackets of many scripts are meant
"""What is said of a text, word by word, and where each word stands in it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final, NamedTuple

from fishlive.text.tags import PHONEMES, TAG

_SPACELESS: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u312f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
"""Scripts written without spaces: Thai to Khmer, kana, ideographs. Each letter is a unit there."""

_MARKS: Final = (
    "\u0300-\u036f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e"
    "\u17b4-\u17d3\u200d\u3099\u309a\ufe00-\ufe0f"
)
"""What stays with the letter before it."""

_BREAKS: Final = "—…"
"""Signs that end a word without a space."""

_CUE: Final = r"\([a-z][a-z ,'-]{0,40}\)"
"""A direction in the way of the model s1; other models read it aloud, so it may be said."""

_piece: Final = re.compile(
    rf"(?P<phonemes>{PHONEMES})|(?P<tag>{TAG})|(?P<cue>{_CUE})"
    rf"|(?P<letter>[{_SPACELESS}][{_MARKS}]*)"
    rf"|(?P<word>[^\s{_BREAKS}<\[({_SPACELESS}][^\s{_BREAKS}<\[{_SPACELESS}]*[{_BREAKS}]*)"
    rf"|(?P<sign>\S)"
).finditer

_OPENING: Final = "\"'([{<“‘«¡¿‹„「『（《〈【"
_CLOSING: Final = frozenset(".,;:!?…)]}>»”’\"'›—–-。、，．！？：；」』）》〉】·،؛؟।॥*_~`")
_PUNCTUATION: Final = _OPENING + "".join(sorted(_CLOSING))
_SAID_SIGNS: Final = frozenset("%&@#/+=\\§†‰")
_ABBREVIATED_CHARS: Final = 5
"""Letters of the longest abbreviation that is read as something else: ``Capt.`` and the like."""


class Unit(NamedTuple):
    """One word of a text (one letter where a script has no spaces), from ``start`` to ``end``.

    Attributes:
        key: Its letters and digits, folded; empty for an emoji or phonemes.
        start: Where it begins, in characters of the text.
        end: Where it ends, behind the punctuation that follows it.
        wild: Whether it may be read as other words, or not at all: numbers, signs, abbreviations.
        figures: Whether it holds digits, which are never silent.
    """

    key: str
    start: int
    end: int
    wild: bool
    figures: bool


class _Folds(dict[str, str]):
    """What each character is compared by: without case, accents, width and punctuation."""

    def __missing__(self, char: str) -> str:
        plain = unicodedata.normalize("NFKD", char).casefold()
        folded = "".join(c for c in plain if c.isalnum())
        self[char] = folded
        return folded


_folds: Final = _Folds()


def fold(text: str) -> str:
    """Return the letters and digits of a text, without case, accents, width and punctuation."""
    if text.isascii() and text.isalnum():
        return text.lower()
    return "".join(map(_folds.__getitem__, text))


def units(text: str) -> list[Unit]:
    """Return the words of a text in order. Tags are none; time is linear."""
    found: list[Unit] = []
    for match in _piece(text):
        kind, start, end = match.lastgroup, match.start(), match.end()
        if kind == "tag":
            continue
        if kind == "phonemes":
            found.append(Unit("", start, end, wild=True, figures=False))
        elif kind == "cue":
            found.extend(_cue(match[0], start))
        elif (unit := _unit(match[0], start, end)) is not None:
            found.append(unit)
        elif found and _closes(match[0], text, found[-1].end, start):
            found[-1] = found[-1]._replace(end=end)
    return found


def _unit(surface: str, start: int, end: int) -> Unit | None:
    core = surface.strip(_PUNCTUATION)
    if core.isalpha():
        short = len(core) <= _ABBREVIATED_CHARS and surface.endswith(core + ".")
        return Unit(fold(core), start, end, wild=short, figures=False)
    key = fold(surface)
    figures = any(c.isnumeric() for c in core)
    wild = figures or "." in core or any(map(_is_sign, surface))
    return Unit(key, start, end, wild, figures) if key or wild else None


def _is_sign(char: str) -> bool:
    if char.isalnum():
        return False
    return char in _SAID_SIGNS or unicodedata.category(char) in {"Sc", "Sm", "So"}


def _cue(surface: str, start: int) -> Iterator[Unit]:
    """Yield the words of a parenthesis that may be a direction."""
    for word in re.finditer(r"[^ (]+", surface):
        key = fold(word[0])
        if key:
            yield Unit(key, start + word.start(), start + word.end(), wild=True, figures=False)


def _closes(sign: str, text: str, end: int, start: int) -> bool:
    """Return whether a sign belongs to the word before it; French puts a space between."""
    return set(sign) <= _CLOSING and (end == start or (start - end == 1 and text[end] in " \u202f"))
