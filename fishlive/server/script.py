"""What is spoken of a text, and by whom; and what an alignment shows of the words. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from fishlive.limits import MAX_OPEN_TAG_CHARS
from fishlive.server.voice.speech import SpokenWord
from fishlive.wire.events import Segment

_UP_TO = f"{{0,{MAX_OPEN_TAG_CHARS}}}"
_MARKUP: Final = re.compile(
    rf"<\|phoneme_start\|>(?P<phonemes>.{_UP_TO}?)<\|phoneme_end\|>"
    r"|<\|speaker:(?P<speaker>\d{1,3})\|>"
    rf"|<\|[^<>]{_UP_TO}\|>|</?[A-Za-z][A-Za-z _-]{{0,30}}>|\[[^\[\]]{_UP_TO}\]",
    re.DOTALL,
)
"""Cues, tags and phonemes (fine-grained control and Drama 3 pages, 2026-08)."""

_S1_TAG: Final = re.compile(r"\([a-z][a-z -]{1,30}\)")
"""The older model's directions: ``(happy)``, ``(long-break)``."""

_NOT_LETTERS: Final = re.compile(r"[^A-Za-z]+")

_NO_SPACES: Final = ("CJK", "HIRAGANA", "KATAKANA")
"""Scripts aligned by character, by how Unicode names their characters."""


class Run(NamedTuple):
    """Text that one speaker says."""

    text: str
    speaker: int


def runs(text: str, *, speaker: int = 0, model: str = "") -> list[Run]:
    """Return what of ``text`` is said, in order, beginning with ``speaker``.

    Directions are not said; phonemes are read as letters, since this voice has other ones.
    A run may be empty: it still says who speaks on.
    """
    found, said, end = [], "", 0
    if model == "s1":
        text = _S1_TAG.sub(" ", text)
    for match in _MARKUP.finditer(text):
        said += text[end : match.start()]
        end = match.end()
        if match["speaker"] is not None:
            found.append(Run(said, speaker))
            said, speaker = "", int(match["speaker"])
        elif match["phonemes"] is not None:
            said += _NOT_LETTERS.sub("", match["phonemes"]).lower()
        else:
            said += " "
    return [*found, Run(said + text[end:], speaker)]


def segments(words: Iterable[SpokenWord], *, offset_s: float = 0.0) -> Iterator[Segment]:
    """Yield ``words`` as the service shows them, ``offset_s`` later.

    Without punctuation or apostrophes, a character each in scripts without spaces (page of the
    timestamp endpoint, 2026-09), to the millisecond.
    """
    for word in words:
        text = "".join(char for char in word.text if unicodedata.category(char)[0] in "LNSM")
        pieces = list(text) if _without_spaces(text) else [text]
        step_s = (word.end_s - word.start_s) / max(1, len(pieces))
        for index, piece in enumerate(filter(None, pieces)):
            start_s = offset_s + word.start_s + index * step_s
            yield Segment(piece, round(start_s, 3), round(start_s + step_s, 3))


def _without_spaces(text: str) -> bool:
    return bool(text) and unicodedata.name(text[0], "").startswith(_NO_SPACES)
