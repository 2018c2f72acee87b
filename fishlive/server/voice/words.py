"""Which words a text has, and when each is heard.

espeak-ng's marks are true but not one a word: "42" gives two, "o'clock" one on its "o", "of the"
one for both, Japanese many at one place. So the text says what the words are, and the marks say
when they begin.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from fishlive.server.voice.espeak import Mark
from fishlive.server.voice.speech import SPEECH_RATE_HZ, SpokenWord

_UNSPACED: Final = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Myanmar, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"  # Han, half-width kana
    "\U00020000-\U0003ffff"  # rarer Han
)
"""Scripts that put no space between words."""

_PIECE: Final = re.compile(rf"[{_UNSPACED}]+|(?:(?!--)[^\s\u2013\u2014\u2026{_UNSPACED}])+")
"""A run of an unspaced script, or what stands between spaces, dashes and ellipses."""

_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f"  # NUL ends a C string; \x01 begins espeak-ng's commands
    "\ufe00-\ufe0f\U000e0000-\U000e007f]"  # how an emoji should look
)
_PICTURES: Final = re.compile(
    "[\u20e3\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]\u200d?"
)
_QUIET: Final = 100
"""Samples up to this size count as silence: -50 dB of full scale, below espeak-ng's faintest
consonants and above the tail of its echoes."""

_STRIDE: Final = 16
"""Every how manieth sample is looked at for silence: 0.7 ms apart."""


def clean(text: str) -> str:
    """Return ``text`` without what cannot be said: control characters, pictures, emoji.

    espeak-ng would read the names of emoji aloud, which the service's voices do not.
    """
    return _PICTURES.sub(" ", _CONTROLS.sub("", text))


def is_speakable(text: str) -> bool:
    """Whether there is a letter or a digit to say."""
    return any(char.isalnum() for char in text)


def place(text: str, marks: Sequence[Mark], pcm: bytes) -> tuple[SpokenWord, ...]:
    """Return the words of ``text`` with their times, in order and without overlap.

    A word begins at its first mark, or, without one, at its share of the time between its
    neighbours; it ends where the next begins, the last where the sound ends. Words are the
    text's own characters without the punctuation around them. A lone symbol is a word if
    espeak-ng said something for it.
    """
    spans = _spans(text, marks)
    starts = _first_samples([start for start, _ in spans], marks)
    words, samples = [], []
    for (start, end), sample in zip(spans, starts, strict=True):
        word = _strip(text[start:end])
        if word and (sample is not None or is_speakable(word)):
            words.append(word)
            samples.append(sample)
    end_sample = _sound_end(pcm)
    times = [*_filled(words, samples, end_sample), end_sample]
    return tuple(
        SpokenWord(word, begin / SPEECH_RATE_HZ, end / SPEECH_RATE_HZ)
        for word, (begin, end) in zip(words, pairwise(times), strict=True)
    )


def _spans(text: str, marks: Iterable[Mark]) -> list[tuple[int, int]]:
    """Return where the words are; runs of unspaced scripts are cut where the marks are."""
    edges = sorted({edge for mark in marks for edge in (mark.start, mark.end)})
    spans: list[tuple[int, int]] = []
    for piece in _PIECE.finditer(text):
        start, end = piece.span()
        inside = []
        if re.match(f"[{_UNSPACED}]", piece[0]):
            inside = edges[bisect_right(edges, start) : bisect_right(edges, end - 1)]
        spans += pairwise([start, *inside, end])
    return spans


def _first_samples(starts: Sequence[int], marks: Iterable[Mark]) -> list[int | None]:
    """Return each span's first mark; a mark between two spans belongs to the earlier."""
    samples: list[int | None] = [None] * len(starts)
    for mark in marks:
        at = max(bisect_right(starts, mark.start) - 1, 0)
        if at < len(samples):
            known = samples[at]
            samples[at] = mark.sample if known is None else min(known, mark.sample)
    return samples


def _filled(words: Sequence[str], samples: Sequence[int | None], end: int) -> Iterator[float]:
    """Yield rising starts: each unmarked word shares its marked neighbours' time by length."""
    at, now = 0, 0.0
    while at < len(words):
        now = min(max(now, samples[at] or 0), end)
        until = at + 1
        while until < len(words) and samples[until] is None:
            until += 1
        following = samples[until] if until < len(words) else None
        limit = end if following is None else min(max(following, now), end)
        letters = sum(len(word) for word in words[at:until])
        for word in words[at:until]:
            yield now
            now += (limit - now) * len(word) / letters
            letters -= len(word)
        at = until


def _strip(piece: str) -> str:
    """Return a piece without the punctuation around it; currency and the like are kept."""
    start, end = 0, len(piece)
    while start < end and unicodedata.category(piece[start])[0] in "PZC":
        start += 1
    while end > start and unicodedata.category(piece[end - 1])[0] in "PZC":
        end -= 1
    return piece[start:end]


def _sound_end(pcm: bytes) -> int:
    """Return the sample after which all is quiet."""
    samples = memoryview(pcm).cast("h")
    for at in range(len(samples) - 1, -1, -_STRIDE):
        if abs(samples[at]) > _QUIET:
            return at + 1
    return len(samples)
