"""Where the service cuts the text it is sent. Pure: no clock, no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from fishlive.limits import MAX_OPEN_TAG_CHARS

_UP_TO = f"{{0,{MAX_OPEN_TAG_CHARS}}}"
_GUARDED: Final = re.compile(
    rf"<\|phoneme_start\|>.{_UP_TO}?(?:<\|phoneme_end\|>|(\Z))"
    rf"|\[[^\[\]]{_UP_TO}(?:\]|(\Z))"
    rf"|<(?=[|/A-Za-z]|\Z)[^<>]{_UP_TO}(?:>|(\Z))",
    re.DOTALL,
)
"""A run of phonemes, a cue or a tag; a group matches if it is open at the end of what is there."""

_SENTENCE_END: Final = re.compile(
    r"[.!?…]+[\"'”\u2019)\]]*\s+"
    r"|[。\uff01\uff1f\uff1b]+[”\u2019」』\uff09]*\s*"  # full-width: no space follows
    r"|\n\s*"
)
_WORD_END: Final = re.compile(r"\s+|[\uff0c、\uff1a]+\s*")


def guarded_spans(text: str) -> list[tuple[int, int]]:
    """Return where ``text`` must not be cut: strictly inside these.

    What is still open at the end goes on behind it, so the end of the text lies inside.
    """
    matches = _GUARDED.finditer(text)
    return [(m.start(), m.end() + (m.lastindex is not None)) for m in matches]


def sentences(text: str) -> Iterator[str]:
    """Split ``text`` after its sentences; nothing is lost, and no tag is split."""
    start = 0
    for at in _borders(_SENTENCE_END, text, guarded_spans(text)):
        if at < len(text):
            yield text[start:at]
            start = at
    if start < len(text):
        yield text[start:]


class TextBuffer:
    """Collects text and hands it out in pieces that are long enough to be spoken.

    A piece is cut as soon as ``chunk_length`` characters wait: after the last sentence in it, else
    after the last word, both not before ``min_chunk_length`` if possible; never inside a tag. The
    pieces, joined, are the text.

    Source: ``chunk_length`` ("text segment size") and ``min_chunk_length`` ("minimum characters
    before splitting into a new chunk") of the TTS request (asyncapi.yml, 2026-08-21). Where the
    service cuts inside these bounds is not documented.
    """

    def __init__(self, *, chunk_length: int, min_chunk_length: int) -> None:
        self._chunk = chunk_length
        self._least = min(min_chunk_length, chunk_length)
        self._parts: list[str] = []
        self._chars = 0

    @property
    def waiting_chars(self) -> int:
        """Characters that were added and not handed out."""
        return self._chars

    def add(self, text: str) -> list[str]:
        """Add ``text`` verbatim; return the pieces that became long enough."""
        self._parts.append(text)
        self._chars += len(text)
        return self._cut(everything=False) if self._chars >= self._chunk else []

    def flush(self) -> list[str]:
        """Return everything that waits, in pieces of at most ``chunk_length`` if they can be."""
        return self._cut(everything=True) if self._chars else []

    def _cut(self, *, everything: bool) -> list[str]:
        text, start, pieces = "".join(self._parts), 0, []
        while (size := self._next(text, start, everything=everything)) is not None:
            pieces.append(text[start : start + size])
            start += size
        self._parts, self._chars = [text[start:]], len(text) - start
        return pieces

    def _next(self, text: str, start: int, *, everything: bool) -> int | None:
        """Return the length of the piece at ``start``, or None to wait for more text."""
        left = len(text) - start
        if everything and left <= self._chunk:
            return left or None
        if left < self._chunk:
            return None
        # A tag that opens in the piece ends within MAX_OPEN_TAG_CHARS, or is none.
        ahead = self._chunk + MAX_OPEN_TAG_CHARS + len("<|phoneme_start|><|phoneme_end|>")
        window = text[start : start + ahead]
        size = self._best(window)
        if size > len(window) and not everything:
            return None  # an open tag fills the piece: its end is still to come
        return min(size, len(window))

    def _best(self, window: str) -> int:
        guarded = guarded_spans(window)
        early = 0
        for pattern in (_SENTENCE_END, _WORD_END):
            inside = [at for at in _borders(pattern, window, guarded) if at <= self._chunk]
            if inside and inside[-1] >= self._least:
                return inside[-1]
            early = early or (inside[-1] if inside else 0)
        return early or _outside(self._chunk, guarded)


def _borders(pattern: re.Pattern[str], text: str, guarded: list[tuple[int, int]]) -> Iterator[int]:
    spans = iter([*guarded, (len(text), len(text))])
    span = next(spans)
    for match in pattern.finditer(text):
        at = match.end()
        while span[1] <= match.start() and span[0] < len(text):
            span = next(spans)
        if not span[0] < at < span[1]:
            yield at


def _outside(at: int, guarded: list[tuple[int, int]]) -> int:
    """Return ``at``, moved before the tag it is in, or behind it if there is nothing before."""
    for start, end in guarded:
        if start < at < end:
            return start or end
    return at
