"""Whether text can be heard, and how much of it fits one event."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from fishlive.limits import MAX_TEXT_EVENT_CHARS
from fishlive.text.tags import LETTER, OPEN_TAG, PHONEMES, TAG

_UNSPOKEN: Final = re.compile(rf"(?P<phonemes>{PHONEMES})|{TAG}|{OPEN_TAG}")
_MAX_STEP_BACK_CHARS: Final = 32
"""How far a cut may step back to keep a letter with its accents. Longer piles are no language."""
_JOINER: Final = "\u200d"


def has_speech(text: str) -> bool:
    """Return whether text holds a letter or digit of any script outside tags.

    What stands between phoneme marks is spoken. A tag that is still open at the end is a tag.
    """
    if text.isspace() or LETTER.search(text) is None:  # megabytes of space take no time
        return False
    if "[" not in text and "<" not in text:
        return True
    return LETTER.search(_UNSPOKEN.sub(_spoken, text)) is not None


def pieces(text: str, most_chars: int = MAX_TEXT_EVENT_CHARS) -> Iterator[str]:
    """Yield text in pieces of at most ``most_chars``, never between a letter and its accent."""
    at = 0
    while len(text) - at > most_chars:
        cut = _cut_before(text, at + most_chars, lowest=at + 1)
        yield text[at:cut]
        at = cut
    if at < len(text):
        yield text[at:] if at else text


def _spoken(tag: re.Match[str]) -> str:
    return "x" if tag["phonemes"] else " "


def _cut_before(text: str, at: int, *, lowest: int) -> int:
    """Return the last place up to ``at`` that splits no combined character, if one is near."""
    for cut in range(at, max(lowest, at - _MAX_STEP_BACK_CHARS) - 1, -1):
        if not _joined(text[cut - 1], text[cut]):
            return cut
    return at


def _joined(before: str, after: str) -> bool:
    # Mn and Me stack on the letter before them; Mc (Indic vowel signs) and emoji modifiers too.
    return (
        before == _JOINER
        or after == _JOINER
        or unicodedata.category(after).startswith("M")
        or "\U0001f3fb" <= after <= "\U0001f3ff"
    )
