"""Where a cut-off utterance may be joined to its continuation, so that every word is heard once.

The borders come from the alignment, never from a guess: without one ahead of the listener there is
no seam, and the reason is said. Pure.
"""

from __future__ import annotations

import enum
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from fishlive.limits import ALIGNMENT_GRID_S
from fishlive.text.flush import FlushPolicy
from fishlive.text.matching import Border, SpokenWord, borders, match_words
from fishlive.text.tags import PHONEMES, TAG
from fishlive.text.units import units

LEAD_S: Final = 0.2
"""Audio ahead of the listener that is never thrown away, in seconds: what a player has already
taken from us, and the time it takes to notice the drop."""

FADE_ROOM_S: Final = 0.01
"""How far into a pause the cut lies, in seconds: a fade of 10 ms takes nothing of a word then."""

REACH_S: Final = 3 * ALIGNMENT_GRID_S
"""How long after the end of a word its pause is searched for, in seconds, when the next word is
known."""

BLIND_REACH_S: Final = ALIGNMENT_GRID_S
"""The same when it is not: no word with the silence behind it fits into one step of the grid."""

OVERLAP_S: Final = 0.02
"""By how much a word may begin before the one ahead of it ends, in seconds; with more, the times
are not those of a reading in order."""

FindPause: TypeAlias = Callable[[float, float], "float | None"]
"""The first instant between two, in seconds, from which 80 ms are quiet; None if there is none."""


class NoSeam(str, enum.Enum):
    """Why nothing can be joined exactly."""

    NO_WORDS = "no words are aligned yet"
    UNALIGNED = "the words do not match the text"
    OUT_OF_ORDER = "the times of the words are out of order"
    NO_BORDER = "no border lies far enough ahead of the listener"

    __str__ = str.__str__


@dataclass(frozen=True, slots=True)
class Seam:
    """Where to cut, and what is left to say.

    Attributes:
        at_s: Keep audio before it, in seconds on the utterance's clock.
        at_sample: The same, in samples.
        resume_char: Where the rest of the text begins. All before it is said before the seam.
        kind: Whether a sentence ends there, or only a word.
        prefix: Tags in force there (speaker, open pairs), to be sent before the rest.
    """

    at_s: float
    at_sample: int
    resume_char: int
    kind: Literal["sentence", "word"]
    prefix: str


def find_seam(
    text: str,
    words: Sequence[SpokenWord],
    *,
    played_s: float,
    received_s: float,
    sample_rate_hz: int,
    find_pause: FindPause | None = None,
    lead_s: float = LEAD_S,
) -> Seam | NoSeam:
    """Return the latest place ahead of the listener where text and audio are known to meet.

    Sentence ends come first; without one, a word's end that 80 ms of low energy follow (needs
    ``find_pause``). Source: the words of the timestamp endpoint, 2026-09.

    Args:
        text: All text that was sent.
        words: Settled ones only, from the first of the utterance on, without a hole.
        played_s: How far the listener is.
        received_s: How much audio there is.
        sample_rate_hz: Of the PCM.
        find_pause: Looks for low energy in the audio that is kept.
        lead_s: As LEAD_S.
    """
    if not words:
        return NoSeam.NO_WORDS
    if not _in_order(words):
        return NoSeam.OUT_OF_ORDER
    match = match_words(words, text)
    if not match.aligned:
        return NoSeam.UNALIGNED
    unplaced = set(_unplaced(words))
    usable = [
        border
        for border in borders(words, match)
        if border.end_s > played_s + lead_s and border.end_s not in unplaced
    ]
    ends = list(sentence_ends(text))
    cutter = _Cutter(received_s, find_pause)
    for border in reversed(usable):
        end = _end_at(border, ends, text)
        if end is not None and (at := cutter.sentence(border)) is not None:
            return _seam(text, at, sample_rate_hz, end, "sentence")
    for border in reversed(usable):
        if (at := cutter.word(border)) is not None:
            return _seam(text, at, sample_rate_hz, border.char, "word")
    return NoSeam.NO_BORDER


def sentence_ends(text: str) -> Iterator[int]:
    """Yield where sentences end, behind their stops, by the rules of the flush policy."""
    policy, at = FlushPolicy(), 0
    while at < len(text) and (cut := policy.cut(text[at:], waited_s=0.0, ahead_s=0.0)) >= 0:
        at += cut
        yield at
    if policy.at_rest():
        yield len(text.rstrip())


def tags_in_force(text: str, char: int) -> str:
    """Return the tags that text from ``char`` on is under: the speaker and pairs left open."""
    speaker = ""
    pairs: list[str] = []
    for match in _tags(text, 0, char):
        tag = match["tag"]
        if tag is None or tag.startswith("["):
            continue
        if tag.startswith("<|"):
            speaker = tag if tag.startswith("<|speaker:") else speaker
        elif not tag.startswith("</"):
            pairs.append(tag)
        elif (opened := f"<{tag[2:]}") in pairs:
            del pairs[len(pairs) - 1 - pairs[::-1].index(opened)]
    return speaker + "".join(pairs)


_tags: Final = re.compile(rf"{PHONEMES}|(?P<tag>{TAG})").finditer


@dataclass(frozen=True, slots=True)
class _Cutter:
    """Says where at a border to cut, within what is unheard and received."""

    received_s: float
    find_pause: FindPause | None

    def sentence(self, border: Border) -> float | None:
        """Return the pause behind a sentence, or where its last word ends."""
        if self.find_pause is not None:
            pause = self._pause(border, self.find_pause)
            if pause is not None:
                return pause
        return border.end_s if border.end_s <= self.received_s else None

    def word(self, border: Border) -> float | None:
        """Return the pause behind a word; None without one."""
        return None if self.find_pause is None else self._pause(border, self.find_pause)

    def _pause(self, border: Border, find_pause: FindPause) -> float | None:
        latest_s = border.end_s + BLIND_REACH_S
        if border.next_s is not None:
            latest_s = max(border.end_s, min(border.end_s + REACH_S, border.next_s))
        pause_s = find_pause(border.end_s, latest_s)
        if pause_s is None or pause_s + FADE_ROOM_S > self.received_s:
            return None
        return pause_s + FADE_ROOM_S


def _seam(
    text: str, at_s: float, rate_hz: int, char: int, kind: Literal["sentence", "word"]
) -> Seam:
    sample = round(at_s * rate_hz)
    while char < len(text) and text[char].isspace():
        char += 1
    return Seam(sample / rate_hz, sample, char, kind, tags_in_force(text, char))


def _end_at(border: Border, ends: list[int], text: str) -> int | None:
    """Return where to go on if a sentence ends at a border; None if none does.

    Behind its closing tags and quotes, but before an emoji, which may be yet to be said.
    """
    at = bisect_left(ends, border.char)
    if at == len(ends):
        return None
    between = units(text[border.char : ends[at]])
    if not between:
        return ends[at]
    return None if any(unit.key for unit in between) else border.char


def _unplaced(words: Sequence[SpokenWord]) -> Iterator[float]:
    """Yield the ends of words without a length, and of those before them.

    The aligner could not place such a word; either of the two may sound on behind its end.
    """
    before: SpokenWord | None = None
    for word in words:
        if word.end_s <= word.start_s:
            yield word.end_s
            if before is not None:
                yield before.end_s
        before = word


def _in_order(words: Sequence[SpokenWord]) -> bool:
    before_s = 0.0
    for word in words:
        if word.end_s < word.start_s or word.start_s < before_s - OVERLAP_S:
            return False
        before_s = max(before_s, word.end_s)
    return True
